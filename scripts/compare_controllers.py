"""Compare controllers on NAS-Bench-201: an LSTM, one categorical a decision, and random.

Zoph and Le's LSTM with cubed and with raw accuracies as rewards. NAS-Bench-101 (Ying
et al. 2019) reports that independent categoricals do better than the LSTM. Run it again to
continue where it was cut short:

    python scripts/compare_controllers.py --jobs 2
"""

from __future__ import annotations

from _shared import DATASETS, parser, run, save, start

STRATEGIES = ("lstm-controller", "lstm-controller:reward=raw", "reinforce", "random")


def main() -> None:
    """Run the comparison and write its table."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--budget", type=int, default=300)
    options.add_argument("--datasets", nargs="+", default=["cifar10"], choices=DATASETS)
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs, arguments.budget = 2, 6
    summary, _ = run(
        arguments,
        "compare-controllers",
        STRATEGIES,
        datasets=arguments.datasets,
        runs=arguments.runs,
        budget=arguments.budget,
    )
    save(arguments, "compare-controllers", {"summary": summary})


if __name__ == "__main__":
    start(main)
