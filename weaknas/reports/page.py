"""A self-contained HTML page of tables and figures."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Literal, TypeAlias

from weaknas.files import write_atomically
from weaknas.reports import plots

#: Of the files beside a page: figures as one of three, and the tables for LaTeX.
Form: TypeAlias = Literal["png", "svg", "pdf", "latex"]

_TEMPLATE = Path(__file__).with_name("report.html")
_SORT = Path(__file__).with_name("sort.js")
_LONG = 30  # characters of a cell that may be broken into lines
_SEPARATOR = re.compile(r"([:=]|,(?! ))(?=\S)")  # after which a name may be broken
_ESTIMATE = re.compile(r"(\S+) (\(\S+ to \S+\))")
_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


@dataclass
class Page:
    """What a report shows, in order.

    Parameters
    ----------
    title : str
    facts : dict of str to str
        Command, versions and the like.
    sections : list of (heading, HTML)
    figures : dict of str to figure
        By file name; a section refers to one by `figure`.
    tables : list of (heading, columns, rows)
    """

    title: str
    facts: dict[str, str]
    sections: list[tuple[str, str]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    tables: list[tuple[str, Sequence[str], list[Sequence[str]]]] = field(default_factory=list)

    def add_table(self, heading: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table; cells are plain text."""
        lines = list(rows)
        self.tables.append((heading, head, lines))
        columns = zip(*lines, strict=True) if lines else ([] for _ in head)
        marks = [' class="long"' if _is_long(column) else "" for column in columns]
        marks[:1] = [""]
        cells = "".join(
            f"<th{mark}>{escape(name)}</th>" for name, mark in zip(head, marks, strict=True)
        )
        body = "".join(f"<tr>{_name(row[0])}{_cells(row, marks)}</tr>" for row in lines)
        html = f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"
        self.sections.append((heading, f'<div class="wide">{html}</div>'))

    def add_text(self, text: str) -> None:
        """Add a paragraph to the last section."""
        heading, html = self.sections.pop()
        self.sections.append((heading, f"{html}<p>{escape(text)}</p>"))

    def add_figure(self, heading: str, name: str, figure: Any, caption: str) -> None:
        """Add a figure and what it shows."""
        self.figures[name] = figure
        self.sections.append(
            (
                heading,
                f'<figure><img alt="{escape(heading)}" src="figure:{name}">'
                f"<figcaption>{escape(caption)}</figcaption></figure>",
            )
        )

    def write(self, path: Path, forms: Sequence[Form] = ("png", "svg")) -> None:
        """Write the page, images inlined, and the figures and tables as files beside it."""
        folder = path.with_name(f"{path.stem}-figures")
        body = "".join(f"<h2>{escape(head)}</h2>{html}" for head, html in self.sections)
        drawn = [form for form in forms if form in ("svg", "pdf")]
        for name, figure in self.figures.items():
            plots.save(figure, folder / name, drawn)
            image = plots.to_png(figure)
            if "png" in forms:
                _write(folder / f"{name}.png", image)
            data = base64.b64encode(image).decode()
            body = body.replace(f'src="figure:{name}"', f'src="data:image/png;base64,{data}"')
        if "latex" in forms:
            for number, table in enumerate(self.tables, start=1):
                _write(folder / f"table-{number}.tex", _latex(*table))
        facts = "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in self.facts.items()
        )
        text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
            title=escape(self.title),
            body=body,
            facts=facts,
            script=_SORT.read_text(encoding="utf-8"),
        )
        _write(path, text)


def in_words(settings: Any) -> str:
    """Return settings, as runs describe themselves, as words; what is not set is left out.

    Examples
    --------
    >>> in_words({"strategy": "WeakNAS", "predictor": {"name": "Ridge", "parameters": {"a": 2}}})
    'WeakNAS, predictor Ridge (a 2)'
    """
    if isinstance(settings, Mapping):
        named = settings.get("name") or settings.get("strategy") or settings.get("evaluator")
        rest = {k: v for k, v in settings.items() if k not in ("name", "strategy", "evaluator")}
        own = rest.pop("parameters", {}) if set(rest) == {"parameters"} else {}
        told = _pairs(own)
        if named is None or rest:
            return ", ".join([in_words(named)] * (named is not None) + _pairs(rest))
        return f"{named} ({', '.join(told)})" if told else str(named)
    if isinstance(settings, list | tuple):
        return " + ".join(map(in_words, settings)) or "none"
    if isinstance(settings, bool):
        return "yes" if settings else "no"
    return f"{settings:g}" if isinstance(settings, float) else str(settings)


def join_pairs(values: Mapping[str, str]) -> str:
    """Return names, each with its value, in a row: versions and the like."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def number_or_dash(value: float | None, form: str) -> str:
    """Return a number in a format, a dash where none is known."""
    return "-" if value is None else format(value, form)


def range_or_dash(ends: Sequence[float | None], form: str) -> str:
    """Return an interval, its ends in a format, a dash where an end is not known."""
    low, high = ends
    return "-" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def _pairs(settings: Mapping[str, Any]) -> list[str]:
    return [
        f"{name.replace('_', ' ')} {in_words(value)}"
        for name, value in settings.items()
        if value is not None
    ]


def _is_long(cells: Iterable[str]) -> bool:
    return any(len(cell) > _LONG and not _ESTIMATE.fullmatch(cell) for cell in cells)


def _name(text: str) -> str:
    """Return the first cell of a row, which may be broken between its parts."""
    broken = _SEPARATOR.sub(r"\1<wbr>", escape(text))
    return f"<td>{broken}</td>"


def _cells(row: Sequence[str], marks: Sequence[str]) -> str:
    """Return the other cells; the interval of an estimate is in a line of its own."""
    found = [_ESTIMATE.fullmatch(text) for text in row]
    texts = [
        f"{escape(match[1])}<small> {escape(match[2])}</small>" if match else escape(text)
        for text, match in zip(row, found, strict=True)
    ]
    cells = zip(texts[1:], marks[1:], strict=True)
    return "".join(f"<td{mark}>{text}</td>" for text, mark in cells)


def _latex(heading: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""Return a table for LaTeX's package booktabs, to be read by ``\input``."""
    lines = [" & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in row) for row in rows]
    columns = "".join("l" if _is_long(column) else "r" for column in zip(*rows, strict=True))
    columns = "l" + (columns or "r" * len(head))[1:]
    names = " & ".join("".join(_LATEX.get(c, c) for c in name) for name in head)
    body = "".join(f"{line} \\\\\n" for line in lines)
    return (
        f"% {heading}; needs \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n"
        f"{names} \\\\\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"
    )


def _write(path: Path, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    write_atomically(path, lambda part: part.write_bytes(data))
