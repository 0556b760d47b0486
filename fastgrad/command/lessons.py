"""Lessons: the notebooks of lessons/, served one at a time on this machine alone."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import fastgrad
from fastgrad.errors import MissingExtraError, ProgramError, explain

__all__ = ["run_lessons"]


def run_lessons(number: int | None = None, port: int = 2718) -> int:
    """Serve a lesson until somebody ends it, or list them.

    Parameters
    ----------
    number : int, optional
        Which one; without it all are listed.
    port : int
        Where it listens, on 127.0.0.1.

    Returns
    -------
    int
        Exit status.

    Raises
    ------
    ProgramError
        If there is no such lesson, or no folder of lessons: an installed wheel has none.
    MissingExtraError
        If marimo is not installed.
    """
    root = Path(fastgrad.__file__).resolve().parents[1]
    lessons = sorted((root / "lessons").glob("lesson_*.py"))
    if not lessons:
        expected, got = "a checkout with its folder lessons", f"{root}"
        raise ProgramError(explain(expected, got, "lessons", "run it in a checkout"))
    if number is None:
        for i, path in enumerate(lessons, 1):
            print(f"{i}  {ast.get_docstring(ast.parse(path.read_text('utf-8')))}")
        return 0
    if not 1 <= number <= len(lessons):
        raise ProgramError(explain(f"a lesson from 1 to {len(lessons)}", f"{number}", "lessons"))
    if find_spec("marimo") is None:
        remedy = "pip install '.[lessons]'"
        raise MissingExtraError(explain("marimo", "none", "lessons", remedy))
    command = ["run", "--include-code", "--host", "127.0.0.1", "--port", f"{port}"]
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        return subprocess.call(
            [sys.executable, "-m", "marimo", *command, str(lessons[number - 1])],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
    except KeyboardInterrupt:  # which ends marimo too
        return 0
