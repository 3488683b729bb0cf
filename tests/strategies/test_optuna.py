"""The adapter: parameters, memory, silence."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from weaknas.errors import MissingDependencyError
from weaknas.runs.runner import run
from weaknas.spaces import Architecture, ChoiceSpace, ConstrainedSpace, SubsetSpace
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.strategies import optuna as adapter
from weaknas.strategies.optuna import OptunaStrategy

SPACE = ChoiceSpace({"op": ["a", "b", "c"], "width": [8, 16, 32], "skip": ["n", "y"]})


class Stubborn(optuna.samplers.BaseSampler):
    """Proposes one point for ever."""

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        return 1


def test_decisions_become_categories_or_integers() -> None:
    study = OptunaStrategy(SPACE, optuna.samplers.RandomSampler(seed=0))._distributions
    assert study == {
        "op": CategoricalDistribution(range(3)),
        "width": IntDistribution(0, 2),
        "skip": CategoricalDistribution(range(2)),
    }
    integers = OptunaStrategy(SPACE, Stubborn(), integers=True)._distributions
    assert all(isinstance(value, IntDistribution) for value in integers.values())
    categories = adapter.tpe(SPACE, categories=True)._distributions
    assert all(isinstance(value, CategoricalDistribution) for value in categories.values())


def test_decisions_are_drawn_together_or_each_by_itself() -> None:
    def drawn(multivariate: bool) -> list[tuple[int, ...]]:
        strategy = adapter.tpe(SPACE, multivariate=multivariate, seed=1)
        told = []
        for _ in range(14):  # up to ten are random
            (asked,) = strategy.ask()
            strategy.tell([asked], [float(sum(asked.genotype))])
            told.append(asked.genotype)
        return told

    together, alone = drawn(True), drawn(False)
    assert together != alone
    assert "settings" not in adapter.tpe(SPACE).describe()
    assert adapter.tpe(SPACE, multivariate=False).describe()["settings"] == {"multivariate": False}


def test_duplicates_are_answered_from_memory_and_then_drawn_at_random() -> None:
    strategy = OptunaStrategy(SPACE, Stubborn(), seed=0)
    (first,) = strategy.ask()
    assert first.genotype == (1, 1, 1)
    strategy.tell([first], [3.5])
    (second,) = strategy.ask()
    assert second != first
    values = [trial.value for trial in strategy._study.trials]
    assert values == [3.5] * (1 + strategy.tries)
    strategy.tell([second], [1.0])
    told = strategy._study.trials[-1]  # one that its sampler never proposed
    assert told.value == 1.0
    assert tuple(told.params[name] for name in SPACE.variables) == second.genotype


def test_proposals_of_what_is_pending_wait_for_its_score() -> None:
    strategy = OptunaStrategy(SPACE, Stubborn(), seed=0, batch_size=3)
    batch = strategy.ask()
    assert len(set(batch)) == 3
    strategy.tell(batch, [1.0, 2.0, 3.0])
    states = {trial.state for trial in strategy._study.trials}
    assert states == {optuna.trial.TrialState.COMPLETE}


def test_failures_and_outsiders_count_as_the_worst_so_far() -> None:
    inside = SPACE.enumerate()
    inside = inside[(inside != 1).any(axis=1)]  # without what the sampler wants
    strategy = OptunaStrategy(SubsetSpace(SPACE, inside), Stubborn(), seed=0)
    first, second = strategy.ask(2)
    assert {trial.state for trial in strategy._study.trials} == {optuna.trial.TrialState.FAIL}
    strategy.tell([first], [2.0])
    strategy.tell([second], [np.nan])
    assert [t.value for t in strategy._study.trials[-2:]] == [2.0, 2.0]
    strategy.ask()
    assert strategy._study.trials[-1].value == 2.0


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_any_sampler_works() -> None:
    def score(architecture: Architecture) -> float:
        return float(sum(architecture.genotype))

    for sampler in (
        optuna.samplers.QMCSampler(seed=0),
        optuna.samplers.BruteForceSampler(seed=0),
        optuna.samplers.TPESampler(seed=0, multivariate=True),
    ):
        result = run(OptunaStrategy(SPACE, sampler), score, SPACE.size)
        assert result.best.score == 5


def test_optuna_is_silent_here_and_nowhere_else(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.INFO)
    optuna.logging.enable_propagation()
    try:
        strategy = adapter.tpe(SPACE)
        strategy.tell(strategy.ask(), [1.0])
        assert optuna.logging.get_verbosity() == logging.INFO
        assert not caplog.records
        assert not recwarn.list
        optuna.create_study()
        assert "created" in caplog.text
    finally:
        optuna.logging.disable_propagation()
        optuna.logging.set_verbosity(before)


@pytest.mark.parametrize(("build", "package"), [(adapter.gp, "torch"), (adapter.cmaes, "cmaes")])
def test_a_missing_package_is_named(
    build: Any, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"{package}.*weaknas\[optuna\]"):
        build(SPACE)


def test_what_exceeds_limits_is_mended_and_told_as_the_worst():
    space = ConstrainedSpace(MobileNetV3(), "300e6<=macs<=305e6")  # 1 in 30
    strategy = OptunaStrategy(space, optuna.samplers.RandomSampler(seed=0), seed=0)
    outside = inside = 0
    for _ in range(12):
        (architecture,) = strategy.ask(1)
        row = np.array([architecture.genotype])
        assert 300e6 <= space.macs(row)[0] <= 305e6
        strategy.tell([architecture], [float(row.sum())])
    scores = strategy.history.scores
    for trial in strategy._study.get_trials():
        genotype = np.array([[trial.params[name] for name in space.variables]])
        if space.contains(genotype)[0]:
            inside += 1
            assert trial.value in scores
        elif trial.value is not None:
            outside += 1
            assert trial.value <= scores.max()
    assert inside >= 12  # each proposal is known to the study
    assert outside >= 8
    # near: mending changes few decisions
    rng = np.random.default_rng(0)
    wild = space.whole.sample(200, rng)
    mended = space.mend(wild, rng)
    assert space.contains(mended).all()
    changed = (space.canonicalize(wild) != space.canonicalize(mended)).sum(axis=1)
    assert np.median(changed) < 15


@pytest.mark.parametrize("build", [adapter.tpe, adapter.nsga2])
def test_limits_are_constraints(build: Any) -> None:
    space = ConstrainedSpace(MobileNetV3(), "300e6<=macs<=305e6")
    strategy = build(space, seed=0)
    for _ in range(3):
        batch = strategy.ask()
        strategy.tell(batch, [1.0])
    for trial in strategy._study.get_trials():
        genotype = np.array([[trial.params[name] for name in space.variables]])
        (violation,) = trial.system_attrs["constraints"]
        assert violation == space.violation(genotype)[0]
        assert (violation == 0) == space.contains(genotype)[0]
    assert len(strategy._study.get_trials()) > 3  # those outside, of which nothing was paid


def bred(strategy: OptunaStrategy) -> list[tuple[int, ...]]:
    """What the trials of a generation are of, which is what a genetic sampler breeds from."""
    return [
        tuple(trial.params[name] for name in strategy.space.variables)
        for trial in strategy._study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
        if any(key.endswith("generation") for key in trial.system_attrs)
    ]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", [optuna.samplers.NSGAIISampler, optuna.samplers.NSGAIIISampler])
def test_generations_are_of_a_part_of_a_space(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ChoiceSpace({f"x{i}": range(4) for i in range(6)})
    rows = whole.sample(300, np.random.default_rng(0))
    space = SubsetSpace(whole, rows)
    strategy = OptunaStrategy(space, kind(population_size=8, seed=0), seed=0)
    monkeypatch.setattr(strategy, "_fill", lambda n: pytest.fail("drawn at random"))
    paid = []
    for _ in range(80):
        (architecture,) = strategy.ask()
        paid.append(architecture.genotype)
        strategy.tell([architecture], [float(sum(paid[-1]))])
    assert set(bred(strategy)) == set(paid)
    assert np.sum(paid[-30:], axis=1).mean() > rows.sum(axis=1).mean() + 1


def test_what_a_sampler_did_not_propose_is_bred_from() -> None:
    strategy = adapter.nsga2(SPACE, seed=0)
    known = SPACE.architecture("op=a,width=8,skip=n")
    strategy.tell([known], [1.0])
    assert bred(strategy) == [known.genotype]


def test_limits_and_what_is_missing_are_kept_together() -> None:
    whole = ChoiceSpace(
        {f"x{i}": range(4) for i in range(6)},
        costs={"sum": lambda rows: rows.sum(axis=1).astype(float)},
    )
    space = ConstrainedSpace(SubsetSpace(whole, whole.enumerate()[::7]), "sum<=8")
    strategy = adapter.nsga2(space, seed=0)
    for _ in range(30):
        (architecture,) = strategy.ask()
        assert sum(architecture.genotype) <= 8
        strategy.tell([architecture], [float(sum(architecture.genotype))])
    rows = np.array(bred(strategy))
    assert space.whole.contains(rows).all()
    assert not space.contains(rows).all()  # what violates a limit has children, too
