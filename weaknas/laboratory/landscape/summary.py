"""All that is told of a landscape, as plain JSON types: of a table, a run, or a space alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, check_number
from weaknas.evaluators import TabularBenchmark
from weaknas.laboratory.landscape import measures, sampled, structure
from weaknas.laboratory.landscape.advice import advise
from weaknas.laboratory.landscape.graph import Floats, Indices, NeighborGraph
from weaknas.laboratory.landscape.trainings import Trainings
from weaknas.laboratory.statistics import spearman_rho
from weaknas.spaces import SearchSpace, SubsetSpace

#: Genotypes of a space whose neighbours are all made; of a larger one a sample tells.
MOST_LISTED = 100_000
_PEAKS = 1000  # one of so many architectures of a table is a peak, where none are given
_LEVELS = np.linspace(0, 1, 101)  # of the quantiles that are told
_PROBED = 1000  # architectures of a partial table whose neighbours in the whole space are made
_SHOWN = 200  # basins that are told one by one

#: What every landscape has; None where it is not known.
KEYS = (
    "autocorrelation", "correlation_length", "fitness_distance_correlation", "local_optima",
    "neutrality", "noise", "additivity", "advice",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How a landscape is measured.

    Parameters
    ----------
    steps : int
        Of the autocorrelation.
    walks, length : int
        Random walks that estimate it, and architectures on each.
    seed : int
        Of the walks and of samples.
    noise : float, optional
        Standard deviation of a training, where a table does not tell it.
    """

    steps: int = 20
    walks: int = 50
    length: int = 1000
    seed: int = 0
    noise: float | None = None

    def __post_init__(self) -> None:
        if self.length <= self.steps:
            raise InputError(
                f"a walk of {self.length} architectures is too short for {self.steps} steps"
            )
        if self.noise is not None:
            check_number("the noise of a training", self.noise, above=0)


def is_listed(space: SearchSpace) -> bool:
    """Whether all architectures of a space and their neighbours are made."""
    return space.is_listable and space.size <= MOST_LISTED


def describe_space(
    space: SearchSpace,
    peaks: npt.NDArray[np.integer] | None = None,
    settings: Settings = Settings(),
) -> dict[str, Any]:
    """Return what a space is without scores.

    Parameters
    ----------
    space : SearchSpace
    peaks : ndarray of int, shape (k, d), optional
        Architectures around which the volume is measured.
    settings : Settings
    """
    rng = np.random.default_rng(settings.seed)
    told: dict[str, Any] = dict.fromkeys(KEYS)
    told["exact"] = is_listed(space)
    if is_listed(space):
        graph = NeighborGraph(space)
        told["structure"] = structure.describe_graph(graph)
        places = None if peaks is None else np.unique(graph.locate(peaks))
        told["volume"] = None if places is None else structure.volume(graph, places)
    else:
        told["structure"] = structure.describe_sample(space, rng)
        told["volume"] = None if peaks is None else structure.sampled_volume(space, peaks, rng)
    told["peaks"] = None if peaks is None else len(np.unique(space.fingerprint(peaks)))
    return told


def describe_run(
    trainings: Trainings,
    peaks: npt.NDArray[np.integer] | None = None,
    settings: Settings = Settings(),
) -> dict[str, Any]:
    """Return what a few trainings tell, beside what the space is.

    Parameters
    ----------
    trainings : Trainings
    peaks : ndarray of int, shape (k, d), optional
    settings : Settings
    """
    told = describe_space(trainings.space, peaks, settings)
    told |= trainings.describe(settings.steps)
    told["exact"] = False
    told["trainings"] = trainings.trainings
    told["quantiles"] = {"full": np.quantile(trainings.scores, _LEVELS).tolist()}
    if settings.noise is not None:
        told["noise"] = {**told["noise"], "full": settings.noise}
    return _finished(told)


