"""Between Optuna's parameters and search spaces of genotypes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from weaknas.encoders import Encoder, ValueCountsEncoder
from weaknas.encoders.columns import choice_columns, most_columns
from weaknas.encoders.value_counts import counted_lists
from weaknas.errors import InputError
from weaknas.spaces import Architecture, ChoiceSpace, Genotypes, SearchSpace
from weaknas.spaces.limits.part import PartOfSpace

#: Values that a number without step, or with more values, is rounded to.
GRID = 1001


class Parameters:
    """A search space whose decisions are parameters of an Optuna study.

    Parameters
    ----------
    space : SearchSpace
    distributions : mapping
        Of the parameter of each decision, in the order of ``space.variables``.
    """

    def __init__(self, space: SearchSpace, distributions: Mapping[str, BaseDistribution]) -> None:
        self.space = space
        self.distributions = dict(distributions)
        self._levels = [levels(item) for item in self.distributions.values()]

    def genotype(self, params: Mapping[str, Any]) -> Genotypes | None:
        """Return the genotype, shape (d,), of values by name; numbers go to the nearest level.

        None where values are missing or not in the space. Other names are ignored.
        """
        row = np.zeros(len(self._levels), dtype=self.space.genotype_dtype)
        missing = []
        for column, (name, distribution) in enumerate(self.distributions.items()):
            if name in params:
                index = _index(distribution, self._levels[column], params[name])
                if index is None:
                    return None
                row[column] = index
            else:
                missing.append(column)
        if not self.space.contains(row[None])[0] or (missing and self._exist(row, missing)):
            return None
        return np.asarray(self.space.canonicalize(row[None])[0])

    def params(self, genotype: npt.NDArray[np.integer]) -> dict[str, Any]:
        """Return the values by name of one genotype, shape (d,)."""
        pairs = zip(self.distributions, self._levels, genotype.tolist(), strict=True)
        return {name: values[index] for name, values, index in pairs}

    def existing(self, architecture: Architecture) -> dict[str, Any]:
        """Return the values by name of the decisions that exist in an architecture."""
        params = self.params(np.array(architecture.genotype))
        whole = _whole(self.space)
        if not isinstance(whole, ChoiceSpace):
            return params
        there = whole.decode(architecture)
        pairs = zip(whole.variables, params.items(), strict=True)
        return {name: value for variable, (name, value) in pairs if variable in there}

    def _exist(self, row: Genotypes, columns: Sequence[int]) -> bool:
        """Whether one of the decisions exists in this architecture; some depend on others."""
        whole = _whole(self.space)
        if not isinstance(whole, ChoiceSpace):
            return True
        there = whole.decode(row)
        return any(whole.variables[column] in there for column in columns)


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Return the Optuna parameters of a search space, by the names of its variables.

    A decision is a categorical parameter of its choices where these have names or
    values (``space.choices``; their texts where Optuna could not store them), else of
    their indices; an integer index where the choices are ordered and have no values.

    Examples
    --------
    >>> import weaknas
    >>> distributions(weaknas.ChoiceSpace({"op": ["skip", "conv"]}))
    {'op': CategoricalDistribution(choices=('skip', 'conv'))}
    """
    choices = _categories(_whole(space))
    made: dict[str, BaseDistribution] = {}
    for column, name in enumerate(space.variables):
        count = int(space.cardinalities[column])
        if choices is not None:
            made[name] = CategoricalDistribution(choices[column])
        elif space.ordered[column]:
            made[name] = IntDistribution(0, count - 1)
        else:
            made[name] = CategoricalDistribution(tuple(range(count)))
    return made


def _categories(space: SearchSpace) -> list[tuple[Any, ...]] | None:
    """Return the choices of each decision as Optuna stores them; None where they have no values."""
    if not isinstance(space, ChoiceSpace):
        return getattr(space, "choices", None)
    return [
        values if all(isinstance(v, str | bool | int | float | None) for v in values) else texts
        for values, texts in zip(space.choices, space.texts, strict=True)
    ]


def suggest(trial: BaseTrial, space: SearchSpace) -> Architecture:
    """Suggest all decisions of a space in a trial, by any sampler.

    Parameters
    ----------
    trial : optuna.Trial
    space : SearchSpace

    Returns
    -------
    Architecture

    Raises
    ------
    InputError
        When a sampler that does not know the space drew what is not in it.
    """
    parameters = Parameters(space, distributions(space))
    for name, distribution in parameters.distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            trial.suggest_categorical(name, distribution.choices)
        elif isinstance(distribution, IntDistribution):
            trial.suggest_int(name, distribution.low, distribution.high)
    genotype = parameters.genotype(trial.params)
    if genotype is None:
        raise InputError(f"{trial.params} is not in the space {space.name!r}")
    return space.architectures(genotype[None])[0]


