"""Crops by their definition; image files where Pillow is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from weaknas.errors import InputError, MissingDependencyError  # noqa: E402
from weaknas.training import load_dataset  # noqa: E402
from weaknas.training.data import ImageFiles  # noqa: E402
from weaknas.training.file_batches import FromFiles, middle_box, random_box  # noqa: E402

SIDES = st.integers(1, 500)
DRAWS = st.lists(st.floats(0, 0.999), min_size=4, max_size=4)


@given(SIDES, SIDES, DRAWS)
def test_random_crops_are_inside(height: int, width: int, draws: list[float]) -> None:
    top, left, tall, wide = random_box(height, width, np.array(draws))
    assert 0 <= top <= top + tall <= height
    assert 0 <= left <= left + wide <= width
    assert tall >= 1 <= wide


def test_random_crops_have_the_area_and_ratio_that_they_should() -> None:
    rng = np.random.default_rng(0)
    boxes = np.array([random_box(1000, 1000, rng.random(4)) for _ in range(2000)])
    area, ratio = boxes[:, 2] * boxes[:, 3] / 1e6, boxes[:, 3] / boxes[:, 2]
    assert area.min() == pytest.approx(0.08, abs=0.01)
    assert 0.5 < area.mean() < 0.56  # of 0.54, less what was cut
    assert np.median(ratio) == pytest.approx(1, abs=0.03)
    assert ratio.max() < 4 / 3 + 0.02


def test_the_middle_is_a_square() -> None:
    assert middle_box(400, 300) == (69, 19, 262, 262)
    assert middle_box(1, 9) == (0, 4, 1, 1)


def write_images(folder: Path) -> None:
    """Write red, green and blue images, some with a palette."""
    image = pytest.importorskip("PIL.Image")
    for split, count in (("train", 10), ("val", 2)):
        for label, name in enumerate(("red", "green", "blue")):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.zeros((20 + number, 30, 3), dtype=np.uint8)
                pixels[:, :, label] = 200 + number
                made = image.fromarray(pixels)
                made = made.convert("P") if number == 1 else made  # with a palette
                made.save(folder / split / name / f"{number}.png")


@pytest.mark.parametrize("loaders", [0, 1])
def test_images_are_decoded_and_scaled(tmp_path: Path, loaders: int) -> None:
    write_images(tmp_path)
    data = load_dataset("imagenet-folder", tmp_path)
    assert data.class_names == ("blue", "green", "red")
    for split, augmented in ((data.train, True), (data.test, False)):
        assert isinstance(split, ImageFiles)
        source = FromFiles(split, torch.device("cpu"), augmented, loaders)
        parts = [np.array([0, 3]), np.arange(4, len(split))]
        batches = list(source.batches(parts, np.random.default_rng(0)))
        assert [len(labels) for _, labels in batches] == [2, len(split) - 4]
        for part, (pixels, labels) in zip(parts, batches, strict=True):
            assert pixels.shape[1:] == (3, 224, 224)
            assert pixels.dtype is torch.uint8
            assert labels.tolist() == split.labels[part].tolist()
            assert ((2 - pixels.float().mean((2, 3)).argmax(1)) == labels).all()


def test_damaged_images_are_named(tmp_path: Path) -> None:
    write_images(tmp_path)
    data = load_dataset("imagenet-folder", tmp_path)
    assert isinstance(data.test, ImageFiles)
    (tmp_path / "val" / "blue" / "0.png").write_bytes(b"no image")
    source = FromFiles(data.test, torch.device("cpu"), False, 0)
    with pytest.raises(InputError, match=r"val/blue/0\.png: no image that can be decoded"):
        list(source.batches([np.arange(2)], np.random.default_rng(0)))


def test_pillow_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    split = ImageFiles(Path(), np.array(["a"]), np.zeros(1, np.int64), 224)
    with pytest.raises(MissingDependencyError, match=r"weaknas\[vision\]"):
        FromFiles(split, torch.device("cpu"), False, 0)
