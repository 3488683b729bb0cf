"""Tables as benchmarks: all forms of input, what a query shows and what it hides."""

from __future__ import annotations

import pickle
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators import evaluation_seed
from weaknas.spaces import ChoiceSpace, ConstrainedSpace, SubsetSpace
from weaknas.spaces.nasbench201 import NASBench201

SPACE = ChoiceSpace({"layer": ["skip", "conv3", "conv5"], "width": [16, 32]}, name="mine")
ROWS = SPACE.enumerate()
SCORES = np.array([1.0, 5.0, 3.0, 2.0, 6.0, 4.0])
CELLS = NASBench201()
NAN = np.nan


def architecture(row):
    return SPACE.architectures(ROWS[[row]])[0]


def shown(benchmark, row, **options):
    return benchmark.evaluate(architecture(row), **{"seed": 0} | options)


# -- forms of input -------------------------------------------------------------------------

VALUES = [("skip", 16), ("skip", 32), ("conv3", 16), ("conv3", 32), ("conv5", 16), ("conv5", 32)]
TEXTS = [SPACE.format(row) for row in ROWS]
FORMS = {
    "genotype column": {"genotype": ROWS, "score": SCORES},
    "genotype lists": {"genotype": ROWS.tolist(), "score": SCORES.tolist()},
    "architecture column": {"architecture": TEXTS, "score": SCORES},
    "architecture objects": {"architecture": SPACE.architectures(ROWS), "score": SCORES},
    "both": {"architecture": TEXTS, "genotype": ROWS, "score": SCORES},
    "choices": {
        "layer": [layer for layer, _ in VALUES],
        "width": [width for _, width in VALUES],
        "score": SCORES,
    },
    "numpy choices": {
        "width": np.array([width for _, width in VALUES]),
        "layer": np.array([layer for layer, _ in VALUES]),
        "score": SCORES,
    },
    "text to number": dict(zip(TEXTS, SCORES, strict=True)),
    "values to number": dict(zip(VALUES, SCORES, strict=True)),
    "genotype to number": dict(zip(map(tuple, ROWS.tolist()), SCORES, strict=True)),
    "architecture to number": dict(zip(SPACE.architectures(ROWS), SCORES, strict=True)),
    "text to record": {t: {"score": s, "size": 1} for t, s in zip(TEXTS, SCORES, strict=True)},
    "shuffled": dict(sorted(zip(TEXTS, SCORES, strict=True), key=lambda pair: pair[1])),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_table(form):
    benchmark = weaknas.TabularBenchmark(SPACE, FORMS[form])
    assert [shown(benchmark, row).score for row in range(6)] == SCORES.tolist()
    assert benchmark.optimum().architecture.text == "layer=conv5,width=16"
    np.testing.assert_array_equal(benchmark.true_scores(ROWS[::-1]), SCORES[::-1])
    assert benchmark.space is SPACE


@pytest.mark.parametrize("form", ["choices", "architecture column", "genotype lists"])
def test_data_frames(form):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(FORMS[form])
    benchmark = weaknas.TabularBenchmark(SPACE, frame.sample(frac=1, random_state=0))
    np.testing.assert_array_equal(benchmark.true_scores(ROWS), SCORES)
    assert list(frame.columns) == list(FORMS[form])


def test_repeated_trainings_as_a_list_a_row():
    benchmark = weaknas.TabularBenchmark(SPACE, {text: [1.0, 3.0] for text in TEXTS})
    assert {shown(benchmark, 0, seed=seed).score for seed in range(4)} == {1.0, 3.0}
    assert benchmark.optimum().score == 2.0


NUMBERS = ChoiceSpace({"a": [1, 2, 3], "b": [1, 2]})


def test_keys_of_integers_are_values_or_genotypes():
    values = [(a, b) for a in (1, 2, 3) for b in (1, 2)]
    rows = [tuple(row) for row in NUMBERS.enumerate().tolist()]
    for keys in (values, rows):
        benchmark = weaknas.TabularBenchmark(NUMBERS, dict(zip(keys, SCORES, strict=True)))
        np.testing.assert_array_equal(benchmark.true_scores(NUMBERS.enumerate()), SCORES)
    with pytest.raises(InputError, match=r"row of \(1, 1\) could be"):
        weaknas.TabularBenchmark(NUMBERS, {(1, 1): 0.5, (2, 1): 0.7}, partial=True)


# -- types of columns -----------------------------------------------------------------------

CONDITIONAL = ChoiceSpace(
    {"op": ["skip", "conv"], "rate": [0.1, 0.01], "wide": [True, False]},
    conditions={"rate": {"op": ["conv"]}, "wide": {"op": ["conv"]}},
)
RESULTS = {
    "op": ["skip", "conv", "conv", "conv", "conv"],
    "rate": [None, 0.1, 0.1, 0.01, 0.01],
    "wide": [None, True, False, True, False],
    "score": [1.0, 2.0, 3.0, 5.0, 4.0],
    "seconds": [60, 120, 180, 240, 300],
}
BEST = "op=conv,rate=0.01,wide=True"


def frames():
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame = pd.DataFrame(RESULTS)
    yield "mapping", RESULTS
    yield "frame", frame
    yield "nullable", frame.convert_dtypes()
    yield "backed by pyarrow", frame.convert_dtypes(dtype_backend="pyarrow")
    yield "single precision", frame.astype({"rate": "float32", "score": "float32"})
    yield "half precision", frame.astype({"rate": "float16"})
    yield "nullable and single", frame.convert_dtypes().astype({"rate": "Float32"})
    yield "categories", frame.astype({"op": "category", "rate": "category", "wide": "category"})
    yield "texts", frame.astype({"op": "string", "rate": "string", "wide": "string"})
    yield "NA", frame.assign(rate=[pd.NA, 0.1, 0.1, 0.01, 0.01])
    yield "NaT", frame.assign(rate=[pd.NaT, 0.1, 0.1, 0.01, 0.01])
    yield "truth as numbers", frame.assign(wide=["NA", "true", "FALSE", "True", "false"])
    yield "decimals", frame.assign(score=[Decimal(number) for number in RESULTS["score"]])
    yield "pyarrow", pa.table(RESULTS)
    yield "pyarrow batch", pa.RecordBatch.from_pydict(RESULTS)
    single = pa.array(RESULTS["rate"], pa.float32())
    yield "pyarrow and single", pa.table(RESULTS | {"rate": single})
    words = pa.array(RESULTS["op"]).dictionary_encode()
    yield "pyarrow and dictionary", pa.table(RESULTS | {"op": words})
    choices = zip(RESULTS["op"], RESULTS["rate"], RESULTS["wide"], strict=True)
    rows = [
        CONDITIONAL.encode(dict(zip(CONDITIONAL.variables, values, strict=True))).tolist()
        for values in choices
    ]
    texts = [CONDITIONAL.format(np.array(row)) for row in rows]
    measured = {"score": RESULTS["score"], "seconds": RESULTS["seconds"]}
    yield "pyarrow and string forms", pa.table({"architecture": texts} | measured)
    yield "pyarrow and genotypes", pa.table({"genotype": rows} | measured)


def test_every_type_of_column_is_the_same_table():
    for name, table in frames():
        benchmark = weaknas.TabularBenchmark(CONDITIONAL, table, cost="seconds")
        best = benchmark.optimum().architecture
        assert best.text == BEST, name
        evaluation = benchmark.evaluate(best, seed=0)
        assert (evaluation.score, evaluation.cost) == (5.0, 240.0), name


def durations():
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    minutes = range(1, 6)
    yield "pandas", pd.to_timedelta(minutes, unit="min")
    yield "list of pandas", [pd.Timedelta(minutes=number) for number in minutes]
    yield "Python", [timedelta(minutes=number) for number in minutes]
    yield "numpy", np.array(minutes, dtype="m8[m]")
    yield "list of numpy", list(np.array(minutes, dtype="m8[m]"))
    yield "milliseconds", np.array([60_000 * number for number in minutes], dtype="m8[ms]")
    yield "pyarrow", pa.array([60 * number for number in minutes], pa.duration("s"))
    yield "text", [str(60 * number) for number in minutes]
    yield "column of pandas", pd.Series(pd.to_timedelta(minutes, unit="min"))
    yield (
        "backed by pyarrow",
        pd.Series(pd.to_timedelta(minutes, unit="min")).astype(pd.ArrowDtype(pa.duration("ns"))),
    )


def test_durations_are_seconds():
    for name, seconds in durations():
        benchmark = weaknas.TabularBenchmark(
            CONDITIONAL, RESULTS | {"seconds": seconds}, cost="seconds"
        )
        best = benchmark.optimum().architecture
        assert benchmark.evaluate(best, seed=0).cost == 240.0, name


def other_columns():
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    times = pd.to_datetime(["2020-01-01"] * 5)
    yield "times", times
    yield "times with a zone", times.tz_localize("UTC")
    yield "list of times", list(times)
    yield "times of numpy", times.to_numpy()
    yield "list of times of numpy", list(times.to_numpy())
    yield "times of pyarrow", pa.array([1] * 5, pa.timestamp("ns"))
    yield "dates", [date(2020, 1, 1)] * 5
    yield "periods", pd.period_range("2020", periods=5)
    yield "complex", np.array([1 + 2j] * 5)
    yield "complex numbers", [1 + 2j] * 5
    yield "complex objects", np.array([np.complex128(1 + 2j)] * 5, dtype=object)
    yield "words", ["good"] * 5
    yield "bytes", [b"1"] * 5
    yield "huge", [10**400] * 5
    yield "records", [{"a": 1}] * 5
    yield "ragged", [[1.0], [1.0, 2.0], [1.0], [1.0], [1.0]]


def test_what_is_no_number_is_refused_where_one_is_needed():
    for name, column in other_columns():
        table = RESULTS | {"seconds": column}
        for options in ({"cost": "seconds"}, {"objective": "seconds"}, {"test": "seconds"}):
            with pytest.raises(InputError, match="'seconds' is not numeric") as caught:
                weaknas.TabularBenchmark(CONDITIONAL, table, **options)
            assert "\n" not in str(caught.value), name
            assert name != "words" or "'good' is no number" in str(caught.value)


def test_what_is_no_number_is_left_out_elsewhere():
    for name, column in other_columns():
        benchmark = weaknas.TabularBenchmark(CONDITIONAL, RESULTS | {"note": column})
        best = benchmark.optimum().architecture
        assert benchmark.evaluate(best, seed=0).metrics == {"seconds": 240.0}, name


def test_choices_beside_string_forms_are_no_measurements():
    table = FORMS["choices"] | {"architecture": TEXTS}
    assert shown(weaknas.TabularBenchmark(SPACE, table), 0).metrics == {}


# -- what is no table -----------------------------------------------------------------------


def without(row, table=FORMS["genotype column"]):
    keep = np.arange(6) != row
    return {name: np.asarray(column)[keep] for name, column in table.items()}


BAD = {
    "a number": (3, "neither"),
    "nothing": ({}, "empty"),
    "no rows": ({"genotype": ROWS[:0], "score": []}, "no rows"),
    "no architectures": ({"score": SCORES, "layer": ["skip"] * 6}, "lacks width"),
    "no objective": ({"genotype": ROWS, "scor": SCORES}, "unknown column 'score'; did you mean"),
    "a missing row": (without(2), "lacks 1 of the architectures of 'mine'; pass partial=True"),
    "a row of NaN": (
        {"genotype": ROWS, "score": np.where(SCORES == 3, NAN, SCORES)},
        "no number for 1 of 6 rows, the first being 'layer=conv3,width=16'",
    ),
    "a row of infinities": ({"genotype": ROWS, "score": np.full(6, np.inf)}, "no number for 6"),
    "None": ({"genotype": ROWS, "score": [None, *SCORES[1:]]}, "no number for 1|not numeric"),
    "words": ({"genotype": ROWS, "score": ["good"] * 6}, "'score' is not numeric"),
    "objects": ({"genotype": ROWS, "score": [object()] * 6}, "'score' is not numeric"),
    "ragged": ({"genotype": ROWS, "score": [[1.0, 2.0], *SCORES[1:]]}, "'score' is not numeric"),
    "cube": ({"genotype": ROWS, "score": np.ones((6, 2, 2))}, "3 dimensions"),
    "short column": ({"genotype": ROWS, "score": SCORES[:5]}, "5 rows where the table has 6"),
    "short choice": (
        {"layer": ["skip"] * 6, "width": [16] * 5, "score": SCORES},
        "different lengths",
    ),
    "other repeats": (
        {"genotype": ROWS, "score": np.ones((6, 3)), "size": np.ones((6, 2))},
        "'size' has 2 numbers a row where 'score' has 3; allowed: 1 and 3",
    ),
    "unknown value": (
        {"layer": ["conv33", *["skip"] * 5], "width": [16] * 6, "score": SCORES},
        "unknown value of 'layer' 'conv33'; did you mean 'conv3'",
    ),
    "unknown key value": ({("conv33", 16): 1.0}, "unknown value of 'layer'"),
    "short key": ({("conv3",): 1.0}, "1 values where 2"),
    "wrong genotype": ({"genotype": [[0, 2]] * 6, "score": SCORES}, r"\[0, 2\] is not in"),
    "fractional genotype": ({"genotype": ROWS + 0.5, "score": SCORES}, "row of 2 integers"),
    "flat genotype": ({"genotype": [0, 1, 2, 3, 4, 5], "score": SCORES}, "row of 2 integers"),
    "number keys": ({0: 1.0, 1: 2.0}, "row of 2 integers"),
    "malformed text": ({"nonsense": 1.0}, "nonsense"),
    "uneven records": (
        {TEXTS[0]: {"score": 1.0, "size": 2}, TEXTS[1]: {"score": 1.0}},
        r"has the columns \['score'\], not \['score', 'size'\]",
    ),
    "equal names": ({"genotype": ROWS, "1": SCORES, 1: SCORES, "score": SCORES}, "2 columns named"),
    "odd fidelity": (
        {"genotype": ROWS, "score": SCORES, "score@last": SCORES},
        "score@NUMBER",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused_in_one_line(case):
    table, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        weaknas.TabularBenchmark(SPACE, table)
    assert "\n" not in str(caught.value)


def test_equal_names_in_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(FORMS["choices"])
    twice = pandas.concat([frame, frame[["score"]]], axis=1)
    with pytest.raises(InputError, match="2 columns named 'score'"):
        weaknas.TabularBenchmark(SPACE, twice)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "acc"}, "unknown column 'acc'"),
        ({"cost": "second"}, "unknown column 'second'; did you mean 'seconds'"),
        ({"test": "tset"}, "unknown column 'tset'"),
        ({"labels": "one"}, "unknown labels 'one'; did you mean 'one-seed'"),
        ({"cost": "seconds"}, "'seconds' of costs lacks numbers"),
        ({"cost": "early"}, "'early' of costs has -1, which is below 0"),
    ],
)
def test_bad_options(options, message):
    table = {"genotype": ROWS, "score": SCORES, "seconds": [1, 2, NAN, 4, 5, 6]}
    table["early"] = [1, 2, 3, -1, 5, 0]
    with pytest.raises(InputError, match=message):
        weaknas.TabularBenchmark(SPACE, table, **options)


