"""Faults that are planted in encoders are found."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin

import weaknas
from weaknas.encoders import OneHotEncoder, OperationCountsEncoder
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.testing import (
    check_encoder,
    encoder_checks,
)


class RawOneHot(OneHotEncoder):
    def transform(self, genotypes: Any) -> Any:
        return self._encode(np.asarray(genotypes))


class Standardized(OneHotEncoder):
    def transform(self, genotypes: Any) -> Any:
        features = super().transform(genotypes)
        return features - features.mean(axis=0) if len(features) else features


class Noisy(OneHotEncoder):
    def transform(self, genotypes: Any) -> Any:
        features = super().transform(genotypes)
        return features + np.random.default_rng().random(features.shape, dtype=np.float32)


class GloballyNoisy(OneHotEncoder):
    def fit(self, genotypes: Any, y: Any = None) -> Any:
        np.random.random()  # noqa: NPY002
        return super().fit(genotypes, y)


class Integers(OneHotEncoder):
    def transform(self, genotypes: Any) -> Any:
        return super().transform(genotypes).astype(int)


class OneDimension(OneHotEncoder):
    def transform(self, genotypes: Any) -> Any:
        return super().transform(genotypes)[:, 0]


class Undefined(OperationCountsEncoder):
    def transform(self, genotypes: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.log(super().transform(genotypes) - 1)


class ChangesGenotypes(OneHotEncoder):
    def transform(self, genotypes: Any) -> Any:
        features = super().transform(genotypes)
        genotypes[:] = 0
        return features


class KeepsALambda(OneHotEncoder):
    def fit(self, genotypes: Any, y: Any = None) -> Any:
        self.function_ = lambda: None
        return super().fit(genotypes, y)


class ForgetsAParameter(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    def __init__(self, space: Any, scale: float = 2.0) -> None:
        self.space = space
        self.factor = scale

    def fit(self, genotypes: Any, y: Any = None) -> Any:
        return self

    def transform(self, genotypes: Any) -> Any:
        return self.factor * OneHotEncoder(self.space).transform(genotypes)


class WrongGroups(OneHotEncoder):
    @property
    def groups(self) -> list[slice]:
        return [slice(0, 5), slice(4, None)]


class FailsOnEmpty(OneHotEncoder):
    def transform(self, genotypes: Any) -> Any:
        features = super().transform(genotypes)
        return features.reshape(len(features), -1)


def test_nothing_is_found_in_a_sound_encoder() -> None:
    check_encoder(OneHotEncoder, NASBench201())
    check_encoder(functools.partial(weaknas.get_encoder, "path"), NASBench201())


@pytest.mark.parametrize(
    ("encoder", "check"),
    [
        (RawOneHot, "isomorphic_architectures_are_encoded_alike"),
        (Standardized, "a_row_is_encoded_by_itself"),
        (Noisy, "encoding_is_deterministic"),
        (GloballyNoisy, "encoding_is_deterministic"),
        (Integers, "features_have_shape_and_type"),
        (OneDimension, "features_have_shape_and_type"),
        (Undefined, "features_are_finite"),
        (ChangesGenotypes, "genotypes_are_not_modified"),
        (KeepsALambda, "pickle_keeps_the_encoder"),
        (ForgetsAParameter, "parameters_are_plain_attributes"),
        (ForgetsAParameter, "encoder_can_be_cloned"),
        (WrongGroups, "groups_cover_the_features"),
        (FailsOnEmpty, "empty_batches_are_encoded"),
    ],
)
def test_faults_of_encoders_are_found(assert_found: Any, encoder: Any, check: str) -> None:
    assert_found(encoder_checks(encoder, NASBench201()), check)
