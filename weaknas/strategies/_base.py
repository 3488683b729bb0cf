"""The contract of a search strategy: ask for architectures, tell their scores."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, check_whole, unknown
from weaknas.spaces import Architecture, Fingerprints, Genotypes, SearchSpace

Scores: TypeAlias = npt.NDArray[np.float64]
#: Epochs (or data fraction) of an evaluation; None stands for full training.
Fidelity: TypeAlias = float | None


class History:
    """What a strategy was told, in order: canonical genotypes and scores."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._rows: list[Genotypes] = []
        self._scores: list[float] = []
        self._codes: list[int] = []
        self._fidelities: list[Fidelity] = []
        self._memory: dict[tuple[int, Fidelity], float] = {}

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, genotypes: Genotypes, scores: Scores, fidelity: Fidelity = None) -> None:
        """Append a batch of canonical genotypes, shape (n, d), and scores, shape (n,)."""
        codes, values = self._space.fingerprint(genotypes).tolist(), scores.tolist()
        self._rows.extend(genotypes)
        self._scores.extend(values)
        self._codes.extend(codes)
        self._fidelities.extend([fidelity] * len(codes))
        self._memory.update(((c, fidelity), v) for c, v in zip(codes, values, strict=True))

    def score_of(self, fingerprint: int, fidelity: Fidelity = None) -> float | None:
        """Return the score that was told for one fingerprint, NaN for a failure, None if none."""
        return self._memory.get((fingerprint, fidelity))

    @property
    def worst(self) -> float | None:
        """The lowest score that was told, None before there is one."""
        return min((score for score in self._scores if not math.isnan(score)), default=None)

    @property
    def genotypes(self) -> Genotypes:
        """Canonical genotypes, shape (n, d)."""
        rows = np.array(self._rows, dtype=self._space.genotype_dtype)
        return rows.reshape(-1, self._space.n_variables)

    @property
    def scores(self) -> Scores:
        """Scores, shape (n,); NaN where an evaluation failed."""
        return np.array(self._scores, dtype=np.float64)

    @property
    def fingerprints(self) -> Fingerprints:
        """Fingerprints, shape (n,)."""
        return np.array(self._codes, dtype=np.int64)

    @property
    def successful_fingerprints(self) -> Fingerprints:
        """Fingerprints without those of the failed ones, shape (n,)."""
        return self.fingerprints[np.isfinite(self.scores)]

    @property
    def successful(self) -> tuple[Genotypes, Scores]:
        """Genotypes and scores without the failed ones."""
        good = np.isfinite(self.scores)
        return self.genotypes[good], self.scores[good]

    def successful_at(self, fidelity: Fidelity) -> tuple[Genotypes, Scores]:
        """Return genotypes and scores of one fidelity without the failed ones."""
        told = np.array([level == fidelity for level in self._fidelities], dtype=bool)
        good = np.isfinite(self.scores) & told
        return self.genotypes[good], self.scores[good]


def check_seed(seed: int) -> None:
    """Refuse a seed that numpy does not take.

    Raises
    ------
    InputError
        When it is negative.
    """
    if seed < 0:
        raise InputError(f"seed must not be negative, not {seed}")


