"""Crops by their definition; image files where Pillow is installed."""

from __future__ import annotations

import multiprocessing
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
        source = FromFiles(split, torch.device("cpu"), loaders, augmented=augmented)
        parts = [np.array([0, 3]), np.arange(4, len(split))]
        batches = list(source.batches(parts, np.random.default_rng(0)))
        assert [len(labels) for _, labels in batches] == [2, len(split) - 4]
        for part, (pixels, labels) in zip(parts, batches, strict=True):
            assert pixels.shape[1:] == (3, 224, 224)
            assert pixels.dtype is torch.uint8
            assert labels.tolist() == split.labels[part].tolist()
            assert ((2 - pixels.float().mean((2, 3)).argmax(1)) == labels).all()


def shake(image: torch.Tensor) -> torch.Tensor:
    """Add noise, as a policy that draws from torch's generator."""
    return image ^ torch.randint(0, 2, image.shape, dtype=torch.uint8)


def test_what_is_random_does_not_depend_on_the_processes(tmp_path: Path) -> None:
    write_images(tmp_path)
    split = load_dataset("imagenet-folder", tmp_path).train
    assert isinstance(split, ImageFiles)
    parts = [np.array([3, 0]), np.array([5, 4, 2])]

    def epochs(loaders: int) -> list[torch.Tensor]:
        source = FromFiles(split, torch.device("cpu"), loaders, augmented=True, policy=shake)
        rng = np.random.default_rng(1)
        return [pixels for _ in range(2) for pixels, _ in source.batches(parts, rng)]

    torch.manual_seed(5)
    here, state = epochs(0), torch.get_rng_state()
    torch.manual_seed(5)
    assert torch.equal(torch.get_rng_state(), state)  # the training's own draws are as without
    for one, other in zip(here, epochs(2), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(here[0], here[2])  # another epoch, other crops and noise


def test_processes_stay_for_all_epochs_also_after_one_that_was_left(tmp_path: Path) -> None:
    write_images(tmp_path)
    split = load_dataset("imagenet-folder", tmp_path).train
    assert isinstance(split, ImageFiles)
    source = FromFiles(split, torch.device("cpu"), 1)
    parts = [np.array([row]) for row in range(6)]
    before = set(multiprocessing.active_children())
    labels: list[list[int]] = []
    loaders = set()
    for asked in (parts, parts[::-1]):
        next(source.batches(asked, np.random.default_rng(0)))  # left, as by an error
        labels.append([int(n) for _, n in source.batches(asked, np.random.default_rng(0))])
        loaders |= {child.pid for child in set(multiprocessing.active_children()) - before}
    assert labels == [[int(split.labels[row]) for row in range(6)][::step] for step in (1, -1)]
    assert len(loaders) == 1


@pytest.mark.parametrize("loaders", [0, 1])
def test_damaged_images_are_named(tmp_path: Path, loaders: int) -> None:
    write_images(tmp_path)
    data = load_dataset("imagenet-folder", tmp_path)
    assert isinstance(data.test, ImageFiles)
    (tmp_path / "val" / "blue" / "0.png").write_bytes(b"no image")
    source = FromFiles(data.test, torch.device("cpu"), loaders)
    with pytest.raises(InputError, match=r"val/blue/0\.png: no image that can be decoded") as error:
        list(source.batches([np.arange(2)], np.random.default_rng(0)))
    assert "\n" not in str(error.value)


def test_pillow_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    split = ImageFiles(Path(), np.array(["a"]), np.zeros(1, np.int64), 224)
    with pytest.raises(MissingDependencyError, match=r"weaknas\[vision\]"):
        FromFiles(split, torch.device("cpu"), 0)
