"""Every public call with odd arguments: an error says what was expected, what came and where.

Oracles: the form of the messages; what Python itself says of operators and of calls. The functions
of rows and batches (`fastgrad.formulas`) have their own.
"""

import collections
import contextlib
import decimal
import fractions
import inspect
import io
import math
import operator
import warnings

import pytest
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value, functional, nn, ops, optim
from fastgrad.command import cli, demo
from fastgrad.command.bench import table
from fastgrad.errors import FastgradError

np = pytest.importorskip("numpy")

W = Value(2.0)
TAPE = fg.record(lambda x: W * x, 1.0)
PAIR = fg.record(lambda x, y: W * x[0] + x[1] * y, [1.0, 2.0], 1.0)
FILE = TAPE.__reduce__()[1][0]
doubled = fg.custom("doubled")(lambda x: 2 * x).partials(lambda x, y: 2.0)


class Unshown:
    def __repr__(self):
        raise LookupError("no repr")


def odd_arguments():
    """Yield (name, argument), each new: what a call does to one is not seen by the next."""
    inside = []
    inside.append(inside)
    yield from {
        "None": None, "nan": math.nan, "inf": math.inf, "0": 0, "-1": -1, "0.5": 0.5, "True": True,
        "10**400": 10**400, "10**5000": 10**5000, "2**62": 2**62, "2**63": 2**63,
        "-2**63": -(2**63),
        "text": "a", "empty text": "", "bytes": b"x", "[]": [], "()": (), "{}": {},
        "[None]": [None],
        "[[]]": [[]], "[nan]": [math.nan], "ragged": [[1.0], [1.0, 2.0]], "set": {1.0},
        "generator": (x for x in [1.0]), "range": range(3), "object": object(),
        "no repr": Unshown(),
        "a type": int, "complex": 1j, "fraction": fractions.Fraction(1, 3), "inside": inside,
        "decimal": decimal.Decimal("1.5"), "Value": Value(2.0), "Values": [Value(1.0), Value(2.0)],
        "a number as array": np.array(1.0), "no numbers": np.array([]), "a table": np.ones((2, 3)),
        "objects": np.array([None, "a"], dtype=object), "texts": np.array(["a", "b"]),
        "complex array": np.array([1j]), "dates": np.array(["2020-01-01"], dtype="M8[D]"),
        "bools": np.array([True, False]), "records": np.zeros(2, dtype=[("a", float)]),
        "masked": np.ma.array([1.0, 2.0], mask=[1, 0]), "float16": np.float16(1), "tape": TAPE,
        "a module": math, "ellipsis": ..., "slice": slice(None), "NotImplemented": NotImplemented,
    }.items()  # fmt: skip


def option(call, name, *args):
    return lambda x: call(*args, **{name: x})


def method(name):
    return lambda *args: getattr(W * 1, name)(*args)


def attribute(name):
    return lambda x: setattr(W * 1, name, x)


def optimizer_calls(cls):
    for parameter in inspect.signature(cls).parameters:
        if parameter != "params":
            yield f"{cls.__name__}({parameter}=)", option(cls, parameter, [W]), (0.1,)
    make = lambda: cls([W])  # noqa: E731
    yield cls.__name__, cls, ([W],)
    yield f"{cls.__name__}.load_state_dict", lambda x: make().load_state_dict(x), ({},)
    yield f"{cls.__name__}.add_param_group", lambda x: make().add_param_group(x), ({},)
    yield f"{cls.__name__}.step", lambda x: make().step(x), (None,)

    def after(name, x):
        optimizer = make()
        optimizer.param_groups[0][name] = x
        optimizer.step()

    for name in make().param_groups[0]:
        if name != "params":
            yield f"{cls.__name__}.{name} = ", (lambda x, name=name: after(name, x)), (0.1,)


