"""How often each choice is taken by decisions that share their choices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weaknas.encoders._base import Encoder, Features
from weaknas.encoders.columns import MOST_COLUMNS
from weaknas.spaces import Genotypes, SearchSpace


class ValueCountsEncoder(Encoder):
    """One column a choice of each list that several decisions share: how often it is taken.

    What an operation or a width does often depends little on where it stands; the counts
    say it for all places at once. Lists of more than 64 choices are left out.
    """

    needs = "decisions that share their choices"

    @classmethod
    def supports(cls, space: SearchSpace) -> bool:
        """Tell whether several decisions of the space have the same choices."""
        return bool(counted_lists(space))

    def _encode(self, canonical: Genotypes) -> Features:
        counts = [
            (canonical[:, columns] == value).sum(axis=1)
            for columns in counted_lists(self.space)
            for value in range(int(self.space.cardinalities[columns[0]]))
        ]
        return np.stack(counts, axis=1).astype(np.float32)


def counted_lists(space: SearchSpace) -> list[npt.NDArray[np.int64]]:
    """Return the decisions, as columns of a genotype, of each list of choices that is counted."""
    counts = space.cardinalities
    return [columns for columns in space.shared_choices if counts[columns[0]] <= MOST_COLUMNS]
