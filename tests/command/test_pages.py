"""`fastgrad explore`: a page of what a program has computed, or of a saved tape; the playground.

Oracle: the page that `fastgrad.explore` makes.
"""

import sys

import pytest

import fastgrad as fg
from fastgrad.command import cli

PROGRAM = """
import sys
from micrograd.engine import Value
a = Value(float(sys.argv[1]))
b = a * 3.0
loss = (b - 1.0) ** 2
number = 7
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    for name in [name for name in sys.modules if name.split(".")[0] == "micrograd"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def explored(*words):
    status = cli.main(["explore", *words])
    for name in [name for name in sys.modules if name.split(".")[0] == "micrograd"]:
        del sys.modules[name]
    return status


def test_program_is_run_and_its_last_result_shown(program, capsys):
    assert explored("program.py", "2.0") == 0
    assert capsys.readouterr().out.startswith("explorer.html: ")
    assert '"symbol":"**2"' in (program / "explorer.html").read_text("utf-8")


def test_root_names_another_result(program):
    assert explored("program.py", "2.0", "--root", "b", "--out", "b.html") == 0
    assert '"symbol":"**2"' not in (program / "b.html").read_text("utf-8")


def test_saved_tape_is_shown(program):
    fg.record(lambda x: x.tanh(), 0.5).save("tanh.tape")
    assert explored("tanh.tape") == 0
    assert '"op":"tanh"' in (program / "explorer.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["program.py", "2.0", "--root", "gone"], "got no name 'gone'"),
        (["program.py", "2.0", "--root", "number"], "got 7"),
        (["empty.py"], "expected a Value or a tape, got none"),
        (["gone.tape"], "a file to read or write"),
        (["program.py", "2.0", "--out", "no/where"], "a file to read or write"),
        (["empty.py.txt"], "empty.py.txt"),
    ],
)
def test_what_cannot_be_shown_is_an_error(words, said, program, capsys):
    (program / "empty.py").write_text("x = 1\n")
    (program / "empty.py.txt").write_text("x = 1\n")
    assert explored(*words) == 2
    assert said in capsys.readouterr().err


def test_program_that_fails_has_its_own_status(program, capsys):
    (program / "wrong.py").write_text("1 / 0\n")
    assert explored("wrong.py") == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_playground_is_written(program, capsys):
    assert cli.main(["playground"]) == 0
    assert capsys.readouterr().out.startswith("playground.html: ")
    assert "<title>fastgrad playground</title>" in (program / "playground.html").read_text("utf-8")
    assert cli.main(["playground", "--out", "no/where"]) == 2
