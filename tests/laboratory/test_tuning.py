"""Tuning of predictors, and the file that hands the result to a search."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from scipy.stats import kendalltau

import weaknas
from weaknas import cli
from weaknas.commands import tune as tune_command
from weaknas.errors import InputError
from weaknas.files import lock
from weaknas.laboratory import tuning
from weaknas.laboratory.predictor_config import PredictorConfig
from weaknas.laboratory.tuning import (
    HYPERPARAMETERS,
    Comparison,
    Tuning,
    best_config,
    compare_on_fresh_splits,
    tune,
)
from weaknas.laboratory.tuning_data import RunData, Split, TableData
from weaknas.predictors._graphs import GraphLayout
from weaknas.predictors._torch_predictor import TorchPredictor
from weaknas.registry import PREDICTORS, get_predictor

SPACE = weaknas.ChoiceSpace({f"p{i}": ["a", "b", "c", "d"] for i in range(4)}, name="toy")
optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture(scope="module")
def benchmark():
    """Additive scores with noise of three trainings."""
    rows = SPACE.enumerate()
    rng = np.random.default_rng(0)
    clean = rows @ np.array([1.0, 0.5, 0.3, 0.1])
    table = {
        SPACE.format(row): {"score": list(value + rng.normal(0, 0.3, 3))}
        for row, value in zip(rows, clean, strict=True)
    }
    return weaknas.TabularBenchmark(SPACE, table)


@pytest.fixture(scope="module")
def data(benchmark):
    return TableData(benchmark, train_size=40, test_size=100)


@pytest.fixture
def finished(tmp_path, benchmark):
    search = weaknas.WeakNAS(SPACE, seed=0, repeats="never")
    weaknas.run(search, benchmark, budget=30, output=tmp_path / "run")
    return tmp_path / "run"


# -- splits ---------------------------------------------------------------------------------


def test_table_splits_keep_training_and_test_apart_and_show_one_training(data, benchmark):
    genotypes = data.pool.genotypes
    seen = []
    for stream in (0, 1):
        for number in range(3):
            split = data.split(stream, number)
            assert len(split.train) == 40
            assert len(split.test) == 100
            assert not set(split.train) & set(split.test)
            np.testing.assert_array_equal(split.true, benchmark.true_scores(genotypes[split.test]))
            off = split.labels - benchmark.true_scores(genotypes[split.train])
            assert 0.1 < off.std() < 0.5
            seen.append(tuple(split.train))
    assert len(set(seen)) == 6
    np.testing.assert_array_equal(data.split(1, 2).labels, data.split(1, 2).labels)


def test_folds_of_a_run_hold_every_trial_once(finished):
    data = RunData(finished, SPACE, folds=5)
    for start in (0, 5):
        splits = [data.split(0, start + fold) for fold in range(5)]
        tested = np.concatenate([split.test for split in splits])
        assert sorted(tested) == sorted(data._rows)
        for split in splits:
            assert sorted([*split.train, *split.test]) == sorted(data._rows)
    scores = {r["architecture"]["text"]: r["score"] for r in _records(finished)}
    split = data.split(0, 0)
    texts = [SPACE.format(row) for row in data.pool.genotypes[split.test]]
    np.testing.assert_array_equal(split.true, [scores[text] for text in texts])


def _records(folder):
    lines = (folder / "journal.jsonl").read_text().splitlines()[1:]
    return [json.loads(line) for line in lines]


# -- measuring -----------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", tuning.OBJECTIVES)
def test_objectives_against_their_definitions(data, objective):
    made = Tuning("nearest-neighbors", data, objective, top=5)
    split: Split = data.split(0, 1)
    model = get_predictor("nearest-neighbors", neighbors=3)
    ranks = weaknas.search.targets.get_transform("rank-normal")(split.labels)
    guess = model.fit(data.pool.features[split.train], ranks).predict(
        data.pool.features[split.test]
    )
    if objective == "kendall-tau":
        expected = kendalltau(split.true, guess).statistic
    else:
        best = sorted(zip(-guess, range(100), split.true, strict=True))[:5]
        expected = split.true.max() - max(true for *_, true in best)
    assert made.measure({"neighbors": 3}, 0, 1) == pytest.approx(expected)


@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_declared_hyperparameters_are_the_predictors_own(name, data):
    assert name in weaknas.list_predictors()
    if issubclass(PREDICTORS.load(name), TorchPredictor):
        pytest.importorskip("torch", reason="torch is not installed")
    made = Tuning(name, data, splits=1)
    assert set(HYPERPARAMETERS[name]) <= set(get_predictor(name).get_params())
    space = HYPERPARAMETERS[name]
    lows = {k: getattr(d, "choices", None) or [d.low] for k, d in space.items()}
    for params in ({k: v[0] for k, v in lows.items()}, {k: v[-1] for k, v in lows.items()}):
        options = made.options(params)
        PredictorConfig(name, options).build()
        assert -1 <= made.measure(options, 0, 0) <= 1


def test_graph_predictors_are_tuned_on_graphs():
    pytest.importorskip("torch", reason="torch is not installed")
    for name, nodes in [("gcn", 8), ("svr", 0)]:
        data = tune_command._data(name, "nasbench201", tune_command.Options(output=Path("unused")))
        assert GraphLayout.of(data.pool.features).nodes == nodes


# -- the search ---------------------------------------------------------------------------------


def test_defaults_come_first_and_the_best_is_at_least_as_good(data):
    made = Tuning("kernel-ridge", data, splits=2)
    study = tune(made, 12)
    assert study.trials[0].params == {"alpha": 0.1, "kernel": "laplacian", "gamma": 1.0}
    assert study.trials[0].value == pytest.approx(
        np.mean([made.measure({}, 0, number) for number in range(2)])
    )
    assert study.best_value >= study.trials[0].value
    assert study.best_value == pytest.approx(
        np.mean([made.measure(study.best_params, 0, number) for number in range(2)])
    )


def test_tuning_finds_what_is_plainly_better(data):
    """A kernel that is far too narrow is left behind, and on fresh splits too."""
    study = tune(Tuning("svr", data, splits=3), 25)
    bad, good = {"gamma": 4.0, "C": 100.0, "epsilon": 0.01}, study.best_params
    made = Tuning("svr", data, splits=3)
    gain = [made.measure(good, 1, n) - made.measure(bad, 1, n) for n in range(5)]
    assert min(gain) > 0
    summary = compare_on_fresh_splits(made, good, 5).to_dict()
    assert summary["splits"] == 5
    assert summary["improvement"]["mean"] == pytest.approx(
        summary["tuned"]["mean"] - summary["default"]["mean"]
    )


def test_regret_is_minimized_and_improvement_is_positive_when_it_falls(data):
    study = tune(Tuning("nearest-neighbors", data, "regret", splits=2, top=1), 6)
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert study.best_value == min(t.value for t in study.trials if t.state == TrialState.COMPLETE)
    improvement = Comparison([2.0, 3.0], [1.0, 1.0], False).to_dict()["improvement"]
    assert improvement["mean"] == 1.5


def test_goes_on_where_it_was_cut_short(data, tmp_path):
    storage = f"sqlite:///{tmp_path}/tuning.db"
    made = Tuning("nearest-neighbors", data, splits=2)
    first = [(t.params, t.value) for t in tune(made, 4, storage).trials]
    again = [(t.params, t.value) for t in tune(made, 7, storage).trials]
    assert len(again) == 7
    assert again[:4] == first
    assert len(tune(made, 7, storage).trials) == 7
    with pytest.raises(InputError, match=r"is there already with splits = 2, not 3"):
        tune(Tuning("nearest-neighbors", data, splits=3), 7, storage)


def test_what_was_under_way_when_its_process_ended_is_tried_again(data, tmp_path):
    """Killed, it is left running; interrupted, Optuna takes it for failed."""
    storage = f"sqlite:///{tmp_path}/tuning.db"
    made = Tuning("nearest-neighbors", data, splits=2)

    def interrupt(study, trial):
        if trial.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(made, 6, storage, progress=interrupt)
    study = optuna.load_study(study_name="nearest-neighbors", storage=storage)
    running, interrupted = study.ask(), study.ask()
    lost = [
        {"neighbors": trial.suggest_int("neighbors", 1, 32, log=True)}
        for trial in (running, interrupted)
    ]
    study.tell(interrupted, state=TrialState.FAIL)
    for _ in range(2):  # the second call finds nothing left to do
        study = tune(made, 6, storage)
        failed = [trial.state == TrialState.FAIL for trial in study.trials]
        assert failed == [False] * 3 + [True] * 2 + [False] * 3
        assert [trial.params for trial in study.trials[5:7]] == lost
        assert len(tuning.finished(study)) == 6


# In the second split of the second trial.
_KILLED = """
import os, signal, sys
from weaknas import cli
from weaknas.laboratory.tuning import Tuning

