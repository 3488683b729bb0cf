from __future__ import annotations

import csv
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators.ofa_predictor import OFAPredictor
from weaknas.spaces import ConstrainedSpace
from weaknas.spaces.files.torch_files import read_state_dict
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.testing import evaluator_checks

FILE = "mobilenet/ofa_acc_predictor_w1.2.pth"
SEARCHED = (160, 176, 192, 208, 224)


@pytest.fixture
def path(shared_data: Any) -> Path:
    found: Path = shared_data(FILE)
    return found


def test_contract(path: Path) -> None:
    space = ConstrainedSpace(MobileNetV3(1.2, 224), "macs<=600e6")
    for check in evaluator_checks(OFAPredictor(space, path), space):
        check()


def features_by_hand(config: dict[str, list[int]], resolution: int) -> np.ndarray:
    """Write the features as once-for-all's tutorial describes them, one by one."""
    features = np.zeros(128)
    for layer, (kernel, expansion) in enumerate(zip(config["ks"], config["e"], strict=True)):
        if layer % 4 < config["d"][layer // 4]:
            features[3 * layer + (3, 5, 7).index(kernel)] = 1
            features[60 + 3 * layer + (3, 4, 6).index(expansion)] = 1
    features[120 + (resolution - 112) // 16] = 1
    return features


@pytest.mark.parametrize("resolution", SEARCHED)
def test_scores_equal_the_network_layer_by_layer(path: Path, resolution: int) -> None:
    space = MobileNetV3(1.2, resolution)
    state = read_state_dict(path)
    rows = space.sample(20, np.random.default_rng(0))
    expected = []
    for row in rows:
        values = features_by_hand(space.decode(row), resolution)
        for layer in (0, 2, 4, 6):
            values = state[f"{layer}.weight"].astype(float) @ values + state[f"{layer}.bias"]
            values = np.maximum(values, 0) if layer < 6 else values
        expected.append(values[0])
    assert OFAPredictor(space, path).scores(rows) == pytest.approx(expected, abs=1e-12)


def test_a_searched_resolution_counts(path: Path) -> None:
    whole = MobileNetV3(1.2, resolutions=SEARCHED)
    rows = whole.sample(50, np.random.default_rng(0))
    scores = OFAPredictor(whole, path).scores(rows)
    for index, resolution in enumerate(SEARCHED):
        chosen = rows[:, -1] == index
        alone = OFAPredictor(MobileNetV3(1.2, resolution), path).scores(rows[chosen, :-1])
        assert scores[chosen] == pytest.approx(alone, abs=1e-12)


def test_published_nets(path: Path, shared_data: Any) -> None:
    nets = {}
    for file in ("weaknas_best.csv", "ofa_specialized_mbv3.csv"):
        with (shared_data("mobilenet") / file).open() as stream:
            rows = csv.DictReader(stream)
            nets |= {row.get("name") or row.get("net_id"): row for row in rows}
    space = MobileNetV3(1.2, 236)
    predictor = OFAPredictor(space, path, resolution=224)
    for name, score in {
        "ofa_mbv3_800": 0.8255,
        "ofa_mbv3_1000": 0.8287,
        "flops-595M_top1-80.0_finetune-75": 0.8321,
    }.items():
        text = ",".join(nets[name][key] for key in ("ks", "e", "d", "r"))
        evaluation = predictor.evaluate(space.architecture(text), seed=0)
        assert round(evaluation.score, 4) == score
        assert set(evaluation.metrics) == {"macs", "params", "memory"}
        assert 500e6 < evaluation.metrics["macs"] < 600e6  # counted at 236


def test_random_pool_of_the_published_search(path: Path) -> None:
    space = ConstrainedSpace(MobileNetV3(1.2, 236), "550e6<=macs<=600e6")
    rows = space.sample(10_000, np.random.default_rng(0))
    predictor = OFAPredictor(space, path, resolution=224)
    start = time.process_time()
    scores = predictor.scores(rows)
    assert time.process_time() - start < 10  # takes about 0.7 s on one core
    assert scores.mean() == pytest.approx(0.8189, abs=0.0002)
    assert scores.max() == pytest.approx(0.8335, abs=0.003)


def test_a_search_runs_on_it(path: Path) -> None:
    space = ConstrainedSpace(MobileNetV3(1.2, 236), "macs<=600e6")
    predictor = OFAPredictor(space, path, resolution=224)
    strategy = weaknas.get_strategy("regularized-evolution", space, seed=0)
    result = weaknas.run(strategy, predictor, budget=60)
    rows = space.genotypes([trial.architecture for trial in result.trials])
    assert len(rows) == 60
    assert (space.macs(rows) <= 600e6).all()
    assert result.best.score == pytest.approx(predictor.scores(rows).max())


def test_pickled_it_scores_the_same(path: Path) -> None:
    space = MobileNetV3(1.2)
    predictor = OFAPredictor(space, path)
    again = pickle.loads(pickle.dumps(predictor))  # noqa: S301  # of our own making
    rows = space.sample(5, np.random.default_rng(0))
    assert np.array_equal(again.scores(rows), predictor.scores(rows))
    assert again.describe() == predictor.describe()


def test_the_file_is_found_in_a_data_folder(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WEAKNAS_DATA", f"{tmp_path}:{path.parent.parent}")
    named = OFAPredictor(MobileNetV3(1.2), path)
    assert OFAPredictor(MobileNetV3(1.2)).describe() == named.describe()
    monkeypatch.setenv("WEAKNAS_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"no accuracy predictor .*acc_predictor\.pth"):
        OFAPredictor(MobileNetV3(1.2))


@pytest.mark.parametrize(
    ("space", "resolution", "message"),
    [
        (MobileNetV3(1.2, 236), None, r"resolution of ofa-predictor '236'.*160, 176"),
        (MobileNetV3(1.2, 224), 236, r"resolution of ofa-predictor '236'"),
        (MobileNetV3(1.2, resolutions=(128, 160)), None, r"'128'"),
        (MobileNetV3(1.0), None, "width 1.2, not 1"),
        (weaknas.get_space("nasbench201"), None, "'mobilenetv3', not 'nasbench201'"),
    ],
)
def test_what_it_cannot_score_is_refused(space: Any, resolution: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        OFAPredictor(space, "anywhere.pth", resolution)


def test_a_fidelity_is_refused(path: Path) -> None:
    space = MobileNetV3(1.2)
    architecture = space.architectures(space.sample(1, np.random.default_rng(0)))[0]
    with pytest.raises(InputError, match="no fidelities"):
        OFAPredictor(space, path).evaluate(architecture, seed=0, fidelity=3)


def test_another_network_is_refused(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    state = read_state_dict(path)
    module = "weaknas.evaluators.ofa_predictor.read_state_dict"
    for change, message in (
        ({"2.weight": np.zeros((400, 399))}, r"'2\.weight' has the shape \(400, 399\), not"),
        ({"6.bias": np.array([np.nan])}, r"'6\.bias' has values that are no numbers"),
    ):
        monkeypatch.setattr(module, lambda _, change=change: state | change)
        with pytest.raises(InputError, match=message):
            OFAPredictor(MobileNetV3(1.2), path)
    monkeypatch.setattr(module, lambda _: {"fc.weight": state["0.weight"]})
    with pytest.raises(InputError, match=r"'0\.weight' is missing"):
        OFAPredictor(MobileNetV3(1.2), path)
