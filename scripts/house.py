"""Measure which files of weaknas import which, wing by wing, and draw the house.

Every ``import`` counts, those inside functions and those for types alone too. A name that
the ``__init__`` of a folder hands on belongs to the file that defines it.

    python scripts/house.py                       # wings, a circle, the longest chain
    python scripts/house.py --svg docs/house.svg  # the picture; needs matplotlib
"""

from __future__ import annotations

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parent.parent

#: Folders that stand beside weaknas and are imported as weaknas.spaces and so on.
BESIDE = ("spaces", "encoders", "predictors")

#: The floor on which all wings stand: every file may import these.
FOUNDATION = ("errors", "version", "files", "components")

#: What a user calls: imports what it hands on when that is used, and is imported by nothing.
ROOF = ("weaknas", "cli", "__main__")

#: Which wing may import which, beside itself and the foundation.
MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "errors": (),
    "version": (),
    "files": (),
    "components": (),
    "spaces": (),
    "predictors": (),
    "registry": ("spaces",),
    "encoders": ("spaces",),
    "costs": ("spaces", "encoders"),
    "strategies": ("spaces",),
    "search": ("spaces", "predictors", "registry", "encoders", "strategies"),
    "training": ("spaces", "registry"),
    # What strategies draw and learn by: samplers train supernets with it.
    "supernets": ("spaces", "strategies", "training"),
    "evaluators": ("spaces", "encoders", "training", "supernets"),
    "testing": ("spaces", "evaluators"),
    "execution": ("spaces", "evaluators"),
    "runs": ("spaces", "registry", "costs", "strategies", "search", "evaluators", "execution"),
    "optuna_bridge": (
        "spaces", "registry", "encoders", "predictors", "strategies", "search", "runs",
    ),
    "laboratory": (
        "spaces", "predictors", "registry", "strategies", "search", "evaluators", "runs",
    ),
    "reports": ("spaces", "registry", "strategies", "search", "runs", "laboratory"),
    "commands": (
        "spaces", "registry", "costs", "strategies", "training", "supernets", "evaluators",
        "execution", "runs", "optuna_bridge", "laboratory", "reports",
    ),
    "cli": (),
    "__main__": ("cli",),
    "weaknas": (
        "spaces", "registry", "strategies", "search", "evaluators", "runs", "optuna_bridge",
    ),
}  # fmt: skip

Wings: TypeAlias = Mapping[str, set[str]]


