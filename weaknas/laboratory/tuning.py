"""Hyperparameters of predictors, found by Optuna on a table or on the trials of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from weaknas.components import fresh_predictor, run_seed
from weaknas.errors import MOST_AT_ONCE, InputError, check_seed, check_whole, unknown
from weaknas.files import cache_folder, checksum, differences, lock, plain, prepare_folder
from weaknas.laboratory.predictor_config import PredictorConfig
from weaknas.laboratory.statistics import bootstrap_interval, kendall_tau
from weaknas.laboratory.tuning_data import Data
from weaknas.laboratory.workers import one_line
from weaknas.predictors.regressor import predict_mean
from weaknas.registry import PREDICTORS, get_predictor
from weaknas.search.targets import get_transform

Objective: TypeAlias = Literal["kendall-tau", "regret"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
Progress: TypeAlias = Callable[[Study, FrozenTrial], None]

#: Attributes of trials: why one failed, and of which one it is a repetition.
_ERROR, _AGAIN = "error", "weaknas:again"

_TREES = {
    "n_estimators": IntDistribution(50, 400, log=True),
    "learning_rate": FloatDistribution(0.02, 0.4, log=True),
}
_LAYERS = CategoricalDistribution(("32", "64", "128", "64,64", "128,128", "64,64,64"))
_DESCENT = {
    "steps": IntDistribution(50, 400, log=True),
    "batch_size": CategoricalDistribution((16, 32, 64)),
    "learning_rate": FloatDistribution(1e-3, 3e-2, log=True),
    "weight_decay": FloatDistribution(1e-4, 1.0, log=True),
}
_LOSS = {
    "loss": CategoricalDistribution(("squared", "hinge", "logistic")),
    "top": FloatDistribution(0.0, 2.0),
}
_GRAPHS = _DESCENT | {
    "hidden": CategoricalDistribution((16, 32, 64)),
    "layers": IntDistribution(1, 4),
}
#: What is tuned of each predictor; all else stays as it is.
HYPERPARAMETERS: Mapping[str, Mapping[str, BaseDistribution]] = {
    "xgboost": _TREES
    | {
        "max_depth": IntDistribution(2, 10),
        "subsample": FloatDistribution(0.4, 1.0),
        "colsample": FloatDistribution(0.03, 1.0, log=True),
        "min_child_weight": FloatDistribution(1.0, 10.0, log=True),
    },
    "xgboost-ranking": _TREES
    | {"max_depth": IntDistribution(2, 8), "pairs": IntDistribution(2, 16, log=True)},
    "histogram-boosting": _TREES
    | {
        "max_leaf_nodes": IntDistribution(2, 31, log=True),
        "min_samples_leaf": IntDistribution(1, 10),
        "max_features": FloatDistribution(0.03, 1.0, log=True),
    },
    "random-forest": {
        "n_estimators": IntDistribution(50, 400, log=True),
        "max_depth": IntDistribution(3, 30, log=True),
    },
    "extra-trees": {
        "n_estimators": IntDistribution(50, 400, log=True),
        "max_features": FloatDistribution(0.03, 1.0, log=True),
        "max_depth": IntDistribution(3, 30, log=True),
    },
    "mlp": {
        "hidden": _LAYERS,
        "max_iter": IntDistribution(50, 500, log=True),
        "learning_rate": FloatDistribution(3e-4, 3e-2, log=True),
    },
    "bayesian-last-layer": {
        "hidden": CategoricalDistribution(("32", "64,16", "64,32", "128,32")),
        "max_iter": IntDistribution(50, 500, log=True),
        "learning_rate": FloatDistribution(3e-4, 3e-2, log=True),
    },
    "deep-ensemble": _DESCENT | _LOSS | {"hidden": _LAYERS},
    "gcn": _GRAPHS | _LOSS,
    "graph-transformer": _GRAPHS | _LOSS | {"heads": CategoricalDistribution((1, 2, 4, 8))},
    "pairwise-relation": _GRAPHS
    | {"top": _LOSS["top"], "rivals": IntDistribution(8, 64, log=True)},
    "svr": {
        "C": FloatDistribution(0.1, 100.0, log=True),
        "epsilon": FloatDistribution(0.01, 0.5, log=True),
        "gamma": FloatDistribution(0.01, 4.0, log=True),
    },
    "kernel-ridge": {
        "alpha": FloatDistribution(1e-3, 10.0, log=True),
        "kernel": CategoricalDistribution(("laplacian", "rbf")),
        "gamma": FloatDistribution(0.05, 10.0, log=True),
    },
    "nearest-neighbors": {"neighbors": IntDistribution(1, 32, log=True)},
}


def hyperparameters(predictor: str) -> Mapping[str, BaseDistribution]:
    """Return what is tuned of a predictor.

    Raises
    ------
    InputError
        When the predictor is unknown or nothing of it is tuned.
    """
    if predictor not in PREDICTORS.names():
        raise unknown("predictor", predictor, PREDICTORS.names())
    if predictor not in HYPERPARAMETERS:
        raise InputError(
            f"the predictor {predictor!r} has no hyperparameters to tune"
            f" (those that have: {', '.join(sorted(HYPERPARAMETERS))})"
        )
    return HYPERPARAMETERS[predictor]


@dataclass(frozen=True)
class Tuning:
    """What is tuned and how it is judged.

    Parameters
    ----------
    predictor : str
    data : Data
    objective : {"kendall-tau", "regret"}
        Kendall's tau-b of the ranking, or the best true score minus that of the best
        among the `top` first.
    encoder : str, optional
        As given to `data`, for the record.
    splits : int
        By whose mean a setting is judged; the same for all settings.
    top : int
    targets : str
        What is fitted, see `weaknas.search.targets`.
    seed : int
        Of predictors and of Optuna.

    Raises
    ------
    InputError
        When nothing of the predictor is tuned, or a name or number is out of range.
    """

    predictor: str
    data: Data
    objective: Objective = "kendall-tau"
    encoder: str | None = None
    splits: int = 5
    top: int = 10
    targets: str = "rank-normal"
    seed: int = 0

    def __post_init__(self) -> None:
        hyperparameters(self.predictor)
        if self.objective not in OBJECTIVES:
            raise unknown("objective", self.objective, OBJECTIVES)
        check_whole("splits", self.splits, most=MOST_AT_ONCE)
        check_whole("top", self.top)
        check_seed(self.seed)
        get_transform(self.targets)

    @property
    def maximizes(self) -> bool:
        """Whether larger is better."""
        return self.objective == "kendall-tau"

    def options(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of the predictor that parameters of a trial stand for."""
        return {name: _decoded(name, value) for name, value in params.items()}

    def measure(self, options: Mapping[str, Any], stream: int, number: int) -> float:
        """Return the objective on one split."""
        split, pool = self.data.split(stream, number), self.data.pool
        rng = np.random.default_rng([self.seed, stream, number])
        predictor = fresh_predictor(get_predictor(self.predictor, **options), pool.layout, rng)
        predictor.fit(pool.features[split.train], get_transform(self.targets)(split.labels))
        guess = predict_mean(predictor, pool.features[split.test])
        if self.maximizes:
            return kendall_tau(split.true, guess)
        leaders = np.argsort(-guess, kind="stable")[: self.top]
        return float(split.true.max() - split.true[leaders].max())

    def describe(self) -> dict[str, Any]:
        """Return what decides the values of a study, as plain JSON types."""
        space = hyperparameters(self.predictor)
        return {
            "predictor": self.predictor,
            "hyperparameters": {name: str(item) for name, item in space.items()},
            "data": self.data.describe(),
            "objective": self.objective,
            "encoder": self.encoder,
            "splits": self.splits,
            "top": self.top,
            "targets": self.targets,
            "seed": self.seed,
        }


