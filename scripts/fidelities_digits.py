"""Real trainings on a CPU: searches at several fidelities against full trainings, at equal epochs.

For each seed every strategy searches cells of NAS-Bench-201 on the digits until it has paid for as
many epochs: the default and random search train in full, `multi-fidelity` and `hyperband` a third
of the epochs, too, with a schedule as short as the training. What each returns is trained anew five
times, with other seeds, and tested: the mean of its test accuracies is what the search was worth.

Run it again to continue where it was cut short:

    python scripts/fidelities_digits.py --jobs 2
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from _shared import parser, save, start
from answer_digits import DATASET, NETWORK, SPACE, Study, interval

from weaknas.evaluators import Evaluation
from weaknas.evaluators.train import TrainEvaluator
from weaknas.laboratory.experiment import parse_strategy
from weaknas.laboratory.statistics import wilcoxon
from weaknas.laboratory.workers import run_tasks
from weaknas.registry import get_space
from weaknas.runs.runner import run
from weaknas.spaces import Architecture

#: As they are named here, and what is built, where resources are the epochs of both fidelities. A
#: training at a time, so that no more is paid than the last one takes.
STRATEGIES = {
    "weaknas": "weaknas:batch_size=1",
    "multi-fidelity": "multi-fidelity:batch_size=1:resources={short}+{full}",
    "hyperband": "hyperband:resources={short}+{full}",
    "random": "random",
}


class PaidInEpochs(TrainEvaluator):
    """Trains, and says the epochs of a training as its cost."""

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        """Train one architecture."""
        found = super().evaluate(architecture, seed=seed, fidelity=fidelity)
        return replace(found, cost=float(self.protocol.epochs if fidelity is None else fidelity))


@dataclass(frozen=True)
class EqualEpochs(Study):
    """What is done for one seed; `budget` is of full trainings, in the epochs of which all pay."""

    def evaluator(self, seed: int) -> TrainEvaluator:
        """Return the evaluator; searches of one seed share trainings that are the same."""
        folder = self.work / "trainings" / str(seed)
        switches: dict[str, Any] = {"epochs": self.epochs, **NETWORK}
        return PaidInEpochs(
            get_space(SPACE),
            dataset=DATASET,
            device="cpu",
            folder=folder,
            shorten="compress",
            **switches,
        )

    def search(self, label: str, seed: int) -> dict[str, Any]:
        """Return what one search returns, and its test accuracies."""
        evaluator = self.evaluator(seed)
        told = STRATEGIES[label].format(short=self.epochs // 3, full=self.epochs)
        strategy = parse_strategy(told)(evaluator.space, seed=seed)
        epochs = self.budget * self.epochs
        result = run(strategy, evaluator, budget_cost=epochs, output=self.work / f"{label}-{seed}")
        best = result.best
        short = sum(trial.evaluation.fidelity is not None for trial in result.trials)
        return {
            "architecture": best.architecture.text,
            "epochs": sum(trial.evaluation.cost for trial in result.trials),
            "short": short,
            "full": len(result.trials) - short,
            "expected": best.score,
            "tests": [self.test(best.architecture, seed, number) for number in range(self.anew)],
        }


def summarize(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row a strategy: mean test accuracy over seeds, and its gain on the default's."""
    tests = {
        label: np.array([np.mean(row["methods"][label]["tests"]) for row in rows])
        for label in STRATEGIES
    }
    default = tests["weaknas"]
    return [
        {
            "strategy": label,
            "test": interval(tests[label]),
            "gain": interval(tests[label] - default),
            "wilcoxon_p": round(wilcoxon(tests[label], default), 4),
            **{
                name: float(np.mean([row["methods"][label][name] for row in rows]))
                for name in ("epochs", "short", "full")
            },
        }
        for label in STRATEGIES
    ]


def main() -> None:
    """Run the study and print it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--seeds", type=int, default=20)
    arguments.add_argument("--budget", type=int, default=10, help="full trainings, in epochs")
    arguments.add_argument("--epochs", type=int, default=9, help="of a full training")
    options = arguments.parse_args()
    seeds, budget, epochs, anew = options.seeds, options.budget, options.epochs, 5
    if options.quick:
        seeds, budget, epochs, anew = 1, 5, 3, 2
    name = "fidelities-digits-quick" if options.quick else "fidelities-digits"
    study = EqualEpochs((options.work / name).absolute(), budget, epochs, anew)
    numbers = [options.seed + number for number in range(seeds)]
    found = run_tasks(partial(study.run, methods=tuple(STRATEGIES)), numbers, options.jobs)
    rows = sorted(found, key=lambda row: int(row["seed"]))
    table = summarize(rows)
    for row in table:
        print(f"{row['strategy']:15} test accuracy {row['test']['mean']:.4f} {row['test']['ci95']},"
              f" on the default's {row['gain']['mean']:+.4f} {row['gain']['ci95']}, p ="
              f" {row['wilcoxon_p']}; {row['epochs']:.0f} epochs, {row['full']:.1f} full and"
              f" {row['short']:.1f} short trainings")  # fmt: skip
    content = {
        "budget": budget,
        "evaluator": study.evaluator(numbers[0]).describe(),
        "summary": table,
        "runs": rows,
    }
    save(options, name, content)


if __name__ == "__main__":
    start(main)
