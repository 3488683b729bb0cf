"""Predictors that compete, each with the encoder it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from weaknas.components import parse_label
from weaknas.registry import get_encoder, get_predictor
from weaknas.search.evolution import default_candidates
from weaknas.search.pool import Pool
from weaknas.search.presets import get_preset
from weaknas.spaces import SearchSpace
from weaknas.strategies import History


@dataclass(frozen=True)
class Contestant:
    """A predictor with the encoder it is given.

    Parameters
    ----------
    predictor : estimator
        Any scikit-learn regressor, unfitted.
    encoder : str or transformer, optional
        A registered name, several joined by ``+``, or any transformer of genotypes;
        default: that of a search with the default settings.
    """

    predictor: Any
    encoder: Any = None

    def encoder_name(self, space: SearchSpace) -> str:
        """Return the name of the encoder for a space."""
        chosen = self.encoder
        if chosen is None:
            chosen = get_preset("default", space).encoder_for(self.predictor)
        return chosen if isinstance(chosen, str) else type(chosen).__name__

    def build_encoder(self, space: SearchSpace) -> Any:
        """Return the encoder for a space.

        Raises
        ------
        InputError
            When it is unknown or does not fit the space.
        """
        if self.encoder is None or isinstance(self.encoder, str):
            return get_encoder(self.encoder_name(space), space)
        return self.encoder

    def pool(self, space: SearchSpace) -> Pool:
        """Return the whole space, each architecture once, as this contestant sees it."""
        candidates = default_candidates(space, self.build_encoder(space))
        return candidates.pool(History(space), np.random.default_rng(0))


def parse_contestant(label: str, encoder: str | None = None) -> Contestant:
    """Return the contestant of a label such as ``xgboost:max-depth=3:encoder=one-hot``.

    Parameters
    ----------
    label : str
        Name of a predictor, and its options; ``encoder`` is one of them.
    encoder : str, optional
        Where the label names none.

    Raises
    ------
    InputError
        When the predictor or an option is unknown.
    """
    name, options = parse_label(label)
    return Contestant(
        encoder=options.pop("encoder", encoder), predictor=get_predictor(name, **options)
    )
