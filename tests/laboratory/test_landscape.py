"""What is told of a landscape is what its definition says."""

from __future__ import annotations

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.laboratory.landscape import measures, sampled, structure, summary
from weaknas.laboratory.landscape.graph import NeighborGraph
from weaknas.laboratory.landscape.summary import (
    KEYS,
    Settings,
    describe_run,
    describe_space,
    describe_table,
)
from weaknas.laboratory.landscape.trainings import Trainings
from weaknas.spaces import SubsetSpace

CELLS = weaknas.get_space("nasbench201")
SMALL = weaknas.ChoiceSpace({f"d{i}": list(range(3 + i % 2)) for i in range(4)}, name="small")
# The second decision is there only where the first says so.
CONDITIONAL = weaknas.ChoiceSpace(
    {"layer": ["skip", "conv"], "width": [1, 2, 3], "act": ["a", "b"]},
    name="conditional",
    conditions={"width": {"layer": ["conv"]}},
)
SPACES = {"small": SMALL, "conditional": CONDITIONAL}


@pytest.fixture(name="cells", scope="module")
def _cells():
    return NeighborGraph(CELLS)


@pytest.fixture(name="small", scope="module")
def _small():
    return NeighborGraph(SMALL)


def a_score(space, rows, seed=0):
    rng = np.random.default_rng(seed)
    effects = [rng.normal(size=count) for count in space.cardinalities]
    sums = sum(effect[rows[:, i]] for i, effect in enumerate(effects))
    codes = space.fingerprint(rows)
    noise = dict(zip(np.unique(codes).tolist(), rng.normal(size=len(codes)), strict=False))
    return sums + np.array([noise[code] for code in codes.tolist()])


def neighbor_sets(space):
    """Who is next to whom by `neighbors` alone, a way back for each way there."""
    rows = space.canonicalize(space.enumerate())
    near = {
        int(code): set(space.fingerprint(space.neighbors(row)).tolist())
        for code, row in zip(space.fingerprint(rows), rows, strict=True)
    }
    for code, others in list(near.items()):
        for other in others:
            near[other].add(code)
    return near


# -- the graph -------------------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_the_graph_is_that_of_neighbors(space):
    graph, near = NeighborGraph(space), neighbor_sets(space)
    assert graph.fingerprints.tolist() == sorted(near)
    for place, code in enumerate(graph.fingerprints.tolist()):
        others = graph.targets[graph.starts[place] : graph.starts[place + 1]]
        assert set(graph.fingerprints[others].tolist()) == near[code]
    assert graph.multiplicity.sum() == len(space.enumerate())


def test_all_cells_of_nasbench201_are_one_connected_graph(cells):
    assert len(cells) == 8765
    assert cells.multiplicity.sum() == 15625
    assert cells.largest_component.all()
    assert cells.adjacency.multiply(cells.adjacency.T).nnz == len(cells.targets)  # symmetric


def test_distances_of_plain_choices_are_the_decisions_that_differ(small):
    peaks = np.array([3, 40])
    apart = (small.genotypes[:, None] != small.genotypes[peaks][None]).sum(axis=2).min(axis=1)
    np.testing.assert_array_equal(small.distances(peaks), apart)


def test_what_cannot_be_reached_has_no_distance():
    island = SubsetSpace(SMALL, np.array([[0, 0, 0, 0], [0, 0, 0, 1], [2, 2, 2, 2]]))
    graph = NeighborGraph(island)
    assert sorted(graph.distances(graph.locate([[0, 0, 0, 0]])).tolist()) == [-1, 0, 1]
    assert graph.largest_component.sum() == 2
    with pytest.raises(InputError, match="not in the space 'small'"):
        graph.locate(np.array([[1, 1, 1, 1]]))


# -- autocorrelation -------------------------------------------------------------------------


def test_autocorrelation_is_that_of_the_powers_of_the_walk(small):
    scores = a_score(SMALL, small.genotypes)
    matrix = small.adjacency.toarray()
    steps = matrix / matrix.sum(axis=1, keepdims=True)
    chances = np.linalg.matrix_power(steps, 999)[0]
    mean = chances @ scores
    variance = chances @ (scores - mean) ** 2
    by_hand = [
        ((chances * scores) @ np.linalg.matrix_power(steps, s) @ scores - mean**2) / variance
        for s in range(6)
    ]
    np.testing.assert_allclose(measures.autocorrelation(small, scores, 5), by_hand, atol=1e-9)


