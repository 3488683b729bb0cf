from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weaknas
from weaknas.errors import InputError
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.mobilenetv3.skeleton import Block, Layer, Skeleton, make_divisible
from weaknas.testing import space_checks

SEARCHED = (160, 176, 192, 208, 224)
SPACES = [MobileNetV3(), MobileNetV3(1.2, 236), MobileNetV3(1.2, resolutions=SEARCHED)]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def digits(row: dict[str, str]) -> str:
    return ",".join(row[key] for key in ("ks", "e", "d", "r"))


@pytest.mark.parametrize(
    "check",
    [check for s in SPACES for check in space_checks(s, symmetric_neighbors=True)],
    ids=str,
)
def test_contract(check: Any) -> None:
    check()


def test_registered() -> None:
    space = weaknas.get_space("mobilenetv3", width=1.2, resolution=236)
    assert isinstance(space, MobileNetV3)
    assert space.describe()["resolutions"] == [236]


# -- size -------------------------------------------------------------------------------


def test_size_counts_genotypes_and_architectures() -> None:
    space = MobileNetV3()
    assert space.size == 3**45
    assert space.n_architectures == (9**2 + 9**3 + 9**4) ** 5
    assert MobileNetV3(resolutions=SEARCHED).n_architectures == 5 * space.n_architectures


def test_number_of_architectures_of_one_unit_by_listing() -> None:
    space = MobileNetV3()
    rows = np.zeros((3**9, 45), dtype=np.int16)
    rows[:, [0, 5, 6, 7, 8, 25, 26, 27, 28]] = list(itertools.product(range(3), repeat=9))
    assert len(np.unique(space.fingerprint(rows))) == 9**2 + 9**3 + 9**4


# -- moves ------------------------------------------------------------------------------


def test_mutants_are_neighbours_and_all_kinds_occur() -> None:
    space = MobileNetV3()
    row = space.canonicalize(space.sample(1, np.random.default_rng(3)))[0]
    mutants = space.mutate(np.repeat(row[None], 20_000, axis=0), np.random.default_rng(0))
    near, seen = set(space.fingerprint(space.neighbors(row))), set(space.fingerprint(mutants))
    assert seen <= near
    assert len(seen) > 0.9 * len(near)


def test_a_unit_that_grows_gets_every_kind_of_layer() -> None:
    space = MobileNetV3()
    smallest = np.zeros(45, dtype=np.int16)
    near = space.neighbors(smallest)
    # Ten layers with two other kernels and expansions; one or two layers more in a unit.
    assert len(near) == 10 * 4 + 5 * (9 + 81)


def test_children_inherit_layers_from_a_parent_that_has_them() -> None:
    space = MobileNetV3()
    short, long = np.zeros(45, dtype=np.int16), np.full(45, 2, dtype=np.int16)
    children = space.crossover(
        np.repeat(short[None], 500, axis=0), np.repeat(long[None], 500, axis=0),
        np.random.default_rng(0),
    )  # fmt: skip
    for child in children:
        decoded = space.decode(child)
        for unit, depth in enumerate(decoded["d"]):
            assert set(decoded["ks"][4 * unit + 2 : 4 * unit + depth]) <= {7}
            assert set(decoded["e"][4 * unit + 2 : 4 * unit + depth]) <= {6}
    assert len(np.unique(children, axis=0)) > 490


# -- text -------------------------------------------------------------------------------


def test_forms_of_once_for_all() -> None:
    space = MobileNetV3(1.2, 236)
    text = "35007570375033557535,46004340436066636643,23344,236"
    row = space.parse(text)
    decoded = space.decode(row)
    assert decoded["d"] == [2, 3, 3, 4, 4]
    assert decoded["ks"][:8] == [3, 5, 0, 0, 7, 5, 7, 0]
    assert decoded["e"][:8] == [4, 6, 0, 0, 4, 3, 4, 0]
    assert decoded["r"] == [236]
    # What stands in unused places does not count.
    filled = decoded | {"ks": [k or 7 for k in decoded["ks"]], "e": [e or 6 for e in decoded["e"]]}
    for form in (json.dumps(decoded), json.dumps(filled), json.dumps(filled | {"r": 236})):
        assert space.fingerprint(space.parse(form)[None]) == space.fingerprint(row[None])
    assert space.architecture(decoded).id == space.architecture(text).id


