"""What is known of one training, kept as a file beside its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weaknas.errors import InputError
from weaknas.files import read_json


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
    """

    curve: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    status: str = "ok"
    stages: list[int] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)

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
