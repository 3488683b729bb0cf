"""Optuna's samplers as strategies."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from weaknas.errors import check_seed, optional_import
from weaknas.spaces import ConstrainedSpace, Costs, Genotypes, SearchSpace, SubsetSpace
from weaknas.spaces.limits.constrained import frame_of
from weaknas.strategies._stepwise import StepwiseStrategy

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial


class OptunaStrategy(StepwiseStrategy):
    """Any Optuna sampler behind ask and tell.

    Each decision of the space is a parameter: categorical, or an integer where its
    values are ordered. A duplicate that the sampler proposes is answered from
    memory: the study is told the known score, nothing is paid, and after `tries`
    of them in a row a fresh random architecture is proposed, which the study is
    told of too. Combinations that are not in the space and evaluations that failed
    are told with the worst score so far, so that the sampler avoids them. What exceeds
    the limits of a `ConstrainedSpace` a sampler that knows constraints is told of, and
    draws again; with another sampler, what single changes lead to within the limits is
    proposed instead, and the study told of both.

    A sampler that has generations breeds from its own proposals alone. What it did not
    propose is therefore enqueued, which makes it one of the generation, and combinations
    that are not in the space are told as failed, so that they have no children. In a space
    that is a list of architectures the most similar one that is new takes their place.

    Parameters
    ----------
    space : SearchSpace
    sampler : optuna.samplers.BaseSampler
        Fresh, and seeded by the caller.
    seed : int
        Of the random architectures after many duplicates.
    batch_size : int
    integers : bool
        Make every decision an integer, for samplers that know no categories.
    categories : bool
        Make every decision a category, ordered ones too.
    knows_limits : bool
        Whether the sampler has `violation_of` the space as its ``constraints_func``.
    objectives : sequence of str
        Costs of the space that the study minimises beside the score, for samplers of
        several objectives. Combinations that are not in the space are then told as failed.
    settings : mapping, optional
        What the sampler was built with that is not its default, as plain JSON types: a
        search is continued with the same.
    """

    tries = 20  # each is a proposal of the sampler, which may be slow

    def __init__(
        self,
        space: SearchSpace,
        sampler: BaseSampler,
        *,
        seed: int = 0,
        batch_size: int = 1,
        integers: bool = False,
        categories: bool = False,
        knows_limits: bool = False,
        objectives: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        import optuna
        from optuna.distributions import CategoricalDistribution, IntDistribution
        from optuna.samplers import NSGAIIISampler, NSGAIISampler
        from optuna.study import StudyDirection

        self.sampler, self.integers, self.categories = sampler, integers, categories
        self.knows_limits, self.settings = knows_limits, dict(settings or {})
        self._evolves = isinstance(sampler, NSGAIISampler | NSGAIIISampler)
        self._frame = frame_of(space)
        self._costs = Costs(space, objectives) if len(objectives) else None
        self.objectives = self._costs.names if self._costs else ()
        self._distributions: dict[str, BaseDistribution] = {
            variable: IntDistribution(0, int(count) - 1)
            if integers or (ordered and not categories)
            else CategoricalDistribution(range(int(count)))
            for variable, count, ordered in zip(
                space.variables, space.cardinalities, space.ordered, strict=True
            )
        }
        self._open: dict[int, list[Trial]] = {}
        with _quiet():
            directions = [StudyDirection.MAXIMIZE]
            directions += [StudyDirection.MINIMIZE] * len(self.objectives)
            self._study = optuna.create_study(sampler=sampler, directions=directions)
        # Samplers that list a space stop the study at its end; here it ends by itself.
        self._study.stop = _go_on  # type: ignore[method-assign]

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return super().describe() | {
            "sampler": type(self.sampler).__name__,
            "integers": self.integers,
            "categories": self.categories,
            "knows_limits": self.knows_limits,
            **({"objectives": list(self.objectives)} if self.objectives else {}),
            **({"settings": self.settings} if self.settings else {}),
        }

    def _draw(self) -> Genotypes | None:
        with _quiet():
            trial = self._study.ask(self._distributions)
        row = _genotype_of(self.space, trial)
        if not self.space.contains(row[None])[0]:
            self._close(trial, math.nan)
            return self._replacement(row)
        self._open.setdefault(self._identify(row)[1], []).append(trial)
        return row

    def _replacement(self, row: Genotypes) -> Genotypes | None:
        """Return what is near in the space, where the sampler is not to draw again."""
        space, frame = self.space, self._frame
        if not frame.contains(row[None])[0]:
            if not (self._evolves and isinstance(frame, SubsetSpace)):
                return None
            near = frame.nearest(row, self._seen)
            if space.contains(near[None])[0]:
                return near
            self._add(near, math.nan)
            return None
        if self.knows_limits or not isinstance(space, ConstrainedSpace):
            return None
        mended: Genotypes = space.mend(row[None], self._rng)[0]
        return mended

    def _step(self, genotype: Genotypes, score: float) -> None:
        trials = self._open.pop(self._identify(genotype)[1], [])
        for trial in trials:
            self._close(trial, score)
        if not trials:
            self._add(genotype, score)

    def _close(self, trial: Trial, score: float) -> None:
        from optuna.trial import TrialState

        value = self.history.worst if math.isnan(score) else score
        if value is None and self.knows_limits:
            value = 0.0  # it is compared by how far it is outside
        values = None if value is None else self._values(_genotype_of(self.space, trial), value)
        with _quiet():
            if values is None:
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, values)

    def _values(self, row: Genotypes, score: float) -> list[float] | None:
        """Return score and costs; None of what has none, or shall not be bred from."""
        if self._costs is None and not self._evolves:
            return [score]
        if not self._frame.contains(row[None])[0]:
            return None
        costs = [] if self._costs is None else self._costs(row[None])[0].tolist()
        return [score, *costs]

    def _add(self, genotype: Genotypes, score: float) -> None:
        """Tell the study of an architecture that its sampler did not propose."""
        from optuna.trial import create_trial

        params = dict(zip(self.space.variables, genotype.tolist(), strict=True))
        if self._evolves:
            with _quiet():
                self._study.enqueue_trial(params)
                trial = self._study.ask(self._distributions)
                # The sampler counts a trial to its generation when it breeds for it.
                _ = trial.relative_params
            self._close(trial, score)
            return
        value = self.history.worst if math.isnan(score) else score
        values = None if value is None else self._values(genotype, value)
        if values is None:
            return
        # Where Optuna itself keeps what a constraints_func has returned.
        kept = {"constraints": (0.0,)} if self.knows_limits else {}
        with _quiet():
            self._study.add_trial(
                create_trial(
                    params=params,
                    distributions=self._distributions,
                    values=values,
                    system_attrs=kept,
                )
            )


def _go_on() -> None:
    """Do nothing; at the top of the module, so that a study can be pickled with it."""


def tpe(
    space: SearchSpace,
    *,
    categories: bool = False,
    multivariate: bool = True,
    seed: int = 0,
    batch_size: int = 1,
) -> OptunaStrategy:
    """Optuna's tree-structured Parzen estimator with the defaults of its version 5.

    The limits of a `ConstrainedSpace` are its constraints.

    Parameters
    ----------
    space : SearchSpace
    categories : bool
        Make ordered decisions categories, too. As integers those of few values soon
        lead to architectures that were proposed before, again and again.
    multivariate : bool
        Draw all decisions together, as Optuna does from version 5 on, or each by itself, as
        it did before and as TPE was published (Bergstra et al. 2011).
    seed : int
    batch_size : int
    """
    from optuna.samplers import TPESampler

    return _within_limits(
        space,
        partial(TPESampler, multivariate=multivariate),
        seed=seed,
        batch_size=batch_size,
        categories=categories,
        settings={} if multivariate else {"multivariate": False},
    )


def gp(space: SearchSpace, *, seed: int = 0, batch_size: int = 1) -> OptunaStrategy:
    """Optuna's Gaussian process with its default settings; needs torch.

    Raises
    ------
    MissingDependencyError
        When torch is not installed.
    """
    optional_import("torch", "optuna")
    from optuna.samplers import GPSampler

    with _quiet():
        sampler = GPSampler(seed=_sampler_seed(seed))
    return OptunaStrategy(space, sampler, seed=seed, batch_size=batch_size)


def nsga2(
    space: SearchSpace, *, objectives: Sequence[str] = (), seed: int = 0, batch_size: int = 1
) -> OptunaStrategy:
    """Optuna's NSGA-II with its default settings.

    The limits of a `ConstrainedSpace` are its constraints.

    Parameters
    ----------
    space : SearchSpace
    objectives : sequence of str
        Costs of the space to make small beside a large score, up to two.
    seed : int
    batch_size : int
    """
    from optuna.samplers import NSGAIISampler

    return _within_limits(
        space, NSGAIISampler, seed=seed, batch_size=batch_size, objectives=objectives
    )


def _within_limits(
    space: SearchSpace, sampler: Any, *, seed: int, **settings: Any
) -> OptunaStrategy:
    """Return a strategy of a sampler that is told the limits of the space as constraints."""
    limits = violation_of(space) if isinstance(space, ConstrainedSpace) else None
    with _quiet():
        built = sampler(seed=_sampler_seed(seed), constraints_func=limits)
    return OptunaStrategy(space, built, seed=seed, knows_limits=limits is not None, **settings)


def cmaes(space: SearchSpace, *, seed: int = 0, batch_size: int = 1) -> OptunaStrategy:
    """Optuna's CMA-ES with margin (for integers) on every decision; needs cmaes.

    CMA-ES knows no categories, and Optuna would draw them at random: here all
    decisions are integers, in the order in which the space lists its choices.

    Raises
    ------
    MissingDependencyError
        When cmaes is not installed.
    """
    optional_import("cmaes", "optuna")
    from optuna.samplers import CmaEsSampler

    with _quiet():
        sampler = CmaEsSampler(seed=_sampler_seed(seed), with_margin=True)
    return OptunaStrategy(space, sampler, seed=seed, batch_size=batch_size, integers=True)


def violation_of(space: ConstrainedSpace) -> Callable[[FrozenTrial], tuple[float, ...]]:
    """Return what Optuna's samplers take as ``constraints_func``: above 0 outside the limits."""
    return lambda trial: (float(space.violation(_genotype_of(space, trial)[None])[0]),)


def _genotype_of(space: SearchSpace, trial: Trial | FrozenTrial) -> Genotypes:
    values = [trial.params[name] for name in space.variables]
    return np.array(values, dtype=space.genotype_dtype)


def _sampler_seed(seed: int) -> int:
    """Any seed of ours as one of the 32 bits that Optuna's samplers take."""
    return int(np.random.SeedSequence(check_seed(seed)).generate_state(1)[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's log and its warnings on experimental parts, here alone."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # `constraints_func`, which all versions have that weaknas works with.
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
