"""The candidates of one round, encoded."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.encoders import Transformer, encode, find_layout
from weaknas.spaces import Fingerprints, Genotypes

_CHUNK = 8192  # candidates encoded at a time, so that temporaries stay small
_MAPPED_ABOVE = 2**30  # bytes of features of one pool


@dataclass(frozen=True)
class Pool:
    """The candidates of one round.

    Parameters
    ----------
    genotypes : ndarray of int, shape (n, d)
        Canonical, each architecture once.
    fingerprints : ndarray of int64, shape (n,)
    features : ndarray of float32, shape (n, f)
    layout : mapping
        What the encoder knows of the columns, for predictors with parameters of
        these names: ``groups``, blocks that belong together, and ``trend``, columns
        with which scores may go up or down over the whole space.
    """

    genotypes: Genotypes
    fingerprints: Fingerprints
    features: Any
    layout: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _order(self) -> npt.NDArray[np.int64]:
        return np.argsort(self.fingerprints, kind="stable")

    def locate(self, fingerprints: Fingerprints) -> npt.NDArray[np.int64]:
        """Return the rows of fingerprints, shape (m,), without those that are not in the pool."""
        position = np.searchsorted(self.fingerprints, fingerprints, sorter=self._order)
        rows: npt.NDArray[np.int64] = self._order[np.minimum(position, len(self._order) - 1)]
        return np.asarray(rows[self.fingerprints[rows] == fingerprints])

    def other_than(self, fingerprints: Fingerprints) -> npt.NDArray[np.bool_]:
        """Tell which candidates, shape (n,), are none of the fingerprints, shape (m,)."""
        others = np.ones(len(self.fingerprints), dtype=bool)
        others[self.locate(fingerprints)] = False
        return others


def encode_pool(genotypes: Genotypes, fingerprints: Fingerprints, encoder: Transformer) -> Pool:
    """Return the pool of canonical genotypes with an encoder that is fitted."""
    features = encode(encoder, genotypes[:_CHUNK])
    if len(genotypes) > _CHUNK:
        head = np.asarray(features)
        features = _allocate((len(genotypes), head.shape[1]), head.dtype)
        features[:_CHUNK] = head
        for start in range(_CHUNK, len(genotypes), _CHUNK):
            rows = slice(start, start + _CHUNK)
            features[rows] = encode(encoder, genotypes[rows])
    return Pool(genotypes, fingerprints, features, find_layout(encoder))


def _allocate(shape: tuple[int, int], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return room for features, in a file that is mapped to memory where it is large."""
    if shape[0] * shape[1] * dtype.itemsize <= _MAPPED_ABOVE:
        return np.empty(shape, dtype=dtype)
    with tempfile.TemporaryFile() as file:  # goes with the array: the mapping keeps it
        return np.memmap(file, dtype=dtype, shape=shape, mode="w+")
