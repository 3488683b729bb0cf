"""What is installed is what is in the tree."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import weaknas

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("spaces", "encoders", "predictors")


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def packages_of_the_tree():
    """Every folder with an ``__init__.py``, by the name it is imported under."""
    found = {}
    for top in ("weaknas", *LINKED):
        for file in (ROOT / top).rglob("__init__.py"):
            if top == "weaknas" and file.relative_to(ROOT).parts[1] in LINKED:
                continue  # the links show the three folders a second time
            path = file.parent.relative_to(ROOT)
            found[".".join(path.parts if top == "weaknas" else ("weaknas", *path.parts))] = path
    return found


def files_of_the_tree():
    """Every module and every file beside one, by its place in a wheel."""
    for name, folder in packages_of_the_tree().items():
        for file in (ROOT / folder).iterdir():
            if file.is_file() and file.suffix != ".pyc":
                yield f"{name.replace('.', '/')}/{file.name}"


def test_every_package_is_listed(project):
    assert sorted(project["tool"]["setuptools"]["packages"]) == sorted(packages_of_the_tree())


def test_every_module_stands_in_a_package():
    folders = {ROOT / folder for folder in packages_of_the_tree().values()}
    for top in ("weaknas", *LINKED):
        for file in (ROOT / top).rglob("*.py"):
            assert file.parent.resolve() in folders, file


def test_the_three_folders_are_mapped_and_linked(project):
    mapped = project["tool"]["setuptools"]["package-dir"]
    for name in LINKED:
        assert mapped[f"weaknas.{name}"] == name
        link = ROOT / "weaknas" / name
        assert link.is_symlink()
        assert not link.readlink().is_absolute()
        assert link.resolve() == ROOT / name


def test_every_class_there_is_once():
    for name in LINKED:
        module = importlib.import_module(f"weaknas.{name}")
        assert module.__name__ == f"weaknas.{name}"
        assert module.__name__ in sys.modules
        assert name not in sys.modules


def test_one_version(project):
    assert project["project"]["version"] == weaknas.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {weaknas.__version__}" in citation.replace('"', "")


def test_heavy_packages_are_extras(project):
    needed = {Requirement(text).name for text in project["project"]["dependencies"]}
    extras = project["project"]["optional-dependencies"]
    assert not needed & {"torch", "matplotlib", "pandas", "distributed"}
    assert {"train", "plot", "dask", "dev", "all"} <= set(extras)


def test_the_wheel_holds_every_file(tmp_path, project):
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("setuptools is not installed")
    installed = importlib.metadata.version("setuptools")
    (wanted,) = (Requirement(text) for text in project["build-system"]["requires"])
    if installed not in wanted.specifier:
        pytest.skip(f"setuptools {installed} is installed, {wanted} is needed")
    copy = tmp_path / "source"  # building writes beside the sources
    tree = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if tree.returncode:
        pytest.skip("not a git checkout")
    for name in tree.stdout.splitlines():
        source, target = ROOT / name, copy / name
        if source.is_file() and not source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-q", "-w", tmp_path, copy], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert set(files_of_the_tree()) <= names
    assert "weaknas/py.typed" in names
    assert all(name.startswith("weaknas") for name in names)
    assert not [name for name in names if "/tests/" in name]
