"""Spaces and tables that a TOML file describes, in Python and on the command line."""

from __future__ import annotations

import json
import time
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas import cli
from weaknas.errors import InputError
from weaknas.spaces import ConstrainedSpace

SPACE = """
name = "mine"

[choices]
op = ["skip", "conv3", "conv5"]
width = [16, 32, 64]

[conditions]
width = { op = ["conv3", "conv5"] }
"""
TABLE = """
[table]
path = "results.csv"
objective = "accuracy"
cost = "seconds"
test = "test_accuracy"
"""
ROWS = """op,width,accuracy,seconds,test_accuracy,note
skip,,50.0,1,49.0,no width
conv3,16,60.5,2,61.0,
conv3,16,61.5,2,61.0,again
conv3,32,70,3,69.0,
conv3,64,71,4,70.0,
conv5,16,65,5,65.0,
conv5,32,80,6,79.0,
conv5,64,75,7,81.0,
"""


@pytest.fixture(name="write")
def _write(tmp_path: Path) -> Any:
    def write(space: str = SPACE + TABLE, rows: str = ROWS, name: str = "results.csv") -> str:
        (tmp_path / name).write_text(rows, encoding="utf-8")
        (tmp_path / "mine.toml").write_text(space, encoding="utf-8")
        return str(tmp_path / "mine.toml")

    return write


def test_space_of_a_file(write: Any) -> None:
    space = weaknas.get_space(write())
    assert space.name == "mine"
    assert space.size == 7
    assert space.format(space.parse("op=skip")) == "op=skip"
    assert space.ordered.tolist() == [False, True]


def test_choices_may_be_lists(write: Any) -> None:
    space = weaknas.get_space(
        write("[choices]\nk = [[1, 1], [3, 3]]\na = [1, 2]\n[conditions]\na = { k = [[3, 3]] }")
    )
    assert space.size == 3
    assert space.decode(space.parse("k=[3, 3],a=2")) == {"k": [3, 3], "a": 2}


def test_benchmark_of_a_file(write: Any) -> None:
    benchmark = weaknas.get_benchmark(write(), labels="mean")
    assert benchmark.name == "mine/results"
    assert benchmark.optimum().architecture.text == "op=conv5,width=32"
    assert benchmark.optimum("test_accuracy").architecture.text == "op=conv5,width=64"
    twice = benchmark.evaluate(benchmark.space.architecture("op=conv3,width=16"), seed=0)
    assert (twice.score, twice.cost) == (61.0, 2.0)
    result = weaknas.run(weaknas.WeakNAS(benchmark.space, seed=0), benchmark, budget=7)
    assert result.regret == 0


