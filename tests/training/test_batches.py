"""Batches: every image once, shares alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from weaknas.errors import InputError  # noqa: E402
from weaknas.training.batches import evaluation_parts, training_parts  # noqa: E402
from weaknas.training.data import Images  # noqa: E402
from weaknas.training.distributed import Workers  # noqa: E402
from weaknas.training.sources import open_source  # noqa: E402

COUNTS = st.integers(1, 70)


@given(COUNTS, st.integers(1, 20), st.integers(1, 4))
def test_shares_of_processes(count: int, batch_size: int, processes: int) -> None:
    if batch_size < processes:
        with pytest.raises(InputError, match=f"batch_size is {batch_size}, below the"):
            training_parts(count, batch_size, Workers(0, processes), np.random.default_rng(0))
        return
    shares = [
        training_parts(count, batch_size, Workers(rank, processes), np.random.default_rng(0))
        for rank in range(processes)
    ]
    # All processes take as many steps of as many images, and no image twice.
    sizes = [[len(share) for share in parts] for parts in shares]
    assert all(size == sizes[0] for size in sizes)
    rows = np.concatenate([share for parts in shares for share in parts])
    assert len(set(rows.tolist())) == len(rows)
    assert all(len(share) * processes <= batch_size for parts in shares for share in parts)
    assert count - len(rows) < 2 * processes
    if processes == 1 and (count % batch_size != 1 or batch_size == 1):
        assert sorted(rows.tolist()) == list(range(count))


@given(COUNTS, st.integers(1, 20), st.integers(1, 4))
def test_every_image_is_examined_once(count: int, batch_size: int, processes: int) -> None:
    rows = [
        part
        for rank in range(processes)
        for part in evaluation_parts(count, batch_size, Workers(rank, processes))
    ]
    assert sorted(np.concatenate(rows).tolist()) == list(range(count))
    assert max(map(len, rows)) <= batch_size


def test_images_are_gathered_on_the_device() -> None:
    pixels = np.arange(5 * 2 * 3 * 3, dtype=np.uint8).reshape(5, 2, 3, 3)
    source = open_source(Images(pixels, np.arange(5)), torch.device("cpu"))
    parts = [np.array([4, 1]), np.array([0])]
    batches = list(source.batches(parts, np.random.default_rng(0)))
    for part, (made, labels) in zip(parts, batches, strict=True):
        assert np.array_equal(made.numpy(), pixels[part])
        assert labels.tolist() == part.tolist()
