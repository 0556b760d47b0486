"""`run --replace-class`: programs that define `class Value` themselves, on fastgrad's.

Oracle: the same program with its own class, run by `python`.
"""

import re

import pytest
from helpers.processes import LECTURE, MICROGPT, assert_refused, python, run, write

from fastgrad import nn


@pytest.mark.parametrize("text", [LECTURE, MICROGPT], ids=["lecture", "microgpt"])
@pytest.mark.parametrize("as_module", [False, True], ids=["script", "module"])
def test_programs_with_their_own_value_compute_the_same(tmp_path, text, as_module):
    write(tmp_path / "program.py", text)
    program = ["-m", "program"] if as_module else ["program.py"]
    ours = run("--replace-class", "Value", *program, cwd=tmp_path)
    theirs = python(*program, cwd=tmp_path)
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout) != (0, "")
    assert "replaced by fastgrad.engine.Value" in ours.stderr


def test_says_what_it_replaced_and_what_is_lost(tmp_path):
    write(tmp_path / "lecture.py", LECTURE)
    lines = run("--replace-class=Value", "lecture.py", cwd=tmp_path).stderr.splitlines()
    first, second, third, lost = lines
    source = LECTURE.splitlines()
    start, end = map(int, re.fullmatch(r".*\(lecture\.py:(\d+)-(\d+)\).*", first).groups())
    assert first.endswith("replaced by fastgrad.engine.Value")
    assert source[start - 1] == "class Value:"
    assert source[end - 1].strip() == "self.data = data"
    assert f"lecture.py:{source.index('    @staticmethod') + 1}-" in second
    assert "class Value (lecture.py:" in third
    names = "Value.sparkle, Value.sparkles, Value.shine, Value.dull"
    assert lost.startswith(f"fastgrad: warning: fastgrad.engine.Value has no {names};")


def test_keeps_line_numbers_and_source_encoding(tmp_path):
    text = "# coding: latin-1\nclass Value:\n    '''\xe9'''\n\n1 / 0 # \xe9\n"
    (tmp_path / "script.py").write_bytes(text.encode("latin-1"))
    ours = run("--replace-class", "Value", "script.py", cwd=tmp_path)
    theirs = python("script.py", cwd=tmp_path)
    assert ours.stderr.partition("\n")[2] == theirs.stderr


def test_replaces_networks_too_and_says_how_they_differ(tmp_path):
    write(
        tmp_path / "nets.py",
        """
        class Value: pass
        if True:
            class MLP: pass
        match 1:
            case 1:
                class Layer: pass
        with open(__file__):
            class Neuron:
                def __eq__(self, other): return True
                __hash__ = None
        class Module: pass
        print(MLP.__module__, Layer.__module__, Neuron.__module__, Module.__module__)
        """,
    )
    names = ["Value", "MLP", "Layer", "Neuron"]
    options = [word for name in names for word in ("--replace-class", name)]
    process = run(*options, "nets.py", cwd=tmp_path)
    modules = [nn.MLP.__module__, nn.Layer.__module__, nn.Neuron.__module__, "__main__"]
    assert (process.returncode, process.stdout.split()) == (0, modules)
    assert process.stderr.count("replaced by") == 4
    assert process.stderr.count("ReLU in every layer but the last") == 3
    assert "fastgrad.nn.Neuron has no Neuron.__eq__;" in process.stderr


def test_warns_of_local_derivatives_passed_by_hand(tmp_path):
    write(
        tmp_path / "script.py",
        """
        class Value:
            def __init__(self, data, children=(), local_grads=()): pass
        def sin(x): return Value(0.5, (x,), (0.1,))
        def cos(x): return Value(0.5, (x,), local_grads=(0.1,))
        x = Value(1.0)
        y = Value(1.0, (x,))
        """,
    )
    process = run("--replace-class", "Value", "script.py", cwd=tmp_path)
    assert process.returncode == 0
    assert re.findall(r"script.py:(\d+): passes local_grads", process.stderr) == ["4", "5"]


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("class Other: pass\nclass Other: pass\n", "a program with the classes Other ("),
        ("def f():\n    class Value: pass\n", "a program without classes"),
        ("from micrograd.engine import Value\n", "imports its classes from micrograd"),
    ],
)
def test_refuses_a_class_that_is_not_there(tmp_path, text, got):
    write(tmp_path / "script.py", text)
    assert_refused(run("--replace-class", "Value", "script.py", cwd=tmp_path), "`class Value`", got)


def test_refuses_a_class_that_fastgrad_lacks(tmp_path):
    write(tmp_path / "script.py", "class Tensor: pass\n")
    process = run("--replace-class", "Tensor", "script.py", cwd=tmp_path)
    assert_refused(process, "one of Value, Module, Neuron, Layer, MLP, got 'Tensor'")


def test_refuses_to_replace_without_source(tmp_path):
    import py_compile

    source = write(tmp_path / "bare.py", "class Value: pass\nprint(Value.__module__)\n")
    py_compile.compile(str(source), cfile=str(tmp_path / "bare.pyc"))
    source.unlink()
    assert run("-m", "bare", cwd=tmp_path).stdout == "__main__\n"
    assert_refused(run("--replace-class", "Value", "-m", "bare", cwd=tmp_path), "source code")
