"""WeakNAS as an Optuna sampler: what is promised beyond Optuna's contract of samplers."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

import weaknas
from weaknas.errors import InputError
from weaknas.optuna_bridge import sampler as optuna_sampler
from weaknas.optuna_bridge.memory import CLAIM, Proposer
from weaknas.optuna_bridge.space import (
    Parameters,
    distributions,
    suggest,
)
from weaknas.predictors.gaussian_process import GaussianProcessPool

ROOT = Path(__file__).resolve().parents[2]
CELLS = weaknas.get_space("nasbench201")
SMALL = weaknas.ChoiceSpace({"a": ["x", "y", "z"], "b": [1, 2, 4], "c": [True, False]})

optuna.logging.set_verbosity(optuna.logging.ERROR)
pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore:The distribution is specified by"),
]

# -- the search -------------------------------------------------------------------------


def study_of(sampler, direction="maximize", **options):
    return optuna.create_study(sampler=sampler, direction=direction, **options)


def cell_score(architecture):
    """Smooth in the decisions: convolutions are good, each edge with a weight of its own."""
    worth = np.array([0.0, 0.5, 0.8, 1.0, 0.3])
    return float(worth[list(architecture.genotype)] @ np.arange(1, 7))


def cell_objective(trial):
    return cell_score(suggest(trial, CELLS))


def plain_objective(trial):
    """The same without a space: six categorical parameters of other names."""
    worth = {"none": 0.0, "skip": 0.5, "c1": 0.8, "c3": 1.0, "pool": 0.3}
    return sum((i + 1) * worth[trial.suggest_categorical(f"edge{i}", worth)] for i in range(6))


@pytest.mark.parametrize("space", [CELLS, None], ids=["space", "plain"])
@pytest.mark.parametrize("sign", [1, -1], ids=["maximize", "minimize"])
def test_finds_the_best_of_15625_in_few_trials_without_repeats(space, sign):
    objective = cell_objective if space else plain_objective
    study = study_of(weaknas.WeakNASSampler(space, seed=0), "maximize" if sign == 1 else "minimize")
    study.optimize(lambda trial: sign * objective(trial), n_trials=40)
    assert abs(study.best_value) == pytest.approx(21.0)
    if space is None:
        identities = {tuple(sorted(t.params.items())) for t in study.trials}
    else:
        rows = [Parameters(CELLS, distributions(CELLS)).genotype(t.params) for t in study.trials]
        identities = set(CELLS.fingerprint(np.array(rows)).tolist())
    assert len(identities) == 40


def test_minimizes_a_smooth_function_of_numbers():
    def objective(trial):
        rate = trial.suggest_float("rate", 1e-5, 1, log=True)
        width = trial.suggest_int("width", 1, 64, log=True)
        kind = {"a": 2.0, "b": 0.0, "c": 1.0}[trial.suggest_categorical("kind", ["a", "b", "c"])]
        share = trial.suggest_float("share", 0, 1, step=0.05)
        bowl = (math.log10(rate) + 2.3) ** 2 + (math.log2(width) - 3.7) ** 2 / 4
        return 1e6 if rate > 0.3 else bowl + kind + 3 * (share - 0.35) ** 2

    study = study_of(weaknas.WeakNASSampler(seed=1), "minimize")
    study.optimize(objective, n_trials=40)
    assert study.best_value < 0.05


def test_same_seed_same_trials_and_other_seed_other_trials():
    def params(seed):
        study = study_of(weaknas.WeakNASSampler(CELLS, seed=seed))
        study.optimize(cell_objective, n_trials=12)
        return [trial.params for trial in study.trials]

    assert params(3) == params(3)
    assert params(3) != params(4)


def test_goes_on_after_pickling_without_repeating():
    study = study_of(weaknas.WeakNASSampler(CELLS, seed=0))
    study.optimize(cell_objective, n_trials=10)
    study.sampler = pickle.loads(pickle.dumps(study.sampler))  # noqa: S301
    study.optimize(cell_objective, n_trials=10)
    assert len({tuple(t.params.values()) for t in study.trials}) == 20


def test_one_sampler_serves_several_studies():
    sampler = weaknas.WeakNASSampler(SMALL, seed=0)
    first, second = study_of(sampler), study_of(sampler)
    for study in (first, second, first):
        study.optimize(lambda trial: suggest(trial, SMALL).genotype[0], n_trials=6)
    assert len({tuple(t.params.values()) for t in first.trials}) == 12


# -- what is learnt and what is avoided --------------------------------------------------


def add(study, params, space=SMALL, **options):
    study.add_trial(
        optuna.create_trial(params=params, distributions=distributions(space), **options)
    )


def learnt(study):
    """Genotypes and scores as the predictor gets them."""
    sampler = study.sampler
    study.ask(distributions(SMALL))
    genotypes, scores = sampler._proposer.history.genotypes, sampler._proposer.history.scores
    return {SMALL.format(row): score for row, score in zip(genotypes, scores, strict=True)}


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_pruned_trials_are_never_better_than_completed_ones(direction):
    sign = 1 if direction == "maximize" else -1
    study = study_of(weaknas.WeakNASSampler(SMALL, seed=0), direction)
    add(study, {"a": "x", "b": 1, "c": True}, value=sign * 5.0)
    add(study, {"a": "x", "b": 2, "c": True}, value=sign * 3.0)
    pruned = {"state": TrialState.PRUNED}
    add(study, {"a": "y", "b": 1, "c": True}, intermediate_values={0: 0, 1: sign * 9.0}, **pruned)
    add(study, {"a": "y", "b": 2, "c": True}, intermediate_values={0: 0, 7: sign * 1.0}, **pruned)
    add(study, {"a": "y", "b": 4, "c": True}, **pruned)
    add(study, {"a": "z", "b": 1, "c": True}, state=TrialState.FAIL)
    add(study, {"a": "z", "b": 2, "c": True}, value=-sign * math.inf)
    scores = learnt(study)
    assert list(scores.values())[:4] == [5.0, 3.0, 3.0, 1.0]
    assert all(math.isnan(score) for score in list(scores.values())[4:])
    assert len(scores) == 7


def test_failed_trials_are_not_repeated():
    def objective(trial):
        raise ValueError(suggest(trial, SMALL).text)

    study = study_of(weaknas.WeakNASSampler(SMALL, seed=0))
    study.optimize(objective, n_trials=18, catch=(ValueError,))
    assert len({tuple(t.params.values()) for t in study.trials}) == 18


def test_a_pruner_that_hides_trials_does_not_bring_repeats():
    def objective(trial):
        score = cell_objective(trial)
        for step in range(1, 10):
            trial.report(score * step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return score * 10

    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
    study = study_of(weaknas.WeakNASSampler(CELLS, seed=0), pruner=pruner)
    study.optimize(objective, n_trials=30)
    assert len({tuple(t.params.values()) for t in study.trials}) == 30
    assert {t.state for t in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}


def test_enqueued_and_running_trials_are_not_proposed():
    study = study_of(weaknas.WeakNASSampler(SMALL, seed=0))
    study.enqueue_trial({"a": "y", "b": 2, "c": False})
    waiting = study.ask(distributions(SMALL))  # runs the enqueued one
    study.enqueue_trial({"a": "z", "b": 4, "c": True})
    rest = [study.ask(distributions(SMALL)) for _ in range(17)]
    params = [tuple(trial.params.values()) for trial in (waiting, *rest)]
    assert params[0] == ("y", 2, False)
    assert params[1] == ("z", 4, True)
    assert len(set(params)) == 18


def test_what_runs_counts_as_queried_without_a_score(monkeypatch):
    space = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    study = study_of(weaknas.WeakNASSampler(space, seed=0), "minimize")
    for _ in range(20):
        trial = study.ask(space)
        study.tell(trial, math.sin(9 * trial.params["x"]) + math.cos(7 * trial.params["y"]))
    last: list[int] = []
    condition = GaussianProcessPool.condition

    def seen(model, rows):
        last[:] = [len(rows)]
        condition(model, rows)

    monkeypatch.setattr(GaussianProcessPool, "condition", seen)
    for running in range(4):
        study.ask(space)
        assert last == [running]


def test_a_finite_space_is_tried_to_the_end_and_the_study_stops():
    study = study_of(weaknas.WeakNASSampler(seed=0))
    study.optimize(
        lambda t: t.suggest_int("x", 0, 4) + t.suggest_categorical("y", [0, 9]), n_trials=50
    )
    assert sorted(tuple(t.params.values()) for t in study.trials) == [
        (x, y) for x in range(5) for y in (0, 9)
    ]


def test_asked_beyond_the_end_repeats_with_a_warning():
    study = study_of(weaknas.WeakNASSampler(SMALL, seed=0))
    for _ in range(SMALL.size):
        study.tell(study.ask(distributions(SMALL)), 1.0)
    with pytest.warns(UserWarning, match="all combinations of the parameters have been proposed"):
        extra = study.ask(distributions(SMALL))
    assert suggest(extra, SMALL)


# -- parameters that not all trials have ---------------------------------------------------


def test_conditional_parameters_fall_back_and_do_not_exhaust_the_rest():
    def objective(trial):
        if trial.suggest_categorical("deep", [True, False]):
            return trial.suggest_float("y", 0, 1)
        return -trial.suggest_float("z", 0, 1)

    study = study_of(weaknas.WeakNASSampler(seed=0))
    study.optimize(objective, n_trials=30)
    assert len(study.trials) == 30
    assert sum(t.params["deep"] for t in study.trials) > 18
    assert study.best_value > 0.9


class Recorder(optuna.samplers.RandomSampler):
    def __init__(self):
        super().__init__(seed=0)
        self.names = []

    def sample_independent(self, study, trial, param_name, param_distribution):
        self.names.append(param_name)
        return super().sample_independent(study, trial, param_name, param_distribution)


def test_the_independent_sampler_draws_what_is_not_common():
    def objective(trial):
        total = cell_objective(trial)
        return total + (trial.suggest_float("extra", 0, 1) if trial.number % 2 else 0.0)

    recorder = Recorder()
    study = study_of(weaknas.WeakNASSampler(CELLS, seed=0, independent_sampler=recorder))
    study.optimize(objective, n_trials=7)
    assert recorder.names == ["extra"] * 3


def test_conditions_of_a_space():
    space = weaknas.ChoiceSpace(
        {"op": ["skip", "conv"], "width": [8, 16, 32]}, conditions={"width": {"op": ["conv"]}}
    )

    def objective(trial):
        if trial.suggest_categorical("op", ["skip", "conv"]) == "skip":
            return 0
        return trial.suggest_categorical("width", [8, 16, 32])

    study = study_of(weaknas.WeakNASSampler(space, seed=0))
    study.optimize(objective, n_trials=20)
    assert sorted(t.value for t in study.trials) == [0, 8, 16, 32]


# -- wrong use ---------------------------------------------------------------------------------


def test_bad_options_are_refused():
    with pytest.raises(InputError, match=r"unknown predictor 'gpp'.*did you mean 'gp'"):
        weaknas.WeakNASSampler(CELLS, predictor="gpp")
    with pytest.raises(InputError, match="seed must be at least 0, not -1"):
        weaknas.WeakNASSampler(seed=-1)
    with pytest.raises(InputError, match="initial must be at least 1, not 0"):
        weaknas.WeakNASSampler(SMALL, initial=0)


def test_a_study_with_other_parameters_is_refused():
    study = study_of(weaknas.WeakNASSampler(SMALL, seed=0))
    study.add_trial(
        optuna.create_trial(
            params={"a": "x"}, distributions={"a": CategoricalDistribution(["x", "q"])}, value=1.0
        )
    )
    with pytest.raises(InputError, match=r"'a' of the study is .*'q'.*needs .*'x', 'y', 'z'"):
        study.ask(distributions(SMALL))


# -- no repeats between workers ------------------------------------------------------------------

WORKER = """
import sys, time
import optuna, weaknas
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from weaknas.optuna_bridge.space import suggest
optuna.logging.set_verbosity(optuna.logging.ERROR)
kind, path = sys.argv[1:]
storage = f"sqlite:///{path}" if kind == "sqlite" else JournalStorage(JournalFileBackend(path))
space = weaknas.ChoiceSpace({"a": ["x", "y", "z"], "b": [1, 2, 4, 8], "c": [True, False]})
study = optuna.load_study(
    study_name="both", storage=storage, sampler=weaknas.WeakNASSampler(space, seed=0)
)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(12):
    trial = study.ask()
    study.tell(trial, sum(suggest(trial, space).genotype))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_two_processes_on_one_storage_share_a_space_without_repeats(kind, tmp_path):
    """Twice twelve trials in a space of 24: every combination once, or there was a repeat."""
    path = tmp_path / "study"
    if kind == "sqlite":
        storage = f"sqlite:///{path}"
    else:
        backend = optuna.storages.journal.JournalFileBackend(str(path))
        storage = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(study_name="both", storage=storage, direction="maximize")
    command = [sys.executable, "-c", WORKER, kind, str(path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, env=environment, **pipes) for _ in range(2)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=300)
        assert worker.returncode == 0
    trials = study.get_trials()
    assert len(trials) == 24
    assert len({tuple(trial.params.values()) for trial in trials}) == 24


