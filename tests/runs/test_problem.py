"""From the texts of a command line to a space and an evaluator."""

from __future__ import annotations

import json

import numpy as np
import pytest

import weaknas
from weaknas import cli
from weaknas.errors import InputError
from weaknas.evaluators import TabularBenchmark
from weaknas.runs.problem import build_problem
from weaknas.spaces import ChoiceSpace, ConstrainedSpace

HUGE = "mobilenetv3:width=1.2:resolution=236"


class Priced(ChoiceSpace):
    """Choices with a cost."""

    def costs(self):
        return {"price": lambda rows: 10 * rows.sum(axis=1)}


def test_a_table_with_constraints():
    problem = build_problem("nasbench201", dataset="cifar10", constraints=["macs<=40e6"])
    assert isinstance(problem.space, ConstrainedSpace)
    assert problem.name == "nasbench201/cifar10"
    members = problem.space.canonicalize(problem.space.enumerate())
    assert (problem.space.macs(members) <= 40e6).all()
    plain = build_problem("nasbench201", dataset="cifar10")
    assert problem.evaluator.describe() == plain.evaluator.describe() | {
        "constraints": ["macs<=40000000"]
    }
    best = problem.evaluator.optimum()
    rows = plain.space.enumerate()
    scores = plain.evaluator.true_scores(rows)
    assert (
        best.score
        == scores[plain.space.macs(plain.space.canonicalize(rows)) <= 40e6].max()
        < scores.max()
    )
    assert problem.space.contains(np.array([best.architecture.genotype])).all()


def test_the_optimum_of_a_part_by_hand():
    space = Priced({"a": [1, 2, 3], "b": [1, 2, 3]}, name="priced")
    benchmark = TabularBenchmark(space, {(a, b): a + 10 * b for a in range(3) for b in range(3)})
    part = benchmark.within(ConstrainedSpace(space, "price<=20"))
    assert part.optimum().architecture.genotype == (0, 2)
    assert benchmark.optimum().architecture.genotype == (2, 2)
    assert "constraints" not in benchmark.describe()
    result = weaknas.run(weaknas.WeakNAS(part.space, seed=0), part, budget=6)
    assert result.regret == 0
    with pytest.raises(InputError, match="not in the space"):
        part.evaluate(space.architectures(np.array([[2, 2]]))[0], seed=0)


def test_costs_are_counted_in_the_space_and_scores_at_another_resolution(shared_data):
    path = shared_data("mobilenet/ofa_acc_predictor_w1.2.pth")
    evaluator = f"ofa-predictor:resolution=224:path={path}"
    problem = build_problem(HUGE, evaluator, constraints=["macs<=600e6", "params<=9e6"])
    assert problem.name == "ofa-predictor"
    assert problem.evaluator.describe()["resolutions"] == [224]
    rows = problem.space.sample(50, np.random.default_rng(0))
    whole = weaknas.get_space("mobilenetv3", width=1.2, resolution=236)
    assert (whole.macs(rows) <= 600e6).all()
    assert (whole.parameters(rows) <= 9e6).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mobilenet",), "did you mean 'mobilenetv3'"),
        (("mobilenetv3", "ofa"), "unknown evaluator 'ofa'"),
        (("nasbench201", "tabular:sorce=pip"), "did you mean 'source'"),
        (("mobilenetv3:with=1.2", "ofa-predictor"), "did you mean 'width'"),
    ],
)
def test_wrong_names(arguments, message):
    with pytest.raises(InputError, match=message):
        build_problem(*arguments)


def test_search_within_limits(capsys):
    limits = ["--constraint", "macs<=40e6", "--constraint", "params>=0.15e6"]
    with pytest.raises(SystemExit) as end:
        cli.main(["search", "nasbench201", "--budget", "12", "--json", *limits])
    assert end.value.code == 0
    best = json.loads(capsys.readouterr().out.splitlines()[-1])["best"]
    space = weaknas.get_space("nasbench201")
    row = space.canonicalize(space.parse(best["architecture"])[None])
    assert space.macs(row)[0] <= 40e6
    assert space.parameters(row)[0] >= 0.15e6


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("macs<=1e6", "macs goes from 7783050 to 220119690"),
        ("flops<=1e6", "unknown cost of the space 'nasbench201' 'flops'"),
        ("macs<1e6", "malformed constraint 'macs<1e6'; the form is"),
        ("9e6<=macs<=8e6", "is empty"),
    ],
)
def test_limits_that_cannot_hold_end_with_code_2(limit, message, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["search", "nasbench201", "--constraint", limit])
    assert end.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
