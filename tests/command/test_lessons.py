"""python -m fastgrad lessons: what it lists, and what it has marimo serve.

Oracles: the files themselves; a stand-in for marimo that says how it was called.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fastgrad
from fastgrad.command import cli, lessons
from fastgrad.errors import MissingExtraError, ProgramError

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "lessons").glob("lesson_*.py"))

pytestmark = pytest.mark.skipif(not FILES, reason="no checkout")


@pytest.fixture(autouse=True)
def in_checkout(monkeypatch):
    """Look for lessons beside these tests: another build than the checkout's may be under test."""
    monkeypatch.setattr(fastgrad, "__file__", str(ROOT / "fastgrad" / "__init__.py"))


def test_lessons_are_listed_by_number(capsys):
    assert cli.main(["lessons"]) == 0
    titles = [ast.get_docstring(ast.parse(path.read_text("utf-8"))) for path in FILES]
    assert capsys.readouterr().out == "".join(f"{i}  {t}\n" for i, t in enumerate(titles, 1))
    assert len(titles) == 8


def test_a_lesson_is_served_on_this_machine_alone(monkeypatch, tmp_path, capfd):
    (tmp_path / "marimo.py").write_text(
        f"import sys\nassert {str(ROOT)!r} in sys.path\n"
        "print(*sys.argv[1:], sep='|')\nsys.exit(7)\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    assert cli.main(["lessons", "3", "--port", "4000"]) == 7
    expected = ["run", "--include-code", "--host", "127.0.0.1", "--port", "4000", str(FILES[2])]
    assert capfd.readouterr().out == "|".join(expected) + "\n"


def test_ctrl_c_ends_a_lesson(monkeypatch, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(lessons, "find_spec", lambda name: name)
    monkeypatch.setattr(subprocess, "call", interrupted)
    assert lessons.run_lessons(1) == 0


def test_lessons_say_what_is_missing(monkeypatch, tmp_path, capsys):
    with pytest.raises(ProgramError, match="expected a lesson from 1 to 8, got 9"):
        lessons.run_lessons(9)
    monkeypatch.setattr(lessons, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="expected marimo, got none"):
        lessons.run_lessons(1)
    monkeypatch.setattr(fastgrad, "__file__", str(tmp_path / "fastgrad" / "__init__.py"))
    with pytest.raises(ProgramError, match="expected a checkout with its folder lessons"):
        lessons.run_lessons()
    assert cli.main(["lessons"]) == 2
    assert "run it in a checkout" in capsys.readouterr().err
    assert sys.modules.get("marimo") is None
