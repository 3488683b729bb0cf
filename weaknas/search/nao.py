"""NAO: gradient ascent in the latent space of an encoder, a predictor and a decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from weaknas.encoders import Transformer
from weaknas.errors import MOST_AT_ONCE, check_number, check_whole, optional_import
from weaknas.search.candidates import Candidates
from weaknas.search.pool import Pool, encode_pool
from weaknas.spaces import Fingerprints, Genotypes, SearchSpace, distinct_with_fingerprints
from weaknas.strategies import History, Strategy

if TYPE_CHECKING:
    from weaknas.predictors.latent import LatentModel

_SAMPLE = 1000  # architectures that an encoder is fitted to, and that are spelled unscored
_MOST_STEPS = 30  # of growing size, until enough is new


@dataclass
class Decoded:
    """What became of all that was decoded.

    Parameters
    ----------
    total : int
        Genotypes that were decoded.
    valid : int
        Of these, architectures of the space; all of them where any choices are one.
    new : int
        Of these, architectures that were not known nor decoded before in the same round.
    """

    total: int = 0
    valid: int = 0
    new: int = 0

    @property
    def shares(self) -> dict[str, float]:
        """Valid and new ones as shares of the total; NaN before there are any."""
        total = self.total or np.nan
        return {"valid": self.valid / total, "new": self.new / total}


class Ascent:
    """Rows that a latent model leads uphill, from the best that are known.

    The networks and the loss of Luo et al. (NeurIPS 2018, arXiv:1808.07233): LSTMs, a
    perceptron of three layers, four fifths of the loss the squared error of scores and one
    fifth the reconstruction, Adam, batches of 100. Training goes on where it was, with all
    that is known. To take a minute of a CPU rather than hours, LSTMs have 48 units and
    layers 100, half of the paper's, and a training 200 epochs rather than 1,000.

    Three things are not in the paper, as a few hundred scores are too few without them:
    scores are ranks, from 0 to 1, since one very bad architecture makes all good ones alike;
    random architectures without a score are reconstructed as well, since a decoder that has
    seen the scored ones alone soon decodes nothing else (SemiNAS, Luo et al., NeurIPS 2020,
    arXiv:2002.10389, learns from such architectures by predicted scores); and steps have a
    length of their own (see `step`).

    Parameters
    ----------
    space : SearchSpace
    parents : int
        The best, from which ascents begin.
    epochs : int
        Of a training.
    step : float
        By which the length of the step grows until enough is new, at most 30 times.
        Representations of decisions have length 1.
    device : str, optional
        Default: the fastest there is.
    seed : int

    Raises
    ------
    InputError
        When a number is out of range or torch is not installed.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        parents: int = 100,
        epochs: int = 200,
        step: float = 0.1,
        device: str | None = None,
        seed: int = 0,
    ) -> None:
        optional_import("torch", "train")
        self.space = space
        self.parents = check_whole("parents", parents, most=MOST_AT_ONCE)
        self.epochs = check_whole("epochs", epochs, most=MOST_AT_ONCE)
        self.step = check_number("step", step, above=0)
        self.device, self.seed = device, seed
        self.decoded = Decoded()
        self._model: LatentModel | None = None
        self._learned = 0

    def learn(self, history: History, rng: np.random.Generator) -> None:
        """Go on training with all that is known, where that is more than the last time."""
        genotypes, scores = history.successful
        if len(scores) == self._learned:
            return
        targets = (rankdata(scores) - 0.5) / len(scores)
        others = self.space.canonicalize(self.space.sample(_SAMPLE, rng))
        self._networks().fit(genotypes, targets, others, self.epochs, rng)
        self._learned = len(scores)

    def climb(self, history: History, seen: Fingerprints, n: int) -> Genotypes:
        """Return up to n new architectures, those of the smallest steps first; shape (m, d).

        Parameters
        ----------
        history : History
        seen : ndarray of int64, shape (s,)
            Fingerprints of what is not new.
        n : int
        """
        genotypes, scores = history.successful
        best = genotypes[np.argsort(-scores, kind="stable")[: self.parents]]
        known = set(seen.tolist())
        found: list[Genotypes] = []
        for number in range(1, _MOST_STEPS + 1):
            rows = self._networks().ascend(best, self.step * number)
            rows = rows.astype(self.space.genotype_dtype)
            inside = rows[self.space.contains(rows)]
            self.decoded.total += len(rows)
            self.decoded.valid += len(inside)
            rows = self.space.canonicalize(inside)
            for row, code in zip(rows, self.space.fingerprint(rows).tolist(), strict=True):
                if code not in known:
                    known.add(code)
                    found.append(row)
                    self.decoded.new += 1
            if len(found) >= n:
                break
        rows = np.array(found[:n], dtype=self.space.genotype_dtype)
        return rows.reshape(-1, self.space.n_variables)

    def describe(self) -> dict[str, Any]:
        """Return the settings, as plain JSON types."""
        return {"parents": self.parents, "epochs": self.epochs, "step": self.step}

    def _networks(self) -> LatentModel:
        if self._model is None:
            from weaknas.predictors.latent import LatentModel

            self._model = LatentModel(
                self.space.cardinalities.tolist(),
                hidden=48,
                embedding=24,
                width=100,
                learning_rate=1e-3,
                weight_decay=1e-4,
                batch_size=100,
                tradeoff=0.8,
                device=self.device,
                seed=self.seed,
            )
        return self._model


