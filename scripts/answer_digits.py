"""Real trainings on a CPU: what a search returns with and without repeated trainings.

For each seed two searches of cells of NAS-Bench-201 train on digits equally often, the default
and the default without repeats. What each returns is trained anew five times, with other seeds,
and tested: the mean of its test accuracies is what the search was worth. Networks are small,
so that a training takes seconds and seeds matter.

Run it again to continue where it was cut short:

    python scripts/answer_digits.py --jobs 2
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _shared import parser, save, start

from weaknas.evaluators.train import TrainEvaluator
from weaknas.files import write_json
from weaknas.laboratory.experiment import parse_strategy
from weaknas.laboratory.statistics import bootstrap_interval, wilcoxon
from weaknas.laboratory.workers import run_tasks
from weaknas.registry import get_space
from weaknas.runs.runner import run
from weaknas.spaces import Architecture

SPACE, DATASET = "nasbench201", "digits"
METHODS = ("weaknas", "weaknas:repeats=never")
NETWORK = {"channels": 4, "cells": 1}


@dataclass(frozen=True)
class Study:
    """What is done for one seed; everything is kept in a folder and continued from there.

    Parameters
    ----------
    work : Path
    budget : int
        Trainings of a search.
    epochs : int
        Of a training.
    anew : int
        Trainings of what is returned.
    """

    work: Path
    budget: int
    epochs: int
    anew: int

    def evaluator(self, seed: int) -> TrainEvaluator:
        """Return the evaluator; searches of one seed share trainings that are the same."""
        options: dict[str, Any] = {"epochs": self.epochs, **NETWORK}
        folder = self.work / "trainings" / str(seed)
        space = get_space(SPACE)
        return TrainEvaluator(space, dataset=DATASET, device="cpu", folder=folder, **options)

    def run(self, seed: int, methods: tuple[str, ...] = METHODS) -> dict[str, Any]:
        """Return what the searches of one seed return, and its test accuracies."""
        return {"seed": seed, "methods": {label: self.search(label, seed) for label in methods}}

    def search(self, label: str, seed: int) -> dict[str, Any]:
        """Return what one search returns, and its test accuracies."""
        evaluator = self.evaluator(seed)
        strategy = parse_strategy(label)(evaluator.space, seed=seed)
        folder = self.work / f"{label.replace(':', '-').replace('=', '-')}-{seed}"
        result = run(strategy, evaluator, self.budget, output=folder)
        best = result.best
        return {
            "architecture": best.architecture.text,
            "queries": sum(trial.repeat == 0 for trial in result.trials),
            "trainings": best.trainings,
            "expected": best.score,
            "std_error": best.std_error,
            "probability_best": best.probability_best,
            "luckiest": result.best_observed.score,
            "tests": [self.test(best.architecture, seed, number) for number in range(self.anew)],
        }

    def test(self, architecture: Architecture, seed: int, number: int) -> float:
        """Return the test accuracy of one more training."""
        path = self.work / "tests" / f"{seed}-{architecture.id}-{number}.json"
        if not path.exists():
            from weaknas.training.final import train_final

            evaluator = self.evaluator(seed)
            own = int(np.random.SeedSequence([seed, number, 1]).generate_state(1)[0])
            facts = train_final(
                evaluator.space,
                architecture,
                evaluator.dataset,
                evaluator.protocol,
                seed=own,
                device="cpu",
                threads=1,
            )
            write_json(path, {"test": facts["test_accuracy"]})
        return float(json.loads(path.read_text(encoding="utf-8"))["test"])


def summarize(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean test accuracies over seeds, and how much repeats are worth, pair by pair."""
    tests = {
        label: np.array([np.mean(row["methods"][label]["tests"]) for row in rows])
        for label in METHODS
    }
    noise = np.sqrt(
        np.mean([np.var(m["tests"], ddof=1) for row in rows for m in row["methods"].values()])
    )
    return {
        "test": {label: interval(values) for label, values in tests.items()},
        "gain": interval(tests[METHODS[0]] - tests[METHODS[1]]),
        "same_architecture": sum(_same(row) for row in rows),
        "wilcoxon_p": round(wilcoxon(tests[METHODS[0]], tests[METHODS[1]]), 4),
        "deviation_of_a_training": round(float(noise), 4),
    }


def _same(row: dict[str, Any]) -> bool:
    one, other = (row["methods"][label]["architecture"] for label in METHODS)
    return bool(one == other)


def interval(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return mean and 95 % interval over seeds."""
    low, high = bootstrap_interval(values)
    known = [None if np.isnan(bound) else round(bound, 4) for bound in (low, high)]
    return {"mean": round(float(values.mean()), 4), "ci95": known}


def main() -> None:
    """Run the study and print it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--seeds", type=int, default=20)
    arguments.add_argument("--budget", type=int, default=20)
    options = arguments.parse_args()
    seeds, budget, epochs, anew = (
        (1, 6, 1, 2) if options.quick else (options.seeds, options.budget, 6, 5)
    )
    name = "answer-digits-quick" if options.quick else "answer-digits"
    study = Study((options.work / name).absolute(), budget, epochs, anew)
    numbers = [options.seed + number for number in range(seeds)]
    rows = sorted(run_tasks(study.run, numbers, options.jobs), key=lambda row: int(row["seed"]))
    summary = summarize(rows)
    for label, item in summary["test"].items():
        print(f"{label:24} test accuracy {item['mean']:.4f} {item['ci95']}")
    gain = summary["gain"]
    print(f"repeats are worth {gain['mean']:+.4f} {gain['ci95']}, p = {summary['wilcoxon_p']}")
    print(f"standard deviation of a training: {summary['deviation_of_a_training']}")
    content = {
        "space": SPACE,
        "budget": budget,
        "evaluator": study.evaluator(numbers[0]).describe(),
        "summary": summary,
        "runs": rows,
    }
    save(options, "answer-digits", content)


if __name__ == "__main__":
    start(main)
