"""Configuration of Sphinx; build with ``sphinx-build -W docs build/docs``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
# Small matrices: more threads are slower.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from sphinx import addnodes  # noqa: E402

import weaknas  # noqa: E402

project = "weaknas"
author = "The weaknas developers"
project_copyright = author
release = version = weaknas.__version__

extensions = [
    "cyclopts.sphinx_ext",
    "measured",
    "myst_parser",
    "registered",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_ext", "_templates"]
suppress_warnings = ["config.cache"]

html_theme = "furo"
html_title = "weaknas"
html_copy_source = False
html_static_path = ["_static", "../weaknas/reports/sort.js"]
html_css_files = ["pages.css"]
html_js_files = ["sort.js"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # types stand in the docstrings
autodoc_member_order = "bysource"
autosummary_generate = True
autosummary_imported_members = False
napoleon_google_docstring = False
napoleon_use_rtype = False

# Where the tables of measured results come from.
measured_results = str(HERE.parent / "scripts" / "results")

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("pictures.scrape",),
    "reset_modules": (),
    "reset_argv": "measured.quick_arguments",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 1,
}


def setup(app):  # noqa: D103
    app.connect("autodoc-skip-member", _skip)
    app.connect("doctree-read", _leave_words_alone)


def _skip(app, what, name, member, skip, options):
    """Leave out what scikit-learn adds to every estimator: ``set_fit_request`` and the like."""
    return True if name.startswith("set_") and name.endswith("_request") else skip


def _leave_words_alone(app, doctree):
    """Take "shape" in the type of a parameter for a word, not for an attribute of that name."""
    for node in list(doctree.findall(addnodes.pending_xref)):
        if node["reftarget"] == "shape":
            node.replace_self(node.children)
