"""How much of the workers' wall time is spent inside evaluations: the cost of the machinery.

Runs a search of evaluations that sleep a few seconds on two worker processes, with the
default strategy, in rounds and asynchronously, and prints the share of the time from
the first evaluation to the last that the workers were at work. A journal is kept, as
in any run.

    python scripts/execution_overhead.py              # about two minutes a mode
    python scripts/execution_overhead.py --minutes 10
    python scripts/execution_overhead.py --quick      # seconds, to try the script
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import weaknas
from weaknas.evaluators import Evaluation
from weaknas.execution import ProcessPool
from weaknas.runs.trials import Trial
from weaknas.spaces import Architecture

WORKERS = 2


class Sleep:
    """Takes `seconds`, half as many more for some; says when it began."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        """Sleep; the score is a simple one."""
        begin = time.time()
        time.sleep(self.seconds * (1 + seed % 1000 / 2000))
        score = -float(sum(abs(value - 2) for value in architecture.genotype))
        return Evaluation(score, {"begin": begin, "end": time.time()})

    def describe(self) -> dict[str, Any]:
        """Return the length."""
        return {"seconds": self.seconds}


def measure(seconds: float, budget: int, asynchronous: bool) -> dict[str, Any]:
    """Run a search and return what share of two workers' time its evaluations filled."""
    space = weaknas.get_space("nasbench201")
    search = weaknas.WeakNAS(space, seed=0, initial=10, batch_size=10)
    seen: list[Trial] = []
    with tempfile.TemporaryDirectory() as folder, ProcessPool(WORKERS) as pool:
        result = weaknas.run(
            search,
            Sleep(seconds),
            budget,
            executor=pool,
            asynchronous=asynchronous,
            output=Path(folder),
            progress=seen.append,
        )
    spans = [(t.evaluation.metrics["begin"], t.evaluation.metrics["end"]) for t in seen]
    inside = sum(end - begin for begin, end in spans)
    wall = max(end for _, end in spans) - min(begin for begin, _ in spans)
    return {
        "mode": "asynchronous" if asynchronous else "rounds",
        "evaluations": len(spans),
        "seconds_each": round(inside / len(spans), 3),
        "seconds_wall": round(wall, 2),
        "seconds_strategy": round(result.seconds_strategy, 2),
        "share_inside": round(inside / (WORKERS * wall), 4),
    }


def main() -> None:
    """Measure both modes and print one line of JSON for each."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--seconds", type=float, default=4.0, help="of the shortest evaluation")
    made.add_argument("--minutes", type=float, default=2.0, help="of each mode")
    made.add_argument("--quick", action="store_true", help="a few short evaluations")
    options = made.parse_args()
    seconds = 0.2 if options.quick else options.seconds
    count = 20 if options.quick else int(60 * options.minutes * WORKERS / (1.25 * seconds))
    for asynchronous in (False, True):
        print(json.dumps(measure(seconds, count, asynchronous)), flush=True)


if __name__ == "__main__":
    main()
