"""Augmentation policies carried out on whole batches, on the device.

The operations are those of AutoAugment (Cubuk et al., CVPR 2019, arXiv:1805.09501, table
6). Of each the largest magnitude is as in that table; translations, there of up to 150
pixels of 331, are of as large a share of the side, and the square that is cut out, small on
ImageNet, is of up to half of it, as on CIFAR-10. What is random is drawn by a generator of
numpy on the host, so that a training sees the same images on every device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from weaknas.spaces.augmentation.policy import IDENTITY, MAGNITUDES, Policy
from weaknas.training.batches import send

_TRANSLATION = 150 / 331
_GRAY = (0.299, 0.587, 0.114)  # luma of ITU-R BT.601
_SMOOTH = ((1, 1, 1), (1, 5, 1), (1, 1, 1))  # over 13


class PolicyTransform:
    """Carries out a policy.

    Parameters
    ----------
    policy : Policy
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._steps = max(len(steps) for steps in policy.subpolicies)
        names = sorted({step.name for steps in policy.subpolicies for step in steps} - {IDENTITY})
        self._names = names
        shape = len(policy.subpolicies), self._steps
        self._operation = np.full(shape, -1)
        self._probability, self._magnitude = np.zeros(shape), np.zeros(shape)
        for row, steps in enumerate(policy.subpolicies):
            for column, step in enumerate(steps):
                if step.name != IDENTITY:
                    self._operation[row, column] = names.index(step.name)
                self._probability[row, column] = step.probability
                self._magnitude[row, column] = step.magnitude / MAGNITUDES

    def __call__(self, pixels: Tensor, rng: np.random.Generator) -> Tensor:
        """Augment a batch.

        Parameters
        ----------
        pixels : Tensor of uint8, shape (n, channels, height, width)
        rng : numpy.random.Generator

        Returns
        -------
        Tensor of uint8, of the same shape
        """
        images, count = pixels.float(), len(pixels)
        for _ in range(self.policy.draws):
            drawn = rng.integers(len(self._operation), size=count)
            for step in range(self._steps):
                done = rng.random(count) < self._probability[drawn, step]
                signs = rng.integers(2, size=count) * 2 - 1
                places = rng.random((2, count))
                strength = self._magnitude[drawn, step]
                for number, name in enumerate(self._names):
                    rows = np.flatnonzero(done & (self._operation[drawn, step] == number))
                    if len(rows):
                        at = _to(rows, images)
                        random = _Draw(strength[rows], signs[rows], places[:, rows], images)
                        images[at] = _OPERATIONS[name](images[at], random).clamp(0, 255)
        return images.round().to(torch.uint8)


class _Draw:
    """What is random of some images that go through one operation."""

    def __init__(
        self,
        strength: npt.NDArray[np.float64],
        signs: npt.NDArray[np.int64],
        places: npt.NDArray[np.float64],
        like: Tensor,
    ) -> None:
        self._strength, self._signs = strength, signs
        self._places, self._like = places, like

    @property
    def strength(self) -> Tensor:
        """From 0 to 1, shape (n, 1, 1, 1)."""
        return self._column(self._strength)

    @property
    def signed(self) -> Tensor:
        """From -1 to 1, shape (n, 1, 1, 1)."""
        return self._column(self._strength * self._signs)

    @property
    def place(self) -> tuple[Tensor, Tensor]:
        """Row and column between 0 and 1, each of shape (n, 1, 1, 1)."""
        return self._column(self._places[0]), self._column(self._places[1])

    def _column(self, values: npt.NDArray[np.float64]) -> Tensor:
        return _to(values.astype(np.float32), self._like).view(-1, 1, 1, 1)


# -- geometry -----------------------------------------------------------------------------


def transform_affinely(images: Tensor, matrix: Sequence[Sequence[Tensor | float]]) -> Tensor:
    """Return images whose pixel (x, y) from the middle is the one at matrix (x, y, 1).

    Between pixels linear, zeros coming in.

    Parameters
    ----------
    images : Tensor of float, shape (n, channels, height, width)
    matrix : sequence of two sequences of three numbers or Tensors
        In pixels; Tensors hold a number an image.
    """
    height, width = images.shape[2:]
    # Of torch's coordinates the sides of the image, not its pixels, are the unit.
    units = ((1, height / width, 2 / width), (width / height, 1, 2 / height))
    theta = images.new_empty(len(images), 2, 3)
    for row in range(2):
        for column in range(3):
            value = matrix[row][column]
            number = value.flatten() if isinstance(value, Tensor) else value
            theta[:, row, column] = number * units[row][column]
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", align_corners=False)


def _shear_x(images: Tensor, draw: _Draw) -> Tensor:
    return transform_affinely(images, ((1, 0.3 * draw.signed, 0), (0, 1, 0)))


def _shear_y(images: Tensor, draw: _Draw) -> Tensor:
    return transform_affinely(images, ((1, 0, 0), (0.3 * draw.signed, 1, 0)))