def tune(
    tuning: Tuning,
    trials: int = 40,
    storage: Any = None,
    name: str | None = None,
    progress: Progress | None = None,
) -> Study:
    """Search for hyperparameters, or go on until a study has `trials` finished trials.

    By Optuna's TPE, the predictor's defaults first; settings that are below the
    median after the first splits are given up. A trial that was under way when a process
    ended is failed by the next call and tried again; so one process at a time may
    tune a study.

    Parameters
    ----------
    tuning : Tuning
    trials : int
        Those of an earlier call with the same storage and name included.
    storage : str or BaseStorage, optional
        Where the study is kept; default: in memory.
    name : str, optional
        Of the study; default: the predictor.
    progress : callable, optional
        Called with study and trial after every trial.

    Returns
    -------
    optuna.Study

    Raises
    ------
    InputError
        When the storage cannot be opened, its study is of another design, damaged or in
        use, or all trials failed.
    """
    check_whole("trials", trials)
    name = name or tuning.predictor
    with _alone(storage, name), _storage_errors(storage):
        study = _open(tuning, storage, name)
        _enqueue_lost(study)
        done = len(finished(study))
        if not done:
            study.enqueue_trial(_defaults(tuning), skip_if_exists=True)
        # Not the state of an earlier call, which is lost: a fresh stream for what is left.
        study.sampler = TPESampler(seed=run_seed(tuning.seed, done), multivariate=False)
        study.pruner = MedianPruner(n_startup_trials=5)
        if done < trials:
            callbacks = [] if progress is None else [progress]
            objective = partial(_objective, tuning)
            study.optimize(
                objective, n_trials=trials - done, catch=(Exception,), callbacks=callbacks
            )
        ended = finished(study)
    if all(trial.state == TrialState.FAIL for trial in ended):
        raise InputError(f"all trials failed, the first by {ended[0].user_attrs[_ERROR]}")
    return study


