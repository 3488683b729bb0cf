"""The presets of WeakNAS: the published settings are as published."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

import weaknas
from weaknas.errors import InputError
from weaknas.predictors.xgboost import XGBoost
from weaknas.search.presets import get_preset
from weaknas.spaces import ChoiceSpace, ConstrainedSpace
from weaknas.spaces.nasbench201 import NASBench201

CELLS = NASBench201()


def fields(preset):
    return (preset.predictor, preset.encoder, preset.acquisition, preset.initial, preset.batch_size)


def test_paper_on_nasbench201():
    # 10 random, 10 a round from the top 100, MLP on one-hot edges (30 columns)
    preset = get_preset("paper", CELLS)
    assert fields(preset) == ("mlp", "one-hot", "top-n", 10, 10)
    search = weaknas.WeakNAS(CELLS, preset="paper")
    assert search.acquisition.describe() == {
        "name": "TopN",
        "size": 100,
        "start": None,
        "decay": 0.96,
    }
    assert weaknas.get_encoder("one-hot", CELLS).fit_transform(CELLS.enumerate()[:2]).shape[1] == 30


def test_paper_on_nasbench101():
    # 100 random, adjacency with operations
    preset = get_preset("paper", weaknas.get_space("nasbench101"))
    assert fields(preset) == ("mlp", "adjacency", "top-n", 100, 10)


def test_paper_on_the_mobilenet_space():
    # 100 random of a fixed pool of 10,000 in the window, then 100 a round drawn from the
    # predicted top 1,000 by XGBoost on the 45 raw choices
    space = ConstrainedSpace(weaknas.get_space("mobilenetv3"), "400e6<=macs<=450e6")
    preset = get_preset("paper", space)
    assert fields(preset) == ("xgboost", "ordinal", "top-n", 100, 100)
    search = weaknas.WeakNAS(space, preset="paper", predictor=XGBoost(n_estimators=30), seed=1)
    assert search.acquisition.describe()["size"] == 1000
    first = search.ask()
    assert len(first) == 100
    search.tell(first, [sum(a.genotype) for a in first])
    pool = search._candidates.pool(search.history, np.random.default_rng(0))
    assert len(pool.genotypes) == 10_000
    assert space.contains(pool.genotypes).all()
    second = search.ask()
    assert len(second) == 100
    assert search._candidates.pool(search.history, np.random.default_rng(1)) is pool
    both = np.array([a.genotype for a in [*first, *second]])
    assert np.isin(space.fingerprint(both), pool.fingerprints).all()
    rank = np.argsort(np.argsort(-search._ranker._model.predict()[0], kind="stable"))
    chosen = rank[pool.locate(space.fingerprint(both[100:]))]
    assert chosen.max() < 1000
    assert chosen.max() > 500  # drawn from the top, not its best


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mlp", {"hidden": (1000, 1000, 1000, 1000), "max_iter": 100, "members": 1}),
        ("xgboost", {"n_estimators": 1000, "max_depth": 20, "members": 1}),
        ("random-forest", {"n_estimators": 1000, "max_depth": 10}),
    ],
)
def test_the_papers_predictors(name, expected):
    search = weaknas.WeakNAS(CELLS, preset="paper", predictor=name)
    parameters = search.predictor.get_params()
    assert {key: parameters[key] for key in expected} == expected
    assert clone(search.predictor).get_params() == parameters
    # the default preset has smaller ones of its own
    default = weaknas.WeakNAS(CELLS, predictor=name).predictor.get_params()
    assert any(default[key] != value for key, value in expected.items())


def test_a_predictor_the_paper_does_not_have():
    assert weaknas.WeakNAS(CELLS, preset="paper", predictor="gp").predictor.max_iter > 0


@pytest.mark.parametrize("name", ["mlp", "xgboost", "random-forest"])
def test_the_papers_rounds(name):
    small = {
        "mlp": {"hidden": (20,), "max_iter": 40},
        "xgboost": {"n_estimators": 20},
        "random-forest": {"n_estimators": 20},
    }
    search = weaknas.WeakNAS(CELLS, preset="paper", predictor=name, seed=1)
    search.predictor.set_params(**small[name])
    score = {a: float(np.sum(np.array(a) == 3)) for a in map(tuple, CELLS.enumerate().tolist())}
    first = search.ask()
    assert len(first) == 10
    search.tell(first, [score[a.genotype] for a in first])
    second = search.ask()
    assert len(second) == 10
    pool, model = search._ranker._pool, search._ranker._model
    mean, _ = model.predict()
    rank = {int(code): r for r, code in enumerate(pool.fingerprints[np.argsort(-mean)])}
    ranks = [rank[int(CELLS.fingerprint(np.array([a.genotype]))[0])] for a in second]
    assert max(ranks) < 100 + (mean == np.sort(mean)[-100]).sum()  # ties at the limit
    assert len(set(ranks)) == 10
    assert max(ranks) > 15  # drawn from the top, not its ten best
    search.tell(second, [score[a.genotype] for a in second])
    assert not {a.id for a in search.ask()} & {a.id for a in first + second}


def test_default_depends_on_what_the_space_has():
    kinds = ChoiceSpace({"a": ["x", "y"], "b": ["p", "q"]})
    widths = ChoiceSpace({"a": ["x", "y"], "b": [16, 32, 64]})
    assert "path" in get_preset("default", CELLS).encoder
    assert "path" not in get_preset("default", kinds).encoder
    for space in (kinds, widths, CELLS):
        preset = get_preset("default", space)
        assert preset.predictor == "gp"
        weaknas.get_encoder(preset.encoder, space).fit(space.enumerate()[:50])


def test_default_where_a_space_cannot_be_listed():
    layers = ChoiceSpace({f"layer{i}": ["skip", "conv3", "conv5"] for i in range(25)})
    widths = ChoiceSpace({f"layer{i}": [8, 16, 24] for i in range(25)})
    mobile = weaknas.get_space("mobilenetv3")
    encoders = [get_preset("default", space).encoder for space in (layers, widths, mobile)]
    alike = "variables+one-hot+value-counts"  # three kinds of layers: three blocks
    assert encoders == [alike, "one-hot+value-counts", "one-hot+costs"]
    assert get_preset("default", mobile).targets == "compressed"


def test_what_is_said_overrides_the_preset():
    search = weaknas.WeakNAS(
        CELLS, preset="paper", acquisition="ei", predictor="gp", encoder="path",
        batch_size=3, initial=4, targets="raw",
    )  # fmt: skip
    described = search.describe()
    assert described["acquisition"]["name"] == "ExpectedImprovement"
    assert described["predictor"]["name"] == "GaussianProcess"
    assert described["encoder"]["name"] == "PathEncoder"
    assert (described["batch_size"], described["initial"], described["targets"]) == (3, 4, "raw")


def test_an_unknown_preset_names_the_closest():
    with pytest.raises(InputError, match="unknown preset 'papper'; did you mean 'paper'"):
        weaknas.WeakNAS(CELLS, preset="papper")


def test_options_of_a_predictor_stand_beside_those_of_the_preset():
    predictor = weaknas.WeakNAS(CELLS, preset="paper", predictor="xgboost:max-depth=3").predictor
    assert (predictor.max_depth, predictor.n_estimators, predictor.members) == (3, 1000, 1)


def test_who_refuses_its_options_is_named():
    search = weaknas.WeakNAS(CELLS, predictor="svr:C=x", initial=2)
    search.tell(search.ask(2), [1.0, 2.0])
    with pytest.raises(InputError, match="SVR cannot be fitted"):
        search.ask(2)


def test_decisions_add_up_in_spaces_too_large_to_list():
    huge = weaknas.WeakNAS(weaknas.get_space("mobilenetv3"))
    assert huge.predictor.additive
    assert not weaknas.WeakNAS(CELLS).predictor.additive
