"""NAS-Bench-101: the space against its definition and independent brute force."""

from __future__ import annotations

import itertools
import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaknas.errors import InputError
from weaknas.spaces.nasbench101 import NASBench101, cells, enumeration
from weaknas.spaces.nasbench101.strings import from_matrix

SPACE = NASBench101()
DENSE = "+".join(f"conv3x3:{'0,1,2,3,4'[: 2 * v - 1]}" for v in range(1, 6))
NAMES = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")


@pytest.fixture
def sample(shared_data):
    return load_sample(shared_data("nasbench101/sample_30001.npz"))


@cache
def load_sample(path):
    with np.load(path, allow_pickle=False) as file:
        data = dict(file)
    names = data["op_names"].tolist()
    data["genotype"] = np.array(
        [
            from_matrix(matrix[:v, :v], [names[op] for op in ops[: v - 2]])
            for matrix, ops, v in zip(data["adj"], data["ops"], data["n_vertices"], strict=True)
        ]
    )
    return data


@st.composite
def raw_genotypes(draw, inner: int = 5):
    """Any genotype with at most `inner` inner vertices, valid or not."""
    edges = draw(st.lists(st.integers(0, 1), min_size=21, max_size=21))
    operations = draw(st.lists(st.integers(0, 3), min_size=inner, max_size=inner))
    return np.array([*edges, *operations, *[0] * (5 - inner)], dtype=np.int16)


# -- an independent description of cells, as sets and loops ------------------------------


def graph_of(genotype):
    """The pruned cell as ({vertex: label}, {(source, target)}), None if not connected."""
    row = [int(value) for value in genotype]
    labels = {0: "in", 6: "out"} | {v: row[20 + v] for v in range(1, 6) if row[20 + v]}
    pairs = [(s, t) for s in range(7) for t in range(s + 1, 7)]
    edges = {
        pair
        for pair, bit in zip(pairs, row[:21], strict=True)
        if bit and pair[0] in labels and pair[1] in labels
    }

    def closure(start, step):
        seen, pending = {start}, [start]
        while pending:
            new = {step(e, pending[-1]) for e in edges} - {None} - seen
            pending.pop()
            seen |= new
            pending.extend(new)
        return seen

    used = closure(0, lambda e, v: e[1] if e[0] == v else None)
    used &= closure(6, lambda e, v: e[0] if e[1] == v else None)
    if not {0, 6} <= used:
        return None
    return {v: labels[v] for v in used}, {e for e in edges if e[0] in used and e[1] in used}


def is_isomorphic(first, second):
    """Try every bijection of the vertices."""
    labels, edges = first
    others, other_edges = second
    if len(labels) != len(others) or len(edges) != len(other_edges):
        return False
    names = sorted(labels)
    for image in itertools.permutations(sorted(others)):
        place = dict(zip(names, image, strict=True))
        same = all(labels[v] == others[place[v]] for v in names)
        if same and {(place[s], place[t]) for s, t in edges} == other_edges:
            return True
    return False


def parameters_of(genotype, classes=10):
    """Walk through the network layer by layer."""
    labels, edges = graph_of(genotype)
    inner = sorted(set(labels) - {0, 6})
    total = 3 * 3 * 3 * 128 + 2 * 128
    macs = 3 * 3 * 3 * 128 * 32 * 32
    channels = 128
    for stack in range(3):
        out, size = 128 * 2**stack, 32 // 2**stack
        for _ in range(3):
            feeding = [v for v in inner if (v, 6) in edges]
            width = {}
            for i, v in enumerate(feeding):
                width[v] = out // len(feeding) + (i < out % len(feeding))
            for v in reversed(inner):
                if v not in width:
                    width[v] = max(width[t] for s, t in edges if s == v)
            convolutions = [(1, channels, width.get(t, out)) for s, t in edges if s == 0]
            kernels = {1: 3, 2: 1}
            convolutions += [
                (kernels[labels[v]], width[v], width[v]) for v in inner if labels[v] in kernels
            ]
            total += sum(k * k * i * o + 2 * o for k, i, o in convolutions)
            macs += sum(k * k * i * o * size * size for k, i, o in convolutions)
            channels = out
    return total + 512 * classes + classes, macs + 512 * classes


