"""What people believe: read, drawn from, and less and less of it left in the acquisition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import weaknas
from weaknas.cli import main
from weaknas.errors import InputError
from weaknas.runs.journal import read_journal
from weaknas.search.acquisition import Acquisition, ExpectedImprovement
from weaknas.search.belief import Belief, Evaluated
from weaknas.search.priors import DecisionPrior, FunctionPrior, PriorAcquisition, read_prior
from weaknas.spaces import ChoiceSpace

LAYERS = ChoiceSpace({f"layer{i}": list("abcde") for i in range(5)}, name="layers")
ROWS = LAYERS.enumerate()
SCORES = np.random.default_rng(0).normal(size=(5, 5))[np.arange(5), ROWS].sum(axis=1)
SCORES += np.random.default_rng(1).normal(0, 0.1, size=len(ROWS))
BEST = ROWS[int(np.argmax(SCORES))]
RIGHT = {f"layer{i}": {"abcde"[value]: 3.0} for i, value in enumerate(BEST)}
WRONG = {f"layer{i}": {"abcde"[value]: 1 / 3} for i, value in enumerate(BEST)}


def exit_code(arguments):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return exit_.value.code


def queries_to_best(prior, seed):
    search, told = weaknas.WeakNAS(LAYERS, seed=seed, prior=prior), 0
    while told < 60:
        asked = search.ask()
        scores = SCORES[LAYERS.genotypes(asked) @ 5 ** np.arange(5)[::-1]]
        if SCORES.max() in scores:
            return told + 1 + scores.tolist().index(SCORES.max())
        told += len(asked)
        search.tell(asked, scores)
    return told


def test_weights_multiply_over_decisions():
    prior = DecisionPrior({"layer0": {"a": 4.0}, "layer3": {"b": 0.5, "c": 2}}, LAYERS)
    rows = np.array([[0, 0, 0, 0, 0], [1, 0, 0, 1, 0], [0, 4, 4, 2, 4]])
    logarithms = prior.logarithms(rows)
    np.testing.assert_allclose(logarithms - logarithms[0], np.log([1, 0.5 / 4, 2]), atol=1e-12)
    assert prior.logarithms(ROWS).max() == 0.0


def test_the_acquisition_is_multiplied_by_a_power_that_fades():
    mean, std = np.array([0.0, 1.0, 0.5]), np.array([1.0, 0.1, 2.0])
    weights = FunctionPrior(lambda one: 7.0 if "layer0=b" in one.text else 1.0, LAYERS)
    rows = np.array([[0] * 5, [1] * 5, [2] * 5])
    weighed, plain = PriorAcquisition(ExpectedImprovement(), weights), ExpectedImprovement()
    for labels in (2, 20):
        belief = Belief(
            genotypes=rows,
            mean=mean,
            std=std,
            available=np.ones(3, dtype=bool),
            evaluated=Evaluated(ROWS[:labels], np.zeros(labels)),
            round=0,
            rng=np.random.default_rng(0),
            joint=lambda _: None,
        )
        factors = np.exp(weighed.values(belief) - plain.values(belief))
        np.testing.assert_allclose(factors, [1, 7 ** (3 / labels), 1])


def test_a_right_prior_saves_queries_and_a_wrong_one_costs_few():
    none, right, wrong = (
        np.mean([queries_to_best(prior, seed) for seed in range(8)])
        for prior in (None, RIGHT, WRONG)
    )
    assert right < 0.8 * none
    assert wrong < 1.6 * none


def test_half_of_the_first_are_drawn_by_weight():
    heavy = {f"layer{i}": {"a": 1000.0} for i in range(2)}
    search = weaknas.WeakNAS(LAYERS, seed=0, initial=8, prior=heavy)
    first = LAYERS.genotypes(search.ask())
    assert (first[:4, :2] == 0).all()
    assert (first[4:, :2] > 0).any(axis=1).all()


def test_every_other_one_is_drawn_by_weight_where_one_is_asked_for():
    search = weaknas.WeakNAS(LAYERS, seed=0, initial=40, prior={"layer0": {"e": 1e9}})
    rows = LAYERS.genotypes([search.ask(1)[0] for _ in range(40)])
    believed = rows[:, 0] == 4
    assert believed[::2].all()
    assert believed[1::2].mean() < 0.6


def test_values_of_every_space_have_names():
    for name in weaknas.list_spaces():
        space = weaknas.get_space(name)
        assert [len(names) for names in space.value_names] == space.cardinalities.tolist()
    cells = weaknas.get_space("nasbench201")
    prior = DecisionPrior({"3<-2": {"nor_conv_3x3": 2.0}}, cells)
    text = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|{}~2|"
    conv, skip = (cells.parse(text.format(name)) for name in ("nor_conv_3x3", "skip_connect"))
    assert np.diff(prior.logarithms(np.array([skip, conv])))[0] == pytest.approx(np.log(2))


def test_a_run_knows_its_prior(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(
        'name = "mine"\n[choices]\na = [1, 2, 3]\nb = [1, 2, 3]\n'
        '[table]\npath = "mine.csv"\nobjective = "score"\n'
    )
    rows = [f"{a},{b},{a * b}" for a in (1, 2, 3) for b in (1, 2, 3)]
    Path("mine.csv").write_text("\n".join(["a,b,score", *rows]))
    Path("prior.toml").write_text("a = { 3 = 9.0 }")
    Path("prior.json").write_text('{"a": {"2": 9}}')
    command = ["search", "mine.toml", "--budget", "6", "--output", "run"]
    assert exit_code([*command, "--prior", "prior.toml"]) == 0
    config, trials = read_journal(Path("run/journal.jsonl"))
    assert config["strategy"]["prior"] == {"a": {"3": 9.0}}
    assert len(trials) == 6
    assert exit_code([*command, "--prior", "prior.json"]) == 2
    assert "prior" in capsys.readouterr().err
    assert exit_code([*command, "--prior", "nothing.toml"]) == 2
    assert exit_code([*command, "--strategy", "random", "--prior", "prior.toml"]) == 2
    assert "does not take --prior" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"layer9": {"a": 1}}, "unknown decision of the prior 'layer9'; did you mean 'layer"),
        ({"layer0": {"f": 1}}, "unknown value of 'layer0' in the prior: 'f'"),
        ({"layer0": {"a": 0}}, "the weight of layer0=a must be a number above 0, not 0"),
        ({"layer0": "a"}, "must be weights by value, not 'a'"),
        (3, "a prior is weights by decision and value.*not 3"),
        ("prior.yaml", "a prior is weights.*not 'prior.yaml'"),
    ],
)
def test_what_cannot_be_used_is_one_line(value, message):
    with pytest.raises(InputError, match=message) as error:
        read_prior(value, LAYERS)
    assert "\n" not in str(error.value)


def test_a_function_must_give_numbers_above_0():
    search = weaknas.WeakNAS(LAYERS, prior=lambda architecture: -1.0)
    with pytest.raises(InputError, match=r"the prior of layer0=.* must be a number above 0"):
        search.ask()


@pytest.mark.parametrize(
    ("weigh", "reason"),
    [
        (lambda _: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: 1.0, "TypeError: .*takes 0 positional arguments"),
        (lambda _: {}["a\nb"], r"KeyError: 'a\\nb'"),
    ],
)
def test_a_function_that_fails_is_one_line(weigh, reason):
    text = LAYERS.architectures(ROWS[:1])[0].text
    with pytest.raises(InputError, match=f"the prior .*lambda.* failed for {text}: {reason}") as e:
        FunctionPrior(weigh, LAYERS).logarithms(ROWS[:1])
    assert "\n" not in str(e.value)


def test_only_improvements_are_multiplied():
    class Mean(Acquisition):
        def values(self, belief):
            return belief.mean

    for acquisition in ("greedy", "ucb", Mean()):
        with pytest.raises(InputError, match="a prior multiplies an expected improvement"):
            weaknas.WeakNAS(LAYERS, acquisition=acquisition, prior=RIGHT)
