"""Training of one network: by a protocol, resumable after every epoch to the bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, runtime_checkable
from typing import Protocol as TypedProtocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from weaknas.errors import InputError
from weaknas.training.batches import training_parts
from weaknas.training.checkpoints import Checkpoint
from weaknas.training.data import Dataset
from weaknas.training.descent import Descent
from weaknas.training.devices import choose_device, session, torch_seed
from weaknas.training.distributed import Workers, workers
from weaknas.training.losses import make_loss
from weaknas.training.measure import Examination
from weaknas.training.optimization import learning_rate
from weaknas.training.protocol import Protocol
from weaknas.training.transforms import open_training

#: Scores on the validation split so far, one an epoch, to whether training ends now.
Stop: TypeAlias = Callable[[list[float]], bool]


@dataclass
class Training:
    """What a training brought.

    Parameters
    ----------
    network : Module
        On the device, with the weights of the last epoch, or their running average.
    curve : list of float
        The metric on the validation split after each epoch; accuracy is a fraction.
    losses : list of float
        Mean training loss of each epoch.
    seconds : list of float
        Of each epoch, its evaluation included.
    status : str
        ``"ok"``; ``"stopped"`` by the caller; ``"diverged"``: the loss is no number, or what
        is measured is none.
    metric : str
        What it is called.
    """

    network: nn.Module
    curve: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    status: str = "ok"
    metric: str = "accuracy"

    @property
    def value(self) -> float:
        """What the last epoch brought on the validation split; NaN where there is nothing."""
        return self.curve[-1] if self.curve and self.status != "diverged" else math.nan


@runtime_checkable
class Penalized(TypedProtocol):
    """A network that adds to the loss of its training, e.g. its latency."""

    def penalty(self) -> Tensor:
        """Return a number with gradients; called after each forward pass."""


class Trainer:
    """Trains one network.

    The epochs before an interruption and those after it are the same as without one:
    every epoch draws its random numbers from the seed and its own number.

    Parameters
    ----------
    build : callable
        Returns the untrained network; torch's generator is seeded when it is called.
    dataset : Dataset
        Its test split is not touched.
    protocol : Protocol
    seed : int
        Of weights, order, augmentation and whatever modules draw; not negative.
    device : str, optional
        Default: the fastest there is.
    checkpoint : Checkpoint, optional
        Written after every epoch, and continued from.
    threads : int, optional
        Of the CPU; default: as torch is set.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.

    Raises
    ------
    InputError
        When there is no such device, or the network lacks what the protocol asks for.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        dataset: Dataset,
        protocol: Protocol,
        *,
        seed: int = 0,
        device: str | None = None,
        checkpoint: Checkpoint | None = None,
        threads: int | None = None,
        loaders: int | None = None,
    ) -> None:
        self.build, self.dataset, self.protocol, self.seed = build, dataset, protocol, seed
        self.device = choose_device(device)
        self.checkpoint, self.threads, self.loaders = checkpoint, threads, loaders

    def run(
        self,
        epochs: int | None = None,
        *,
        stop: Stop | None = None,
        progress: Callable[[Training], None] | None = None,
    ) -> Training:
        """Train, from the checkpoint on where there is one.

        Parameters
        ----------
        epochs : int, optional
            End after the epoch of this number, of a schedule that is as long as the
            protocol says; default: the whole.
        stop : callable, optional
            Is given the scores after each epoch, larger being better, and ends the training
            by True; the score of accuracy is accuracy.
        progress : callable, optional
            Is called with what there is after each epoch.
        """
        alone = session(self.device, self.protocol.deterministic, self.threads)
        with alone, workers(self.device) as team:
            state = _State(self, team)
            last = self.protocol.epochs if epochs is None else min(epochs, self.protocol.epochs)
            while len(state.training.losses) < last and state.training.status == "ok":
                state.train_epoch(stop)
                if progress is not None and team.is_first:
                    progress(state.training)
            return state.finish()


