"""Training of a supernet, resumable after every epoch to the bit."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from weaknas.errors import InputError
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.supernets.building import build_supernet
from weaknas.supernets.distillation import alpha_divergence
from weaknas.supernets.judging import Judge
from weaknas.supernets.probes import Probes
from weaknas.supernets.samplers import Sampler, Uniform
from weaknas.supernets.samplers.making import make_sampler
from weaknas.supernets.schedule import SAMPLED, Phase, make_phases, phase_of
from weaknas.supernets.scoring import Scoring
from weaknas.training.batches import training_parts
from weaknas.training.checkpoints import Checkpoint
from weaknas.training.data import Dataset, check_inputs
from weaknas.training.descent import Descent
from weaknas.training.devices import choose_device, session, torch_seed
from weaknas.training.distributed import Workers, workers
from weaknas.training.losses import make_loss
from weaknas.training.optimization import learning_rate
from weaknas.training.protocol import Protocol, get_protocol
from weaknas.training.transforms import open_training

#: How a supernet is trained unless something else is said; for small images.
DEFAULT = Protocol(
    epochs=60,
    batch_size=128,
    learning_rate=0.1,
    weight_decay=3e-5,
    decay_all=False,
    warmup=2.0,
    gradient_clipping=1.0,
    channels_last=True,
)
_CALIBRATION = 2000  # images that the favorites of a sampler are recalibrated on
#: The same for a text.
TEXT = replace(get_protocol("text"), epochs=20, settings=())
_WITHOUT = {"ema": 0.0, "drop_path": 0.0, "auxiliary": 0.0, "compile": False}


def default_for(space: SearchSpace) -> Protocol:
    """Return how a supernet of a space is trained unless something else is said."""
    return TEXT if space.reads == "tokens" else DEFAULT


@dataclass
class SupernetTraining:
    """What a training brought.

    Parameters
    ----------
    network : Module
        The supernet, on the device.
    probes : dict of str to list of float
        Validation accuracy, a fraction, or another metric of some architectures after each
        epoch, with batch norms recalibrated: the largest and the smallest, or a few at random.
    losses : list of float
        Mean training loss of each epoch.
    rewards : list of float
        Of each epoch with lessons of the sampler: the mean score of what it drew for them, on
        minibatches of held-out images: accuracy, of texts minus the logarithm of perplexity.
    seconds : float
        Of all epochs, those before an interruption included.
    status : str
        ``"ok"`` or ``"diverged"``: the loss is no number.
    sampler : Sampler, optional
        As it is after the training.
    metric : str
        Of the probes.
    """

    network: nn.Module
    probes: dict[str, list[float]] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    seconds: float = 0.0
    status: str = "ok"
    sampler: Sampler | None = None
    metric: str = "accuracy"


class SupernetTrainer:
    """Trains the weights that all architectures of a space share.

    The epochs before an interruption and those after it are the same as without one.
    Under ``torchrun`` all processes draw the same architectures for their shares of a batch;
    each normalises elastic layers by its share.

    Parameters
    ----------
    space : SearchSpace
        With a supernet.
    dataset : Dataset
        The validation split is only looked at, or what a sampler learns from; the test
        split not even that.
    protocol : Protocol, optional
        Without running averages, auxiliary heads, drop path and compilation; default:
        `DEFAULT`, or `TEXT` of networks that read tokens.
    method, random
        See `weaknas.supernets.make_phases`.
    sampler : Sampler, optional
        Draws the architectures; fresh. Default: the one of the method.
    seed : int
        Of weights, order, augmentation and architectures.
    device : str, optional
        Default: the fastest there is.
    checkpoint : Checkpoint, optional
        Written after every epoch, and continued from.
    threads : int, optional
        Of the CPU; default: as torch is set.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.
    skeleton : mapping
        Options of the supernet of the space.

    Raises
    ------
    InputError
        When the space has no supernet or is not for this method, the protocol has a
        switch that supernets do not know, or there is no such device.
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: Dataset,
        protocol: Protocol | None = None,
        *,
        method: str | None = None,
        random: int = 2,
        sampler: Sampler | None = None,
        seed: int = 0,
        device: str | None = None,
        checkpoint: Checkpoint | None = None,
        threads: int | None = None,
        loaders: int | None = None,
        skeleton: Mapping[str, Any] | None = None,
    ) -> None:
        protocol = default_for(space) if protocol is None else protocol
        check_inputs(space, dataset)
        check_protocol(protocol)
        self.space, self.dataset, self.protocol, self.seed = space, dataset, protocol, seed
        self.phases = make_phases(space, protocol.epochs, method, random)
        if sampler is None and method in SAMPLED:
            sampler = make_sampler(method, space, epochs=protocol.epochs, seed=seed)
        self.sampler = sampler or Uniform(space, self.phases, seed=seed)
        self.device, self.checkpoint = choose_device(device), checkpoint
        self.threads, self.loaders, self.skeleton = threads, loaders, dict(skeleton or {})

    def describe(self) -> dict[str, Any]:
        """Return what decides the weights, as plain JSON types."""
        return {
            "space": self.space.describe(),
            "dataset": self.dataset.describe(),
            "protocol": self.protocol.describe(),
            "phases": [[phase.name, phase.epochs, phase.random] for phase in self.phases],
            "skeleton": self.skeleton,
            "seed": self.seed,
            **({"sampler": settings} if (settings := self.sampler.describe()) else {}),
        }

    def about(self) -> dict[str, Any]:
        """Return what is kept beside the weights, as plain JSON types."""
        return {"skeleton": self.skeleton, "training": self.describe()}

    def run(
        self,
        epochs: int | None = None,
        *,
        progress: Callable[[SupernetTraining], None] | None = None,
    ) -> SupernetTraining:
        """Train, from the checkpoint on where there is one.

        Parameters
        ----------
        epochs : int, optional
            End after the epoch of this number; default: the whole.
        progress : callable, optional
            Is called with what there is after each epoch.
        """
        alone = session(self.device, self.protocol.deterministic, self.threads)
        with alone, workers(self.device) as team:
            state = _State(self, team)
            last = self.protocol.epochs if epochs is None else min(epochs, self.protocol.epochs)
            while len(state.training.losses) < last and state.training.status == "ok":
                state.train_epoch()
                if progress is not None and team.is_first:
                    progress(state.training)
            return state.training

    def judge_favorites(self, training: SupernetTraining, n: int = 10) -> list[dict[str, Any]]:
        """Return what the sampler of a training would choose among, the best first.

        Parameters
        ----------
        training : SupernetTraining
        n : int
            Most architectures, each of which is cut out and its batch norms recalibrated.

        Returns
        -------
        list of dict
            ``architecture``, its text, and the metric on the validation split by its name,
            ``accuracy`` as a fraction; empty where the sampler has learnt nothing.
        """
        sampler = training.sampler
        if sampler is None or not sampler.lessons.size or not training.rewards:
            return []
        sampler.begin(len(training.losses))
        genotypes = sampler.favorites(n)
        scoring = Scoring(
            training.network,
            self.dataset,
            calibration=_CALIBRATION,
            metric=self.protocol.metric,
            device=str(self.device),
            precision=self.protocol.precision,
            loaders=self.loaders,
        )
        values = scoring.values(genotypes, self.dataset.validation)
        order = np.argsort([-scoring.metric.score(value) for value in values], kind="stable")
        return [
            {
                "architecture": self.space.format(genotypes[i]),
                scoring.metric.name: float(values[i]),
            }
            for i in order.tolist()
        ]