class LatentAscent(Candidates):
    """Candidates that are decoded uphill of the best, and random ones; needs torch.

    A source of candidates for any predictor and acquisition:
    ``WeakNAS(space, encoder=encoder, candidates=LatentAscent(space, encoder))``.

    Parameters
    ----------
    space : SearchSpace
    encoder : transformer
        Fitted here, to a sample.
    size : int
        Decoded ones of a round, and as many random ones.
    seed : int
        For the sample the encoder is fitted to, and the networks.
    **settings
        Of `Ascent`.
    """

    def __init__(
        self,
        space: SearchSpace,
        encoder: Transformer,
        size: int = 100,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self.space, self.size = space, size
        self.ascent = Ascent(space, seed=seed, **settings)
        sample = space.sample(_SAMPLE, np.random.default_rng(seed))
        self.encoder = encoder.fit(space.canonicalize(sample))

    def pool(self, history: History, rng: np.random.Generator) -> Pool:
        """Return what was told, what is uphill of the best of it, and random ones."""
        self.ascent.learn(history, rng)
        uphill = self.ascent.climb(history, history.fingerprints, self.size)
        rows = np.vstack([history.genotypes, uphill, self.space.sample(self.size, rng)])
        return encode_pool(*distinct_with_fingerprints(self.space, rows), self.encoder)


class NAO(Strategy):
    """Neural architecture optimization (Luo et al., NeurIPS 2018, arXiv:1808.07233); needs torch.

    After a random sample, each round trains encoder, predictor and decoder on all that is
    known, takes steps up the predicted score from the latent representations of the best,
    and trains what is decoded and new; steps grow until there is enough of it. The paper has
    600 architectures at first and 300 a round; the defaults here are a twelfth of both, and
    random ones fill a round up. See `Ascent` for what else is not as in the paper.

    Parameters
    ----------
    space : SearchSpace
    initial : int
        Random architectures before the first round.
    round : int
        New architectures of a round.
    parents, epochs, step
        See `Ascent`.
    device : str, optional
        Default: the fastest there is.
    seed : int
    batch_size : int
        Architectures that are asked for at a time; the networks are trained once a round.

    Raises
    ------
    InputError
        When a number is out of range or torch is not installed.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        initial: int = 50,
        round: int = 25,
        parents: int = 100,
        epochs: int = 200,
        step: float = 0.1,
        device: str | None = None,
        seed: int = 0,
        batch_size: int = 1,
    ) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        self.initial = check_whole("initial", initial, least=2, most=MOST_AT_ONCE)
        self.round = check_whole("round", round, most=MOST_AT_ONCE)
        self.ascent = Ascent(
            space,
            parents=parents,
            epochs=epochs,
            step=step,
            device=device,
            seed=int(self._rng.integers(2**31)),
        )
        self._queue: list[Genotypes] = []

    @property
    def decoded(self) -> Decoded:
        """How much of what was decoded is valid and new."""
        return self.ascent.decoded

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        settings = {"initial": self.initial, "round": self.round}
        return super().describe() | settings | self.ascent.describe()

    def _propose(self, n: int) -> Genotypes:
        proposed = self.history.told + len(self.pending_fingerprints)
        _, scores = self.history.successful
        if proposed < self.initial or len(scores) < 2:
            return self._random_unseen(min(n, max(self.initial - proposed, 1)))
        if not self._queue:
            self.ascent.learn(self.history, self._rng)
            seen = np.fromiter(self._seen, dtype=np.int64, count=len(self._seen))
            uphill = self.ascent.climb(self.history, seen, self.round)
            self._queue = [*uphill, *self._random_unseen(self.round - len(uphill))]
        rows, self._queue = self._queue[:n], self._queue[n:]
        return np.array(rows, dtype=self.space.genotype_dtype).reshape(-1, self.space.n_variables)
