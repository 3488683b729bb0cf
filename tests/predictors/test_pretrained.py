"""Adapters of pretrained models, with a stand-in for the packages."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import weaknas
from weaknas.errors import MissingDependencyError

PACKAGES = [("tabpfn", "TabPFNRegressor"), ("tabicl", "TabICLRegressor")]


@pytest.mark.parametrize(("name", "attribute"), PACKAGES)
def test_it_asks_the_package_and_passes_the_seed_on(name, attribute, monkeypatch):
    made = []

    class Model(Ridge):
        def __init__(self, device=None, random_state=None):
            made.append((device, random_state))
            super().__init__(random_state=random_state)
            self.device = device

    package = types.ModuleType(name)
    setattr(package, attribute, Model)
    monkeypatch.setitem(sys.modules, name, package)
    X = np.random.default_rng(0).random((20, 3))
    predictor = weaknas.get_predictor(name, device="cpu", random_state=7).fit(X, X[:, 0])
    np.testing.assert_allclose(predictor.predict(X), Ridge().fit(X, X[:, 0]).predict(X), rtol=1e-4)
    assert ("cpu", 7) in made


@pytest.mark.parametrize(("name", "attribute"), PACKAGES)
def test_without_the_package_the_message_says_what_to_install(name, attribute, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=f"pip install {name}"):
        weaknas.get_predictor(name)
