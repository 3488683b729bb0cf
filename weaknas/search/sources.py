"""What was measured before a search: other data sets, earlier runs, as features with a trend."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from weaknas.encoders import Transformer, find_layout
from weaknas.errors import InputError
from weaknas.predictors.gaussian_process import GaussianProcess
from weaknas.predictors.open_model import OpenModel
from weaknas.search.targets import rank_normal
from weaknas.spaces import ArchitectureLike, Genotypes, SearchSpace

Floats = npt.NDArray[np.float64]

_LEAST = 2  # architectures of a source, of different scores
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

    Raises
    ------
    InputError
        When there are fewer than two architectures, one where it is of the same problem, or a
        score is no finite number.
    """

    name: str
    genotypes: Genotypes
    scores: Floats
    same_problem: bool = False

    def __post_init__(self) -> None:
        if not np.isfinite(self.scores).all():
            raise InputError(f"the source {self.name} has scores that are no finite numbers")
        if len(self.scores) < (1 if self.same_problem else _LEAST):
            raise InputError(
                f"the source {self.name} holds {len(self.scores)} architectures of the space;"
                f" {_LEAST} are needed"
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
        genotypes = space.canonicalize(space.genotypes([architecture for architecture, _ in given]))
        return cls(name, genotypes, scores, same_problem)

    @property
    def tells(self) -> bool:
        """Whether some architectures are better than others; else the source says nothing."""
        return bool(np.ptp(self.scores) > 0)

    def __repr__(self) -> str:
        """Return a text that is another one for another content, in any process."""
        digest = hashlib.blake2b(self.genotypes.astype(np.int64).tobytes(), digest_size=8)
        digest.update(self.scores.tobytes())
        kind = "same problem, " if self.same_problem else ""
        return f"Source({self.name!r}, {kind}{len(self.scores)} scores, {digest.hexdigest()})"


class SourcesEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features of an encoder, and beside them what each source predicts.

    A source is a Gaussian process of the same features, fitted to the normal quantiles of its
    ranks; its mean is one more column, with a trend whose slope the search learns from
    its own labels: near 0 where the source says nothing, negative where it is
    contradicted (in the manner of the stacked processes of Golovin et al., Google Vizier,
    KDD 2017, sec. 3.3, with weights that are learnt).

    Parameters
    ----------
    encoder : transformer
    sources : sequence of Source
    """

    def __init__(self, encoder: Transformer, sources: Sequence[Source]) -> None:
        self.encoder = encoder
        self.sources = sources

    def fit(self, genotypes: npt.NDArray[np.integer], y: Any = None) -> Self:
        """Fit the encoder to candidates, shape (n, d), and a process to every source."""
        self.encoder.fit(genotypes)
        every = max(len(genotypes) // _MOST_REFERENCE, 1)
        reference = self.encoder.transform(genotypes[::every])
        layout = find_layout(self.encoder)
        self._width = reference.shape[1]
        self._models = [self._model(source, reference, layout) for source in self.sources]
        self.n_features_in_ = np.shape(genotypes)[1]
        return self

    def _model(self, source: Source, reference: Any, layout: dict[str, Any]) -> OpenModel:
        model = GaussianProcess(**layout).for_any(reference)
        model.fit(self.encoder.transform(source.genotypes), rank_normal(source.scores))
        return model

    def transform(self, genotypes: npt.NDArray[np.integer]) -> Any:
        """Encode a batch, shape (n, d), to float32 features, shape (n, f + number of sources)."""
        features = self.encoder.transform(genotypes)
        columns = [model.predict(features)[0] for model in self._models]
        return np.column_stack([features, *columns]).astype(np.float32)

    @property
    def groups(self) -> list[Any]:
        """Blocks of the encoder, and one a source."""
        own = find_layout(self.encoder).get("groups", [slice(0, self._width)])
        return [*own, *(slice(column, column + 1) for column in self.source_columns)]

    @property
    def trend(self) -> list[int]:
        """Columns of the encoder with a trend."""
        return list(find_layout(self.encoder).get("trend", []))

    @property
    def source_columns(self) -> list[int]:
        """Columns of the sources."""
        return list(range(self._width, self._width + len(self.sources)))
