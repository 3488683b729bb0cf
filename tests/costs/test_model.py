from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from weaknas.costs import CostModel, Sources, read_model, write_model
from weaknas.costs.files import join_sources, read_measurements, read_sources, write_measurements
from weaknas.costs.process import Process, choose, grid
from weaknas.errors import InputError
from weaknas.laboratory.statistics import spearman_rho
from weaknas.spaces import ChoiceSpace
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
CELLS = SPACE.enumerate()
#: Milliseconds of none, skip, 1x1, 3x3 and pooling on four devices.
MILLISECONDS = {
    "phone": [0.0, 0.2, 2.0, 6.0, 1.5],
    "desktop": [0.0, 0.1, 0.9, 1.6, 0.7],
    "board": [0.1, 0.6, 4.0, 21.0, 5.0],
    "card": [0.0, 0.05, 0.5, 0.6, 0.3],
}


def latency(device: str, cells=CELLS, seed: int = 0, noise: float = 0.03):
    sums = 3.0 + np.array(MILLISECONDS[device])[cells].sum(axis=1)
    return sums * np.exp(np.random.default_rng(seed).normal(0, noise, len(cells)))


def sources(*devices: str, **other) -> Sources:
    known = {name: latency(name, seed=number) for number, name in enumerate(devices, 1)}
    return Sources(SPACE, CELLS, known | other)


def fit(model: CostModel, device: str, n: int = 10, seed: int = 0) -> CostModel:
    rows = np.array(model.choose(CELLS[:600], n)) if seed is None else None
    if rows is None:
        rows = np.random.default_rng(seed).choice(len(CELLS), n, replace=False)
    return model.fit(CELLS[rows], latency(device)[rows])


# -- the process -------------------------------------------------------------------------------


def test_the_posterior_of_one_member_is_that_of_linear_regression() -> None:
    """Without outliers and with one scale and noise, it is the conjugate normal posterior."""
    rng = np.random.default_rng(0)
    known, new = rng.normal(size=(40, 3)), rng.normal(size=(5, 3))
    values = known @ [0.2, -0.1, 0.3] + rng.normal(0, 0.08, 40)
    mean, deviation = Process([known], values, grid([(1.0,)])).predict([new])
    design = np.column_stack([known, np.full(40, 3.0)])
    target = np.column_stack([new, np.full(5, 3.0)])
    inverse = np.linalg.inv(design.T @ design / 0.08**2 + np.eye(4))
    level = np.median(values)
    expected = target @ inverse @ design.T @ (values - level) / 0.08**2 + level
    np.testing.assert_allclose(mean, expected, atol=0.04)
    spread = np.sqrt(np.einsum("mi,ij,mj->m", target, inverse, target) + 0.08**2)
    np.testing.assert_allclose(deviation, spread, rtol=0.5)


def test_one_wrong_measurement_costs_little() -> None:
    rows = np.random.default_rng(1).choice(len(CELLS), 10, replace=False)
    values = latency("phone")[rows]
    plain = CostModel(SPACE, sources("desktop", "board")).fit(CELLS[rows], values)
    values[4] *= 6
    spoiled = CostModel(SPACE, sources("desktop", "board")).fit(CELLS[rows], values)
    for model, least in ((plain, 0.99), (spoiled, 0.97)):
        assert spearman_rho(model(CELLS), latency("phone", noise=0)) > least


def test_chosen_rows_leave_the_least_variance() -> None:
    """Greedy: no single other row would have left less after the first step."""
    block = np.random.default_rng(0).normal(size=(30, 4))
    first = choose([block], [0.5], 1)[0]
    covariance = 9 + 0.25 * block @ block.T
    left = [
        np.trace(covariance - np.outer(c := covariance[:, i], c) / (c[i] + 0.01)) for i in range(30)
    ]
    assert first == int(np.argmin(left))


# -- the model ------------------------------------------------------------------------------------


