"""Tune a predictor on NAS-Bench-101 and compare it with its defaults on fresh training sets.

The table must be at hand, see ``weaknas table``. Run it again to continue where it was
cut short:

    python scripts/tune_predictor.py
"""

from __future__ import annotations

import time

from _shared import parser, save, start

from weaknas.laboratory.tuning import Tuning, compare_on_fresh_splits, tune
from weaknas.laboratory.tuning_data import TableData
from weaknas.registry import get_benchmark


def main() -> None:
    """Tune, compare, and write a table."""
    options = parser(__doc__ or "")
    options.add_argument("--predictor", default="xgboost")
    options.add_argument("--space", default="nasbench101")
    options.add_argument("--trials", type=int, default=40)
    options.add_argument("--train-size", type=int, default=100)
    options.add_argument("--fresh", type=int, default=20, help="fresh training sets")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.space, arguments.trials, arguments.fresh = "nasbench201", 2, 3
    name = f"tune-{arguments.predictor}-{arguments.space}"
    folder = arguments.work / (f"{name}-quick" if arguments.quick else name)
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    data = TableData(
        get_benchmark(arguments.space), train_size=arguments.train_size, seed=arguments.seed
    )
    tuning = Tuning(arguments.predictor, data, seed=arguments.seed)
    study = tune(tuning, arguments.trials, f"sqlite:///{folder.resolve()}/study.db")
    tuned = tuning.options(study.best_params)
    fresh = compare_on_fresh_splits(tuning, tuned, arguments.fresh).to_dict()
    summary = {
        "predictor": arguments.predictor,
        "space": arguments.space,
        "trials": len(study.trials),
        "options": tuned,
        "fresh": fresh,
        "seconds": round(time.perf_counter() - begin, 1),
    }
    for row in ("default", "tuned", "improvement"):
        low, high = fresh[row]["ci95"]
        print(f"{row:12} Kendall tau {fresh[row]['mean']:.4f} [{low:.4f}, {high:.4f}]")
    save(arguments, name, {"summary": summary, "design": tuning.describe()})


if __name__ == "__main__":
    start(main)