def test_additive_scores_of_equal_decisions_fall_exponentially():
    """On d decisions of k choices a step changes one: r(s) = (1 - k / (d (k - 1)))^s."""
    space = weaknas.ChoiceSpace({f"d{i}": list(range(4)) for i in range(5)}, name="equal")
    graph = NeighborGraph(space)
    scores = np.random.default_rng(0).normal(size=(5, 4))[np.arange(5), graph.genotypes].sum(axis=1)
    rate = 1 - 4 / (5 * 3)
    found = measures.autocorrelation(graph, scores, 8)
    np.testing.assert_allclose(found, rate ** np.arange(9), atol=1e-9)
    assert measures.correlation_length(found) == pytest.approx(-1 / np.log(rate))


def test_walks_on_nasbench201_show_the_exact_autocorrelation(cells):
    scores = a_score(CELLS, cells.genotypes)
    exact = measures.autocorrelation(cells, scores, 10)
    walks = measures.walk(cells, scores, np.random.default_rng(0), steps=10)
    low, high = walks.interval
    inside = (low <= exact) & (exact <= high)
    assert inside[1]
    assert inside.mean() > 0.8  # 95 % each, and not all ten at once
    half = (high - low) / 2
    assert (np.abs(walks.autocorrelation - exact) <= 2 * half).all()
    assert half[1:].max() < 0.02  # an interval that says something


def test_equal_scores_have_no_autocorrelation(small):
    flat = np.ones(len(small))
    assert np.isnan(measures.autocorrelation(small, flat, 3)).all()
    assert np.isnan(measures.walk(small, flat, np.random.default_rng(0)).autocorrelation).all()
    assert measures.correlation_length([1.0, -0.2]) == 0
    assert measures.correlation_length([1.0, 1.0]) == np.inf


# -- optima, neutrality, distances -----------------------------------------------------------


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_optima_and_basins_are_those_of_brute_force(space):
    graph, near = NeighborGraph(space), neighbor_sets(space)
    scores = a_score(space, graph.genotypes, seed=3)
    by_code = dict(zip(graph.fingerprints.tolist(), scores.tolist(), strict=True))
    ends = {}
    for start in by_code:
        here = start
        while by_code[best := max(near[here], key=by_code.__getitem__)] > by_code[here]:
            here = best
        ends[start] = here
    basins = measures.climb(graph, scores)
    optima = [code for code in by_code if all(by_code[code] >= by_code[o] for o in near[code])]
    assert sorted(graph.fingerprints[basins.optima].tolist()) == sorted(optima)
    sizes = dict(zip(graph.fingerprints[basins.optima].tolist(), basins.sizes, strict=True))
    assert sizes == {code: list(ends.values()).count(code) for code in optima}
    assert basins.sizes.sum() == len(graph)
    assert (np.diff(scores[basins.optima]) <= 0).all()


def test_basins_of_nasbench201_sum_to_the_space(cells):
    basins = measures.climb(cells, a_score(CELLS, cells.genotypes))
    assert basins.sizes.sum() == 8765
    assert 1 < len(basins.optima) < 2000


def test_neutral_neighbours_are_within_the_noise_of_a_difference(small):
    scores, noise = a_score(SMALL, small.genotypes), 0.3
    shares = measures.neutral_shares(small, scores, noise)
    near = [small.targets[small.starts[i] : small.starts[i + 1]] for i in range(len(small))]
    by_hand = [
        (np.abs(scores[i] - scores[others]) <= noise * 2**0.5).mean()
        for i, others in enumerate(near)
    ]
    np.testing.assert_allclose(shares, by_hand)
    assert 0 < shares.mean() < 1
    assert measures.neutral_shares(small, scores, 0.0).max() == 0
    assert measures.neutral_shares(small, np.ones(len(small)), 0.0).min() == 1


def test_distance_correlation_of_a_cone_is_minus_one(small):
    distances = small.distances(np.array([7]))
    assert measures.fitness_distance_correlation(-2.0 * distances, distances) == pytest.approx(-1)
    assert np.isnan(measures.fitness_distance_correlation(np.ones(len(small)), distances))
    shares = measures.share_within(distances)
    assert shares[0] == 1 / len(small)
    assert shares[-1] == 1


# -- main effects ----------------------------------------------------------------------------


