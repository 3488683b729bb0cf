"""Fronts and dominated volumes against brute force; searches with several objectives."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weaknas
from weaknas import cli
from weaknas.errors import InputError
from weaknas.runs.front import find_front
from weaknas.search.pareto import DominatedVolume, front, hypervolume
from weaknas.search.targets import Scale
from weaknas.spaces import ChoiceSpace, ConstrainedSpace, Costs
from weaknas.spaces.mobilenetv3 import MobileNetV3

small = st.integers(0, 6)
points = st.lists(st.tuples(small, small, small), min_size=0, max_size=12)


def split(rows, k):
    table = np.array(rows, dtype=float).reshape(-1, 3)
    return table[:, 0], table[:, 1 : 1 + k]


@given(points, st.integers(1, 2))
def test_the_front_by_definition(rows, k):
    scores, costs = split(rows, k)
    chosen = front(scores, costs).tolist()
    objectives = np.column_stack([scores, -costs])

    def dominated(i):
        better = (objectives >= objectives[i]).all(axis=1) & (objectives > objectives[i]).any(
            axis=1
        )
        return better.any()

    expected = {tuple(objectives[i]) for i in range(len(rows)) if not dominated(i)}
    assert {tuple(objectives[i]) for i in chosen} == expected
    assert len(chosen) == len(expected)
    assert (np.diff(costs[chosen, 0]) >= 0).all()


def test_failures_are_in_no_front():
    assert front([np.nan, 1.0, np.nan], [[1.0], [2.0], [3.0]]).tolist() == [1]
    assert front([], np.empty((0, 1))).tolist() == []


def cells(scores, costs, k, size=8):
    """Count unit cells of an integer grid that a point dominates, up to cost 8 above score 0."""
    axes = np.indices((size,) * (k + 1)).reshape(k + 1, -1).T
    covered = np.zeros(len(axes), dtype=bool)
    for score, cost in zip(scores, costs, strict=True):
        covered |= (axes[:, 0] < score) & (axes[:, 1:] >= cost).all(axis=1)
    return int(covered.sum())


@given(points, st.integers(1, 2))
def test_the_volume_by_counting_cells(rows, k):
    scores, costs = split(rows, k)
    assert hypervolume(scores, costs, 0.0, [8.0] * k) == pytest.approx(cells(scores, costs, k))


@given(
    points, st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 8)), st.integers(1, 2)
)
def test_a_known_score_improves_the_volume_by_the_difference(rows, new, k):
    scores, costs = split(rows, k)
    before = DominatedVolume(scores, costs, 0.0, [8.0] * k)
    point = np.array(new[1 : 1 + k], dtype=float)
    gain = before.expected_improvement(np.array([float(new[0])]), np.zeros(1), point[None])[0]
    after = hypervolume(np.append(scores, new[0]), np.vstack([costs, point]), 0.0, [8.0] * k)
    assert gain == pytest.approx(after - before.volume, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(points, st.floats(-1, 8), st.floats(0.1, 3), st.floats(0, 9), st.integers(1, 2))
def test_the_expected_improvement_by_simulation(rows, mean, std, cost, k):
    scores, costs = split(rows, k)
    volume = DominatedVolume(scores, costs, 0.0, [8.0] * k)
    point = np.full((1, k), cost)
    exact = volume.expected_improvement(np.array([mean]), np.array([std]), point)[0]
    draws = np.random.default_rng(0).normal(mean, std, size=4000)
    gains = volume.expected_improvement(draws, np.zeros(4000), np.repeat(point, 4000, axis=0))
    assert exact == pytest.approx(gains.mean(), abs=5 * gains.std() / np.sqrt(4000) + 0.02)


def test_the_volume_is_of_scores_whatever_the_predictor_is_fitted_to() -> None:
    volume = DominatedVolume([2.0, 5.0], [[1.0], [3.0]], 0.0, [8.0])
    scale = Scale(np.array([-1.0, 0.0, 2.0]), np.array([2.0, 5.0, 6.0]))
    draws = np.random.default_rng(0).normal(0.5, 0.8, 20_000)
    means, costs = np.array([0.5]), np.array([[2.0]])
    exact = volume.expected_improvement(means, np.array([0.8]), costs, scale)[0]
    gains = volume.expected_improvement(
        scale(draws), np.zeros(len(draws)), np.repeat(costs, len(draws), axis=0)
    )
    assert exact == pytest.approx(gains.mean(), abs=4 * gains.std() / np.sqrt(len(draws)))


def test_one_failed_training_hides_no_front() -> None:
    """Of the two cheapest one scores as if it were broken: the other is found all the same."""
    space = priced(3)

    def broken(architecture):
        return value(architecture) - 60.0 * (sum(architecture.genotype) == 0)

    search = weaknas.WeakNAS(space, seed=0, objectives=("price",))
    result = weaknas.run(search, broken, budget=25)
    rows = space.enumerate()
    scores = np.array([broken(a) for a in space.architectures(rows)])
    costs = Costs(space, ("price",))
    corner = value(space.architecture([0, 0, 0])) - 1.0, costs.worst
    best = hypervolume(scores, costs(rows), *corner)
    found = hypervolume(result.trials.scores, costs(result.trials.genotypes), *corner)
    assert found > 0.98 * best


def test_many_candidates_are_worked_on_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    volume = DominatedVolume(rng.random(30), rng.random((30, 2)), 0.0, [1.0, 1.0])
    candidates = rng.random(200), rng.random(200), rng.random((200, 2))
    whole = volume.expected_improvement(*candidates)
    monkeypatch.setattr("weaknas.search.pareto._CHUNK", 5000)
    np.testing.assert_array_equal(volume.expected_improvement(*candidates), whole)


# -- searches -------------------------------------------------------------------------------


class Priced(ChoiceSpace):
    """Choices with two costs."""

    def costs(self):
        weights = 1 + np.arange(self.n_variables)
        return {
            "price": lambda rows: rows @ weights,
            "weight": lambda rows: 10.0 + (rows == 2).sum(axis=1),
        }


def priced(n=4):
    return Priced({f"v{i}": [0, 1, 2, 3] for i in range(n)}, name="priced")


def value(architecture):
    genotype = np.array(architecture.genotype)
    return float(
        np.sqrt(genotype).sum() + 0.3 * np.sin(genotype * (1 + np.arange(len(genotype)))).sum()
    )


def share(space, trials, names, everything):
    """Volume of what was evaluated as a share of what can be had."""
    costs = Costs(space, names)
    scores = np.array([value(a) for a in space.architectures(everything)])
    reference = scores.min(), costs.worst
    best = hypervolume(scores, costs(everything), *reference)
    return hypervolume(trials.scores, costs(trials.genotypes), *reference) / best


@pytest.mark.parametrize("names", [("price",), ("price", "weight")])
def test_a_search_finds_the_front(names):
    space = priced()
    search = weaknas.WeakNAS(space, seed=0, objectives=names)
    assert search.describe()["targets"] == "compressed"
    result = weaknas.run(search, value, budget=60)
    rows = space.enumerate()
    random = weaknas.run(weaknas.get_strategy("random", space, seed=0), value, budget=60)
    assert share(space, result.trials, names, rows) > 0.985
    assert share(space, random.trials, names, rows) < 0.97
    # the front of the result is that of its trials
    costs = Costs(space, names)(result.trials.genotypes)
    numbers = [trial.number for trial in result.front.trials]
    assert numbers == front(result.trials.scores, costs).tolist()
    np.testing.assert_array_equal(result.front.costs, costs[numbers])
    assert random.front is None


def test_the_cheapest_come_first():
    space = priced()
    first = weaknas.WeakNAS(space, seed=3, objectives=("price", "weight")).ask()
    costs = Costs(space, ("price", "weight"))
    rows = space.genotypes(first[:2])
    assert costs(rows)[0, 0] == 0
    assert costs(rows).min(axis=0).tolist() == [0, 10]
    assert costs.worst.tolist() == [30, 14]


def test_a_search_with_objectives_in_a_space_that_cannot_be_listed():
    space = ConstrainedSpace(MobileNetV3(), "macs<=400e6")

    def accuracy(architecture):
        return float(np.log(space.macs(space.genotypes([architecture]))[0]))

    search = weaknas.WeakNAS(space, seed=0, objectives=("macs",), batch_size=8)
    result = weaknas.run(search, accuracy, budget=34)
    assert (space.macs(result.trials.genotypes) <= 400e6).all()
    macs = result.front.costs[:, 0]
    smallest = space.macs(np.zeros((1, 45), np.int16))[0]
    assert macs.min() == smallest
    assert macs.max() > 350e6
    # every architecture is on this front: the queries spread over it
    assert len(macs) > 30
    assert np.diff(np.sort(macs)).max() < 0.25 * (400e6 - smallest)
    assert result.front.reference["macs"] <= 400e6


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("prize",), "unknown cost of the space 'priced' 'prize'; did you mean 'price'"),
        (("price", "price"), "1 to 2 different costs"),
    ],
)
def test_wrong_objectives(names, message):
    with pytest.raises(InputError, match=message):
        weaknas.WeakNAS(priced(), objectives=names)
    with pytest.raises(InputError, match="acquisition of its own"):
        weaknas.WeakNAS(priced(), objectives=("price",), acquisition="ei")


def test_failed_evaluations_are_in_no_front():
    def fails(architecture):
        return float("nan") if architecture.genotype[0] == 3 else value(architecture)

    space = priced()
    result = weaknas.run(weaknas.WeakNAS(space, seed=0, objectives=("price",)), fails, budget=25)
    assert any(not trial.is_ok for trial in result.trials)
    assert all(trial.is_ok for trial in result.front.trials)
    nothing = find_front(
        [trial for trial in result.trials if not trial.is_ok], Costs(space, ["price"])
    )
    assert (nothing.trials, nothing.volume) == ((), 0.0)


def test_a_front_is_of_means():
    space = priced()

    def noisy(architecture, seed):
        return value(architecture) + np.random.default_rng(seed).normal()

    strategy = weaknas.strategies.Repeating(
        weaknas.get_strategy("random", space, seed=0), repeats=3
    )
    result = weaknas.run(strategy, noisy, budget=60, objectives=["price"])
    labels = {}
    for trial in result.trials:
        labels.setdefault(trial.architecture.id, []).append(trial.score)
    found = result.front
    assert len({trial.architecture.id for trial in found.trials}) == len(found.trials)
    means = [np.mean(labels[trial.architecture.id]) for trial in found.trials]
    np.testing.assert_allclose(found.scores, means)
    assert [row["score"] for row in found.to_dict()["front"]] == found.scores.tolist()
    assert found.scores.max() == pytest.approx(max(map(np.mean, labels.values())))
    assert found.reference["score"] == min(map(min, labels.values()))


def test_front_in_result_journal_and_report(tmp_path, capsys):
    arguments = ["search", "nasbench201", "--budget", "14", "--objective", "macs", "--json"]
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments, "--output", str(tmp_path / "out")])
    assert end.value.code == 0
    fields = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert fields["objectives"] == ["macs"]
    macs = [row["macs"] for row in fields["front"]]
    scores = [row["score"] for row in fields["front"]]
    assert macs == sorted(macs)
    assert scores == sorted(scores)
    assert fields["best"]["architecture"] == fields["front"][-1]["architecture"]
    assert json.loads((tmp_path / "out" / "result.json").read_text())["front"] == fields["front"]
    lines = [
        json.loads(line) for line in (tmp_path / "out" / "journal.jsonl").read_text().splitlines()
    ]
    assert lines[0]["config"]["objectives"] == ["macs"]
    by_id = {row["id"]: row["macs"] for row in fields["front"]}
    for trial in lines[1:]:
        known = by_id.get(trial["architecture"]["id"], trial["metrics"]["macs"])
        assert trial["metrics"]["macs"] == known
    pytest.importorskip("matplotlib")
    with pytest.raises(SystemExit):
        cli.main(["report", str(tmp_path / "out")])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Front of score and macs" in page


def test_front_of_a_strategy_that_knows_no_costs(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(
            ["search", "nasbench201", "--strategy", "random", "--budget", "9", "--json",
             "--objective", "macs", "--objective", "params"]
        )  # fmt: skip
    assert end.value.code == 0
    fields = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert fields["objectives"] == ["macs", "params"]
    assert fields["hypervolume"] > 0


def test_wrong_objectives_end_with_code_2(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["search", "nasbench201", "--objective", "mac"])
    assert end.value.code == 2
    assert "did you mean 'macs'" in capsys.readouterr().err