def _translate_x(images: Tensor, draw: _Draw) -> Tensor:
    shift = _TRANSLATION * images.shape[3] * draw.signed
    return transform_affinely(images, ((1, 0, shift), (0, 1, 0)))


def _translate_y(images: Tensor, draw: _Draw) -> Tensor:
    shift = _TRANSLATION * images.shape[2] * draw.signed
    return transform_affinely(images, ((1, 0, 0), (0, 1, shift)))


def _rotate(images: Tensor, draw: _Draw) -> Tensor:
    angle = math.radians(30) * draw.signed
    cosine, sine = angle.cos(), angle.sin()
    return transform_affinely(images, ((cosine, -sine, 0), (sine, cosine, 0)))


def _cutout(images: Tensor, draw: _Draw) -> Tensor:
    """Gray out a square around a random pixel; it may reach over the border."""
    height, width = images.shape[2:]
    half = draw.strength * min(height, width) / 4
    row, column = draw.place
    rows = torch.arange(height, device=images.device).view(1, 1, -1, 1) + 0.5
    columns = torch.arange(width, device=images.device).view(1, 1, 1, -1) + 0.5
    inside = ((rows - row * height).abs() < half) & ((columns - column * width).abs() < half)
    return images.masked_fill(inside, 128.0)


# -- colours ------------------------------------------------------------------------------


def _auto_contrast(images: Tensor, draw: _Draw) -> Tensor:
    """Spread each channel over all levels."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    spread = (images - low) * (255 / (high - low).clamp(min=1))
    return torch.where(high > low, spread, images)


def _equalize(images: Tensor, draw: _Draw) -> Tensor:
    """Give a level to each pixel by how many of its channel are darker.

    In real numbers: by the whole ones of Pillow images of fewer than 256 pixels would stay
    as they are.
    """
    levels = images.round().long().flatten(2)
    count = torch.zeros(*levels.shape[:2], 256, device=images.device)
    count.scatter_add_(2, levels, torch.ones_like(levels, dtype=count.dtype))
    darker = count.cumsum(2) - count
    # The brightest level is 255.
    most = darker.gather(2, levels.amax(2, keepdim=True))
    made = darker.gather(2, levels) * (255 / most.clamp(min=1))
    return torch.where(most > 0, made, images.flatten(2)).view_as(images)


def _invert(images: Tensor, draw: _Draw) -> Tensor:
    return 255 - images


def _solarize(images: Tensor, draw: _Draw) -> Tensor:
    """Invert what is brighter than a threshold, which falls from 256 to 0."""
    return torch.where(images >= 256 * (1 - draw.strength), 255 - images, images)


def _posterize(images: Tensor, draw: _Draw) -> Tensor:
    """Keep the upper bits, from all eight to four."""
    step = 2 ** (4 * draw.strength).round()
    return (images / step).floor() * step


def _blend(images: Tensor, others: Tensor, draw: _Draw) -> Tensor:
    """Go towards other images or away from them, by up to .9 of the difference."""
    return others + (1 + 0.9 * draw.signed) * (images - others)


def _contrast(images: Tensor, draw: _Draw) -> Tensor:
    return _blend(images, _gray(images).mean((2, 3), keepdim=True), draw)


def _color(images: Tensor, draw: _Draw) -> Tensor:
    return _blend(images, _gray(images), draw)


def _brightness(images: Tensor, draw: _Draw) -> Tensor:
    return _blend(images, torch.zeros_like(images), draw)


def _sharpness(images: Tensor, draw: _Draw) -> Tensor:
    channels = images.shape[1]
    kernel = torch.tensor(_SMOOTH, device=images.device).to(images) / 13
    smooth, inner = images.clone(), (slice(None), slice(None), slice(1, -1), slice(1, -1))
    if min(images.shape[2:]) > 2:  # the border stays
        repeated = kernel.expand(channels, 1, 3, 3)
        smooth[inner] = functional.conv2d(images, repeated, groups=channels)
    return _blend(images, smooth, draw)


def _gray(images: Tensor) -> Tensor:
    if images.shape[1] != len(_GRAY):
        return images.mean(1, keepdim=True)
    weights = torch.tensor(_GRAY, device=images.device).view(1, -1, 1, 1)
    return (images * weights).sum(1, keepdim=True)


_OPERATIONS: Mapping[str, Callable[[Tensor, _Draw], Tensor]] = {
    "shear-x": _shear_x,
    "shear-y": _shear_y,
    "translate-x": _translate_x,
    "translate-y": _translate_y,
    "rotate": _rotate,
    "auto-contrast": _auto_contrast,
    "invert": _invert,
    "equalize": _equalize,
    "solarize": _solarize,
    "posterize": _posterize,
    "contrast": _contrast,
    "color": _color,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "cutout": _cutout,
}


def _to(values: npt.NDArray[np.generic], like: Tensor) -> Tensor:
    return send(torch.from_numpy(values), like.device)
