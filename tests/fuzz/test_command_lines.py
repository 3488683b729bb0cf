"""Command lines at random: odd values of every argument and option of every command.

Each ends with exit code 0, 2 or, where what is asked for is refused by the system, 1; an
error is one line. Numbers that would take long are above what the options allow.
"""

from __future__ import annotations

import random
import re

import pytest

import weaknas
from weaknas import cli
from weaknas.strategies import RandomSearch

#: How many lines of each command.
LINES = {
    "search": 180, "compare": 40, "rank": 40, "tune": 50, "train": 25, "train-supernet": 25,
    "export": 30, "latency": 25, "list": 20, "report": 20, "export-study": 15,
    "table import": 15, "table describe": 15,
}  # fmt: skip
SLOW = {"compare", "latency", "rank", "train-supernet"}  # start processes, build networks
_SMALL = "mobilenetv3:width=0.25:resolution=8:classes=10:channels=1"
_CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"
#: A line of each command that is quick and, with the files of the fixture, right.
QUICK = {
    "search": ["nasbench201", "--strategy", "random", "--budget", "3", "--no-train-winner"],
    "compare": ["nasbench201", "--strategies", "random", "--budget", "2", "--runs", "1"],
    "rank": ["nasbench201", "--predictors", "bayesian-ridge", "--train-sizes", "9", "--runs", "1"],
    "tune": [
        "nearest-neighbors", "nasbench201", "--output", "tuned.json", "--trials", "1",
        "--splits", "1", "--checks", "0", "--train-size", "9",
    ],
    "train": [
        "nasbench201", _CELL, "--epochs", "1", "--protocol", "small:channels=1", "--threads", "1",
    ],
    "train-supernet": [
        _SMALL, "--output", "net", "--epochs", "1", "--method", "single-path", "--protocol",
        "batch-size=2000", "--threads", "1",
    ],
    "export": ["nasbench201", _CELL, "--output", "exported", "--weights", "file.txt"],
    "latency": [
        _SMALL, "--output", "table.json", "--repeats", "1", "--rounds", "1", "--check", "0",
        "--threads", "1",
    ],
    "list": ["spaces"],
    "report": ["folder"],
    "export-study": ["run", "--storage", "sqlite:///studies.db"],
    "table import": ["nasbench201", "file.txt", "--output", "tables"],
    "table describe": ["nasbench201"],
}  # fmt: skip
#: What some arguments take, so that others of the line are reached.
RIGHT = {
    "SPACE": ["nasbench201", "choices.toml", "darts", "graph", _SMALL, "nats-size", "nasbench101"],
    "PREDICTOR": ["nearest-neighbors", "kernel-ridge", "gp"],
    "--strategy": ["weaknas", "local-search", "simulated-annealing", "reinforce", "optuna-tpe"],
    "--strategies": ["random,local-search", "reinforce:learning-rate=0.5,random", "random:x=1"],
    "--predictor": ["nearest-neighbors", "gp", "bayesian-ridge", "nearest-neighbors:n-neighbors=2"],
    "--predictors": ["nearest-neighbors,ridge", "nearest-neighbors:encoder=one-hot"],
    "--encoder": ["one-hot", "ordinal+path"],
    "--acquisition": ["ei", "greedy", "ucb", "top-n"],
    "--preset": ["default", "paper"],
    "--evaluator": ["tabular", "zero-cost", "supernet"],
    "--dataset": ["cifar10", "digits", "imagenet16-120", "cifar10,cifar100"],
    "--labels": ["mean", "resampled"],
    "--constraint": ["macs<=1e6", "params<=1", "flops<=1e9", "1<=params<=0.1"],
    "--objective": ["params", "latency", "regret"],
    "--executor": ["thread"],
    "--repeats": ["auto", "never"],
    "--regime": ["progressive"],
    "--targets": ["raw", "standard"],
    "--optimum": ["test"],
    "--runs-of": ["random=2", "bayesian-ridge=1", "random=0", "nobody=3"],
    "--train-sizes": ["2,9", "1", "15000", "99999999999999999999"],
    "--run": ["run"],
    "FOLDER": ["run"],
}  # fmt: skip
NUMBERS = [
    "-1", "0", "1", "2", "3", "1.5", "99999999999999999999", "-99999999999999999999", "1e400",
    "nan", "inf", "-inf", "", " ", "٣", "0x10", "1_0", "1e3", "5" * 5000, "none", "[]", "--",
]  # fmt: skip
TEXTS = [
    "", " ", "nan", "-1", "0", "é\u202eü", "\udcff", "a" * 5000, "random", "none", ":", "::=",
    "=", "macs<=nan", "macs<=", "<=", "a:b", "gp:x", "random:seed=3", ",", "+", "*", "[", "{}",
    "--json", "[" * 3000, "gp:max-iter=" + "(" * 300, "gp:max-iter=" + "9" * 5000, "process",
    "gp:max-iter=-1", "one-hot+one-hot", "mobilenetv3:width=nan", "mobilenetv3:width=1e999",
    "mobilenetv3", "file.txt", "mobilenetv3:classes=99999999999999999999", "folder", "no.toml",
    "imagenet-folder", "cuda:99", "meta", "small:epochs=nan", "supernet:checkpoint=file.txt",
    "sqlite:///folder", "x://y", "1,nan", "random=99999999999999999999", "2,2", "zero-cost:x=1",
    "channels=1:cells=1", "learning-rate=nan", "batch-size=0", "dask", "train:epochs=-1",
    "train:fraction=nan", "learning-rate=1e30",
]  # fmt: skip
PATHS = [
    "", ".", "..", "/", "folder", "folder/new", "file.txt", "file.txt/under", "missing", "run",
    "/dev/null", "/dev/zero", "/proc/self/new", "a" * 300, "a/" * 3000, "é/ü", "-", "~", "\udcff",
    "choices.toml",
]  # fmt: skip
_PROGRESS = re.compile(
    r"(\[I |\d{4}-\d\d-\d\d |"
    r"\d+/\d+ measurements|runs|fits|trainings|reading|epoch|trial|warning:|no )"
)