class House:
    """The files of a source tree and what they import.

    Parameters
    ----------
    root : path
        Of the repository.

    Attributes
    ----------
    files : dict of str to Path
        The file of each module.
    imports : dict of str to set of str
        The modules that each module imports.
    docstrings : dict of str to str
        What each module says of itself.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.files = _find_modules(root)
        trees = {name: ast.parse(file.read_text()) for name, file in self.files.items()}
        self.docstrings = {name: ast.get_docstring(tree) or "" for name, tree in trees.items()}
        self._statements = {name: list(_import_statements(tree)) for name, tree in trees.items()}
        self.imports = {name: set(self._imported(name)) - {name} for name in self.files}

    def wings(self) -> dict[str, set[str]]:
        """Return the wings that each wing imports."""
        found: dict[str, set[str]] = defaultdict(set)
        for module, others in sorted(self.imports.items()):
            found[wing_of(module)] |= {wing_of(other) for other in others} - {wing_of(module)}
        return dict(found)

    def arrows(self) -> dict[str, list[str]]:
        """Return the wings that each wing stands on: what it imports, less what that implies.

        Roof and foundation are left out.
        """
        wings = {
            wing: others - {*FOUNDATION}
            for wing, others in self.wings().items()
            if wing not in (*FOUNDATION, *ROOF)
        }
        below: dict[str, set[str]] = {}
        for wing in TopologicalSorter(wings).static_order():
            below[wing] = wings[wing].union(*(below[other] for other in wings[wing]))
        return {
            wing: sorted(others.difference(*(below[other] for other in others)))
            for wing, others in sorted(wings.items())
        }

    def forbidden(self) -> list[str]:
        """Return the imports that `MAY_IMPORT` does not allow, one sentence each."""
        return [
            f"{module} imports {other}, and {wing_of(module)} may not import {wing_of(other)}"
            for module, others in sorted(self.imports.items())
            for other in sorted(others)
            if wing_of(other)
            not in (wing_of(module), *FOUNDATION, *MAY_IMPORT.get(wing_of(module), ()))
        ]

    def trespasses(self) -> list[str]:
        """Return the imports of files and names with an underscore by another wing."""
        return [
            f"{module} imports {origin}.{name}, private to {wing_of(origin)}"
            for module, statements in sorted(self._statements.items())
            for origin, name, _ in statements
            if origin in self.files
            and wing_of(origin) != wing_of(module)
            and any(_is_private(part) for part in (*origin.split("."), name))
        ]

    def circle(self) -> list[str]:
        """Return modules each of which imports the one before, the first the last; or none."""
        try:
            TopologicalSorter(self.imports).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]
            return circle
        return []

    def longest_chain(self) -> list[str]:
        """Return modules each of which imports the next, as many as there are in a row.

        Raises
        ------
        CycleError
            When there is a circle.
        """
        chains: dict[str, list[str]] = {}
        for module in TopologicalSorter(self.imports).static_order():
            below = max((chains[other] for other in self.imports[module]), key=len, default=[])
            chains[module] = [module, *below]
        return max(chains.values(), key=len)

    def summary(self, wing: str) -> str:
        """Return what a wing is, in a few words."""
        docstring = self.docstrings["weaknas" if wing == "weaknas" else f"weaknas.{wing}"]
        words = docstring.partition(".\n")[0].removeprefix(f"{wing.capitalize()}: ")
        return words[:1].upper() + words[1:]

    def _imported(self, module: str) -> Iterator[str]:
        for origin, name, _ in self._statements[module]:
            if origin in self.files:
                yield self._home(origin, name) if name else origin

    def _home(self, module: str, name: str) -> str:
        """Return the module that defines what is imported from another."""
        if f"{module}.{name}" in self.files:
            return f"{module}.{name}"
        if self.files[module].name == "__init__.py":
            for origin, original, alias in self._statements[module]:
                if alias == name and origin in self.files:
                    return self._home(origin, original)
        return module


def _import_statements(tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    """Yield module, name and alias of all that is imported; of whole modules no names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "", "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.module, alias.name, alias.asname or alias.name


def wing_of(module: str) -> str:
    """Return the folder, or the file at the root of weaknas, that a module is in."""
    return [*module.split("."), "weaknas"][1]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _find_modules(root: Path) -> dict[str, Path]:
    found = {}
    for folder in ("weaknas", *BESIDE):
        for file in sorted((root / folder).rglob("*.py")):  # follows no links
            parts = file.relative_to(root).with_suffix("").parts
            parts = parts if folder == "weaknas" else ("weaknas", *parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def main() -> None:
    """Print the measures, and draw the picture where a file for it is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the wings")
    options = parser.parse_args()
    house = House()
    wings, circle = house.wings(), house.circle()
    for wing in sorted(wings):
        print(f"{wing:14}", *sorted(wings[wing]))
    for sentence in [*house.forbidden(), *house.trespasses()]:
        print(sentence)
    if circle:
        print("a circle:", *circle, sep="\n  ")
    else:
        chain = house.longest_chain()
        print(f"the longest chain, {len(chain)} files:", *chain, sep="\n  ")
    if options.svg:
        from _house_picture import draw

        draw(
            options.svg,
            house.arrows(),
            {wing: house.summary(wing) for wing in wings},
            f"{' · '.join(FOUNDATION)}\nwhat every file may import",
            f"{' · '.join(ROOF)}\nwhat a user calls: imports the wings when they are used",
        )


if __name__ == "__main__":
    main()
