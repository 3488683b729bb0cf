"""A transformer on batched graphs with a ranking loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from weaknas.predictors._graphs import GraphLayout
from weaknas.predictors._torch_predictor import TorchPredictor, require_torch


class GraphTransformer(TorchPredictor):
    """An ensemble of transformers whose attention knows how two nodes are related.

    Each head adds a learned number to the attention of two nodes by their
    relation: the same, an edge or a longer path in either direction, or none
    (Ying et al., Graphormer, NeurIPS 2021, sec. 3.1.2). A transformer with a
    ranking loss follows TNASP (Lu et al., NeurIPS 2021) and PINAT (Lu et al.,
    AAAI 2023).

    It sees graphs by the encoder ``graphs`` and ignores columns after them. Where
    the features are no graphs, it is a perceptron on them.

    Parameters
    ----------
    hidden : int
        Width of the state of a node.
    layers : int
    heads : int
        Of attention; they divide `hidden`.
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
        layers: int = 2,
        heads: int = 4,
        *,
        members: int = 2,
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
        self.heads = heads
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
        from weaknas.predictors._attention import Transformer
        from weaknas.predictors._networks import Readout

        states = Transformer(layout, self.members, (self.hidden, self.layers, self.heads), rng)
        return Readout(states, self.members, (self.hidden, plain), 1, rng)
