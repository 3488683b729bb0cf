"""Training and asking networks: batches, devices, threads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import Tensor

from weaknas.errors import InputError
from weaknas.predictors._graphs import Singles
from weaknas.predictors._networks import Scorer
from weaknas.predictors.labels import Floats

_CHUNK = 512  # rows predicted at a time: temporaries stay in the processor's cache


@dataclass(frozen=True)
class Training:
    """How a network is trained: AdamW, its learning rate falling to zero along a cosine.

    Parameters
    ----------
    members, steps, batch_size : int
    learning_rate, weight_decay : float
    loss : str
    top : float
        The weight of a row is its rank to this power.
    device : str or None
        None: the fastest there is.
    """

    members: int
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    loss: str
    top: float
    device: str | None

    def fit(
        self,
        network: Scorer,
        rows: tuple[Singles, ...],
        targets: Floats,
        rng: np.random.Generator,
    ) -> None:
        """Train a network, and leave it on the CPU.

        Parameters
        ----------
        network : Scorer
        rows : tuple of ndarray, each of shape (n, ...)
        targets : ndarray, shape (n,)
        rng : numpy.random.Generator
            Draws the batches of each member.
        """
        device = choose_device(self.device)
        with one_thread(device):
            network.to(device).train()
            order = np.argsort(targets, kind="stable")  # ascending, see `Scorer.finish`
            labels = torch.from_numpy(targets[order].astype(np.float32)).to(device)
            inputs = _tensors(tuple(part[order] for part in rows), device)
            self._descend(network, inputs, labels, rng)
            network.eval()
            with torch.no_grad():
                everything = [part.expand(self.members, *part.shape) for part in inputs]
                network.finish(everything, labels.expand(self.members, -1))
            network.to("cpu")

    def _descend(
        self, network: Scorer, inputs: list[Tensor], labels: Tensor, rng: np.random.Generator
    ) -> None:
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        weights = torch.from_numpy(self._weights(labels.cpu().numpy())).to(labels.device)
        batches = _batches(len(labels), self.batch_size, self.members, rng)
        for step in range(self.steps):
            rate = 0.5 * (1.0 + math.cos(math.pi * step / self.steps))
            optimizer.param_groups[0]["lr"] = self.learning_rate * rate
            drawn = torch.from_numpy(next(batches)).to(labels.device)
            batch = [block[drawn] for block in inputs]
            optimizer.zero_grad(set_to_none=True)
            network.loss(self.loss, batch, labels[drawn], weights[drawn]).backward()
            optimizer.step()

    def _weights(self, labels: Singles) -> Singles:
        """Weights of rows, shape (n,), of mean 1."""
        weights = (rankdata(labels) / len(labels)) ** self.top
        return np.asarray(weights / weights.mean(), dtype=np.float32)

    def scores(self, network: Scorer, rows: tuple[Singles, ...]) -> Floats:
        """Return the scores of every member, shape (m, n), for rows of shape (n, ...)."""
        device = choose_device(self.device)
        scores = []
        with one_thread(device), torch.no_grad():
            network.to(device)
            for start in range(0, len(rows[0]), _CHUNK):
                chunk = _tensors(tuple(block[start : start + _CHUNK] for block in rows), device)
                wide = [block.expand(self.members, *block.shape) for block in chunk]
                scores.append(network.scores(*wide).double().cpu().numpy())
            network.to("cpu")
        return np.concatenate(scores, axis=1)


def _tensors(rows: tuple[Singles, ...], device: torch.device) -> list[Tensor]:
    return [torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in rows]


def _batches(
    rows: int, size: int, members: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield rows of every member, shape (members, size); each at most once a pass."""
    size = min(size, rows)
    while True:
        orders = np.argsort(rng.random((members, rows)), axis=1)
        for start in range(0, rows - size + 1, size):
            yield orders[:, start : start + size]


def choose_device(device: str | None) -> torch.device:
    """Return the device of this name, or the fastest there is.

    Raises
    ------
    InputError
        When the name is none of a device, or there is no such device here.
    """
    if device is not None:
        try:
            return torch.empty(0, device=device).device
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0].partition(". ")[0]
            raise InputError(f"device={device!r} cannot be used: {reason}") from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """On a CPU: one thread, faster for matrices of this size, and the same sums anywhere."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
