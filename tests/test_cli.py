"""The command line: JSON, exit codes, and bad input in one line."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import weaknas
from weaknas import cli
from weaknas.evaluators.benchmarks import DATA
from weaknas.registry import BENCHMARKS

KEYS = {
    "space", "dataset", "strategy", "budget", "queries", "trainings", "seed", "best",
    "best_observed", "contenders", "regret", "rounds", "seconds_strategy", "seconds_total",
    "output",
}  # fmt: skip
CELLS = weaknas.get_space("nasbench201")
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def call(capsys):
    """Run the command line here; return exit code, standard output and standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main([str(argument) for argument in arguments])
        return caught.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def process(tmp_path):
    """Start the command line as a user does, in a folder of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

    def start(*arguments):
        command = [sys.executable, "-m", "weaknas", *map(str, arguments)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment, cwd=tmp_path,
        )  # fmt: skip

    return start


# -- search ---------------------------------------------------------------------------------


def test_json_of_search(call):
    code, out, _ = call(
        "search", "nasbench201", "--dataset", "cifar100", "--budget", 150, "--seed", 0, "--json"
    )
    assert code == 0
    fields = json.loads(out.splitlines()[-1])
    assert fields.keys() == KEYS
    assert (fields["space"], fields["dataset"], fields["strategy"]) == (
        "nasbench201",
        "cifar100",
        "weaknas",
    )
    assert (fields["budget"], fields["trainings"], fields["seed"]) == (150, 150, 0)
    assert 75 < fields["queries"] < 150  # the others are repeats
    best = fields["best"]
    assert best.keys() == {
        "architecture", "id", "score", "std_error", "trainings", "probability_best", "metrics",
    }  # fmt: skip
    assert best == fields["contenders"][0]
    assert best["trainings"] > 1
    assert 0 < best["probability_best"] <= 1
    assert fields["best_observed"].keys() == {"architecture", "id", "score"}
    assert fields["best_observed"]["score"] >= best["score"]
    assert CELLS.architecture(best["architecture"]).id == best["id"]
    assert 70 < best["score"] < 75
    assert best["metrics"]["parameters"] > 0
    assert 0 <= fields["regret"] < 2
    assert fields["output"] is None
    assert 0 < fields["seconds_strategy"] <= fields["seconds_total"]
    benchmark = weaknas.get_benchmark("nasbench201", dataset="cifar100")
    result = weaknas.run(weaknas.WeakNAS(benchmark.space, seed=0), benchmark, budget=150)
    again = result.to_dict()
    assert {k: again[k] for k in ("best", "regret", "rounds")} == {
        k: fields[k] for k in ("best", "regret", "rounds")
    }


def test_search_alone_is_nasbench201_on_cifar100(call):
    code, out, _ = call("search", "--budget", 5, "--json")
    fields = json.loads(out)
    assert code == 0
    assert (fields["space"], fields["dataset"]) == ("nasbench201", "cifar100")


def test_search_for_people(call, tmp_path):
    code, out, err = call("search", "--budget", 8, "--output", tmp_path / "run")
    assert code == 0
    assert "nasbench201/cifar100: contenders after 8 trainings of 8 architectures" in out
    found = json.loads((tmp_path / "run" / "result.json").read_text())
    assert found["best"]["architecture"] in out
    assert str(tmp_path / "run") in out.replace("\n", "")
    assert f"{found['regret']:.4g}" in out
    assert "8/8" in err
    assert len((tmp_path / "run" / "journal.jsonl").read_bytes().splitlines()) == 9


@pytest.mark.parametrize("strategy", ["random", "local-search", "regularized-evolution"])
def test_other_strategies(call, strategy):
    code, out, _ = call("search", "--strategy", strategy, "--budget", 12, "--json", "--jobs", 2)
    assert code == 0
    assert json.loads(out)["strategy"] == strategy


def test_options_reach_the_search(call, tmp_path):
    code, out, _ = call(
        "search", "--dataset", "cifar10", "--predictor", "random-forest", "--encoder",
        "one-hot+path", "--acquisition", "ucb", "--batch-size", 4, "--initial", 6, "--budget", 14,
        "--seed", 3, "--labels", "mean", "--output", tmp_path, "--json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["rounds"] == 3
    config = json.loads((tmp_path / "journal.jsonl").read_text().splitlines()[0])["config"]
    assert config["budget"] == 14
    strategy = config["strategy"]
    assert (strategy["seed"], strategy["initial"], strategy["batch_size"]) == (3, 6, 4)
    assert strategy["predictor"]["name"] == "RandomForest"
    assert strategy["acquisition"] == {"name": "UpperConfidenceBound", "beta": 1.0}
    assert config["evaluator"]["labels"] == "mean"


# -- bad input ------------------------------------------------------------------------------

BAD = [
    (["search", "nasbench20"], "unknown space 'nasbench20'; did you mean 'nasbench201'"),
    (["search", "--dataset", "cifar"], "unknown dataset 'cifar'; did you mean 'cifar10'"),
    (["search", "--predictor", "xgbost"], "unknown predictor 'xgbost'; did you mean 'xgboost'"),
    (["search", "--predictor", "gp:max-iters=3"], "'max_iters'; did you mean 'max_iter'"),
    (["search", "--encoder", "one-hott"], "unknown encoder 'one-hott'; did you mean 'one-hot'"),
    (["search", "--strategy", "randm"], "unknown strategy 'randm'; did you mean 'random'"),
    (["search", "--acquisition", "gredy"], "unknown acquisition 'gredy'; did you mean 'greedy'"),
    (["search", "--preset", "papr"], "unknown preset 'papr'; did you mean 'paper'"),
    (["search", "--labels", "one-sed"], "unknown labels 'one-sed'; did you mean 'one-seed'"),
    (["search", "--evaluator", "tabula"], "unknown evaluator 'tabula'; did you mean 'tabular'"),
    (["search", "--budget", "0"], "--budget: it must be at least 1, not 0"),
    (["search", "--budget", "-7"], "not -7"),
    (
        ["search", "--budget", "8766", "--labels", "mean"],
        "8766 queries is above the 8765 architectures",
    ),
    (["search", "--budget", "many"], "it must be a whole number, not 'many'"),
    (["search", "--budgett", "5"], "Did you mean --budget?"),
    (["search", "--batch-size", "0"], "--batch-size: it must be at least 1, not 0"),
    (["search", "--initial", "-1"], "--initial: it must be at least 1, not -1"),
    (["search", "--seed", "-1"], "--seed: it must be at least 0, not -1"),
    (["search", "--repeats", "often"], "'often' (allowed: auto, never, a whole number)"),
    (["search", "--repeats", "-1"], "(allowed: auto, never, a whole number)"),
    (["search", "--jobs", "0"], "--jobs: it must be at least 1, not 0"),
    (["search", "nasbench201", "extra"], "extra"),
    (["search", "no.toml:objective=x"], "is a file and takes no options, not 'no.toml:obj"),
    (["search", "no.toml", "--evaluator", "tabular:x=1"], "takes no options, not 'tabular:x=1'"),
    (
        ["search", "--evaluator", "math:log"],
        "the evaluator 'math:log' does not tell its parameters",
    ),
    (
        ["search", "mobilenetv3:width=wide", "--evaluator", "train"],
        "width must be a number at least 0.1",
    ),
    (["search", "mobilenetv3:classes=1.5", "--evaluator", "train"], "classes must be a whole"),
    (["search", "mobilenetv3:latency=3", "--evaluator", "train"], "3: no such file"),
    (["search", "--evaluator", "supernet"], "needs the file of its weights, checkpoint=FILE"),
    (["tune", "xgboost", "nasbench201", "--output", "."], "cannot write .: it is a folder"),
    (["report", os.path.dirname(__file__), "--output", "."], "cannot write .: it is a folder"),
    (["report", ".", "--output", f"{__file__}/page.html"], f"cannot write to {__file__}"),
    (["search", "--strategy", "random", "--predictor", "gp"], "does not take --predictor"),
    (["serch"], 'Did you mean "search"?'),
    (["list", "space"], 'Did you mean "spaces"?'),
    (["list", "spaces", "--space", "nasbench201"], "--space goes with encoders"),
    (["list", "encoders", "--space", "nasbench21"], "did you mean 'nasbench201'"),
    (["table", "describe", "nasbench21"], "did you mean 'nasbench201'"),
    (["table", "describe", "nasbench201", "--dataset", "cifar"], "did you mean 'cifar10'"),
    (["table", "describe", "mobilenetv3"], "'mobilenetv3' has no table of official files"),
    (["table", "import", "nasbench201", "no-such-file"], "no-such-file: there is no such file"),
    (["table", "import", "nasbench201", __file__], "damaged, or not of a known format"),
]


def label(value):
    """Return an id without the place of this checkout."""
    text = value if isinstance(value, str) else " ".join(value)
    return text.replace(os.path.dirname(__file__), "tests")[:40]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=label)
def test_bad_input_is_one_line_and_code_2(call, arguments, message):
    code, out, err = call(*arguments)
    assert code == 2
    assert out == ""
    lines = [line for line in err.splitlines() if not line.startswith("reading")]
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert message in lines[0]


def test_what_is_allowed_is_listed(call):
    _, _, err = call("search", "--predictor", "x")
    assert all(name in err for name in weaknas.list_predictors())
    _, _, err = call("search", "--dataset", "x")
    assert "cifar10, cifar100, imagenet16-120" in err


def test_unwritable_output(call, tmp_path):
    (tmp_path / "file").write_text("mine")
    code, _, err = call("search", "--budget", 5, "--output", tmp_path / "file")
    assert code == 2
    assert err.startswith("error: cannot write to")
    assert err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_another_configuration_in_the_same_folder(call, tmp_path):
    assert call("search", "--budget", 6, "--output", tmp_path)[0] == 0
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for change, message in [
        (["--seed", 1], "strategy.seed = 0, not 1"),
        (["--dataset", "cifar10"], 'evaluator.benchmark = "nasbench201/cifar100"'),
        (["--labels", "mean"], 'evaluator.labels = "one-seed", not "mean"'),
        (["--predictor", "xgboost"], "strategy.predictor.name"),
    ]:
        code, _, err = call("search", "--budget", 6, "--output", tmp_path, *change)
        assert code == 2
        # the first difference is named; the data set changes the checksum too
        assert message in err or "evaluator" in err
        assert err.count("\n") == 1
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_larger_budget_continues_and_a_smaller_one_is_refused(call, tmp_path):
    folder = tmp_path / "run"
    for budget, message in ((9, ""), (9, "already finished: 9 trainings are in"), (14, "")):
        code, out, err = call("search", "--budget", budget, "--output", folder, "--json")
        assert code == 0
        assert json.loads(out)["trainings"] == json.loads(out)["budget"] == budget
        assert (message in err) if message else ("finished" not in err)
    code, _, err = call("search", "--budget", 14, "--output", folder, "--retry-failed")
    assert code == 0
    assert "already finished" in err
    assert call("search", "--budget", 14, "--output", tmp_path / "whole")[0] == 0
    records = [
        without_seconds(line)[0]
        for line in (folder / "journal.jsonl").read_bytes().splitlines()[1:]
        if b'"number"' in line
    ]
    assert records == without_seconds((tmp_path / "whole" / "journal.jsonl").read_bytes())[1:]
    code, _, err = call("search", "--budget", 13, "--output", folder)
    assert code == 2
    assert err == (
        "error: the run has more trials than the budget of 13 queries allows; give a larger budget"
        " or choose another output folder\n"
    )


def test_a_corrupt_journal_is_refused_and_a_torn_one_continued(call, tmp_path):
    assert call("search", "--budget", 9, "--output", tmp_path)[0] == 0
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    corrupt = b"".join([*lines[:3], b"garbage\n", *lines[4:]])
    journal.write_bytes(corrupt)
    code, _, err = call("search", "--budget", 9, "--output", tmp_path)
    assert code == 2
    assert "damaged at line 4; nothing was changed" in err
    assert err.count("\n") == 1
    assert journal.read_bytes() == corrupt
    journal.write_bytes(b"".join(lines[:6]) + lines[6][:30])
    assert call("search", "--budget", 9, "--output", tmp_path)[0] == 0
    assert without_seconds(journal.read_bytes()) == without_seconds(whole)


def without_seconds(journal):
    records = [json.loads(line) for line in journal.splitlines()]
    return [{k: v for k, v in r.items() if k not in ("seconds", "time", "check")} for r in records]


def test_a_damaged_cache_is_rebuilt_with_a_warning(call, tmp_path, monkeypatch):
    monkeypatch.setenv("WEAKNAS_CACHE", str(tmp_path))
    assert call("table", "describe", "nasbench201", "--dataset", "imagenet16-120")[0] == 0
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:1000])
    code, out, err = call("table", "describe", "nasbench201", "--dataset", "imagenet16-120")
    assert code == 0
    assert "46.73" in out
    assert err.startswith(f"warning: {file}")
    assert "built anew" in err
    assert err.count("\n") == 1
    assert file.read_bytes() == whole


# -- list and table -------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["spaces", "encoders", "predictors", "strategies", "benchmarks"])
def test_list(call, role):
    names = getattr(weaknas, f"list_{role}")()
    code, out, _ = call("list", role)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == names
    assert all(len(line.split()) > 2 for line in out.splitlines())
    code, out, _ = call("list", role, "--json")
    assert json.loads(out) == {role: names}


def test_benchmarks_are_listed_with_their_data(call):
    lines = call("list", "benchmarks")[1].splitlines()
    for name, line in zip(weaknas.list_benchmarks(), lines, strict=True):
        datasets, needs = DATA[name]
        assert line.endswith(f"; needs {needs}")
        assert all(dataset in line for dataset in datasets)
        default = inspect.signature(BENCHMARKS.load(name)).parameters["dataset"].default
        assert line.split()[1:3] == [default, "(default)" + ("," if len(datasets) > 1 else ";")]


def test_list_by_pattern_and_space(call):
    assert call("list", "spaces", "nasbench2*", "--json")[1] == '{"spaces": ["nasbench201"]}\n'
    _, out, _ = call("list", "encoders", "--space", "mobilenetv3", "--json")
    assert "one-hot" in json.loads(out)["encoders"]
    assert "path" not in json.loads(out)["encoders"]


def test_describe_a_table(call):
    code, out, _ = call("table", "describe", "nasbench201", "--dataset", "cifar100", "--json")
    assert code == 0
    facts = json.loads(out)
    assert (facts["rows"], facts["columns"]["valid_accuracy"]) == (15_625, [15_625, 3])
    assert facts["best"]["valid_accuracy"] == pytest.approx(73.4933, abs=1e-3)
    code, out, _ = call("table", "describe", "nasbench201", "--dataset", "cifar100")
    assert facts["best"]["architecture"] in out
    assert "valid_accuracy: 15625 x 3" in out


def test_import_a_table(call, tmp_path, monkeypatch):
    import importlib

    module = importlib.import_module("weaknas.spaces.nasbench201.table")
    seen = []

    def import_table(path, output, progress):
        progress(1, 2)
        progress(2, 2)
        seen.append((path, output))
        return [output / "a.parquet", output / "b.parquet"]

    monkeypatch.setattr(module, "import_table", import_table)
    arguments = ("table", "import", "nasbench201", tmp_path, "--output", tmp_path / "out")
    code, out, err = call(*arguments)
    assert code == 0
    assert (
        out == f"wrote {tmp_path / 'out' / 'a.parquet'}\nwrote {tmp_path / 'out' / 'b.parquet'}\n"
    )
    assert "100%" in err
    _, out, _ = call(*arguments, "--json")
    assert json.loads(out) == {
        "space": "nasbench201",
        "written": [str(tmp_path / "out" / name) for name in ("a.parquet", "b.parquet")],
    }
    assert seen == [(tmp_path, tmp_path / "out")] * 2


# -- help, version, signals -----------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [[], *([name] for name in cli._COMMANDS), ["table"], ["table", "import"]],
    ids=" ".join,
)
def test_every_help_has_an_example_of_its_own(call, arguments):
    code, out, _ = call(*arguments, "--help")
    assert code == 0
    example = " ".join(["Example: weaknas", *arguments])
    assert example in " ".join(out.replace("│", " ").split())


def test_version(call):
    assert call("--version")[:2] == (0, f"{weaknas.__version__}\n")


def test_interrupted_keeps_what_was_measured(process, tmp_path):
    running = process("search", "--strategy", "random", "--budget", 8000, "--output", "run")
    journal = tmp_path / "run" / "journal.jsonl"
    wait_for(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 20, running)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=300)
    assert running.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "interrupted; what was written is kept"
    content = journal.read_bytes()
    assert content.endswith(b"\n")
    numbers = [json.loads(line)["number"] for line in content.splitlines()[1:]]
    assert numbers == list(range(len(numbers)))


def test_anything_else_is_code_1(call, monkeypatch):
    from weaknas.commands import search

    def full(*_, **__):
        raise OSError(28, "No space left on device", "journal.jsonl")

    monkeypatch.setattr(search, "run", full)
    code, _, err = call("search", "--budget", 5)
    assert code == 1
    assert err == "error: [Errno 28] No space left on device: 'journal.jsonl'\n"


def test_what_does_not_fit_into_memory_is_one_line(call, monkeypatch):
    from weaknas.commands import search

    def full(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate\nmemory")

    monkeypatch.setattr(search, "run", full)
    code, _, err = call("search", "--budget", 5)
    assert code == 1
    assert err == "error: out of memory (DefaultCPUAllocator: can't allocate memory)\n"


def test_the_last_line_is_json_when_there_is_an_output_folder(process):
    running = process("search", "--budget", 6, "--json", "--output", "run")
    out, err = running.communicate(timeout=300)
    assert running.returncode == 0
    assert json.loads(out)["output"] == "run"
    assert len(out.splitlines()) == 1
    assert "Traceback" not in err


def wait_for(condition, running, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_is_returned_is_printed_with_how_sure_that_is(call):
    options = ("--strategy", "random:confirm=5", "--labels", "resampled", "--budget", 30)
    code, out, _ = call("search", "nasbench201", "--dataset", "cifar10", *options)
    assert code == 0
    (returned,) = re.findall(r"^ +returned  (\S+): \S+ \+- \S+ \(3 trainings\), (.*)$", out, re.M)
    assert re.fullmatch(r"best with probability [01]\.\d\d", returned[1])
    (rival,) = re.findall(r"^ +runner-up  (\S+): .* best with probability 0\.\d\d$", out, re.M)
    assert rival != returned[0]
    assert "30 trainings of 20 architectures" in out


@pytest.mark.parametrize("size", [1e9, 1e300])
def test_scores_of_any_size_are_short_and_have_a_report(call, tmp_path, monkeypatch, size):
    module = f"def score(a, seed):\n    return (sum(map(ord, str(a))) * seed % 97) / 97 * {size}\n"
    (tmp_path / "of_any_size.py").write_text(module)
    (tmp_path / "choices.toml").write_text("[choices]\nwidth = [1, 2, 3, 4]\ndepth = [1, 2, 3]\n")
    monkeypatch.syspath_prepend(tmp_path)
    given = ("--evaluator", "of_any_size:score", "--budget", 12, "--output", tmp_path / "run")
    code, out, _ = call("search", tmp_path / "choices.toml", *given)
    assert code == 0
    (returned,) = re.findall(r"^ +returned  (.*)$", out, re.M)
    assert len(returned) < 100
    assert call("report", tmp_path / "run")[0] == 0


def test_numbers_of_numpy_are_not_printed(call):
    _, out, _ = call("search", "--budget", 6, "--json")
    assert "np." not in out
    assert np.isfinite(json.loads(out)["regret"])


def options_in(path: Path) -> Iterator[str]:
    """Yield the texts of a file, docstrings left out, that speak of options of a command line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    # A list of texts is a command line of another program.
    commands = {
        id(text) for node in ast.walk(tree) if isinstance(node, ast.List) for text in node.elts
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            is_message = id(node) not in documentation | commands
            if is_message and re.search(r"(^|[^\w-])--[a-z]", node.value):
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}"


def test_the_library_does_not_speak_of_options() -> None:
    folders = [ROOT / name for name in ("weaknas", "encoders", "predictors", "spaces")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    library = [path for path in files if "commands" not in path.parts and path.name != "cli.py"]
    assert [text for path in library for text in options_in(path)] == []


def test_what_goes_with_a_folder_or_a_name_alone_is_said(call, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\n[choices]\na = ["x", "y"]\n')
    code, _, err = call("landscape", f"{file}:a=1")
    assert (code, "mine.toml is a file, which has no options, not a" in err) == (2, True)
    code, _, err = call("search", "nasbench201", "--budget", 4, "--retry-failed")
    assert (code, "--retry-failed needs --output" in err) == (2, True)
    code, out, _ = call("list", "encoders", "--space", "mobilenetv3:width=1.2")
    assert (code, "one-hot" in out) == (0, True)
    code, _, err = call("search", str(file), "--budget", 4)
    assert (code, "with an evaluator: module:function" in err) == (2, True)