def test_parquet_with_repeated_trainings(write: Any, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = write(SPACE + '[table]\npath = "t.parquet"\nobjective = "error"\nmaximize = false\n')
    space = weaknas.get_space(path)
    choices = [space.decode(row) for row in space.enumerate()]
    errors = np.random.default_rng(0).random((7, 2))
    columns = {
        "op": [choice["op"] for choice in choices],
        "width": [choice.get("width") for choice in choices],
        "error": errors.tolist(),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    benchmark = weaknas.get_benchmark(path)
    assert benchmark.optimum().score == pytest.approx(-errors.mean(axis=1).min())
    seen = {
        benchmark.evaluate(benchmark.space.architecture("op=skip"), seed=s).score for s in range(9)
    }
    assert seen == {-value for value in errors[0]}


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_cells_are_separated_by_any_of_the_usual_marks(mark: str, write: Any) -> None:
    benchmark = weaknas.get_benchmark(write(rows=ROWS.replace(",", mark)), labels="mean")
    assert benchmark.optimum().architecture.text == "op=conv5,width=32"
    assert (
        benchmark.evaluate(benchmark.space.architecture("op=conv3,width=16"), seed=0).score == 61.0
    )


def test_names_in_quotes_may_hold_other_marks(write: Any) -> None:
    table = TABLE.replace('"accuracy"', "'accuracy, mean'")
    path = write(SPACE + table, ROWS.replace(",accuracy,", ',"accuracy, mean",'))
    assert weaknas.get_benchmark(path).optimum().score == 80


def test_cells_as_other_programs_write_them(write: Any) -> None:
    """Truth values in capitals, whole numbers with a point or without, and what is missing."""
    space = """
[choices]
deep = [true, false]
rate = [1.0, 0.5]
width = [16, 32]
[conditions]
width = { deep = [true] }
[table]
path = "results.csv"
objective = "accuracy"
"""
    rows = """deep,rate,width,accuracy,converged,when,note,loss
TRUE,1,16.0,1,TRUE,2020-01-01,a,0.5
true,0.50,32,2,FALSE,2020-01-01,b,NA
True,1.00,32.0,3,true,2020-01-01,c,nan
true,5e-1,16,4,false,2020-01-01,,
FALSE,1,NA,5,TRUE,,d,1
false,0.5,NaN,6,TRUE,,e,2
"""
    benchmark = weaknas.get_benchmark(write(space, rows))
    assert benchmark.space.size == 6
    shown = benchmark.evaluate(benchmark.optimum().architecture, seed=0)
    assert (shown.score, shown.metrics) == (6.0, {"converged": 1.0, "loss": 2.0})
    third = benchmark.evaluate(benchmark.space.architecture("deep=True,rate=1.0,width=32"), seed=0)
    assert (third.score, third.metrics) == (3.0, {"converged": 1.0})


def test_many_columns(write: Any) -> None:
    names = [f"metric{number}" for number in range(5000)]
    lines = [line + ",1" * 5000 for line in ROWS.replace("note", "other").splitlines()[1:]]
    rows = "\n".join([ROWS.splitlines()[0] + "," + ",".join(names), *lines])
    benchmark = weaknas.get_benchmark(write(rows=rows))
    shown = benchmark.evaluate(benchmark.space.architecture("op=skip"), seed=0)
    assert set(names) < set(shown.metrics)


def test_what_is_no_file_that_ends_is_refused(write: Any, tmp_path: Path) -> None:
    for suffix in ("csv", "tsv", "parquet"):
        path = write(SPACE + TABLE.replace("results.csv", f"device.{suffix}"))
        (tmp_path / f"device.{suffix}").symlink_to("/dev/zero")
        with pytest.raises(InputError, match=r"device.*it is no regular file"):
            weaknas.get_benchmark(path)
    (tmp_path / "device.toml").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"device\.toml: cannot be read .it is no regular file"):
        weaknas.get_space(str(tmp_path / "device.toml"))


def test_a_partial_table_is_searched_and_said(write: Any) -> None:
    with pytest.warns(RuntimeWarning, match="partial, 2 of 7 architectures"):
        benchmark = weaknas.get_benchmark(write(rows="\n".join(ROWS.splitlines()[:3])))
    assert benchmark.space.size == 2


def weaknas_command(*arguments: str) -> SimpleNamespace:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    return SimpleNamespace(
        returncode=caught.value.code, stdout=out.getvalue(), stderr=err.getvalue()
    )


def test_command_line_searches_a_file(write: Any) -> None:
    done = weaknas_command("search", write(), "--budget", "7", "--labels", "mean", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["best"]["architecture"] == "op=conv5,width=32"
    assert found["regret"] == 0
    assert found["dataset"] == "results"


def test_command_line_describes_a_table(write: Any) -> None:
    done = weaknas_command("table", "describe", write(), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "space": "mine",
        "path": str(Path(write()).parent / "results.csv"),
        "rows": 7,
        "columns": {name: [7, 2] for name in ("accuracy", "seconds", "test_accuracy")},
        "best": {"architecture": "op=conv5,width=32", "accuracy": 80.0},
    }
    assert "op=conv5,width=32" in weaknas_command("table", "describe", write()).stdout
    done = weaknas_command("table", "describe", write(), "--dataset", "cifar10")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "takes no --dataset" in done.stderr


def test_columns_of_a_table_are_limits_and_objectives(write: Any) -> None:
    path = write()
    limits = ["--constraint", "seconds<=6", "--constraint", "seconds>=2"]
    done = weaknas_command("search", path, "--budget", "5", "--labels", "mean", "--json", *limits)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["best"]["architecture"] == "op=conv5,width=32"
    assert found["regret"] == 0
    goal = ["--objective", "seconds"]
    done = weaknas_command("search", path, "--budget", "7", "--labels", "mean", "--json", *goal)
    assert done.returncode == 0, done.stderr
    front = json.loads(done.stdout.splitlines()[-1])["front"]
    # by ascending seconds: better than all that take less
    assert [(row["seconds"], row["score"]) for row in front] == [
        (1, 50),
        (2, 61),
        (3, 70),
        (4, 71),
        (6, 80),
    ]
    for wrong in ("accuracy", "test_accuracy", "second"):
        done = weaknas_command("search", path, "--constraint", f"{wrong}<=3")
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert f"unknown cost of the space 'mine' '{wrong}'" in done.stderr
        assert "(allowed: seconds)" in done.stderr


def test_objectives_are_numbers_for_every_architecture(write: Any) -> None:
    rows = ROWS.replace("note", "latency").replace("no width", "-1").replace("again", "5")
    benchmark = weaknas.get_benchmark(write(rows=rows)).with_costs(["latency"])
    with pytest.raises(InputError, match=r"'latency' is no number for some.*limit it as well"):
        weaknas.WeakNAS(benchmark.space, objectives=["latency"])
    part = ConstrainedSpace(benchmark.space, "latency<=5")
    assert part.size == 2
    search = weaknas.WeakNAS(part, objectives=["latency"], seed=0)
    result = weaknas.run(search, benchmark.within(part), 2, objectives=["latency"])
    assert result.front is not None
    assert result.front.costs.ravel().tolist() == [-1, 5]


def test_a_changed_column_is_another_space(write: Any) -> None:
    spaces = [
        weaknas.get_benchmark(write(rows=rows)).with_costs(["seconds"]).space.describe()
        for rows in (ROWS, ROWS.replace("conv5,64,75,7", "conv5,64,75,8"))
    ]
    assert spaces[0] != spaces[1]
    assert spaces[0] | {"costs": None} == spaces[1] | {"costs": None}
    plain = weaknas.get_benchmark(write())
    assert plain.with_costs([]) is plain
    assert "seconds" not in plain.space.costs()


def test_command_line_says_what_is_wrong_in_one_line(write: Any) -> None:
    done = weaknas_command("search", write("choices = 3"))
    assert done.returncode == 2
    assert "[choices] must be a table" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("", r"\[choices\] is missing or empty"),
        ("choises = 1", "unknown key 'choises'; did you mean 'choices'"),
        ("[choices]\na = 1", "the values of 'a' must be a list"),
        ("[choices]\na = [[2020-01-01]]", "the values of 'a' must be a list"),
        ("[choices]\na = [1, 1]", "empty or repeat"),
        ("[choices]\na = [1", "cannot be read"),
        ("[choices]\na = " + "[" * 100_000, "nested too deeply"),
        ("[choices]\na = [[" + "[" * 200 + "]" * 200 + "]]", "nested more than 100 deep"),
        ("[choices]\na = [" + "[" * 30 + "]" * 30 + ", 1]", "nested more than 20 deep"),
        ("[choices]\na = [" + "1" * 5000 + "]", "Exceeds the limit"),
        ("name = 3\n[choices]\na = [1, 2]", "name must be a text"),
        (SPACE.replace('conv5"] }', 'conv7"] }'), "unknown value of 'op' in the condition"),
        (SPACE + "[table]\npath = 'x.csv'", r"\[table\] lacks objective"),
        (SPACE + TABLE + "maximise = true", "did you mean 'maximize'"),
        (SPACE + TABLE + "maximize = 1", "maximize of .table. must be true or false"),
    ],
)
def test_bad_files_are_refused_in_one_line(space: str, message: str, write: Any) -> None:
    path = write(space)
    with pytest.raises(InputError, match=message) as caught:
        weaknas.get_space(path)
    assert str(caught.value).startswith(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("space", "rows", "message"),
    [
        (SPACE, ROWS, r"describes no \[table\]"),
        (SPACE + TABLE, ROWS.replace("accuracy,", "score,", 1), "unknown column 'accuracy'"),
        (
            SPACE + TABLE,
            ROWS.replace("skip,,", "skip,16,"),
            "exists only where op is conv3 or conv5",
        ),
        (SPACE + TABLE, ROWS.replace("conv3,16", "conv7,16"), "unknown value of 'op' 'conv7'"),
        (SPACE + TABLE, ROWS.replace("70,3", "?,3"), "column 'accuracy' is not numeric"),
        (SPACE + TABLE, ROWS + "conv3,16", "row 10 has 2 cells"),
        (SPACE + TABLE, "", "no rows"),
        (SPACE + TABLE, ROWS.replace("note", "op"), "there twice"),
        (SPACE + TABLE.replace(".csv", ".txt"), ROWS, "unknown type of table file '.txt'"),
        (SPACE + TABLE.replace("results", "result"), ROWS, "no such file"),
        (SPACE + TABLE.replace(".csv", ".parquet"), ROWS, "no such file"),
    ],
)
def test_bad_tables_are_refused_in_one_line(
    space: str, rows: str, message: str, write: Any
) -> None:
    path = write(space, rows)
    with pytest.raises(InputError, match=message) as caught:
        weaknas.get_benchmark(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet_is_refused(write: Any, tmp_path: Path) -> None:
    path = write(SPACE + TABLE.replace(".csv", ".parquet"))
    (tmp_path / "results.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match=r"results\.parquet: damaged"):
        weaknas.get_benchmark(path)


def test_missing_files_and_data_sets_are_refused(write: Any) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml: no such file"):
        weaknas.get_space("nowhere.toml")
    with pytest.raises(InputError, match="takes no data set, not 'cifar10'"):
        weaknas.get_benchmark(write(), dataset="cifar10")


PRICES = """
[choices]
op = ["skip", "conv3", "conv5"]
width = [16, 32, 64]
kernel = [[1, 1], [3, 3]]
free = [1, 2]
block = { values = ["a", "b"], repeat = 2 }
[conditions]
width = { op = ["conv3", "conv5"] }
block1 = { width = [16] }
[cell]
nodes = 4
operations = ["none", "one", "two"]
nothing = "none"
[costs.whole]
width = [16, 32, 64]
op = { skip = 1, conv3 = 9, conv5 = 25 }
block = [5, 7.0]
cell = [0, 100, 1000]
[costs.parts]
op = { skip = 0.1, conv3 = 1, conv5 = 0.3 }
cell = { none = 0, one = 0.7, two = 1e-17 }
kernel = [0.2, 1e16]
width = [0.1, 3, 1e16]
[costs.nothing]
"""


def test_sums_of_prices_are_those_that_python_adds_up(write: Any) -> None:
    space = weaknas.get_space(write(PRICES))
    content = tomllib.loads(PRICES)
    rows = np.random.default_rng(0).integers(space.cardinalities, size=(500, space.n_variables))
    for cost, entries in content["costs"].items():
        expected = []
        for values in map(space.decode, rows):
            addends = []
            for entry, given in entries.items():
                allowed = (
                    content["cell"]["operations"] if entry == "cell" else content["choices"][entry]
                )
                allowed = allowed["values"] if isinstance(allowed, dict) else allowed
                prices = list(given.values()) if isinstance(given, dict) else given
                names = {
                    "cell": [n for n in space.variables if "->" in n],
                    "block": ["block1", "block2"],
                }
                addends += [
                    prices[allowed.index(values[name])]
                    for name in names.get(entry, [entry])
                    if name in values
                ]
            expected.append(float(sum(addends)))
        assert space.costs()[cost](rows).tolist() == expected
        assert space.costs()[cost](rows[:0]).shape == (0,)


def test_a_limit_on_prices_in_a_large_space_takes_seconds(write: Any) -> None:
    values = list(range(8))
    space = weaknas.get_space(
        write(f"[choices]\nx = {{ values = {values}, repeat = 60 }}\n[costs.p]\nx = {values}")
    )
    start = time.perf_counter()
    part = ConstrainedSpace(space, "p<=150")  # the mean is 210, the standard deviation 18
    rows = part.sample(100, np.random.default_rng(0))
    assert (rows.sum(axis=1) <= 150).all()
    with pytest.raises(InputError, match=r"fulfils p<=-1: there, p goes from 0 to 420"):
        ConstrainedSpace(space, "p<=-1")
    assert time.perf_counter() - start < 60  # more than an hour, one architecture at a time


def test_prices_of_a_choice_and_of_a_cell_are_not_mixed_up(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        '\ufeff[choices]\ncell = ["a", "b"]\n[cell]\nnodes = 3\noperations = ["x", "y"]\n'
        "[costs.price]\ncell = [1, 2]\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="no choice may be called 'cell'"):
        weaknas.get_space(str(path))
