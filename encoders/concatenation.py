"""Several encodings side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from weaknas.encoders._base import Batch, Encoder, Features, HasGroups
from weaknas.spaces import SearchSpace


class ConcatenatedEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The columns of several encoders, side by side; `groups` are the blocks of each in turn.

    `trend` are the columns of those with a trend.

    Parameters
    ----------
    encoders : sequence of transformers
    """

    def __init__(self, encoders: Sequence[Any]) -> None:
        self.encoders = encoders

    def fit(self, genotypes: npt.NDArray[np.integer], y: Any = None) -> Self:
        """Fit every encoder."""
        self.groups = []
        self.trend: list[int] = []
        width = 0
        for encoder in self.encoders:
            columns = np.arange(np.shape(encoder.fit(genotypes, y).transform(genotypes[:1]))[1])
            for group in encoder.groups if isinstance(encoder, HasGroups) else [slice(None)]:
                block = columns[group] + width
                if len(block):  # an encoder may have found nothing to tell
                    self.groups.append(slice(int(block[0]), int(block[-1]) + 1))
            if isinstance(encoder, Encoder) and encoder.has_trend:
                self.trend.extend((columns + width).tolist())
            width += len(columns)
        self.n_features_in_ = np.shape(genotypes)[1]
        return self

    def transform(self, genotypes: npt.NDArray[np.integer]) -> Features:
        """Encode a batch, shape (n, d), to float32 features, shape (n, sum of f)."""
        batches: dict[SearchSpace, Batch] = {}
        blocks = []
        for encoder in self.encoders:
            if isinstance(encoder, Encoder) and type(encoder).transform is Encoder.transform:
                space = encoder.space
                blocks.append(encoder.encode(batches.setdefault(space, Batch(space, genotypes))))
            else:
                blocks.append(encoder.transform(genotypes))
        return np.hstack(blocks).astype(np.float32, copy=False)
