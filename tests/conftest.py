"""Fixtures of all tests: isolated caches, and real tables where they are at hand."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from pathlib import Path

# Before numpy or torch is imported: the processes of the tests share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# On a busy machine a quick example takes its time.
settings.register_profile("weaknas", deadline=None)
settings.load_profile("weaknas")

ROOT = Path(__file__).resolve().parent.parent


def shared_data(name: str) -> Path:
    """Return a file or folder of real tables, or skip the test with a reason."""
    folders = [Path(os.environ["WEAKNAS_DATA"])] if "WEAKNAS_DATA" in os.environ else []
    for folder in [*folders, ROOT.parent / "shared" / "data"]:
        if (folder / name).exists():
            return folder / name
    pytest.skip(f"{name} is neither in WEAKNAS_DATA nor in ../shared/data")


@pytest.fixture(name="shared_data")
def _shared_data() -> object:
    return shared_data


#: The environment of the process that is copied.
_copied: dict[str, str] = {}


@pytest.fixture(scope="module")
def quick_processes() -> Iterator[None]:
    """Let processes of comparisons and rankings be copies of one that has imported what they need.

    They are processes like others; only the seconds of importing are paid once, and again
    where the environment has changed, which the copies have as that process found it.
    """
    real = multiprocessing.get_context
    laboratory = "weaknas.laboratory"
    modules = [f"{laboratory}.results", f"{laboratory}.ranking_results", "weaknas.strategies"]
    multiprocessing.set_forkserver_preload(modules)

    def get_context(method: str | None = None) -> BaseContext:
        if method != "spawn":
            return real(method)
        # pytest notes the test that runs in one of its own.
        variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        if variables != _copied:
            forkserver._forkserver._stop()  # type: ignore[attr-defined]  # starts with the next
            _copied.clear()
            _copied.update(variables)
        return real("forkserver")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multiprocessing, "get_context", get_context)
        yield


def pytest_configure(config: pytest.Config) -> None:
    """Keep converted tables of the tests out of the user's cache, also while collecting."""
    if getattr(config, "cache", None) is not None:
        os.environ.setdefault("WEAKNAS_CACHE", str(config.cache.mkdir("tables")))
