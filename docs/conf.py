"""Sphinx's settings. `make docs` runs it on build/docs, where docs/sources.py has put the pages."""

import re
import sys
from pathlib import Path

import fastgrad

sys.path.insert(0, str(Path(__file__).parent))  # for sources.gallery_order

project = "fastgrad"
author = copyright = "The fastgrad authors"
version = release = fastgrad.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["examples"]  # the gallery has them
default_role = "literal"
suppress_warnings = ["myst.header"]  # the sections of operations.md are small ones
myst_heading_anchors = 4  # GitHub's: what links to a heading there does so here

autodoc_typehints = "none"  # docstrings say the types, and more
autodoc_member_order = "groupwise"
autodoc_default_options = {  # scikit-learn makes these, with links into its own site
    "exclude-members": "set_fit_request,set_partial_fit_request,set_score_request"
}
numpydoc_show_class_members = False  # autodoc lists them

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/(?!digits)\w+\.py$",  # digits takes six seconds: shown, not run
    "within_subsection_order": "sources.gallery_order",
    "write_computation_times": False,  # another page each time
    "download_all_examples": False,
    "show_signature": False,
    "image_scrapers": (),
    "abort_on_example_error": True,
}

html_theme = "furo"
html_title = f"fastgrad {release}"
html_extra_path = ["whole"]  # files that are pages by themselves
html_copy_source = html_show_sourcelink = False


def setup(app):
    """Let docstrings say |a| and **keywords, which reStructuredText would take for markup."""
    signs = re.compile(
        r"(``(?:.|\n)*?``|`[^`]*`|^ *>>>.*)|(\||\*+)(?=\w)|(?<=\w)(\|)", re.MULTILINE
    )

    def escape(*event):
        lines = event[-1]
        text = signs.sub(lambda m: m[1] or f"\\{m[0]}", "\n".join(lines))
        lines[:] = text.split("\n")

    app.connect("autodoc-process-docstring", escape, priority=100)  # before numpydoc's own markup
