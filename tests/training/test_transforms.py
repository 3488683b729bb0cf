"""Augmentation against its definitions, image by image."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from weaknas.errors import MissingDependencyError  # noqa: E402
from weaknas.training.protocol import Protocol  # noqa: E402
from weaknas.training.transforms import (  # noqa: E402
    Augment,
    cutout,
    make_policy,
    mix,
    random_crop,
    random_erasing,
    random_flip,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def images(count: int = 40, size: int = 6) -> torch.Tensor:
    """Every pixel of every image different, none zero."""
    return 1 + torch.arange(count * 2 * size * size).reshape(count, 2, size, size).float()


def test_flips_mirror_half_of_the_images(rng: np.random.Generator) -> None:
    given = images(200)
    made = random_flip(given, rng)
    mirrored = [torch.equal(one, other.flip(2)) for one, other in zip(made, given, strict=True)]
    same = [torch.equal(one, other) for one, other in zip(made, given, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130


def test_crops_are_shifts_with_zeros(rng: np.random.Generator) -> None:
    given, padding = images(100), 2
    shifts = set()
    for one, other in zip(random_crop(given, padding, rng), given, strict=True):
        padded = torch.nn.functional.pad(other, (padding,) * 4)
        found = [
            (top, left)
            for top in range(2 * padding + 1)
            for left in range(2 * padding + 1)
            if torch.equal(one, padded[:, top : top + 6, left : left + 6])
        ]
        assert len(found) == 1
        shifts.add(found[0])
    assert len(shifts) > 20  # of 25


@pytest.mark.parametrize("length", [1, 2, 3])
def test_cutout_blanks_one_square(length: int, rng: np.random.Generator) -> None:
    given = images(200)
    blank = cutout(given, length, rng) == 0
    areas = set()
    for image in blank:
        assert torch.equal(image[0], image[1])  # all channels alike
        rows, columns = image[0].any(1).sum(), image[0].any(0).sum()
        assert image[0].sum() == rows * columns  # one rectangle
        assert 1 <= rows <= length
        assert 1 <= columns <= length
        areas.add((int(rows), int(columns)))
    # It may reach over the border, but for a single pixel.
    assert (length, length) in areas
    assert len(areas) == 1 or length > 1
    assert (cutout(given, length, rng)[blank == 0] != 0).any()


def test_erasing_replaces_one_rectangle_by_noise(rng: np.random.Generator) -> None:
    given = images(300, 12)
    changed = random_erasing(given, 0.5, rng) != given
    touched = [image for image in changed if image.any()]
    assert 110 < len(touched) < 190
    for image in touched:
        rows, columns = image[0].any(1).sum(), image[0].any(0).sum()
        assert image.sum() == 2 * rows * columns
        # 2 to 40 % of the area, but for rounding.
        assert 1 <= rows * columns <= 0.4 * 144 + 12
    assert torch.equal(random_erasing(given, 0.0, rng), given)


def test_mixup_mixes_images_and_targets_alike(rng: np.random.Generator) -> None:
    given = torch.eye(4).reshape(4, 4, 1, 1).expand(4, 4, 2, 2)
    mixed, targets = mix(given, torch.eye(4), 1.0, 0.0, rng)
    assert torch.allclose(mixed[:, :, 0, 0], targets)
    assert torch.allclose(targets.sum(1), torch.ones(4))
    assert (targets > 0).sum() > 4


def test_cutmix_keeps_the_share_of_pixels(rng: np.random.Generator) -> None:
    given = torch.eye(4).reshape(4, 4, 1, 1).expand(4, 4, 8, 8)
    for _ in range(20):
        mixed, targets = mix(given, torch.eye(4), 0.0, 1.0, rng)
        assert torch.allclose(mixed.mean((2, 3)), targets, atol=1e-6)
        assert set(mixed.unique().tolist()) <= {0.0, 1.0}


def test_augmentation_normalises_and_depends_on_the_generator_alone() -> None:
    pixels = torch.randint(0, 256, (50, 3, 8, 8), dtype=torch.uint8)
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    plain = Augment(Protocol(), mean, std)(pixels, np.random.default_rng(0))
    expected = (pixels / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    assert torch.allclose(plain, expected, atol=1e-5)
    assert plain.dtype is torch.float32
    full = Augment(Protocol(flip=True, crop=1, cutout=3, erasing=0.5), mean, std)
    one, other, third = (full(pixels, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, other)
    assert not torch.equal(one, third)


def test_policies_need_torchvision() -> None:
    assert make_policy("none") is None
    try:
        import torchvision  # noqa: F401
    except ImportError:
        with pytest.raises(MissingDependencyError, match=r"weaknas\[vision\]"):
            make_policy("randaugment")
    else:
        for name in ("autoaugment", "randaugment", "trivialaugment"):
            policy = make_policy(name)
            assert policy is not None
            image = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
            assert policy(image).shape == image.shape
