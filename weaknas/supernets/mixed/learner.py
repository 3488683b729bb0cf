"""Epochs of a mixed supernet: a step of the operations' weights, then one of the network's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weaknas.errors import InputError
from weaknas.spaces.cells.mixed import MixedSupernet
from weaknas.supernets.mixed.bilevel import first_order, second_order
from weaknas.supernets.mixed.schedule import Method
from weaknas.training.batches import Rows, training_parts
from weaknas.training.data import Dataset
from weaknas.training.descent import Descent
from weaknas.training.distributed import ALONE
from weaknas.training.losses import make_loss
from weaknas.training.protocol import Protocol
from weaknas.training.transforms import open_training

_BETAS, _DECAY = (0.5, 0.999), 1e-3  # of Adam for the weights of operations


class Learner:
    """Teaches one network, and the weights of its operations.

    Parameters
    ----------
    network : MixedSupernet
        On the device.
    dataset : Dataset
        Its training images are divided in halves, one for the network and one for the
        weights of operations, unless the method is of one level.
    method : Method
    protocol : Protocol
    device : torch.device
    seed : int
        Of the order and augmentation.
    halves : int
        Seed of the halves.
    alpha_rate : float
        Learning rate of the weights of operations.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.

    Raises
    ------
    InputError
        When a second-order method has another optimizer than SGD, or there are fewer than
        four training images to divide.
    """

    def __init__(
        self,
        network: MixedSupernet,
        dataset: Dataset,
        method: Method,
        protocol: Protocol,
        device: torch.device,
        *,
        seed: int,
        halves: int,
        alpha_rate: float,
        loaders: int | None = None,
    ) -> None:
        if method.order == 2 and protocol.optimizer != "sgd":
            raise InputError(
                f"optimizer is {protocol.optimizer}; gradients of second order are of a step of sgd"
            )
        self.network, self.method, self.protocol = network, method, protocol
        self.device, self.seed = device, seed
        self.descent = Descent(network.network, protocol, device)
        self._weights = [w for w in network.network.parameters() if w.requires_grad]
        self._alphas = torch.optim.Adam(
            [network.alpha], alpha_rate, betas=_BETAS, weight_decay=_DECAY
        )
        rows = np.random.default_rng([halves, 0]).permutation(len(dataset.train))
        parts = [rows] if method.one_level else np.array_split(rows, 2)
        if min(map(len, parts)) < 2:
            raise InputError(f"{len(rows)} training images are too few to be divided in halves")
        self._classes, self._criterion = dataset.classes, make_loss(protocol, dataset.task)
        self._counts = [len(part) for part in parts]
        self._sources = [
            open_training(
                replace(dataset, train=dataset.train.take(np.sort(part))),
                device,
                protocol,
                loaders,
            )
            for part in parts
        ]

    def train_epoch(
        self, place: tuple[int, ...], rate_at: Callable[[float], float], *, moves: bool
    ) -> float:
        """Go once through the images of the network; return its mean loss.

        Parameters
        ----------
        place : tuple of int
            Of the epoch: with the seed it decides all that is random.
        rate_at : callable
            Learning rate at each share of the epoch.
        moves : bool
            Whether the weights of operations are learnt.
        """
        rng, total = np.random.default_rng([self.seed, 1, *place]), []
        parts = training_parts(self._counts[0], self.protocol.batch_size, ALONE, rng)
        others = self._others(place)
        for step, (images, targets) in enumerate(self._batches(0, parts, rng)):
            rate = rate_at(step / len(parts))
            self.descent.begin(rate)
            self._alphas.zero_grad(set_to_none=True)

            def training(images: Tensor = images, targets: Tensor = targets) -> Tensor:
                return self._loss(images, targets)

            if moves and self.method.order and not self.method.one_level:
                self.network.alpha.grad = self._slope(training, next(others), rate)
                self._alphas.step()
            together = moves and self.method.one_level
            # Without a gradient of its own the mixture costs less to descend from.
            loss = training() if together else self._loss(images, targets, fixed=True)
            self.descent.add(loss)
            self.descent.step(*([self._alphas] if together else []))
            total.append(loss.detach() * len(images))
        return float(torch.stack(total).sum()) / sum(map(len, parts))

    def _slope(
        self, training: Callable[[], Tensor], other: tuple[Tensor, Tensor], rate: float
    ) -> Tensor:
        """Return the gradient of the weights of operations on images of the other half."""

        def validation() -> Tensor:
            return self._loss(*other)

        if self.method.order == 1:
            return first_order(validation, self.network.alpha)
        return second_order(
            training,
            validation,
            self._weights,
            self.network.alpha,
            rate=rate,
            velocities=[self.descent.velocity(weight) for weight in self._weights],
            momentum=self.protocol.momentum,
            decay=self.protocol.weight_decay,
        )

    def _loss(self, images: Tensor, targets: Tensor, *, fixed: bool = False) -> Tensor:
        weights = self.network.mixing().detach() if fixed else None
        with self.descent.autocast():
            return self._criterion(self.network(images, weights), targets)

    def _batches(
        self, part: int, rows: list[Rows], rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        source, augment = self._sources[part]
        for pixels, labels in source.batches(rows, rng):
            yield augment.batch(pixels, labels, self._classes, rng)

    def _others(self, place: tuple[int, ...]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of the half for the weights of operations, without end."""
        rng = np.random.default_rng([self.seed, 2, *place])
        while True:
            rows = training_parts(self._counts[1], self.protocol.batch_size, ALONE, rng)
            yield from self._batches(1, rows, rng)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "network": self.network.state_dict(),
            "alphas": self._alphas.state_dict(),
            **self.descent.state(),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self.network.load_state_dict(saved["network"])
        self._alphas.load_state_dict(saved["alphas"])
        self.descent.restore(saved)
