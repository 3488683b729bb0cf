"""A search sees the labels that it paid for, and its regret is told by the truth."""

from __future__ import annotations

import numpy as np
import pytest

import weaknas
from weaknas.predictors.random_forest import RandomForest
from weaknas.spaces import ChoiceSpace
from weaknas.spaces.nasbench201 import NASBench201

CELLS = NASBench201()
SMALL = ChoiceSpace({"a": ["x", "y", "z"], "b": [1, 2, 3, 4], "c": ["p", "q"]}, name="small")


def ids(trials):
    return [trial.architecture.id for trial in trials]


class Watched:
    """A benchmark that records who asks for what."""

    def __init__(self, benchmark):
        self.benchmark = benchmark
        self.log = []

    def evaluate(self, architecture, *, seed, fidelity=None):
        self.log.append(("evaluate", architecture.id))
        return self.benchmark.evaluate(architecture, seed=seed, fidelity=fidelity)

    def describe(self):
        return self.benchmark.describe()

    def true_scores(self, genotypes, target=None):
        self.log.append(("true_scores", len(genotypes)))
        return self.benchmark.true_scores(genotypes, target)

    def optimum(self, target=None):
        self.log.append(("optimum", 0))
        return self.benchmark.optimum(target)


def table(scores):
    return weaknas.TabularBenchmark(CELLS, {"genotype": CELLS.enumerate(), "score": scores})


def drawn_scores(seed=0):
    forms = CELLS.fingerprint(CELLS.enumerate())
    noise = np.random.default_rng(seed).normal(size=int(forms.max()) + 1)[forms]
    return noise + (CELLS.canonicalize(CELLS.enumerate()) == 3).sum(axis=1)


@pytest.mark.parametrize("options", [{}, {"predictor": RandomForest(10), "acquisition": "top-n"}])
def test_only_what_is_paid_for_is_seen(options):
    watched = Watched(table(drawn_scores()))
    result = weaknas.run(weaknas.WeakNAS(CELLS, seed=0, **options), watched, budget=50)
    calls = [name for name, _ in watched.log]
    assert calls[:50] == ["evaluate"] * 50  # the truth is looked up for the report, afterwards
    assert sorted(calls[50:]) == ["optimum", "true_scores"]
    assert [cell for _, cell in watched.log[:50]] == ids(result.trials)
    assert ("true_scores", 1) in watched.log[50:]


@pytest.mark.parametrize("options", [{}, {"predictor": RandomForest(10), "acquisition": "top-n"}])
def test_labels_that_were_not_paid_for_change_nothing(options):
    scores = drawn_scores()
    first = weaknas.run(weaknas.WeakNAS(CELLS, seed=0, **options), table(scores), budget=50)
    paid = np.isin(CELLS.fingerprint(CELLS.enumerate()), CELLS.fingerprint(first.trials.genotypes))
    other = np.where(paid, scores, 1000 * drawn_scores(seed=1))
    second = weaknas.run(weaknas.WeakNAS(CELLS, seed=0, **options), table(other), budget=50)
    assert ids(second.trials) == ids(first.trials)
    assert second.regret > first.regret + 100


def test_regret_is_the_optimum_minus_what_is_returned_by_true_means():
    rng = np.random.default_rng(0)
    rows = SMALL.enumerate()
    scores = rng.normal(size=(24, 3))
    benchmark = weaknas.TabularBenchmark(SMALL, {"genotype": rows, "score": scores})
    result = weaknas.run(weaknas.WeakNAS(SMALL, seed=0), benchmark, budget=10)
    means = dict(zip(map(tuple, rows.tolist()), scores.mean(axis=1), strict=True))
    returned = result.best.architecture.genotype
    assert returned in {trial.architecture.genotype for trial in result.trials}
    assert result.regret == pytest.approx(max(means.values()) - means[returned])
    observed = [(trial.architecture.genotype, trial.score) for trial in result.trials]
    for genotype, label in observed:
        assert label in scores[rows.tolist().index(list(genotype))]
