"""The house: which wing imports which, no circles, no long chains."""

from __future__ import annotations

import importlib.util
import json
import re
import textwrap
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 14  # files that import each other in a row
MOST_AT_THE_ROOT = 8


def load_script(name):
    path = ROOT / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load_script("house")


@pytest.fixture(name="house", scope="module")
def _house():
    return script.House()


def test_imports_run_one_way(house):
    assert house.forbidden() == []
    assert house.trespasses() == []


def test_every_wing_has_its_place(house):
    assert set(house.wings()) == set(script.MAY_IMPORT)


def test_no_file_imports_itself_by_way_of_others(house):
    assert house.circle() == []


def test_chains_of_imports_are_short(house):
    assert len(house.longest_chain()) <= LONGEST


def test_few_files_are_at_the_root():
    assert len(list((ROOT / "weaknas").glob("*.py"))) <= MOST_AT_THE_ROOT


FOLDERS = [wing for wing in script.MAY_IMPORT if (ROOT / "weaknas" / wing).is_dir()]


@pytest.mark.parametrize("wing", FOLDERS)
def test_a_wing_says_what_it_may_import(house, wing):
    said = re.search("May import (.*?)[;:.]", " ".join(house.docstrings[f"weaknas.{wing}"].split()))
    assert said, f"{wing}/__init__.py"
    named = set(re.findall(r"\w+", said[1].removeprefix("no other wing"))) - {"and"}
    assert named == set(script.MAY_IMPORT[wing])


def test_the_picture_in_the_docs_is_of_this_house(house):
    picture = ElementTree.parse(ROOT / "docs" / "house.svg")
    drawn = picture.find(".//{http://purl.org/dc/elements/1.1/}description")
    assert json.loads(drawn.text) == house.arrows(), (
        "draw it again: python scripts/house.py --svg docs/house.svg"
    )


def test_nothing_in_the_picture_overlaps(house, monkeypatch):
    pytest.importorskip("matplotlib")
    picture = load_script("_house_picture")
    monkeypatch.setattr(picture, "STARTS", 3)
    arrows = house.arrows()
    routes = picture.find_routes(arrows)
    across = picture.arrange(routes)
    assert {place.wing for place in across} == set(arrows)
    for one, other in combinations(across, 2):
        if one.floor == other.floor:
            assert abs(across[one] - across[other]) > (one.width + other.width) / 2 - 1e-9
    for route in routes:
        assert [upper.floor - lower.floor for upper, lower in pairwise(route)] == [1] * (
            len(route) - 1
        )
    for wing in arrows:
        assert len(textwrap.wrap(house.summary(wing), picture.CHARACTERS)) <= 2, wing


# -- what is planted is found ------------------------------------------------------------

TREE = {
    "weaknas/__init__.py": "from weaknas.errors import InputError as InputError",
    "weaknas/errors.py": "",
    "weaknas/search/__init__.py": "from weaknas.search._base import Search",
    "weaknas/search/_base.py": "import numpy\nfrom weaknas.spaces import Space",
    "weaknas/runs/__init__.py": "",
    "weaknas/runs/runner.py": "from weaknas.search import Search\nfrom weaknas.runs import journal",
    "weaknas/runs/journal.py": "from weaknas.errors import InputError",
    "spaces/__init__.py": "if True:\n    from weaknas.spaces._base import Place as Space",
    "spaces/_base.py": "import weaknas.errors",
}


@pytest.fixture(name="build")
def _build(tmp_path):
    def build(**planted):
        for name, text in TREE.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n{planted.get(file.stem, '')}")
        return script.House(tmp_path)

    return build


def test_of_a_small_house(build):
    house = build()
    assert house.imports["weaknas.runs.runner"] == {"weaknas.search._base", "weaknas.runs.journal"}
    assert house.wings() == {
        "weaknas": {"errors"}, "errors": set(), "search": {"spaces"},
        "runs": {"search", "errors"}, "spaces": {"errors"},
    }  # fmt: skip
    assert house.arrows() == {"runs": ["search"], "search": ["spaces"], "spaces": []}
    assert house.forbidden() == []
    assert house.circle() == []
    assert house.longest_chain() == [
        "weaknas.runs.runner", "weaknas.search._base", "weaknas.spaces._base", "weaknas.errors",
    ]  # fmt: skip


PLANTS = {
    "at the top": "from weaknas.runs.journal import Journal",
    "by its module": "import weaknas.runs.journal",
    "in a function": "def f():\n    from weaknas.runs import journal",
    "for types": "if TYPE_CHECKING:\n    import weaknas.runs.journal",
}


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_a_forbidden_import_is_found(build, plant):
    house = build(journal="", errors="", _base=plant)
    assert house.forbidden() == [
        "weaknas.search._base imports weaknas.runs.journal, and search may not import runs",
        "weaknas.spaces._base imports weaknas.runs.journal, and spaces may not import runs",
    ]


def test_what_is_private_to_a_wing_is_imported_by_no_other(build):
    house = build(runner="from weaknas.search._base import Search, _draw", journal="")
    assert house.trespasses() == [
        f"weaknas.runs.runner imports weaknas.search._base.{name}, private to search"
        for name in ("Search", "_draw")
    ]
    assert build(_base="from weaknas.search import _base").trespasses() == [
        "weaknas.spaces._base imports weaknas.search._base, private to search"
    ]


def test_a_wing_without_a_place_may_import_nothing(build, tmp_path):
    build()
    (tmp_path / "weaknas" / "loft.py").write_text("import weaknas.errors, weaknas.search._base")
    assert script.House(tmp_path).forbidden() == [
        "weaknas.loft imports weaknas.search._base, and loft may not import search"
    ]


@pytest.mark.parametrize("plant", ["import weaknas.runs.runner", PLANTS["in a function"]])
def test_a_circle_is_found(build, plant):
    circle = build(journal=plant.replace("journal", "runner")).circle()
    assert set(circle) == {"weaknas.runs.journal", "weaknas.runs.runner"}


def test_a_longer_chain_is_found(build):
    chain = build(journal="from weaknas.search import Search").longest_chain()
    assert len(chain) == 5
    assert chain[:2] == ["weaknas.runs.runner", "weaknas.runs.journal"]


def test_abilities_are_types():
    """Less than one question for an attribute by its name in 1,000 lines."""
    folders = [ROOT / name for name in ("weaknas", "encoders", "predictors", "spaces")]
    texts = [path.read_text() for folder in folders for path in folder.rglob("*.py")]
    asked = sum(len(re.findall(r"\b(?:has|get)attr\(", text)) for text in texts)
    assert asked < sum(text.count("\n") for text in texts) / 1000
