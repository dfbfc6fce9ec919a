"""How Sphinx builds these pages: `make docs`, without a network; every warning is an error."""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

mpl.use("Agg")

project = "cogfit"
author = "The cogfit developers"
project_copyright = "2026, the cogfit developers. MIT licence"
release = installed_version("cogfit")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "examples"]
suppress_warnings = ["config.cache"]  # the gallery's settings hold a function

# Docstrings also name what has no page of its own: constants, attributes, modules, functions of inner floors
# (tests/project/test_docs.py looks whether those exist).
nitpicky = True
nitpick_ignore_regex = [
    (r"py:(data|mod|attr)", r".*"),
    (r"py:(func|class)", r"(cogfit|theory)\.\w+\.[\w.]+|span_of|Change"),
]

html_theme = "furo"
html_title = f"cogfit {release}"
html_copy_source = False

# The pages are written for GitHub as well: anchors are made as there.
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc says types in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False


def bare_figures(block: tuple[Any, ...], block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the pictures that cogfit and theory return: Figure objects that pyplot knows nothing of."""
    names = block_vars["example_globals"]
    found = [value for value in names.values() if isinstance(value, Figure) and not hasattr(value, "documented")]
    paths = []
    for figure in found:
        path = str(next(block_vars["image_path_iterator"]))
        figure.savefig(path, dpi=110)
        figure.documented = True  # type: ignore[attr-defined]
        paths.append(path)
    return figure_rst(paths, gallery_conf["src_dir"])


sphinx_gallery_conf = {
    "examples_dirs": ["examples/pitfalls", "examples/guides"],
    "gallery_dirs": ["generated/pitfalls", "generated/guides"],
    "filename_pattern": r"\.py$",
    "image_scrapers": (bare_figures,),
    "reset_modules": (),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "min_reported_time": 5,
    "show_memory": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "within_subsection_order": "FileNameSortKey",
}


def adapt(app: Any, docname: str, source: list[str]) -> None:
    """Turn what suits GitHub into what suits these pages: links to examples, and to files that have no page."""
    text = re.sub(r"\]\(examples/(\w+)/(\w+)\.py\)", r"](generated/\1/\2.rst)", source[0])
    text = re.sub(r"\]\(examples/(\w+)\)", r"](generated/\1/index.rst)", text)
    text = re.sub(r"\[([^\]]*)\]\(\.\./[^)]*(?:\.md|/[\w-]+)\)", r"\1", text)
    source[0] = text


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("source-read", adapt)
