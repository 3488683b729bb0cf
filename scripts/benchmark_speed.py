"""Measure the time and memory of the default strategy, beside Optuna's Gaussian process.

Absolute times depend on the machine; the ratio compares both on the same machine,
in the same process, at the same number of queries.

    python scripts/benchmark_speed.py --jobs 2
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _shared import SPACE, parser, run, save, start

_SEARCH = """
import resource, sys, weaknas
benchmark = weaknas.get_benchmark({space!r}, dataset="cifar100")
weaknas.run(weaknas.WeakNAS(benchmark.space, seed=0), benchmark, {budget})
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)
"""


def main() -> None:
    """Print and keep seconds, their ratio, peak memory and the time of many runs."""
    options = parser(__doc__ or "")
    options.add_argument("--budget", type=int, default=150)
    options.add_argument("--runs", type=int, default=100, help="of the run for throughput")
    options.add_argument("--against", default="optuna-gp", help="strategy to compare with")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.budget, arguments.runs = 20, 2
    result: dict[str, Any] = {"budget": arguments.budget, "jobs": arguments.jobs}
    result["peak_memory_mb"] = round(peak_memory(arguments.budget), 1)
    with tempfile.TemporaryDirectory() as folder:  # nothing is continued: times would be lost
        arguments.work = Path(folder)
        result |= strategy_seconds(arguments)
        result |= throughput(arguments)
    for name, value in result.items():
        print(f"{name}: {value}")
    save(arguments, "benchmark-speed", result)


def peak_memory(budget: int) -> float:
    """Return the peak memory of one search in a process of its own, in megabytes."""
    script = _SEARCH.format(space=SPACE, budget=budget)
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout.split()[-1])


def strategy_seconds(arguments: Any) -> dict[str, Any]:
    """Return seconds of strategy a run, of the default and of the peer, and their ratio."""
    summary, _ = run(
        arguments,
        "speed",
        ["weaknas", arguments.against],
        datasets=["cifar100"],
        runs=2 if arguments.quick else 5,
        budget=arguments.budget,
        runs_of={arguments.against: 1 if arguments.quick else 2},
        jobs=1,
    )
    seconds = {item["strategy"]: item["seconds_per_run"] for item in summary["strategies"]}
    ratio = round(seconds[arguments.against] / seconds["weaknas"], 2)
    return {"seconds_per_run": seconds, "against": arguments.against, "ratio": ratio}


def throughput(arguments: Any) -> dict[str, Any]:
    """Return the wall time of many default runs on three data sets, processes included."""
    begin = time.perf_counter()
    run(arguments, "throughput", ["weaknas"], runs=arguments.runs, budget=arguments.budget)
    return {
        "throughput_runs": 3 * arguments.runs,
        "throughput_seconds": round(time.perf_counter() - begin, 1),
    }


if __name__ == "__main__":
    start(main)
