"""Several spaces searched as one: a network, and how it is trained or activated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import accumulate, pairwise
from math import prod
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, shown
from weaknas.spaces._base import CostFunction, SearchSpace
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.graphs import GraphBatch
from weaknas.spaces.rows import Genotypes, genotype_dtype

if TYPE_CHECKING:
    from torch.nn import Module

_SEPARATOR = " & "


@runtime_checkable
class ChangesNetworks(Protocol):
    """A space whose architectures change networks of any other, e.g. their activations."""

    def change_network(self, network: Module, architecture: ArchitectureLike) -> None:
        """Change a network in place."""


class ProductSpace(SearchSpace):
    """All pairs, triples, ... of architectures of several spaces, one of each.

    The network is that of the first part, changed by those others that change networks;
    the training is as all parts say (`SearchSpace.training_options`). Graphs and costs are
    those of the first part, too. ``weaknas.get_space("nasbench201+augmentation")`` is one.

    Parameters
    ----------
    parts : iterable of SearchSpace
        Two or more.

    Raises
    ------
    InputError
        When there are fewer than two, or two have the same name.

    Examples
    --------
    >>> import weaknas
    >>> cells, grid = weaknas.get_space("nasbench201"), weaknas.get_space("randaugment")
    >>> space = ProductSpace([cells, grid])
    >>> space.name, space.size, space.n_variables
    ('nasbench201+randaugment', 468750, 8)
    """

    def __init__(self, parts: Iterable[SearchSpace]) -> None:
        self.parts = tuple(parts)
        names = [part.name for part in self.parts]
        if len(names) < 2 or len(set(names)) < len(names):
            raise InputError(f"a product is of two spaces or more, each once, not of {names}")
        self.name = "+".join(names)
        self.variables = tuple(
            f"{part.name}.{variable}" for part in self.parts for variable in part.variables
        )
        self.cardinalities = np.concatenate([part.cardinalities for part in self.parts])
        self.ordered = np.concatenate([part.ordered for part in self.parts])
        ends = accumulate((part.n_variables for part in self.parts), initial=0)
        self._columns = [slice(start, end) for start, end in pairwise(ends)]

    def split(self, genotypes: npt.NDArray[np.integer]) -> list[npt.NDArray[np.integer]]:
        """Return the genotypes of each part; shapes (n, d) or (d,) to (n, k) or (k,)."""
        rows = np.asarray(genotypes)
        return [rows[..., columns] for columns in self._columns]

    def _each(
        self, genotypes: npt.NDArray[np.integer]
    ) -> Iterator[tuple[SearchSpace, npt.NDArray[np.integer]]]:
        return zip(self.parts, self.split(genotypes), strict=True)

    def _joined(self, parts: Iterable[npt.NDArray[np.integer]]) -> Genotypes:
        return np.concatenate(list(parts), axis=-1).astype(genotype_dtype(self.cardinalities))

    @property
    def size(self) -> int:
        """Product of the sizes of the parts."""
        return prod(part.size for part in self.parts)

    def describe(self) -> dict[str, Any]:
        """Return the descriptions of all parts, as plain JSON types."""
        return super().describe() | {"parts": [part.describe() for part in self.parts]}

    @property
    def value_names(self) -> list[list[str]]:
        """Those of each part."""
        return [names for part in self.parts for names in part.value_names]

    @property
    def shared_choices(self) -> list[npt.NDArray[np.int64]]:
        """Those of each part."""
        return [
            columns + place.start
            for part, place in zip(self.parts, self._columns, strict=True)
            for columns in part.shared_choices
        ]

    # -- identity ---------------------------------------------------------------------

    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return the string forms of the parts, with ``&`` between them."""
        return _SEPARATOR.join(part.format(row) for part, row in self._each(genotype))

    def parse(self, text: str) -> Genotypes:
        """Read the string forms of all parts.

        Raises
        ------
        InputError
            When there are not as many as parts, or one is no architecture of its part.
        """
        texts = text.split(_SEPARATOR)
        if len(texts) != len(self.parts):
            raise InputError(
                f"an architecture of {self.name!r} is one of each part with{_SEPARATOR}between"
                f" them, not {shown(text)}"
            )
        return self._joined(
            part.parse(one.strip()) for part, one in zip(self.parts, texts, strict=True)
        )

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Return the canonical forms of each part."""
        return self._joined(part.canonicalize(rows) for part, rows in self._each(genotypes))

    def contains(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which genotypes have an architecture of each part."""
        inside = [part.contains(rows) for part, rows in self._each(genotypes)]
        return np.asarray(np.logical_and.reduce(inside))

    # -- drawing and moving -----------------------------------------------------------

    def enumerate(self) -> Genotypes:
        """Return every combination, shape (size, d).

        Raises
        ------
        InputError
            When the space is too large to list.
        """
        self._require_listable()
        listed = [part.enumerate() for part in self.parts]
        places = np.indices([len(rows) for rows in listed]).reshape(len(listed), -1)
        return self._joined(rows[at] for rows, at in zip(listed, places, strict=True))

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw n combinations uniformly, with replacement; shape (n, d)."""
        return self._joined(part.sample(n, rng) for part in self.parts)

    def mutate(self, genotypes: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
        """Mutate one part of each genotype, drawn in proportion to its decisions."""
        rows = np.array(genotypes, dtype=self.genotype_dtype)
        shares = [part.n_variables * (part.size > 1) for part in self.parts]
        if not any(shares):
            return rows
        drawn = rng.choice(len(shares), size=len(rows), p=np.array(shares) / sum(shares))
        for number, (part, columns) in enumerate(zip(self.parts, self._columns, strict=True)):
            rows[drawn == number, columns] = part.mutate(rows[drawn == number, columns], rng)
        return rows

    def crossover(
        self,
        first: npt.NDArray[np.integer],
        second: npt.NDArray[np.integer],
        rng: np.random.Generator,
    ) -> Genotypes:
        """Cross the parts, each as its space does."""
        others = self.split(second)
        pairs = zip(self._each(first), others, strict=True)
        return self._joined(part.crossover(one, other, rng) for (part, one), other in pairs)

    def neighbors(self, genotype: npt.NDArray[np.integer]) -> Genotypes:
        """Return the architectures with a neighbour in one part."""
        base = self.canonicalize(np.asarray(genotype)[None])[0]
        found = []
        for (part, row), columns in zip(self._each(base), self._columns, strict=True):
            moved = part.neighbors(row)
            rows = np.repeat(base[None], len(moved), axis=0)
            rows[:, columns] = moved
            found.append(rows)
        return np.concatenate(found)

    # -- graphs, costs, networks: of the first part -------------------------------------

    @property
    def has_graphs(self) -> bool:
        """Whether the first part has graphs."""
        return self.parts[0].has_graphs

    def graphs(self, genotypes: npt.NDArray[np.integer]) -> GraphBatch:
        """Return the graphs of the first part."""
        return self.parts[0].graphs(self.split(genotypes)[0])

    @property
    def outside_graphs(self) -> npt.NDArray[np.bool_]:
        """Which decisions the graphs do not show: all of the other parts, shape (d,)."""
        outside = np.ones(self.n_variables, dtype=bool)
        outside[self._columns[0]] = self.parts[0].outside_graphs
        return outside

    @property
    def has_quick_costs(self) -> bool:
        """Whether the first part tells costs quickly."""
        return self.parts[0].has_quick_costs

    def costs(self) -> dict[str, CostFunction]:
        """Return the costs of the first part."""
        return {name: partial(self._cost, cost) for name, cost in self.parts[0].costs().items()}

    def _cost(self, cost: CostFunction, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[Any]:
        return cost(self.split(genotypes)[0])

    @property
    def has_networks(self) -> bool:
        """Whether the first part has networks."""
        return self.parts[0].has_networks

    @property
    def small_network(self) -> dict[str, Any]:
        """The settings for a small network of the first part."""
        return self.parts[0].small_network

    def network(
        self,
        architecture: ArchitectureLike,
        **settings: Any,
    ) -> Module:
        """Return the network of the first part, changed by the others that do so.

        Parameters
        ----------
        architecture, **settings
            As of the first part.

        Raises
        ------
        InputError
            When a value cannot be used, or another part cannot change the network.
        """
        row, *others = self.split(self.genotypes([architecture])[0])
        network = self.parts[0].network(row, **settings)
        for part, chosen in zip(self.parts[1:], others, strict=True):
            if isinstance(part, ChangesNetworks):
                part.change_network(network, chosen)
        return network

    def inherited_modules(
        self, parent: ArchitectureLike, child: ArchitectureLike
    ) -> Mapping[str, str | None]:
        """Return how moved modules are called in a parent, as in the first part."""
        old, new = (self.split(self.genotypes([one])[0])[0] for one in (parent, child))
        return self.parts[0].inherited_modules(old, new)

    def training_options(self, architecture: ArchitectureLike) -> Mapping[str, Any]:
        """Return the switches of the training protocol that all parts decide.

        Raises
        ------
        InputError
            When two parts decide the same one.
        """
        options: dict[str, Any] = {}
        for part, row in self._each(self.genotypes([architecture])[0]):
            decided = part.training_options(row)
            for name in options.keys() & decided:
                raise InputError(f"two parts of {self.name!r} decide {name!r} of the training")
            options |= decided
        return options
