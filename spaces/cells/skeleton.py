"""What surrounds the cells of a network: settings that all cell spaces share.

Needs no torch: the formulas of the costs read the same settings as the modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any, Self

from weaknas.errors import InputError, unknown


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """The task of a network; a space adds its own settings as further fields.

    Parameters
    ----------
    classes : int
        Size of the classifier.
    shape : tuple of int
        Channels, height and width of an image.

    Raises
    ------
    InputError
        When a size is not a positive whole number.
    """

    classes: int = 10
    shape: tuple[int, ...] = (3, 32, 32)

    def __post_init__(self) -> None:
        self._check_shape()
        for field in fields(self):
            value = vars(self)[field.name]
            if str(field.type).startswith("int") and not is_positive(value):
                raise InputError(f"{field.name} is {value!r}, not a positive whole number")

    def _check_shape(self) -> None:
        if not (
            isinstance(self.shape, tuple | list)
            and len(self.shape) == 3
            and all(is_positive(size) for size in self.shape)
        ):
            raise InputError(
                f"the shape {self.shape!r} is not (channels, height, width), three positive"
                " whole numbers"
            )

    @classmethod
    def read(
        cls, classes: int | None, shape: tuple[int, ...] | None, options: Mapping[str, Any]
    ) -> Self:
        """Build the settings from the task, by default that of the space, and its own options.

        Raises
        ------
        InputError
            When an option is unknown or a value cannot be used; the message has the
            closest match.
        """
        allowed = sorted({field.name for field in fields(cls)} - {"classes", "shape"})
        for name in options:
            if name not in allowed:
                raise unknown("setting of the skeleton", name, allowed)
        task: dict[str, Any] = {"classes": classes, "shape": shape}
        return cls(**{name: size for name, size in task.items() if size is not None}, **options)


def is_positive(value: object) -> bool:
    """Tell whether a value is a positive whole number."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0


def halved(shape: tuple[int, ...], times: int = 1) -> tuple[int, ...]:
    """Return height and width after so many layers of stride 2, each rounding up."""
    return tuple(-(-size // 2**times) for size in shape[-2:])
