"""Every example runs with --quick; the example package is found by its names once installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
#: What each says when it has done what it is there for.
DONE = {
    "adapter_ranks": "picture: ",
    "first_search": "regret",
    "mobilenet": "multiply-adds of 200 samples",
    "search_gpt": "picture: ",
    "search_resnet": "picture: ",
    "search_two_towers": "picture: ",
    "sklearn_pipeline": "mine fitted to 100: tau",
    "swap_predictors": "random-forest: regret",
    "torch_model": "regret" if importlib.util.find_spec("torch") else "torch is not installed",
    "xgboost_objective": "custom objective: regret",
}


def run(command, **environment):
    environment = os.environ | environment
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example):
    if example.startswith(("search_", "adapter_")):
        pytest.importorskip("torch")
        pytest.importorskip("matplotlib")
    script = str(ROOT / "examples" / f"{example}.py")
    done = run([sys.executable, "-W", "error::DeprecationWarning:__main__", script, "--quick"],
               PYTHONPATH=str(ROOT))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert DONE[example] in done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder the example package was installed to by pip, without any network."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("this environment was made without pip")
    if int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("setuptools is older than what the dev extra installs")
    folder, copy = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("copy")
    for path in (ROOT / "examples" / "plugin").rglob("*"):
        if path.is_file() and not {"build", "__pycache__"} & set(path.parts):
            place = copy / path.relative_to(ROOT / "examples" / "plugin")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    done = run([*command, "--no-build-isolation", "--target", str(folder), str(copy)])
    assert done.returncode == 0, done.stderr
    return folder


def test_installed_plug_ins_have_names(installed):
    code = (
        "import weaknas\n"
        "from weaknas.testing import check_encoder, check_predictor\n"
        "from weaknas_example import ChoiceCounts\n"
        "assert 'example-gamma' in weaknas.list_predictors()\n"
        "space = weaknas.get_space('nasbench201')\n"
        "check_predictor(weaknas.get_predictor('example-gamma', alpha=0.01))\n"
        "check_encoder(ChoiceCounts, space)\n"
        "print('kept')\n"
    )
    done = run([sys.executable, "-c", code], PYTHONPATH=f"{ROOT}{os.pathsep}{installed}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "kept"


def test_installed_plug_ins_search(installed):
    command = [sys.executable, "-m", "weaknas", "search", "nasbench201", "--budget", "20"]
    options = ["--predictor", "example-gamma", "--encoder", "example-counts+one-hot"]
    path = f"{ROOT}{os.pathsep}{installed}"
    done = run([*command, *options, "--acquisition", "top-n", "--json"], PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert '"queries": 20' in done.stdout