def _arguments(name):
    """Return what a command takes, as its parser says."""
    app = cli.app
    for part in name.split():
        app = app[part]
    return [one for one in app.assemble_argument_collection() if not one.children and one.parse]


def _value(argument, rng):
    """Return a value for an argument: one that it takes, an odd one of its kind, or any text."""
    if argument.name in RIGHT and rng.random() < 0.6:
        return rng.choice(RIGHT[argument.name])
    hint = str(argument.hint)
    if "int" in hint or "float" in hint:
        return rng.choice(NUMBERS)
    return rng.choice(PATHS if "Path" in hint else TEXTS)


def _with(line, option, value):
    """Return a line with an option, in place of what it was."""
    if option in line:
        place = line.index(option)
        return [*line[: place + 1], value, *line[place + 2 :]]
    return [*line, option, value]


def _line(name, arguments, rng):
    """Return a quick line with up to three other values, in place of its own or beside them."""
    line = list(QUICK[name])
    named = [one for one in arguments if one.name.startswith("--")]
    places = [one for one in arguments if not one.name.startswith("--")]
    for argument in rng.choices(named, k=rng.choice([0, 1, 1, 1, 2, 3])):
        value = _value(argument, rng)
        if "bool" in str(argument.hint):
            line.append(rng.choice([argument.name] * 3 + [f"{argument.name}={value}"]))
        else:
            line = _with(line, argument.name, value)
    for position, argument in enumerate(places):
        if position < len(line) and rng.random() < 0.3:
            line[position] = _value(argument, rng)
    if rng.random() < 0.05:
        line.insert(rng.randint(0, len(line)), rng.choice(TEXTS))
    return [*name.split(), *line]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Work in a folder with a few files, whose parent is of no use to anybody else."""
    tmp_path = tmp_path / "work"
    tmp_path.mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("mine")
    text = 'name = "mine"\n[choices]\na = ["x", "y"]\nb = [1, 2, 3]\n'
    (tmp_path / "choices.toml").write_text(text)
    space = weaknas.get_space("nasbench201")
    benchmark = weaknas.get_benchmark("nasbench201")
    weaknas.run(RandomSearch(space), benchmark, budget=12, output=tmp_path / "run")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in LINES],
)
def test_no_line_ends_in_a_traceback(name, place, capsys, quick_processes):
    arguments, rng = _arguments(name), random.Random(name)
    for _ in range(LINES[name]):
        line = _line(name, arguments, rng)
        with pytest.raises(SystemExit) as caught:
            cli.main(line)
        _, err = capsys.readouterr()
        code = caught.value.code
        assert code in {0, 1, 2}, line
        lines = [one for one in err.splitlines() if one.strip() and not _PROGRESS.match(one)]
        assert len(lines) == (code != 0), (line, err[-2000:])
        assert all(one.startswith("error: ") for one in lines), (line, err[-2000:])


@pytest.mark.parametrize("name", LINES)
def test_every_number_has_bounds(name, place, capsys):
    """Neither what is no number nor one that no machine could use reaches the work."""
    for argument in _arguments(name):
        if not {"int", "float"} & set(re.findall(r"\w+", str(argument.hint))):
            continue
        for value in ("99999999999999999999", "-1", "nan", "inf", "x", "", "9" * 5000):
            with pytest.raises(SystemExit) as caught:
                cli.main([*name.split(), *_with(QUICK[name], argument.name, value)])
            _, err = capsys.readouterr()
            assert (caught.value.code, err.count("\n")) == (2, 1), (argument.name, value, err)
            assert argument.name in err


def test_the_commands_are_there_and_the_lines_are_500(capsys):
    assert {name.partition(" ")[0] for name in LINES} <= {*cli._COMMANDS, "table"}
    assert set(QUICK) == set(LINES)
    assert sum(LINES.values()) == 500
    for name in cli._COMMANDS:  # new ones, too
        with pytest.raises(SystemExit) as caught:
            cli.main([name, "--no-such-option=nan"])
        assert (caught.value.code, capsys.readouterr().err.count("\n")) == (2, 1)
