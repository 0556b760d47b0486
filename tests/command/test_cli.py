"""The command line itself: help, wrong options, `info`.

`run` and `demo` have files of their own.
"""

import importlib
import json
import os
import re
import subprocess
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


@pytest.mark.parametrize("words", [["info"], ["info", "--json"], ["--help"], ["run", "--help"], []])
def test_command_whose_reader_has_gone_ends_quietly(words):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        command = [sys.executable, "-m", "fastgrad", *words]
        done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    statuses = (141,) if "info" in words else (0, 141)  # argparse passes over what its help meets
    assert done.returncode in statuses, done.stderr
    assert done.stderr == ""


def test_broken_pipe_of_a_command_leaves_standard_output_to_nobody(monkeypatch, tmp_path):
    class Gone:
        def write(self, text):
            raise BrokenPipeError

        def fileno(self):
            return file.fileno()

    with (tmp_path / "file").open("w") as file:
        monkeypatch.setattr(sys, "stdout", Gone())
        assert cli.main(["info"]) == 141
        file.write("dropped")
    assert (tmp_path / "file").read_text("utf-8") == ""


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        *(
            ("--spacing", text, "a number from 0.001 to 1")
            for text in ("nan", "inf", "0", "2", "x")
        ),
        *(
            ("--seed", text, "a whole number from 0 to 4294967295")
            for text in ("-1", "1.5", "9" * 5000)
        ),
        *(("--steps", text, "a whole number from 1 to 1000000000") for text in ("0", "9" * 11)),
    ],
)
def test_number_that_demo_cannot_use_is_refused(option, text, expected, capsys):
    with pytest.raises(SystemExit):
        cli.main(["demo", f"{option}={text}"])
    assert f"argument {option}: expected {expected}, got '{text[:20]}" in capsys.readouterr().err


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


@pytest.mark.parametrize("name", ["makemore", "microgpt"])
def test_reader_that_has_gone_is_no_error_of_a_file(name, monkeypatch):
    def write_to_nobody(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr(f"fastgrad.command.{name}.run_{name}", write_to_nobody)
    given = cli._parser().parse_args([name])
    given.program = []
    with pytest.raises(BrokenPipeError):
        given.call(given)