class ParameterSpace(ChoiceSpace):
    """The combinations of any parameters.

    Categories are choices without order. A number is one of its values, in order,
    where it has at most `GRID` of them, else one of `GRID` values at equal
    distances, on a logarithmic scale where the distribution has one.

    Parameters
    ----------
    distributions : mapping of str to optuna.distributions.BaseDistribution

    Attributes
    ----------
    positions : list of ndarray
        Where the values of each parameter stand in its range, from 0 to 1, on its
        scale; categories, their number.
    has_numbers : bool
        Whether a parameter has ordered values.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        choices: dict[str, Sequence[Any]] = {}
        self.positions: list[npt.NDArray[np.float64]] = []
        for number, distribution in enumerate(distributions.values()):
            values = levels(distribution)
            if isinstance(distribution, CategoricalDistribution):
                # by number: names and categories may hold any character
                choices[f"p{number}"] = [f"c{index}" for index in range(len(values))]
            else:
                choices[f"p{number}"] = values
            self.positions.append(_positions(distribution, values))
        super().__init__(choices, name="parameters")
        self.has_numbers = bool(self.ordered.any())
        self._same: dict[BaseDistribution, list[int]] = {}
        for number, distribution in enumerate(distributions.values()):
            if isinstance(distribution, CategoricalDistribution):
                self._same.setdefault(distribution, []).append(number)

    @property
    def shared_choices(self) -> list[npt.NDArray[np.int64]]:
        """Columns of categorical parameters that have the same choices, two or more each."""
        return [np.array(columns) for columns in self._same.values() if len(columns) > 1]

    def mutate(self, genotypes: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
        """Change one decision; a number, every other time, to a value that is near."""
        rows = np.asarray(genotypes, dtype=self.genotype_dtype)
        shift = super().mutate(rows, rng) - rows
        # part of the way to a value drawn uniformly: all scales down to one step
        part = np.ceil(np.abs(shift) * 10.0 ** -rng.uniform(0, 3, size=shift.shape))
        near = self.ordered & (rng.random(len(rows)) < 0.5)[:, None]
        moved: Genotypes = np.where(near, rows + np.sign(shift) * part, rows + shift)
        return moved.astype(self.genotype_dtype)


class ParameterEncoder(Encoder):
    """A block a parameter, one of all together, and one of counts where choices are shared.

    Numbers are their position in the range of the parameter, from 0 to 1, on a
    logarithmic scale where the distribution has one; categories are one-hot.
    Categorical parameters with the same choices, such as the operations on the
    edges of a cell, are likely to be of one kind: how often each choice occurs
    among them is a block as well.
    """

    space: ParameterSpace

    def _encode(self, canonical: Genotypes) -> npt.NDArray[np.float32]:
        most = most_columns(self.space.cardinalities)
        columns = [
            position[column][:, None]
            if ordered
            else choice_columns(len(position), False, most)[column]
            for column, position, ordered in zip(
                canonical.T, self.space.positions, self.space.ordered, strict=True
            )
        ]
        counts = [ValueCountsEncoder(self.space).transform(canonical)] if self._counted else []
        return np.hstack([*columns, *columns, *counts]).astype(np.float32)

    @property
    def _counted(self) -> list[npt.NDArray[np.int64]]:
        return counted_lists(self.space)

    @property
    def groups(self) -> list[slice]:
        """One block a parameter, one of all, one of counts for each set of equal choices."""
        counts = self.space.cardinalities
        each = np.where(self.space.ordered, 1, np.minimum(counts, most_columns(counts))).tolist()
        shared = [counts[alike[0]] for alike in self._counted]
        return [
            slice(start, stop)
            for start, stop in pairwise(accumulate([*each, sum(each), *shared], initial=0))
        ]


def _whole(space: SearchSpace) -> SearchSpace:
    """Return the space that a space is a part of."""
    return space.whole if isinstance(space, PartOfSpace) else space


def levels(distribution: BaseDistribution) -> list[Any]:
    """Return the values of a parameter that are told apart, numbers in ascending order.

    Raises
    ------
    InputError
        When the distribution is of a kind that is not known.
    """
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if not isinstance(distribution, IntDistribution | FloatDistribution):
        raise InputError(
            f"parameters are categorical, integer or float, not {type(distribution).__name__}"
        )
    low, high, step = distribution.low, distribution.high, distribution.step
    whole = isinstance(distribution, IntDistribution)
    if step is not None:
        count = round((high - low) / step) + 1
        if count > GRID:
            grid = np.linspace(0, 1, GRID)
            values = low * (high / low) ** grid if distribution.log else low + grid * (high - low)
            indices = np.unique(np.rint((values - low) / step)).astype(np.int64)
        else:
            indices = np.arange(count)
        # the sum may exceed the end by a rounding error
        return [
            low + index * step if whole else min(low + index * step, high)
            for index in indices.tolist()
        ]
    if low == high:
        return [float(low)]
    grid = np.linspace(0, 1, GRID)
    values = low * (high / low) ** grid if distribution.log else low + grid * (high - low)
    values[[0, -1]] = low, high
    return list(np.unique(values).tolist())


def _positions(distribution: BaseDistribution, values: Sequence[Any]) -> npt.NDArray[np.float64]:
    """Return where values stand in their range, from 0 to 1; categories, their number."""
    if isinstance(distribution, CategoricalDistribution):
        return np.arange(len(values), dtype=np.float64)
    numbers = np.array(values, dtype=np.float64)
    numbers = np.log(numbers) if getattr(distribution, "log", False) else numbers
    spread = numbers[-1] - numbers[0]
    return np.asarray((numbers - numbers[0]) / (spread if spread > 0 else 1.0))


def _index(distribution: BaseDistribution, values: Sequence[Any], value: Any) -> int | None:
    """Return the level of a value: that of the category, or the nearest number; None without one.

    A study may hold the text of a category, which is all that a journal knows of it.
    """
    if isinstance(distribution, CategoricalDistribution):
        try:
            return int(distribution.to_internal_repr(value))
        except ValueError:
            texts = list(map(str, values))
            return texts.index(str(value)) if str(value) in texts else None
    if not isinstance(value, Real):
        return None
    return int(np.argmin(np.abs(np.asarray(values) - value)))