def test_few_measurements_rank_all_cells() -> None:
    truth = latency("phone", noise=0)
    for known, error in ((sources("desktop", "board", "card"), 0.05), (None, 0.1)):
        model = fit(CostModel(SPACE, known), "phone", seed=None)
        assert spearman_rho(model(CELLS), truth) > 0.985
        assert np.median(np.abs(model(CELLS) / truth - 1)) < error
        low, high = model.interval(CELLS, 0.9)
        assert ((low < truth) & (truth < high)).mean() > 0.85
        inside = model.probability(CELLS, high=15.0)
        assert inside[truth < 8].min() > 0.9
        assert inside[truth > 30].max() < 0.1


def test_misleading_sources_are_ignored() -> None:
    rng, good = np.random.default_rng(0), ("desktop", "board", "card")
    permuted = {f"permuted{i}": rng.permutation(latency("board")) for i in range(3)}
    negated = {"negated": 1000 / latency("desktop", seed=9)}
    plain = fit(CostModel(SPACE, sources(*good)), "phone")
    misled = fit(CostModel(SPACE, sources(*good, **permuted, **negated)), "phone")
    weights = misled.source_weights
    assert max(weights[name] for name in (*permuted, *negated)) < 0.1
    assert min(weights[name] for name in good) > 0.9
    truth = latency("phone", noise=0)
    assert spearman_rho(misled(CELLS), truth) > spearman_rho(plain(CELLS), truth) - 0.003
    only = fit(CostModel(SPACE, sources(**permuted)), "phone")
    alone = fit(CostModel(SPACE), "phone")
    assert spearman_rho(only(CELLS), truth) > spearman_rho(alone(CELLS), truth) - 0.01


def test_the_gain_of_a_source_is_what_leaving_it_out_loses() -> None:
    alike = np.where(CELLS[:, 0] == CELLS[:, 5], 3.0, 1.0)  # of this device and its twin alone
    odd, twin = latency("phone") * alike, latency("phone", seed=5) * alike
    rows = np.random.default_rng(0).choice(len(CELLS), 12, replace=False)
    model = CostModel(SPACE, sources("desktop", "board", "card", twin=twin))
    model.fit(CELLS[rows], odd[rows])
    gains = model.source_gains()
    assert max(gains, key=lambda name: gains[name]) == "twin"
    assert fit(CostModel(SPACE, sources("board")), "phone").source_gains() == {}


def test_a_sum_of_blocks_is_corrected() -> None:
    """Whole networks take longer than their blocks, by a part of its own."""

    class Summed(MobileNetV3):
        def costs(self):
            return super().costs() | {"latency": lambda rows: self.macs(rows) / 1e6}

    space = Summed(0.25, 32)
    rows = space.sample(200, np.random.default_rng(0))
    truth = 4.0 * (space.macs(rows) / 1e6) ** 0.9 + 2.0
    model = CostModel(space).fit(rows[:12], truth[:12])
    assert model.has_sum_of_blocks
    assert np.median(np.abs(model(rows) / truth - 1)) < 0.02 < model.error + 0.02
    assert np.median(np.abs(space.costs()["latency"](rows) / truth - 1)) > 0.5


@pytest.mark.parametrize(
    "space",
    [
        ChoiceSpace({"width": [8, 16, 32, 64], "op": ["conv", "pool"], "act": ["relu", "gelu"]}),
        MobileNetV3(0.25, resolutions=(32, 48)),
    ],
    ids=lambda space: space.name,
)
def test_every_space_has_models(space) -> None:
    model = CostModel(space)
    rows = model.propose(6, np.random.default_rng(0))
    assert len(np.unique(space.fingerprint(rows))) == 6
    effect = np.linspace(0.1, 0.3, space.n_variables)
    model.fit(rows, np.exp(space.canonicalize(rows) @ effect))
    some = space.sample(20, np.random.default_rng(1))
    np.testing.assert_allclose(model(some), model(space.canonicalize(some)), rtol=1e-9)
    low, high = model.interval(some)
    assert (low < model(some)).all()
    assert (model(some) < high).all()


