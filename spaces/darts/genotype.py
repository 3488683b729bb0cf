"""The literature's text of a pair of cells, read without running it."""

from __future__ import annotations

import ast
from typing import Any, TypeAlias

from weaknas.errors import InputError

#: One cell: (operation, predecessor) of both inputs of each node, in order.
Cell: TypeAlias = list[tuple[str, int]]

#: Kinds of cells.
CELLS = ("normal", "reduce")
_FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
_CONCATENATED = [2, 3, 4, 5]
_LONGEST = 5000


def format_cells(cells: list[Cell]) -> str:
    """Return ``Genotype(normal=[...], normal_concat=range(2, 6), reduce=[...], ...)``."""
    normal, reduction = cells
    return (
        f"Genotype(normal={normal}, normal_concat=range(2, 6),"
        f" reduce={reduction}, reduce_concat=range(2, 6))"
    )


def parse_cells(text: str) -> list[Cell]:
    """Read the text of both cells; the concatenations may be lists too, or left out.

    Raises
    ------
    InputError
        When the text has another form or leaves nodes out of the concatenation.
    """
    values = _fields(text)
    for name in ("normal_concat", "reduce_concat"):
        if sorted(values.get(name, _CONCATENATED)) != _CONCATENATED:
            raise InputError(f"{name} is {values[name]}; the space concatenates {_CONCATENATED}")
    cells = []
    for name in ("normal", "reduce"):
        if name not in values:
            raise _malformed(text, f"{name} is missing")
        cells.append([_pair(text, pair) for pair in values[name]])
    return cells


def _fields(text: str) -> dict[str, list[Any]]:
    if len(text) > _LONGEST:
        raise _malformed(text[:40] + "...", f"it has {len(text)} characters")
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or ast.unparse(call.func) != "Genotype":
            raise _malformed(text, "it is no Genotype(...)")
        nodes: dict[str | None, ast.expr] = dict(zip(_FIELDS, call.args, strict=False))
        nodes |= {keyword.arg: keyword.value for keyword in call.keywords}
        unknown = [name for name in nodes if name not in _FIELDS]
        if unknown:
            raise _malformed(text, f"{unknown[0]} is no field of it")
        return {str(name): _literal(node) for name, node in nodes.items()}
    except InputError:
        raise
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise _malformed(text, str(error)) from error


def _literal(node: ast.expr) -> list[Any]:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "range":
        first, last = (ast.literal_eval(argument) for argument in node.args)
        return list(range(int(first), min(int(last), int(first) + 9)))
    return list(ast.literal_eval(node))


def _pair(text: str, pair: Any) -> tuple[str, int]:
    if isinstance(pair, tuple | list) and [type(part) for part in pair] == [str, int]:
        return pair[0], pair[1]
    raise _malformed(text, f"{pair!r} is no ('operation', input)")


def _malformed(text: str, why: str) -> InputError:
    short = " ".join(text.split())
    return InputError(
        f"malformed genotype {short[:200]!r}: {' '.join(why.split())}; the form is"
        " Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), reduce=[...],"
        " reduce_concat=range(2, 6))"
    )
