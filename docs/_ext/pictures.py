"""Pictures of examples: what an example calls ``figure`` is shown below it, and on its card."""

from __future__ import annotations

from typing import Any

from sphinx_gallery.scrapers import figure_rst

from weaknas.reports import plots


def scrape(block: tuple[Any, ...], block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figure that a block of code has made, and return how it is shown."""
    figure = block_vars["example_globals"].pop("figure", None)
    if figure is None:
        return ""
    path = next(block_vars["image_path_iterator"])
    with open(path, "wb") as file:
        file.write(plots.to_png(figure))
    return str(figure_rst([path], gallery_conf["src_dir"]))