def test_threads_share_a_sampler_without_repeats():
    study = study_of(weaknas.WeakNASSampler(CELLS, seed=0))
    study.optimize(cell_objective, n_trials=24, n_jobs=4)
    rows = [Parameters(CELLS, distributions(CELLS)).genotype(t.params) for t in study.trials]
    assert len(set(CELLS.fingerprint(np.array(rows)).tolist())) == 24


def test_of_two_that_claim_the_same_at_once_the_earlier_keeps_it(monkeypatch):
    """Both propose before either has written: the race that locks would prevent."""
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name="race", storage=storage, direction="maximize")
    both, first = threading.Barrier(2), threading.local()
    real, look = Proposer.next, optuna_sampler._is_ours

    def tied(self, pending, rng):
        if not hasattr(first, "done"):
            first.done = True
            both.wait(timeout=120)
            return np.zeros(3, dtype=np.int16)
        return real(self, pending, rng)

    def looking(*arguments):
        if not hasattr(first, "looked"):
            first.looked = True
            both.wait(timeout=120)  # until both claims are written
        return look(*arguments)

    monkeypatch.setattr(Proposer, "next", tied)
    monkeypatch.setattr(optuna_sampler, "_is_ours", looking)
    trials = {}

    def work():
        sampler = weaknas.WeakNASSampler(SMALL, seed=0)
        study = optuna.load_study(study_name="race", storage=storage, sampler=sampler)
        trial = study.ask(distributions(SMALL))
        trials[trial.number] = trial.params

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    assert trials[0] == {"a": "x", "b": 1, "c": True}
    assert trials[1] != trials[0]


def test_the_earlier_gives_way_to_a_later_one_that_went_on(monkeypatch):
    monkeypatch.setattr(optuna_sampler, "_PATIENCE", 0.05)
    study = study_of(weaknas.WeakNASSampler(SMALL, seed=0))
    real, taken = Proposer.next, np.array([1, 1, 1], dtype=np.int16)
    earlier = study.ask()
    later = study.ask(distributions(SMALL))

    def late(self, pending, rng):
        monkeypatch.setattr(Proposer, "next", real)
        claim = self.claim(taken)  # written after the earlier one looked for claims
        study._storage.set_trial_system_attr(later._trial_id, CLAIM, claim)
        for name in later.params:  # as if it had not drawn its parameters yet
            study._storage.get_trial(later._trial_id).params.pop(name)
        return taken

    monkeypatch.setattr(Proposer, "next", late)
    drawn = suggest(earlier, SMALL)
    assert drawn.genotype != tuple(taken)
