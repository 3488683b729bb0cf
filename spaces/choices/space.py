"""Spaces that are a list of named choices: a user's own, chains, channel sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, check_number, listed, shown, unknown
from weaknas.files import checksum
from weaknas.spaces._base import CostFunction, SearchSpace
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.choices.cell import Cell
from weaknas.spaces.choices.conditions import Conditions
from weaknas.spaces.choices.costs import (
    PerArchitecture,
    RememberedCost,
    SummedCost,
    SumOfChoices,
    check_cost,
)
from weaknas.spaces.choices.numbers import Number
from weaknas.spaces.choices.values import ChoiceValues
from weaknas.spaces.costs import check_costs
from weaknas.spaces.graphs import GraphBatch
from weaknas.spaces.rows import Genotypes


class ChoiceSpace(SearchSpace):
    """Every combination of named choices; some may exist only where others have certain values.

    A choice that does not exist has the index 0 in the canonical form and is
    absent from the string form and from `decode`. `size`, `sample` and
    `enumerate` count each different architecture once, but isomorphic cells as often as
    there are ways to write them; searches and `architecture_fingerprints` count them once.

    Parameters
    ----------
    choices : mapping of str to sequence, mapping or number
        The values that each decision may take: numbers, texts, tuples, lists, and
        objects whose text is the same in every process. Functions and other objects
        are named: ``{"act": {"relu": torch.relu, "gelu": gelu}}``. Where all values of
        a decision are numbers in increasing order, encoders treat them as ordered.
        ``weaknas.number(1e-4, 1e-1, log=True)`` is any of 65 values between two bounds.
    name : str
        How the space is called in records.
    conditions : mapping, optional
        For a choice that does not always exist: which values other choices must
        have, e.g. ``{"conv_width": {"layer1": ["conv3", "conv5"]}}``. With several
        others all must have them; a choice that does not exist has no value.
    cell : Cell, optional
        Further decisions, which are the edges and operations of a cell. The space then has
        graphs, and isomorphic cells are one architecture.
    costs : mapping of str to callable, PerArchitecture or SumOfChoices, optional
        What is known of an architecture without training it, for limits, objectives and
        encoders: from canonical genotypes, shape (n, d), to numbers, shape (n,), or as
        ``PerArchitecture(function)`` from the values of one, as `decode` returns them, or as
        ``SumOfChoices({"width": {"16": 1.0, "32": 2.0}})``, which is looked up fast.

    Raises
    ------
    InputError
        When a decision has no value or repeats one; when its values are a set, whose
        order differs between processes, or one is told by its address; when the string
        form would not be read again; when a condition names what is not there or in the
        cell, or depends on itself; when a cost of genotypes does not return one number each,
        or has a name that records of searches give something else.

    Examples
    --------
    >>> space = ChoiceSpace({"layer1": ["skip", "conv3"], "width": [16, 32, 64]})
    >>> space.size
    6
    >>> space.decode(space.architecture("layer1=conv3,width=64"))
    {'layer1': 'conv3', 'width': 64}
    >>> only_conv = {"width": {"layer1": ["conv3"]}}
    >>> space = ChoiceSpace(
    ...     {"layer1": ["skip", "conv3"], "width": [16, 32, 64]}, conditions=only_conv
    ... )
    >>> space.size, space.decode(space.architecture("layer1=skip"))
    (4, {'layer1': 'skip'})
    >>> space = ChoiceSpace({"kernel": [(1, 1), (3, 3)], "pool": {"max": max, "sum": sum}})
    >>> space.decode(space.architecture("kernel=(3, 3),pool=max"))
    {'kernel': (3, 3), 'pool': <built-in function max>}
    >>> import weaknas
    >>> rate = weaknas.number(1e-4, 1e-1, log=True)
    >>> space = ChoiceSpace({"width": [16, 32, 64], "rate": rate})
    >>> space.size, space.decode(space.architecture("width=32,rate=0.1"))
    (195, {'width': 32, 'rate': 0.1})
    >>> size = PerArchitecture(lambda values: 9 * values["width"] ** 2)
    >>> space = ChoiceSpace({"width": [16, 32, 64]}, costs={"params": size})
    >>> space.costs()["params"](space.enumerate()).tolist()
    [2304.0, 9216.0, 36864.0]
    >>> cell = Cell(nodes=4, operations=["none", "conv1", "conv3"], nothing="none")
    >>> space = ChoiceSpace({"width": [16, 32, 64]}, cell=cell)
    >>> space.size, len(space.architecture_fingerprints)
    (2187, 783)
    """

    def __init__(
        self,
        choices: Mapping[str, Sequence[Any] | Mapping[str, Any] | Number] | None = None,
        name: str = "choices",
        conditions: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        cell: Cell | None = None,
        costs: Mapping[str, CostFunction | PerArchitecture | SumOfChoices] | None = None,
    ) -> None:
        if not isinstance(cell, Cell | None):
            raise InputError(f"the cell of a space must be a Cell or None, not {shown(cell)}")
        own = {} if choices is None and cell else choices
        if not isinstance(own, Mapping) or not (own or cell):
            raise InputError("a ChoiceSpace needs a mapping of at least one choice")
        if not isinstance(name, str) or not name.strip() or len(name.splitlines()) != 1:
            raise InputError(f"the name of a space must be a text of one line, not {shown(name)}")
        self.name, self.cell = name, cell
        of_cell = cell.choices if cell else {}
        self.variables = tuple(map(str, [*own, *of_cell]))
        _check_names(self.variables)
        self._values = tuple(map(ChoiceValues, self.variables, [*own.values(), *of_cell.values()]))
        self._of_cell = slice(len(own), None)
        #: The values of each decision, and how they are spelled.
        self.choices = tuple(one.values for one in self._values)
        self.texts = tuple(one.texts for one in self._values)
        names = "|".join(map(re.escape, self.variables))
        self._next_choice = re.compile(rf",\s*(?=(?:{names})\s*=)")
        for one in self._values:
            for text in filter(self._next_choice.search, one.texts):
                raise InputError(
                    f"the choice {text!r} of {one.name!r} reads like another choice; name it:"
                    f" {{{one.name!r}: {{'a name': the value, ...}}}}"
                )
        self.cardinalities = np.array([len(one) for one in self._values])
        self.ordered = np.array([one.is_ordered for one in self._values])
        self._conditions = Conditions(self._values, conditions or {})
        for variable, needed in self._conditions.description.items():
            for other in {variable, *needed} & set(of_cell):
                raise InputError(
                    f"the condition of {variable!r} involves {other!r} of the cell, where"
                    " isomorphic ones are the same"
                )

        self._costs: dict[str, CostFunction] = {
            cost: self._bind(cost, given)
            for cost, given in check_costs(costs, PerArchitecture, SumOfChoices).items()
        }

    def _bind(self, name: str, cost: CostFunction | PerArchitecture | SumOfChoices) -> CostFunction:
        """Return a cost as a function of genotypes."""
        if isinstance(cost, PerArchitecture):
            return RememberedCost(name, cost.function, self._decode_all)
        if isinstance(cost, SumOfChoices):
            prices = dict(self._prices(name, *each) for each in cost.prices.items())
            return SummedCost(prices, self._settled)
        check_cost(name, cost, self.canonicalize(np.zeros((2, self.n_variables), int)))
        return cost

    def _prices(
        self, cost: str, choice: str, given: Mapping[str, float]
    ) -> tuple[int, list[float]]:
        """Return the column of a choice, and the price of each of its values."""
        if choice not in self.variables:
            raise unknown(f"choice in the cost {cost!r}", choice, self.variables)
        column = self.variables.index(choice)
        texts = self.texts[column]
        if not isinstance(given, Mapping) or set(given) != set(texts):
            raise InputError(
                f"the cost {cost!r} has a price of each value of {choice!r}, {listed(texts)}, not"
                f" {shown(given)}"
            )
        return column, [
            _price(f"{choice} {text} of the cost {cost!r}", given[text]) for text in texts
        ]

    @property
    def size(self) -> int:
        """Exact number of different architectures."""
        return self._conditions.size

    def describe(self) -> dict[str, Any]:
        """Return name, size, all choices and conditions as plain JSON types."""
        choices = {one.name: list(one.texts) for one in self._values}
        conditions = self._conditions.description
        extra: dict[str, Any] = {"conditions": conditions} if conditions else {}
        if self.cell:
            extra["cell"] = self.cell.describe()
        if self._costs:
            extra["costs"] = self._checksums
        return super().describe() | {"choices": choices} | extra

    @property
    def value_names(self) -> list[list[str]]:
        """Texts of the values of each decision."""
        return list(map(list, self.texts))

    @property
    def shared_choices(self) -> list[npt.NDArray[np.int64]]:
        """Columns of decisions that have the same values, each two of them or more."""
        columns: dict[tuple[str, ...], list[int]] = {}
        for column, texts in enumerate(self.texts):
            columns.setdefault(tuple(texts), []).append(column)
        return [np.array(alike) for alike in columns.values() if len(alike) > 1]

    def costs(self) -> dict[str, CostFunction]:
        """Return the costs that were given."""
        return dict(self._costs)

    @cached_property
    def _checksums(self) -> dict[str, str]:
        """What tells costs from others of their names: their values for a few architectures."""
        rows = self.canonicalize(self.sample(16, np.random.default_rng(0)))
        values = {name: np.asarray(cost(rows)).tolist() for name, cost in self._costs.items()}
        return {name: checksum(list(map(str, found))) for name, found in values.items()}

    # -- values -------------------------------------------------------------------

    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return ``variable=value`` pairs of the choices that exist, joined by commas."""
        rows, active = self._settled(np.asarray(genotype)[None])
        pairs = zip(self.variables, self.texts, rows[0], active[0], strict=True)
        return ",".join(f"{name}={texts[index]}" for name, texts, index, exists in pairs if exists)

    def parse(self, text: str) -> Genotypes:
        """Read ``variable=value`` pairs in any order.

        Raises
        ------
        InputError
            When a variable is missing, unknown or repeated, or a value is not allowed.
        """
        pairs = [part.partition("=") for part in self._next_choice.split(text.strip())]
        values = {variable.strip(): value.strip() for variable, _, value in pairs}
        if len(values) < len(pairs):
            raise InputError(f"{text!r} names a choice twice")
        return self.encode(values)

    def encode(self, values: Mapping[str, Any]) -> Genotypes:
        """Return the genotype, shape (d,), of one value a variable.

        A choice that does not exist is left out, or is None, NaN or empty as in
        the cells of a table.

        Raises
        ------
        InputError
            When a variable is missing or unknown, a value is not allowed, or a
            choice that does not exist has one.
        """
        for variable in values:
            if variable not in self.variables:
                raise unknown(f"choice of the space {self.name!r}", variable, self.variables)
        genotype = np.zeros((1, self.n_variables), dtype=self.genotype_dtype)
        active = np.ones(genotype.shape, dtype=bool)
        missing = []
        for column in self._conditions.order:
            choice = self._values[column]
            active[:, column] = self._conditions.exists(column, genotype, active)
            if not active[0, column]:
                self._require_absent(choice, values.get(choice.name))
            elif choice.name not in values:
                missing.append(choice.name)
            else:
                index = choice.index(values[choice.name])
                if index is None:
                    raise choice.refuse(values[choice.name])
                genotype[0, column] = index
        if missing:
            raise InputError(f"no value for {', '.join(missing)} of the space {self.name!r}")
        return np.asarray(genotype[0])

    def decode(self, architecture: ArchitectureLike) -> dict[str, Any]:
        """Return the value of each variable of an architecture that exists.

        Raises
        ------
        InputError
            When the value is no architecture of this space.
        """
        return next(self._decode_all(self.genotypes([architecture])))

    def _decode_all(self, genotypes: npt.NDArray[np.integer]) -> Iterator[dict[str, Any]]:
        """Give what `decode` returns of each of many genotypes, shape (n, d)."""
        rows, active = self._settled(genotypes)
        for row, exist in zip(rows, active, strict=True):
            pairs = zip(self.variables, self.choices, row.tolist(), exist.tolist(), strict=True)
            yield {name: values[index] for name, values, index, exists in pairs if exists}

    def _settled(
        self, genotypes: npt.NDArray[np.integer]
    ) -> tuple[Genotypes, npt.NDArray[np.bool_]]:
        """Return the canonical forms of genotypes, and which choices exist; shapes (n, d)."""
        rows = self.canonicalize(genotypes)
        return rows, self._conditions.active(rows)

    def _require_absent(self, choice: ChoiceValues, value: Any) -> None:
        if choice.is_absent(value):
            return
        needed = self._conditions.description[choice.name]
        wanted = " and ".join(f"{name} is {' or '.join(texts)}" for name, texts in needed.items())
        raise InputError(f"{choice.name!r} has the value {value!r} but exists only where {wanted}")

    # -- identity, drawing and moving -----------------------------------------------

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Give the index 0 to the choices that do not exist, and their canonical form to cells."""
        rows = self._conditions.deactivate(np.asarray(genotypes))
        if self.cell:
            rows[:, self._of_cell] = self.cell.canonicalize(rows[:, self._of_cell])
        return rows

    @property
    def has_graphs(self) -> bool:
        """Whether there is a cell."""
        return self.cell is not None

    @property
    def outside_graphs(self) -> npt.NDArray[np.bool_]:
        """Which decisions are not of the cell, shape (d,)."""
        outside = np.ones(self.n_variables, dtype=bool)
        outside[self._of_cell] = False
        return outside

    def graphs(self, genotypes: npt.NDArray[np.integer]) -> GraphBatch:
        """Return the graphs of the cells; see `Cell.graphs`.

        Raises
        ------
        InputError
            When there is no cell.
        """
        if self.cell is None:
            return super().graphs(genotypes)
        return self.cell.graphs(self.canonicalize(genotypes)[:, self._of_cell])

    def enumerate(self) -> Genotypes:
        """Return every architecture once, canonical, shape (size, d), in lexicographic order.

        Raises
        ------
        InputError
            When the space is too large to list.
        """
        self._require_listable()
        return self._conditions.enumerate()

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw n architectures, each different one equally likely; shape (n, d)."""
        return self._conditions.sample(n, rng)

    def mutate(self, genotypes: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
        """Change one existing choice of each genotype; choices that this brings up are drawn."""
        rows = self.canonicalize(genotypes)
        active = self._conditions.active(rows)
        free = active & (self.cardinalities > 1)
        column = np.where(free, rng.random(rows.shape), -1.0).argmax(axis=1)
        shift = rng.integers(1, np.maximum(self.cardinalities[column], 2))
        line = np.arange(len(rows))
        rows[line, column] = (rows[line, column] + shift) % self.cardinalities[column]
        return self._conditions.settle(rows, active, rng)

    def crossover(
        self,
        first: npt.NDArray[np.integer],
        second: npt.NDArray[np.integer],
        rng: np.random.Generator,
    ) -> Genotypes:
        """Take each choice from either parent, from the one that has it where only one does."""
        one, other = self.canonicalize(first), self.canonicalize(second)
        in_one, in_other = self._conditions.active(one), self._conditions.active(other)
        take = np.where(in_one & in_other, rng.random(one.shape) < 0.5, in_one)
        return self._conditions.settle(np.where(take, one, other), in_one | in_other, rng)

    def neighbors(self, genotype: npt.NDArray[np.integer]) -> Genotypes:
        """Return the architectures with one other value; what this brings up has its first."""
        return super().neighbors(self.canonicalize(np.asarray(genotype)[None])[0])

    def all_neighbors(
        self, genotypes: npt.NDArray[np.integer]
    ) -> tuple[Genotypes, npt.NDArray[np.int64]]:
        """Return the neighbours of many genotypes, shape (n, d), and whose they are."""
        return self._all_changed(self.canonicalize(genotypes))

    def _genotype(self, value: Any) -> Any:
        return self.encode(value) if isinstance(value, Mapping) else super()._genotype(value)


def _price(name: str, price: float) -> float:
    check_number(name, price)
    return price  # a whole number stays one: Python adds them without rounding


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that the string form could not hold, and such that are there twice."""
    for name in names:
        if not name or name != name.strip() or any(mark in name for mark in ",=\n"):
            raise InputError(
                f"the name of a choice has no ',', '=' or line break and no blank at its ends:"
                f" {name!r}"
            )
    if len(set(names)) < len(names):
        raise InputError(f"a choice is named twice: {', '.join(names)}")