def tape_calls(name, tape, args):
    for verb, options in {
        "__call__": ("threads", "check"), "backward": ("threads", "check", "reduce"),
        "value_and_grad": ("threads", "check", "reduce", "wrt"), "check": (),
    }.items():  # fmt: skip
        call = getattr(tape, verb)
        yield f"{name}.{verb}", call, args
        for one in options:
            yield f"{name}.{verb}({one}=)", option(call, one, *args), (1,)
    yield f"{name}.jvp", tape.jvp, (args, args)
    yield f"{name}.jvp(wrt=)", option(tape.jvp, "wrt", args, args), (1,)
    yield f"{name}.jvp(threads=)", option(tape.jvp, "threads", args, args), (1,)
    yield f"{name}.jvp of a tangent", lambda x: tape.jvp(args, (x, *args[1:])), (args[0],)
    yield f"{name} of a batch", lambda x: tape([x, x], *([y, y] for y in args[1:])), (args[0],)


def custom_of(result):
    made = fg.custom("made")(lambda x: result)
    return made.partials(lambda x, y: 1.0)


def calls(tmp_path):
    """Yield (name, call, arguments that are good)."""
    for row in ops.rows():
        for name in row.functions:
            call = getattr(functional, name)
            arity = 1 if row.folds else len(inspect.signature(call).parameters)
            yield f"functional.{name}", call, (0.5,) * arity
        for name in row.methods if not row.composite else ():
            yield f"v.{name}", method(name), (0.5,) * (row.arity - 1 + bool(row.parameter))
    for name in ("add", "sub", "mul", "truediv", "pow", "mod", "floordiv", "lt", "ge"):
        call = getattr(operator, name)
        yield f"v {name} x", lambda x, call=call: call(W, x), (1.0,)
        yield f"x {name} v", lambda x, call=call: call(x, W), (1.0,)
    yield "where", fg.where, (1.0, 2.0, 3.0)
    yield "Value", Value, (1.0, (), "")
    yield "v.backward", method("backward"), (1.0,)
    for name in ("data", "grad", "_backward", "_op", "_prev"):
        yield f"v.{name} = ", attribute(name), (1.0,)
    yield "Neuron", nn.Neuron, (2,)
    yield "Neuron(nonlin=)", option(nn.Neuron, "nonlin", 2), (True,)
    yield "Neuron(activation=)", option(nn.Neuron, "activation", 2), ("relu",)
    yield "Layer", nn.Layer, (2, 2)
    yield "MLP", nn.MLP, (2, [2, 1])
    for one in (nn.Neuron(2), nn.Layer(2, 2), nn.MLP(2, [2, 1])):
        yield f"{type(one).__name__.lower()}()", one, ([1.0, 2.0],)
    for name in ("SGD", "Adam", "RMSprop"):
        yield from optimizer_calls(getattr(optim, name))
    yield "record", fg.record, (abs, 1.0)
    for name in ("strict", "parameters", "check_at"):
        yield f"record({name}=)", option(fg.record, name, lambda v: v * 2, 1.0), ((),)
    yield "record of a result", lambda x: fg.record(lambda v: x, 1.0), (1.0,)
    yield from tape_calls("tape", TAPE, (1.0,))
    yield from tape_calls("pair", PAIR, ([1.0, 2.0], 1.0))
    yield "tape.parameters = ", lambda x: setattr(TAPE, "parameters", x), ((),)
    yield "save", TAPE.save, ("x.tape",)
    yield "load_tape", fg.load_tape, (tmp_path / "none.tape",)
    yield "loads_tape", fg.loads_tape, (FILE, None, ())
    for name in ("steps", "batch_size", "schedule", "reduce", "seed", "progress", "threads"):
        few = {"steps": 2, "optimizer": optim.SGD([W], lr=1e-9)}

        def fit(x, name=name, few=few):
            fg.fit(TAPE, [1.0, 2.0], **{**few, name: x})

        yield f"fit({name}=)", fit, (1,)
    yield "fit(optimizer=)", lambda x: fg.fit(TAPE, 1.0, optimizer=x, steps=1), (few["optimizer"],)
    yield "fit", lambda t, x: fg.fit(t, x, **few), (TAPE, [1.0])
    yield (
        "fit(schedule that gives)",
        lambda x: fg.fit(TAPE, 1.0, **few, schedule=lambda i: x),
        (0.1,),
    )
    yield "take", fg.take, ([1.0, 2.0], 0)
    yield "take by a Value", lambda x: fg.take(x, Value(0)), ([1.0],)
    yield "take on a tape", lambda x: fg.record(lambda i: fg.take([1.0, W], i), x), (0,)
    yield "custom", fg.custom, ("a",)
    yield "custom of a function", lambda x: fg.custom("a")(x), (len,)
    yield "partials", lambda x: fg.custom("a")(len).partials(x), (len,)
    yield "an operation", doubled, (1.0,)
    yield "what an operation gives", lambda x: custom_of(x)(W), (1.0,)
    yield "what an operation gives for a number", lambda x: custom_of(x)(1.0), (1.0,)
    yield (
        "partials given",
        lambda x: doubled.__copy__().partials(lambda *a: x)(W).backward(),
        (1.0,),
    )