@given(st.integers(0, 2**32), st.sampled_from(SPACES))
@settings(max_examples=50, deadline=None)
def test_every_form_reads_back(seed: int, space: MobileNetV3) -> None:
    row = space.sample(1, np.random.default_rng(seed))[0]
    expected = space.canonicalize(row[None])[0].tolist()
    decoded = space.decode(row)
    columns = ",".join("".join(map(str, decoded[key])) for key in ("ks", "e", "d"))
    columns += f",{decoded['r'][0]}"
    for form in (space.format(row), json.dumps(decoded), columns):
        assert space.parse(form).tolist() == expected
    assert space.format(np.array(expected)) == space.format(row)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k33-33-33-33-33_e44-44-44-44-46_r236", "resolution '236'.*224"),
        ("k33-33-33-33-34_e44-44-44-44-46", r"kernel '4'.*3, 5, 7"),
        ("k33-33-33-33-33_e44-44-44-44-45", r"expansion '5'.*3, 4, 6"),
        ("k3-33-33-33-33_e4-44-44-44-44", r"depth '1'.*2, 3, 4"),
        ("k33-33-33-33-33_e444-44-44-44-44", "as many"),
        ('{"ks": [3], "e": [4], "d": [2, 2, 2, 2, 2]}', "20 values"),
        ('{"ks": 3, "e": [4], "d": [2, 2, 2, 2, 2]}', "20 values"),
        ('{"ks": [3], "e": [4]}', "no value for d"),
        ('{"kz": [3]}', "did you mean 'ks'"),
        ('{"ks": [3.5], "e": [4], "d": [2, 2, 2, 2, 2.5]}', "whole numbers"),
        ("[1, 2]", "malformed"),
        ("33003300330035005300,44003300440033004400,22223,224", "kernel '0'"),
    ],
)
def test_bad_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MobileNetV3().parse(text)


