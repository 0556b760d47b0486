"""Playground: a page in which a network of one's choice learns to tell two classes of points."""

from __future__ import annotations

import os

from fastgrad.pages.page import Page, filled
from fastgrad.rules import rows

__all__ = ["playground"]


def playground(path: str | os.PathLike[str] | None = None) -> Page:
    """Make the playground: one HTML file in which fastgrad's engine trains, as WebAssembly.

    Parameters
    ----------
    path : path, optional
        Also write the page to this file.

    Returns
    -------
    Page
        With ``.html`` and ``.save(path)``; it shows itself in notebooks.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    defaults = {row.name: {hyper.name: hyper.default for hyper in row.hyper} for row in rows()}
    page = filled("playground.html", "fastgrad playground", {"optimizers": defaults})
    if path is not None:
        page.save(path)
    return page
