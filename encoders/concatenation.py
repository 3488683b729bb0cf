"""Several encodings side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from weaknas.encoders._base import Features


class ConcatenatedEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The columns of several encoders, one block each.

    Parameters
    ----------
    encoders : sequence of transformers
    """

    def __init__(self, encoders: Sequence[Any]) -> None:
        self.encoders = encoders

    def fit(self, genotypes: npt.NDArray[np.integer], y: Any = None) -> Self:
        """Fit every encoder."""
        widths = [0]
        for encoder in self.encoders:
            width = np.shape(encoder.fit(genotypes, y).transform(genotypes[:1]))[1]
            widths.append(widths[-1] + width)
        self.groups = [slice(a, b) for a, b in pairwise(widths)]
        self.n_features_in_ = np.shape(genotypes)[1]
        return self

    def transform(self, genotypes: npt.NDArray[np.integer]) -> Features:
        """Encode a batch, shape (n, d), to float32 features, shape (n, sum of f)."""
        blocks = [encoder.transform(genotypes) for encoder in self.encoders]
        return np.hstack(blocks).astype(np.float32, copy=False)
