"""Deep ensembles of perceptrons in torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from weaknas.predictors._graphs import GraphLayout
from weaknas.predictors._torch_predictor import TorchPredictor, require_torch


class DeepEnsemble(TorchPredictor):
    """An ensemble of perceptrons with a squared or a ranking loss.

    Members differ by initial weights and batches and see all rows
    (Lakshminarayanan et al., NeurIPS 2017, arXiv:1612.01474); their spread is the
    uncertainty.

    Parameters
    ----------
    hidden : tuple of int
        Width of each hidden layer.
    members : int
        Networks, trained side by side.
    steps : int
        Batches that each network is trained on.
    batch_size : int
    learning_rate : float
        Of AdamW, at the start.
    weight_decay : float
    loss : {"squared", "hinge", "logistic"}
        Squared error, or a loss of the order of pairs.
    top : float
        How much the best rows weigh more; 0: all the same.
    device : str, optional
        Of torch, e.g. ``"cpu"``; default: the fastest there is.
    random_state : int or RandomState, optional
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (64, 64),
        *,
        members: int = 5,
        steps: int = 200,
        batch_size: int = 64,
        learning_rate: float = 1e-2,
        weight_decay: float = 1e-1,
        loss: str = "squared",
        top: float = 0.0,
        device: str | None = None,
        random_state: Any = None,
    ) -> None:
        require_torch()
        self.hidden = hidden
        self.members = members
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.loss = loss
        self.top = top
        self.device = device
        self.random_state = random_state

    def _network(self, layout: GraphLayout, plain: int, rng: np.random.Generator) -> Any:
        from weaknas.predictors._networks import Perceptron, Plain

        return Plain(Perceptron(self.members, (plain, *self.hidden, 1), rng))
