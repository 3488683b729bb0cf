"""One architecture, as people handle it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.files import parse_json


@dataclass(frozen=True, slots=True)
class Architecture:
    """An architecture of a search space: an immutable, hashable value.

    Parameters
    ----------
    space : str
        Name of the search space.
    genotype : tuple of int
        One row of a genotype batch.
    id : str
        Canonical id: equal for architectures that are isomorphic.
    text : str
        The space's string form, e.g. ``|nor_conv_3x3~0|+|...|``.
    """

    space: str
    genotype: tuple[int, ...]
    id: str
    text: str

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return asdict(self) | {"genotype": list(self.genotype)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Architecture:
        """Rebuild an architecture from `to_dict`.

        Raises
        ------
        InputError
            When a field is missing or of the wrong kind.
        """
        try:
            genotype = tuple(fields["genotype"])
            texts = [fields[name] for name in ("space", "id", "text")]
        except KeyError as error:
            raise InputError(f"an architecture record lacks the field {error}") from error
        except TypeError as error:
            raise InputError(f"not the record of an architecture: {error}") from error
        if not all(type(value) is int and value >= 0 for value in genotype):
            raise InputError(f"a genotype has whole numbers from 0 on, not {list(genotype)}")
        if not all(isinstance(text, str) for text in texts):
            raise InputError(f"space, id and text of an architecture are text, not {texts}")
        space, canonical_id, text = texts
        return cls(space, genotype, canonical_id, text)

    def to_json(self) -> str:
        """Return the architecture as one line of JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, line: str) -> Architecture:
        """Rebuild an architecture from `to_json`.

        Raises
        ------
        InputError
            When the line is not the JSON of an architecture.
        """
        try:
            fields = parse_json(line)
        except ValueError as error:
            raise InputError(f"not the JSON of an architecture: {error}") from error
        return cls.from_dict(fields)


#: What stands for an architecture of a space: itself, its string form, or one genotype.
ArchitectureLike: TypeAlias = Architecture | str | Sequence[int] | npt.NDArray[np.integer]
