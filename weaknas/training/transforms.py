"""Augmentation of whole batches on the device, without torchvision.

Everything random is drawn by a generator of numpy on the host, so that a training sees
the same images on every device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weaknas.errors import InputError, optional_import
from weaknas.spaces.augmentation.policy import read_policy
from weaknas.training.batches import Source, send
from weaknas.training.data import Dataset, ImageFiles, Samples
from weaknas.training.file_batches import FromFiles
from weaknas.training.policies import PolicyTransform
from weaknas.training.protocol import POLICIES, Protocol
from weaknas.training.sources import OnDevice

Rng: TypeAlias = np.random.Generator
#: Inputs as a split has them to those of a network.
Normalization: TypeAlias = Callable[[Tensor], Tensor]


def open_training(
    dataset: Dataset, device: torch.device, protocol: Protocol, loaders: int | None = None
) -> tuple[Source, Augment | Plain]:
    """Return where a training's images or samples come from, and what makes batches of them.

    A policy of torchvision works on one image at a time. Of files the processes that decode
    them do that too: it would hold up a GPU.

    Parameters
    ----------
    dataset : Dataset
    device : torch.device
    protocol : Protocol
    loaders : int, optional
        Processes that decode files; default: one a core, at most 8.

    Raises
    ------
    MissingDependencyError
        When the images are files and Pillow is not installed, or torchvision is not and
        there is a policy.
    InputError
        When the protocol augments images and there are none.
    """
    split = dataset.train
    if isinstance(split, Samples):
        switches = protocol.image_switches()
        if switches:
            raise InputError(
                f"{switches[0]} of the protocol is for images, which {dataset.name!r} has none of"
            )
        return OnDevice(split, device), Plain(make_normalization(dataset))
    if _own_policy(protocol.auto_augment) is not None and isinstance(split, ImageFiles):
        source = FromFiles(split, device, loaders, augmented=True)
        return source, Augment(protocol, dataset.mean, dataset.std)
    if not isinstance(split, ImageFiles):
        return OnDevice(split, device), Augment(protocol, dataset.mean, dataset.std)
    policy = make_policy(protocol.auto_augment)
    source = FromFiles(split, device, loaders, augmented=True, policy=policy)
    others = replace(protocol, auto_augment="none")
    return source, Augment(others, dataset.mean, dataset.std)


class Plain:
    """Samples to what a network is given, nothing changed at random."""

    def __init__(self, normalize: Normalization) -> None:
        self._normalize = normalize

    def batch(
        self, inputs: Tensor, labels: Tensor, classes: int, rng: Rng
    ) -> tuple[Tensor, Tensor]:
        """Return inputs and labels of a step."""
        return self._normalize(inputs), labels


class Augment:
    """Bytes to numbers that a network is trained on, augmented as a protocol says.

    Parameters
    ----------
    protocol : Protocol
    mean, std : sequence of float
        Of each channel, pixels being between 0 and 1.
    """

    def __init__(self, protocol: Protocol, mean: Sequence[float], std: Sequence[float]) -> None:
        self.protocol = protocol
        self.normalize = Normalize(mean, std)
        self._own = _own_policy(protocol.auto_augment)
        self._policy = None if self._own else make_policy(protocol.auto_augment)

    def __call__(self, pixels: Tensor, rng: Rng) -> Tensor:
        """Augment a batch.

        Parameters
        ----------
        pixels : Tensor of uint8, shape (n, channels, height, width)
        rng : numpy.random.Generator

        Returns
        -------
        Tensor of float32, of the same shape
        """
        protocol = self.protocol
        if protocol.crop:
            pixels = random_crop(pixels, protocol.crop, rng)
        if protocol.flip:
            pixels = random_flip(pixels, rng)
        if self._own is not None:
            pixels = self._own(pixels, rng)
        if self._policy is not None:
            pixels = torch.stack([self._policy(image) for image in pixels])
        images = self.normalize(pixels)
        if protocol.cutout:
            images = cutout(images, protocol.cutout, rng)
        if protocol.erasing:
            images = random_erasing(images, protocol.erasing, rng)
        return images

    def batch(
        self, pixels: Tensor, labels: Tensor, classes: int, rng: Rng
    ) -> tuple[Tensor, Tensor]:
        """Return images and targets of a step: labels, or probabilities where images are mixed."""
        protocol = self.protocol
        images, targets = self(pixels, rng), labels
        if protocol.mixup or protocol.cutmix:
            targets = functional.one_hot(labels, classes).float()
            images, targets = mix(images, targets, protocol.mixup, protocol.cutmix, rng)
        if protocol.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return images, targets


def make_normalization(dataset: Dataset) -> Normalization:
    """Return what makes of a split's inputs those of a network; tokens stay as they are."""
    if dataset.has_tokens:
        return _unchanged
    if isinstance(dataset.train, Samples):
        return Normalize(dataset.mean, dataset.std, 1, len(dataset.shape) - 1)
    return Normalize(dataset.mean, dataset.std)


def _unchanged(tokens: Tensor) -> Tensor:
    return tokens


class Normalize:
    """Bytes, or other numbers, to numbers with mean 0 and deviation 1.

    Parameters
    ----------
    mean, std : sequence of float
        Of each channel.
    scale : float
        What `mean` and `std` are fractions of.
    axes : int
        How many follow that of the channels.
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], scale: float = 255, axes: int = 2
    ) -> None:
        shape = (-1, *[1] * axes)
        self._mean = torch.tensor(mean).view(shape) * scale
        self._scale = 1 / (torch.tensor(std).view(shape) * scale)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return the numbers of a batch of bytes, as float32."""
        if self._mean.device != pixels.device:
            self._mean, self._scale = self._mean.to(pixels.device), self._scale.to(pixels.device)
        return (pixels.float() - self._mean) * self._scale


