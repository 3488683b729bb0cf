"""The landscape by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import weaknas
from weaknas.cli import main
from weaknas.laboratory.landscape.summary import KEYS

SPACE_FILE = """
name = "mine"
[choices]
width = [16, 32, 64]
depth = [1, 2, 3]
"""


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return int(stopped.value.code or 0), printed.out, printed.err


@pytest.fixture(name="mine")
def _mine(tmp_path: Path) -> Path:
    """Write a space, a table and a file of peaks."""
    (tmp_path / "mine.toml").write_text(SPACE_FILE)
    lines = [f"{w},{d},{w * d - (d - 2) ** 2}" for w in (16, 32, 64) for d in (1, 2, 3)]
    (tmp_path / "table.csv").write_text("\n".join(["width,depth,accuracy", *lines]))
    (tmp_path / "peaks.txt").write_text("width=64,depth=3\n\nwidth=16,depth=1\n")
    return tmp_path


@pytest.mark.slow
def test_json_and_page_of_a_table(capsys, mine: Path) -> None:
    output = mine / "out"
    code, out, err = run(
        capsys, "landscape", mine / "mine.toml", "--table", f"{mine}/table.csv:objective=accuracy",
        "--peaks", mine / "peaks.txt", "--steps", 3, "--output", output, "--json",
    )  # fmt: skip
    assert code == 0, err
    told = json.loads(out.splitlines()[-1])
    assert set(KEYS) <= told.keys()
    assert len(told["autocorrelation"]) == 4
    assert (told["local_optima"], told["peaks"]) == (1, 2)
    assert told["best"]["architecture"] == "width=64,depth=3"
    assert told["dataset"] == told["scores"] == "table"
    assert told["volume"] == [2 / 9, 8 / 9, 1.0]
    kept = json.loads((output / "landscape.json").read_text())
    assert {key: kept[key] for key in told} == told
    pytest.importorskip("matplotlib")
    page = (output / "report.html").read_text()
    assert page.count("<figure>") == 7
    assert "width=64,depth=3" in page


def test_a_space_without_a_table_is_its_structure(capsys, mine: Path) -> None:
    code, out, err = run(capsys, "landscape", mine / "mine.toml")
    assert code == 0, err
    assert "9 architectures, 9 genotypes" in out
    assert "autocorrelation" not in out


def test_the_first_trainings_of_a_run(capsys, mine: Path) -> None:
    space = weaknas.get_space(str(mine / "mine.toml"))
    table = {"genotype": space.enumerate(), "score": [1.0, 2, 3, 4, 5, 7, 8, 9, 12]}
    benchmark = weaknas.TabularBenchmark(space, table)
    weaknas.run(weaknas.get_strategy("random", space), benchmark, 8, output=mine / "run")
    arguments = ["landscape", mine / "mine.toml", "--run", mine / "run", "--first", 6]
    code, out, err = run(capsys, *arguments)
    assert code == 0, err
    assert "trainings  6" in out
    assert "Search with the default" in out


@pytest.mark.slow
def test_the_page_of_a_run_has_what_it_tells(capsys, mine: Path) -> None:
    pytest.importorskip("matplotlib")
    space = weaknas.get_space(str(mine / "mine.toml"))
    table = {"genotype": space.enumerate(), "score": [1.0, 2, 3, 4, 5, 7, 8, 9, 12]}
    benchmark = weaknas.TabularBenchmark(space, table)
    weaknas.run(weaknas.get_strategy("random", space), benchmark, 8, output=mine / "run")
    arguments = ["landscape", mine / "mine.toml", "--run", mine / "run", "--output", mine / "told"]
    code, _, err = run(capsys, *arguments)
    assert code == 0, err
    page = (mine / "told" / "report.html").read_text()
    assert page.count("<figure>") == 2
    (mine / "told" / "landscape.json").write_text('{"versions": {}}')
    code, _, err = run(capsys, "report", mine / "told")
    assert code == 2
    assert "landscape.json is damaged" in err


WRONG = {
    "space": (["nasbench2001"], "unknown space 'nasbench2001'; did you mean 'nasbench201'?"),
    "both": (["MINE", "--run", "a", "--structure"], "--run and --structure exclude each other"),
    "first": (["MINE", "--first", "3"], "--first counts the trials of --run"),
    "no run": (["MINE", "--run", "nowhere"], "nowhere holds no journal of a search"),
    "no table": (["MINE", "--table", "none.csv"], "none.csv: no such file"),
    "column": (["MINE", "--table", "TABLE"], "unknown column 'score'"),
    "option": (["MINE", "--table", "TABLE:objektive=accuracy"], "did you mean 'objective'?"),
    "peaks": (["MINE", "--peaks", "TABLE"], "table.csv: "),
    "noise": (["MINE", "--noise", "0"], "--noise: it must be a number above 0"),
    "data set": (["MINE", "--dataset", "cifar10"], "no table of"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_bad_input_is_one_line(capsys, mine: Path, arguments: list[str], message: str) -> None:
    places = {"MINE": str(mine / "mine.toml"), "TABLE": str(mine / "table.csv")}
    given = [places.get(a, a.replace("TABLE", places["TABLE"])) for a in arguments]
    code, out, err = run(capsys, "landscape", *given)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
