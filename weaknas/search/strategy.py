"""WeakNAS: rounds of fit, rank and query with a weak predictor."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.components import check_sizes, describe
from weaknas.encoders import Transformer
from weaknas.errors import (
    MOST_AT_ONCE,
    InputError,
    check_list,
    check_whole,
    refuse_set,
    shown,
    unknown,
)
from weaknas.predictors.regressor import Regressor
from weaknas.registry import get_encoder, get_sources
from weaknas.search.acquisition import ACQUISITIONS, Acquisition, best_first
from weaknas.search.belief import Belief, Indices
from weaknas.search.candidates import Candidates
from weaknas.search.narrowing import Narrowing
from weaknas.search.objectives import HypervolumeImprovement
from weaknas.search.pool import encode_pool
from weaknas.search.presets import get_preset
from weaknas.search.priors import PriorAcquisition, read_prior
from weaknas.search.ranker import Evidence, Ranker
from weaknas.search.repeats import Labels, choose_trainings
from weaknas.search.sources import Source, SourcesEncoder
from weaknas.search.targets import get_transform
from weaknas.search.threads import one_thread
from weaknas.spaces import Costs, Genotypes, SearchSpace, distinct_with_fingerprints
from weaknas.strategies import Estimates, Fidelity, Strategy

#: Whether architectures are trained again: as the search decides, or never.
REPEATS = ("auto", "never")

_RIVALS = 30  # trained architectures that may be the best
_CHALLENGERS, _MOST_CHALLENGERS = 10, 100  # new ones, the most wanted, for small and large batches


class WeakNAS(Strategy):
    """Progressive search with weak predictors (Wu et al., NeurIPS 2021, arXiv:2102.10490).

    Each round fits a predictor to the architectures evaluated so far, ranks the
    candidates with it and proposes a batch of the most promising; the predictor
    need only be right about the shrinking region that still matters.

    Parameters
    ----------
    space : SearchSpace
    predictor : str or estimator, optional
        A registered name, also with options such as ``"xgboost:members=5"``, or any
        scikit-learn regressor; one whose ``predict`` takes ``return_std`` gives uncertainty.
    encoder : str or transformer, optional
        A registered name, several joined by ``+``, or any transformer of genotypes.
    acquisition : str or Acquisition, optional
        A name in `weaknas.search.acquisition.ACQUISITIONS` or an object.
    batch_size : int, optional
        Architectures of a round.
    initial : int, optional
        Random architectures before the first fit.
    seed : int
    preset : str
        Where what is None comes from: ``"default"``, the best we know, or
        ``"paper"``, the published algorithm.
    targets : str, optional
        What the predictor is fitted to: ``"rank-normal"``, ``"standard"`` or ``"raw"``.
    candidates : Candidates, optional
        What is ranked; default: that of the preset, the whole space where it can be listed.
    objectives : sequence of str
        Costs of the space to make small beside a large score: the search is for the
        front of what can be had, by `weaknas.search.objectives.HypervolumeImprovement`.
    repeats : {"auto", "never"}, optional
        Whether a known architecture is trained again where `weaknas.run` says that
        trainings differ, and the predictor knows the size of its errors: whenever that is
        expected to raise the score of what is returned by more than a new one would (see
        `weaknas.search.repeats.choose_trainings`), or never.
    sources : sequence
        What was measured before, e.g. on another data set: folders of runs, benchmarks by
        name, tables, pairs of an architecture and a score, zero-cost ``"proxies"`` (see
        `weaknas.runs.sources.read_sources`), or `weaknas.search.sources.Source`. Of each only the
        order counts, and as far as it proves right; the labels of one that is of the
        same problem are told to the search before it begins.
    prior : mapping, callable, str or Path, optional
        What people believe, as weights above 0 of values by decision, ``{"1<-0":
        {"nor_conv_3x3": 3.0}}``, a file of them, or a function of an architecture. It
        draws half of the initial sample and multiplies the acquisition, less with every
        label (see `weaknas.search.priors.PriorAcquisition`).

    Raises
    ------
    InputError
        When a name is unknown, a number is out of range, the encoder does not fit
        the space, or both an acquisition and objectives are given; by ``ask`` when the
        predictor cannot be fitted or does not predict one finite number an architecture.

    Examples
    --------
    >>> import weaknas
    >>> choices = {"block": ["conv", "attention"], "width": [16, 32, 64], "depth": [2, 4, 8]}
    >>> space = weaknas.ChoiceSpace(choices)
    >>> def train(architecture):
    ...     choice = space.decode(architecture)
    ...     return choice["width"] / choice["depth"] + (choice["block"] == "conv")
    >>> search = weaknas.WeakNAS(space, initial=4, batch_size=2, seed=0)
    >>> for _ in range(4):
    ...     architectures = search.ask()
    ...     search.tell(architectures, [train(each) for each in architectures])
    >>> len(search.history), float(search.history.scores.max())
    (10, 33.0)
    """

    def __init__(  # noqa: PLR0913 the parts of a search, all of which have a default
        self,
        space: SearchSpace,
        *,
        predictor: str | Regressor | None = None,
        encoder: str | Transformer | None = None,
        acquisition: str | Acquisition | None = None,
        batch_size: int | None = None,
        initial: int | None = None,
        seed: int = 0,
        preset: str = "default",
        targets: str | None = None,
        candidates: Candidates | None = None,
        objectives: Sequence[str] = (),
        repeats: str | None = None,
        sources: Sequence[Any] = (),
        prior: Any = None,
    ) -> None:
        if repeats not in (None, *REPEATS):
            raise unknown("repeats", repeats, REPEATS)
        self._settings = settings = get_preset(preset, space)
        super().__init__(
            space, seed=seed, batch_size=settings.batch_size if batch_size is None else batch_size
        )
        first = settings.initial if initial is None else initial
        self.initial = check_whole("initial", first, most=MOST_AT_ONCE)
        named = settings.predictor if predictor is None else predictor
        self.predictor: Regressor = (
            settings.build_predictor(named) if isinstance(named, str) else named
        )
        encoding = settings.encoder_for(self.predictor) if encoder is None else encoder
        self.encoder: Transformer = (
            get_encoder(encoding, space) if isinstance(encoding, str) else _copied(encoding, space)
        )
        if not isinstance(self.predictor, Regressor):
            raise InputError(f"predictor must be a name or a regressor, not {shown(predictor)}")
        if not isinstance(self.encoder, Transformer):
            raise InputError(f"encoder must be a name or a transformer, not {shown(encoder)}")
        check_sizes(self.predictor)
        refuse_set("objectives", objectives)
        check_list("objectives", objectives)
        check_list("sources", sources)
        read = (get_sources(value, space) for value in sources)
        self.sources: list[Source] = list(chain.from_iterable(read))
        others = [source for source in self.sources if not source.same_problem and source.tells]
        if others:
            self.encoder = SourcesEncoder(self.encoder, others, space)
        self.objectives = tuple(objectives)
        self.prior = None if prior is None else read_prior(prior, space)
        self.acquisition = self._build_acquisition(acquisition)
        # A volume is of scores, whose differences the predictor must see; a few bad ones, of the
        # cheapest architectures say, must not flatten all others.
        self.targets = targets or ("compressed" if self.objectives else settings.targets)
        self._transform = get_transform(self.targets)
        # The front counts what was measured; a training more of a member does not move it.
        self.repeats = "never" if self.objectives else repeats or settings.repeats
        self._fitted_to: tuple[int, int, Counter[tuple[Fidelity, int]]] | None = None
        self._evidence: Evidence
        self._labels: Labels
        if candidates is not None:
            self._candidates = candidates
        for source in self.sources:
            if source.same_problem:
                self.tell(space.architectures(source.genotypes), source.scores)

    @property
    def round_size(self) -> int:
        """The initial sample first, then `batch_size`."""
        proposed = self.history.told + len(self.pending_fingerprints)
        return max(self.initial - proposed, 0) or self.batch_size

    @property
    def may_repeat(self) -> bool:
        """Whether architectures may be trained again."""
        return self.repeats == "auto"

    @property
    def narrowing(self) -> Narrowing | None:
        """The sampling distribution of a space that cannot be listed."""
        return self._candidates.narrowing

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return super().describe() | {
            "initial": self.initial,
            "predictor": describe(self.predictor),
            "encoder": describe(self.encoder),
            "acquisition": self.acquisition.describe(),
            "targets": self.targets,
            "repeats": self.repeats,
            **({"sources": [repr(source) for source in self.sources]} if self.sources else {}),
            **({} if self.prior is None else {"prior": self.prior.describe()}),
        }

    # -- inside -------------------------------------------------------------------

    def _build_acquisition(self, given: str | Acquisition | None) -> Acquisition:
        """Return what was given or is the default, with what people believe."""
        if self.objectives and given is not None:
            raise InputError("a search with objectives has an acquisition of its own; give none")
        acquisition: Any = given
        if self.objectives:
            acquisition = HypervolumeImprovement(Costs(self.space, self.objectives))
        elif acquisition is None:
            acquisition = self._settings.acquisition
        if isinstance(acquisition, str):
            acquisition = self._settings.build_acquisition(acquisition)
        if not isinstance(acquisition, Acquisition):
            raise unknown("acquisition", acquisition, ACQUISITIONS)
        return acquisition if self.prior is None else PriorAcquisition(acquisition, self.prior)

    def _propose(self, n: int) -> Genotypes:
        with one_thread():
            _, scores = self.history.successful
            if self.history.told + len(self.pending_fingerprints) < self.initial or len(scores) < 2:
                drawn = self._draw(n)
                if len(drawn) or len(scores) < 2:  # else there is nothing new, but to train again
                    return drawn
            if self._is_news():
                self._ranker.fit(self._evidence)
            belief = self._ranker.rank(self._evidence, self.acquisition)
            chosen = belief.genotypes[self.acquisition.choose(belief, n)]
            return self._with_repeats(belief, chosen, n)

    def _draw(self, n: int) -> Genotypes:
        """Return n architectures of the initial sample."""
        known = np.vstack([self.history.genotypes, self.pending])
        rows = self._candidates.sample(n + len(self._seen), self._rng, known)
        openers = [
            given
            for given in (self.acquisition.openers(), self._promised(n), self._believed(n))
            if given is not None
        ]
        return self._unseen(np.vstack([*openers, rows]))[:n]

    def _half(self, n: int) -> int:
        """Return how many of the next n are half of all, every other one where one is asked for."""
        proposed = self.history.told + len(self.pending_fingerprints)
        return (proposed + n) // 2 - proposed // 2

    def _promised(self, n: int) -> Genotypes | None:
        """Return n of what the sources promise most; half of the n where all are rough.

        Labels of what a source promises tell whether it is right as well as others would.
        Zero-cost proxies, which have no trend, are right of the bad ones alone, and what is
        known of another space is known by what both have in common alone.
        """
        if not isinstance(self.encoder, SourcesEncoder):
            return None
        pool = self._candidates.pool(self.history, self._rng)
        near = [s for s in self.sources if s.trend and not s.same_problem]
        own = [s.genotypes for s in near if s.other_space(self.space) is None]
        rows = np.vstack([pool.genotypes[:0], *own])
        rows = rows[self.space.contains(rows)]
        new = rows[~np.isin(self.space.fingerprint(rows), pool.fingerprints)]
        if len(new):  # a pool that is drawn has few of what the sources know best
            rows = np.vstack([pool.genotypes, new])
            pool = encode_pool(*distinct_with_fingerprints(self.space, rows), self.encoder)
        columns = list(pool.layout.get("sources", ()))
        count = n if own else self._half(n)
        width = pool.features.shape[1]
        columns = columns or list(range(width - len(self.encoder.sources), width))
        promise = pool.features[:, columns].mean(axis=1)
        promise[~pool.other_than(np.fromiter(self._seen, dtype=np.int64))] = -np.inf
        return pool.genotypes[best_first(promise, count)]

    def _believed(self, n: int) -> Genotypes | None:
        """Draw half of n by the prior, so that one that is wrong leaves the others."""
        if self.prior is None:
            return None
        return self.prior.sample(self.space, n - self._half(n), self._rng)

    def _is_news(self) -> bool:
        """Gather what is known now; tell whether the predictor was not fitted to it yet."""
        told = (len(self.history.labels[1]), len(self.history), self._pending.copy())
        if told == self._fitted_to:
            # Only what was proposed and refused by the space can be new.
            seen = np.fromiter(self._seen, dtype=np.int64)
            self._evidence = replace(self._evidence, seen=seen)
            return False
        self._labels = Labels.read(self.history, self._transform, self._exhausted(self._successful))
        proposed = self.history.told + len(self.pending_fingerprints)
        self._evidence = Evidence(
            history=self.history,
            targets=self._labels.targets,
            scale=self._labels.scale,
            repeats=self._labels.repeats,
            pending=self.pending,
            pending_fingerprints=self.pending_fingerprints,
            seen=np.fromiter(self._seen, dtype=np.int64),
            round=max(proposed - self.initial, 0) // self.batch_size,
            rng=self._rng,
        )
        self._fitted_to = told
        return True

    @property
    def _successful(self) -> Indices:
        """Entries of the history that have a score."""
        return np.flatnonzero(self.history.trainings > 0)

    def _with_repeats(self, belief: Belief, new: Genotypes, n: int) -> Genotypes:
        """Return what is trained next: new architectures, in their order, and known ones again."""
        entries = self._successful
        if not self.may_repeat or self.trainings is None or self._labels.exhausted.all():
            return new
        values = np.where(belief.available, self.acquisition.values(belief), -np.inf)
        most = min(max(_CHALLENGERS, n), _MOST_CHALLENGERS, belief.left)
        challengers = best_first(values, most)
        errors = self._labels.errors
        joint = None if belief.rivals is None else belief.rivals(errors, challengers)
        if joint is None:
            return new
        known, particular = len(entries), np.zeros(len(joint.mean))
        particular[known:] = joint.particular  # of new ones the model has the features' part
        joint = joint._replace(covariance=joint.covariance + np.diag(particular))
        spread = np.sqrt(np.maximum(np.diag(joint.covariance)[:known], 0.0))
        rivals = best_first(joint.mean[:known] + 2 * spread, _RIVALS)
        places = known + np.arange(len(challengers))
        is_open, has_more = ~self._busy(entries[rivals]), belief.left > len(challengers)
        picks = choose_trainings(joint, rivals, places, is_open, n, has_more)
        again = [entries[pick] for pick in picks if pick < known]
        return np.vstack([self.history.genotypes[again], new])[:n]

    def _busy(self, entries: Indices) -> npt.NDArray[np.bool_]:
        """Tell which entries have no training left, or one under way."""
        pending = np.isin(self.history.fingerprints[entries], self.pending_fingerprints)
        return np.asarray(pending | self._exhausted(entries))

    def _admit(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Return the new ones, and those that are trained again."""
        rows = self.space.canonicalize(genotypes)
        codes = self.space.fingerprint(rows)
        again = np.isin(codes, self.history.fingerprints)
        return np.vstack([rows[again], self._unseen(rows)])

    def _estimate(self, entries: Indices) -> Estimates:
        """Return what the predictor makes of the labels, where it knows the size of its errors."""
        if len(entries) < 2 or self.objectives or self._exhausted(entries).all():
            return super()._estimate(entries)
        with one_thread():
            if self._is_news():
                self._ranker.fit(self._evidence)
            return self._denoise() or super()._estimate(entries)

    def _denoise(self) -> Estimates | None:
        joint = self._ranker.joint(self._labels.errors)
        if joint is None:
            return None
        mean, covariance = self._labels.to_scores(joint)
        if self._labels.repeats is None:  # what is noise and what the architecture, nothing tells
            return Estimates(mean)
        deviations = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        return Estimates(mean, deviations, lambda rows: covariance[np.ix_(rows, rows)])

    @cached_property
    def _candidates(self) -> Candidates:
        return self._settings.candidates(self.space, self.encoder, seed=self.seed)

    @cached_property
    def _ranker(self) -> Ranker:
        return self._candidates.ranker(self.predictor)


def _copied(encoder: Any, space: SearchSpace) -> Any:
    """Return a copy of an encoder, which is fitted to the candidates of one search."""
    try:
        return copy.deepcopy(encoder, {id(space): space})
    except (TypeError, ValueError) as error:
        raise InputError(f"encoder {shown(encoder)} cannot be copied: {error}") from error
