"""What the parts of a space share: its structure, and moves that stay inside."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weaknas.spaces._base import CostFunction, SearchSpace
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.costs import check_costs
from weaknas.spaces.graphs import GraphBatch
from weaknas.spaces.rows import Fingerprints, Genotypes

if TYPE_CHECKING:
    from torch.nn import Module

_TRIES = 8


class PartOfSpace(SearchSpace):
    """Some architectures of a space, with its structure.

    Moves stay inside; encoders, graphs, string forms and ids are those of the
    whole space, and so is all else that a part does not say (costs, decode, ...).

    Parameters
    ----------
    whole : SearchSpace
    costs : mapping of str to callable, optional
        What is known of the members beside what the space itself tells, from
        genotypes, shape (n, d), to numbers, shape (n,). Limits, objectives and
        encoders take them as they take the costs of the whole space.
    """

    def __init__(self, whole: SearchSpace, costs: Mapping[str, CostFunction] | None = None) -> None:
        self.whole = whole
        self._costs = check_costs(costs)
        self.name = whole.name
        self.variables = whole.variables
        self.cardinalities = whole.cardinalities
        self.ordered = whole.ordered

    @abstractmethod
    def contains(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which genotypes are in this part."""

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw architectures of this part, with replacement; shape (n, d)."""

    # -- as in the whole space --------------------------------------------------------

    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return the string form in the whole space."""
        return self.whole.format(genotype)

    def parse(self, text: str) -> Genotypes:
        """Read the string form of the whole space."""
        return self.whole.parse(text)

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Return the canonical forms in the whole space."""
        return self.whole.canonicalize(genotypes)

    def fingerprint(self, genotypes: npt.NDArray[np.integer]) -> Fingerprints:
        """Return the fingerprints in the whole space."""
        return self.whole.fingerprint(genotypes)

    def canonical_ids(self, genotypes: npt.NDArray[np.integer]) -> list[str]:
        """Return the ids in the whole space."""
        return self.whole.canonical_ids(genotypes)

    def confirm(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which genotypes, shape (n, d), the whole space lets be trained."""
        return self.whole.confirm(genotypes)

    @property
    def value_names(self) -> list[list[str]]:
        """Those of the whole space."""
        return self.whole.value_names

    @property
    def shared_choices(self) -> list[npt.NDArray[np.int64]]:
        """Those of the whole space."""
        return self.whole.shared_choices

    @property
    def levels(self) -> int:
        """That of the whole space."""
        return self.whole.levels

    def smallest(self) -> Genotypes:
        """Return what growth begins with in the whole space."""
        return self.whole.smallest()

    def extend(self, genotypes: npt.NDArray[np.integer], level: int) -> Genotypes:
        """Return what grows in the whole space, in this part or not."""
        return self.whole.extend(genotypes, level)

    @property
    def has_graphs(self) -> bool:
        """Whether the whole space has graphs."""
        return self.whole.has_graphs

    def graphs(self, genotypes: npt.NDArray[np.integer]) -> GraphBatch:
        """Return the graphs of the whole space."""
        return self.whole.graphs(genotypes)

    @property
    def outside_graphs(self) -> npt.NDArray[np.bool_]:
        """Which decisions the graphs of the whole space do not show, shape (d,)."""
        return self.whole.outside_graphs

    @property
    def has_networks(self) -> bool:
        """Whether the whole space has networks."""
        return self.whole.has_networks

    @property
    def reads(self) -> str:
        """What the networks of the whole space are given."""
        return self.whole.reads

    @property
    def small_network(self) -> dict[str, Any]:
        """The settings for a small network of the whole space."""
        return self.whole.small_network

    def network(
        self,
        architecture: ArchitectureLike,
        **settings: Any,
    ) -> Module:
        """Return the network of an architecture, as in the whole space."""
        return self.whole.network(architecture, **settings)

    def inherited_modules(
        self, parent: ArchitectureLike, child: ArchitectureLike
    ) -> Mapping[str, str | None]:
        """Return how moved modules are called in a parent, as in the whole space."""
        return self.whole.inherited_modules(parent, child)

    def training_options(self, architecture: ArchitectureLike) -> Mapping[str, Any]:
        """Return what an architecture decides of its training, as in the whole space."""
        return self.whole.training_options(architecture)

    @property
    def has_quick_costs(self) -> bool:
        """Whether the whole space tells costs quickly."""
        return self.whole.has_quick_costs

    def costs(self) -> dict[str, CostFunction]:
        """Return the costs that the whole space tells, and those that were given."""
        return self.whole.costs() | self._costs

    def _describe_whole(self, genotypes: Genotypes) -> dict[str, Any]:
        """Return the description of the whole space with checksums of the costs that were given.

        Of some members, shape (n, d); they tell these costs from others of their names.
        """
        described = self.whole.describe()
        sums = {name: checksum(np.asarray(cost(genotypes))) for name, cost in self._costs.items()}
        return described | ({"costs": described.get("costs", {}) | sums} if sums else {})

    # -- moves that stay inside ---------------------------------------------------------

    def mutate(self, genotypes: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
        """Mutate as in the whole space, again where that leads outside; in the end mend."""
        given = np.asarray(genotypes)
        return self._inside(lambda rows: self.whole.mutate(given[rows], rng), len(given), rng)

    def crossover(
        self,
        first: npt.NDArray[np.integer],
        second: npt.NDArray[np.integer],
        rng: np.random.Generator,
    ) -> Genotypes:
        """Cross as in the whole space, again where that leads outside; in the end mend."""
        one, other = np.asarray(first), np.asarray(second)
        return self._inside(
            lambda rows: self.whole.crossover(one[rows], other[rows], rng), len(one), rng
        )

    def neighbors(self, genotype: npt.NDArray[np.integer]) -> Genotypes:
        """Return the neighbours that are inside; there may be none."""
        rows = self.whole.neighbors(genotype)
        return rows[self.contains(rows)]

    def all_neighbors(
        self, genotypes: npt.NDArray[np.integer]
    ) -> tuple[Genotypes, npt.NDArray[np.int64]]:
        """Return the neighbours of many genotypes that are inside, and whose they are."""
        rows, owners = self.whole.all_neighbors(genotypes)
        inside = self.contains(rows)
        return rows[inside], owners[inside]

    def _inside(
        self,
        draw: Callable[[npt.NDArray[np.intp]], Genotypes],
        n: int,
        rng: np.random.Generator,
    ) -> Genotypes:
        rows = draw(np.arange(n))
        for _ in range(_TRIES):
            outside = np.flatnonzero(~self.contains(rows))
            if len(outside) == 0:
                return rows
            rows[outside] = draw(outside)
        outside = np.flatnonzero(~self.contains(rows))
        rows[outside] = self._mend(rows[outside], rng)
        return rows

    def _mend(self, genotypes: Genotypes, rng: np.random.Generator) -> Genotypes:
        """Return an architecture of this part for each one outside it."""
        return self.sample(len(genotypes), rng)

    def __getattr__(self, name: str) -> Any:
        # What only the whole space knows (parameters, macs, choices, decode, ...).
        if name.startswith("_") or name == "whole":
            raise AttributeError(name)
        return getattr(self.whole, name)


def checksum(values: npt.NDArray[Any]) -> str:
    """Return a short text that differs where numbers do."""
    return hashlib.blake2b(values.tobytes(), digest_size=8).hexdigest()


def whole_of(space: SearchSpace) -> SearchSpace:
    """Return the space that a part is of, or the space itself."""
    while isinstance(space, PartOfSpace):
        space = space.whole
    return space
