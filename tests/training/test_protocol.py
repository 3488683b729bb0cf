"""Protocols: what is allowed, and the published ones."""

from __future__ import annotations

import json

import pytest

from weaknas.errors import InputError
from weaknas.training import PRESETS, Protocol, get_protocol


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"epochs": 2.5}, "epochs must be a whole number of at least 1, not 2.5"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        (
            {"learning_rate": float("nan")},
            "learning_rate must be a number above 0 .*, not nan",
        ),
        ({"cutout": -1}, "cutout must be at least 0, not -1"),
        ({"flip": 1}, "flip must be true or false, not 1"),
        ({"ema": 1.5}, "ema must be between 0 and 1"),
        ({"optimizer": "adam"}, "did you mean 'adamw'"),
        ({"channels": 0}, "channels must be at least 1, not 0"),
        ({"cut_out": 3}, "did you mean 'cutout'"),
        ({"epochs": 2, "warmup": 3}, "warmup of 3 epochs is above epochs, 2"),
    ],
)
def test_bad_switches_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_protocol("small", **options)


def test_unknown_protocols_have_a_suggestion() -> None:
    with pytest.raises(InputError, match="did you mean 'nasbench201'"):
        get_protocol("nasbench-201")


def test_the_published_protocols() -> None:
    bench = PRESETS["nasbench201"]
    assert (bench.epochs, bench.batch_size, bench.learning_rate) == (200, 256, 0.1)
    assert (bench.momentum, bench.nesterov, bench.weight_decay) == (0.9, True, 5e-4)
    assert (bench.schedule, bench.flip, bench.crop, bench.decay_all) == ("cosine", True, 4, True)
    older = PRESETS["nasbench101"]
    assert (older.epochs, older.optimizer, older.learning_rate) == (108, "rmsprop", 0.2)
    darts = PRESETS["darts"]
    assert (darts.epochs, darts.batch_size, darts.learning_rate) == (600, 96, 0.025)
    assert (darts.cutout, darts.drop_path, darts.auxiliary) == (16, 0.2, 0.4)


def test_protocols_are_plain_and_hashable() -> None:
    for protocol in PRESETS.values():
        described = protocol.describe()
        assert json.loads(json.dumps(described)) == described
        assert Protocol(**described) == protocol
        assert hash(Protocol(**described)) == hash(protocol)


def test_the_skeleton_is_what_was_asked_for() -> None:
    assert Protocol().skeleton() == {}
    asked = Protocol(channels=4, auxiliary=0.4, settings={"stem": "imagenet", "a": 1})
    assert asked.skeleton() == {"channels": 4, "auxiliary": True, "stem": "imagenet", "a": 1}
    assert asked == asked.with_options({"skeleton.a": 2}).with_options({"skeleton.a": 1})
    assert asked.describe()["settings"] == {"a": 1, "stem": "imagenet"}
    assert get_protocol("small", channels=None, cells=None).skeleton() == {}
