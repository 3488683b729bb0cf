"""A predictor with its options, kept in a file that searches accept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weaknas.errors import InputError
from weaknas.files import write_json
from weaknas.registry import get_predictor

FORMAT_VERSION = 1


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
        try:
            record = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:
            raise InputError(f"{path} is no JSON file: {error}") from error
        if not isinstance(record, dict) or record.get("weaknas_predictor") != FORMAT_VERSION:
            raise InputError(
                f"{path} is no file of a predictor of format {FORMAT_VERSION}, as `weaknas tune`"
                " writes it"
            )
        try:
            return cls(
                str(record["predictor"]),
                dict(record["options"]),
                record.get("encoder"),
                dict(record.get("made", {})),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged: {error!r}") from error
