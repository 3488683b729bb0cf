"""Single-Path NAS: the weight that meets a latency, and trainings that derive."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from weaknas.errors import InputError
from weaknas.spaces.mobilenetv3 import LatencyTable, MobileNetV3
from weaknas.spaces.mobilenetv3.costs import count_macs
from weaknas.spaces.mobilenetv3.latency import required_parts
from weaknas.spaces.mobilenetv3.skeleton import Skeleton
from weaknas.supernets.single_path_nas import derive, meet_latency
from weaknas.training import get_protocol, load_dataset

PROTOCOL = get_protocol("small", channels=None, cells=None, epochs=2, batch_size=16)


@pytest.mark.parametrize("target", [12, 20, 33])
@pytest.mark.parametrize("middle", [0.2, 1.0, 10.0])
def test_a_latency_is_met_in_six_trainings(target, middle):
    asked = []

    def run(weight):
        asked.append(weight)
        # In steps, as networks are, and flat at both ends.
        share = 1 / (1 + (weight / middle) ** 1.5)
        return SimpleNamespace(latency=10 + 30 * round(share * 60) / 60, weight=weight)

    found = meet_latency(run, target, (10, 40))
    assert len(asked) == len(found) <= 6
    assert found[-1].latency == pytest.approx(target, rel=0.05)
    assert math.prod(asked) > 0


@pytest.mark.parametrize("target", [9, 41, float("nan")])
def test_a_latency_that_nothing_has_is_refused(target):
    with pytest.raises(InputError, match="target latency must be a number at least 10 and at most"):
        meet_latency(lambda weight: None, target, (10, 40))


@pytest.mark.slow
def test_more_weight_gives_less_latency(tmp_path):
    parts = required_parts(Skeleton(1.0, 64))
    table = LatencyTable({None: {key: count_macs(part) / 1e6 for key, part in parts.items()}})
    space = MobileNetV3(resolution=64, latency=table)
    data = load_dataset("digits", validation=50).part(0.1)
    options = {"warmup": 0.1, "width": 0.25, "device": "cpu", "threads": 1}
    light = derive(space, data, 0.0, PROTOCOL, **options)
    heavy = derive(space, data, 300.0, PROTOCOL, output=tmp_path, **options)
    assert heavy.latency < light.latency
    again = derive(space, data, 300.0, PROTOCOL, output=tmp_path, **options)
    assert again.architecture == heavy.architecture
    assert again.accuracy == heavy.accuracy
    with pytest.raises(InputError):
        derive(space, data, -1.0, PROTOCOL)
