"""Compare controllers on NAS-Bench-201: an LSTM, one categorical a decision, and random.

Zoph and Le's LSTM with cubed and with raw accuracies as rewards. NAS-Bench-101 (Ying
et al. 2019) reports that independent categoricals do better than the LSTM. Beside them PNAS,
whose cells grow, and NAO, which goes up the gradient of a latent code and takes a minute a run,
and so has fewer. Run it again to continue where it was cut short:

    python scripts/compare_controllers.py --jobs 2
"""

from __future__ import annotations

from _shared import DATASETS, parser, run, save, start

#: Strategies, and how many runs of each are made at most.
STRATEGIES = {
    "lstm-controller": 100,
    "lstm-controller:reward=raw": 100,
    "reinforce": 100,
    "progressive": 100,
    "nao": 30,
    "random": 100,
}


def main() -> None:
    """Run the comparison and write its table."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=100, help="of each, at most")
    options.add_argument("--budget", type=int, default=300)
    options.add_argument("--datasets", nargs="+", default=["cifar10"], choices=DATASETS)
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs, arguments.budget = 2, 6
    names = [name for name in STRATEGIES if not arguments.quick or name != "nao"]
    summary, _ = run(
        arguments,
        "compare-controllers",
        names,
        datasets=arguments.datasets,
        runs=arguments.runs,
        budget=arguments.budget,
        runs_of={name: min(STRATEGIES[name], arguments.runs) for name in names},
    )
    save(arguments, "compare-controllers", {"summary": summary})


if __name__ == "__main__":
    start(main)