def test_the_table_that_is_given_is_left_alone():
    table = dict(FORMS["both"])
    weaknas.TabularBenchmark(SPACE, table)
    assert list(table) == ["architecture", "genotype", "score"]


# -- what a query shows ---------------------------------------------------------------------


def test_one_training_or_the_mean():
    scores = np.arange(18.0).reshape(6, 3)
    scores[1, 1] = NAN  # trained twice
    scores[2] = [NAN, 7.0, NAN]
    table = {"genotype": ROWS, "score": scores, "loss": -scores, "size": np.arange(6)}
    benchmark = weaknas.TabularBenchmark(SPACE, table)
    for row in range(6):
        known = scores[row][np.isfinite(scores[row])]
        seen = [shown(benchmark, row, seed=seed) for seed in range(12)]
        assert {e.score for e in seen} == set(known)
        assert np.mean([e.score for e in seen]) == pytest.approx(known.mean())  # equally often
        # everything that is shown is of the same training
        assert all(e.metrics == {"loss": -e.score, "size": row} for e in seen)
        assert all(e.is_ok and e.cost == 0 and e.fidelity is None for e in seen)
    means = np.nanmean(scores, axis=1)
    np.testing.assert_allclose(benchmark.true_scores(ROWS), means)
    smooth = weaknas.TabularBenchmark(SPACE, table, labels="mean")
    assert [shown(smooth, row, seed=row).score for row in range(6)] == pytest.approx(means)


