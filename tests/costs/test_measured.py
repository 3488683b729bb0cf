"""Costs that are measured where a limit is in doubt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import weaknas
from weaknas.costs import CostModel, MeasuredCost
from weaknas.evaluators import Evaluation
from weaknas.spaces import ConstrainedSpace, Genotypes
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
CELLS = SPACE.enumerate()
LIMIT = 9.0


def latency(cells: Genotypes) -> np.ndarray:
    """Milliseconds, which the order of the cells disturbs: no model knows them."""
    sums = 3.0 + np.array([0.0, 0.2, 2.0, 3.0, 1.5])[cells].sum(axis=1)
    codes = cells.astype(int) @ 5 ** np.arange(6)
    return sums * np.exp(0.1 * np.sin(17.0 * codes))


def model() -> CostModel:
    fresh = CostModel(SPACE)
    rows = fresh.propose(10, np.random.default_rng(0))
    return fresh.fit(rows, latency(rows))


def test_what_was_measured_is_known_and_the_rest_learns_of_it() -> None:
    cost, asked = MeasuredCost(model(), latency), CELLS[100:130]
    before = cost(CELLS)
    cost.measure(asked)
    cost.measure(asked[:5])
    assert cost.count == 30
    truth = latency(asked)
    np.testing.assert_allclose(cost(asked), truth)
    low, high = cost.quantiles(asked, (0.05, 0.95))
    np.testing.assert_allclose(low, high)
    middle = float(np.median(truth))
    np.testing.assert_array_equal(cost.probability(asked, high=middle), truth <= middle)
    others = np.setdiff1d(np.arange(len(CELLS)), np.arange(100, 130))
    assert not np.allclose(cost(CELLS[others]), before[others])
    np.testing.assert_allclose(cost.first(CELLS), before)


def test_only_what_is_in_doubt_is_measured() -> None:
    measured: list[Genotypes] = []

    def measure(cells: Genotypes) -> np.ndarray:
        measured.append(cells)
        return latency(cells)

    known = model()
    cost = MeasuredCost(known, measure)
    space = ConstrainedSpace(SPACE, f"latency<={LIMIT}ms @95%", {"latency": cost})
    rows = space.canonicalize(space.sample(60, np.random.default_rng(0)))
    doubtful = known.probability(rows, high=LIMIT) < 0.95
    assert 0 < doubtful.sum() < len(rows)
    assert (known(rows) <= LIMIT).all()  # wider than what holds with confidence
    confirmed = space.confirm(rows)
    np.testing.assert_array_equal(measured[0], rows[doubtful])
    np.testing.assert_array_equal(confirmed[doubtful], latency(rows[doubtful]) <= LIMIT)
    np.testing.assert_array_equal(space.confirm(rows), confirmed)  # known by now
    assert len(measured) == 1 or len(measured[1]) < doubtful.sum() / 4  # but for what became so


@pytest.mark.parametrize("whole", [SPACE, MobileNetV3(0.1, 16)], ids=lambda each: each.name)
def test_a_device_much_slower_than_predicted_ends_the_search(whole) -> None:
    """Nothing is within the limit: that is found out, not looked for without end."""
    fresh = CostModel(whole)
    rows = fresh.propose(10, np.random.default_rng(0))
    sizes = whole.macs(rows) + 1e5
    cost = MeasuredCost(fresh.fit(rows, sizes / sizes.min()), lambda some: np.full(len(some), 1e3))
    limit = float(np.median(cost(whole.sample(50, np.random.default_rng(0)))))
    space = ConstrainedSpace(whole, f"latency<={limit} @95%", {"latency": cost})
    search = weaknas.get_strategy("random", space, seed=0)
    trained = search.ask(4)  # what the model had no doubt of when it was asked
    assert len(search.ask(4)) <= len(trained) <= 4
    assert not space.confirm(space.sample(20, np.random.default_rng(1))).all()


class Total:
    """The sum of the operations of a cell."""

    fidelities = (1.0, 3.0)

    def evaluate(self, architecture, *, seed: int, fidelity: float | None = None) -> Evaluation:
        return Evaluation(float(np.sum(architecture.genotype)), fidelity=fidelity)

    def describe(self) -> dict[str, str]:
        return {"evaluator": "total"}


@pytest.mark.parametrize(
    ("strategy", "options"),
    [("weaknas", {"initial": 6}), ("hyperband", {"resources": (1, 3)})],
)
def test_nothing_beyond_the_limit_is_trained(tmp_path: Path, strategy: str, options) -> None:
    """Each is measured before, in every strategy, and a run that goes on asks for the same."""

    def search(budget: int) -> tuple[weaknas.Result, MeasuredCost]:
        cost = MeasuredCost(model(), latency)
        space = ConstrainedSpace(SPACE, f"latency<={LIMIT}", {"latency": cost})
        found = weaknas.get_strategy(strategy, space, seed=0, **options)
        return weaknas.run(found, Total(), budget, output=tmp_path), cost

    first, _ = search(8)
    longer, cost = search(12)
    assert [t.architecture for t in longer.trials[:8]] == [t.architecture for t in first.trials]
    rows = SPACE.genotypes([trial.architecture for trial in longer.trials])
    assert (latency(SPACE.canonicalize(rows)) <= LIMIT).all()
    assert cost.count > len({trial.architecture for trial in longer.trials})  # some were refused
