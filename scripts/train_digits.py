"""Real trainings on a CPU: searches on digits against random cells trained the same way.

For each seed, in cells of NAS-Bench-201:

- WeakNAS trains 20 architectures, and its winner anew with another seed;
- successive halving spends the same number of epochs, once on beginnings of full
  trainings, which are continued (stop), once on short trainings of their own (compress);
- 20 random cells are trained the same way.

What is compared is accuracy on the test images, of the winners and of the random cells:
relative improvement, 100 (a - r) / r (Yang, Esperanca and Carlucci, ICLR 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _shared import parser, save, start

from weaknas.evaluators.train import TrainEvaluator
from weaknas.laboratory.statistics import bootstrap_interval, relative_improvement
from weaknas.laboratory.workers import run_tasks
from weaknas.registry import get_space
from weaknas.runs.runner import run
from weaknas.search.strategy import WeakNAS
from weaknas.strategies import Strategy, SuccessiveHalving
from weaknas.training.export import read_card

SPACE, DATASET = "nasbench201", "digits"
HALVINGS = ("stop", "compress")


@dataclass(frozen=True)
class Study:
    """What is done for one seed; everything is kept in a folder and continued from there.

    Parameters
    ----------
    work : Path
    budget : int
        Full trainings of a search, and random cells.
    epochs : int
        Of a full training, a multiple of 4.
    halvings : tuple of int
        Seeds for which successive halving is run, too.
    """

    work: Path
    budget: int
    epochs: int
    halvings: tuple[int, ...]

    def run(self, seed: int) -> dict[str, Any]:
        """Return the test accuracies and seconds of all methods."""
        methods = {"weaknas": self._search(WeakNAS(get_space(SPACE), seed=seed), "stop", None)}
        for shorten in HALVINGS if seed in self.halvings else ():
            strategy = SuccessiveHalving(get_space(SPACE), resources=self._resources(), seed=seed)
            spent = self.budget * self._cost_of_training(shorten)
            methods[f"halving-{shorten}"] = self._search(strategy, shorten, spent)
        return {"seed": seed, "random": self._random(seed), "methods": methods}

    def _resources(self) -> tuple[float, ...]:
        return self.epochs / 4, self.epochs / 2, float(self.epochs)

    def _cost_of_training(self, shorten: str) -> float:
        """Return the queries of halving that cost as many epochs as one full training.

        A bracket queries four cells at a quarter of the epochs, two at a half, one at all:
        of E epochs it pays 4 E/4 + 2 E/4 + E/2 where trainings are continued, and
        4 E/4 + 2 E/2 + E where each is its own.
        """
        return 7 / 2 if shorten == "stop" else 7 / 3

    def _search(self, strategy: Strategy, shorten: str, queries: float | None) -> dict[str, Any]:
        evaluator = self._evaluator(shorten)
        name = f"{type(strategy).__name__.lower()}-{shorten}-{strategy.seed}"
        folder = self.work / name
        evaluator.keep_in(folder)
        budget = self.budget if queries is None else round(queries)
        result = run(strategy, evaluator, budget, output=folder)
        card = self._final(evaluator, result.best.architecture.text, strategy.seed, folder)
        return {
            "architecture": result.best.architecture.text,
            "architectures": len({trial.architecture.id for trial in result.trials}),
            "queries": len(result.trials),
            "validation": result.best.score,
            "test": card["test_accuracy"],
            "seconds": round(result.cost, 1),
        }

    def _random(self, seed: int) -> list[dict[str, Any]]:
        space, evaluator = get_space(SPACE), self._evaluator("stop")
        drawn = space.sample(self.budget, np.random.default_rng([seed, 1]))
        cards = []
        for number, cell in enumerate(space.architectures(drawn)):
            folder = self.work / f"random-{seed}" / str(number)
            cards.append(self._final(evaluator, cell.text, seed, folder))
        return [{"architecture": c["architecture"], "test": c["test_accuracy"]} for c in cards]

    def _evaluator(self, shorten: str) -> TrainEvaluator:
        return TrainEvaluator(
            get_space(SPACE), dataset=DATASET, epochs=self.epochs, shorten=shorten, device="cpu"
        )

    def _final(
        self, evaluator: TrainEvaluator, cell: str, seed: int, folder: Path
    ) -> dict[str, Any]:
        from weaknas.files import write_json
        from weaknas.training.final import train_final

        done = read_card(folder / "final")
        if done is None:
            # Without exports, which take longer than such a training.
            done = train_final(
                evaluator.space,
                cell,
                evaluator.dataset,
                evaluator.protocol,
                seed=seed,
                device="cpu",
                threads=1,
            )
            write_json(folder / "final" / "card.json", done)
        return done


def summarize(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean accuracies and relative improvements, with intervals over seeds."""
    summary = {"random": _interval([_mean(row) for row in rows])}
    for method in rows[-1]["methods"]:
        measured = [row for row in rows if method in row["methods"]]
        tests = [row["methods"][method]["test"] for row in measured]
        pairs = list(zip(measured, tests, strict=True))
        summary[method] = {
            **_interval(tests),
            "relative_improvement": _interval(
                [relative_improvement(test, _mean(row)) for row, test in pairs]
            ),
            "over_the_median": _interval(
                [relative_improvement(test, _median(row)) for row, test in pairs]
            ),
            "seeds": len(measured),
            "architectures": _average(measured, method, "architectures"),
            "seconds": _average(measured, method, "seconds"),
        }
    return summary


def _mean(row: dict[str, Any]) -> float:
    return float(np.mean([cell["test"] for cell in row["random"]]))


def _median(row: dict[str, Any]) -> float:
    return float(np.median([cell["test"] for cell in row["random"]]))


def _average(rows: list[dict[str, Any]], method: str, name: str) -> float:
    return round(float(np.mean([row["methods"][method][name] for row in rows])), 2)


def _interval(values: list[float]) -> dict[str, Any]:
    low, high = bootstrap_interval(values)
    known = [None if np.isnan(bound) else round(bound, 4) for bound in (low, high)]
    return {"mean": round(float(np.mean(values)), 4), "ci95": known}


def main() -> None:
    """Run the study and print it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--halvings", type=int, default=1, help="seeds of successive halving")
    options = arguments.parse_args()
    budget, epochs = (2, 4) if options.quick else (20, 8)
    name = "train-digits-quick" if options.quick else "train-digits"
    seeds = [options.seed + number for number in range(1 if options.quick else options.seeds)]
    # The last seeds have it, so that what matters most comes first.
    halvings = tuple(seeds[len(seeds) - min(options.halvings, len(seeds)) :])
    study = Study(options.work / name, budget, epochs, halvings)
    rows = sorted(run_tasks(study.run, seeds, options.jobs), key=lambda row: int(row["seed"]))
    summary = summarize(rows)
    print(f"{'':18} {'test':>7} {'95 %':>18} {'improvement %':>14} {'95 %':>18} {'seconds':>8}")
    for method, item in summary.items():
        better = item.get("relative_improvement", {"mean": 0.0, "ci95": ""})
        print(
            f"{method:18} {item['mean']:7.4f} {item['ci95']!s:>18} {better['mean']:14.2f}"
            f" {better['ci95']!s:>18} {item.get('seconds', '')!s:>8}"
        )
    settings = TrainEvaluator(get_space(SPACE), dataset=DATASET, epochs=epochs).describe()
    save(
        options,
        "train-digits",
        {"space": SPACE, "budget": budget, "evaluator": settings, "summary": summary, "runs": rows},
    )


if __name__ == "__main__":
    start(main)
