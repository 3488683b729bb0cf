"""What the scripts share: arguments, experiments, and where results go."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.commands.compare import ComparisonProgress, print_summary
from weaknas.errors import InputError
from weaknas.files import write_json
from weaknas.laboratory.experiment import Experiment, Target, parse_strategy
from weaknas.laboratory.folder import versions
from weaknas.laboratory.results import compare, read_queries
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.laboratory.summary import by_dataset, collect
from weaknas.reports import plots
from weaknas.runs.problem import build_problem

SPACE = "nasbench201"
DATASETS = ("cifar10", "cifar100", "imagenet16-120")
#: Where results are kept, and those of `--quick`, unless another folder is named.
RESULTS, QUICK = Path(__file__).parent / "results", Path("runs", "quick")


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options of all scripts."""
    made = argparse.ArgumentParser(description=description.partition("\n")[0])
    made.add_argument("--quick", action=_Quick, help=f"few runs, small budget; results in {QUICK}")
    made.add_argument("--jobs", type=int, default=2, help="processes")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument(
        "--work", type=Path, default=Path("runs"), help="runs are kept here; continued if cut short"
    )
    made.add_argument(
        "--results", type=Path, default=RESULTS, help="JSON and PNG; default: those that are kept"
    )
    return made


class _Quick(argparse.Action):
    """A trial of a script must not take the place of the results that are kept."""

    def __init__(self, **options: Any) -> None:
        super().__init__(nargs=0, default=False, **options)

    def __call__(self, _: object, namespace: argparse.Namespace, *__: object) -> None:
        namespace.quick = True
        if namespace.results == RESULTS:
            namespace.results = QUICK


def run(
    arguments: argparse.Namespace,
    name: str,
    strategies: Sequence[str],
    *,
    space: str = SPACE,
    datasets: Sequence[str] = DATASETS,
    labels: str = "one-seed",
    noise: float | None = None,
    optimum: Target = "validation",
    runs: int = 100,
    budget: int = 300,
    runs_of: Mapping[str, int] | None = None,
    jobs: int | None = None,
) -> tuple[dict[str, Any], Path]:
    """Compare strategies; return the summary and the folder of the runs."""
    experiment = Experiment(
        space,
        {
            dataset: partial(build_problem, space, dataset=dataset, labels=labels, noise=noise)
            for dataset in datasets
        },
        {label: parse_strategy(label) for label in strategies},
        runs,
        budget,
        arguments.seed,
        optimum,
        runs_of or {},
    )
    folder = arguments.work / f"{name}-quick" if arguments.quick else arguments.work / name
    processes = arguments.jobs if jobs is None else jobs
    with ComparisonProgress(experiment, processes) as progress:
        summary = compare(experiment, folder, jobs=processes, command=command(), progress=progress)
    print_summary(summary)
    return summary, folder


def draw(
    arguments: argparse.Namespace,
    name: str,
    summary: dict[str, Any],
    folder: Path,
    kinds: Mapping[str, Callable[..., Any]],
) -> None:
    """Write a figure of each kind, a panel a data set, from the runs in a folder.

    A mean of fewer than ten runs has no place beside one of a hundred: those are in
    the table alone.
    """
    queries, panels = read_queries(folder), {}
    parts = by_dataset(summary)
    enough = min(10, max(item["runs"] for part in parts for item in part["strategies"]))
    for part in parts:
        found = [
            collect(queries, part["dataset"], item["strategy"], arguments.budget)
            for item in part["strategies"]
            if item["runs"] >= enough
        ]
        panels[part["dataset"]] = [runs for runs in found if runs is not None]
    for kind, plot in kinds.items():
        plots.save(plot(panels), arguments.results / f"{name}-{kind}", forms=("png",))


def by_marks(values: npt.NDArray[np.float64], marks: Sequence[int]) -> dict[str, Any]:
    """Return mean and interval by number of trainings, of values of shape (runs, marks)."""
    return {
        str(mark): {
            "mean": round(float(column.mean()), 3),
            "ci95": [round(float(end), 3) for end in bootstrap_interval(column)],
        }
        for mark, column in zip(marks, values.T, strict=True)
    }


def marks_in_words(row: Mapping[str, Any]) -> str:
    """Return what `by_marks` returned as a line."""
    return "  ".join(
        f"{mark}: {item['mean']:.2f} [{item['ci95'][0]:.2f}, {item['ci95'][1]:.2f}]"
        for mark, item in row.items()
    )


def save(arguments: argparse.Namespace, name: str, content: Mapping[str, Any]) -> Path:
    """Write a result with the command and the versions that made it."""
    path: Path = arguments.results / f"{name}.json"
    write_json(path, _without_nan({"command": command(), "versions": versions(), **content}))
    print(f"results in {path}")
    return path


def _without_nan(value: Any) -> Any:
    """Return plain JSON types with null for what is no number, e.g. the interval of one run."""
    if isinstance(value, Mapping):
        return {name: _without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def start(main: Callable[[], None]) -> None:
    """Run a script; bad input is one line and no traceback."""
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")


def command() -> str:
    """Return the command line: the script by its name in the repository, no folders of the user."""
    words, kept = iter(sys.argv[1:]), []
    for word in words:
        if word in ("--work", "--results"):
            next(words, None)
        elif not word.startswith(("--work=", "--results=")):
            kept.append(word)
    return shlex.join(["python", f"scripts/{Path(sys.argv[0]).name}", *kept])
