"""`fastgrad explore` and `fastgrad playground`: pages in which the engine runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from fastgrad.engine import Value
from fastgrad.errors import ProgramError, explain, show
from fastgrad.tape import Tape, load_tape

__all__ = ["run_explore", "run_playground"]

PROGRAMS = (".py", ".ipynb")


def run_explore(program: str, arguments: Sequence[str], root: str | None, out: str) -> int:
    """Run a program, or load a tape, and write an explorer of what it has computed.

    Parameters
    ----------
    program : str
        A Python file, a notebook, or a tape's file.
    arguments : sequence of str
        The program's `sys.argv[1:]`.
    root : str or None
        Name in the program of the Value or tape; None: the last one that it names.
    out : str
        Path of the page.

    Returns
    -------
    int
        Exit status: 0, or that of a program that has failed.

    Raises
    ------
    ProgramError
        If the program has no such Value or tape, or a file cannot be read or written.
    FastgradError
        What `fastgrad.explore` and `fastgrad.load_tape` raise.
    """
    from fastgrad.command.runner import run_script
    from fastgrad.pages.explorer import explore

    try:
        if program.endswith(PROGRAMS):
            status = run_script(program, arguments)
            if status:
                return status
            found = _root_of(vars(sys.modules["__main__"]), root, program)
        else:
            found = load_tape(program)
        explore(found, out)
    except OSError as error:
        raise ProgramError(explain("a file to read or write", f"{error}", "explore")) from error
    print(f"{out}: {os.path.getsize(out):,} bytes")
    return 0


def run_playground(out: str) -> int:
    """Write the playground.

    Parameters
    ----------
    out : str
        Path of the page.

    Returns
    -------
    int
        0.

    Raises
    ------
    ProgramError
        If the file cannot be written.
    """
    from fastgrad.pages.playground import playground

    try:
        playground(out)
    except OSError as error:
        raise ProgramError(explain("a file to write", f"{error}", "playground")) from error
    print(f"{out}: {os.path.getsize(out):,} bytes")
    return 0


def _root_of(names: dict[str, Any], root: str | None, program: str) -> Value | Tape:
    """Return what to explore."""
    if root is not None:
        if not isinstance(names.get(root), Value | Tape):
            got = f"{show(names[root])}" if root in names else f"no name {root!r}"
            raise ProgramError(explain("a Value or a tape", got, f"{program}, --root"))
        found: Value | Tape = names[root]
        return found
    made = [v for v in names.values() if isinstance(v, Tape) or (isinstance(v, Value) and v._op)]
    if not made:
        remedy = "give the result a name at the top level of the program"
        raise ProgramError(explain("a Value or a tape", "none", program, remedy))
    last: Value | Tape = made[-1]
    return last
