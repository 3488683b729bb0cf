"""PNAS: cells that grow level by level, where a predictor says how."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.components import describe, fresh_predictor, parse_label
from weaknas.encoders import Transformer, encode, find_layout
from weaknas.errors import check_whole
from weaknas.predictors.regressor import Regressor, predict_mean
from weaknas.registry import get_encoder, get_predictor
from weaknas.search.published import whole_encoding
from weaknas.search.ranker import naming
from weaknas.search.threads import one_thread
from weaknas.spaces import Fingerprints, Genotypes, SearchSpace
from weaknas.strategies import Strategy

_MOST = 20_000  # extensions of a level that are ranked, drawn where there are more
_SAMPLE = 1000  # architectures that the encoder is fitted to
_FORMS = 10  # of an architecture that are extended, on average
_LEAST = 2  # scores that a predictor is fitted to

Floats = npt.NDArray[np.float64]


class Progressive(Strategy):
    """Progressive search (PNAS: Liu et al., ECCV 2018, arXiv:1712.00559, Algorithm 1).

    Cells of one block are all trained. From then on all extensions of the best of a level
    by one block are ranked by a predictor, the most promising are trained, and the predictor is
    fitted to all that is known. What a block is the space says (`SearchSpace.extend`): a
    vertex, an edge, an input of a node, a decision that leaves its first value. What
    cannot be trained, for it is beyond a limit or no architecture yet, stands in the
    beam by what is predicted. After the last level growth begins again, with what the
    predictor has learned; that is not in the paper, which ends there.

    The predictor is an ensemble of five perceptrons, as one of the paper's two is. The
    paper's beam is 256, for 1,280 trainings.

    Parameters
    ----------
    space : SearchSpace
    beam : int
        K of the paper: architectures that are trained, and extended, a level.
    predictor : str or estimator
        A registered name or any scikit-learn regressor.
    encoder : str, optional
        A registered name. Default: the adjacency of graphs, else one-hot.
    seed : int
    batch_size : int
        Architectures of a round, of one level as long as it has any.

    Raises
    ------
    InputError
        When a name is unknown, a number is out of range or the encoder does not fit the
        space.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        beam: int = 20,
        predictor: str | Regressor = "mlp:members=5:max_iter=100",
        encoder: str | None = None,
        seed: int = 0,
        batch_size: int = 1,
    ) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        self.beam = check_whole("beam", beam)
        self.predictor: Regressor = _build(predictor) if isinstance(predictor, str) else predictor
        named = whole_encoding("adjacency", space) if encoder is None else encoder
        sample = space.canonicalize(space.sample(_SAMPLE, np.random.default_rng(self.seed)))
        self.encoder: Transformer = get_encoder(named, space).fit(sample)
        self.level = 0
        #: What was grown to the level, and how each would score, in the order of its promise.
        self._grown = space.smallest()
        self._values = np.zeros(len(self._grown))
        self._queue: list[Genotypes] = list(self._trainable(self._grown))

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return super().describe() | {
            "beam": self.beam,
            "predictor": describe(self.predictor),
            "encoder": describe(self.encoder),
        }

    # -- inside -------------------------------------------------------------------

    def _propose(self, n: int) -> Genotypes:
        chosen: list[Genotypes] = []
        for _ in range(2 * self.space.levels + 1):  # through all levels and once more
            while self._queue and len(chosen) < n:
                row = self._queue.pop(0)
                if int(self.space.fingerprint(row[None])[0]) not in self._seen:
                    chosen.append(row)
            if chosen:
                break
            with one_thread():
                self._grow()
        rows = np.array(chosen, dtype=self.space.genotype_dtype)
        return rows.reshape(-1, self.space.n_variables)

    def _grow(self) -> None:
        """Go to the next level: extend the best, rank the extensions, line up what is trained."""
        if self.level == self.space.levels:
            self.level, parents = 0, self.space.smallest()
        else:
            parents = self._best_of_level()
        self.level += 1
        rows = self.space.extend(parents, self.level)
        # Without a score to go by any few are as good as all.
        most = _MOST if self._is_informed else 10 * self.beam
        if len(rows) > most:
            rows = rows[np.sort(self._rng.permutation(len(rows))[:most])]
        values = self._predict(rows)
        order = np.argsort(-values, kind="stable")
        self._grown, self._values = rows[order], values[order]
        self._queue = list(self._unseen(self._trainable(self._grown))[: self.beam])

    def _best_of_level(self) -> Genotypes:
        """Return what is extended: the forms of the K architectures with the best scores.

        Known scores count; a prediction does where there is no training.
        """
        if len(self._grown) == 0:
            return self._grown
        codes = self._codes(self._grown)
        inside = self.space.contains(self._grown)
        known = [self._score_of(code) for code in codes.tolist()]
        scores = np.array([np.nan if score is None else score for score in known], dtype=np.float64)
        values = np.where(inside, scores, self._values)
        distinct, first = np.unique(codes, return_index=True)
        best = np.argsort(-np.nan_to_num(values[first], nan=-np.inf), kind="stable")[: self.beam]
        best = best[np.isfinite(values[first][best])]
        rows = self._grown[np.isin(codes, distinct[best])]
        return rows[: _FORMS * self.beam]

    def _predict(self, rows: Genotypes) -> Floats:
        """Return the predicted scores of genotypes, shape (n,); at random while none are known."""
        if not self._is_informed or len(rows) == 0:
            return self._rng.random(len(rows))
        genotypes, scores = self.history.successful
        predictor = fresh_predictor(self.predictor, find_layout(self.encoder), self._rng)
        with naming(self.predictor):
            predictor.fit(encode(self.encoder, genotypes), scores)
            features = encode(self.encoder, self.space.canonicalize(rows))
            return predict_mean(predictor, features)

    @property
    def _is_informed(self) -> bool:
        return len(self.history.successful[1]) >= _LEAST

    def _codes(self, rows: Genotypes) -> Fingerprints:
        return self.space.fingerprint(self.space.canonicalize(rows))

    def _trainable(self, rows: Genotypes) -> Genotypes:
        """Return the canonical forms of those that are architectures of the space."""
        return self.space.canonicalize(rows[self.space.contains(rows)])


def _build(label: str) -> Regressor:
    name, options = parse_label(label)
    predictor: Regressor = get_predictor(name, **options)
    return predictor
