"""Training of a mixed supernet, resumable after every epoch to the bit."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from weaknas.errors import InputError, check_number
from weaknas.spaces import SearchSpace
from weaknas.spaces.cells.mixed import MixedSupernet
from weaknas.supernets.building import build_supernet
from weaknas.supernets.mixed.derive import strongest
from weaknas.supernets.mixed.judge import Judge
from weaknas.supernets.mixed.learner import Learner
from weaknas.supernets.mixed.schedule import Method, Stage, get_method, narrow
from weaknas.supernets.trainer import TEXT, SupernetTraining, check_protocol
from weaknas.training.checkpoints import Checkpoint
from weaknas.training.data import Dataset
from weaknas.training.devices import choose_device, session, torch_seed
from weaknas.training.optimization import learning_rate
from weaknas.training.protocol import Protocol

#: How a mixed supernet is trained unless something else is said: as DARTS was, for as many
#: epochs as each method was, in batches of its size.
DEFAULT = Protocol(
    epochs=50,
    batch_size=64,
    learning_rate=0.025,
    nesterov=False,
    weight_decay=3e-4,
    gradient_clipping=5.0,
)
_MIXTURE = "the mixture"


@dataclass
class MixedTraining(SupernetTraining):
    """What a training brought; see `weaknas.supernets.trainer.SupernetTraining`.

    The only probe is the mixture itself, with its weights.

    Parameters
    ----------
    derived : list of str
        After each epoch the architecture of the operations that weigh most.
    """

    derived: list[str] = field(default_factory=list)


def default_protocol(method: str, space: SearchSpace | None = None) -> Protocol:
    """Return how the supernets of a method are trained unless something else is said.

    Networks that read tokens are trained as `weaknas.supernets.trainer.TEXT` says, for as many
    epochs as the method has.

    Raises
    ------
    InputError
        When the method is unknown.
    """
    made = get_method(method)
    if space is not None and space.reads == "tokens":
        return replace(TEXT, epochs=made.epochs)
    return replace(
        DEFAULT,
        epochs=made.epochs,
        batch_size=made.batch_size,
        gradient_clipping=made.gradient_clipping,
    )


class MixedTrainer:
    """Trains networks whose edges are sums of all operations, and the weights of these.

    The epochs before an interruption and those after it are the same as without one.

    Parameters
    ----------
    space : SearchSpace
        With a mixed supernet.
    dataset : Dataset
        The validation split is only looked at, the test split not even that.
    protocol : Protocol, optional
        Without running averages, auxiliary heads, drop path and compilation; default:
        that of `default_protocol`.
    method : str
        One of `weaknas.supernets.mixed.MIXED_METHODS`.
    alpha_rate : float, optional
        Learning rate of the weights of operations; default: as published. That moves
        them over the twenty thousand steps of CIFAR-10; with fewer steps more is needed.
    seed : int
        Of weights, halves, order and augmentation.
    device : str, optional
        Default: the fastest there is.
    checkpoint : Checkpoint, optional
        Written after every epoch, and continued from.
    threads : int, optional
        Of the CPU; default: as torch is set.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.
    skeleton : mapping
        Options of the supernet of the space. ``cells`` holds in all stages; without it
        depth grows as published.

    Raises
    ------
    InputError
        When the space has no mixed supernet, the method is unknown, there are fewer
        epochs than it has stages, the protocol has a switch that supernets do not know,
        or there is no such device.
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: Dataset,
        protocol: Protocol | None = None,
        *,
        method: str = "darts",
        alpha_rate: float | None = None,
        seed: int = 0,
        device: str | None = None,
        checkpoint: Checkpoint | None = None,
        threads: int | None = None,
        loaders: int | None = None,
        skeleton: Mapping[str, Any] | None = None,
    ) -> None:
        self.method_name, self.method = method, get_method(method)
        self.protocol = default_protocol(method, space) if protocol is None else protocol
        check_protocol(self.protocol)
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise InputError(f"the method {method} trains in one process, not under torchrun")
        self.alpha_rate = self.method.alpha_rate if alpha_rate is None else alpha_rate
        check_number("alpha_rate", self.alpha_rate, above=0, most=1e6)
        self.lengths = self.method.lengths(self.protocol.epochs)
        self.space, self.dataset, self.seed = space, dataset, seed
        self.device, self.checkpoint = choose_device(device), checkpoint
        self.threads, self.loaders, self.skeleton = threads, loaders, dict(skeleton or {})

    def describe(self) -> dict[str, Any]:
        """Return what decides the weights, as plain JSON types."""
        return {
            "space": self.space.describe(),
            "dataset": self.dataset.describe(),
            "protocol": self.protocol.describe(),
            "method": self.method_name,
            "alpha_rate": self.alpha_rate,
            "skeleton": self.skeleton,
            "seed": self.seed,
        }

    def about(self) -> dict[str, Any]:
        """Return what is kept beside the weights, as plain JSON types."""
        skeleton = self.skeleton_of(self.method.stages[-1])
        return {"mixed": self.method_name, "skeleton": skeleton, "training": self.describe()}

    def skeleton_of(self, stage: Stage) -> dict[str, Any]:
        """Return the options of the supernet in a stage."""
        grows = stage.cells is not None and self.space.name.startswith("darts")
        return ({"cells": stage.cells} if grows else {}) | self.skeleton

    def run(
        self,
        epochs: int | None = None,
        *,
        progress: Callable[[MixedTraining], None] | None = None,
    ) -> MixedTraining:
        """Train, from the checkpoint on where there is one.

        Parameters
        ----------
        epochs : int, optional
            End after the epoch of this number; default: the whole.
        progress : callable, optional
            Is called with what there is after each epoch.
        """
        with session(self.device, self.protocol.deterministic, self.threads):
            state = _State(self)
            last = self.protocol.epochs if epochs is None else min(epochs, self.protocol.epochs)
            while len(state.training.losses) < last and state.training.status == "ok":
                state.train_epoch()
                if progress is not None:
                    progress(state.training)
            return state.training


