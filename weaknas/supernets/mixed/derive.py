"""Architectures out of mixed supernets: by the weights of operations, or by what they matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch

from weaknas.errors import check_seed, check_whole, unknown
from weaknas.spaces import Genotypes
from weaknas.spaces.cells.mixed import Mask, MixedSupernet
from weaknas.supernets.mixed.judge import Judge
from weaknas.supernets.mixed.learner import Learner
from weaknas.supernets.mixed.schedule import Method, Weights, keep_inputs
from weaknas.training.checkpoints import Checkpoint
from weaknas.training.data import Dataset
from weaknas.training.devices import session, torch_seed
from weaknas.training.protocol import Protocol

CRITERIA = ("magnitude", "perturbation")
#: Epochs between decisions (Wang et al., 2021, appendix).
TUNING = 5
_SKIP = "skip_connect"
_SLOWER = 0.1  # of the learning rate, while it is tuned


def strongest(network: MixedSupernet, method: Method) -> Mask:
    """Return the operation of each edge that weighs most, and of each node its inputs.

    Liu, Simonyan and Yang (arXiv:1806.09055, section 2.4): what no architecture can have
    does not count. Where a method allows few skip connections the weakest give way, and
    the choice is made again (Chen et al., arXiv:1904.12760, section 3.3).

    Returns
    -------
    ndarray of bool, shape (edges, operations)
    """
    weights = network.weights() * network.choosable
    for name in method.without:
        if name in network.operations:
            weights[:, network.operations.index(name)] = 0
    chosen = _strongest(weights, network)
    first = next(iter(network.kinds.values()))
    while method.skips is not None and _SKIP in network.operations:
        skip = network.operations.index(_SKIP)
        edges = [edge for edge in first if chosen[edge, skip]]
        if len(edges) <= method.skips:
            break
        weights[min(edges, key=lambda edge: weights[edge, skip]), skip] = 0
        chosen = _strongest(weights, network)
    return chosen


def _strongest(weights: Weights, network: MixedSupernet) -> Mask:
    chosen = np.arange(weights.shape[1]) == weights.argmax(axis=1)[:, None]
    keep = keep_inputs(weights.max(axis=1), network.nodes, network.inputs)
    return np.asarray(chosen & keep[:, None])


@dataclass(frozen=True)
class Decision:
    """What one step of a derivation has decided.

    Parameters
    ----------
    edge : int
        Whose operation was chosen, or of whose node the inputs were: the first of them.
    accuracies : dict of str to float
        On the validation split, without each operation or without each input; of texts
        perplexities.
    chosen : list of str
        The operation, or the inputs that stay.
    """

    edge: int
    accuracies: dict[str, float]
    chosen: list[str]


class Derivation:
    """Decides one edge after the other and tunes the network between.

    Wang et al., "Rethinking architecture selection in differentiable NAS", ICLR 2021
    (arXiv:2108.04392), algorithm 1: edges in random order, of each the operation whose
    removal costs the most accuracy, the others weighing what they did; afterwards of each
    node the inputs whose removal costs the most. Between decisions the network is
    trained for a few epochs at a tenth of the learning rate. Equal accuracies, which the
    paper leaves open, are told apart by the loss.

    The decisions before an interruption and those after it are the same as without one.

    Parameters
    ----------
    network : MixedSupernet
        Trained, on the device; it is changed.
    dataset : Dataset
        As it was trained on; removal is judged on the validation split, which neither
        the network nor the weights of operations have learnt from.
    method : Method
        By which it was trained.
    protocol : Protocol
        By which it was trained.
    criterion : {"perturbation", "magnitude"}
        As in the paper, or by weights: the control.
    tuning : int
        Epochs between decisions.
    uniform : bool
        Forget the weights of operations first: all weigh the same.
    alpha_rate : float, optional
        Learning rate of the weights of operations; default: of the method.
    seed : int
        Of the order of edges and of tuning.
    halves : int
        Seed of the training, by which the images were divided in halves.
    checkpoint : Checkpoint, optional
        Written after every decision, and continued from.
    threads : int, optional
        Of the CPU; default: as torch is set.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.

    Raises
    ------
    InputError
        When the criterion is unknown, or tuning or seed are no such numbers.
    """

    def __init__(  # noqa: PLR0913 what a training was, and how it goes on
        self,
        network: MixedSupernet,
        dataset: Dataset,
        method: Method,
        protocol: Protocol,
        *,
        criterion: str = "perturbation",
        tuning: int = TUNING,
        uniform: bool = False,
        alpha_rate: float | None = None,
        seed: int = 0,
        halves: int = 0,
        checkpoint: Checkpoint | None = None,
        threads: int | None = None,
        loaders: int | None = None,
    ) -> None:
        if criterion not in CRITERIA:
            raise unknown("criterion", criterion, CRITERIA)
        self.tuning = check_whole("tuning", tuning, 0)
        self.seed = check_seed(seed)
        self.network, self.method, self.protocol = network, method, protocol
        self.criterion, self.uniform = criterion, uniform
        self.device = network.alpha.device
        if uniform:
            network.alpha.data.zero_()
        self.judge = Judge(dataset, self.device, protocol, loaders)
        self.learner = Learner(
            network,
            dataset,
            method,
            protocol,
            self.device,
            seed=seed,
            halves=halves,
            alpha_rate=method.alpha_rate if alpha_rate is None else alpha_rate,
            loaders=loaders,
        )
        self.checkpoint, self.threads = checkpoint, threads
        self.decisions: list[Decision] = []

    def run(self, *, progress: Callable[[Decision], None] | None = None) -> Genotypes:
        """Decide all edges; return the architecture, shape (d,)."""
        with session(self.device, self.protocol.deterministic, self.threads):
            steps = self._steps()
            for step in range(self._restore(), len(steps)):
                if step:
                    self._tune(step)
                for decide, place in steps[step]:
                    self.decisions.append(decide(place))
                    if progress is not None:
                        progress(self.decisions[-1])
                self._save(step + 1)
        return self.network.genotype(self.network.mask())

    def _steps(self) -> list[list[tuple[Callable[[int], Decision], int]]]:
        """Return what is decided at a time: an edge of each kind of cell, then a node of each."""
        rng, network = np.random.default_rng([self.seed, 3]), self.network
        undecided = network.mask().sum(axis=1) > 1
        edges = [
            [int(e) for e in rng.permutation(kind) if undecided[e]]
            for kind in network.kinds.values()
        ]
        nodes = [
            [int(n) for n in rng.permutation(len(network.nodes)) if self._chooses(int(n), kind)]
            for kind in network.kinds.values()
        ]
        return [
            [(decide, place) for place in together if place is not None]
            for decide, lists in ((self._choose_operation, edges), (self._choose_inputs, nodes))
            for together in zip_longest(*lists)
        ]

    def _chooses(self, node: int, kind: range) -> bool:
        edges = [edge for edge in self.network.nodes[node] if self.network.mask()[edge].any()]
        return len(edges) > self.network.inputs and edges[0] in kind

    def _choose_operation(self, edge: int) -> Decision:
        network, mask = self.network, self.network.mask()
        options = np.flatnonzero(mask[edge] & network.choosable).tolist()
        looks = {option: self._without(edge, option) for option in options}
        if self.criterion == "magnitude":
            weights = network.weights()[edge]
            best = max(options, key=lambda option: weights[option])
        else:
            best = min(options, key=lambda option: self._quality(looks[option]))
        mask[edge] = np.arange(mask.shape[1]) == best
        network.restrict(mask)
        named = {network.operations[option]: looks[option][0] for option in options}
        return Decision(edge, named, [network.operations[best]])

    def _choose_inputs(self, node: int) -> Decision:
        network, mask = self.network, self.network.mask()
        edges = [edge for edge in network.nodes[node] if mask[edge].any()]
        looks = {edge: self._without(edge, slice(None)) for edge in edges}
        if self.criterion == "magnitude":  # of the operation that was chosen, among all
            weights = (network.alpha.detach().softmax(1).cpu().numpy() * mask).max(axis=1)
            order = sorted(edges, key=lambda edge: -weights[edge])
        else:
            order = sorted(edges, key=lambda edge: self._quality(looks[edge]))
        mask[order[network.inputs :]] = False
        network.restrict(mask)
        named = {str(edges.index(edge)): looks[edge][0] for edge in edges}
        stay = sorted(order[: network.inputs])
        return Decision(edges[0], named, [str(edges.index(edge)) for edge in stay])

    def _without(self, edge: int, operation: int | slice) -> tuple[float, float]:
        """Return the metric and the loss while an operation of an edge, or all, weigh nothing."""
        weights = self.network.mixing().detach().clone()
        weights[edge, operation] = 0
        return self.judge.look(self.network, weights)

    def _quality(self, look: tuple[float, float]) -> tuple[float, float]:
        value, loss = look
        # What has no value is the worst.
        return float(np.nan_to_num(self.judge.metric.score(value), nan=-np.inf)), -loss

    def _tune(self, step: int) -> None:
        rate = _SLOWER * self.protocol.learning_rate
        self.network.drop_skips(0.0)
        self.network.train()
        for epoch in range(self.tuning):
            torch.manual_seed(torch_seed(self.seed, step, epoch))
            self.learner.train_epoch((step, epoch), lambda _: rate, moves=not self.uniform)

    def _save(self, steps: int) -> None:
        if self.checkpoint is not None:
            decisions = [vars(decision) for decision in self.decisions]
            saved = {**self.learner.state(), "steps": steps, "decisions": decisions}
            self.checkpoint.save(saved)

    def _restore(self) -> int:
        saved: dict[str, Any] | None = None
        if self.checkpoint is not None:
            saved = self.checkpoint.load()
        if saved is None:
            return 0
        self.learner.restore(saved)
        self.decisions = [Decision(**decision) for decision in saved["decisions"]]
        return int(saved["steps"])
