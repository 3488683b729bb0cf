"""What every registered strategy keeps, whatever it does."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.evaluators import Evaluation
from weaknas.predictors.mlp import MLP
from weaknas.registry import STRATEGIES, get_space, get_strategy
from weaknas.runs.runner import Result, run
from weaknas.spaces import Architecture, ChoiceSpace, ConstrainedSpace, SearchSpace
from weaknas.strategies import Hyperband, Repeating, Strategy

ROOT = Path(__file__).resolve().parents[2]
NEEDS = {
    "brp-nas": "torch",
    "lstm-controller": "torch",
    "nao": "torch",
    "optuna-gp": "torch",
    "optuna-cmaes": "cmaes",
}
RESOURCES = (1.0, 3.0, 9.0)
BUDGET = 40

GRADED = {
    "bohb",
    "hyperband",
    "multi-fidelity",
    "successive-halving",
}  # ask again at another fidelity

NAMES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name in NEEDS and find_spec(NEEDS[name]) is None,
            reason=f"{NEEDS.get(name)} is not installed",
        ),
    )
    for name in STRATEGIES.names()
]
every_strategy = pytest.mark.parametrize("name", NAMES)
#: Those of Optuna ask for what is within limits, or not known yet, one at a time: seconds.
all_but_slow = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            *name.values,
            marks=[*name.marks, *[pytest.mark.slow] * str(name.values[0]).startswith("optuna-")],
        )
        for name in NAMES
    ],
)


def small_space() -> ChoiceSpace:
    return ChoiceSpace(
        {"op": ["a", "b", "c"], "width": [8, 16, 32], "act": ["x", "y"], "skip": ["n", "y"]}
    )


def build(name: str, space: SearchSpace, seed: int = 0, **options: Any) -> Strategy:
    if name in GRADED:
        options["resources"] = RESOURCES
    made: Strategy = get_strategy(name, space, seed=seed, **options)
    strategy: Any = made.strategy if isinstance(made, Repeating) else made
    if name in {
        "bananas",
        "brp-nas",
        "npenas",
        "progressive",
    }:  # a network that is fitted in no time
        strategy.predictor = MLP(hidden=(8,), max_iter=10, members=2)
    if name == "nao":
        strategy.initial = strategy.round = 10
        strategy.ascent.epochs = 2
    if name == "optuna-gp":  # seconds a trial: for the last ones of a run alone
        strategy.sampler._n_startup_trials = BUDGET - 4
        strategy.tries = 1
    return made


class Judge:
    """A smooth score with ripples at every fidelity; records what was paid."""

    fidelities = RESOURCES[:-1]

    def __init__(self, fails: int = 0) -> None:
        self.fails = fails
        self.paid: list[tuple[str, float | None]] = []

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        self.paid.append((architecture.id, fidelity))
        code = sum((3 + i) ** 2 * v for i, v in enumerate(architecture.genotype))
        if self.fails and code % self.fails == 0:
            raise RuntimeError("out of luck")
        blur = 0.0 if fidelity is None else math.sin(seed % 1000) / fidelity
        return Evaluation(math.sin(code) + 0.1 * code + blur, cost=fidelity or RESOURCES[-1])

    def describe(self) -> dict[str, Any]:
        return {"judge": self.fails}


def trail(result: Result) -> list[tuple[str, float | None, float | None]]:
    return [
        (t.architecture.id, t.evaluation.fidelity, t.score if t.is_ok else None)
        for t in result.trials
    ]


def trails_of_all() -> dict[str, Any]:
    """For another process: the trails of all strategies that can be built here."""
    names = [n for n in STRATEGIES.names() if n not in NEEDS or find_spec(NEEDS[n])]
    return {n: trail(run(build(n, small_space(), 3), Judge(), 16)) for n in names}


@every_strategy
def test_no_architecture_is_paid_twice(name: str) -> None:
    space = get_space("nasbench201")
    judge = Judge()
    result = run(build(name, space, 1), judge, BUDGET)
    codes = space.fingerprint(result.trials.genotypes).tolist()
    levels = [trial.evaluation.fidelity for trial in result.trials]
    assert len(set(zip(codes, levels, strict=True))) == len(codes) == BUDGET
    assert [(t.architecture.id, t.evaluation.fidelity) for t in result.trials] == judge.paid
    assert space.contains(result.trials.genotypes).all()


@all_but_slow
def test_limits_are_kept(name: str) -> None:
    # 1 in 30 is inside
    space = ConstrainedSpace(get_space("mobilenetv3"), ["300e6<=macs<=305e6", "params<=7.5e6"])
    result = run(build(name, space, 1), Judge(), 16)
    rows = result.trials.genotypes
    assert len(set(space.fingerprint(rows).tolist())) == len(rows) or name in GRADED
    macs, parameters = space.macs(rows), space.parameters(rows)
    assert ((macs >= 300e6) & (macs <= 305e6) & (parameters <= 7.5e6)).all()


@every_strategy
def test_labels_that_were_not_paid_for_change_nothing(name: str) -> None:
    first = run(build(name, small_space()), Judge(), 20)
    paid = {(t.architecture.id, t.evaluation.fidelity) for t in first.trials}

    class Poisoned(Judge):
        def evaluate(
            self, architecture: Architecture, *, seed: int, fidelity: float | None = None
        ) -> Evaluation:
            honest = super().evaluate(architecture, seed=seed, fidelity=fidelity)
            return honest if (architecture.id, fidelity) in paid else Evaluation(1e9)

    assert trail(run(build(name, small_space()), Poisoned(), 20)) == trail(first)


@every_strategy
def test_the_seed_decides(name: str) -> None:
    space = get_space("nasbench201")
    first, again, other = (trail(run(build(name, space, s), Judge(), 15)) for s in (4, 4, 5))
    assert first == again != other


@pytest.mark.slow
def test_every_strategy_does_the_same_in_another_process() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONHASHSEED"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])
    code = (
        "import importlib.util, json, sys;"
        "spec = importlib.util.spec_from_file_location('there', sys.argv[1]);"
        "there = importlib.util.module_from_spec(spec);"
        "spec.loader.exec_module(there);"
        "print(json.dumps(there.trails_of_all()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, __file__], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(trails_of_all()))


@every_strategy
def test_an_executor_changes_nothing(name: str) -> None:
    several = isinstance(build(name, small_space()), Hyperband)
    options = {} if several else {"batch_size": 4}
    alone = run(build(name, small_space(), **options), Judge(), 24)
    with ThreadPoolExecutor(3) as executor:
        together = run(build(name, small_space(), **options), Judge(), 24, executor=executor)
    assert trail(alone) == trail(together)


@every_strategy
@pytest.mark.parametrize("fails", [1, 3])
def test_failed_evaluations_are_tolerated(name: str, fails: int) -> None:
    result = run(build(name, small_space()), Judge(fails), 30)
    if fails == 1:
        assert result.trials.best_observed is None
    else:
        assert result.best_observed.is_ok
        assert any(not trial.is_ok for trial in result.trials)
    assert len(result.trials) == 30


@every_strategy
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(name: str, tmp_path: Path) -> None:
    class Killed(Judge):
        def evaluate(
            self, architecture: Architecture, *, seed: int, fidelity: float | None = None
        ) -> Evaluation:
            if len(self.paid) == 13:
                raise KeyboardInterrupt
            return super().evaluate(architecture, seed=seed, fidelity=fidelity)

    whole = run(build(name, small_space(), 2), Judge(), 25)
    with pytest.raises(KeyboardInterrupt):
        run(build(name, small_space(), 2), Killed(), 25, output=tmp_path)
    judge = Judge()
    rest = run(build(name, small_space(), 2), judge, 25, output=tmp_path)
    assert trail(rest) == trail(whole)
    assert len(judge.paid) == 25 - 13


class Noisy(Judge):
    """Two or three trainings of an architecture, which differ; may die before one of them."""

    def __init__(self, dies: float = math.inf) -> None:
        super().__init__()
        self.dies = dies
        self.shown: list[tuple[str, float | None, int]] = []

    def trainings(self, architecture: Architecture) -> float:
        return 2 + architecture.genotype[0] % 2

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        if len(self.shown) == self.dies:
            raise KeyboardInterrupt
        honest = super().evaluate(architecture, seed=seed, fidelity=fidelity)
        training = seed % int(self.trainings(architecture))
        self.shown.append((architecture.id, fidelity, training))
        return Evaluation(honest.score + 0.3 * training, cost=honest.cost)


@all_but_slow
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"confirm": 4}, marks=pytest.mark.slow),
        {"confirm": "auto"},
        pytest.param({"repeats": 2, "confirm": 2}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_with_repeats_no_training_is_paid_twice_and_none_is_lost(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    space, budget = get_space("nasbench201"), 26
    judge = Noisy()
    whole = run(build(name, space, 2, **options), judge, budget)
    assert len(set(judge.shown)) == len(judge.shown) == len(whole.trials) == budget
    repeats = [t.repeat for t in whole.trials]
    assert max(repeats) > 0
    if options == {"confirm": 4} and name not in GRADED | {"weaknas"}:
        assert repeats == [0] * 18 + repeats[18:]
        best = sorted(whole.trials[:18], key=lambda trial: -trial.score)
        again = {trial.architecture.id for trial in whole.trials[18:]}
        assert again == {trial.architecture.id for trial in best[: len(again)]}
        assert sum(item.trainings == 3 for item in whole.contenders) <= 4
    with pytest.raises(KeyboardInterrupt):  # in the middle of the repeats
        run(build(name, space, 2, **options), Noisy(dies=22), budget, output=tmp_path)
    rest = Noisy()
    resumed = run(build(name, space, 2, **options), rest, budget, output=tmp_path)
    assert trail(resumed) == trail(whole)
    assert judge.shown[22:] == rest.shown
    assert resumed.contenders == whole.contenders


@every_strategy
def test_nothing_is_repeated_where_trainings_do_not_differ(name: str) -> None:
    options = {"repeats": 3, "confirm": 2}
    plain = run(build(name, small_space(), 1, repeats="never"), Judge(), 20)
    again = run(build(name, small_space(), 1, **options), Judge(), 20)
    assert trail(again) == trail(plain)


@all_but_slow
def test_a_small_space_is_exhausted_and_then_nothing_is_proposed(name: str) -> None:
    space = small_space()
    strategy, judge, asked = build(name, space), Judge(), []
    while True:
        level, batch = strategy.round_fidelity, strategy.ask(7)
        if not batch:
            break
        asked.extend((architecture.id, level) for architecture in batch)
        scores = [judge.evaluate(a, seed=0, fidelity=level).score for a in batch]
        strategy.tell(batch, scores, level)
    assert len(set(asked)) == len(asked)
    at_full = {identity for identity, level in asked if level is None}
    if len(strategy.fidelities) == 1:
        assert len(at_full) == space.size
    assert strategy.ask(3) == []


@every_strategy
def test_scores_from_elsewhere_are_learned_and_not_proposed(name: str) -> None:
    space = small_space()
    known = space.architectures(space.enumerate()[::2])
    strategy = build(name, space)
    strategy.tell(known, [float(i) for i in range(len(known))])
    told = {architecture.id for architecture in known}
    for _ in range(5):
        batch, level = strategy.ask(1), strategy.round_fidelity
        assert level is not None or not told & {architecture.id for architecture in batch}
        strategy.tell(batch, [0.5], level)


@every_strategy
def test_bad_calls_are_refused(name: str) -> None:
    strategy = build(name, small_space())
    with pytest.raises(InputError, match="at least 1"):
        strategy.ask(0)
    with pytest.raises(InputError, match="1 architectures but 2 scores"):
        strategy.tell(strategy.ask(1), [1.0, 2.0])
    with pytest.raises(InputError, match="fidelity"):
        strategy.tell(["op=a,width=8,act=x,skip=n"], [1.0], 777.0)
    with pytest.raises(InputError, match="seed"):
        build(name, small_space(), -1)
    assert build(name, small_space(), 2**63 - 1).ask(1)


@every_strategy
def test_the_description_is_plain_json(name: str) -> None:
    description = build(name, small_space(), 5).describe()
    assert json.loads(json.dumps(description)) == description
    assert description["seed"] == 5
    assert np.isscalar(description["strategy"])
