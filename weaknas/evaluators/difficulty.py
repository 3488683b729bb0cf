"""How difficult a data set is, by what a few probe architectures reach on it.

In the manner of Istrate et al., "TAPAS", AAAI 2019 (arXiv:1806.00250). See
`weaknas.search.difficulty` for what is made of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from weaknas.errors import InputError, check_whole
from weaknas.evaluators._base import as_evaluator, evaluation_seed
from weaknas.spaces import Architecture, SearchSpace


def draw_probes(space: SearchSpace, n: int = 2, *, seed: int = 0) -> list[Architecture]:
    """Return probe architectures, the same ones for the same space, number and seed.

    Parameters
    ----------
    space : SearchSpace
    n : int
    seed : int
    """
    check_whole("probes", n)
    return space.architectures(space.sample(n, np.random.default_rng(seed)))


def measure_difficulty(
    evaluator: Any,
    probes: Iterable[Architecture],
    *,
    seed: int = 0,
    fidelity: float | None = None,
) -> float:
    """Return the mean score of the probes on a data set, each trained once: the larger, the easier.

    Parameters
    ----------
    evaluator : Evaluator or callable
        Of the data set.
    probes : iterable of Architecture
    seed : int
    fidelity : float, optional
        Epochs of each; default: as the evaluator trains in full.

    Raises
    ------
    InputError
        When no probe could be trained, or there are none.
    """
    made = as_evaluator(evaluator)
    found = [
        made.evaluate(probe, seed=evaluation_seed(seed, probe), fidelity=fidelity).score
        for probe in probes
    ]
    scores = [score for score in found if np.isfinite(score)]
    if not scores:
        raise InputError(f"none of {len(found)} probes has a score: the difficulty is unknown")
    return float(np.mean(scores))
