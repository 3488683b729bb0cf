"""One block of columns a decision, or a value of decisions that are alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.encoders._base import Encoder, Features
from weaknas.encoders.columns import choice_columns, most_columns
from weaknas.spaces import Genotypes


class VariablesEncoder(Encoder):
    """Blocks of columns that a kernel can have a length scale of each for.

    A decision between ordered values is a block of one column, the rank of its value in
    [0, 1]; one without an order is a block of one column a choice. Decisions without an order
    that share their choices are alike before anything is known of them: where they are no
    fewer than the choices, each choice is a block, with a column a decision, so that what is
    learnt of an operation in one place counts in all. Many choices without an order
    have a fixed random direction each, see `OneHotEncoder`.
    """

    def _encode(self, canonical: Genotypes) -> Features:
        return np.hstack(list(self._blocks(canonical))).astype(np.float32)

    def _blocks(self, canonical: Genotypes) -> Iterator[npt.NDArray[np.floating[Any]]]:
        counts, most = self.space.cardinalities, most_columns(self.space.cardinalities)
        alike = self._alike
        alone = np.ones(len(counts), dtype=bool)
        for columns in alike:
            alone[columns] = False
        for column in np.flatnonzero(alone):
            count, values = int(counts[column]), canonical[:, column]
            if self.space.ordered[column]:
                yield values[:, None] / max(count - 1, 1)
            else:
                yield choice_columns(count, False, most)[values]
        for columns in alike:
            for value in range(int(counts[columns[0]])):
                yield (canonical[:, columns] == value).astype(np.float32)

    @property
    def _alike(self) -> list[npt.NDArray[np.int64]]:
        """Decisions without an order, which a block a choice of them stands for."""
        counts, ordered = self.space.cardinalities, self.space.ordered
        return [
            columns
            for columns in self.space.shared_choices
            if not ordered[columns].any() and counts[columns[0]] <= len(columns)
        ]

    @property
    def groups(self) -> list[slice]:
        """The blocks."""
        one = np.zeros((1, self.space.n_variables), dtype=self.space.genotype_dtype)
        widths = [block.shape[1] for block in self._blocks(one)]
        return [slice(a, b) for a, b in pairwise(accumulate(widths, initial=0))]
