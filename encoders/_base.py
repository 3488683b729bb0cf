"""The contract of an encoder: genotypes in, features out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from weaknas.errors import InputError, is_out_of_memory
from weaknas.spaces import Genotypes, GraphBatch, SearchSpace

Features: TypeAlias = npt.NDArray[np.float32]

#: Genotypes that are encoded at a time, so that temporaries stay small.
CHUNK = 8192


class Batch:
    """Genotypes of a space with what encoders share of them, each made once, when it is wanted.

    Parameters
    ----------
    space : SearchSpace
    genotypes : ndarray of int, shape (n, d)
    """

    def __init__(self, space: SearchSpace, genotypes: npt.NDArray[np.integer]) -> None:
        self._space, self._genotypes = space, genotypes

    @cached_property
    def canonical(self) -> Genotypes:
        """Canonical forms, shape (n, d)."""
        return self._space.canonicalize(self._genotypes)

    @cached_property
    def graphs(self) -> GraphBatch:
        """The graphs of the canonical forms."""
        return self._space.graphs(self.canonical)


def chunks(space: SearchSpace, genotypes: npt.NDArray[np.integer]) -> Iterator[Batch]:
    """Yield the genotypes, shape (n, d), a chunk at a time."""
    for start in range(0, len(genotypes), CHUNK):
        yield Batch(space, genotypes[start : start + CHUNK])


@runtime_checkable
class Transformer(Protocol):
    """Any transformer of genotypes, ours or of scikit-learn."""

    def fit(self, genotypes: Any, /) -> Any:
        """Learn what must be known of genotypes, shape (n, d); return the transformer."""

    def transform(self, genotypes: Any, /) -> Any:
        """Return features, shape (n, f)."""


@runtime_checkable
class _Sparse(Protocol):
    """A matrix of scipy, as scikit-learn's one-hot encoder returns."""

    def toarray(self) -> npt.NDArray[Any]:
        """Return all of it."""


@runtime_checkable
class HasGroups(Protocol):
    """An encoder that knows which of its columns belong together."""

    @property
    def groups(self) -> Sequence[Any]:
        """Blocks of columns, slices or arrays of indices."""


@runtime_checkable
class HasTrend(Protocol):
    """An encoder that knows with which columns scores may go up or down over the whole space."""

    @property
    def trend(self) -> Sequence[int]:
        """Columns."""


@runtime_checkable
class HasSources(Protocol):
    """An encoder some columns of which are what earlier measurements predict."""

    @property
    def source_columns(self) -> Sequence[int]:
        """Columns."""


def find_layout(encoder: Transformer) -> dict[str, Sequence[Any]]:
    """Return what a fitted encoder knows of its columns, if anything.

    ``groups``, ``trend``, and ``sources``: columns of what earlier measurements predict.
    """
    layout: dict[str, Sequence[Any]] = {
        "groups": encoder.groups if isinstance(encoder, HasGroups) else (),
        "trend": encoder.trend if isinstance(encoder, HasTrend) else (),
        "sources": encoder.source_columns if isinstance(encoder, HasSources) else (),
    }
    return {name: columns for name, columns in layout.items() if columns}


def encode(encoder: Transformer, genotypes: npt.NDArray[np.integer]) -> Any:
    """Return what an encoder makes of genotypes, shape (n, d), or say what is wrong with it.

    Returns
    -------
    ndarray, shape (n, f), or GraphBatch

    Raises
    ------
    InputError
        When features are not finite numbers, a row for each genotype.
    """
    name = type(encoder).__name__
    try:
        features = encoder.transform(genotypes)
        if isinstance(features, GraphBatch):
            return features
        features = features.toarray() if isinstance(features, _Sparse) else np.asarray(features)
    except InputError:
        raise
    except (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise InputError(f"{name} cannot encode: {' '.join(str(error).split())}") from error
    if features.ndim != 2 or len(features) != len(genotypes):
        raise InputError(
            f"{name} encoded {len(genotypes)} genotypes to the shape {features.shape}; a row of"
            " numbers each is needed"
        )
    if features.dtype.kind not in "biuf":
        raise InputError(f"{name} encoded genotypes to {features.dtype}; numbers are needed")
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise InputError(
            f"{name} encoded {int((~finite).sum())} of {len(genotypes)} genotypes to NaN or"
            " infinity; finite numbers are needed"
        )
    return features


class Encoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn transformer from genotypes ``(n, d)`` to features ``(n, f)``.

    Parameters
    ----------
    space : SearchSpace
        The space the genotypes are of.

    Raises
    ------
    InputError
        When the encoder does not fit the space.
    """

    #: Whether scores may go up or down with the columns over the whole space.
    has_trend = False
    #: What a space must offer, in words for the error message.
    needs = "any space"

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        if not self.supports(space):
            raise InputError(
                f"the encoder {type(self).__name__} needs {self.needs};"
                f" the space {space.name!r} does not offer it"
            )

    @classmethod
    def supports(cls, space: SearchSpace) -> bool:
        """Tell whether the encoder works with a space."""
        return True

    def fit(self, genotypes: npt.NDArray[np.integer], y: Any = None) -> Self:
        """Learn what the encoder must know of the candidates; nothing by default."""
        self.n_features_in_ = np.shape(genotypes)[1]
        return self

    def transform(self, genotypes: npt.NDArray[np.integer]) -> Features:
        """Encode a batch.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)

        Returns
        -------
        ndarray of float32, shape (n, f)
            Equal rows for isomorphic architectures.
        """
        return self.encode(Batch(self.space, genotypes))

    def encode(self, batch: Batch) -> Features:
        """Encode a batch of this encoder's space, as `transform` does."""
        return self._encode(batch.canonical)

    def _encode(self, canonical: Genotypes) -> Features:
        raise InputError(f"{type(self).__name__} does not implement _encode")

    @property
    def groups(self) -> list[slice]:
        """The blocks of columns that belong together; one block by default."""
        return [slice(None)]


class GraphEncoder(Encoder):
    """An encoder that works on the labelled graphs of a space."""

    needs = "a space whose architectures are graphs"

    @classmethod
    def supports(cls, space: SearchSpace) -> bool:
        """Tell whether the space has graphs."""
        return space.has_graphs

    def encode(self, batch: Batch) -> Features:
        """Encode a batch of this encoder's space, as `transform` does."""
        return self._encode_graphs(batch.graphs)

    def _encode_graphs(self, graphs: GraphBatch) -> Features:
        raise InputError(f"{type(self).__name__} does not implement _encode_graphs")
