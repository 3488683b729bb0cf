"""The size search space of NATS-Bench (Dong et al., TPAMI 2021, arXiv:2009.00437)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, unknown
from weaknas.spaces._base import Genotypes
from weaknas.spaces.choices.space import ChoiceSpace

CHANNELS = tuple(range(8, 65, 8))
STAGES = 5


class NATSSize(ChoiceSpace):
    """The numbers of channels, 8 to 64 in steps of 8, of five stages: 8^5 = 32,768 networks."""

    def __init__(self) -> None:
        super().__init__(
            {f"stage{stage}": CHANNELS for stage in range(1, STAGES + 1)}, name="nats-size"
        )

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
        parts = text.strip().split(":")
        if len(parts) != STAGES:
            raise InputError(f"malformed architecture {text!r}; the form is 8:16:24:32:64")
        for part in parts:
            if part not in map(str, CHANNELS):
                raise unknown("number of channels", part, CHANNELS)
        return np.array([CHANNELS.index(int(part)) for part in parts], dtype=np.int16)
