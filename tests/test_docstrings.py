"""Examples in docstrings run and show what they print."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"weaknas": "weaknas"} | {
    name: f"weaknas.{name}" for name in ("spaces", "encoders", "predictors")
}
#: What people meet first.
MAIN = (
    "weaknas.ChoiceSpace", "weaknas.TabularBenchmark", "weaknas.WeakNAS",
    "weaknas.WeakNASSampler", "weaknas.run", "weaknas.strategies.Strategy",
)  # fmt: skip


def modules() -> list[str]:
    """Return the modules with examples, by the text of their files."""
    found = []
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "\n    >>> " in path.read_text(encoding="utf-8"):
                inner = path.relative_to(ROOT / folder).with_suffix("").parts
                found.append(".".join([package, *inner]))
    return sorted(set(found))


@pytest.mark.parametrize("module", modules())
@pytest.mark.filterwarnings("ignore")
def test_examples(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.parametrize("name", MAIN)
def test_what_people_meet_first_has_an_example(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert ">>> " in (getattr(importlib.import_module(module), attribute).__doc__ or "")