class Strategy(ABC):
    """Proposes architectures and learns from their scores.

    A strategy never calls an evaluator and never proposes an architecture twice at
    the same fidelity, isomorphic ones counting as one. Given the seed and what it
    was told it is deterministic in any process.

    Parameters
    ----------
    space : SearchSpace
    seed : int
    batch_size : int
        How many architectures a round has.

    Raises
    ------
    InputError
        When `batch_size` is no whole number from 1 on or the seed is negative.
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0, batch_size: int = 1) -> None:
        check_whole("batch_size", batch_size)
        check_seed(seed)
        self.space = space
        self.seed = seed
        self.batch_size = batch_size
        self.history = History(space)
        self._rng = np.random.default_rng(np.random.SeedSequence(seed))
        self._proposed: defaultdict[Fidelity, set[int]] = defaultdict(set)
        self._pending: dict[int, Genotypes] = {}

    # -- what users call ----------------------------------------------------------------

    @property
    def round_size(self) -> int:
        """How many architectures the next round wants."""
        return self.batch_size

    @property
    def round_fidelity(self) -> Fidelity:
        """The fidelity at which the next `ask` wants its architectures evaluated."""
        return None

    @property
    def fidelities(self) -> tuple[Fidelity, ...]:
        """All fidelities that are asked for, ascending; None, full training, comes last."""
        return (None,)

    def ask(self, n: int | None = None) -> list[Architecture]:
        """Propose architectures that were not proposed before at `round_fidelity`.

        Parameters
        ----------
        n : int, optional
            How many; default `round_size`.

        Returns
        -------
        list of Architecture
            Fewer than n only when the space is exhausted or, for a strategy of
            several fidelities, when the rest depends on scores not told yet.

        Raises
        ------
        InputError
            When n is below 1.
        """
        count = self.round_size if n is None else n
        if count < 1:
            raise InputError(f"ask for at least 1 architecture, not {count}")
        rows = self._unseen(self._propose(count))[:count]
        codes = self.space.fingerprint(rows).tolist()
        self._seen.update(codes)
        if len(rows) < count:
            filled = self._fill(count - len(rows))
            rows = np.vstack([rows, filled])
            codes += self.space.fingerprint(filled).tolist()
            self._seen.update(codes)
        self._pending.update(zip(codes, rows, strict=True))
        return self.space.architectures(rows)

    def tell(
        self,
        architectures: Sequence[Architecture | str],
        scores: Sequence[float] | Scores,
        fidelity: Fidelity = None,
    ) -> None:
        """Learn the scores of architectures, asked for or not.

        Parameters
        ----------
        architectures : sequence of Architecture or str
        scores : sequence of float
            Larger is better; NaN for an evaluation that failed.
        fidelity : float, optional
            At which they were evaluated, one of `fidelities`.

        Raises
        ------
        InputError
            When the lengths differ, an architecture is not of the space or the
            strategy does not learn from the fidelity.
        """
        if fidelity not in self.fidelities:
            allowed = ["full" if level is None else f"{level:g}" for level in self.fidelities]
            raise unknown("fidelity", f"{fidelity:g}" if fidelity else fidelity, allowed)
        values = np.asarray(scores, dtype=np.float64).reshape(-1)
        if len(values) != len(architectures):
            raise InputError(f"{len(architectures)} architectures but {len(values)} scores")
        rows = self.space.canonicalize(self.space.genotypes(architectures))
        codes = self.space.fingerprint(rows).tolist()
        self._proposed[fidelity].update(codes)
        for code in codes:
            self._pending.pop(code, None)
        self.history.add(rows, values, fidelity)
        self._learn(rows, values)

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return {
            "strategy": type(self).__name__,
            "seed": self.seed,
            "batch_size": self.batch_size,
        }

    # -- what a strategy is made of -------------------------------------------------

    @abstractmethod
    def _propose(self, n: int) -> Genotypes:
        """Return any number of genotypes; `ask` drops known ones and keeps up to n."""

    def _fill(self, n: int) -> Genotypes:
        """Return what `ask` adds when `_propose` gave n too few."""
        return self._random_unseen(n)

    def _learn(self, genotypes: Genotypes, scores: Scores) -> None:  # noqa: B027
        """Learn what `history` was just given, NaN for failures; optional."""

    @property
    def pending(self) -> Genotypes:
        """What was asked and not told yet, canonical, shape (n, d)."""
        rows = list(self._pending.values())
        return np.array(rows, dtype=self.space.genotype_dtype).reshape(-1, self.space.n_variables)

    @property
    def pending_fingerprints(self) -> Fingerprints:
        """Fingerprints of `pending`, shape (n,)."""
        return np.fromiter(self._pending, dtype=np.int64)

    @property
    def _seen(self) -> set[int]:
        """Fingerprints of what was proposed or told at the fidelity of the round."""
        return self._proposed[self.round_fidelity]

    def _unseen(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Canonical forms of those that were not proposed or told yet, each once."""
        rows = self.space.canonicalize(genotypes)
        keep, new = [], set()
        for index, code in enumerate(self.space.fingerprint(rows).tolist()):
            if code not in self._seen and code not in new:
                new.add(code)
                keep.append(index)
        return rows[keep]

    def _random_unseen(self, n: int) -> Genotypes:
        """Up to n new architectures, drawn uniformly; all that are left if there are fewer."""
        found = np.empty((0, self.space.n_variables), dtype=self.space.genotype_dtype)
        for _ in range(20):
            drawn = self.space.sample(2 * n, self._rng)
            found = self._unseen(np.vstack([found, drawn]))
            if len(found) >= n:
                return found[:n]
        if self.space.is_listable:  # nearly exhausted: list what is left
            left = self._unseen(self.space.enumerate())
            return left[self._rng.permutation(len(left))[:n]]
        return found