measure, calls = Tuning.measure, []

def killed(*arguments):
    calls.append(arguments)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(*arguments)

Tuning.measure = killed
cli.main(sys.argv[1:])
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_tuning_continues_after_a_kill(tmp_path, call):
    storage = f"sqlite:///{tmp_path}/tuning.db"
    command = ["tune", "nearest-neighbors", "nasbench201", "--trials", "4", "--splits", "2"]
    command += ["--checks", "0", "--storage", storage, "--output", str(tmp_path / "out.json")]
    script = [sys.executable, "-c", _KILLED, *command]
    assert subprocess.run(script, stderr=subprocess.DEVNULL).returncode == -signal.SIGKILL
    trials = optuna.load_study(study_name="nearest-neighbors", storage=storage).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    code, out, err = call(*command, "--json")
    assert code == 0, err
    assert json.loads(out.splitlines()[-1])["trials"] == 4
    again = optuna.load_study(study_name="nearest-neighbors", storage=storage).trials
    assert [t.state == TrialState.FAIL for t in again] == [False, True, False, False, False]
    assert again[2].params == trials[1].params
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "tuning.db"]


def test_a_study_or_file_in_use_is_refused(data, tmp_path, call):
    storage = f"sqlite:///{tmp_path}/tuning.db"
    made = Tuning("nearest-neighbors", data, splits=1)
    told = []

    def second(study, trial):
        with pytest.raises(InputError, match="the study 'mine' is in use by another process"):
            tune(made, 2, f"sqlite:///{tmp_path}/../{tmp_path.name}/tuning.db", "mine")
        told.append(trial)

    tune(made, 2, storage, "mine", progress=second)
    assert len(told) == 2
    tune(made, 2, storage, "other")
    command = ["tune", "nearest-neighbors", "nasbench201", "--output", tmp_path / "out.json"]
    with lock(tmp_path / "out.json"):
        code, _, err = call(*command)
    assert (code, "out.json is in use" in err) == (2, True)


