"""``.. registered:: predictors``: everything with a name, documented from where it is defined."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

from weaknas import registry
from weaknas.errors import InputError


class Registered(Directive):
    """All names of a role; for one that cannot be imported here, why."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the documentation of each name."""
        role: registry.Registry = getattr(registry, self.arguments[0].upper())
        lines = [line for name in role.names() for line in _documentation(role, name)]
        content = nodes.Element()
        self.state.nested_parse(StringList(lines, source=f"<{role.kind}>"), 0, content)
        return content.children


def _documentation(role: registry.Registry, name: str) -> Iterator[str]:
    yield from (f".. rubric:: {name}", "")
    try:
        found = role.load(name)
    except (InputError, ImportError) as error:
        yield from (f"Not shown: {error}.", "")
        return
    found = getattr(found, "func", found)  # of a functools.partial
    path = f"{found.__module__}.{found.__qualname__}"
    if inspect.isclass(found):
        yield from (f".. autoclass:: {path}", "   :members:", "   :show-inheritance:", "")
    else:
        yield from (f".. autofunction:: {path}", "")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("registered", Registered)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