def test_a_searched_resolution_must_be_said() -> None:
    with pytest.raises(InputError, match="resolution"):
        MobileNetV3(resolutions=SEARCHED).parse("k33-33-33-33-33_e44-44-44-44-46")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0.05}, "width must be a number at least 0.1 and at most 4, not 0.05"),
        ({"resolution": 7}, "resolution 7"),
        ({"classes": 0}, "classes must be at least 1"),
        ({"strides": (2, 2, 2, 2, 2)}, "strides are 6 numbers"),
        ({"strides": (2, 2, 2, 2, 3, 1)}, "strides are 6 numbers"),
        ({"resolution": 224.5}, "resolution 224.5"),
        ({"resolutions": (224, 160)}, "increase"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MobileNetV3(**options)


# -- costs ------------------------------------------------------------------------------


def brute_force(space: MobileNetV3, genotype: Any) -> dict[str, int]:
    """Build the network operation by operation and count what each one does and holds."""
    config, width = space.decode(genotype), space.width
    resolution = config["r"][0]
    channels = [make_divisible(c * width) for c in (16, 16, 24, 40, 80, 112, 160)]
    macs = params = peak = 0

    def conv(size: int, c_in: int, c_out: int, k: int = 1, stride: int = 1, groups: int = 1,
             held: int = 0, norm: bool = True) -> int:  # fmt: skip
        nonlocal macs, params, peak
        out = -(-size // stride)
        weights = k * k * c_in * c_out // groups
        macs += weights * out * out
        params += weights + (2 * c_out if norm else 0)
        peak = max(peak, size * size * c_in + out * out * c_out + held)
        return out

    size = conv(resolution, 3, channels[0], 3, 2)
    plan = [(channels[0], channels[1], 3, 1, 1, False)]
    for unit in range(5):
        for place in range(config["d"][unit]):
            index = 4 * unit + place
            c_in = channels[unit + 1] if place == 0 else channels[unit + 2]
            stride = (2, 2, 2, 1, 2)[unit] if place == 0 else 1
            plan.append((c_in, channels[unit + 2], config["ks"][index], config["e"][index], stride,
                         unit in {1, 3, 4}))  # fmt: skip
    for c_in, c_out, k, e, stride, squeeze in plan:
        held = size * size * c_in if stride == 1 and c_in == c_out else 0
        mid = make_divisible(c_in * e)
        if e > 1:
            conv(size, c_in, mid)
        # The first block works on its input itself, which is the shortcut.
        out = conv(size, mid, mid, k, stride, groups=mid, held=held if e > 1 else 0)
        if squeeze:
            reduced = make_divisible(mid // 4)
            macs += 2 * mid * reduced
            params += 2 * mid * reduced + mid + reduced
        size = conv(out, mid, c_out, held=held)
    final, mixed = make_divisible(960 * width), make_divisible(1280 * width)
    conv(size, channels[-1], final)
    peak = max(peak, size * size * final + final)
    conv(1, final, mixed, norm=False)
    conv(1, mixed, 1000, norm=False)
    return {"macs": macs, "params": params + 1000, "memory": 4 * peak}


@pytest.mark.parametrize("space", SPACES)
def test_costs_equal_those_of_the_operations(space: MobileNetV3) -> None:
    rows = space.sample(60, np.random.default_rng(1))
    rows[0], rows[1] = 0, space.cardinalities - 1
    expected = [brute_force(space, row) for row in rows]
    for name, cost in space.costs().items():
        assert cost(rows).tolist() == [truth[name] for truth in expected], name
        assert np.array_equal(cost(space.canonicalize(rows)), cost(rows))


def test_costs_of_an_empty_batch() -> None:
    space = SPACES[2]
    for cost in space.costs().values():
        assert cost(space.sample(0, np.random.default_rng(0))).shape == (0,)


@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    [("ofa_mbv3_800", 593.16, 8.577), ("ofa_mbv3_1000", 560.83, 8.814)],
)
def test_published_nets_of_weaknas(
    shared_data: Any, name: str, macs: float, parameters: float
) -> None:
    rows = {row["name"]: row for row in rows_of(shared_data("mobilenet/weaknas_best.csv"))}
    space = MobileNetV3(1.2, 236)
    genotype = space.parse(digits(rows[name]))[None]
    assert round(space.macs(genotype)[0] / 1e6, 2) == macs
    assert round(space.parameters(genotype)[0] / 1e6, 3) == parameters


def test_specialized_nets_of_once_for_all(shared_data: Any) -> None:
    rows = rows_of(shared_data("mobilenet/ofa_specialized_mbv3.csv"))
    wrong = []
    for row in rows:
        space = MobileNetV3(float(row["width"]), int(row["r"]))
        genotype = space.parse(digits(row))[None]
        macs, parameters = space.macs(genotype)[0] / 1e6, space.parameters(genotype)[0] / 1e6
        published = float(row["published_macs"].rstrip("M"))
        if abs(macs - published) > 1:
            wrong.append(row["net_id"])
        assert abs(parameters - float(row["published_params"].rstrip("M"))) <= 0.051
    # The published number of this one does not belong to its published choices.
    assert len(rows) == 34
    assert wrong == ["note10_lat-8ms_top1-71.4_finetune-25"]


def test_measured_subnets_have_exactly_our_costs(shared_data: Any) -> None:
    rows = rows_of(shared_data("mobilenet/ofa_mbv3_w1.0_r224_dynas.csv"))
    space = MobileNetV3()
    genotypes = space.genotypes([digits(row) for row in rows])
    assert len(rows) == 2162
    assert space.macs(genotypes).tolist() == [int(row["macs"]) for row in rows]
    assert space.parameters(genotypes).tolist() == [int(row["params"]) for row in rows]


def test_shapes_of_the_skeleton_at_an_odd_size() -> None:
    skeleton = Skeleton(1.0, 236)
    # 236 -> 118 -> 59 -> 30 -> 15 -> 15 -> 8, as padded convolutions round up.
    assert [skeleton.block(4 * unit, 3, 3).size_out for unit in range(5)] == [59, 30, 15, 15, 8]
    for layer in range(19):
        before, after = skeleton.block(layer, 3, 6), skeleton.block(layer + 1, 3, 6)
        assert isinstance(before, Block)
        assert (before.size_out, before.channels_out) == (after.size_in, after.channels_in)
        assert after.shortcut == (
            after.channels_in == after.channels_out and after.size_in == after.size_out
        )
    stem = skeleton.fixed[0]
    assert isinstance(stem, Layer)
    assert (stem.size_out, stem.channels_out) == (118, 16)


def test_thousands_of_architectures_a_second() -> None:
    import time

    space = SPACES[2]
    rows = space.sample(50_000, np.random.default_rng(0))
    start = time.process_time()
    space.macs(rows)
    assert time.process_time() - start < 5  # takes about 0.02 s
