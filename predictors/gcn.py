"""Graph convolutional networks on batched graphs."""

from __future__ import annotations

from typing import Any

import numpy as np

from weaknas.predictors._graphs import GraphLayout
from weaknas.predictors._torch_predictor import TorchPredictor, require_torch


class GCN(TorchPredictor):
    """An ensemble of graph convolutional networks.

    Messages run along the edges and against them (Wen et al., Neural Predictor,
    ECCV 2020, arXiv:1912.00848), each layer adds to the states of the nodes; the
    graph is read off the mean state and that of the output (BRP-NAS, Dudziak et
    al., NeurIPS 2020, arXiv:2007.08668, reads a global node).

    It sees graphs by the encoder ``graphs`` and ignores columns after them. Where
    the features are no graphs, it is a perceptron on them.

    Parameters
    ----------
    hidden : int
        Width of the state of a node.
    layers : int
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

    reads_graphs = True

    def __init__(
        self,
        hidden: int = 32,
        layers: int = 3,
        *,
        members: int = 4,
        steps: int = 200,
        batch_size: int = 64,
        learning_rate: float = 1e-2,
        weight_decay: float = 1e-2,
        loss: str = "logistic",
        top: float = 0.0,
        device: str | None = None,
        random_state: Any = None,
    ) -> None:
        require_torch()
        self.hidden = hidden
        self.layers = layers
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
        from weaknas.predictors._networks import Convolutions, Readout

        states = Convolutions(layout, self.members, self.hidden, self.layers, rng)
        return Readout(states, self.members, (self.hidden, plain), 1, rng)
