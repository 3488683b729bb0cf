"""The ensemble of predictors with one that reads graphs among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weaknas.predictors._torch_predictor import require_torch
from weaknas.predictors.combination import WeightedEnsemble, plain_members
from weaknas.predictors.gcn import GCN


class GraphEnsemble(WeightedEnsemble):
    """A graph network with the members of `WeightedEnsemble`, weighted by how well they rank.

    The graph network reads the columns of the encoder ``graphs``, with which the
    features must start; the others read all columns. See `WeightedEnsemble` for the
    parameters.
    """

    reads_graphs = True

    def __init__(
        self,
        estimators: Sequence[tuple[str, Any]] | None = None,
        folds: int = 3,
        groups: Sequence[Any] | None = None,
        trend: Sequence[int] | None = None,
        random_state: Any = None,
    ) -> None:
        require_torch()
        super().__init__(estimators, folds, groups, trend, random_state)

    def _defaults(self) -> list[tuple[str, Any]]:
        return [*plain_members(), ("gcn", GCN())]