def check_protocol(protocol: Protocol) -> None:
    """Refuse the switches that supernets do not know.

    Raises
    ------
    InputError
        When one of them is on.
    """
    for name, off in _WITHOUT.items():
        if getattr(protocol, name) != off:
            raise InputError(f"supernets are trained without {name} of the protocol")


class _State:
    """A training under way in one process."""

    def __init__(self, trainer: SupernetTrainer, team: Workers) -> None:
        self.trainer, self.team = trainer, team
        self.protocol, self.device, self.space = trainer.protocol, trainer.device, trainer.space
        data = trainer.dataset
        torch.manual_seed(torch_seed(trainer.seed, 0))
        network = build_supernet(self.space, data, **trainer.skeleton).to(self.device)
        if self.protocol.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: Any = network
        self.forward = team.wrap(network, self.device)
        self.descent = Descent(network, self.protocol, self.device)
        self.teacher: nn.Module | None = None
        self.loss = make_loss(self.protocol, data.task)
        self._is_regression = data.task == "regression"
        self.images, self.augment = open_training(data, self.device, self.protocol, trainer.loaders)
        self.training = SupernetTraining(network)
        self.sampler = copy.deepcopy(trainer.sampler)
        self.training.sampler = self.sampler
        self.judge: Judge | None = None
        if self.sampler.lessons.size:
            self.judge = Judge(data, self.device, self.protocol, team, trainer.loaders)
        if team.is_first:
            self.probes = Probes(
                self.space, data, self.device, trainer.seed, self.protocol, trainer.loaders
            )
            self.training.metric = self.probes.metric
        if trainer.checkpoint is not None:
            saved = trainer.checkpoint.load()
            if saved is not None:
                self._restore(saved)
            team.check_epochs(len(self.training.losses), self.device)

    def train_epoch(self) -> None:
        """Train for one epoch, look at some architectures, and save."""
        begin = time.perf_counter()
        training, epoch = self.training, len(self.training.losses)
        phase, start = phase_of(self.trainer.phases, epoch)
        if epoch == start:
            self._enter(phase)
        torch.manual_seed(torch_seed(self.trainer.seed, epoch + 1, self.team.rank))
        self.sampler.begin(epoch)
        self.judging = np.random.default_rng([self.trainer.seed, epoch, 0, 1])
        self.rewards: list[float] = []
        loss = self._descend(phase, epoch, start)
        lessons = self.sampler.lessons
        if (epoch + 1) % lessons.period == 0:
            self._teach(lessons.after_epoch)
        training.losses.append(loss)
        if self.rewards:
            training.rewards.append(float(np.mean(self.rewards)))
        if not math.isfinite(loss):
            training.status = "diverged"
        elif self.team.is_first:
            for name, value in self.probes.look(self.network).items():
                training.probes.setdefault(name, []).append(value)
        training.seconds += time.perf_counter() - begin
        if self.trainer.checkpoint is not None and self.team.is_first:
            self.trainer.checkpoint.save(self._saved())
        self.team.wait()

    def _teach(self, lessons: int) -> None:
        """Give the sampler some lessons."""
        if self.judge is None:
            return
        for _ in range(lessons):
            drawn = self.sampler.audition()
            rewards = self.judge.scores(self.network, drawn, self.judging)
            known = np.isfinite(rewards)
            if known.any():  # what has no score is as bad as the worst
                self.sampler.learn(drawn, np.where(known, rewards, rewards[known].min()))
            self.rewards += rewards[known].tolist()

    def _enter(self, phase: Phase) -> None:
        """Begin a phase: sort channels, fix the teacher, forget the momenta."""
        if phase.teacher == "frozen" and self.teacher is None:
            self.teacher = self._largest()
        if phase.sort:
            self.network.sort_channels(phase.sort)
        self.descent.restart()

    def _largest(self) -> nn.Module:
        largest: nn.Module = self.network.extract(self.space.cardinalities - 1)
        # As once-for-all has it, the teacher normalises by each batch, without dropout.
        for module in largest.eval().modules():
            module.training = isinstance(module, nn.modules.batchnorm._BatchNorm)
        return largest.requires_grad_(False)

    def _descend(self, phase: Phase, epoch: int, start: int) -> float:
        team, seed = self.team, self.trainer.seed
        count = len(self.trainer.dataset.train)
        # All processes draw the same order and architectures, each its own augmentation.
        order = np.random.default_rng([seed, epoch, 0])
        rng = np.random.default_rng([seed, epoch, 2 + team.rank])
        parts = training_parts(count, self.protocol.batch_size, team, order)
        schedule = replace(
            self.protocol, epochs=phase.epochs, warmup=min(self.protocol.warmup, phase.epochs)
        )
        total = torch.zeros(2, device=self.device)
        self.forward.train()
        for step, (pixels, labels) in enumerate(self.images.batches(parts, rng)):
            rate = phase.rate * learning_rate(schedule, epoch - start + step / len(parts))
            classes = self.trainer.dataset.classes
            images, targets = self.augment.batch(pixels, labels, classes, rng)
            self.descent.begin(rate)
            loss = self._step(phase, self.sampler.draw(step), images, targets)
            self._teach(self.sampler.lessons.after_step)
            total += torch.stack([loss * len(labels), loss.new_tensor(len(labels))])
        seen = team.total(total)
        return float(seen[0] / seen[1])

    def _step(self, phase: Phase, drawn: Genotypes, images: Tensor, targets: Tensor) -> Tensor:
        """Sum the gradients of all architectures of a step, as the papers do; return the loss."""
        losses, soft = [], None
        if self.teacher is not None:
            with torch.no_grad(), self.descent.autocast():
                soft = self._told(self.teacher(images))
        for genotype in drawn:
            self.network.activate(genotype)
            with self.descent.autocast():
                logits = self.forward(images)
                loss = self._loss(phase, logits, targets, soft)
            self.descent.add(loss)
            losses.append(loss.detach())
            if phase.teacher == "largest" and soft is None:
                soft = self._told(logits)
        self.descent.step()
        return torch.stack(losses).mean()

    def _loss(self, phase: Phase, logits: Tensor, targets: Tensor, soft: Tensor | None) -> Tensor:
        follows = self.loss if self._is_regression else functional.cross_entropy
        if soft is not None and phase.teacher == "largest":
            if phase.alpha and not self._is_regression:
                return alpha_divergence(logits, soft)
            return follows(logits, soft)
        loss = self.loss(logits, targets)
        return loss if soft is None else loss + follows(logits, soft)

    def _told(self, outputs: Tensor) -> Tensor:
        """Return what one architecture teaches another: probabilities, of a regression values."""
        values = outputs.detach().float()  # outputs may have 16 bits
        return values if self._is_regression else values.softmax(1)

    # -- what is kept on the disk ---------------------------------------------------------

    def _saved(self) -> dict[str, Any]:
        training = self.training
        return {
            "network": self.network.state_dict(),
            "teacher": None if self.teacher is None else self.teacher.state_dict(),
            **self.descent.state(),
            "probes": training.probes,
            "losses": training.losses,
            "rewards": training.rewards,
            "sampler": self.sampler.state(),
            "seconds": training.seconds,
            "status": training.status,
        }

    def _restore(self, saved: dict[str, Any]) -> None:
        self.network.load_state_dict(saved["network"])
        if saved["teacher"] is not None:
            self.teacher = self._largest()
            self.teacher.load_state_dict(saved["teacher"])
        self.descent.restore(saved)
        training = self.training
        training.probes = {name: list(curve) for name, curve in saved["probes"].items()}
        training.losses = list(saved["losses"])
        training.rewards = list(saved.get("rewards", ()))
        self.sampler.restore(saved.get("sampler", {}))
        training.seconds, training.status = saved["seconds"], saved["status"]