def finished(study: Study) -> list[FrozenTrial]:
    """Return the trials that came to an end of their own, not by that of their process."""
    trials = study.get_trials(deepcopy=False)
    return [t for t in trials if t.state.is_finished() and not _is_lost(t)]


@dataclass(frozen=True)
class Comparison:
    """Default and tuned options on fresh splits, each mean with its 95 % interval.

    Parameters
    ----------
    default, tuned : list of float
        The objective on each split, the same splits for both.
    maximizes : bool
    """

    default: list[float]
    tuned: list[float]
    maximizes: bool

    def to_dict(self) -> dict[str, Any]:
        """Return means and intervals, those of the paired improvement too, as JSON types."""
        sign = 1.0 if self.maximizes else -1.0
        gain = sign * (np.array(self.tuned) - np.array(self.default))
        named = {"default": self.default, "tuned": self.tuned, "improvement": gain}
        return {"splits": len(gain)} | {
            name: {"mean": float(np.mean(values)), "ci95": list(bootstrap_interval(values))}
            for name, values in named.items()
        }


def compare_on_fresh_splits(
    tuning: Tuning, options: Mapping[str, Any], splits: int = 20
) -> Comparison:
    """Measure default and tuned options on splits that the tuning did not see.

    On the trials of a run the splits are new, the trials the same: the interval then
    says nothing of other runs.
    """
    numbers = range(splits)
    return Comparison(
        [tuning.measure({}, 1, number) for number in numbers],
        [tuning.measure(options, 1, number) for number in numbers],
        tuning.maximizes,
    )


def best_config(tuning: Tuning, study: Study, made: Mapping[str, Any]) -> PredictorConfig:
    """Return the best setting of a study as a configuration that searches accept."""
    options = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in tuning.options(study.best_params).items()
    }
    return PredictorConfig(tuning.predictor, options, tuning.encoder, made)


