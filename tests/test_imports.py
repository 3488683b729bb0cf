"""What is imported when, and how fast; which file imports which is in test_house.py."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

import weaknas

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
