"""Which architectures of a supernet are trained when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaknas.errors import InputError
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.supernets import make_phases
from weaknas.supernets.schedule import apportion

MOBILE, CELLS = MobileNetV3(resolutions=(128, 160)), NASBench201()


def test_the_sandwich_has_the_largest_first_and_the_smallest_last() -> None:
    (phase,) = make_phases(MOBILE, 7, random=3)
    drawn = phase.draw(MOBILE, np.random.default_rng(0))
    assert (phase.epochs, phase.teacher, drawn.shape) == (7, "largest", (5, 46))
    assert (drawn[0] == MOBILE.cardinalities - 1).all()
    assert (drawn[-1] == 0).all()
    assert MOBILE.contains(drawn).all()
    again = phase.draw(MOBILE, np.random.default_rng(0))
    assert (again == drawn).all()


def test_single_paths_are_drawn_uniformly() -> None:
    (phase,) = make_phases(CELLS, 5)
    rng = np.random.default_rng(0)
    drawn = np.concatenate([phase.draw(CELLS, rng) for _ in range(3000)])
    assert (phase.name, drawn.shape) == ("single-path", (3000, 6))
    shares = (drawn[:, :, None] == np.arange(5)).mean(axis=0)
    assert abs(shares - 0.2).max() < 0.04


def test_shrinking_frees_kernel_then_depth_then_expansion() -> None:
    phases = make_phases(MOBILE, 605, "shrinking")
    assert [phase.epochs for phase in phases] == [180, 125, 25, 125, 25, 125]
    assert [phase.teacher for phase in phases] == ["labels", *["frozen"] * 5]
    assert [phase.sort for phase in phases] == [(), (), (), (), (6,), (4, 6)]
    rng = np.random.default_rng(0)
    free = []
    for phase in phases:
        drawn = np.concatenate([phase.draw(MOBILE, rng) for _ in range(200)])
        columns = {"depth": slice(0, 5), "kernel": slice(5, 25), "expansion": slice(25, 45)}
        free.append(
            {name: sorted(set(drawn[:, c].ravel().tolist())) for name, c in columns.items()}
        )
        assert set(drawn[:, 45].tolist()) == {0, 1}
    fixed, some, every = [2], [1, 2], [0, 1, 2]
    assert free == [
        {"depth": d, "kernel": k, "expansion": e}
        for k, d, e in [
            (fixed, fixed, fixed),
            (every, fixed, fixed),
            (every, some, fixed),
            (every, every, fixed),
            (every, every, some),
            (every, every, every),
        ]
    ]


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=8), st.integers(0, 300))
def test_every_phase_has_an_epoch_and_all_are_given(shares: list[float], more: int) -> None:
    epochs = len(shares) + more
    given = apportion(epochs, shares)
    assert sum(given) == epochs
    assert min(given) >= 1


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (MOBILE, {"method": "sandwhich"}, "did you mean 'sandwich'"),
        (MOBILE, {"random": 0}, "random must be at least 1"),
        (MOBILE, {"method": "shrinking", "epochs": 5}, "at least 6 for this training, not 5"),
        (MOBILE, {"epochs": 0}, "at least 1"),
        (CELLS, {"method": "sandwich"}, "use single-path"),
        (CELLS, {"method": "shrinking"}, "does not say how it is shrunk"),
    ],
)
def test_bad_schedules_are_refused(space, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_phases(space, **({"epochs": 9} | options))
