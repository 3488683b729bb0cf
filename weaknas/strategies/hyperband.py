"""Successive halving and Hyperband: many short trainings, few long ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from weaknas.errors import InputError, check_list, check_number, refuse_set
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies._base import Fidelity, Scores, Strategy

#: Epochs that the published tables of a space have; the last is full training.
RESOURCES = {"nasbench101": (4.0, 12.0, 36.0, 108.0), "nasbench201": (12.0, 200.0)}


def bracket(resources: Sequence[float], start: int) -> list[int]:
    """Return how many architectures are evaluated at each resource from `start` on.

    Li et al. (JMLR 2018), Algorithm 1, with s = s_max - start: n = ceil((s_max + 1)
    / (s + 1) * R / r) architectures begin with the resource r, and floor(n r / r_i)
    of them reach r_i. Where the resources are R eta^-s, these are the paper's
    numbers; otherwise every rung still costs at most what the first does.

    Parameters
    ----------
    resources : sequence of float
        Ascending; the last is R.
    start : int
        Index of the resource that the bracket begins with.

    Examples
    --------
    >>> bracket([1, 3, 9, 27, 81], 1)
    [34, 11, 3, 1]
    """
    rungs = resources[start:]
    # A little below the quotient, for 1 / 3 * 3 may come out above 1.
    first = math.ceil(len(resources) * rungs[-1] / (len(rungs) * rungs[0]) - 1e-9)
    return [math.floor(first * rungs[0] / resource + 1e-9) for resource in rungs]


def check_resources(
    name: str, space: SearchSpace, resources: Sequence[float] | str | None
) -> tuple[float, ...]:
    """Return the resources of a strategy of this name: those given, else those of the space.

    A text, as of the command line, has them joined by ``+``.

    Raises
    ------
    InputError
        When they are not ascending and positive, or the space has no default.
    """
    if isinstance(resources, str):
        resources = [_read_number(text) for text in resources.split("+")]
    refuse_set("resources", resources)
    given = RESOURCES.get(space.name, ()) if resources is None else resources
    check_list("resources", given)
    found = tuple(check_number("each of resources", value, above=0) for value in given)
    if not found:
        raise InputError(
            f"{name} has no default resources for the space {space.name!r};"
            " pass resources, e.g. epochs in ascending order, the last being full training"
        )
    if not all(low < high for low, high in pairwise((0.0, *found))):
        raise InputError(f"resources must ascend, not {list(found)}")
    return found


def _read_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        message = f"resources are numbers joined by +, such as 3+9+27; {text!r} is none"
        raise InputError(message) from None


class Hyperband(Strategy):
    """Brackets of successive halving (Li et al., JMLR 2018, arXiv:1603.06560, Algorithm 1).

    Each bracket draws random architectures, gives all of them a small resource and
    the better ones ever more; brackets begin with ever larger resources, the last
    with full training, and then come round again. A round is a rung of a bracket.
    A promotion asks for the same architecture at a higher fidelity, which is a new
    query; what was evaluated at a fidelity by an earlier bracket is not paid again.
    Architectures whose evaluation failed are not promoted.

    Parameters
    ----------
    space : SearchSpace
    resources : sequence of float or str, optional
        What an evaluation may be given, e.g. epochs, ascending, also as ``"3+9+27"``; the
        last is full training, asked for with the fidelity None. Their ratios are the paper's
        eta. Default: the epochs of the published tables of NAS-Bench-101 and 201.
    seed : int

    Raises
    ------
    InputError
        When the resources are not ascending and positive, or the space has no default.
    """

    def __init__(
        self, space: SearchSpace, *, resources: Sequence[float] | str | None = None, seed: int = 0
    ) -> None:
        super().__init__(space, seed=seed)
        self.resources = check_resources(type(self).__name__, space, resources)
        self._brackets = 0  # how many were begun
        self._sizes: list[int] = []  # of the rungs of this bracket
        self._rung = 0
        self._members: dict[int, Genotypes] = {}  # of this rung
        self._begin()

    # -- what users call ----------------------------------------------------------------

    @property
    def fidelities(self) -> tuple[Fidelity, ...]:
        """The resources, the last of them, full training, as None."""
        return (*self.resources[:-1], None)

    @property
    def round_fidelity(self) -> Fidelity:
        """The resource of this rung; None where it is full training."""
        return self.fidelities[len(self.resources) - len(self._sizes) + self._rung]

    @property
    def round_size(self) -> int:
        """How many of this rung are not asked for yet."""
        return max(1, len(self._unasked()))

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return super().describe() | {"resources": list(self.resources)}

    # -- inside -------------------------------------------------------------------

    def _starts(self) -> Sequence[int]:
        """Index of the resource with which each bracket of a cycle begins."""
        return range(len(self.resources))

    def _pick(self, n: int) -> Genotypes:
        """Return n architectures that are new at the fidelity of the round."""
        return self._random_unseen(n)

    def _propose(self, n: int) -> Genotypes:
        rows = self._unasked()[:n]
        return np.array(rows, dtype=self.space.genotype_dtype).reshape(-1, self.space.n_variables)

    def _fill(self, n: int) -> Genotypes:
        return np.empty((0, self.space.n_variables), dtype=self.space.genotype_dtype)

    def _unasked(self) -> list[Genotypes]:
        return [row for code, row in self._members.items() if code not in self._seen]

    def _learn(self, genotypes: Genotypes, scores: Scores) -> None:
        while self._members:
            told = {c: self._score_of(c, self.round_fidelity) for c in self._members}
            known = {code: score for code, score in told.items() if score is not None}
            if len(known) < len(told):
                return
            self._promote(known)

    def _promote(self, scores: dict[int, float]) -> None:
        """Go to the next rung with the best, or to the next bracket."""
        good = [code for code, score in scores.items() if not math.isnan(score)]
        if self._rung + 1 == len(self._sizes) or not good:
            self._begin()
            return
        self._rung += 1
        best = sorted(good, key=scores.__getitem__, reverse=True)[: self._sizes[self._rung]]
        self._members = {code: self._members[code] for code in best}

    def _begin(self) -> None:
        """Begin the next bracket for which there are new architectures; none: the end."""
        for _ in self._starts():
            start = self._starts()[self._brackets % len(self._starts())]
            self._brackets += 1
            self._sizes, self._rung = bracket(self.resources, start), 0
            rows = self._pick(self._sizes[0])
            rows = rows[self.space.confirm(rows)]
            codes = self.space.fingerprint(rows).tolist()
            self._members = dict(zip(codes, rows, strict=True))
            if self._members:
                return


class SuccessiveHalving(Hyperband):
    """Successive halving (Jamieson and Talwalkar, AISTATS 2016, arXiv:1502.07943).

    Hyperband with the one bracket that begins with the smallest resource, over and
    over with fresh architectures.

    Parameters
    ----------
    space : SearchSpace
    resources : sequence of float, optional
        As of `Hyperband`.
    seed : int
    """

    def _starts(self) -> Sequence[int]:
        return (0,)