# -- the whole space ------------------------------------------------------------------


def test_the_definition_gives_the_published_number_of_cells():
    # The cache folder of the session is new: this enumerates.
    codes = enumeration.load_codes()
    assert len(codes) == 423_624 == SPACE.size
    rows = cells.unpack(codes)
    np.testing.assert_array_equal(cells.pack(rows), codes)
    assert (SPACE.fingerprint(rows) == codes).all()
    assert SPACE.contains(rows).all()
    np.testing.assert_array_equal(SPACE.enumerate(), rows)
    np.testing.assert_array_equal(SPACE.architecture_fingerprints, codes)


def test_cells_of_up_to_five_vertices_are_counted_by_brute_force():
    found = []
    for inner in range(4):
        pairs = [(s, t) for s in range(inner + 2) for t in range(s + 1, inner + 2)]
        for bits in itertools.product((0, 1), repeat=len(pairs)):
            if not 0 < sum(bits) <= 9:
                continue
            edges = {p for p, bit in zip(pairs, bits, strict=True) if bit}
            sources, targets = {s for s, _ in edges}, {t for _, t in edges}
            if sources != set(range(inner + 1)) or targets != set(range(1, inner + 2)):
                continue
            for labels in itertools.product((1, 2, 3), repeat=inner):
                # The smallest picture of the cell under all orders of its inner vertices.
                pictures = []
                for order in itertools.permutations(range(1, inner + 1)):
                    place = (0, *order, inner + 1)
                    moved = sorted((place[s], place[t]) for s, t in edges)
                    names = [labels[order.index(v)] for v in range(1, inner + 1)]
                    pictures.append((moved, names))
                found.append(str(min(pictures)))
    operations = SPACE.enumerate()[:, 21:]
    assert len(set(found)) == int(((operations > 0).sum(axis=1) <= 3).sum())


def test_a_cached_enumeration_is_read_and_a_damaged_one_made_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("WEAKNAS_CACHE", str(tmp_path))
    few = np.arange(5)
    monkeypatch.setattr(enumeration, "enumerate_codes", lambda: few)
    load = enumeration.load_codes.__wrapped__
    np.testing.assert_array_equal(load(), few)
    monkeypatch.setattr(enumeration, "enumerate_codes", lambda: few + 1)
    np.testing.assert_array_equal(load(), few)
    (file,) = tmp_path.glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.warns(RuntimeWarning, match="built anew"):
        np.testing.assert_array_equal(load(), few + 1)


@pytest.mark.slow
def test_all_real_cells_are_found_with_their_hash_and_parameters(sample):
    genotypes = sample["genotype"]
    assert SPACE.contains(genotypes).all()
    assert np.isin(SPACE.fingerprint(genotypes), SPACE.architecture_fingerprints).all()
    assert len(np.unique(SPACE.fingerprint(genotypes))) == 30_001
    canonical = SPACE.canonicalize(genotypes)
    assert SPACE.canonical_ids(canonical) == sample["hash"].astype(str).tolist()
    np.testing.assert_array_equal(SPACE.parameters(genotypes), sample["params"])


def test_the_hash_does_not_depend_on_the_order_of_the_vertices(sample):
    rows = sample["genotype"][:300]
    shuffled = cells.shuffle(rows, np.random.default_rng(0))
    assert (shuffled != SPACE.canonicalize(rows)).any(axis=1).mean() > 0.3
    assert SPACE.canonical_ids(shuffled) == sample["hash"][:300].astype(str).tolist()


@pytest.mark.slow
def test_the_official_hash_tells_exactly_the_isomorphism_classes():
    every = SPACE.enumerate()
    assert len(every) == 423_624
    some = every[::4]  # all of them take more than a minute
    assert len(set(SPACE.canonical_ids(some))) == len(some)


