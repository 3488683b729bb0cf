"""Which of two architectures is better: the relation predictor of BRP-NAS."""

from __future__ import annotations

from typing import Any

import numpy as np

from weaknas.predictors._graphs import GraphLayout
from weaknas.predictors._torch_predictor import TorchPredictor, require_torch


class PairwiseRelation(TorchPredictor):
    """Graph networks that see two graphs and say which one is better.

    A pair of embeddings gives the log-odds that the first is better, with the
    opposite sign for the swapped pair (Dudziak et al., BRP-NAS, NeurIPS 2020, sec.
    4.2, arXiv:2007.08668). A row's score is its expected share of wins against
    training rows that are spread evenly over the ranks, stretched to mean and
    standard deviation of the targets.

    It sees graphs by the encoder ``graphs`` and ignores columns after them. Where
    the features are no graphs, it is a perceptron on them.

    Parameters
    ----------
    hidden : int
        Width of the state of a node.
    layers : int
    rivals : int
        Training rows that a row is compared with.
    members : int
        Networks, trained side by side.
    steps : int
        Batches that each network is trained on, on all pairs in it.
    batch_size : int
    learning_rate : float
        Of AdamW, at the start.
    weight_decay : float
    top : float
        How much pairs with the best rows weigh more; 0: all the same.
    device : str, optional
        Of torch, e.g. ``"cpu"``; default: the fastest there is.
    random_state : int or RandomState, optional
    """

    reads_graphs = True
    loss = "logistic"

    def __init__(
        self,
        hidden: int = 32,
        layers: int = 3,
        rivals: int = 32,
        *,
        members: int = 4,
        steps: int = 200,
        batch_size: int = 32,
        learning_rate: float = 1e-2,
        weight_decay: float = 1e-2,
        top: float = 0.0,
        device: str | None = None,
        random_state: Any = None,
    ) -> None:
        require_torch()
        self.hidden = hidden
        self.layers = layers
        self.rivals = rivals
        self.members = members
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.top = top
        self.device = device
        self.random_state = random_state

    def _network(self, layout: GraphLayout, plain: int, rng: np.random.Generator) -> Any:
        from weaknas.predictors._networks import Convolutions, Readout, Relation

        states = Convolutions(layout, self.members, self.hidden, self.layers, rng)
        embed = Readout(states, self.members, (self.hidden, plain), self.hidden, rng)
        return Relation(embed, self.members, (self.hidden, self.rivals), rng)