def test_the_seed_of_a_run_draws_trainings_evenly():
    benchmark = weaknas.TabularBenchmark(
        SPACE, {"genotype": ROWS, "score": np.tile([0.0, 1.0, 2.0], (6, 1))}
    )
    drawn = [
        benchmark.evaluate(architecture(row), seed=evaluation_seed(run, architecture(row))).score
        for run in range(500)
        for row in range(6)
    ]
    assert np.abs(np.bincount(np.array(drawn, dtype=int)) - 1000).max() < 5 * np.sqrt(1000 * 2 / 3)


def test_isomorphic_rows_are_trainings_of_one_architecture():
    # the same cell thrice: as it is, with a dangling edge, and relabelled
    rows = np.array(
        [[3, 0, 0, 0, 1, 0], [3, 4, 0, 0, 1, 0], [0, 3, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1]]
    )
    scores = np.array([[1.0, 2.0], [3.0, NAN], [6.0, 8.0], [5.0, NAN]])
    table = {"genotype": rows, "score": scores, "parameters": [7, 7, 7, 9]}
    benchmark = weaknas.TabularBenchmark(CELLS, table, partial=True)
    assert isinstance(benchmark.space, SubsetSpace)
    assert benchmark.space.size == 2
    assert benchmark.describe()["architectures"] == 2
    np.testing.assert_allclose(benchmark.true_scores(rows), [4, 4, 4, 5])
    for cell in CELLS.architectures(rows[:3]):
        assert {benchmark.evaluate(cell, seed=s).score for s in range(5)} == {1, 2, 3, 6, 8}
    assert benchmark.optimum().score == 5
    assert benchmark.optimum().architecture.genotype == (1,) * 6


