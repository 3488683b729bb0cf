"""Runs as Optuna studies."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

import weaknas
from weaknas import cli
from weaknas.errors import InputError
from weaknas.optuna_bridge.export import to_study
from weaknas.optuna_bridge.memory import Proposer, StudyMemory
from weaknas.optuna_bridge.space import Parameters, distributions
from weaknas.runs.runner import Result
from weaknas.runs.trials import Trial, Trials
from weaknas.spaces import ConstrainedSpace

CELLS = weaknas.get_space("nasbench201")
SPACE = weaknas.ChoiceSpace(
    {"op": ["skip", "conv"], "width": [8, 16, 32]},
    name="mine",
    conditions={"width": {"op": ["conv"]}},
)
optuna.logging.set_verbosity(optuna.logging.ERROR)


def score(architecture):
    if "32" in architecture.text:
        raise MemoryError("too wide")
    return float(len(architecture.text))


def slow(architecture):
    time.sleep(0.01)
    return 1.0


@pytest.fixture
def run(tmp_path):
    """A run of all four architectures of a space, one of which fails."""
    search = weaknas.WeakNAS(SPACE, seed=0)
    return weaknas.run(search, score, budget=4, output=tmp_path / "first")


def test_states_values_parameters_and_attributes(run):
    study = to_study(run, space=SPACE)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.study_name == "first"
    assert len(study.trials) == 4
    for ours, theirs in zip(run.trials, study.trials, strict=True):
        assert theirs.user_attrs["architecture"] == ours.architecture.text
        assert theirs.user_attrs["id"] == ours.architecture.id
        assert theirs.params == SPACE.decode(ours.architecture)
        assert set(theirs.distributions) == set(theirs.params)
        if ours.is_ok:
            assert theirs.state == TrialState.COMPLETE
            assert theirs.value == ours.score
        else:
            assert theirs.state == TrialState.FAIL
            assert theirs.user_attrs["status"] == "out-of-memory"
            assert theirs.user_attrs["message"] == "MemoryError: too wide"
    assert study.best_trial.user_attrs["architecture"] == run.best.architecture.text


def test_a_folder_tells_its_own_space(run, tmp_path):
    study = to_study(run.output, f"sqlite:///{tmp_path}/studies.db", "other")
    params = [trial.params for trial in study.trials]
    assert params == [SPACE.decode(trial.architecture) for trial in run.trials]
    loaded = optuna.load_study(study_name="other", storage=f"sqlite:///{tmp_path}/studies.db")
    assert loaded.best_value == run.best.score
    assert loaded.user_attrs["weaknas"]["budget"] == 4


def test_values_have_the_types_that_the_space_had(tmp_path):
    """A journal keeps texts."""
    choices = {"a": [1, 2.5, "auto"], "b": [True, False], "c": [None, "x y"], "d": [1e-05, 7]}
    space = weaknas.ChoiceSpace(choices, name="mixed")
    search = weaknas.get_strategy("random", space, seed=0)
    result = weaknas.run(search, lambda a: 1.0, 12, output=tmp_path / "run")
    params = [trial.params for trial in to_study(tmp_path / "run").trials]
    expected = [space.decode(trial.architecture) for trial in result.trials]
    assert list(map(repr, params)) == list(map(repr, expected))


def test_times_are_those_of_the_journal(tmp_path):
    begin = datetime.now()
    weaknas.run(weaknas.WeakNAS(SPACE, seed=0), slow, budget=3, output=tmp_path / "run")
    end = datetime.now()
    time.sleep(0.02)
    trials = to_study(tmp_path / "run").trials
    for before, after in pairwise(trials):
        assert before.datetime_complete <= after.datetime_start + timedelta(milliseconds=2)
    assert begin - timedelta(milliseconds=2) <= trials[0].datetime_start
    assert trials[-1].datetime_complete <= end
    assert all(trial.duration >= timedelta(seconds=0.01) for trial in trials)


def test_a_study_follows_a_run(tmp_path):
    """At any moment of a run, of its continuation, and of failures that are tried again."""
    storage, folder, counts = optuna.storages.InMemoryStorage(), tmp_path / "run", []

    def watched(architecture):
        counts.append(len(to_study(folder, storage).trials))
        return score(architecture)

    def search(budget, **options):
        strategy = weaknas.WeakNAS(SPACE, seed=0)
        weaknas.run(strategy, watched, budget, retries=0, output=folder, **options)

    search(3)
    assert counts == [0, 1, 2]
    search(4)
    assert counts == [0, 1, 2, 3]
    assert len(to_study(folder, storage).trials) == 4
    journal = (folder / "journal.jsonl").read_bytes()
    search(4, retry_failed=True)
    assert (folder / "journal.jsonl").read_bytes() != journal
    study = to_study(folder, storage)
    assert [trial.user_attrs["number"] for trial in study.trials[:4]] == [0, 1, 2, 3]
    assert len(study.trials) == 5
    assert study.user_attrs["weaknas"]["budget"] == 4
    stamps = [trial.datetime_complete for trial in study.trials]
    assert stamps == sorted(stamps)


def test_lower_fidelities_are_pruned_with_intermediate_values():
    rows = CELLS.architectures(CELLS.sample(3, np.random.default_rng(0)))
    told = [(1.0, 12.0), (2.0, None), (3.0, 200.0)]
    trials = [
        Trial(n, 0, rows[n], weaknas.Evaluation(value, fidelity=fidelity))
        for n, (value, fidelity) in enumerate(told)
    ]
    study = to_study(Result(Trials(tuple(trials)), None, 0.0, 0.0))
    assert [t.state.name for t in study.trials] == ["PRUNED", "COMPLETE", "PRUNED"]
    assert study.trials[0].intermediate_values == {12: 1.0}
    assert study.trials[2].intermediate_values == {200: 3.0}
    assert study.study_name == "weaknas"


def test_a_study_can_be_continued():
    benchmark = weaknas.get_benchmark("nasbench201", dataset="cifar100")
    done = weaknas.run(weaknas.WeakNAS(CELLS, seed=0), benchmark, budget=12)
    study = to_study(done)
    study.sampler = weaknas.WeakNASSampler(CELLS, seed=0)
    for _ in range(3):
        study.tell(study.ask(distributions(CELLS)), 1.0)
    parameters = Parameters(CELLS, distributions(CELLS))
    rows = np.array([parameters.genotype(trial.params) for trial in study.trials])
    assert len(set(CELLS.fingerprint(rows).tolist())) == 15


def test_repeats_are_trials_that_a_sampler_takes_for_repeats():
    def noisy(architecture, seed):
        return architecture.genotype[0] + seed % 3

    search = weaknas.get_strategy("random", CELLS, seed=0, confirm=3)
    result = weaknas.run(search, noisy, budget=12)
    study = to_study(result, space=CELLS)
    assert [t.user_attrs["repeat"] for t in study.trials] == [t.repeat for t in result.trials]
    assert [t.value for t in study.trials] == [t.score for t in result.trials]
    study.sampler = weaknas.WeakNASSampler(CELLS, seed=0)
    known = {tuple(trial.params.values()) for trial in study.trials}
    assert tuple(study.ask(distributions(CELLS)).params.values()) not in known
    proposer, memory = Proposer(Parameters(CELLS, distributions(CELLS)), {}), StudyMemory(study)
    memory.read()
    proposer.learn(memory)
    assert proposer.next([], np.random.default_rng(0)) is not None
    for name in ("fingerprints", "scores", "trainings"):
        assert np.array_equal(getattr(proposer.history, name), getattr(search.history, name))


def test_a_part_of_a_space_has_the_parameters_of_the_whole():
    part = ConstrainedSpace(CELLS, ["params<=0.5e6"])
    assert distributions(part) == distributions(CELLS)
    result = weaknas.run(weaknas.WeakNAS(part, seed=0), lambda a: 1.0, budget=5)
    assert len(to_study(result, space=part).trials) == 5


def test_what_cannot_be_exported_is_refused(run, tmp_path):
    with pytest.raises(InputError, match=r"holds no journal of a search"):
        to_study(tmp_path)
    with pytest.raises(InputError, match="the space 'mine' of the run is not registered"):
        to_study(replace(run, output=None))
    with pytest.raises(InputError, match="the run has no trial"):
        to_study(replace(run, output=None, trials=Trials()))
    with pytest.raises(InputError, match="is of the space 'mine', not of 'nasbench201'"):
        to_study(run, space=CELLS)
    with pytest.raises(InputError, match="cannot open the Optuna storage 'nowhere'"):
        to_study(run, "nowhere", space=SPACE)
    url = f"sqlite:///{tmp_path}/studies.db"
    to_study(run, url, space=SPACE)
    other = weaknas.run(weaknas.WeakNAS(SPACE, seed=1), score, 4, output=tmp_path / "other")
    with pytest.raises(InputError, match="has a study 'first' already, not of this run; choose"):
        to_study(other, url, "first")


def test_an_export_that_was_killed_is_completed(run, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/studies.db"
    add, trials = optuna.study.Study.add_trials, []

    def killed(self, made):
        add(self, made[:2])
        raise KeyboardInterrupt

    monkeypatch.setattr(optuna.study.Study, "add_trials", killed)
    for expected in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            to_study(run.output, url)
        trials = optuna.load_study(study_name="first", storage=url).trials
        assert len(trials) == expected
    monkeypatch.undo()
    whole = to_study(run.output).trials
    assert [(t.params, t.values) for t in trials] == [(t.params, t.values) for t in whole]
    assert len(to_study(run.output, url).trials) == 4
    optuna.create_study(study_name="other", storage=url)  # of somebody else, and empty
    with pytest.raises(InputError, match="has a study 'other' already"):
        to_study(run.output, url, "other")


def test_command(run, tmp_path, capsys):
    url = f"sqlite:///{tmp_path}/studies.db"
    with pytest.raises(SystemExit) as end:
        cli.main(["export-study", str(run.output), "--storage", url, "--json"])
    assert end.value.code == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed == {"study": "first", "storage": url, "trials": 4}
    assert len(optuna.load_study(study_name="first", storage=url).trials) == 4


def test_command_follows_until_the_budget_is_spent(tmp_path, capsys):
    url, folder = f"sqlite:///{tmp_path}/studies.db", tmp_path / "run"
    followed = threading.Event()

    def watched(architecture):
        if folder.exists() and (folder / "status.json").exists() and not following.is_alive():
            following.start()
        if following.is_alive():
            assert followed.wait(30)
        return 1.0

    def follow():
        followed.set()
        arguments = ["export-study", str(folder), "--storage", url, "--follow", "--every", "0.01"]
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        assert end.value.code == 0

    following = threading.Thread(target=follow)
    weaknas.run(weaknas.WeakNAS(SPACE, seed=0), watched, 4, output=folder)
    following.join(30)
    assert not following.is_alive()
    assert "4 trials in the study 'run'" in capsys.readouterr().out