def test_a_damaged_study_is_told(data, tmp_path):
    made = Tuning("nearest-neighbors", data, splits=2)
    path = tmp_path / "tuning.db"
    tune(made, 2, f"sqlite:///{path}")
    whole = path.read_bytes()
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM trial_intermediate_values WHERE trial_id = 2 AND step = 1")
        database.commit()
    with pytest.raises(InputError, match=r"the trial 1 .* is damaged: .* of 1 split"):
        tune(made, 3, f"sqlite:///{path}")
    rng = np.random.default_rng(0)
    for _ in range(20):
        damaged = bytearray(whole)
        place = rng.integers(len(whole) - 4096)
        damaged[place : place + 4096] = rng.bytes(4096)
        path.write_bytes(damaged)
        with suppress(InputError):
            tune(made, 2, f"sqlite:///{path}")


def test_failures_are_kept_and_reported(data, monkeypatch):
    def fail(self, options, stream, number):
        raise ValueError("no good")

    monkeypatch.setattr(Tuning, "measure", fail)
    with pytest.raises(InputError, match="all trials failed, the first by ValueError: no good"):
        tune(Tuning("svr", data), 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: Tuning("gp", d), r"'gp' has no hyperparameters to tune \(those that have"),
        (lambda d: Tuning("xgbost", d), r"unknown predictor 'xgbost'; did you mean 'xgboost'"),
        (lambda d: Tuning("svr", d, "tau"), r"unknown objective 'tau'"),
        (lambda d: Tuning("svr", d, splits=0), r"must be at least 1, not 0"),
        (lambda d: tune(Tuning("svr", d), 0), r"trials must be at least 1, not 0"),
        (
            lambda d: tune(Tuning("svr", d), 1, "nowhere"),
            r"the Optuna storage 'nowhere'",
        ),
        (lambda d: TableData(d.benchmark, train_size=250), r"must be at most 246, not 250"),
    ],
)
def test_wrong_use_is_refused(data, make, message):
    with pytest.raises(InputError, match=message):
        make(data)


# -- the file -----------------------------------------------------------------------------------


def test_config_there_and_back(data, tmp_path):
    made = Tuning("mlp", data, encoder="one-hot", splits=1)
    study = optuna.create_study(direction="maximize")
    params = {"hidden": "64,64,64", "max_iter": 50, "learning_rate": 0.01}
    study.add_trial(
        optuna.create_trial(params=params, distributions=HYPERPARAMETERS["mlp"], value=0.5)
    )
    best_config(made, study, {"by": "hand"}).write(tmp_path / "mlp.json")
    read = PredictorConfig.read(tmp_path / "mlp.json")
    built = read.build()
    assert (built.hidden, built.max_iter, built.learning_rate) == ((64, 64, 64), 50, 0.01)
    assert read.encoder == "one-hot"
    assert read.made == {"by": "hand"}