@given(st.permutations(range(6)))
def test_the_order_of_the_rows_does_not_matter(order):
    table = {"genotype": ROWS[order], "score": SCORES[order]}
    benchmark = weaknas.TabularBenchmark(SPACE, table)
    np.testing.assert_array_equal(benchmark.true_scores(ROWS), SCORES)
    assert benchmark.describe() == weaknas.TabularBenchmark(SPACE, FORMS["choices"]).describe()


def test_smaller_is_better():
    table = {"genotype": ROWS, "loss": SCORES, "score": SCORES}
    benchmark = weaknas.TabularBenchmark(SPACE, table, "loss", maximize=False)
    assert [shown(benchmark, row).score for row in range(6)] == (-SCORES).tolist()
    assert benchmark.optimum().score == -1.0
    assert benchmark.optimum().architecture == architecture(0)
    np.testing.assert_array_equal(benchmark.true_scores(ROWS), -SCORES)
    upward = weaknas.TabularBenchmark(SPACE, table, "loss")
    assert upward.describe() != benchmark.describe()


def test_ties_are_all_optimal():
    table = {"genotype": ROWS, "score": [2.0, 1.0, 2.0, 0.0, 2.0, 1.0]}
    optimum = weaknas.TabularBenchmark(SPACE, table).optimum()
    assert optimum.score == 2.0
    assert set(optimum.fingerprints.tolist()) == {0, 2, 4}


