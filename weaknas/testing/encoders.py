"""The promises of an encoder."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import clone

from weaknas.spaces import Genotypes, GraphBatch, SearchSpace
from weaknas.testing._check import (
    Check,
    global_random_state_untouched,
    name_of,
    promises,
    require,
    run_all,
)
from weaknas.testing._evidence import same_values
from weaknas.testing._space_case import SpaceCase


def check_encoder(factory: Callable[[SearchSpace], Any], space: SearchSpace) -> None:
    """Check every promise of an encoder.

    Parameters
    ----------
    factory : callable
        Space -> encoder, e.g. the class itself. The encoder is a transformer of
        genotypes, shape (n, d), to features, shape (n, f), or to a `GraphBatch`.
    space : SearchSpace
        A space that the encoder works with.

    Raises
    ------
    AssertionError
        With the first promise that is broken.
    """
    run_all(encoder_checks(factory, space))


def encoder_checks(factory: Callable[[SearchSpace], Any], space: SearchSpace) -> list[Check]:
    """Return the checks of `check_encoder` one by one, for ``pytest.mark.parametrize``."""
    case = _Case(factory, space)
    return promises(f"the encoder {name_of(factory)} for {space.name!r}", _CHECKS, case)


class _Case:
    def __init__(self, factory: Callable[[SearchSpace], Any], space: SearchSpace) -> None:
        self.factory, self.space = factory, space
        self._drawn = SpaceCase(space, 0, None, None).drawn[:120]

    @property
    def genotypes(self) -> Genotypes:
        """What is encoded; a copy each time, which an encoder may spoil."""
        return self._drawn.copy()

    def fitted(self) -> Any:
        """Return a new encoder, fitted to the genotypes."""
        return self.factory(self.space).fit(self.genotypes)

    @cached_property
    def encoder(self) -> Any:
        """One fitted encoder."""
        return self.fitted()

    @cached_property
    def features(self) -> Any:
        """What it makes of the genotypes."""
        return self.encoder.transform(self.genotypes)

    @cached_property
    def isomorphic(self) -> tuple[Genotypes, Genotypes]:
        """Two batches of different genotypes, row by row the same architecture."""
        rows = SpaceCase(self.space, 1, None, None).related
        canonical = self.space.canonicalize(rows)
        different = (rows != canonical).any(axis=1)
        return rows[different][:200], canonical[different][:200]


def check_features_have_shape_and_type(case: _Case) -> None:
    """Features are one row of floating-point numbers a genotype, or one graph."""
    made = case.features
    require(len(made) == len(case.genotypes), f"{len(case.genotypes)} genotypes, {len(made)} rows")
    if isinstance(made, GraphBatch):
        return
    require(isinstance(made, np.ndarray), f"features are a {type(made).__name__}")
    require(made.ndim == 2, f"features have {made.ndim} dimensions")
    require(made.shape[1] > 0, "there are no features")
    require(np.issubdtype(made.dtype, np.floating), f"features are {made.dtype}")


def check_features_are_finite(case: _Case) -> None:
    """Features have no NaN and no infinity."""
    if not isinstance(case.features, GraphBatch):
        bad = ~np.isfinite(case.features)
        require(not bad.any(), f"{int(bad.sum())} numbers are not finite")


def check_isomorphic_architectures_are_encoded_alike(case: _Case) -> None:
    """Two genotypes of one architecture have equal features."""
    one, other = case.isomorphic
    if len(one) == 0:
        return
    first, second = case.encoder.transform(one), case.encoder.transform(other)
    for index, (a, b) in enumerate(zip(one, other, strict=True)):
        alike = same_values(first[index : index + 1], second[index : index + 1])
        require(alike, f"{a.tolist()} and {b.tolist()} are one architecture, encoded differently")


def check_a_row_is_encoded_by_itself(case: _Case) -> None:
    """The features of an architecture do not depend on the batch around it."""
    for index, row in enumerate(case.genotypes[:20]):
        alone = case.encoder.transform(row[None])
        together = case.features[index : index + 1]
        require(same_values(alone, together), f"{row.tolist()} alone is encoded differently")


def check_empty_batches_are_encoded(case: _Case) -> None:
    """No genotypes make no rows of features."""
    empty = case.encoder.transform(case.genotypes[:0])
    require(len(empty) == 0, f"{len(empty)} rows")


def check_encoding_is_deterministic(case: _Case) -> None:
    """Encoders fitted to the same genotypes give the same features, without global random state."""
    with global_random_state_untouched():
        again = case.fitted()
        values = again.transform(case.genotypes)
    require(same_values(values, case.features), "a second encoder encodes differently")
    repeated = again.transform(case.genotypes)
    require(same_values(values, repeated), "the same encoder encodes differently the second time")


def check_genotypes_are_not_modified(case: _Case) -> None:
    """Genotypes that are given to an encoder are not changed."""
    given = case.genotypes.copy()
    case.factory(case.space).fit(given).transform(given)
    require(np.array_equal(given, case.genotypes), "an array that was passed in has changed")


def check_pickle_keeps_the_encoder(case: _Case) -> None:
    """A fitted encoder can be sent to another process: pickled, it gives the same features."""
    again = pickle.loads(pickle.dumps(case.encoder))  # noqa: S301  # of our own making
    require(same_values(again.transform(case.genotypes), case.features), "the features change")


def check_encoder_can_be_cloned(case: _Case) -> None:
    """`sklearn.base.clone` makes an unfitted encoder that encodes the same after `fit`."""
    again = clone(case.encoder).fit(case.genotypes)
    require(same_values(again.transform(case.genotypes), case.features), "the features change")


def check_parameters_are_plain_attributes(case: _Case) -> None:
    """What the constructor takes is kept as attributes of the same names."""
    for name, value in case.encoder.get_params(deep=False).items():
        require(getattr(case.encoder, name, None) is value, f"{name} is not kept as it was given")


def check_groups_cover_the_features(case: _Case) -> None:
    """`groups`, where there are any, are blocks of columns that cover the features once."""
    groups = getattr(case.encoder, "groups", None)
    if groups is None or isinstance(case.features, GraphBatch):
        return
    width = case.features.shape[1]
    columns = np.concatenate([np.arange(width)[group] for group in groups])
    covered = np.array_equal(np.sort(columns), np.arange(width))
    require(covered, f"the groups {groups} do not cover {width} columns once")


_CHECKS: tuple[Callable[[_Case], None], ...] = (
    check_features_have_shape_and_type,
    check_features_are_finite,
    check_isomorphic_architectures_are_encoded_alike,
    check_a_row_is_encoded_by_itself,
    check_empty_batches_are_encoded,
    check_encoding_is_deterministic,
    check_genotypes_are_not_modified,
    check_pickle_keeps_the_encoder,
    check_encoder_can_be_cloned,
    check_parameters_are_plain_attributes,
    check_groups_cover_the_features,
)
