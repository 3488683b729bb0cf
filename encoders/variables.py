"""The decisions side by side, each a block of its own."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.encoders._base import Encoder, Features
from weaknas.encoders._columns import choice_columns, most_columns
from weaknas.spaces import Genotypes


class VariablesEncoder(Encoder):
    """A block a decision: its rank in [0, 1] where choices are ordered, else one-hot columns.

    With a block each, a predictor can learn how much every decision matters. Many
    choices without an order have a fixed random direction each, see `OneHotEncoder`.
    """

    def _encode(self, canonical: Genotypes) -> Features:
        blocks: list[npt.NDArray[Any]] = []
        most = most_columns(self.space.cardinalities)
        for column, count, ordered in self._decisions(canonical):
            if ordered:
                blocks.append(column[:, None] / max(count - 1, 1))
            else:
                blocks.append(choice_columns(int(count), False, most)[column])
        return np.hstack(blocks).astype(np.float32)

    def _decisions(self, canonical: Genotypes) -> Any:
        return zip(canonical.T, self.space.cardinalities, self.space.ordered, strict=True)

    @property
    def groups(self) -> list[slice]:
        """One block a decision."""
        counts = self.space.cardinalities
        widths = np.where(self.space.ordered, 1, np.minimum(counts, most_columns(counts)))
        return [slice(a, b) for a, b in pairwise(accumulate(widths.tolist(), initial=0))]