# -- identity ---------------------------------------------------------------------------


@given(raw_genotypes())
def test_validity_and_pruning_follow_the_definition(genotype):
    graph = graph_of(genotype)
    valid = graph is not None and len(graph[1]) <= 9
    assert SPACE.contains(genotype[None])[0] == valid
    canonical = SPACE.canonicalize(genotype[None])
    if graph is None:
        assert not canonical.any()
    else:
        assert is_isomorphic(graph, graph_of(canonical[0]))


@given(raw_genotypes(), st.permutations(range(1, 6)))
def test_the_canonical_form_is_idempotent_and_the_same_for_every_labeling(genotype, order):
    canonical = SPACE.canonicalize(genotype[None])
    np.testing.assert_array_equal(SPACE.canonicalize(canonical), canonical)
    place = dict(zip(range(7), (0, *order, 6), strict=True))
    graph = graph_of(genotype)
    if graph is None or any(place[s] > place[t] for s, t in graph[1]):
        return
    matrix = np.zeros((7, 7), dtype=int)
    operations = np.zeros(7, dtype=int)
    for s, t in graph[1]:
        matrix[place[s], place[t]] = 1
    for vertex in set(graph[0]) - {0, 6}:
        operations[place[vertex]] = graph[0][vertex]
    moved = np.array([*matrix[np.triu_indices(7, 1)], *operations[1:6]])
    np.testing.assert_array_equal(SPACE.canonicalize(moved[None]), canonical)
    assert SPACE.fingerprint(moved[None]) == SPACE.fingerprint(genotype[None])


@settings(max_examples=30)
@given(st.lists(raw_genotypes(inner=3), min_size=8, max_size=8))
def test_fingerprints_agree_exactly_for_isomorphic_cells(genotypes):
    codes = SPACE.fingerprint(np.array(genotypes))
    graphs = [graph_of(genotype) for genotype in genotypes]
    for (a, first), (b, second) in itertools.combinations(enumerate(graphs), 2):
        if first is not None and second is not None:
            assert (codes[a] == codes[b]) == is_isomorphic(first, second)


def test_values_out_of_range_are_outside():
    row = SPACE.parse("conv3x3:0+output:1")
    for column, value in ((0, 2), (0, -1), (21, 4), (25, -1)):
        wrong = row.copy()
        wrong[column] = value
        assert not SPACE.contains(wrong[None])[0]


# -- string forms -------------------------------------------------------------------------


@given(st.integers(0, 423_623))
def test_both_string_forms_come_back(index):
    row = cells.unpack(enumeration.load_codes()[index : index + 1])[0]
    np.testing.assert_array_equal(SPACE.parse(SPACE.format(row)), row)
    np.testing.assert_array_equal(SPACE.parse(SPACE.format_json(row)), row)
    assert SPACE.architecture(SPACE.format(row)).genotype == tuple(row.tolist())


def test_the_example_of_the_benchmark_is_read():
    cell = {
        "matrix": [
            [0, 1, 1, 1, 0, 1, 0],
            [0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 1, 0, 0],
            [0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0, 0],
        ],
        "ops": ["input", NAMES[1], NAMES[0], NAMES[0], NAMES[0], NAMES[2], "output"],
    }
    row = SPACE.parse(json.dumps(cell))
    text = "conv1x1:0+conv3x3:0+conv3x3:0+conv3x3:3+maxpool3x3:0+output:1,2,4,5"
    assert SPACE.format(row) == text
    np.testing.assert_array_equal(SPACE.parse(text), row)
    assert json.loads(SPACE.format_json(row)) == cell


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "malformed"),
        ("conv3x3:0", "malformed"),
        ("conv3x3:0+output", "malformed"),
        ("conv5x5:0+output:1", "did you mean 'conv3x3'"),
        ("conv3x3:1+output:1", "sources come before"),
        ("conv3x3:+output:1", "does not reach"),
        ("conv3x3:0+" * 6 + "output:1", "2 to 7 vertices"),
        (f"{DENSE}+output:5", "16 edges after pruning; at most 9"),
        ('{"matrix": [[0, 1], [0, 0]]}', "ops"),
        ('{"matrix": [[0, 1], [0]], "ops": ["input", "output"]}', "adjacency"),
        ('{"matrix": [[0, 1], [1, 0]], "ops": ["input", "output"]}', "upper triangular"),
        ('{"matrix": [[0, 2], [0, 0]], "ops": ["input", "output"]}', "0 and 1"),
        ('{"matrix": [[0, 1], [0, 0]], "ops": ["input", "conv3x3"]}', "'output'"),
        ('{"matrix": [[0, 1], [0, 0]], "ops": ["input", "conv3x3", "output"]}', "1 inner"),
    ],
)
def test_wrong_string_forms_say_what_is_wrong(text, message):
    with pytest.raises(InputError, match=message):
        SPACE.parse(text)