def test_a_sum_of_effects_is_additive_and_a_parity_is_not(small):
    rng = np.random.default_rng(1)
    effects = [rng.normal(size=count) for count in SMALL.cardinalities]
    rows = small.genotypes
    scores = sum(effect[rows[:, i]] for i, effect in enumerate(effects))
    assert measures.additivity(SMALL, rows, scores) == pytest.approx(1, abs=1e-9)
    alone = measures.main_effects(SMALL, rows, scores)
    assert sum(alone.values()) == pytest.approx(1, abs=1e-9)  # a full grid: effects are orthogonal
    binary = weaknas.ChoiceSpace({f"b{i}": [0, 1] for i in range(4)}, name="binary")
    parity = binary.enumerate().sum(axis=1) % 2
    assert measures.additivity(binary, binary.enumerate(), parity.astype(float)) == pytest.approx(0)


# -- all of it -------------------------------------------------------------------------------


def a_table(trainings=3, deviation=0.2):
    rows = SMALL.enumerate()
    rng = np.random.default_rng(5)
    means = a_score(SMALL, rows)[:, None]
    shape = (len(rows), trainings)
    table = {
        "genotype": rows,
        "score": means + rng.normal(0, deviation, shape),
        "score@4": means / 2 + rng.normal(0, 3 * deviation, shape),
    }
    return weaknas.TabularBenchmark(SMALL, table, name="small/table")


def test_a_table_has_all_that_is_told(small):
    benchmark = a_table()
    told = describe_table(benchmark, settings=Settings(steps=4, walks=20))
    assert set(KEYS) <= told.keys()
    assert len(told["autocorrelation"]) == 5
    assert told["noise"]["full"] == pytest.approx(0.2, rel=0.15)
    assert told["noise"]["4"] == pytest.approx(0.6, rel=0.15)
    assert sum(each["size"] for each in told["basins"]["optima"]) == len(small)
    assert sum(row["architectures"] for row in told["distances"]) == len(small)
    assert told["best"]["score"] == benchmark.optimum().score
    assert told["structure"]["held"] == 1
    assert told["advised"] == {"strategy": "weaknas", "repeats": "auto"}
    assert told["advice"].startswith("Search with the default")


def test_a_table_of_single_trainings_tells_no_noise_unless_it_is_said():
    benchmark = a_table(trainings=1)
    quiet = describe_table(benchmark, settings=Settings(walks=2))
    assert quiet["noise"] == {"4": None, "full": None}
    assert quiet["neutrality"] == 0
    said = describe_table(benchmark, settings=Settings(walks=2, noise=0.5))
    assert said["noise"]["full"] == 0.5
    assert said["neutrality"] > 0


def test_a_part_of_a_space_says_what_it_lacks():
    rows = SMALL.enumerate()[::3]
    table = {"genotype": rows, "score": a_score(SMALL, rows)}
    benchmark = weaknas.TabularBenchmark(SMALL, table, partial=True)
    told = describe_table(benchmark, settings=Settings(walks=2))
    graph = NeighborGraph(benchmark.space)
    whole = NeighborGraph(SMALL).degrees
    assert told["structure"]["held"] == pytest.approx(graph.degrees.sum() / len(graph) / whole[0])
    assert told["basins"]["isolated"] == (graph.degrees == 0).sum()


def test_a_space_alone_is_its_structure(cells):
    peaks = cells.genotypes[[100, 5000]]
    told = describe_space(CELLS, peaks)
    assert (told["structure"]["architectures"], told["structure"]["genotypes"]) == (8765, 15625)
    assert told["volume"] == structure.volume(cells, np.array([100, 5000]))
    assert [told[key] for key in KEYS] == [None] * len(KEYS)


def test_of_a_space_too_large_to_list_a_sample_tells():
    space = weaknas.ChoiceSpace({f"d{i}": [0, 1] for i in range(24)}, name="large")
    peak = np.zeros((1, 24), dtype=int)
    told = describe_space(space, peak)
    assert not told["exact"]
    assert told["structure"]["neighbors"] == {"mean": 24, "least": 24, "most": 24}
    assert told["structure"]["decisions_apart"]["median"] == 12
    assert told["structure"]["redundancy"] == 0
    assert told["volume"][12] == pytest.approx(0.5806, abs=0.02)  # of a binomial of 24 halves


# -- a few trainings -------------------------------------------------------------------------