def describe_table(
    benchmark: TabularBenchmark,
    peaks: npt.NDArray[np.integer] | None = None,
    settings: Settings = Settings(),
    graph: NeighborGraph | None = None,
) -> dict[str, Any]:
    """Return the landscape of a table: of mean scores, isomorphic architectures once.

    Of a table of more than `MOST_LISTED` architectures it is estimated from walks and from
    architectures drawn at random; distances to the best are then not told.

    Parameters
    ----------
    benchmark : TabularBenchmark
    peaks : ndarray of int, shape (k, d), optional
        Around which the volume is measured; default: the best one in a thousand.
    settings : Settings
    graph : NeighborGraph, optional
        Of the benchmark's space, where it is at hand.

    Raises
    ------
    InputError
        When the table lacks a peak.
    """
    space = benchmark.space
    if graph is None and not is_listed(space):
        return _describe_large(benchmark, peaks, settings)
    graph = graph or NeighborGraph(space)
    scores = benchmark.true_scores(graph.genotypes)
    walks = measures.walk(
        graph,
        scores,
        np.random.default_rng(settings.seed),
        steps=settings.steps,
        walks=settings.walks,
        length=settings.length,
    )
    exact = measures.autocorrelation(graph, scores, settings.steps)
    best = np.flatnonzero(scores == scores.max())
    distances = graph.distances(best)
    basins = measures.climb(graph, scores)
    deviations = _deviations(benchmark, graph, settings.noise)
    full = deviations["full"]
    neutral = measures.neutral_shares(graph, scores, 0.0 if full is None else full)
    tops = _peaks(graph, scores, peaks)
    told: dict[str, Any] = {
        "autocorrelation": exact.tolist(),
        "correlation_length": measures.correlation_length(exact),
        "fitness_distance_correlation": measures.fitness_distance_correlation(scores, distances),
        "local_optima": len(basins.optima),
        "neutrality": _mean(neutral),
        "noise": {
            name: None if values is None else float(np.sqrt(np.mean(values**2)))
            for name, values in deviations.items()
        },
        "additivity": measures.additivity(space, graph.genotypes, scores),
        "exact": True,
        "walk": {
            "autocorrelation": walks.autocorrelation.tolist(),
            "ci95": walks.interval.T.tolist(),
            "correlation_length": measures.correlation_length(walks.autocorrelation),
            "walks": walks.walks,
            "length": walks.length,
        },
        "best": {
            "architecture": space.architectures(graph.genotypes[best[:1]])[0].text,
            "score": float(scores.max()),
        },
        "structure": structure.describe_graph(graph) | {"held": _held(graph)},
        "distances": _profile(scores, distances),
        "basins": _describe_basins(graph, scores, basins),
        "neutrality_by_quantile": _by_quantile(scores, neutral),
        "main_effects": measures.main_effects(space, graph.genotypes, scores),
        "volume": structure.volume(graph, tops),
        "peaks": len(tops),
        "quantiles": {
            name: np.nanquantile(values, _LEVELS).tolist()
            for name, values in _scores_by_fidelity(benchmark, graph).items()
        },
        "fidelity_correlation": _fidelity_correlation(benchmark, graph),
    }
    return _finished(told)


def _describe_large(
    benchmark: TabularBenchmark, peaks: npt.NDArray[np.integer] | None, settings: Settings
) -> dict[str, Any]:
    told = describe_space(benchmark.space, peaks, settings)
    rng = np.random.default_rng(settings.seed)
    told |= sampled.describe(benchmark, rng, settings.steps, settings.noise)
    best = benchmark.optimum()
    told["best"] = {"architecture": best.architecture.text, "score": best.score}
    return _finished(told)


