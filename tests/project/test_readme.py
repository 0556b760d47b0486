"""The README's programs print what it says they print; the docstrings' examples hold.

Oracle: the texts themselves.
"""

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest
from helpers.processes import python

README = Path(__file__).resolve().parents[2] / "README.md"
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def blocks():
    if not README.is_file():
        pytest.skip("no README beside the tests")
    return FENCE.findall(README.read_text("utf-8"))


@pytest.mark.wide
@pytest.mark.parametrize("line", ["MLP(3, [4, 4, 1]", "record(loss, "])
def test_the_longer_programs_print_their_answer(blocks, tmp_path, line):
    (at,) = [i for i, (_, text) in enumerate(blocks) if line in text]
    process = python("-c", blocks[at][1], cwd=tmp_path)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout == blocks[at + 1][1]


@pytest.mark.wide
def test_every_program_runs(blocks, tmp_path):
    programs = [text for language, text in blocks if language == "python"]
    assert len(programs) >= 3
    for text in programs:
        lines = text.splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        program = "\n".join(line[indent:] for line in lines)
        process = python("-W", "error", "-c", program, cwd=tmp_path)
        assert (process.returncode, process.stderr) == (0, ""), program


MODULES = ("engine", "nn", "operations", "errors", "functional", "optim", "tape", "training")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    module = import_module(f"fastgrad.{name}")
    failed, _ = doctest.testmod(module)
    assert failed == 0


def test_the_example_of_value():
    value = import_module("fastgrad.engine").Value
    test = doctest.DocTestParser().get_doctest(value.__doc__, {}, "Value", None, None)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
