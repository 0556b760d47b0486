"""The command line itself: help, wrong options, `info`.

`run` and `demo` have files of their own.
"""

import importlib
import json
import os
import re
import sys
from pathlib import Path

import pytest

import fastgrad
from fastgrad import engine
from fastgrad.command import cli


def test_no_command_prints_help(capsys):
    assert cli.main([]) == 0
    assert "--replace-class" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["-h"], ["run", "-h"], ["demo", "--help"], ["info", "-h"]])
def test_help_option_prints_usage_and_exits_with_0(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(words)
    assert exit_.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: ")
    assert "{" not in out, "a placeholder was not filled in"


@pytest.mark.parametrize("name", [command.name for command in cli.COMMANDS])
def test_command_has_a_test_and_a_line_in_the_documents(name):
    """What a new command needs besides its row."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "README.md").exists():
        pytest.skip("no source tree")
    called = re.compile(rf"""(?:\[|"fastgrad", )"{name}"[,\]]""")
    tests = [path.read_text("utf-8") for path in (root / "tests").glob("*/*.py")]
    assert any(map(called.search, tests)), f"test `fastgrad {name}` in tests/command"
    pages = [root / "README.md", *(root / "docs").glob("*.md")]
    documents = "".join(page.read_text("utf-8") for page in pages)
    assert f"python -m fastgrad {name}" in documents, "say what it is for in README.md or docs/"


def test_version_option_prints_the_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"fastgrad {fastgrad.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["walk"],
        ["info", "--yaml"],
        ["run", "--replace", "Value", "x.py"],
        ["demo", "--steps", "0"],
        ["demo", "--rounds", "x"],
    ],
)
def test_wrong_options_exit_with_2_and_an_error(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(words)
    assert exit_.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_info_prints_aligned_columns(capsys):
    assert cli.main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    column = lines[0].index(fastgrad.__version__)
    assert all(line[column - 2 : column] == "  " and line[column:] for line in lines)
    assert any(line.startswith("build.") for line in lines)
    assert any(line.startswith("arena.") for line in lines)


def test_info_with_json_prints_build_and_arena_facts(capsys):
    assert cli.main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["fastgrad"] == fastgrad.__version__
    assert facts["build"].keys() == engine.build_info().keys()
    assert facts["arena"].keys() == engine.arena_stats().keys()


def test_console_script_usage_shows_its_own_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [os.path.join("bin", "fastgrad")])
    assert cli.main() == 0
    assert capsys.readouterr().out.startswith("usage: fastgrad ")


def test_import_of_main_module_runs_nothing():
    assert importlib.import_module("fastgrad.__main__").main is cli.main
