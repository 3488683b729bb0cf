"""Data sets of a user's own arrays: converted where they have a meaning, else refused at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weaknas import get_space
from weaknas.errors import InputError
from weaknas.evaluators.train import TrainEvaluator
from weaknas.training import Dataset
from weaknas.training.data import ImageFiles, Images, from_arrays

torch = pytest.importorskip("torch")
PIXELS = np.random.default_rng(0).integers(0, 256, (60, 3, 8, 8), dtype=np.uint8)
LABELS = np.arange(60) % 3
CLASSES = ["a", "b", "c"]


def make(pixels: Any = PIXELS, labels: Any = LABELS, **others: Any) -> Dataset:
    images = Images(pixels, labels)
    settings: dict[str, Any] = {"test": images, "class_names": CLASSES, "validation": 20}
    return from_arrays("mine", images, **(settings | others))


def channels_last(pixels: Any) -> Any:
    return np.moveaxis(pixels, 1, -1)


@pytest.mark.parametrize(
    "convert",
    [
        torch.from_numpy,
        np.ndarray.tolist,
        np.asfortranarray,
        channels_last,
        lambda pixels: torch.from_numpy(channels_last(pixels)),
        lambda pixels: pixels.astype(np.uint16),
        lambda pixels: pixels.astype(np.int64),
        lambda pixels: pixels.astype(np.float32),
        lambda pixels: pixels / 255,
        lambda pixels: (pixels / 255).astype(np.float32),
        lambda pixels: torch.from_numpy(pixels).float().div(255).requires_grad_(),
        lambda pixels: torch.from_numpy(pixels).to(torch.bfloat16),  # 8 bits, which is enough
    ],
)
def test_pixels_that_mean_the_same_are_the_same(convert: Callable[[Any], Any]) -> None:
    pixels = Images(convert(PIXELS), LABELS).pixels
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, PIXELS)


@pytest.mark.parametrize(
    "convert",
    [
        torch.from_numpy,
        np.ndarray.tolist,
        lambda labels: labels[:, None],  # as Keras has them
        lambda labels: labels[::-1][::-1],
        *(
            lambda labels, kind=kind: labels.astype(kind)
            for kind in (np.int32, np.uint8, np.uint64, np.float32, ">i8")
        ),
        lambda labels: torch.from_numpy(labels).int(),
        lambda labels: torch.from_numpy(labels).float(),
    ],
)
def test_labels_that_mean_the_same_are_the_same(convert: Callable[[Any], Any]) -> None:
    labels = Images(PIXELS, convert(LABELS)).labels
    assert labels.dtype == np.dtype("=i8")
    assert labels.flags.c_contiguous
    np.testing.assert_array_equal(labels, LABELS)


def test_bytes_are_not_copied() -> None:
    assert Images(PIXELS, LABELS).pixels is PIXELS


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ((5, 8, 8), (1, 8, 8)),
        ((5, 28, 20, 1), (1, 28, 20)),
        ((5, 32, 48, 3), (3, 32, 48)),
        ((5, 16, 16, 12), (12, 16, 16)),
        ((5, 12, 16, 16), (12, 16, 16)),
        ((5, 12, 20, 16), (12, 20, 16)),
        ((5, 1, 28, 20), (1, 28, 20)),
        ((5, 3, 4, 4), (3, 4, 4)),
        ((5, 8, 3, 3), (8, 3, 3)),
        ((5, 8, 8, 8), (8, 8, 8)),
        ((5, 2, 20, 16), (2, 20, 16)),
        ((5, 20, 16, 2), (2, 20, 16)),
        ((5, 3, 48, 32), (3, 48, 32)),
    ],
)
def test_where_channels_are(given: tuple[int, ...], shape: tuple[int, ...]) -> None:
    assert Images(np.zeros(given, np.uint8), np.zeros(5, int)).shape == shape


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((60, 4, 28, 3)), r"\(60, 4, 28, 3\) may have their channels first or last"),
        (np.zeros((60, 64)), r"the shape \(60, 64\), where \(n, channels, height, width\)"),
        (np.zeros((60, 3, 0, 8)), r"the shape \(60, 3, 0, 8\)"),
        ((PIXELS - 127.0) / 64, r"from -1\.98438 to 2; they are bytes"),
        (PIXELS.astype(np.uint16) * 257, "from 0 to 65535; they are bytes"),
        (np.full(PIXELS.shape, np.nan), "from nan to nan; they are bytes"),
        (PIXELS + 0j, "an array of complex128"),
        (PIXELS.astype(str), "an array of <U3"),
        (None, "pixels are NoneType"),
        ("digits", "pixels are str"),
        ([[1], [1, 2]], "cannot be made an array"),
        (PIXELS[:50], "50 images have 60 labels"),
    ],
)
def test_pixels_without_a_meaning_are_refused(pixels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Images(pixels, LABELS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:50], "60 images have 50 labels"),
        (np.eye(3)[LABELS], r"the shape \(60, 3\); they are one number an image"),
        (LABELS / 2, "no whole numbers"),
        (np.full(60, np.inf), "no whole numbers"),
        (LABELS - 1, "a label is -1"),
        (np.full(60, 2**63, np.uint64), "a label is 9223372036854775808"),
        (np.array(CLASSES)[LABELS], "labels are an array of <U1"),
        (None, "labels are NoneType"),
    ],
)
def test_labels_without_a_meaning_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Images(PIXELS, labels)
    with pytest.raises(InputError):
        ImageFiles(Path(), np.array(["x"] * 60), labels, 8)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"labels": LABELS + 1}, "training split: the label 3 is not among the 3 classes, 0 to 2"),
        ({"labels": LABELS * 10**12}, "the label 2000000000000 is not among the 3 classes"),
        ({"test": Images(PIXELS[:, :, :6], LABELS)}, r"test split has images of shape \(3, 6, 8\)"),
        ({"test": Images(PIXELS, LABELS + 1)}, "test split: the label 3"),
        ({"test": Images(PIXELS[:0], LABELS[:0])}, "test split has no images"),
        ({"test": (PIXELS, LABELS)}, r"test split is Images\(pixels, labels\) or .*, not a tuple"),
        ({"validation": Images(PIXELS[:0], LABELS[:0])}, "validation split has no images"),
        ({"validation": 60}, "60 validation images cannot be held out of 60"),
        ({"validation": 0.2}, "validation must be a whole number of at least 1, not 0.2"),
        ({"class_names": 3}, "class_names are a text for each class, not 3"),
        ({"class_names": "abc"}, "class_names are a text for each class, not 'abc'"),
        ({"pixels": PIXELS[:0], "labels": LABELS[:0]}, "training split has no images"),
    ],
)
def test_data_sets_that_do_not_fit_together_are_refused(
    others: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make(**others)


def test_numbers_of_numpy_hold_out_and_names_become_texts() -> None:
    data = make(validation=np.int32(15), class_names=np.arange(3))
    assert (len(data.train), len(data.validation)) == (45, 15)
    assert data.class_names == ("0", "1", "2")


def test_a_dataset_is_checked_however_it_is_made() -> None:
    images = Images(PIXELS, LABELS)
    with pytest.raises(InputError, match="mean is"):
        Dataset("mine", images, images, images, ("a", "b", "c"), (3, 8, 8), (0.5,), (1.0,) * 3)
    with pytest.raises(InputError, match="std must be above 0"):
        Dataset("mine", images, images, images, ("a", "b", "c"), (3, 8, 8), (0.5,) * 3, (0.0,) * 3)
    with pytest.raises(InputError, match=r"shape \(3, 8, 8\), where \(1, 8, 8\)"):
        Dataset("mine", images, images, images, ("a", "b", "c"), (1, 8, 8), (0.5,), (1.0,))


def test_what_is_converted_trains() -> None:
    floats = torch.from_numpy(channels_last(PIXELS)).float() / 255
    evaluator = TrainEvaluator(
        get_space("nasbench201"), dataset=make(floats, torch.from_numpy(LABELS).int()), epochs=1
    )
    space = evaluator.space
    best = space.architectures(space.sample(1, np.random.default_rng(0)))[0]
    assert evaluator.evaluate(best, seed=0).status == "ok"


def test_what_is_no_data_set_is_refused_when_the_evaluator_is_made() -> None:
    space = get_space("nasbench201")
    with pytest.raises(InputError, match=r"must be a name or a weaknas\.training\.Dataset, not a"):
        TrainEvaluator(space, dataset=(PIXELS, LABELS))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="did you mean 'digits'"):
        TrainEvaluator(space, dataset="digit")