class _State:
    """A training under way."""

    def __init__(self, trainer: MixedTrainer) -> None:
        self.trainer = trainer
        data, protocol = trainer.dataset, trainer.protocol
        self.judge = Judge(data, trainer.device, protocol, trainer.loaders)
        saved = trainer.checkpoint.load() if trainer.checkpoint is not None else None
        behind = [] if saved is None else saved["losses"]
        stage, _ = self._place(max(0, len(behind) - 1))
        self.learner = self._begin(stage)
        self.training = MixedTraining(self.network, metric=self.judge.metric.name)
        if saved is not None:
            self._restore(saved)

    @property
    def network(self) -> MixedSupernet:
        return self.learner.network

    def _place(self, epoch: int) -> tuple[int, int]:
        """Return the stage of an epoch and the epochs of the stage before it."""
        stage = 0
        while epoch >= self.trainer.lengths[stage]:
            epoch -= self.trainer.lengths[stage]
            stage += 1
        return stage, epoch

    def _begin(self, stage: int) -> Learner:
        """Return the learner of a stage with a new network."""
        trainer = self.trainer
        torch.manual_seed(torch_seed(trainer.seed, 0, stage))
        skeleton = trainer.skeleton_of(trainer.method.stages[stage])
        network: Any = build_supernet(trainer.space, trainer.dataset, mixed=True, **skeleton)
        if trainer.protocol.channels_last:
            network.to(memory_format=torch.channels_last)
        if not trainer.method.order:
            network.alpha.data.zero_()
        return Learner(
            network.to(trainer.device),
            trainer.dataset,
            trainer.method,
            trainer.protocol,
            trainer.device,
            seed=trainer.seed,
            halves=trainer.seed,
            alpha_rate=trainer.alpha_rate,
            loaders=trainer.loaders,
        )

    def train_epoch(self) -> None:
        """Train for one epoch, look at what could be derived, and save."""
        begin, trainer, training = time.perf_counter(), self.trainer, self.training
        epoch = len(training.losses)
        number, inside = self._place(epoch)
        stage, length = trainer.method.stages[number], trainer.lengths[number]
        if inside == 0:
            self._enter(number)
        network = self.network
        torch.manual_seed(torch_seed(trainer.seed, epoch + 1))
        network.drop_skips(stage.dropout_at(inside, length))
        network.train()
        rate_at = _cosine(trainer.protocol, trainer.method, inside, length)
        moves = inside >= stage.resting(length)
        loss = self.learner.train_epoch((epoch,), rate_at, moves=moves)
        training.losses.append(loss)
        if not math.isfinite(loss):
            training.status = "diverged"
        else:
            value, _ = self.judge.look(network)
            training.probes.setdefault(_MIXTURE, []).append(value)
            genotype = network.genotype(strongest(network, trainer.method))
            training.derived.append(trainer.space.format(genotype))
        training.seconds += time.perf_counter() - begin
        if trainer.checkpoint is not None:
            trainer.checkpoint.save(self._saved())

    def _enter(self, number: int) -> None:
        """Begin a stage with what the stage before leaves of the choices."""
        stage, before = self.trainer.method.stages[number], self.network
        weights = before.weights()
        if number:
            self.learner = self._begin(number)
            self.training.network = self.network
        self.network.restrict(
            narrow(
                stage,
                before.operations,
                before.choosable,
                before.nodes,
                weights,
                before.inputs,
            )
        )

    def _saved(self) -> dict[str, Any]:
        training = self.training
        return {
            **self.learner.state(),
            "probes": training.probes,
            "losses": training.losses,
            "derived": training.derived,
            "seconds": training.seconds,
            "status": training.status,
        }

    def _restore(self, saved: dict[str, Any]) -> None:
        self.learner.restore(saved)
        training = self.training
        training.probes = {name: list(curve) for name, curve in saved["probes"].items()}
        training.losses, training.derived = list(saved["losses"]), list(saved["derived"])
        training.seconds, training.status = saved["seconds"], saved["status"]


def _cosine(
    protocol: Protocol, method: Method, epoch: int, length: int
) -> Callable[[float], float]:
    """Return the learning rate in an epoch of a stage; it ends at a share of the highest."""
    schedule = replace(protocol, epochs=length, warmup=min(protocol.warmup, length))

    def rate_at(share: float) -> float:
        rate = learning_rate(schedule, epoch + share)
        return method.lowest_rate * protocol.learning_rate + (1 - method.lowest_rate) * rate

    return rate_at
