"""A part of a space: the architectures whose costs are within limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.spaces._base import CostFunction, SearchSpace
from weaknas.spaces.limits.constraints import Constraint, parse_constraints
from weaknas.spaces.limits.feasible import Chains, Limits, approach, feasible_range
from weaknas.spaces.limits.part import PartOfSpace
from weaknas.spaces.limits.priced import PricedSpace
from weaknas.spaces.limits.uncertain import MeasurableCost
from weaknas.spaces.rows import Genotypes

_PROBE = 4096  # architectures that tell how rare it is to be inside
_REJECT_ABOVE = 0.005  # this share inside, drawing until enough are is fast enough
_MEND_STEPS = 100
_WORTH_MEASURING = 0.25  # probability to be within; a measurement costs little
_MOST_DRAWN = 1 << 16


class ConstrainedSpace(PartOfSpace):
    """The architectures of a space whose costs are within limits, with its structure.

    Sampling, mutation, crossover and neighbours stay inside. Where the whole
    space can be listed, the members are, and are drawn uniformly. Elsewhere they
    are drawn as the whole space draws, given that they are inside: exactly, by
    rejection, where at least one in 200 of the whole space is inside; below that
    by Markov chains, which come close to it (see `weaknas.spaces.limits.feasible`).

    A limit with a confidence asks for a margin, and in the margin are the best. A cost
    that can be measured in seconds needs none: of such costs the space holds what was
    predicted at first to be within the limits, and `confirm` measures what is about to be
    trained where a limit does not hold with its confidence; without a confidence, all of it.
    The cost learns from every measurement: what is less likely than one to three by then is
    refused unmeasured.

    Parameters
    ----------
    whole : SearchSpace
    constraints : str, Constraint or iterable of them
        E.g. ``"macs<=600e6"`` or ``"550e6<=macs<=600e6"``; all of them hold, for the
        canonical form of an architecture.
    costs : mapping of str to callable, optional
        Costs beside those that the space itself has, from genotypes, shape
        (n, d), to numbers, shape (n,); those that can be measured are
        `weaknas.spaces.limits.uncertain.MeasurableCost`. `costs` lists them too, so that
        what limits an architecture is also known to encoders.

    Raises
    ------
    InputError
        When a constraint is malformed or on an unknown cost, or no architecture
        is found that fulfils all; the message says what costs there are.

    Examples
    --------
    >>> from weaknas.spaces.nasbench201 import NASBench201
    >>> ConstrainedSpace(NASBench201(), ["macs<=40e6", "params<=0.3e6"]).size
    5504
    """

    def __init__(
        self,
        whole: SearchSpace,
        constraints: str | Constraint | Iterable[str | Constraint],
        costs: Mapping[str, CostFunction] | None = None,
    ) -> None:
        super().__init__(whole, costs)
        self.constraints = parse_constraints(constraints)
        rng = np.random.default_rng(0)
        probe = whole.enumerate() if whole.is_listable else whole.sample(_PROBE, rng)
        known = self.costs()
        self._measurable = [
            (limit.bind(cost), cost)
            for limit in self.constraints
            if isinstance(cost := known.get(limit.cost), MeasurableCost)
        ]
        # What is learnt later would change what is drawn, down to nothing: `confirm` knows it.
        drawn = known | {limit.constraint.cost: cost.first for limit, cost in self._measurable}
        self._limits = Limits(whole, [_relaxed(c, known) for c in self.constraints], drawn, probe)
        #: All members of a space that is listed, else some.
        self._members: Genotypes = probe[self._limits.distance(probe) == 0]
        self._share = len(self._members) / len(probe)
        self._chains: Chains | None = None
        if not whole.is_listable and self._share < _REJECT_ABOVE:
            self._chains = Chains(self._limits, probe, rng)
            self._members = self._chains.inside
        if len(self._members) == 0:
            raise self._infeasible(probe)

    @property
    def size(self) -> int:
        """Number of genotypes; where the whole space is not listable, of the whole space.

        How many of them are inside is not known then.
        """
        return len(self._members) if self.is_listable else self.whole.size

    @property
    def is_listable(self) -> bool:
        """Whether the whole space is."""
        return self.whole.is_listable

    def describe(self) -> dict[str, Any]:
        """Return the description of the whole space with the constraints."""
        described = self._describe_whole(self._members)
        limits = [*described.get("constraints", []), *map(str, self.constraints)]
        return described | {"constraints": limits}

    def contains(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which genotypes fulfil the constraints."""
        return np.asarray(self.violation(genotypes) == 0)

    def confirm(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which genotypes, (n, d), may be trained; measure those of which it is in doubt."""
        rows = self.canonicalize(genotypes)
        confirmed = self.whole.confirm(rows)
        for limit, cost in self._measurable:
            confidence = limit.constraint.confidence
            left = np.flatnonzero(confirmed)
            chance = limit.probability(rows[left])
            doubtful = (chance >= _WORTH_MEASURING) & (chance < (confidence or np.inf))
            cost.measure(rows[left[doubtful]])
            confirmed[left] = limit.probability(rows[left]) >= (confidence or 1.0)
        return confirmed

    def violation(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Return how far genotypes, shape (n, d), are from fulfilling the constraints.

        Returns
        -------
        ndarray of float, shape (n,)
            0 inside, infinity outside the whole space, else a sum over the constraints in
            standard deviations of the costs of random architectures.
        """
        return self._limits.distance(genotypes)

    def enumerate(self) -> Genotypes:
        """Return every member, shape (size, d).

        Raises
        ------
        InputError
            When the whole space is too large to list.
        """
        self._require_listable()
        return self._members.copy()

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw members with replacement, shape (n, d); how, the class says."""
        if self.is_listable:
            rows: Genotypes = self._members[rng.integers(len(self._members), size=n)]
            return rows
        return self._chains.draw(n, rng) if self._chains else self._reject(n, rng)

    def _reject(self, n: int, rng: np.random.Generator) -> Genotypes:
        found = [np.empty((0, self.n_variables), dtype=self.genotype_dtype)]
        missing = n
        while missing > 0:
            drawn = self.whole.sample(min(int(missing / self._share) + 8, _MOST_DRAWN), rng)
            found.append(drawn[self.contains(drawn)][:missing])
            missing -= len(found[-1])
        return np.vstack(found)

    def mend(self, genotypes: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
        """Lead architectures of the whole space, shape (n, d), inside, each on its own way.

        Single changes that bring it no further away; what does not arrive is drawn anew.
        """
        return self._mend(np.asarray(genotypes, dtype=self.genotype_dtype), rng)

    def _mend(self, genotypes: Genotypes, rng: np.random.Generator) -> Genotypes:
        rows = approach(self._limits, genotypes, _MEND_STEPS, rng)
        outside = np.flatnonzero(~self.contains(rows))
        rows[outside] = self.sample(len(outside), rng)
        return rows

    def _infeasible(self, probe: Genotypes) -> InputError:
        ranges = []
        for name, cost in self._limits.limited.items():
            low, high = feasible_range(self.whole, cost, probe)
            known = f"{name} goes from {low:.15g} to {high:.15g}"
            nowhere = f"{name} is no finite number for any of {len(probe):,} architectures"
            ranges.append(nowhere if np.isnan(low) else known)
        text = " and ".join(str(item) for item in self.constraints)
        together = "; not all can be had together" if len(self.constraints) > 1 else ""
        caveat = "" if self.is_listable else ", as far as greedy descent finds"
        return InputError(
            f"no architecture of the space {self.name!r} fulfils {text}: there,"
            f" {', '.join(ranges)}{caveat}{together}"
        )


def frame_of(space: SearchSpace) -> SearchSpace:
    """Return the space that limits and given costs were put on, or a space without them itself."""
    while isinstance(space, ConstrainedSpace | PricedSpace):
        space = space.whole
    return space


def _relaxed(limit: Constraint, costs: Mapping[str, CostFunction]) -> Constraint:
    """Return a limit that holds for what is predicted, where the rest can be measured."""
    measurable = isinstance(costs.get(limit.cost), MeasurableCost)
    return replace(limit, confidence=None) if measurable else limit
