"""Notebooks as programs: the code cells of an .ipynb file, in their order.

What is IPython's and not Python's (`%matplotlib inline`, `!pip install`, `help?`) is left out, with
a note.  A cell is compiled by itself, so that a traceback names the cell and the line in it.
"""

from __future__ import annotations

import ast
import json
import linecache
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING

from fastgrad.command.program import Source, parse
from fastgrad.errors import ProgramError, explain

if TYPE_CHECKING:
    from types import CodeType

__all__ = ["compile_cell", "read_notebook", "show_cells_in_tracebacks"]

_MAGIC = re.compile(r"(?P<indent>\s*)(?:[%!]|[\w., ]+=\s*[%!]\w|[\w.]+\?+\s*$|\?+[\w.]+\s*$)")
_OF_PYTHON = ("%%time", "%%timeit", "%%capture", "%%prun")  # cell magics whose cells are Python


def read_notebook(data: bytes, path: str) -> list[Source]:
    """Return the code cells of a notebook, parsed.

    Parameters
    ----------
    data : bytes
        The file: JSON of nbformat 3 or 4.
    path : str
        For messages and tracebacks.

    Raises
    ------
    ProgramError
        If it is no notebook, or one in another language.
    SyntaxError
        A cell's own.
    """
    shown = os.path.basename(path)
    try:
        book = json.loads(data)
        sheets = book.get("worksheets", [book])
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        language = book.get("metadata", {}).get("language_info", {}).get("name", "python")
        sources = [
            (number, "".join(cell["source"] if "source" in cell else cell["input"]))
            for number, cell in enumerate(cells, start=1)
            if cell["cell_type"] == "code"
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise ProgramError(explain("a notebook, JSON with cells", problem, shown)) from None
    if language != "python":
        raise ProgramError(explain("a notebook in Python", f"one in {language}", shown))
    return [_cell(text, f"{path}[cell {number}]") for number, text in sources]


def _cell(text: str, name: str) -> Source:
    if text.startswith("%%") and not text.startswith(_OF_PYTHON):
        _note(name, 1, text.splitlines()[0], "cell ")
        text = ""
    try:
        tree = parse(text, name)
    except SyntaxError:
        text = "\n".join(
            _without_magic(line, number, name)
            for number, line in enumerate(text.splitlines(), start=1)
        )
        tree = parse(text, name)
    # Tracebacks find the lines here, since there is no such file.
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    if text.rstrip().endswith(";") and tree.body and isinstance(tree.body[-1], ast.Expr):
        tree.body.append(ast.Pass(lineno=tree.body[-1].lineno, col_offset=0))  # shows nothing
        ast.fix_missing_locations(tree)
    return Source("", name, tree)


def _without_magic(line: str, number: int, name: str) -> str:
    match = _MAGIC.match(line)
    if match is None:
        return line
    _note(name, number, line.strip())
    return f"{match['indent']}pass"


def _note(name: str, number: int, line: str, what: str = "") -> None:
    text = f"{os.path.basename(name)}:{number}: {what}skipped, no Python: {line}"
    print(f"fastgrad: note: {text}", file=sys.stderr)


def show_cells_in_tracebacks() -> None:
    """Have uncaught exceptions shown with their lines; the interpreter looks for them in files."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = traceback.print_exception


def compile_cell(cell: Source) -> list[CodeType]:
    """Compile a cell; an expression at its end is shown, as notebooks do."""
    body = cell.tree.body
    if not body or not isinstance(body[-1], ast.Expr):
        return [compile(cell.tree, cell.path, "exec", dont_inherit=True)]
    last = ast.Interactive([body.pop()])
    return [
        compile(cell.tree, cell.path, "exec", dont_inherit=True),
        compile(last, cell.path, "single", dont_inherit=True),
    ]
