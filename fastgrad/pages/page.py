"""Page: one HTML file that has all it needs, made of the files beside this module."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from html import escape
from pathlib import Path
from typing import Any

from fastgrad.files.container import path_text, write_file

__all__ = ["Page"]

_FOLDER = Path(__file__).parent
_PART = re.compile(r"@@([\w.]+)@@")


class Page:
    """An HTML page that needs no other file, no server and no network.

    Attributes
    ----------
    html : str
        The whole file.
    """

    def __init__(self, html: str) -> None:
        self.html = html

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file, which appears complete or not at all.

        Raises
        ------
        FastgradTypeError
            If path is none.
        FastgradValueError
            If path is empty.
        OSError
            If the file cannot be written.
        """
        write_file(path_text(path), self.html.encode())

    def _repr_html_(self) -> str:
        """Show the page in a notebook, in a frame of its own."""
        frame = 'style="width:100%;height:640px;border:0" sandbox="allow-scripts"'
        return f'<iframe {frame} srcdoc="{escape(self.html)}"></iframe>'

    def __repr__(self) -> str:
        return f"<fastgrad page of {len(self.html):,} characters; .save(path) writes it>"


def _text(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def _engine() -> str:
    packed = gzip.compress((_FOLDER / "engine.wasm").read_bytes(), 9, mtime=0)
    return base64.b64encode(packed).decode()


def filled(template: str, title: str, data: Any) -> Page:
    """Return a page: its template with the files that it names, the engine and data put in.

    Data is JSON in an element of its own. What could end that element, or begin another, is written
    as an escape of JSON's, so no text in it is ever markup.
    """
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    parts = {"title": escape(title), "data": text, "engine": _engine()}
    licences = _text("THIRD_PARTY.txt")
    parts["licences"] = escape(licences)
    return Page(_PART.sub(lambda m: parts.get(m[1]) or _text(m[1]), _text(template)))
