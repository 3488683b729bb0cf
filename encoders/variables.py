"""The decisions side by side, each a block of its own."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.encoders._base import Encoder, Features


class VariablesEncoder(Encoder):
    """A block a decision: its rank in [0, 1] where choices are ordered, else one-hot columns.

    With a block each, a predictor can learn how much every decision matters.
    """

    def _encode(self, canonical: npt.NDArray[np.int16]) -> Features:
        blocks: list[npt.NDArray[Any]] = []
        for column, count, ordered in self._decisions(canonical):
            if ordered:
                blocks.append(column[:, None] / max(count - 1, 1))
            else:
                blocks.append(column[:, None] == np.arange(count))
        return np.hstack(blocks).astype(np.float32)

    def _decisions(self, canonical: npt.NDArray[np.int16]) -> Any:
        return zip(canonical.T, self.space.cardinalities, self.space.ordered, strict=True)

    @property
    def groups(self) -> list[slice]:
        """One block a decision."""
        widths = np.where(self.space.ordered, 1, self.space.cardinalities).tolist()
        return [slice(a, b) for a, b in pairwise(accumulate(widths, initial=0))]