def _finished(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is told with advice, in plain JSON types: what is no finite number is None."""
    counsel = advise(told)
    told |= {"advice": counsel.text, "advised": counsel.to_dict()}
    cleaned: dict[str, Any] = json.loads(json.dumps(told), parse_constant=lambda _: None)
    return cleaned


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _peaks(graph: NeighborGraph, scores: Floats, given: npt.NDArray[np.integer] | None) -> Indices:
    if given is not None:
        return np.unique(graph.locate(given))
    count = max(len(scores) // _PEAKS, 1)
    return np.flatnonzero(scores >= np.partition(scores, -count)[-count])


def _held(graph: NeighborGraph) -> float | None:
    """Return the share of the neighbours in the whole space that a partial table holds."""
    space = graph.space
    if not isinstance(space, SubsetSpace):
        return 1.0
    probed = graph.genotypes[:: max(len(graph) // _PROBED, 1)]
    every, _ = space.whole.all_neighbors(probed)
    return float(space.contains(every).mean()) if len(every) else None


def _deviations(
    benchmark: TabularBenchmark, graph: NeighborGraph, given: float | None
) -> dict[str, Floats | None]:
    """Return the noise of each architecture by fidelity; None where it is not told."""
    told: dict[str, Floats | None] = {}
    for name, column in _columns(benchmark).items():
        try:
            values = benchmark.noise(graph.genotypes, column)
        except InputError:  # one training of each
            values = np.zeros(0)
        # A training that stands in the table several times has no spread at all.
        told[name] = values if values.any() else None
    if given is not None:
        told["full"] = np.full(len(graph), given)
    return told


def _columns(benchmark: TabularBenchmark) -> dict[str, str | None]:
    """Fidelity to column, the lowest first; None is the objective."""
    lower = {f"{f:g}": benchmark.column(f) for f in benchmark.fidelities}
    return {**lower, "full": None}


def _scores_by_fidelity(benchmark: TabularBenchmark, graph: NeighborGraph) -> dict[str, Floats]:
    columns = _columns(benchmark).items()
    return {name: benchmark.true_scores(graph.genotypes, column) for name, column in columns}


def _fidelity_correlation(benchmark: TabularBenchmark, graph: NeighborGraph) -> dict[str, float]:
    """Return Spearman's rank correlation of the scores at each lower fidelity with the full."""
    scores = _scores_by_fidelity(benchmark, graph)
    full = scores.pop("full")
    return {
        name: spearman_rho(values[np.isfinite(values)], full[np.isfinite(values)])
        for name, values in scores.items()
    }


def _profile(scores: Floats, distances: Indices) -> list[dict[str, float]]:
    """Return the scores of the architectures at each distance to the best."""
    rows = []
    for distance in np.unique(distances[distances >= 0]).tolist():
        there = scores[distances == distance]
        low, middle, high = np.quantile(there, [0.1, 0.5, 0.9]).tolist()
        row = {"distance": distance, "architectures": len(there), "mean": float(there.mean())}
        rows.append(row | {"p10": low, "median": middle, "p90": high, "best": float(there.max())})
    return rows


def _describe_basins(
    graph: NeighborGraph, scores: Floats, basins: measures.Basins
) -> dict[str, Any]:
    shown = basins.optima[:_SHOWN]
    texts = [each.text for each in graph.space.architectures(graph.genotypes[shown])]
    return {
        "largest_share": float(basins.sizes.max() / len(graph)),
        "best_share": float(basins.sizes[scores[basins.optima] == scores.max()].sum() / len(graph)),
        "steps_mean": float(basins.steps.mean()),
        "isolated": int((graph.degrees == 0).sum()),
        "optima": [
            {"architecture": text, "score": float(score), "size": int(size)}
            for text, score, size in zip(texts, scores[shown], basins.sizes, strict=False)
        ],
    }


def _by_quantile(scores: Floats, neutral: Floats) -> list[float]:
    """Return the mean neutrality of each tenth of the architectures, the worst first."""
    order = np.argsort(scores, kind="stable")
    return [_mean(neutral[part]) for part in np.array_split(order, 10)]