def random_flip(images: Tensor, rng: Rng) -> Tensor:
    """Mirror each image with probability one half, left and right."""
    flipped = _to(rng.random(len(images)) < 0.5, images)
    return torch.where(flipped.view(-1, 1, 1, 1), images.flip(3), images)


def random_crop(images: Tensor, padding: int, rng: Rng) -> Tensor:
    """Shift each image by up to `padding` pixels either way, zeros coming in."""
    count, _, height, width = images.shape
    padded = functional.pad(images, (padding,) * 4)
    offsets = _to(rng.integers(2 * padding + 1, size=(2, count, 1)), images)
    rows = offsets[0] + torch.arange(height, device=images.device)
    columns = offsets[1] + torch.arange(width, device=images.device)
    which = torch.arange(count, device=images.device).view(-1, 1, 1)
    # Indexing leaves the channels last.
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout(images: Tensor, length: int, rng: Rng) -> Tensor:
    """Blank a square around a random pixel of each image (DeVries and Taylor, 2017)."""
    count, _, height, width = images.shape
    top = rng.integers(height, size=count) - length // 2
    left = rng.integers(width, size=count) - length // 2
    inside = _rectangles(images, top, left, top + length, left + length)
    return images.masked_fill(inside, 0.0)


def random_erasing(images: Tensor, probability: float, rng: Rng) -> Tensor:
    """Put noise into a random rectangle of some images (Zhong et al., AAAI 2020).

    Algorithm 1 with the paper's settings: 2 to 40 % of the area, sides of a ratio from
    0.3 to 1/0.3. Where the paper draws again until the rectangle fits, it is cut to fit.
    """
    count, _, height, width = images.shape
    area = rng.uniform(0.02, 0.4, size=count) * height * width
    ratio = np.exp(rng.uniform(np.log(0.3), np.log(1 / 0.3), size=count))
    tall = np.clip(np.rint(np.sqrt(area * ratio)), 1, height).astype(np.int64)
    wide = np.clip(np.rint(np.sqrt(area / ratio)), 1, width).astype(np.int64)
    top = rng.integers(height - tall + 1)
    left = rng.integers(width - wide + 1)
    chosen = rng.random(count) < probability
    inside = _rectangles(images, top, left, top + tall * chosen, left + wide)
    noise = _to(rng.standard_normal(images.shape, dtype=np.float32), images)
    return torch.where(inside, noise, images)


def mix(
    images: Tensor, targets: Tensor, mixup: float, cutmix: float, rng: Rng
) -> tuple[Tensor, Tensor]:
    """Mix the images of a batch, and their targets alike, by mixup or by cutmix.

    Parameters
    ----------
    images : Tensor of float, shape (n, channels, height, width)
    targets : Tensor of float, shape (n, classes)
        Probabilities.
    mixup, cutmix : float
        The parameter alpha of each; 0 is off. If both are on a coin is thrown.
    """
    order = _to(rng.permutation(len(images)), images)
    if mixup and (not cutmix or rng.random() < 0.5):
        share = float(rng.beta(mixup, mixup))
        images = share * images + (1 - share) * images[order]
    else:
        images, share = _paste(images, images[order], float(rng.beta(cutmix, cutmix)), rng)
    return images, share * targets + (1 - share) * targets[order]


def _paste(images: Tensor, others: Tensor, share: float, rng: Rng) -> tuple[Tensor, float]:
    """Cutmix (Yun et al., 2019, equations 1 and 2); return what share of the images is left."""
    height, width = images.shape[2:]
    side = (1 - share) ** 0.5
    half_height, half_width = round(height * side) // 2, round(width * side) // 2
    row, column = int(rng.integers(height)), int(rng.integers(width))
    top, bottom = max(0, row - half_height), min(height, row + half_height)
    left, right = max(0, column - half_width), min(width, column + half_width)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _own_policy(name: str) -> PolicyTransform | None:
    return None if name in POLICIES else PolicyTransform(read_policy(name))


def make_policy(name: str) -> Callable[[Tensor], Tensor] | None:
    """Return a policy of torchvision for single images of bytes; None for ``"none"``.

    It draws from torch's global generator.

    Raises
    ------
    MissingDependencyError
        When torchvision is not installed.
    """
    if name == "none":
        return None
    transforms = optional_import("torchvision.transforms.v2", "vision")
    made: Callable[[Tensor], Tensor]
    if name == "autoaugment":
        made = transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)
    elif name == "randaugment":
        made = transforms.RandAugment()
    else:
        made = transforms.TrivialAugmentWide()
    return made


def _rectangles(
    images: Tensor,
    top: np.ndarray[tuple[int], np.dtype[np.int64]],
    left: np.ndarray[tuple[int], np.dtype[np.int64]],
    bottom: np.ndarray[tuple[int], np.dtype[np.int64]],
    right: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> Tensor:
    """Return which pixels are inside one rectangle an image; shape (n, 1, height, width)."""
    bounds = _to(np.stack([top, bottom, left, right]), images)[:, :, None]
    rows = torch.arange(images.shape[2], device=images.device)
    columns = torch.arange(images.shape[3], device=images.device)
    inside_rows = (rows >= bounds[0]) & (rows < bounds[1])
    inside_columns = (columns >= bounds[2]) & (columns < bounds[3])
    return (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]


def _to(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]], like: Tensor) -> Tensor:
    return send(torch.from_numpy(values), like.device)
