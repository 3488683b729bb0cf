"""Names: listing, closest matches, plug-ins and those that are broken."""

from __future__ import annotations

import inspect
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest

import weaknas
from weaknas import registry
from weaknas.errors import InputError
from weaknas.registry import Registry
from weaknas.spaces import ChoiceSpace

ROLES = ["space", "encoder", "predictor", "strategy", "evaluator", "benchmark"]
LISTS = {
    "space": weaknas.list_spaces,
    "encoder": weaknas.list_encoders,
    "predictor": weaknas.list_predictors,
    "strategy": weaknas.list_strategies,
    "evaluator": weaknas.list_evaluators,
    "benchmark": weaknas.list_benchmarks,
}
REGISTRIES = {
    "space": registry.SPACES,
    "encoder": registry.ENCODERS,
    "predictor": registry.PREDICTORS,
    "strategy": registry.STRATEGIES,
    "evaluator": registry.EVALUATORS,
    "benchmark": registry.BENCHMARKS,
}


@pytest.mark.parametrize("role", ROLES)
def test_options_that_are_true_or_false_are_nothing_else(role):
    known = REGISTRIES[role]
    switches = [
        (name, option)
        for name in known.builtin
        for option, parameter in inspect.signature(known.load(name)).parameters.items()
        if isinstance(parameter.default, bool)
    ]
    for name, option in switches:
        with pytest.raises(InputError, match=f"{option!r} is true or false, not 'maybe'"):
            known.build(name, **{option: "maybe"})
    assert switches or role in ("encoder", "benchmark")


@pytest.mark.parametrize("role", ROLES)
def test_every_name_loads_and_is_summed_up(role):
    names = LISTS[role]()
    assert names == sorted(set(names))
    assert names
    for name in names:
        assert callable(REGISTRIES[role].load(name))
        summary = REGISTRIES[role].summary(name)
        assert summary.endswith(".")
        assert not summary.startswith("(")


def test_patterns():
    assert "nasbench201" in weaknas.list_spaces("nas*")
    assert weaknas.list_spaces("nothing*") == []
    assert all("path" in name for name in weaknas.list_encoders("*path*"))


def test_groups_of_entry_points_are_the_documented_ones():
    assert {r.group for r in REGISTRIES.values()} == {
        "weaknas.spaces",
        "weaknas.encoders",
        "weaknas.predictors",
        "weaknas.strategies",
        "weaknas.benchmarks",
        "weaknas.evaluators",
    }


@pytest.mark.parametrize(
    ("get", "wrong", "closest"),
    [
        (weaknas.get_space, "nasbench-201", "nasbench201"),
        (lambda n: weaknas.get_encoder(n, weaknas.get_space("nasbench201")), "onehot", "one-hot"),
        (weaknas.get_predictor, "xgb", "xgboost"),
        (
            lambda n: weaknas.get_strategy(n, weaknas.get_space("nasbench201")),
            "weak-nas",
            "weaknas",
        ),
        (weaknas.get_benchmark, "nasbench_201", "nasbench201"),
    ],
)
def test_unknown_names(get, wrong, closest):
    with pytest.raises(InputError, match=f"did you mean '{closest}'") as caught:
        get(wrong)
    assert "\n" not in str(caught.value)
    assert "allowed: " in str(caught.value)


@pytest.mark.parametrize(
    ("get", "closest"),
    [
        (lambda: weaknas.get_predictor("xgboost", n_estimator=3), "n_estimators"),
        (lambda: weaknas.get_benchmark("nasbench201", data_set="cifar10"), "dataset"),
        (lambda: weaknas.get_encoder("path", weaknas.get_space("nasbench201"), lenght=3), "length"),
        (
            lambda: weaknas.get_strategy("weaknas", weaknas.get_space("nasbench201"), batch=3),
            "batch_size",
        ),
    ],
)
def test_unknown_options(get, closest):
    with pytest.raises(InputError, match=f"unknown option of the .*; did you mean '{closest}'"):
        get()


