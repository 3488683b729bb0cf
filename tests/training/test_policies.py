"""The operations of augmentation policies, against what is known of their results."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from weaknas.spaces.augmentation import Operation, Policy, read_policy  # noqa: E402
from weaknas.spaces.augmentation.policy import OPERATIONS, WITH_MAGNITUDE  # noqa: E402
from weaknas.training.policies import PolicyTransform, transform_affinely  # noqa: E402


def images(count: int = 30, channels: int = 3, height: int = 7, width: int = 9):
    drawn = np.random.default_rng(5).integers(10, 240, (count, channels, height, width))
    return torch.tensor(drawn.astype(np.uint8))


def apply(text: str, given=None, seed: int = 0):
    given = images() if given is None else given
    return PolicyTransform(read_policy(text))(given, np.random.default_rng(seed))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_gives_images_that_differ(name):
    given = images()
    before = given.clone()
    strong = apply(f"{name}(1,9)" if name in WITH_MAGNITUDE else f"{name}(1)", given)
    assert strong.shape == given.shape
    assert strong.dtype == torch.uint8
    assert (strong != given).flatten(1).any(1).float().mean() > 0.6
    assert torch.equal(given, before)
    never = apply(f"{name}(0,9)" if name in WITH_MAGNITUDE else f"{name}(0)", given)
    assert torch.equal(never, given)
    if name in WITH_MAGNITUDE:
        assert (apply(f"{name}(1,0)", given).int() - given.int()).abs().max() == 0


def test_turned_by_a_right_angle_and_shifted_by_whole_pixels():
    square = images(height=6, width=6).float()
    turned = transform_affinely(square, ((0, -1, 0), (1, 0, 0)))
    assert torch.allclose(turned, torch.rot90(square, 1, (2, 3)), atol=1e-3)
    wide = images().float()
    shift = torch.tensor([2.0] * len(wide)).view(-1, 1, 1, 1)
    shifted = transform_affinely(wide, ((1, 0, shift), (0, 1, -1)))
    assert torch.allclose(shifted[:, :, 1:, :-2], wide[:, :, :-1, 2:], atol=1e-2)
    assert (shifted[:, :, 0] == 0).all()
    assert (shifted[..., -2:] == 0).all()


def test_rotations_keep_shapes_in_images_that_are_not_square():
    given = torch.zeros(1, 1, 9, 21)
    given[0, 0, 4, 4:17] = 200.0  # a line along the middle, turned by 90 degrees: upright
    turned = transform_affinely(given, ((0, -1, 0), (1, 0, 0)))
    assert torch.allclose(turned[0, 0, :, 10], torch.full((9,), 200.0), atol=1e-2)
    assert turned[0, 0, :, :10].abs().max() < 1e-2


def test_colours_are_as_defined():
    given = images()
    x = given.float()
    assert torch.equal(apply("invert(1)", given), 255 - given)
    assert torch.equal(apply("solarize(1,5)", given), torch.where(given >= 128, 255 - given, given))
    assert torch.equal(apply("posterize(1,10)", given), given // 16 * 16)
    bright = apply("brightness(1,10)", given).float()
    up, down = (1.9 * x).clamp(0, 255).round(), (0.1 * x).round()
    for one, more, less in zip(bright, up, down, strict=True):
        assert torch.allclose(one, more, atol=1) or torch.allclose(one, less, atol=1)
    contrast = apply("auto-contrast(1)", given)
    assert (contrast.amin((2, 3)) == 0).all()
    assert (contrast.amax((2, 3)) == 255).all()
    gray = apply("color(1,10)", given[:, :1])  # without colours there is nothing to change
    assert torch.equal(gray, given[:, :1])


def test_equalized_levels_are_spread_by_rank():
    given = torch.tensor([[[[0, 10], [10, 200]]]], dtype=torch.uint8)
    # Of the brightest three pixels are darker: 255; of the middle ones one is.
    assert apply("equalize(1)", given).tolist() == [[[[0, 85], [85, 255]]]]
    flat = torch.full((2, 1, 3, 3), 77, dtype=torch.uint8)
    assert torch.equal(apply("equalize(1)", flat), flat)


def test_probabilities_and_draws_are_as_told():
    given = images(2000, 1, 2, 2)
    changed = (apply("invert(0.3)", given) != given).flatten(1).any(1).float().mean()
    assert 0.26 < changed < 0.34
    # One of two sub-policies an image; two draws invert twice, once or not at all.
    half = (apply("invert(1)|identity", given) != given).flatten(1).any(1).float().mean()
    assert 0.46 < half < 0.54
    twice = (apply("2*invert(1)|identity", given) != given).flatten(1).any(1).float().mean()
    assert 0.46 < twice < 0.54
    steps = Policy(((Operation("invert"), Operation("brightness", 1.0, 10.0)),))
    made = PolicyTransform(steps)(given, np.random.default_rng(0)).int()
    one = (1.9 * (255 - given.float())).clamp(0, 255).round().int()
    other = (0.1 * (255 - given.float())).round().int()
    assert (((made - one).abs() <= 1) | ((made - other).abs() <= 1)).all()


def test_the_same_seed_gives_the_same_images():
    given = images()
    assert torch.equal(apply("randaugment(2,9)", given, 3), apply("randaugment(2,9)", given, 3))
    assert not torch.equal(apply("randaugment(2,9)", given, 3), apply("randaugment(2,9)", given, 4))