# -- drawing and moving ---------------------------------------------------------------------


def test_samples_are_uniform_over_the_cells_by_size():
    rows = SPACE.sample(20_000, np.random.default_rng(0))
    sizes = [
        np.bincount((r[:, 21:] > 0).sum(axis=1), minlength=6) for r in (rows, SPACE.enumerate())
    ]
    expected = sizes[1] / SPACE.size
    deviation = np.sqrt(expected * (1 - expected) / len(rows))
    assert (np.abs(sizes[0] / len(rows) - expected) <= 4.5 * deviation + 1e-12).all()


def test_neighbors_are_what_brute_force_finds():
    rng = np.random.default_rng(1)
    chosen = [*SPACE.enumerate()[:8], *SPACE.sample(6, rng), SPACE.enumerate()[9000]]
    for row in chosen:
        expected = _neighbor_codes(graph_of(row)) - {int(SPACE.fingerprint(row[None])[0])}
        found = SPACE.neighbors(row)
        assert set(SPACE.fingerprint(found).tolist()) == expected
        assert len(found) == len(expected)
        np.testing.assert_array_equal(SPACE.canonicalize(found), found)
        again = SPACE.neighbors(cells.shuffle(row[None], rng)[0])
        assert set(SPACE.fingerprint(again).tolist()) == expected


def test_neighbors_of_many_are_those_of_each_across_chunks(monkeypatch):
    rows = np.vstack([SPACE.enumerate()[:12], SPACE.sample(40, np.random.default_rng(2))])
    found, owners = SPACE.all_neighbors(rows)
    expected = [SPACE.fingerprint(SPACE.neighbors(row)) for row in rows]
    np.testing.assert_array_equal(SPACE.fingerprint(found), np.concatenate(expected))
    np.testing.assert_array_equal(owners, np.repeat(np.arange(len(rows)), list(map(len, expected))))
    monkeypatch.setattr(cells, "_CHUNK", 7)
    again, _ = SPACE.all_neighbors(rows)
    np.testing.assert_array_equal(again, found)


def _neighbor_codes(graph):
    """Edit the graph in every way, without an order of the vertices."""
    labels, edges = graph
    results = [(labels, edges - {e}) for e in edges]
    for s, t in itertools.permutations(labels, 2):
        if s != 6 and t != 0 and (s, t) not in edges:
            results.append((labels, edges | {(s, t)}))
            free = sorted(set(range(1, 6)) - set(labels))
            for op in (1, 2, 3) if free else ():
                results.append((labels | {free[0]: op}, edges | {(s, free[0]), (free[0], t)}))
        elif (s, t) in edges:
            free = sorted(set(range(1, 6)) - set(labels))
            for op in (1, 2, 3) if free else ():
                results.append((labels | {free[0]: op}, edges | {(s, free[0]), (free[0], t)}))
    for v, op in itertools.product(set(labels) - {0, 6}, (1, 2, 3)):
        results.append((labels | {v: op}, edges))
    return {code for code in map(_code, results) if code is not None}