# -- plug-ins -------------------------------------------------------------------------------


class Mine(ChoiceSpace):
    """A space of somebody else's."""

    def __init__(self, size=2):
        super().__init__({"a": list(range(size))}, name="mine")


def my_encoder(space):
    """Nothing but the genotype."""
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(np.asarray)


@pytest.fixture
def plug_ins(monkeypatch):
    """What other packages would have registered."""
    monkeypatch.setitem(sys.modules, "somebody", sys.modules[__name__])
    found = {
        "weaknas.spaces": [EntryPoint("mine", "somebody:Mine", "weaknas.spaces")],
        "weaknas.encoders": [
            EntryPoint("plain", "somebody:my_encoder", "weaknas.encoders"),
            EntryPoint("broken", "no.such.module:Thing", "weaknas.encoders"),
        ],
    }
    monkeypatch.setattr(registry, "entry_points", lambda group: found.get(group, []))


def test_plug_ins_are_listed_and_loaded(plug_ins):
    assert "mine" in weaknas.list_spaces()
    space = weaknas.get_space("mine", size=5)
    assert space.size == 5
    assert weaknas.get_encoder("plain", space).fit_transform(space.enumerate()).shape == (5, 1)
    assert registry.SPACES.summary("mine") == "A space of somebody else's."
    assert "plain" in registry.list_encoders_for(space)


def test_a_broken_plug_in_spoils_nothing_else(plug_ins):
    assert "broken" in weaknas.list_encoders()
    with pytest.raises(InputError, match=r"plug-in 'broken' \(no.such.module:Thing\) failed"):
        weaknas.get_encoder("broken", weaknas.get_space("mine"))
    assert "failed: No module named" in registry.ENCODERS.summary("broken")
    assert "broken" not in registry.list_encoders_for(weaknas.get_space("mine"))
    with pytest.raises(InputError, match="encoders for it: "):
        weaknas.get_encoder("path", weaknas.get_space("mine"))


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("import sys; sys.exit(3)", "failed: SystemExit(3)"),
        ("raise SystemExit", "failed: SystemExit()"),
        ("raise GeneratorExit", "failed: GeneratorExit()"),
        ("1 / 0", "failed: division by zero"),
    ],
)
def test_a_plug_in_that_leaves_at_import_spoils_nothing_else(
    monkeypatch, tmp_path, statement, reason
):
    (tmp_path / "leaving_plug_in.py").write_text(statement)
    monkeypatch.syspath_prepend(tmp_path)
    leaving = EntryPoint("leaving", "leaving_plug_in:Thing", "weaknas.encoders")
    monkeypatch.setattr(registry, "entry_points", lambda group: [leaving])
    assert reason in registry.ENCODERS.summary("leaving")
    assert "one-hot" in registry.list_encoders_for(weaknas.get_space("nasbench201"))
    with pytest.raises(InputError, match="plug-in 'leaving'"):
        registry.ENCODERS.load("leaving")


def test_an_interrupt_while_a_plug_in_is_imported_is_one(monkeypatch, tmp_path):
    (tmp_path / "slow_plug_in.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(tmp_path)
    slow = EntryPoint("slow", "slow_plug_in:Thing", "weaknas.encoders")
    monkeypatch.setattr(registry, "entry_points", lambda group: [slow])
    with pytest.raises(KeyboardInterrupt):
        registry.ENCODERS.summary("slow")


def test_own_names_come_first(monkeypatch):
    own = Registry("space", {"nasbench201": "weaknas.spaces.nasbench201:NASBench201"})
    shadow = EntryPoint("nasbench201", "no.such:Thing", "weaknas.spaces")
    monkeypatch.setattr(registry, "entry_points", lambda group: [shadow])
    assert own.names() == ["nasbench201"]
    assert own.load("nasbench201").name == "nasbench201"