@pytest.mark.slow
def test_a_part_of_what_sources_measured_is_enough() -> None:
    seen = np.random.default_rng(0).choice(len(CELLS), 150, replace=False)
    part = {name: latency(name, CELLS[seen], 3) for name in ("desktop", "board")}
    model = fit(CostModel(SPACE, Sources(SPACE, CELLS[seen], part)), "phone", seed=None)
    assert spearman_rho(model(CELLS), latency("phone", noise=0)) > 0.98


# -- files ------------------------------------------------------------------------------


def test_models_and_measurements_round_trip(tmp_path: Path) -> None:
    model = fit(CostModel(SPACE, sources("desktop", "board"), unit="s"), "phone")
    write_model(tmp_path / "phone.json", model)
    again = read_model(tmp_path / "phone.json", SPACE)
    np.testing.assert_allclose(again(CELLS), model(CELLS), rtol=1e-3)
    assert (again.unit, again.name) == ("s", "latency")
    write_measurements(tmp_path / "m.csv", SPACE, CELLS[:5], "latency", latency("phone")[:5])
    rows, values = read_measurements(tmp_path / "m.csv", SPACE, "latency", "ms")
    assert (rows == CELLS[:5]).all()
    np.testing.assert_allclose(values, latency("phone")[:5], rtol=1e-5)
    # What says its unit is not suspected, however far apart; of one there is nothing to suspect.
    write_measurements(tmp_path / "far.csv", SPACE, CELLS[:2], "latency", np.array([1, 500]), "us")
    _, values = read_measurements(tmp_path / "far.csv", SPACE, "latency", "ms", least=0)
    np.testing.assert_allclose(values, [1e-3, 0.5])
    write_measurements(tmp_path / "one.csv", SPACE, CELLS[:1], "latency", np.array([2.0]))
    assert len(read_measurements(tmp_path / "one.csv", SPACE, "latency", "ms", least=0)[1]) == 1
    joined = join_sources(
        [read_sources(tmp_path / name, SPACE) for name in ("m.csv", "phone.json")]
    )
    assert joined.names == ("latency", "phone")
    with pytest.raises(InputError, match=r"of the space .*mobilenetv3"):
        read_model(tmp_path / "phone.json", MobileNetV3())


CELL = SPACE.format(CELLS[0])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["architecture,latency", "k3,1"], "row 2: malformed architecture"),
        (["architecture,latency", f"{CELL},-1", *[f"{CELL},1"] * 3], "positive number, not -1"),
        (["architecture,latency", f"{CELL},", *[f"{CELL},1"] * 3], "row 2 has no latency"),
        (["architecture,latency", f"{CELL},x"], "row 2: latency must be a number, not 'x'"),
        (["architecture,latency", *[f"{CELL},1"] * 2], "at least 3 measurements"),
        (["architecture,latency", f"{CELL},9000", *[f"{CELL},9"] * 4], "differ by 1,000"),
        (["architecture,latency", *[f"{CELL},9000", f"{CELL},9"] * 2], r"\(row 5\).*\(row 2\)"),
        (["architecture,watts", f"{CELL},1"], "unknown column .*'latency'.*watts"),
        (["architecture,latency,unit", *[f"{CELL},1,km"] * 3], "unit 'km'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_measurements_are_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    (tmp_path / "m.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match=message):
        read_measurements(tmp_path / "m.csv", SPACE, "latency", "ms")


def test_units_that_are_told_are_converted(tmp_path: Path) -> None:
    lines = ["architecture,latency,unit", f"{CELL},9,ms", f"{CELL},8000,us", f"{CELL},.007,s"]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    _, values = read_measurements(tmp_path / "m.csv", SPACE, "latency", "ms")
    np.testing.assert_allclose(values, [9, 8, 7])


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"format": "weaknas cost model 1"}'])
def test_damaged_models_are_refused(tmp_path: Path, damage: str) -> None:
    (tmp_path / "m.json").write_text(damage)
    with pytest.raises(InputError, match=str(tmp_path / "m.json")):
        read_model(tmp_path / "m.json", SPACE)
