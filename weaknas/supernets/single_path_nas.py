"""Single-Path NAS: an architecture by one training, and the weight that meets a latency.

Stamoulis et al. (2019, arXiv:1904.02877); the network is
`weaknas.spaces.mobilenetv3.superkernel`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from weaknas.errors import InputError, check_number, check_whole
from weaknas.spaces import Architecture
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.supernets.trainer import DEFAULT
from weaknas.training.checkpoints import Checkpoint
from weaknas.training.data import Dataset
from weaknas.training.protocol import Protocol
from weaknas.training.trainer import Trainer

#: Weights of the latency between which a target is sought.
LOWEST, HIGHEST = 0.01, 100.0


@dataclass(frozen=True)
class Derived:
    """What a training of superkernels brought.

    Parameters
    ----------
    architecture : Architecture
    latency : float
        As the table of the space says, in its unit.
    weight : float
        Of the logarithm of the latency in the loss.
    accuracy : float
        On the validation images, a fraction, with the weights of the superkernels.
    network : Module
        The architecture by itself with these weights.
    """

    architecture: Architecture
    latency: float
    weight: float
    accuracy: float
    network: nn.Module


def derive(
    space: MobileNetV3,
    dataset: Dataset,
    weight: float,
    protocol: Protocol = DEFAULT,
    *,
    warmup: float = 0.25,
    seed: int = 0,
    device: str | None = None,
    threads: int | None = None,
    output: Path | None = None,
    **skeleton: Any,
) -> Derived:
    """Learn an architecture of kernels 3 and 5, expansions 3 and 6 and its weights at once.

    Parameters
    ----------
    space : MobileNetV3
        With a latency table and one resolution, of which the latencies are; what is
        trained is of the size of the images.
    dataset : Dataset
    weight : float
        Of the logarithm of the latency in the loss, at least 0: the paper's lambda.
    protocol : Protocol
    warmup : float
        Share of the steps in which latency does not count yet.
    seed : int
    device, threads
        As of `weaknas.training.trainer.Trainer`.
    output : path, optional
        Folder of a checkpoint, from which a training that was cut short is continued.
    **skeleton
        Of the network that is trained: ``width``, ``strides``, ``dropout``.

    Raises
    ------
    InputError
        When the space has no latency table or searches the resolution, a value cannot be
        used, or the training diverges.
    """
    check_number("weight", weight, least=0)
    check_number("warmup", warmup, least=0, most=1)
    steps = protocol.epochs * math.ceil(len(dataset.train) / protocol.batch_size)
    identity = {
        "space": space.describe(),
        "dataset": dataset.describe(),
        "protocol": protocol.describe(),
        "weight": weight,
        "warmup": warmup,
        "skeleton": skeleton,
        "seed": seed,
    }
    checkpoint = None
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        checkpoint = Checkpoint(output / "checkpoint.pt", identity)
    trainer = Trainer(
        lambda: space.superkernel(
            classes=dataset.classes,
            shape=dataset.shape,
            weight=weight,
            warmup=round(warmup * steps),
            **skeleton,
        ),
        dataset,
        protocol,
        seed=seed,
        device=device,
        threads=threads,
        checkpoint=checkpoint,
    )
    training = trainer.run()
    if training.status != "ok":
        raise InputError(
            f"the training {training.status} in epoch {len(training.losses)}; a lower"
            " learning_rate or weight may help"
        )
    network: Any = training.network
    genotype = space.read_choices(network.derive())
    (architecture,) = space.architectures(genotype[None])
    latency = float(space.latency(genotype[None])[0])
    return Derived(architecture, latency, weight, training.value, network.extract())


def meet_latency(
    run: Callable[[float], Derived],
    target: float,
    bounds: tuple[float, float],
    *,
    tolerance: float = 0.05,
    runs: int = 6,
) -> list[Derived]:
    """Find the weight of the latency whose architecture has a latency.

    Latency falls as its weight rises. The weight is sought between `LOWEST` and `HIGHEST`
    between the middle and where the line between the nearest latencies on both sides of
    the target meets it, on logarithmic scales; at first these are the bounds.

    Parameters
    ----------
    run : callable
        From a weight to what a training brings.
    target : float
        In the unit of the table.
    bounds : tuple of float
        The lowest and the highest latency that an architecture can have.
    tolerance : float
        Relative, at which the search ends.
    runs : int
        The most trainings.

    Returns
    -------
    list of Derived
        All trainings, the nearest to the target last.

    Raises
    ------
    InputError
        When no architecture has the latency, or a number cannot be used.
    """
    check_whole("runs", runs)
    check_number("tolerance", tolerance, above=0)
    check_number("target latency", target, least=bounds[0], most=bounds[1])
    slow, fast = (math.log(LOWEST), math.log(bounds[1])), (math.log(HIGHEST), math.log(bounds[0]))
    found: list[Derived] = []
    for _ in range(runs):
        share = (slow[1] - math.log(target)) / max(slow[1] - fast[1], 1e-12)
        # Half way to the middle: each training rules out a fourth of what is left at least.
        place = slow[0] + (share + 0.5) / 2 * (fast[0] - slow[0])
        found.append(run(math.exp(place)))
        latency = found[-1].latency
        if abs(latency / target - 1) <= tolerance:
            break
        if latency > target:
            slow = place, math.log(latency)
        else:
            fast = place, math.log(latency)
    return sorted(found, key=lambda derived: -abs(math.log(derived.latency / target)))