class _State:
    """A training under way in one process."""

    def __init__(self, trainer: Trainer, team: Workers) -> None:
        self.trainer, self.team = trainer, team
        self.protocol, self.device = trainer.protocol, trainer.device
        data = trainer.dataset
        self.images, self.augment = open_training(data, self.device, self.protocol, trainer.loaders)
        self.examination = Examination(
            data.validation,
            data,
            self.device,
            metric=self.protocol.metric,
            precision=self.protocol.precision,
            loaders=trainer.loaders,
        )
        self.loss = make_loss(self.protocol, data.task)
        self._build()
        if trainer.checkpoint is not None:
            saved = trainer.checkpoint.load()
            if saved is not None:
                self._restore(saved)
            team.check_epochs(len(self.training.losses), self.device)

    def _build(self) -> None:
        protocol, device = self.protocol, self.device
        torch.manual_seed(torch_seed(self.trainer.seed, 0, 0))  # before the first epoch
        network = self.trainer.build().to(device)
        if protocol.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.paths = [m for m in network.modules() if _has_drop_path(m)]
        if protocol.drop_path and not self.paths:
            raise InputError("the protocol has drop_path, which the network does not support")
        self.forward = self.team.wrap(network, device)
        if protocol.compile:
            # torch would count the networks of earlier trainings as versions of this one,
            # and compile no more than a few.
            torch.compiler.reset()
            self.forward = torch.compile(self.forward)  # type: ignore[assignment]
        self.descent = Descent(network, protocol, device)
        average = get_ema_multi_avg_fn(protocol.ema)
        # With the statistics of its batch norms: those of other weights would not fit.
        self.average = (
            AveragedModel(network, multi_avg_fn=average, use_buffers=True) if protocol.ema else None
        )
        self.training = Training(network, metric=self.examination.metric.name)

    @property
    def evaluated(self) -> nn.Module:
        """The network that is evaluated: the trained one or the running average."""
        return self.network if self.average is None else self.average.module

    def train_epoch(self, stop: Stop | None) -> None:
        """Train for one epoch, evaluate, and save."""
        begin = time.perf_counter()
        training, epoch = self.training, len(self.training.losses)
        torch.manual_seed(torch_seed(self.trainer.seed, epoch + 1, self.team.rank))
        drop_path = self.protocol.drop_path * epoch / self.protocol.epochs
        for module in self.paths:
            setattr(module, "drop_path", drop_path)  # noqa: B010 a module declares no such name
        loss = self._descend(epoch)
        training.losses.append(loss)
        if not math.isfinite(loss):
            training.status = "diverged"
        else:
            self.team.share_statistics(self.evaluated)
            training.curve.append(self.examination.value(self.evaluated, self.team))
            if not math.isfinite(training.curve[-1]):
                training.status = "diverged"
        scores = map(self.examination.metric.score, training.curve)
        wanted = stop is not None and training.status == "ok" and stop(list(scores))
        if self.team.agree(wanted, self.device):
            training.status = "stopped"
        training.seconds.append(time.perf_counter() - begin)
        if self.trainer.checkpoint is not None and self.team.is_first:
            self.trainer.checkpoint.save(self._saved())
        self.team.wait()

    def finish(self) -> Training:
        """Return what was brought, the network set to evaluation."""
        self.training.network = self.evaluated.eval()
        return self.training

    def _descend(self, epoch: int) -> float:
        protocol, team = self.protocol, self.team
        count = len(self.trainer.dataset.train)
        # All processes draw the same order, and each its own augmentation.
        order = np.random.default_rng([self.trainer.seed, epoch, 0])
        rng = np.random.default_rng([self.trainer.seed, epoch, 1 + team.rank])
        parts = training_parts(count, protocol.batch_size, team, order)
        total = torch.zeros(2, device=self.device)
        self.forward.train()
        for step, (pixels, labels) in enumerate(self.images.batches(parts, rng)):
            classes = self.trainer.dataset.classes
            images, targets = self.augment.batch(pixels, labels, classes, rng)
            self.descent.begin(learning_rate(protocol, epoch + step / len(parts)))
            with self.descent.autocast():
                loss = self._loss(self.forward(images), targets)
                if isinstance(self.network, Penalized):
                    loss = loss + self.network.penalty()
            self.descent.add(loss)
            self.descent.step()
            if self.average is not None:
                self.average.update_parameters(self.network)
            weight = len(labels)
            total += torch.stack([loss.detach() * weight, loss.new_tensor(weight)])
        seen = team.total(total)
        return float(seen[0] / seen[1])

    def _loss(self, outputs: Tensor | tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        weight = self.protocol.auxiliary
        if isinstance(outputs, Tensor):
            if weight:
                raise InputError("the protocol has auxiliary, but the network has no such head")
            return self.loss(outputs, targets)
        logits, others = outputs
        return self.loss(logits, targets) + weight * self.loss(others, targets)

    # -- what is kept on the disk ---------------------------------------------------------

    def _saved(self) -> dict[str, Any]:
        training = self.training
        return {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            **self.descent.state(),
            "curve": training.curve,
            "losses": training.losses,
            "seconds": training.seconds,
            "status": training.status,
        }

    def _restore(self, saved: dict[str, Any]) -> None:
        self.network.load_state_dict(saved["network"])
        if self.average is not None:
            self.average.load_state_dict(saved["average"])
        self.descent.restore(saved)
        training = self.training
        training.curve, training.losses = list(saved["curve"]), list(saved["losses"])
        training.seconds, training.status = list(saved["seconds"]), saved["status"]


def _has_drop_path(module: nn.Module) -> bool:
    value = getattr(module, "drop_path", None)
    return isinstance(value, int | float) and not isinstance(value, bool)
