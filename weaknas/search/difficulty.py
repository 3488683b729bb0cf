"""A ranking for a data set on which nothing was searched, by how difficult a few probes find it.

In the manner of Istrate et al., "TAPAS", AAAI 2019 (arXiv:1806.00250): the difficulty of a data
set is what small probe networks reach on it, and what was measured on data sets of about the same
difficulty tells of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.encoders import Transformer, find_layout
from weaknas.errors import InputError, check_number, check_whole
from weaknas.predictors.gaussian_process import GaussianProcess
from weaknas.registry import get_encoder
from weaknas.search.presets import default_encoder
from weaknas.search.sources import Source
from weaknas.spaces import ArchitectureLike, SearchSpace

Floats = npt.NDArray[np.float64]

_SAME = 1e-9  # of the largest distance: difficulties that are told apart


@dataclass(frozen=True, eq=False)
class Known:
    """What was measured on another data set.

    Parameters
    ----------
    difficulty : float
        As `weaknas.evaluators.difficulty.measure_difficulty` tells it, by the same probes.
    pairs : sequence of pairs
        Architectures of the space and their scores; larger is better.
    name : str
    """

    difficulty: float
    pairs: Sequence[tuple[ArchitectureLike, float]]
    name: str = "known"

    def __post_init__(self) -> None:
        check_number("difficulty", self.difficulty)


def weigh(difficulties: Sequence[float], difficulty: float) -> Floats:
    """Return what each known data set counts for a new one, shape (n,): one over the distance.

    Shepard, "A two-dimensional interpolation function for irregularly-spaced data", 1968: one of
    the same difficulty counts alone.
    """
    distances = np.abs(np.asarray(difficulties, dtype=float) - difficulty)
    least = max(_SAME * float(distances.max()), np.finfo(float).tiny)
    shares = distances.max() / np.maximum(distances, least) if distances.any() else distances + 1
    weights: Floats = shares / shares.sum()
    return weights


def carry_ranking(
    space: SearchSpace,
    known: Sequence[Known],
    difficulty: float,
    *,
    architectures: int = 1000,
    seed: int = 0,
) -> Source:
    """Return what known data sets tell of a new one, as a source of a search on it.

    A Gaussian process is fitted to the normal quantiles of the ranks on each known data set;
    their predictions for random architectures are added up with the weights of `weigh`.

    Parameters
    ----------
    space : SearchSpace
    known : sequence of Known
    difficulty : float
        Of the new data set.
    architectures : int
        That are drawn.
    seed : int
        Of the drawing.

    Raises
    ------
    InputError
        When nothing is known, or a known data set is of another space or has too few scores.
    """
    if not known:
        raise InputError("no data set is known; at least one is needed to carry a ranking")
    check_number("difficulty", difficulty)
    check_whole("architectures", architectures, 2)
    drawn = space.sample(architectures, np.random.default_rng(seed))
    rows = space.canonicalize(drawn)
    encoder: Transformer = get_encoder(default_encoder(space), space)
    features = encoder.fit(rows).transform(rows)
    weights = weigh([one.difficulty for one in known], difficulty)
    scores = np.zeros(len(rows))
    for one, weight in zip(known, weights, strict=True):
        layout: dict[str, Any] = find_layout(encoder)
        model = GaussianProcess(**layout).for_any(features)
        genotypes, targets = Source.of_pairs(space, one.pairs, one.name).telling()
        model.fit(encoder.transform(genotypes), targets)
        scores += weight * model.predict(features)[0]
    return Source("difficulty", rows, scores, space=space)
