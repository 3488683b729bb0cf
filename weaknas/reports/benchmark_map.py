"""The benchmark that a run asked, and the map of what the run did there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.laboratory.statistics import Floats
from weaknas.registry import BENCHMARKS, get_benchmark
from weaknas.reports import plots
from weaknas.reports.page import Page
from weaknas.spaces import ConstrainedSpace, Genotypes, SearchSpace


def load_benchmark(described: dict[str, Any]) -> Any:
    """Load the benchmark of a description, None where it is not one that has a name."""
    space, _, dataset = str(described.get("benchmark", "")).partition("/")
    if space not in BENCHMARKS.names() or "labels" not in described:
        return None
    options = {"dataset": dataset} if dataset else {}
    if "noise" in described:
        options["labels"] = "mean"
        benchmark = get_benchmark(space, **options).with_noise(described["noise"])
    else:
        benchmark = get_benchmark(space, labels=described["labels"], **options)
    limits = described.get("constraints")
    return benchmark.within(ConstrainedSpace(benchmark.space, limits)) if limits else benchmark


def add_map(
    page: Page,
    title: str,
    space: SearchSpace,
    scores: Callable[[Genotypes], Floats],
    queries: tuple[list[str], npt.NDArray[np.integer], npt.NDArray[np.integer]],
) -> None:
    """Draw one run, and what it would have returned, in a space that can be listed.

    Parameters
    ----------
    page : Page
    title : str
    space : SearchSpace
    scores : callable
        From genotypes of the space to the mean score of each.
    queries : tuple
        Architectures as text, and two arrays: the place in it of what would be returned after
        each training, and the rounds.
    """
    architectures, returned, rounds = queries
    genotypes = space.canonicalize(space.enumerate())
    _, distinct = np.unique(space.fingerprint(genotypes), return_index=True)
    genotypes = genotypes[distinct]
    name = "map-" + "".join(c if c.isalnum() else "-" for c in title.partition(":")[0])
    page.add_figure(
        f"Map: {title}",
        name,
        plots.plot_map(
            title,
            genotypes,
            scores(genotypes),
            space.canonicalize(space.genotypes(architectures)),
            returned,
            rounds,
        ),
        "The space on two linear components of its one-hot encoding that follow the mean score"
        " (partial least squares), left; the trainings of one run by round, right. Line and"
        " numbers: what would be returned, and the rounds that met it. Star: the optimum.",
    )