# -- inside -----------------------------------------------------------------------------------


def _objective(tuning: Tuning, trial: optuna.Trial) -> float:
    space = hyperparameters(tuning.predictor)
    options = tuning.options({name: _suggest(trial, name, space[name]) for name in space})
    values: list[float] = []
    try:
        for number in range(tuning.splits):
            values.append(tuning.measure(options, 0, number))
            trial.report(float(np.mean(values)), number)
            if trial.should_prune():
                raise optuna.TrialPruned
    except optuna.TrialPruned:
        raise
    except Exception as error:
        trial.set_user_attr(_ERROR, one_line(error))
        raise
    return float(np.mean(values))


def _is_lost(trial: FrozenTrial) -> bool:
    """Tell whether the process ended while it measured a trial."""
    is_interrupted = trial.state == TrialState.FAIL and _ERROR not in trial.user_attrs
    return trial.state == TrialState.RUNNING or is_interrupted


def _enqueue_lost(study: Study) -> None:
    """Enqueue the settings that were under way when a process ended, and fail these trials."""
    trials = study.get_trials(deepcopy=False)
    again = {trial.user_attrs.get(_AGAIN) for trial in trials}
    for trial in trials:
        if _is_lost(trial) and trial.number not in again:
            study.enqueue_trial(trial.params, {_AGAIN: trial.number})
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)


@contextmanager
def _alone(storage: Any, name: str) -> Iterator[None]:
    """Keep other processes away from a study: what it has under way would pass for lost."""
    if not isinstance(storage, str):
        yield
        return
    scheme, _, file = storage.partition(":///")
    folder = cache_folder()
    if scheme.startswith("sqlite") and file:
        database = Path(file.partition("?")[0]).resolve()
        folder, storage = database.parent, str(database)
    if folder == cache_folder():
        prepare_folder(folder)
    with lock(folder / f"study-{checksum([storage, name])}", f"the study {name!r}"):
        yield


def _open(tuning: Tuning, storage: Any, name: str) -> Study:
    direction = StudyDirection.MAXIMIZE if tuning.maximizes else StudyDirection.MINIMIZE
    study = optuna.create_study(
        study_name=name, storage=storage, direction=direction, load_if_exists=True
    )
    ours = plain(tuning.describe())
    theirs = study.user_attrs.get("weaknas:tuning")
    if theirs is None and not study.trials:
        study.set_user_attr("weaknas:tuning", ours)
        return study
    for key, old, new in differences(theirs or {}, ours):
        raise InputError(
            f"the study {name!r} is there already with {key} = {old}, not {new};"
            " choose another name or the same settings"
        )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        measured = len(trial.intermediate_values)
        if measured != tuning.splits:
            raise InputError(
                f"the trial {trial.number} of the study {name!r} is damaged: it has the values"
                f" of {measured} splits, not of {tuning.splits}"
            )
    return study


@contextmanager
def _storage_errors(storage: Any) -> Iterator[None]:
    """Name the storage in what its database raises; trials raise nothing."""
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:  # of whichever database it is
        raise InputError(f"cannot use the Optuna storage {storage!r}: {one_line(error)}") from error


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)


def _defaults(tuning: Tuning) -> dict[str, Any]:
    """Return the predictor's own options, those that are within the bounds."""
    own = get_predictor(tuning.predictor).get_params()
    params = {}
    for name, distribution in hyperparameters(tuning.predictor).items():
        value = _encoded(own[name])
        if isinstance(distribution, CategoricalDistribution):
            inside = value in distribution.choices
        else:
            inside = value is not None and distribution._contains(value)
        if inside:
            params[name] = value
    return params


def _encoded(value: Any) -> Any:
    """Return layer sizes as the text that Optuna can store as a category."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else value


def _decoded(name: str, value: Any) -> Any:
    layers = name == "hidden" and isinstance(value, str)
    return tuple(map(int, value.split(","))) if layers else value
