"""Short trainings where they tell, full ones where they are worth their price."""

from __future__ import annotations

import math

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators import Evaluation
from weaknas.evaluators.train import TrainEvaluator
from weaknas.search.fidelities import MultiFidelity
from weaknas.spaces import ChoiceSpace

SPACE = ChoiceSpace({f"layer{i}": list("abcd") for i in range(5)}, name="layers")
ROWS = SPACE.enumerate()
PLACES = 4 ** np.arange(5)[::-1]
FULL = np.random.default_rng(0).normal(size=(5, 4))[np.arange(5), ROWS].sum(axis=1)
FULL += np.random.default_rng(1).normal(0, 0.1, size=len(ROWS))
SHORT = FULL + np.random.default_rng(2).normal(0, 0.4, size=len(ROWS))
USELESS = np.random.default_rng(3).normal(size=len(ROWS))
RESOURCES = (1.0, 20.0)


class Judge:
    """Scores of full trainings, and of short ones as they are given; costs are epochs."""

    fidelities = RESOURCES[:-1]

    def __init__(self, short=SHORT):
        self.short, self.paid, self.met = short, 0.0, False

    def evaluate(self, architecture, *, seed, fidelity=None):
        row = int(SPACE.genotypes([architecture])[0] @ PLACES)
        cost = fidelity or RESOURCES[-1]
        self.paid += 0 if self.met else cost
        self.met |= fidelity is None and row == FULL.argmax()
        return Evaluation((FULL if fidelity is None else self.short)[row], cost=cost)

    def describe(self):
        return {}


def epochs_to_best(search, judge, most=60 * RESOURCES[-1]):
    weaknas.run(search, judge, budget_cost=most, stop=lambda: judge.met)
    return judge.paid


def multi(seed=0, **options):
    return MultiFidelity(SPACE, resources=RESOURCES, seed=seed, **options)


def test_short_trainings_that_tell_save_epochs_and_others_cost_few():
    seeds = range(2)
    full = np.mean([epochs_to_best(weaknas.WeakNAS(SPACE, seed=i), Judge()) for i in seeds])
    both = np.mean([epochs_to_best(multi(i, batch_size=4), Judge()) for i in seeds])
    useless = np.mean([epochs_to_best(multi(i, batch_size=4), Judge(USELESS)) for i in seeds])
    assert both < 0.6 * full
    assert useless < 2.5 * full


def test_the_next_fidelity_comes_when_those_below_cost_as_much_as_its_first_sample():
    trials = weaknas.run(multi(batch_size=5), Judge(), 85).trials
    levels = [trial.evaluation.fidelity for trial in trials]
    first = levels.index(None)
    assert first == 60  # of 1 epoch: three trainings of 20
    assert levels[first : first + 3] == [None] * 3
    random = {trial.architecture.id for trial in trials[:10]}
    assert trials[first + 2].architecture.id in random
    ranks = [int((trial.score < FULL).sum()) for trial in trials[first : first + 2]]
    assert max(ranks) < 30
    # Nothing is asked for again, and nothing short of what was trained in full.
    asked = [(trial.architecture.id, trial.evaluation.fidelity) for trial in trials]
    assert len(set(asked)) == len(asked)
    full = set()
    for identity, level in asked:
        assert identity not in full
        full |= {identity} if level is None else set()


def test_a_training_that_continues_costs_the_difference():
    search = multi(continues=True)
    architectures = search.ask()
    search.tell(architectures, SHORT[SPACE.genotypes(architectures) @ PLACES], 1.0)
    search.ask()
    costs = search._costs(1)
    rows = search._pool.locate(SPACE.fingerprint(SPACE.genotypes(architectures)))
    assert set(costs[rows]) == {19.0}
    assert set(np.delete(costs, rows)) == {20.0}
    assert search.describe()["continues"] is True


