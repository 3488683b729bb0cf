"""A predictor with its options, kept in a file that searches accept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weaknas.errors import InputError
from weaknas.files import read_json, write_json
from weaknas.registry import get_predictor

FORMAT_VERSION = 1
#: What a file says, and of which types.
_FIELDS: Mapping[str, Any] = {
    "predictor": str,
    "options": dict,
    "encoder": str | None,
    "made": dict,
}


@dataclass(frozen=True)
class PredictorConfig:
    """A predictor by name, with its options.

    Parameters
    ----------
    predictor : str
    options : mapping
        Where they differ from the predictor's own.
    encoder : str, optional
        What it was made for; default: that of a search with the default settings.
    made : mapping
        How the options were found, for people.

    Examples
    --------
    >>> config = PredictorConfig("xgboost", {"max_depth": 3})
    >>> config.build()
    XGBoost(max_depth=3)
    """

    predictor: str
    options: Mapping[str, Any]
    encoder: str | None = None
    made: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Any:
        """Return the predictor, unfitted.

        Raises
        ------
        InputError
            When the predictor or an option is unknown.
        """
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in self.options.items()}
        return get_predictor(self.predictor, **options)

    def write(self, path: str | Path) -> None:
        """Write the file.

        Raises
        ------
        InputError
            When it cannot be written.
        """
        record = {
            "weaknas_predictor": FORMAT_VERSION,
            "predictor": self.predictor,
            "options": dict(self.options),
            "encoder": self.encoder,
            "made": dict(self.made),
        }
        try:
            write_json(Path(path), record)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from error

    @classmethod
    def read(cls, path: str | Path) -> PredictorConfig:
        """Read a file that `write` made.

        Raises
        ------
        InputError
            When there is none or it is another kind of file.
        """
        record = read_json(Path(path))
        if not isinstance(record, dict) or record.get("weaknas_predictor") != FORMAT_VERSION:
            raise InputError(
                f"{path} is no file of a predictor of format {FORMAT_VERSION}, as `weaknas tune`"
                " writes it"
            )
        fields: dict[str, Any] = {name: record.get(name) for name in _FIELDS}
        for name, kind in _FIELDS.items():
            if not isinstance(fields[name], kind):
                raise InputError(f"{path} is damaged: {name} is {fields[name]!r}")
        return cls(**fields)