def test_another_target():
    table = {"genotype": ROWS, "score": SCORES, "test": -SCORES}
    benchmark = weaknas.TabularBenchmark(SPACE, table, test="test")
    assert benchmark.optimum("test").architecture == architecture(0)
    np.testing.assert_array_equal(benchmark.true_scores(ROWS, "test"), -SCORES)
    with pytest.raises(InputError, match="unknown column 'tst'; did you mean 'test'"):
        benchmark.optimum("tst")


# -- fidelities, and what is hidden ---------------------------------------------------------

GRADED = {
    "genotype": ROWS,
    "score": SCORES,
    "score@12": SCORES / 10,
    "score@2.5": SCORES / 100,
    "test": SCORES + 50,
    "test@12": SCORES + 60,
    "loss": -SCORES,
    "loss@12": -SCORES / 10,
    "seconds": SCORES * 100,
    "seconds@12": SCORES * 6,
    "size": np.arange(6),
    "noise": np.where(SCORES > 3, NAN, 1.0),
}


def test_fidelities():
    benchmark = weaknas.TabularBenchmark(SPACE, GRADED, cost="seconds", test="test")
    assert benchmark.fidelities == [2.5, 12.0]
    low = shown(benchmark, 1, fidelity=12)
    assert (low.score, low.cost, low.fidelity) == (0.5, 30.0, 12)
    assert shown(benchmark, 1, fidelity=2.5).score == 0.05
    full = shown(benchmark, 1)
    assert (full.score, full.cost, full.fidelity) == (5.0, 500.0, None)
    with pytest.raises(InputError, match=r"unknown fidelity '13'.* \(allowed: 2.5, 12\)"):
        shown(benchmark, 1, fidelity=13)


