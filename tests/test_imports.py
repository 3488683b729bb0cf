"""What is imported when, how fast, and in which direction."""

from __future__ import annotations

import ast
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import weaknas

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
HEAVY = {
    "numpy", "scipy", "sklearn", "pandas", "pyarrow", "xgboost", "optuna", "torch", "matplotlib",
    "distributed",
}  # fmt: skip


def modules_after(code):
    """Top-level modules that a fresh process holds after some code."""
    report = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True, text=True, check=True, env=ENVIRONMENT,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


def test_importing_weaknas_is_light():
    assert not modules_after("import weaknas") & (HEAVY | {"rich", "cyclopts"})


HELP = """
from weaknas.cli import main
try:
    main(ARGUMENTS)
except SystemExit as end:
    assert end.code == 0
"""


def test_help_is_light():
    assert not modules_after(HELP.replace("ARGUMENTS", "['--help']")) & HEAVY


@pytest.mark.parametrize(
    "arguments",
    [["search", "--help"], ["list", "predictors"], ["search", "--budget", "12", "--json"]],
    ids=" ".join,
)
def test_neither_torch_nor_matplotlib_is_needed(arguments):
    loaded = modules_after(HELP.replace("ARGUMENTS", repr(arguments)))
    assert not loaded & {"torch", "matplotlib", "optuna", "distributed"}


def test_help_is_quick():
    command = [sys.executable, "-m", "weaknas", "--help"]

    def seconds():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def once():
        before = seconds()
        subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
        return seconds() - before

    # Of the processor, and of the best of five: what the machine does beside is not ours.
    assert any(once() < 0.7 for _ in range(5))


def test_public_names():
    assert set(weaknas.__all__) == set(dir(weaknas))
    for name in weaknas.__all__:
        assert getattr(weaknas, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = weaknas.nothing


def imports_of(file):
    """Modules of weaknas that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield node.module or ""


LEAVES = ("weaknas.errors", "weaknas.files")
ALLOWED = {
    "spaces": ("weaknas.spaces", *LEAVES),
    "encoders": ("weaknas.encoders", "weaknas.spaces", *LEAVES),
    "predictors": ("weaknas.predictors", *LEAVES),
}


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_run_one_way(folder):
    for file in (ROOT / folder).rglob("*.py"):
        for name in imports_of(file):
            if name.split(".")[0] == "weaknas":
                assert name.startswith(ALLOWED[folder]), f"{file} imports {name}"
            assert name.split(".")[0] not in ALLOWED, f"{file} imports {name}"


def test_nothing_imports_the_command_line():
    for file in (ROOT / "weaknas").glob("**/*.py"):
        inside = file.relative_to(ROOT / "weaknas").parts
        if inside[0] in ("commands", "cli.py", "__main__.py", *ALLOWED):
            continue
        for name in imports_of(file):
            assert not name.startswith(("weaknas.cli", "weaknas.commands")), (
                f"{file} imports {name}"
            )