def test_resources_of_the_command_line():
    search = weaknas.get_strategy("multi-fidelity", SPACE, resources="1+20")
    assert search.fidelities == (1.0, None)
    assert search.describe() == multi().describe()
    assert weaknas.get_strategy("hyperband", SPACE, resources="1+3+9").fidelities == (1, 3, None)


def test_what_cannot_be_used_is_one_line():
    with pytest.raises(InputError, match="MultiFidelity has no default resources for the space"):
        MultiFidelity(SPACE)
    with pytest.raises(InputError, match="resources must ascend"):
        MultiFidelity(SPACE, resources=[20, 1])
    with pytest.raises(InputError, match=r"numbers joined by \+, such as 3\+9\+27; 'x' is none"):
        MultiFidelity(SPACE, resources="1+x")
    with pytest.raises(InputError, match="initial must be at least 1"):
        multi(initial=0)
    with pytest.raises(InputError, match="asks for the fidelity 2, where the evaluator has 1"):
        weaknas.run(MultiFidelity(SPACE, resources=[2, 20]), Judge(), 3)


def test_a_space_that_cannot_be_listed():
    space = ChoiceSpace({f"x{i}": list(range(8)) for i in range(12)}, name="huge")

    def score(architecture):
        return -float(np.square(np.array(architecture.genotype) - 3).sum())

    class Sums:
        fidelities = (1.0,)

        def evaluate(self, architecture, *, seed, fidelity=None):
            blur = 0 if fidelity is None else 10 * math.sin(seed)
            return Evaluation(score(architecture) + blur, cost=fidelity or 4.0)

        def describe(self):
            return {}

    search = MultiFidelity(space, resources=(1.0, 4.0), batch_size=5, seed=0)
    result = weaknas.run(search, Sums(), 60)
    levels = {trial.evaluation.fidelity for trial in result.trials}
    assert levels == {1.0, None}
    random = [score(one) for one in space.architectures(space.sample(60, np.random.default_rng(1)))]
    assert result.best.score > max(random)


@pytest.mark.slow
def test_trainings_are_continued(tmp_path):
    pytest.importorskip("torch")
    space = weaknas.get_space("nasbench201")
    judge = TrainEvaluator(space, epochs=2, fraction=0.1, channels=2, cells=1)
    search = MultiFidelity(space, resources=(1, 2), continues=True, initial=5, batch_size=1)
    result = weaknas.run(search, judge, 9, output=tmp_path)
    epochs = {}
    for trial in result.trials:
        epochs.setdefault(trial.architecture.id, []).append(trial.evaluation)
    again = [each for each in epochs.values() if len(each) == 2]
    assert again
    for short, full in again:
        assert (short.fidelity, full.fidelity) == (1.0, None)
        assert full.metrics["accuracy@1"] == short.metrics["accuracy@1"]


@pytest.mark.parametrize("failing", ["short", "full", "both"])
def test_a_fidelity_at_which_everything_fails_is_done_without(failing):
    """All three architectures are asked for at both: nothing else is left, and nothing breaks."""
    space = ChoiceSpace({"width": [1, 2, 3, 4, 5, 6]}, name="small")

    class Failing(Judge):
        def evaluate(self, architecture, *, seed, fidelity=None):
            if failing in ("both", "full" if fidelity is None else "short"):
                return Evaluation.failed("out of memory", cost=fidelity or RESOURCES[-1])
            return Evaluation(float(architecture.genotype[0]), cost=fidelity or RESOURCES[-1])

    search = MultiFidelity(space, resources=RESOURCES, seed=0)
    result = weaknas.run(search, Failing(), budget_cost=1e6)
    asked = [(trial.evaluation.fidelity, trial.architecture.id) for trial in result.trials]
    assert len(asked) == len(set(asked))
    full = [trial for trial in result.trials if trial.evaluation.fidelity is None]
    assert len(full) == 6
    if failing == "short":
        assert result.best.score == 5
