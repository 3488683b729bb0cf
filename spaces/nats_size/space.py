"""The size search space of NATS-Bench (Dong et al., TPAMI 2021, arXiv:2009.00437)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, shown, unknown
from weaknas.spaces.choices.space import ChoiceSpace
from weaknas.spaces.rows import Genotypes

CHANNELS = tuple(range(8, 65, 8))
STAGES = 5


class NATSSize(ChoiceSpace):
    """The numbers of channels, 8 to 64 in steps of 8, of five stages: 8^5 = 32,768 networks."""

    def __init__(self) -> None:
        super().__init__(
            {f"stage{stage}": CHANNELS for stage in range(1, STAGES + 1)}, name="nats-size"
        )

    @property
    def value_names(self) -> list[list[str]]:
        """Channels of each stage."""
        return [list(map(str, CHANNELS)) for _ in self.variables]

    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return the official string of one genotype, e.g. ``8:16:24:32:64``."""
        return ":".join(str(CHANNELS[index]) for index in genotype)

    def parse(self, text: str) -> Genotypes:
        """Read the official string.

        Raises
        ------
        InputError
            When there are not five numbers, or one is not allowed.
        """
        numbers = text.strip().split(":")
        if len(numbers) != STAGES:
            raise InputError(f"malformed architecture {shown(text)}; the form is 8:16:24:32:64")
        for number in numbers:
            if number not in map(str, CHANNELS):
                raise unknown("number of channels", number, CHANNELS)
        return np.array([CHANNELS.index(int(number)) for number in numbers], dtype=np.int16)