def _code(graph):
    """Fingerprint of a graph whose edges may lead backwards, None if it has a cycle."""
    labels, edges = graph
    order, left = [], set(labels)
    while left:
        ready = [v for v in left if not any(t == v and s in left for s, t in edges)]
        if not ready:
            return None
        order.append(min(ready, key=lambda v: (v == 6, v)))
        left.remove(order[-1])
    if order[-1] != 6:
        return None
    place = {v: i for i, v in enumerate(order[:-1])} | {6: 6}
    row = np.zeros(26, dtype=int)
    for s, t in edges:
        row[cells.COLUMN[place[s], place[t]]] = 1
    for v in order[1:-1]:
        row[20 + place[v]] = labels[v]
    inside = SPACE.contains(row[None])[0]
    return int(SPACE.fingerprint(row[None])[0]) if inside else None


def test_mutants_are_valid_and_differ():
    rng = np.random.default_rng(2)
    for parents in (SPACE.sample(500, rng), SPACE.enumerate()[:50]):
        mutants = SPACE.mutate(parents, rng)
        assert SPACE.contains(mutants).all()
        assert (SPACE.fingerprint(mutants) != SPACE.fingerprint(parents)).all()


def test_mutation_has_the_published_rates():
    from weaknas.spaces.nasbench101.moves import mutated

    # In a chain of seven vertices there is one order only and no idle vertex.
    chain = SPACE.parse("conv3x3:0+conv3x3:1+conv3x3:2+conv3x3:3+conv3x3:4+output:5")
    rows = mutated(np.repeat(chain[None], 20_000, axis=0), np.random.default_rng(3))
    flips, changes = (rows != chain)[:, :21].mean(axis=0), (rows != chain)[:, 21:].mean(axis=0)
    np.testing.assert_allclose(flips, 1 / 7, atol=0.012)
    np.testing.assert_allclose(changes, 1 / 5, atol=0.014)
    np.testing.assert_allclose((rows[:, 21:] == 2).mean(axis=0), 1 / 10, atol=0.01)


def test_crossings_are_valid_and_of_equal_parents_the_parent():
    rng = np.random.default_rng(4)
    first, second = SPACE.sample(500, rng), SPACE.sample(500, rng)
    children = SPACE.crossover(first, second, rng)
    assert SPACE.contains(children).all()
    np.testing.assert_array_equal(SPACE.crossover(first, first, rng), first)
    own = [set(SPACE.fingerprint(rows).tolist()) for rows in (first, second, children)]
    assert len(own[2] - own[0] - own[1]) > 300


# -- graphs and the network ---------------------------------------------------------------


def test_graphs_show_the_cells():
    rows = np.vstack([SPACE.enumerate()[:20], SPACE.sample(50, np.random.default_rng(5))])
    graphs = SPACE.graphs(rows)
    assert graphs.vocabulary == ("input", "output", *NAMES)
    assert (graphs.operations[:, 0] == 0).all()
    assert (graphs.operations[:, 6] == 1).all()
    assert not np.tril(graphs.adjacency).any()
    for row, adjacency, operations in zip(rows, graphs.adjacency, graphs.operations, strict=True):
        labels, edges = graph_of(row)
        assert {(int(s), int(t)) for s, t in np.argwhere(adjacency)} == edges
        inner = {v: labels[v] + 1 for v in labels if v not in (0, 6)}
        assert {v: int(op) for v, op in enumerate(operations) if 0 < v < 6 and op >= 0} == inner


def test_parameters_and_macs_are_those_of_a_walk_through_the_network():
    rows = np.vstack([SPACE.enumerate()[:60], SPACE.sample(100, np.random.default_rng(6))])
    expected = np.array([parameters_of(row) for row in rows])
    np.testing.assert_array_equal(SPACE.parameters(rows), expected[:, 0])
    np.testing.assert_array_equal(SPACE.macs(rows), expected[:, 1])
    wider = SPACE.parameters(rows, classes=100) - SPACE.parameters(rows)
    assert (wider == 90 * 513).all()


def test_the_registry_knows_the_space():
    import weaknas

    assert isinstance(weaknas.get_space("nasbench101"), NASBench101)
