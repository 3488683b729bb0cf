"""A self-contained HTML page of tables and figures."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from weaknas.files import write_atomically
from weaknas.reports import plots

_TEMPLATE = Path(__file__).with_name("report.html")


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
    """

    title: str
    facts: dict[str, str]
    sections: list[tuple[str, str]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add_table(self, heading: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table; cells are plain text."""
        cells = "".join(f"<th>{escape(name)}</th>" for name in head)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
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

    def write(self, path: Path) -> None:
        """Write the page, images inlined, and the figures as files beside it."""
        folder = path.with_name(f"{path.stem}-figures")
        body = "".join(f"<h2>{escape(head)}</h2>{html}" for head, html in self.sections)
        for name, figure in self.figures.items():
            plots.save(figure, folder / name)
            data = base64.b64encode((folder / f"{name}.png").read_bytes()).decode()
            body = body.replace(f'src="figure:{name}"', f'src="data:image/png;base64,{data}"')
        facts = "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in self.facts.items()
        )
        text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
            title=escape(self.title), body=body, facts=facts
        )
        write_atomically(path, lambda part: _write(part, text))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
