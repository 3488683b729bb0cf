"""What the Optuna sampler knows of a study, and what it proposes from it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from weaknas.errors import InputError
from weaknas.optuna_bridge.space import ParameterEncoder, Parameters, ParameterSpace
from weaknas.search.candidates import GrownCandidates
from weaknas.search.pool import Pool
from weaknas.search.strategy import WeakNAS
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies import History

#: Attribute of a trial: the parameters it is about to have, in Optuna's internal form.
CLAIM = "weaknas:claim"

_LISTED = 20_000  # larger spaces of parameters are sampled anew for each trial


class StudyMemory:
    """The trials of one study, each finished one read once.

    Parameters
    ----------
    study : optuna.Study

    Attributes
    ----------
    finished : list of FrozenTrial
        In the order in which they were first seen finished.
    open : list of FrozenTrial
        Running and waiting ones, as of the last `read`.
    common : dict of str to distribution, or None
        The parameters that all completed and pruned trials have; None before there is one.
    """

    def __init__(self, study: Study) -> None:
        self._storage, self._study_id = study._storage, study._study_id
        self.sign = -1.0 if study.direction == StudyDirection.MINIMIZE else 1.0
        self.finished: list[FrozenTrial] = []
        self.open: list[FrozenTrial] = []
        self.common: dict[str, BaseDistribution] | None = None
        self._known: set[int] = set()

    def is_of(self, study: Study) -> bool:
        """Tell whether this is the memory of a study."""
        return self._storage is study._storage and self._study_id == study._study_id

    def read(self) -> None:
        """Read what is new in the storage.

        Not through the study: pruners hide trials from samplers (Hyperband shows
        those of one bracket), which would then be repeated.
        """
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        self.open = [trial for trial in trials if not trial.state.is_finished()]
        for trial in trials:
            if trial.state.is_finished() and trial.number not in self._known:
                self._known.add(trial.number)
                self.finished.append(trial)
                if trial.state != TrialState.FAIL:
                    self._intersect(trial.distributions)

    def check(self, distributions: Mapping[str, BaseDistribution]) -> None:
        """Refuse a study whose parameters have other distributions.

        Raises
        ------
        InputError
            When a parameter of the last trial has.
        """
        for trial in self.finished[-1:]:
            for name, distribution in distributions.items():
                if trial.distributions.get(name, distribution) != distribution:
                    raise InputError(
                        f"the parameter {name!r} of the study is {trial.distributions[name]};"
                        f" the search space needs {distribution}"
                    )

    def _intersect(self, new: Mapping[str, BaseDistribution]) -> None:
        common = new if self.common is None else self.common
        self.common = {name: item for name, item in common.items() if new.get(name) == item}


class Proposer(WeakNAS):
    """WeakNAS that learns from the trials of a study instead of being told.

    Parameters
    ----------
    parameters : Parameters
    options : mapping
        Of `WeakNAS`.
    """

    def __init__(self, parameters: Parameters, options: Mapping[str, Any]) -> None:
        space, given = parameters.space, dict(options)
        if isinstance(space, ParameterSpace):
            given["encoder"] = given.get("encoder") or ParameterEncoder(space)
            if space.has_numbers:  # among which scores change smoothly, and ranks do not
                given["targets"] = given.get("targets") or "compressed"
        super().__init__(space, batch_size=1, **given)
        self.parameters = parameters
        limited = isinstance(space, ParameterSpace) and space.size > _LISTED
        self._grown = None
        if limited or not space.is_listable:
            self._candidates = self._grown = _Grown(space, self.encoder)
        self._learnt = 0
        self._rows: list[Genotypes] = []
        self._values: list[float] = []
        self._complete: list[bool] = []
        #: Fingerprints of finished trials that have no other parameters.
        self.closed: set[int] = set()

    def learn(self, memory: StudyMemory) -> None:
        """Learn of the finished trials that are new."""
        for trial in memory.finished[self._learnt :]:
            row = self.parameters.genotype(trial.params)
            if row is not None:
                self._rows.append(row)
                self._values.append(memory.sign * _value(trial))
                self._complete.append(trial.state == TrialState.COMPLETE)
                if self._has_no_other(trial):
                    self.closed.add(self._code(row))
        self._learnt = len(memory.finished)

    def claims(self, trials: Iterable[FrozenTrial], but: FrozenTrial) -> dict[int, Genotypes]:
        """Return the genotypes of open trials, as far as they are known, by number."""
        rows = {
            trial.number: self.parameters.genotype(self._expected(trial))
            for trial in trials
            if trial.number != but.number
        }
        return {number: row for number, row in rows.items() if row is not None}

    def next(self, pending: Iterable[Genotypes], rng: np.random.Generator) -> Genotypes | None:
        """Return a new genotype, shape (d,); None if all were proposed."""
        self._rng = rng
        self.history = History(self.space)
        if self._rows:
            self.history.add(np.array(self._rows), self._scores())
        self._pending_rows = {self._code(row): row for row in pending}
        self._pending = Counter((None, code) for code in self._pending_rows)
        if self._grown is not None:
            self._grown.pending = self.pending
        self._seen.clear()
        self._seen.update(self.closed, self._pending_rows)
        asked = self.ask(1)
        return np.array(asked[0].genotype, dtype=self.space.genotype_dtype) if asked else None

    def claim(self, row: Genotypes) -> dict[str, float]:
        """Return the parameters of a genotype in Optuna's internal form."""
        params = self.parameters.params(row)
        return {
            name: distribution.to_internal_repr(params[name])
            for name, distribution in self.parameters.distributions.items()
        }

    def is_exhausted_by(self, trial: FrozenTrial) -> bool:
        """Tell whether nothing is left to propose after one more trial."""
        row = self.parameters.genotype(trial.params)
        if row is None or not self._has_no_other(trial) or not self.space.is_listable:
            return False
        return len(self.closed | {self._code(row)}) == self._n_architectures

    @property
    def _n_architectures(self) -> int:
        if isinstance(self.space, ParameterSpace):
            return self.space.size
        return len(self.space.architecture_fingerprints)

    def _scores(self) -> Any:
        """Values, shape (n,), pruned ones not above the worst of the completed."""
        values, complete = np.array(self._values), np.array(self._complete)
        whole = values[complete & np.isfinite(values)]
        if len(whole):
            values = np.where(complete, values, np.minimum(values, whole.min()))
        return np.where(np.isfinite(values), values, np.nan)

    def _code(self, row: Genotypes) -> int:
        return int(self.space.fingerprint(row[None])[0])

    def _expected(self, trial: FrozenTrial) -> dict[str, Any]:
        """Return the parameters that an open trial has or is about to have."""
        made = self.parameters.distributions
        claimed = {
            name: made[name].to_external_repr(value)
            for name, value in trial.system_attrs.get(CLAIM, {}).items()
            if name in made
        }
        return {**claimed, **trial.system_attrs.get("fixed_params", {}), **trial.params}

    def _has_no_other(self, trial: FrozenTrial) -> bool:
        """Tell whether no parameter of a trial is without influence on its genotype."""
        made = self.parameters.distributions
        return all(name in made or item.single() for name, item in trial.distributions.items())


class _Grown(GrownCandidates):
    """A grown pool that holds what is pending too, so that the predictor can condition on it."""

    def __init__(self, space: SearchSpace, encoder: Any) -> None:
        super().__init__(space, encoder)
        self.pending: Genotypes = np.empty((0, space.n_variables), dtype=space.genotype_dtype)

    def pool(self, history: History, rng: np.random.Generator) -> Pool:
        """Grow a pool around the best of the history."""
        proposed = History(self.space)
        proposed.add(history.genotypes, history.scores)
        proposed.add(self.pending, np.full(len(self.pending), np.nan))
        return super().pool(proposed, rng)


def _value(trial: FrozenTrial) -> float:
    """Return what a finished trial tells; a pruned one, the last intermediate value."""
    if trial.state == TrialState.COMPLETE:
        assert trial.value is not None  # says Optuna
        return trial.value
    if trial.state == TrialState.PRUNED and trial.last_step is not None:
        return trial.intermediate_values[trial.last_step]
    return math.nan
