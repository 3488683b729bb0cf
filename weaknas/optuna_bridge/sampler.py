"""WeakNAS as an Optuna sampler."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from weaknas.encoders import Transformer
from weaknas.errors import check_seed
from weaknas.optuna_bridge.memory import CLAIM, Proposer, StudyMemory
from weaknas.optuna_bridge.space import Parameters, ParameterSpace, distributions
from weaknas.predictors.regressor import Regressor
from weaknas.search.acquisition import Acquisition
from weaknas.spaces import Genotypes, SearchSpace

_PATIENCE = 1.0  # seconds that a trial waits for a later one to give way


class WeakNASSampler(BaseSampler):
    """WeakNAS in any Optuna study of one objective.

    A weak predictor, fitted to the finished trials, ranks all combinations of the
    parameters (or, in large spaces, a pool grown around the best), and the most
    promising one that no trial had before becomes the next trial.

    Which parameters: those of `space`, or, without it, those that all completed and
    pruned trials have in common. All others, and all parameters of a study without
    a finished trial, are drawn independently: by `independent_sampler`, or at
    random as long as there is nothing to learn from. Numbers are proposed on a
    grid, see `weaknas.optuna_bridge.space.ParameterSpace`.

    What is learnt: the value of completed trials; of pruned ones the last
    intermediate value or the worst of the completed, whichever is worse, for a
    trial that was cut short is no better than those that were not (Optuna's TPE
    ranks them in the same way); failed and infinite ones are avoided. Running
    trials, also of other processes, count as if their result were as predicted.

    No combination is proposed twice, isomorphic architectures counting as one, in
    any number of threads and processes on one storage: a trial first writes what
    it is about to try, then looks whether another one has written the same, and
    gives way to it. Trials whose parameters were not all proposed together are
    exempt. When all of a finite space has been tried, the study is stopped; trials
    asked for nonetheless repeat random combinations, with a warning.

    Parameters
    ----------
    space : SearchSpace or mapping of str to distribution, optional
        A search space, whose structure is then used: its parameters are those of
        `weaknas.optuna_bridge.space.distributions`, and `weaknas.optuna_bridge.space.suggest` draws
        them. Or distributions by name. Default: found from the trials.
    predictor, encoder, acquisition, initial, preset, targets : optional
        See `weaknas.WeakNAS`. The default encoder of parameters without a search
        space is `weaknas.optuna_bridge.space.ParameterEncoder`.
    seed : int, optional
        Default: different each time. Trials are drawn by seed and number, so that
        processes may share a seed.
    independent_sampler : optuna.samplers.BaseSampler, optional
        For parameters that not all trials have; default: Optuna's TPE.

    Raises
    ------
    InputError
        When an option is one that `WeakNAS` refuses; some of them at the first trial.
    ValueError
        From Optuna, when the study has several objectives.

    Examples
    --------
    >>> import optuna, weaknas
    >>> from weaknas.optuna_bridge.space import suggest
    >>> optuna.logging.set_verbosity(optuna.logging.ERROR)
    >>> space = weaknas.get_space("nasbench201")
    >>> benchmark = weaknas.get_benchmark("nasbench201", dataset="cifar100")
    >>> def objective(trial):
    ...     return benchmark.evaluate(suggest(trial, space), seed=0).score
    >>> sampler = weaknas.WeakNASSampler(space, seed=0)
    >>> study = optuna.create_study(direction="maximize", sampler=sampler)
    >>> study.optimize(objective, n_trials=12)
    """

    def __init__(
        self,
        space: SearchSpace | Mapping[str, BaseDistribution] | None = None,
        *,
        predictor: str | Regressor | None = None,
        encoder: str | Transformer | None = None,
        acquisition: str | Acquisition | None = None,
        initial: int | None = None,
        preset: str = "default",
        targets: str | None = None,
        seed: int | None = None,
        independent_sampler: BaseSampler | None = None,
    ) -> None:
        self._options = {
            "predictor": predictor,
            "encoder": encoder,
            "acquisition": acquisition,
            "initial": initial,
            "preset": preset,
            "targets": targets,
        }
        seed = None if seed is None else check_seed(seed)
        self._entropy = np.random.SeedSequence(seed).entropy
        self._independent = independent_sampler or TPESampler(seed=self._seed_of(-1, "tpe"))
        self._given: Parameters | None = None
        if isinstance(space, SearchSpace):
            self._given = Parameters(space, distributions(space))
        elif space is not None:
            self._given = _parameters(space)
        if self._given is not None:
            Proposer(self._given, self._options)  # refuses bad options now
        self._forget()

    # -- what Optuna calls --------------------------------------------------------

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that are proposed together."""
        self._raise_error_if_multi_objective(study)
        with self._lock:
            memory = self._recall(study)
            if self._given is not None:
                memory.check(self._given.distributions)
                return dict(self._given.distributions)
            common = memory.common or {}
        return {name: item for name, item in sorted(common.items()) if not item.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose one combination and claim it in the storage."""
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        with self._lock:
            memory = self._recall(study)
            proposer = self._proposer_for(search_space)
            while True:
                row, is_new = self._propose(proposer, memory, trial)
                study._storage.set_trial_system_attr(trial._trial_id, CLAIM, proposer.claim(row))
                if not is_new or _is_ours(proposer, memory, trial, row):
                    return proposer.parameters.params(row)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one parameter that is not proposed together with others."""
        self._raise_error_if_multi_objective(study)
        with self._lock:
            sampler = self._independent
            if self._recall(study).common is None:
                # by number of the trial: processes with the same seed must differ
                sampler = RandomSampler(self._seed_of(trial.number, param_name))
            return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Let the independent sampler prepare."""
        self._independent.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Stop the study when all of a finite space has been tried."""
        self._independent.after_trial(study, trial, state, values)
        with self._lock:
            if self._proposer is None:
                return
            self._proposer.learn(self._recall(study))
            if self._proposer.is_exhausted_by(trial):
                with contextlib.suppress(RuntimeError):  # asked and told, not optimized
                    study.stop()

    def reseed_rng(self) -> None:
        """Take another seed, as Optuna asks for in each thread of a parallel study."""
        self._entropy = np.random.SeedSequence().entropy
        self._independent.reseed_rng()

    # -- inside ---------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is rebuilt from the storage."""
        left_out = ("_lock", "_memory", "_proposer")
        return {name: value for name, value in vars(self).items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._memory: StudyMemory | None = None
        self._proposer: Proposer | None = None

    def _recall(self, study: Study) -> StudyMemory:
        """Return what is known of a study, up to date."""
        if self._memory is None or not self._memory.is_of(study):
            self._memory, self._proposer = StudyMemory(study), None
        self._memory.read()
        return self._memory

    def _proposer_for(self, search_space: dict[str, BaseDistribution]) -> Proposer:
        proposer = self._proposer
        if proposer is None or proposer.parameters.distributions != search_space:
            given = self._given
            if given is None or given.distributions != search_space:
                given = _parameters(search_space)
            self._proposer = proposer = Proposer(given, self._options)
        return proposer

    def _propose(
        self, proposer: Proposer, memory: StudyMemory, trial: FrozenTrial
    ) -> tuple[Genotypes, bool]:
        """Return a genotype, shape (d,), and whether it is new."""
        rng = np.random.default_rng(self._seed_of(trial.number, "relative"))
        proposer.learn(memory)
        row = proposer.next(proposer.claims(memory.open, trial).values(), rng)
        if row is not None:
            return row, True
        warnings.warn(
            "all combinations of the parameters have been proposed; a random one is repeated",
            stacklevel=3,
        )
        return proposer.space.sample(1, rng)[0], False

    def _seed_of(self, number: int, purpose: str) -> int:
        """Return a seed of 32 bits for one use in one trial."""
        key = (number + 1, zlib.crc32(purpose.encode()))
        return int(np.random.SeedSequence(self._entropy, spawn_key=key).generate_state(1)[0])


def _is_ours(proposer: Proposer, memory: StudyMemory, trial: FrozenTrial, row: Genotypes) -> bool:
    """Tell, after a claim was written, whether no other trial has the same.

    Of two trials that claim the same, the one that writes last sees the other's
    claim, so at most one goes on. Where both see each other's, the later trial
    gives way at once and the earlier one waits for that; should the other have
    gone on already, the earlier one gives way after all.
    """
    code = proposer.space.fingerprint(row[None])[0]
    deadline = time.monotonic() + _PATIENCE
    while True:
        memory.read()
        proposer.learn(memory)
        if code in proposer.closed:
            return False
        claims = proposer.claims(memory.open, trial)
        rivals = [
            n for n, other in claims.items() if proposer.space.fingerprint(other[None])[0] == code
        ]
        if not rivals:
            return True
        if min(rivals) < trial.number or time.monotonic() > deadline:
            return False
        time.sleep(0.01)


def _parameters(search_space: Mapping[str, BaseDistribution]) -> Parameters:
    return Parameters(ParameterSpace(search_space), search_space)
