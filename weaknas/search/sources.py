"""What was measured before a search: other data sets, earlier runs, as features with a trend."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from weaknas.encoders import SharedFeaturesEncoder, Transformer, encode, find_layout
from weaknas.errors import InputError
from weaknas.predictors.gaussian_process import GaussianProcess
from weaknas.search.targets import rank_normal
from weaknas.spaces import ArchitectureLike, Genotypes, SearchSpace
from weaknas.spaces.limits.part import PartOfSpace

Floats = npt.NDArray[np.float64]

_LEAST = 2  # architectures of a source
_MOST_FITTED = 2000  # of its architectures, a part of which the process is conditioned on
_MOST_REFERENCE = 2000  # candidates that the features of a source's process are scaled by


@dataclass(frozen=True, eq=False, repr=False)
class Source:
    """Scores of architectures of a space that were measured before.

    Only their order is believed, and that as far as a search finds it right, unless they
    are of the same problem: then they are labels like those that it pays for.

    Parameters
    ----------
    name : str
    genotypes : ndarray of int, shape (n, d)
        Canonical.
    scores : ndarray of float, shape (n,)
        Larger is better.
    same_problem : bool
    space : SearchSpace, optional
        Of the architectures; default: the one that is searched.
    trend : bool
        Whether scores are expected to rise or fall with what the source predicts over the
        whole space; if not, it is a feature like others, of which any function may be learnt.
    seconds : float
        That it took to measure them for this search.

    Raises
    ------
    InputError
        When there are fewer than two architectures, one where it is of the same problem, a
        score is no finite number, or there is not one score for each row of whole numbers.
    """

    name: str
    genotypes: Genotypes
    scores: Floats
    same_problem: bool = False
    space: SearchSpace | None = None
    trend: bool = True
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if not _is_array(self.genotypes, 2, "iu") or not _is_array(self.scores, 1, "fiu"):
            raise InputError(
                f"the source {self.name} needs genotypes as an array of whole numbers, shape"
                f" (n, d), and scores as one of numbers, shape (n,), not {_kind(self.genotypes)}"
                f" and {_kind(self.scores)}"
            )
        if len(self.genotypes) != len(self.scores):
            raise InputError(
                f"the source {self.name} has {len(self.genotypes)} genotypes and"
                f" {len(self.scores)} scores; each has one"
            )
        if not np.isfinite(self.scores).all():
            raise InputError(f"the source {self.name} has scores that are no finite numbers")
        least = 1 if self.same_problem else _LEAST
        if len(self.scores) < least:
            kind = "architectures of the space" + " trained in full" * self.same_problem
            raise InputError(
                f"the source {self.name} holds {len(self.scores)} {kind}, not at least {least}"
            )

    @classmethod
    def of_pairs(
        cls,
        space: SearchSpace,
        pairs: Iterable[tuple[ArchitectureLike, float]],
        name: str = "pairs",
        *,
        same_problem: bool = False,
    ) -> Source:
        """Return the source of pairs of an architecture and its score.

        Those outside the limits of a space tell of those inside, unless they are of the same
        problem: then they are left out.

        Raises
        ------
        InputError
            When one is no pair or no architecture of the space.
        """
        given = list(pairs)
        if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in given):
            raise InputError(f"the source {name} is not of pairs (architecture, score)")
        try:
            scores = np.array([float(score) for _, score in given])
        except (TypeError, ValueError) as error:
            raise InputError(f"the source {name} has a score that is no number: {error}") from error
        whole = space
        while isinstance(whole, PartOfSpace):
            whole = whole.whole
        try:
            rows = whole.genotypes([architecture for architecture, _ in given])
        except InputError as error:
            raise InputError(f"the source {name}: {error}") from error
        genotypes = whole.canonicalize(rows)
        if same_problem:
            inside = space.contains(genotypes)
            genotypes, scores = genotypes[inside], scores[inside]
        return cls(name, genotypes, scores, same_problem, space)

    def other_space(self, space: SearchSpace) -> SearchSpace | None:
        """Return the space that it is of, if that is another than this one."""
        if self.space is None or identity(self.space) == identity(space):
            return None
        return self.space

    def check_usable(self, space: SearchSpace) -> None:
        """Refuse what says nothing of the architectures of a space.

        Raises
        ------
        InputError
            When its genotypes are not of its space, or that is another one, and it has labels of
            the same problem or nothing in common with this one.
        """
        self._check_rows(self.space or space)
        other = self.other_space(space)
        if other is None:
            return
        of = f"the space {other.name!r}, not {space.name!r}"
        if other.name == space.name:
            of = f"another space of the name {other.name!r}, with other decisions or values"
        if self.same_problem:
            raise InputError(f"the source {self.name} is of {of}: that is not the same problem")
        try:
            SharedFeaturesEncoder(space, other)
        except InputError as error:
            raise InputError(
                f"the source {self.name} cannot be used, it is of {of}: {error}"
            ) from error

    def _check_rows(self, space: SearchSpace) -> None:
        if self.genotypes.shape[1] != space.n_variables:
            raise InputError(
                f"the source {self.name} has genotypes of {self.genotypes.shape[1]} numbers; those"
                f" of the space {space.name!r} have {space.n_variables}"
            )
        inside = ((self.genotypes >= 0) & (self.genotypes < space.cardinalities)).all(axis=1)
        if not inside.all():
            wrong = self.genotypes[int(np.argmin(inside))].tolist()
            raise InputError(
                f"the source {self.name} has the genotype {wrong}, which is not in the space"
                f" {space.name!r}"
            )

    def telling(self) -> tuple[Genotypes, Floats]:
        """Return genotypes, and normal quantiles of their ranks; of very many the best and others.

        A process of thousands would take long, and not be asked about the worst of them.
        """
        targets = rank_normal(self.scores)
        if len(targets) <= _MOST_FITTED:
            return self.genotypes, targets
        best, rest = np.split(np.argsort(-targets, kind="stable"), [_MOST_FITTED // 2])
        drawn = np.random.default_rng(0).permutation(rest)[: _MOST_FITTED - len(best)]
        rows = np.concatenate([best, drawn])
        return self.genotypes[rows], targets[rows]

    @property
    def tells(self) -> bool:
        """Whether some architectures are better than others; else the source says nothing."""
        return bool(np.ptp(self.scores) > 0)

    def __repr__(self) -> str:
        """Return a text that is another one for another content, in any process."""
        digest = hashlib.blake2b(self.genotypes.astype(np.int64).tobytes(), digest_size=8)
        digest.update(self.scores.tobytes())
        if self.space is not None:
            digest.update(repr(identity(self.space)).encode())
        kind = "same problem, " * self.same_problem + "no trend, " * (not self.trend)
        return f"Source({self.name!r}, {kind}{len(self.scores)} scores, {digest.hexdigest()})"


def _is_array(value: object, dimensions: int, kinds: str) -> bool:
    if not isinstance(value, np.ndarray):
        return False
    return value.ndim == dimensions and value.dtype.kind in kinds


def _kind(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return f"a {type(value).__name__}"


def has_shared_features(space: SearchSpace, other: SearchSpace) -> bool:
    """Tell whether what is known of another space can be a source of one."""
    try:
        SharedFeaturesEncoder(space, other)
    except InputError:
        return False
    return True


def identity(space: SearchSpace) -> tuple[str, tuple[str, ...], list[list[str]]]:
    """Return what is equal where two spaces have the same architectures: a name is not enough."""
    return space.name, tuple(space.variables), space.value_names


class _Column(ABC):
    """What a source predicts of candidates."""

    @abstractmethod
    def predict(self, genotypes: Genotypes, features: Any) -> Floats:
        """Return the posterior mean of candidates, shapes (n, d) and (n, f); shape (n,)."""


class _OwnColumn(_Column):
    """A process of the features that the candidates are encoded to."""

    def __init__(self, source: Source, encoder: Transformer, reference: Any) -> None:
        layout: dict[str, Any] = find_layout(encoder)
        self._model = GaussianProcess(**layout).for_any(reference)
        genotypes, targets = source.telling()
        self._model.fit(encode(encoder, genotypes), targets)

    def predict(self, genotypes: Genotypes, features: Any) -> Floats:
        return self._model.predict(features)[0]


class _ForeignColumn(_Column):
    """A process of the features that another space has, too."""

    def __init__(self, source: Source, other: SearchSpace, space: SearchSpace, rows: Genotypes):
        theirs = SharedFeaturesEncoder(other, space)
        self._encoder = SharedFeaturesEncoder(space, other).fit(rows)
        sample = other.sample(_MOST_REFERENCE, np.random.default_rng(0))
        reference = theirs.fit(other.canonicalize(sample)).transform(sample)
        self._model = GaussianProcess(groups=theirs.groups).for_any(reference)
        genotypes, targets = source.telling()
        self._model.fit(theirs.transform(genotypes), targets)

    def predict(self, genotypes: Genotypes, features: Any) -> Floats:
        return self._model.predict(self._encoder.transform(genotypes))[0]


class SourcesEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features of an encoder, and beside them what each source predicts.

    A source is a Gaussian process of the same features, fitted to the normal quantiles of its
    ranks; its mean is one more column, with a trend whose slope the search learns from
    its own labels: near 0 where the source says nothing, negative where it is
    contradicted (in the manner of the stacked processes of Golovin et al., Google Vizier,
    KDD 2017, sec. 3.3, with weights that are learnt). Without a trend it is a block with a
    length scale of its own, as features are.

    Parameters
    ----------
    encoder : transformer
    sources : sequence of Source
    space : SearchSpace
        The one that is encoded. A source of another space is fitted to what both have, see
        `SharedFeaturesEncoder`.
    """

    def __init__(self, encoder: Transformer, sources: Sequence[Source], space: SearchSpace) -> None:
        self.encoder = encoder
        self.sources = sources
        self.space = space

    def fit(self, genotypes: npt.NDArray[np.integer], y: Any = None) -> Self:
        """Fit the encoder to candidates, shape (n, d), and a process to every source."""
        self.encoder.fit(genotypes)
        every = max(len(genotypes) // _MOST_REFERENCE, 1)
        reference = encode(self.encoder, genotypes[::every])
        self._width = reference.shape[1]
        self._columns = [self._column(one, genotypes[::every], reference) for one in self.sources]
        self.n_features_in_ = np.shape(genotypes)[1]
        return self

    def _column(self, source: Source, rows: Genotypes, reference: Any) -> _Column:
        other = source.other_space(self.space)
        if other is None:
            return _OwnColumn(source, self.encoder, reference)
        return _ForeignColumn(source, other, self.space, rows)

    def transform(self, genotypes: npt.NDArray[np.integer]) -> Any:
        """Encode a batch, shape (n, d), to float32 features, shape (n, f + number of sources)."""
        features = encode(self.encoder, genotypes)
        columns = [column.predict(genotypes, features) for column in self._columns]
        return np.column_stack([features, *columns]).astype(np.float32)

    @property
    def groups(self) -> list[Any]:
        """Blocks of the encoder, and one a source without a trend.

        Two architectures are no less alike for what another source predicts.
        """
        own = find_layout(self.encoder).get("groups", [slice(0, self._width)])
        numbered = enumerate(self.sources, start=self._width)
        rough = [column for column, source in numbered if not source.trend]
        return [*own, *(slice(column, column + 1) for column in rough)]

    @property
    def trend(self) -> list[int]:
        """Columns of the encoder with a trend."""
        return list(find_layout(self.encoder).get("trend", []))

    @property
    def source_columns(self) -> list[int]:
        """Columns of the sources that have a trend."""
        numbered = enumerate(self.sources, start=self._width)
        return [column for column, source in numbered if source.trend]
