"""What is known of one training, done or under way, kept as files beside its checkpoint."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from weaknas.errors import InputError
from weaknas.files import read_json, write_json

#: The folder of trainings in that of a run.
TRAININGS = "trainings"
_ONGOING = ".ongoing"  # ends the name of the file of a training under way
_PAUSE = 0.5  # seconds between two files while epochs are quick


@dataclass(frozen=True)
class Ongoing:
    """A training under way, in a file for those who watch; no run reads it.

    Parameters
    ----------
    architecture : str
    epochs : int
        That there will be.
    curve : list of float
        What was measured after each epoch so far.
    """

    architecture: str
    epochs: int
    curve: list[float]

    @classmethod
    def read(cls, folder: Path) -> list[Self]:
        """Read those in a folder of trainings, the oldest first; what is damaged is left out."""
        found = []
        for path in sorted(folder.glob(f"*{_ONGOING}"), key=_age):
            try:
                ongoing = cls(**read_json(path))
                float(sum(ongoing.curve)), int(ongoing.epochs), ongoing.architecture.strip()
                found.append(ongoing)
            except (InputError, AttributeError, TypeError, ValueError):
                continue
        return found


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # the training has ended
        return 0.0


class OngoingFile:
    """Writes the file of a training under way after its epochs, and removes it at the end.

    Parameters
    ----------
    record : Path
        Of the training, as JSON.
    architecture : str
    epochs : int
    """

    def __init__(self, record: Path, architecture: str, epochs: int) -> None:
        self._path = record.with_suffix(_ONGOING)
        self._architecture, self._epochs = architecture, epochs
        self._written = time.monotonic()

    def write(self, curve: list[float]) -> None:
        """Write what there is, unless it was done a moment ago."""
        if time.monotonic() - self._written >= _PAUSE:
            write_json(self._path, vars(Ongoing(self._architecture, self._epochs, curve)))
            self._written = time.monotonic()

    def remove(self) -> None:
        """Remove the file, also one that a killed process left."""
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Outcome:
    """What is known of one training.

    Parameters
    ----------
    curve, losses, seconds : list of float
        An epoch each.
    status : str
    stages : list of int
        Epochs after which an evaluation ended: what was paid by which.
    metrics : dict of str to float
        Of the network, whatever the epoch.
    stop : str
        Who stopped it, where somebody did.
    """

    curve: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    status: str = "ok"
    stages: list[int] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    stop: str = ""

    @classmethod
    def read(cls, path: Path) -> Outcome:
        """Read what was written of this training; nothing where there is no such file.

        Raises
        ------
        InputError
            When it is damaged.
        """
        if not path.exists():
            return cls()
        record = read_json(path)
        try:
            outcome = cls(**{key: value for key, value in record.items() if key != "identity"})
            epochs = {len(values) for values in (outcome.curve, outcome.losses, outcome.seconds)}
            numbers = [*outcome.curve, *outcome.losses, *outcome.seconds, *outcome.stages]
            numbers += outcome.metrics.values()
            if (outcome.status == "ok" and len(epochs) > 1) or not all(
                type(value) in {int, float} for value in numbers
            ):
                raise ValueError("its numbers are not those of a training")
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged ({error}); remove it") from error
        return outcome

    def to_dict(self) -> dict[str, Any]:
        """Return the plain fields."""
        return dict(vars(self))

    def is_done(self, epochs: int) -> bool:
        """Whether nothing is left to train of so many epochs."""
        return len(self.seconds) >= epochs or self.status != "ok"

    def cost(self, epochs: int) -> float:
        """Return the seconds since the last evaluation that ended earlier."""
        end = min(epochs, len(self.seconds))
        begin = max((stage for stage in self.stages if stage < end), default=0)
        return float(sum(self.seconds[begin:end]))

    @property
    def message(self) -> str:
        """One line on a failure."""
        return f"the training {self.status} in epoch {len(self.seconds)}: its loss is no number"