PYTHON = (  # what Python, NumPy and a number's own __float__ say
    "unsupported operand type", "not supported between instances", "positional argument",
    "ufunc '", "string formatting", "bytes formatting", "integer division result too large",
    "bad operand type", "not all arguments converted", "keyword argument",
)  # fmt: skip
INTERNAL = (
    "C long", "C int", "C ssize_t", "has incorrect type", "ambiguous", "NoneType' object",
    "cannot be interpreted", "__pyx", "fastgrad._native", "Handle",
)  # fmt: skip


def fault_of(error):
    """Say what is wrong with an error, or return None."""
    message = str(error)
    own = isinstance(error, FastgradError) or message.startswith("expected ")
    if any(word in message for word in INTERNAL):
        return "names what is inside"
    if own and not message.startswith("expected "):
        return "does not say what was expected"
    if own or isinstance(error, OSError) or any(word in message for word in PYTHON):
        return None
    return "empty" if not message else "bare"


@pytest.mark.filterwarnings("ignore")
def test_odd_arguments_are_named_by_the_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some name a file
    wrong, tried = collections.defaultdict(list), 0
    for name, call, good in calls(tmp_path):
        for i in range(len(good)):
            for label, argument in odd_arguments():
                arguments = [*good[:i], argument, *good[i + 1 :]]
                tried += 1
                try:
                    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                        warnings.simplefilter("ignore")
                        call(*arguments)
                except Exception as error:
                    if fault := fault_of(error):
                        told = f"{type(error).__name__}: {error}"
                        wrong[f"{name}, argument {i}"].append(f"{label}: {fault}: {told:.120}")
    tally("messages: public calls with odd arguments", tried)
    assert not wrong, "\n".join(f"{key}: {value}" for key, value in wrong.items())


ODD_WORDS = ("", "nan", "-1", "0", "1e999", "9" * 5000, "x", "é", "a b", "=", ":")


def words_of_options():
    for command in cli.COMMANDS:
        if command.name == "makemore":  # which would train
            continue
        for names, settings in command.options:
            if settings.get("action") not in ("store_true", None, "append") or names == ("-m",):
                continue
            for word in ODD_WORDS:
                if not (command.name == "demo" and names[0] == "--output"):
                    yield [command.name, f"{names[0]}={word}"]
    yield from ([word] for word in ODD_WORDS)
    yield from (["bench", "--workloads", word] for word in ODD_WORDS)


@pytest.mark.parametrize(
    "words", [*words_of_options()], ids=lambda words: " ".join(words)[:40] or "''"
)
def test_odd_words_on_the_command_line_are_named(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # What is no error would take minutes.
    monkeypatch.setattr(demo, "run_demo", lambda **options: None)
    monkeypatch.setattr(table, "run_bench", lambda *options: None)
    try:
        status = cli.main(words)
    except SystemExit as end:
        status = end.code
    told = capsys.readouterr().err
    assert status in (0, 2)
    assert bool(told) == (status == 2)
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ValueError(), "empty"),
        (TypeError("no"), "bare"),
        (FastgradError("no"), "does not say what was expected"),
        (OverflowError("value too large to convert to C int"), "names what is inside"),
        (FastgradError("expected a, got b"), None),
        (ZeroDivisionError("expected a, got b"), None),
        (TypeError("unsupported operand type(s) for +"), None),
        (FileNotFoundError(2, "No such file"), None),
    ],
)
def test_fault_of_sees_each_kind(error, fault):
    assert fault_of(error) == fault
