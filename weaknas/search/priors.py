"""What people believe of architectures, as weights of an acquisition that fade."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from weaknas.components import HasName
from weaknas.errors import InputError, check_number, shown, unknown
from weaknas.files import plain, read_json, read_toml
from weaknas.registry import is_own, load_own
from weaknas.search.acquisition import Acquisition
from weaknas.search.belief import Belief, Floats
from weaknas.spaces import Architecture, Genotypes, SearchSpace

#: beta. With a smaller one a right prior saves less, with a larger one a wrong prior costs more.
_CONFIDENCE = 3.0
_DRAWN = 200  # for each architecture that is drawn by its weight
_FILES = {".toml": read_toml, ".json": read_json}
_FORMS = (
    "weights by decision and value, {'1<-0': {'nor_conv_3x3': 3.0}}, such a .toml or .json file,"
    " or a function of an architecture"
)


class Prior(ABC):
    """A weight of each architecture: how much likelier than others it is thought to be the best."""

    @abstractmethod
    def logarithms(self, genotypes: npt.NDArray[np.integer]) -> Floats:
        """Return the logarithm of the weight of each genotype, shape (n, d); shape (n,)."""

    @abstractmethod
    def describe(self) -> Any:
        """Return what the weights are, as plain JSON types."""

    def draw(self, genotypes: Genotypes, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw n of the genotypes, shape (m, d), without replacement, in proportion to weights.

        The largest of logarithms with Gumbel noise (Kool et al., ICML 2019, sec. 2.3).
        """
        keys = self.logarithms(genotypes) + rng.gumbel(size=len(genotypes))
        return genotypes[np.argsort(-keys, kind="stable")[:n]]

    def sample(self, space: SearchSpace, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw about n architectures of a space in proportion to their weights."""
        return self.draw(space.canonicalize(space.sample(_DRAWN * n, rng)), n, rng)


class DecisionPrior(Prior):
    """Weights of the values of decisions, which multiply.

    Parameters
    ----------
    weights : mapping of str to mapping of str to float
        By decision and value; what is not there has weight 1.
    space : SearchSpace
        Decisions are its `variables`, values its `value_names`.

    Raises
    ------
    InputError
        When a decision or value is unknown, or a weight is not above 0.
    """

    def __init__(self, weights: Mapping[Any, Any], space: SearchSpace) -> None:
        self._weights = weights
        self._tables = [np.zeros(count) for count in space.cardinalities.tolist()]
        columns = {name: column for column, name in enumerate(space.variables)}
        for decision, values in weights.items():
            if decision not in columns:
                raise unknown("decision of the prior", decision, columns)
            if not isinstance(values, Mapping):
                raise InputError(
                    f"the prior of {decision!r} must be weights by value, not {shown(values)}"
                )
            column = columns[decision]
            names = space.value_names[column]
            for value, weight in values.items():
                if str(value) not in names:
                    raise unknown(f"value of {decision!r} in the prior:", value, names)
                checked = check_number(f"the weight of {decision}={value}", weight, above=0)
                self._tables[column][names.index(str(value))] = np.log(checked)
        # None is above 1: products of the weights of many decisions do not overflow.
        self._tables = [table - table.max() for table in self._tables]

    def logarithms(self, genotypes: npt.NDArray[np.integer]) -> Floats:
        """Return the sums of the logarithms over the decisions."""
        sums = np.zeros(len(genotypes))
        for column, table in enumerate(self._tables):
            if table.any():
                sums += table[genotypes[:, column]]
        return sums

    def describe(self) -> Any:
        """Return the weights that were given."""
        return plain({str(name): dict(values) for name, values in self._weights.items()}, str)


class FunctionPrior(Prior):
    """Weights by a function.

    Parameters
    ----------
    weigh : callable
        From an `Architecture` to a number above 0; called once for each.
    space : SearchSpace
    """

    def __init__(self, weigh: Callable[[Architecture], float], space: SearchSpace) -> None:
        self._weigh, self._space = weigh, space
        self._known: dict[int, float] = {}

    def logarithms(self, genotypes: npt.NDArray[np.integer]) -> Floats:
        """Return the logarithms of what the function says.

        Raises
        ------
        InputError
            When that is no number above 0, or the function fails.
        """
        codes = self._space.fingerprint(genotypes).tolist()
        new = [place for place, code in enumerate(codes) if code not in self._known]
        for place, architecture in zip(
            new, self._space.architectures(genotypes[new]) if new else (), strict=True
        ):
            name = f"the prior of {architecture.text}"
            weight = check_number(name, self._weight(architecture), above=0)
            self._known[codes[place]] = float(np.log(weight))
        return np.array([self._known[code] for code in codes])

    def _weight(self, architecture: Architecture) -> object:
        try:
            return self._weigh(architecture)
        except Exception as error:
            reason = " ".join(shown(error, str).split())
            raise InputError(
                f"the prior {_name_of(self._weigh)!r} failed for {architecture.text}:"
                f" {type(error).__name__}: {reason}"
            ) from error

    def describe(self) -> Any:
        """Return the name of the function."""
        return plain(self._weigh, _name_of)


@runtime_checkable
class Weighable(Protocol):
    """An acquisition that can be multiplied: one whose zero means not wanted at all."""

    def weigh(self, values: Floats, logarithms: Floats) -> Floats:
        """Return values, shape (n,), times weights, of which the logarithms are given."""


class PriorAcquisition(Acquisition):
    """An acquisition times ``prior^(beta / n)`` (Hvarfner et al., piBO, ICLR 2022, eq. 6).

    n is the number of architectures with a label, so that what people believe decides at
    first, and what was measured later: a wrong prior delays the search, no more.

    Parameters
    ----------
    inner : Acquisition
    prior : Prior

    Raises
    ------
    InputError
        When the acquisition cannot be multiplied.
    """

    def __init__(self, inner: Acquisition, prior: Prior) -> None:
        if not isinstance(inner, Weighable):
            raise InputError(
                "a prior multiplies an expected improvement; it has no meaning with the"
                f" acquisition {type(inner).__name__}"
            )
        self._inner, self._weigh, self._prior = inner, inner.weigh, prior
        self.spreads = inner.spreads

    def openers(self) -> Genotypes | None:
        """Return what the acquisition wants to be evaluated before all else."""
        return self._inner.openers()

    def values(self, belief: Belief) -> Floats:
        """Return the product, in the form of the acquisition."""
        fading = _CONFIDENCE / len(belief.evaluated.mean)
        weights = fading * self._prior.logarithms(belief.genotypes)
        return self._weigh(self._inner.values(belief), weights)

    def describe(self) -> dict[str, Any]:
        """Return name and parameters of the acquisition alone."""
        return self._inner.describe()


def read_prior(value: Any, space: SearchSpace) -> Prior:
    """Return a prior of a space.

    Parameters
    ----------
    value : mapping, callable, str or Path
        Weights by decision and value; a TOML or JSON file of them; a function of an
        architecture, or its name, ``module:function``.
    space : SearchSpace

    Raises
    ------
    InputError
        When it is none of these, a name is unknown or a weight is not above 0.
    """
    if isinstance(value, str | Path):
        value = _read_text(str(value))
    if isinstance(value, Mapping):
        return DecisionPrior(value, space)
    if callable(value):
        return FunctionPrior(value, space)
    raise InputError(f"a prior is {_FORMS}; not {shown(value)}")


def _name_of(value: Any) -> str:
    return value.__qualname__ if isinstance(value, HasName) else type(value).__name__


def _read_text(text: str) -> Any:
    read = _FILES.get(Path(text).suffix)
    if read is not None:
        return read(Path(text))
    if is_own(text):
        return load_own(text)
    raise InputError(f"a prior is {_FORMS}; not {text!r}")
