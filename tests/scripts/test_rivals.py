"""What searches are measured against on tables: the known process, and other projects."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

import weaknas

ROOT = Path(__file__).resolve().parents[2]
PARTS = ((0.8, 0.8), (0.2, 0.4))
SPACE = weaknas.ChoiceSpace({name: ["a", "b", "c"] for name in "uvwxy"}, name="few")


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module


def search(strategy, scores, trainings):
    rows = SPACE.enumerate()
    place = {int(code): index for index, code in enumerate(SPACE.fingerprint(rows))}
    found = []
    while len(found) < trainings:
        asked = strategy.ask(1)
        known = [place[int(code)] for code in SPACE.fingerprint(SPACE.genotypes(asked))]
        strategy.tell(asked, scores[known])
        found += known
    return found


def test_the_known_process_asks_where_exact_expected_improvement_is_largest(scripts):
    known = scripts("_known_process")
    rows = SPACE.enumerate()
    differ = (rows[:, None] != rows[None]).sum(axis=2)
    covariance = sum(variance * alike**differ for variance, alike in PARTS)
    scores = np.linalg.cholesky(covariance) @ np.random.default_rng(0).normal(size=len(rows))
    strategy = known.KnownProcess(SPACE, PARTS, seed=0)
    asked = search(strategy, scores, 12)
    assert len(set(asked)) == 12
    for count in range(5, 12):
        data = asked[:count]
        inverse = np.linalg.inv(covariance[np.ix_(data, data)])
        across = covariance[:, data]
        mean = across @ inverse @ scores[data]
        variance = np.diag(covariance) - np.einsum("ij,jk,ik->i", across, inverse, across)
        deviation = np.sqrt(np.maximum(variance, 1e-9))
        z = (mean - scores[data].max()) / deviation
        improvement = deviation * (norm.pdf(z) + z * norm.cdf(z))
        improvement[data] = 0
        assert improvement[asked[count]] == pytest.approx(improvement.max(), rel=1e-3)


def test_logarithmic_improvement(scripts):
    z = np.array([-3.0, -1.5, -1.0, -0.5, 0.0, 1.0, 3.0])
    found = scripts("_known_process").log_improvement(z)
    assert found == pytest.approx(np.log(norm.pdf(z) + z * norm.cdf(z)), rel=1e-9)
    assert np.isfinite(scripts("_known_process").log_improvement(np.array([-1e3, -40.0]))).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smac", "botorch"])
def test_optimisers_of_other_projects(scripts, name):
    pytest.importorskip(name)
    outside = scripts("_outside")
    rows = SPACE.enumerate()
    scores = -np.abs(rows - [0, 1, 2, 1, 0]).sum(axis=1).astype(float)
    asked = search(outside.OUTSIDE[name](SPACE, seed=0), scores, 40)
    assert len(set(asked)) == 40
    assert scores[asked].max() == 0  # one of 243


def test_what_is_missing_is_named(scripts, monkeypatch):
    outside = scripts("_outside")
    monkeypatch.setattr(importlib, "import_module", _nothing)
    with pytest.raises(weaknas.errors.InputError, match="botorch cannot be imported"):
        outside.MixedProcess(SPACE)


def _nothing(name):
    raise ImportError(f"No module named {name!r}")