def test_large_and_oddly_written_fidelities():
    table = FORMS["genotype column"] | {"score@1234567": SCORES + 1, "score@4.0": SCORES + 2}
    benchmark = weaknas.TabularBenchmark(SPACE, table)
    assert benchmark.fidelities == [4.0, 1234567.0]
    assert shown(benchmark, 0, fidelity=1234567).score == 2.0
    assert shown(benchmark, 0, fidelity=4).score == 3.0


def test_metrics_hide_the_objective_and_the_test():
    benchmark = weaknas.TabularBenchmark(SPACE, GRADED, cost="seconds", test="test")
    for row in range(6):
        for fidelity in (None, 12, 2.5):
            metrics = shown(benchmark, row, fidelity=fidelity).metrics
            assert not [name for name in metrics if name.startswith(("score", "test"))]
    assert shown(benchmark, 0).metrics == {
        "loss": -1.0,
        "seconds": 100.0,
        "size": 0.0,
        "noise": 1.0,
    }
    assert "noise" not in shown(benchmark, 1).metrics  # not measured there


def test_a_short_training_shows_nothing_of_the_full_one():
    benchmark = weaknas.TabularBenchmark(SPACE, GRADED, cost="seconds", test="test")
    short = shown(benchmark, 0, fidelity=12).metrics
    assert short == {"loss": -0.1, "seconds": 6.0, "size": 0.0, "noise": 1.0}
    # at 2.5 neither loss nor seconds were measured
    assert shown(benchmark, 0, fidelity=2.5).metrics == {"size": 0.0, "noise": 1.0}


# -- partial tables, other architectures, other processes -------------------------------------


def test_a_partial_table_restricts_the_space():
    benchmark = weaknas.TabularBenchmark(SPACE, without(2), partial=True)
    assert benchmark.space.size == 5
    with pytest.raises(InputError, match="not in the space"):
        shown(benchmark, 2)
    result = weaknas.run(weaknas.WeakNAS(benchmark.space, initial=2), benchmark, budget=5)
    assert sorted(result.trials.scores) == sorted(SCORES[SCORES != 3])
    assert weaknas.TabularBenchmark(SPACE, FORMS["choices"], partial=True).space is SPACE