def test_trainings_tell_how_alike_architectures_one_decision_apart_are():
    space = weaknas.ChoiceSpace({f"d{i}": list(range(3)) for i in range(5)}, name="drawn")
    rows = space.enumerate()
    apart = (rows[:, None] != rows[None]).sum(axis=2)
    chosen = np.random.default_rng(2).choice(len(rows), 80, replace=False)
    for rate in (0.3, 0.9):
        root = np.linalg.cholesky(rate**apart + 1e-9 * np.eye(len(rows)))
        scores = root @ np.random.default_rng(4).normal(size=len(rows))
        found = Trainings.of_scores(space, rows[chosen], scores[chosen])
        assert found.correlation_per_decision() == pytest.approx(rate, abs=0.2)


def test_trainings_of_one_architecture_are_one_and_few_are_refused():
    rows = SMALL.enumerate()[[0, 5, 9, 20, 33, 0]]
    found = Trainings.of_scores(SMALL, rows, np.array([1.0, 2, 3, 4, 5, 3]))
    assert found.scores.tolist() == [2, 2, 3, 4, 5]
    assert (found.trainings, len(found.genotypes)) == (6, 5)
    with pytest.raises(InputError, match="4 architectures with a score are too few"):
        Trainings.of_scores(SMALL, rows[:4], np.arange(4.0))


def test_a_sum_of_effects_is_predicted_from_few_trainings():
    rows = SMALL.enumerate()
    effects = np.random.default_rng(0).normal(size=(4, 4))
    sums = effects[np.arange(4), rows].sum(axis=1)
    chosen = np.random.default_rng(1).choice(len(rows), 40, replace=False)
    additive = Trainings.of_scores(SMALL, rows[chosen], sums[chosen])
    assert additive.predicted_additivity() > 0.95
    noise = np.random.default_rng(2).normal(size=40)
    assert Trainings.of_scores(SMALL, rows[chosen], noise).predicted_additivity() < 0.2


def test_a_run_is_read_with_its_repeats(tmp_path):
    search = weaknas.WeakNAS(SMALL, seed=0)
    result = weaknas.run(search, a_table(), budget=40, output=tmp_path)
    found = Trainings.of_run(tmp_path, SMALL)
    assert found.trainings == 40
    repeated = [trial for trial in result.trials if trial.repeat]
    assert repeated
    assert 0.05 < found.noise["full"] < 0.5
    first = Trainings.of_run(tmp_path, SMALL, first=20)
    told = describe_run(first, settings=Settings(steps=3))
    assert told["trainings"] == 20
    assert len(told["autocorrelation"]) == 4
    assert told["advised"]["strategy"] == "weaknas"
    with pytest.raises(InputError, match="a run in the space 'small', not 'nasbench201'"):
        Trainings.of_run(tmp_path, CELLS)


# -- a table too large for its graph ---------------------------------------------------------


def test_of_a_large_table_estimates_are_near_what_is_exact(small, monkeypatch):
    benchmark = a_table()
    exact = describe_table(benchmark, settings=Settings(steps=5))
    monkeypatch.setattr(summary, "MOST_LISTED", 10)
    told = describe_table(benchmark, settings=Settings(steps=5))
    assert set(KEYS) <= told.keys()
    assert not told["exact"]
    assert told["fitness_distance_correlation"] is None
    for step in range(6):
        low, high = told["walk"]["ci95"][step]
        near = told["autocorrelation"][step]
        assert abs(near - exact["autocorrelation"][step]) <= max(high - low, 1e-12)
    low, high = told["basins"]["ci95"]
    assert low <= exact["local_optima"] <= high
    assert told["basins"]["best_share"] == pytest.approx(exact["basins"]["best_share"], abs=0.15)
    assert told["neutrality"] == pytest.approx(exact["neutrality"], abs=0.03)
    assert told["additivity"] == pytest.approx(exact["additivity"], abs=0.05)
    assert told["best"] == exact["best"]


def test_ascents_by_the_space_end_where_those_on_the_graph_do(small):
    benchmark = a_table()
    scores = benchmark.true_scores(small.genotypes)
    ends = small.locate(sampled.climb(benchmark, small.genotypes))
    basins = measures.climb(small, scores)
    counts = np.bincount(ends, minlength=len(small))
    np.testing.assert_array_equal(counts[basins.optima], basins.sizes)
    assert set(np.flatnonzero(counts)) == set(basins.optima)
