"""Spaces that are a list of named choices: a user's own, chains, channel sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, unknown
from weaknas.spaces._base import Genotypes, SearchSpace
from weaknas.spaces.architecture import Architecture


class ChoiceSpace(SearchSpace):
    """Every combination of named choices.

    Parameters
    ----------
    choices : mapping of str to sequence
        The values that each decision may take. Where all values of a decision
        are numbers in increasing order, encoders treat them as ordered.
    name : str
        How the space is called in records.

    Raises
    ------
    InputError
        When a decision has no value, repeats one, or a name or value contains
        one of the characters ``,`` and ``=`` that its string form needs.

    Examples
    --------
    >>> space = ChoiceSpace({"layer1": ["skip", "conv3"], "width": [16, 32, 64]})
    >>> space.size
    6
    >>> space.decode(space.architecture("layer1=conv3,width=64"))
    {'layer1': 'conv3', 'width': 64}
    """

    def __init__(self, choices: Mapping[str, Sequence[Any]], name: str = "choices") -> None:
        if not choices:
            raise InputError("a ChoiceSpace needs at least one choice")
        self.name = name
        self.variables = tuple(str(variable) for variable in choices)
        self.choices = tuple(tuple(values) for values in choices.values())
        self._texts = [[str(value) for value in values] for values in self.choices]
        for variable, texts in zip(self.variables, self._texts, strict=True):
            if not texts or len(set(texts)) < len(texts):
                raise InputError(f"the choices of {variable!r} are empty or repeat: {texts}")
            if any(mark in text for text in (variable, *texts) for mark in ",="):
                raise InputError(f"',' and '=' may not stand in {variable!r} or its values {texts}")
        self.cardinalities = np.array([len(values) for values in self.choices])
        self.ordered = np.array([_is_increasing(values) for values in self.choices])

    def describe(self) -> dict[str, Any]:
        """Return name, size and all choices as plain JSON types."""
        return super().describe() | {"choices": dict(zip(self.variables, self._texts, strict=True))}

    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return ``variable=value`` pairs, joined by commas."""
        pairs = zip(self.variables, self._texts, genotype, strict=True)
        return ",".join(f"{variable}={texts[index]}" for variable, texts, index in pairs)

    def parse(self, text: str) -> Genotypes:
        """Read ``variable=value`` pairs in any order.

        Raises
        ------
        InputError
            When a variable is missing, unknown or repeated, or a value is not allowed.
        """
        pairs = [part.partition("=") for part in text.strip().split(",")]
        values = {variable.strip(): value.strip() for variable, _, value in pairs}
        if len(values) < len(pairs):
            raise InputError(f"{text!r} names a choice twice")
        return self.encode(values)

    def encode(self, values: Mapping[str, Any]) -> Genotypes:
        """Return the genotype, shape (d,), of one value a variable.

        Raises
        ------
        InputError
            When a variable is missing or unknown, or a value is not allowed.
        """
        for variable in values:
            if variable not in self.variables:
                raise unknown(f"choice of the space {self.name!r}", variable, self.variables)
        missing = [variable for variable in self.variables if variable not in values]
        if missing:
            raise InputError(f"no value for {', '.join(missing)} of the space {self.name!r}")
        genotype = []
        for variable, texts in zip(self.variables, self._texts, strict=True):
            if str(values[variable]) not in texts:
                raise unknown(f"value of {variable!r}", values[variable], texts)
            genotype.append(texts.index(str(values[variable])))
        return np.array(genotype, dtype=np.int16)

    def decode(
        self, architecture: Architecture | Sequence[int] | npt.NDArray[np.integer]
    ) -> dict[str, Any]:
        """Return the value of each variable of one architecture or genotype."""
        genotype = architecture.genotype if isinstance(architecture, Architecture) else architecture
        rows = zip(self.variables, self.choices, genotype, strict=True)
        return {variable: values[int(index)] for variable, values, index in rows}

    def _genotype(self, value: Any) -> Any:
        return self.encode(value) if isinstance(value, Mapping) else super()._genotype(value)


def _is_increasing(values: Sequence[Any]) -> bool:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return numbers and len(values) > 2 and all(a < b for a, b in zip(values, values[1:], strict=False))