FILE = '{"weaknas_predictor": 1, "predictor": "svr", "made": {}, %s}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("{", "is damaged: Expecting"),
        ("{}", "is no file of a predictor of format 1"),
        ('{"weaknas_predictor": 1, "predictor": "svr"}', "is damaged: options is None"),
        (FILE % '"options": [["C", 1]]', "is damaged: options is"),
        (FILE % '"options": {}, "encoder": 5', "is damaged: encoder is 5"),
        (FILE % '"options": {}, "predictor": null', "is damaged: predictor is None"),
        (FILE % ('"options": ' + "[" * 100_000), "is damaged: it is nested too deeply"),
        (FILE % ('"options": ' + "[" * 300 + "]" * 300), "nested more than 100 deep"),
        (FILE % ('"options": {}, "made": ' + "1" * 5000), "is damaged: Exceeds the limit"),
    ],
    ids=itertools.count(),
)
def test_other_files_are_refused(content, message, tmp_path):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        PredictorConfig.read(path)


def test_unknown_options_are_refused():
    with pytest.raises(InputError, match=r"unknown option of the predictor 'svr': 'c'"):
        PredictorConfig("svr", {"c": 1.0}).build()


# -- the commands --------------------------------------------------------------------------------


@pytest.fixture
def call(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main([str(argument) for argument in arguments])
        return caught.value.code, *capsys.readouterr()

    return run


def test_tune_then_search_with_the_result(call, tmp_path):
    path = tmp_path / "knn.json"
    common = ["--trials", 3, "--splits", 2, "--checks", 3, "--train-size", 40, "--json"]
    command = ["tune", "nearest-neighbors", "nasbench201", "--dataset", "cifar100", *common]
    code, out, err = call(*command, "--output", path, "--encoder", "one-hot")
    assert code == 0, err
    summary = json.loads(out.splitlines()[-1])
    assert summary["trials"] == 3
    assert summary["fresh"]["splits"] == 3
    config = PredictorConfig.read(path)
    assert dict(config.options) == summary["options"]
    assert config.made["design"]["data"]["train_size"] == 40
    search = ["search", "nasbench201", "--budget", 8, "--predictor-config", path]
    code, out, err = call(*search, "--output", tmp_path / "run", "--json")
    assert code == 0, err
    header = json.loads((tmp_path / "run" / "journal.jsonl").read_text().splitlines()[0])
    parts = header["config"]["strategy"]
    assert parts["predictor"]["parameters"] == summary["options"]
    assert parts["encoder"]["name"] == "OneHotEncoder"
    code, _, err = call(*search, "--predictor", "gp")
    assert code == 2
    assert "exclude each other" in err


def test_tune_on_the_trials_of_a_run(call, tmp_path):
    run = tmp_path / "run"
    code, _, err = call("search", "--budget", 30, "--repeats", "never", "--output", run)
    assert code == 0, err
    command = ["tune", "nearest-neighbors", "nasbench201", "--run", tmp_path / "run"]
    options = ["--trials", 3, "--checks", 0, "--output", tmp_path / "knn.json"]
    code, out, err = call(*command, *options)
    assert code == 0, err
    assert "best of 3 trials: kendall-tau" in out
    made = PredictorConfig.read(tmp_path / "knn.json").made["design"]
    assert made["data"] == {"run": str(tmp_path / "run"), "seed": 0, "trials": 30, "folds": 5}


def test_mistakes_on_the_command_line_are_one_line(call, tmp_path):
    output = ["--output", tmp_path / "x.json"]
    for arguments, message in (
        (["tune", "gp", "nasbench201"], "'gp' has no hyperparameters to tune"),
        (["tune", "svr", "nasbench202"], "unknown space 'nasbench202'"),
        (["tune", "svr", "nasbench201", "--run", tmp_path], "holds no journal of a search"),
        (["tune", "svr", "nasbench201", "--checks", 1], "--checks must be 0 or at least 2"),
    ):
        code, _, err = call(*arguments, *output)
        assert code == 2
        assert message in err.splitlines()[-1]
        assert not (tmp_path / "x.json").exists()