def test_an_architecture_of_another_space():
    benchmark = weaknas.TabularBenchmark(SPACE, FORMS["choices"])
    with pytest.raises(InputError, match="'nasbench201', not of 'mine'"):
        benchmark.evaluate(CELLS.architecture([0] * 6), seed=0)


def test_other_numbers_are_another_benchmark():
    first, second = (
        weaknas.TabularBenchmark(SPACE, {"genotype": ROWS, "score": SCORES + shift}).describe()
        for shift in (0, 1e-9)
    )
    assert first != second
    assert {k for k in first if first[k] != second[k]} == {"checksum"}


def test_it_travels():
    benchmark = weaknas.TabularBenchmark(SPACE, GRADED, cost="seconds", test="test")
    copy = pickle.loads(pickle.dumps(benchmark))  # noqa: S301
    assert [shown(copy, row) for row in range(6)] == [shown(benchmark, row) for row in range(6)]
    assert copy.describe() == benchmark.describe()


def test_one_score_out_of_all_bounds_does_not_hide_the_noise_of_others():
    space = ChoiceSpace({"a": list(range(400))})
    scores = 0.3 + np.random.default_rng(0).normal(0, 0.01, (400, 2))
    scores[0] = [-1e10, -2e10]
    columns = {"a": np.repeat(range(400), 2), "score": scores.ravel()}
    noise = np.sort(
        weaknas.TabularBenchmark(space, columns, objective="score").noise(space.enumerate())
    )
    assert ((noise[:299] > 0.008) & (noise[:299] < 0.012)).all()


def test_a_score_that_is_missing_leaves_the_noise_of_the_others():
    space = ChoiceSpace({"a": list(range(100))})
    scores = 0.3 + np.random.default_rng(0).normal(0, 0.01, (2, 100, 2))
    scores[1, 7, 0] = np.nan
    columns = {
        "a": np.repeat(range(100), 2),
        "score": scores[0].ravel(),
        "score@4": scores[1].ravel(),
    }
    table = weaknas.TabularBenchmark(space, columns, objective="score")
    assert table.noise(space.enumerate(), "score@4") == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize("names", [["s@nan"], ["s@inf"], ["s@-3"], ["s@4", "s@4.0"]])
def test_columns_that_are_no_fidelity_are_refused(names):
    space = ChoiceSpace({"a": [1, 2]})
    columns = {"a": [1, 2], "s": [0.1, 0.2]} | {name: [0.1, 0.2] for name in names}
    with pytest.raises(InputError, match="is no lower fidelity"):
        weaknas.TabularBenchmark(space, columns, objective="s")


def test_costs_of_a_part_within_limits_stay_inside_them():
    space = ChoiceSpace({"a": list(range(10)), "b": list(range(10))})
    rows = space.enumerate()
    columns = {
        "a": rows[:, 0],
        "b": rows[:, 1],
        "s": rows.sum(axis=1),
        "lat": rows[:, 0],
        "other": rows[:, 1],
    }
    priced = weaknas.TabularBenchmark(space, columns, objective="s").with_costs(["lat"])
    part = priced.within(ConstrainedSpace(priced.space, ["lat<=3"]))
    both = part.with_costs(["other"])
    assert both.space.size == 40
    drawn = both.space.sample(50, np.random.default_rng(0))
    assert (drawn[:, 0] <= 3).all()


def test_a_choice_may_be_called_as_the_column_of_architectures_is():
    space = ChoiceSpace({"architecture": ["cnn", "mlp"], "genotype": [1, 2]})
    columns = {"architecture": ["cnn", "mlp"], "genotype": [1, 2], "s": [0.1, 0.2]}
    table = weaknas.TabularBenchmark(space, columns, objective="s", partial=True)
    assert table.space.size == 2
    assert table.true_scores(space.genotypes(["architecture=mlp,genotype=2"])).tolist() == [0.2]
