"""Messages name what the user wrote: a table of calls, each with what its error must name."""

import math
import pickle
from pathlib import Path

import pytest

import fastgrad as fg
from fastgrad import Value, functional, nn, optim, take
from fastgrad.errors import FastgradError
from fastgrad.files import tape_file
from fastgrad.files.container import FaultError
from fastgrad.models.makemore import Makemore
from fastgrad.tape import loads_tape

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path.relative_to(ROOT)
    for folder, suffix in (("fastgrad", "py"), ("src", "pyx"))
    for path in (ROOT / folder).rglob(f"*.{suffix}")
)

W = Value(2.0)
TAPE = fg.record(lambda x: W * x, 1.0)
QUOTIENT = fg.record(lambda x, y: W * x / y, 1.0, 1.0)
PAIR = fg.record(lambda x: W * x[0] + x[1], [1.0, 2.0])
INSIDE, KEYED = [], {}
INSIDE.append(INSIDE)
KEYED["k"] = KEYED


def fit(**options):
    fg.fit(TAPE, [1.0], **{"optimizer": optim.SGD([W]), **options})


def without_call():
    with fg.no_grad:
        pass


def setting(name, value):
    return lambda: setattr(Value(1.0), name, value)


class Unshown:
    def __repr__(self):
        raise LookupError("no repr")


@fg.custom("enormous")
def enormous(x):
    return 10**400


@enormous.partials
def enormous(x, y):
    return 10**400


NEW = fg.Tape.__new__(fg.Tape)
NO_INVERSE = "expected a divisor whose inverse fits a float, got 1e-320 .division"
ENORMOUS = "a number that fits a float, got int 1000"
DIVISION = "expected a divisor other than 0, got .*division by zero"
ENDLESS = "inside each other that end, got one that holds itself"
CALLS = {  # what is written: call, what must be named
    "functional.div(1, 0)": (lambda: functional.div(1, 0), DIVISION),
    "functional.div(v, 0)": (lambda: functional.div(W, 0), DIVISION),
    "functional.div(1, Value(0))": (lambda: functional.div(1, Value(0)), DIVISION),
    "v / 0": (lambda: W / 0, DIVISION),
    "v / Value(0)": (lambda: W / Value(0), DIVISION),
    "1 / Value(0)": (lambda: 1 / Value(0), DIVISION),
    "v / 1e-320": (lambda: W / 1e-320, NO_INVERSE),
    "1 / Value(1e-320)": (lambda: 1 / Value(1e-320), NO_INVERSE),
    "functional.div(1, 1e-320)": (lambda: functional.div(1, 1e-320), NO_INVERSE),
    "tape of a quotient": (lambda: QUOTIENT(Value(1.0), 1e-320), NO_INVERSE),
    "tape of a quotient by 0": (lambda: QUOTIENT(Value(1.0), 0.0), DIVISION),
    "v * 10**400": (lambda: W * 10**400, ENORMOUS),
    "Value(10**400)": (lambda: Value(10**400), ENORMOUS),
    "Value(10**5000)": (lambda: Value(10**5000), "that fits a float, got int <16610 bits>"),
    "functional.exp(10**400)": (lambda: functional.exp(10**400), ENORMOUS),
    "tape(10**400)": (lambda: TAPE(10**400), ENORMOUS),
    "custom result of 10**400": (lambda: enormous(W), ENORMOUS),
    "Value(one that has no repr)": (
        lambda: Value(Unshown()), "got Unshown .*Unshown.* .data of Value"),
    "functional.div('1', 2)": (lambda: functional.div("1", 2), "str '1' .operand of (div|mul)"),
    "functional.div(1, None)": (lambda: functional.div(1, None), "None .operand of div"),
    "functional.sub(1, None)": (lambda: functional.sub(1, None), "None .operand of sub"),
    "functional.sub(v, 'a')": (lambda: functional.sub(W, "a"), "str 'a' .operand of sub"),
    "functional.neg(None)": (lambda: functional.neg(None), "None .operand of neg"),
    "greater(1, None)": (lambda: functional.greater(1, None), "None .operand of greater"),
    "functional.greater(v, 'a')": (lambda: functional.greater(W, "a"), "'a' .operand of greater"),
    "functional.maximum(v, [])": (lambda: functional.maximum(W, []), "list .. .operand of maximum"),
    "functional.exp('1')": (lambda: functional.exp("1"), "str '1' .operand of exp"),
    "functional.log(0)": (lambda: functional.log(0), "got 0.0 .log"),
    "where(None, 1, 2)": (lambda: functional.where(None, 1, 2), "None .condition of where"),
    "Value('a')": (lambda: Value("a"), "str 'a' .data of Value"),
    "Value(itself)": (lambda: Value(INSIDE), "list .* .data of Value"),
    "v._backward = 5": (setting("_backward", 5), "a function .* got int 5 ._backward of Value"),
    "v._op = 3": (setting("_op", 3), "a str, got int 3 ._op of Value"),
    "v.data = None": (setting("data", None), "NoneType None .data of Value"),
    "with no_grad:": (without_call, r"expected no_grad\(\), got the class no_grad .with statement"),
    "fit(steps=None)": (lambda: fit(steps=None), "at least 0, got None .steps of fit"),
    "fit(steps=-1)": (lambda: fit(steps=-1), "got -1 .steps of fit"),
    "fit(steps=nan)": (lambda: fit(steps=math.nan), "got nan .steps of fit"),
    "fit(seed=-5)": (lambda: fit(seed=-5), "got -5 .seed of fit"),
    "fit(seed=1.5)": (lambda: fit(seed=1.5), "got 1.5 .seed of fit"),
    "fit(batch_size=0)": (lambda: fit(batch_size=0), "got 0 .batch_size of fit"),
    "fit(threads=0)": (lambda: fit(threads=0), "got 0 .threads of fit"),
    "fit(steps=2**63)": (lambda: fit(steps=2**63), "0 to 9223372036854775807, got 92.* .steps of"),
    "fit(threads=2**40)": (lambda: fit(threads=2**40), "1 to 2147483647, got 10.* .threads of fit"),
    "fit(ragged)": (lambda: fg.fit(
        PAIR, [[1.0, 2.0], [3.0]], optimizer=optim.SGD([W])), "got 1 where 2 .*x, sample 1"),
    "fit(reduce='max')": (lambda: fit(reduce="max"), "'max' .reduce of fit"),
    "fit(optimizer=None)": (lambda: fit(optimizer=None), "None .optimizer of fit"),
    "tape.jvp([1.0], [1.0])": (lambda: TAPE.jvp([1.0], [1.0]), "a tuple, got list .*args of jvp"),
    "tape(1.0, threads=0)": (lambda: TAPE(1.0, threads=0), "at least 1, got 0 .threads"),
    "tape(1.0, threads=2**40)": (
        lambda: TAPE(1.0, threads=2**40), "at most 2147483647, got 10995.* .threads"),
    "tape(1.0, check=array)": (
        lambda: TAPE(1.0, check=[1.0, 2.0]), "True or False, got list .1.0, 2.0. .check"),
    "tape.backward(1.0, check='no')": (
        lambda: TAPE.backward(1.0, check="no"), "True or False, got str 'no' .check"),
    "pair(ragged)": (
        lambda: PAIR([[1.0, 2.0], [3.0]]), r"shape \(2,\), got 1 where 2 belong \(x, sample 1\)"),
    "pair(text in a batch)": (
        lambda: PAIR([[1.0, 2.0], [3.0, "a"]]), r"numbers, got str 'a' \(x, sample 1\)"),
    "pair(number in a batch)": (
        lambda: PAIR([[1.0, 2.0], 3.0]), r"got float 3.0 \(x, sample 1\)"),
    "tape(text in a batch)": (lambda: TAPE([1.0, 2.0, "a"]), r"got str 'a' \(x, sample 2\)"),
    "pair.jvp(short tangent)": (
        lambda: PAIR.jvp(([1.0, 2.0],), ([1.0],)), r"got 1 where 2 belong \(tangent of x\)"),
    "pair.jvp(ragged tangents)": (
        lambda: PAIR.jvp(([1.0, 2.0],), ([[1.0, 2.0], [1.0]],)), r"\(tangent of x, sample 1\)"),
    "pair.jvp(no tangents)": (
        lambda: PAIR.jvp(([1.0, 2.0],), ()), r"1 argument\(s\), .* got 0 \(tangents of jvp\)"),
    "empty tape(1.0)": (lambda: NEW(1.0), "a recorded tape, got an empty one; make it with"),
    "pickle of an empty tape": (lambda: pickle.dumps(NEW), "a recorded tape, got an empty one"),
    "empty tape.save": (lambda: NEW.save("never.tape"), "a recorded tape, got an empty one"),
    "tape([1.0], threads=0)": (lambda: TAPE([1.0], threads=0), "at least 1, got 0 .threads"),
    "tape(1.0, threads=1.5)": (lambda: TAPE(1.0, threads=1.5), "float 1.5 .threads"),
    "tape.backward(1.0, threads=-1)": (lambda: TAPE.backward(1.0, threads=-1), "got -1 .threads"),
    "tape.value_and_grad(1.0, threads=0)": (
        lambda: TAPE.value_and_grad(1.0, threads=0, wrt="inputs"), "at least 1, got 0 .threads"),
    "tape(itself)": (lambda: TAPE(INSIDE), "levels of nesting .x"),
    "pair(itself)": (lambda: PAIR(INSIDE), "levels of nesting .x"),
    "tape.check(itself)": (lambda: TAPE.check(INSIDE), "levels of nesting .x"),
    "tape.jvp(itself)": (lambda: TAPE.jvp((INSIDE,), (1.0,)), "levels of nesting .x"),
    "record(parameters=3)": (
        lambda: fg.record(lambda x: x, 1.0, parameters=3), "list of Values.*int 3 .parameters of"),
    "record(parameters=w)": (
        lambda: fg.record(lambda x: x, 1.0, parameters=W), "list of Values.* .parameters of"),
    "record(check_at=1.0)": (
        lambda: fg.record(lambda x: x, 1.0, check_at=1.0), "float 1.0 .check_at of record"),
    "loads_tape(custom_operations=None)": (
        lambda: loads_tape(b"", custom_operations=None), "custom operations, got None.*loads_tape"),
    "v.backward(2, grad=3)": (
        lambda: (W * 2).backward(2.0, grad=3.0), "gradient or grad, got both .backward"),
    "one_hot(0, 10**30)": (
        lambda: functional.one_hot(0, 10**30), "1 to 2147483647, got 1000.* .n of one_hot"),
    "record(f, itself)": (lambda: fg.record(lambda x: x, INSIDE), f"{ENDLESS}.*example of record"),
    "record(f, dict of itself)": (lambda: fg.record(lambda x: x, KEYED), ENDLESS),
    "record of itself": (lambda: fg.record(lambda x: INSIDE, 1.0), f"{ENDLESS}.*result of"),
    "record of its dict": (lambda: fg.record(lambda x: KEYED, 1.0), f"{ENDLESS}.*result of"),
    "record(f, data set)": (
        lambda: fg.record(lambda x: x.tanh(), [1.0, 2.0]),
        "a number with 'tanh', got a list .function given to record.; give record one sample"),
    "take(table, itself)": (lambda: take(INSIDE, Value(0)), "list .*operand of take"),
    "SGD(itself)": (lambda: optim.SGD(INSIDE), "parameters with data and grad, got list"),
    "mlp(itself)": (lambda: nn.MLP(2, [1])([INSIDE, 1.0]), "got list .*operand of"),
    "MLP(10**12, [1])": (lambda: nn.MLP(10**12, [1]), "parameters, got 1000000000001 .MLP"),
    "MLP(2, [10**12, 1])": (lambda: nn.MLP(2, [10**12, 1]), "fewer than 2..32 parameters.*MLP"),
    "Layer(2, 10**11)": (lambda: nn.Layer(2, 10**11), "got 300000000000 .Layer"),
    "Neuron(10**10)": (lambda: nn.Neuron(10**10), "got 10000000001 .Neuron"),
}  # fmt: skip


@pytest.mark.parametrize("written", CALLS)
def test_message_names_what_was_written(written):
    call, named = CALLS[written]
    with pytest.raises((FastgradError, ArithmeticError, ValueError), match=named) as caught:
        call()
    assert str(caught.value).startswith("expected "), "what was expected, what came, where"


def test_losses_that_no_memory_holds_are_named():
    with pytest.raises(MemoryError, match=r"memory for the losses, .* got 10+ steps .steps of fit"):
        fit(steps=10**15)


def test_values_that_check_is_given_count_as_their_numbers():
    assert TAPE.check(W * 3) is None
    assert TAPE.check(Value(math.inf)).operands == (2.0, math.inf)


def test_network_that_no_memory_holds_is_refused(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("os.sysconf", lambda name: 1000, raising=False)
        with pytest.raises(MemoryError, match=r"got 10418 parameters, which take .* bytes .MLP"):
            nn.MLP(5208, [2])
    assert len(nn.MLP(3, [2]).parameters()) == 8


def test_missing_attribute_of_something_else_passes_record():
    with pytest.raises(AttributeError, match="'object' object has no attribute 'tanh'"):
        fg.record(lambda x: object().tanh(), 1.0)


def test_data_set_of_numpy_as_example_is_told_of():
    numpy = pytest.importorskip("numpy")
    with pytest.raises(AttributeError, match=r"a number with 'sigmoidal', got .*; give record one"):
        fg.record(lambda x: x.sigmoidal(), numpy.ones((5, 2)))


def test_control_characters_of_names_are_escaped():
    tape = fg.record(lambda x: W * x[0], [1.0])
    tape.name = "a\x1b[31m\nb"
    tape.places = [("\x1b]0;file", 3, "f\r")] * len(tape.places)
    shown = [repr(tape), str(tape)]
    for call in (
        lambda: tape([math.nan], check=True),
        lambda: tape(3.0),
        lambda: tape.check([math.nan]),
    ):
        try:
            shown.append(str(call()))
        except FastgradError as error:
            shown.append(str(error))
    assert all(line.isprintable() for text in shown for line in text.split("\n")), shown
    assert r"a\x1b[31m\nb" in shown[0]
    assert r"\x1b]0;file" in shown[2]
    assert r"\x1b]0;file" in shown[4]


@pytest.mark.parametrize(
    "extents", [[2**31 - 1, 2**31 - 1, 2**31 - 1, 0], [2**31 - 1, 0], [0, 1 << 17]]
)
def test_shape_in_a_file_without_numbers_is_bounded(extents):
    with pytest.raises(FaultError, match="at most 65536 empty lists"):
        tape_file._shape(extents, "x", 0, 0)
    assert tape_file._shape([3, 0, 2], "x", 5, 0)[1] == 5


@pytest.mark.parametrize(
    "call",
    [
        lambda bad: functional.dropout([1.0], bad),
        lambda bad: functional.huber_loss([1.0], [2.0], delta=bad),
        lambda bad: functional.mse_loss([1.0], [2.0], reduction=bad),
        lambda bad: functional.nll_loss([1.0], bad),
        lambda bad: functional.norm([1.0], p=bad),
        lambda bad: functional.softmax(bad),
        lambda bad: functional.sum([1.0], dim=bad),
        lambda bad: nn.Dropout(bad),
        lambda bad: nn.GELU(bad),
        lambda bad: nn.Sequential(bad),
        lambda bad: nn.RNNCell(1, 1, nonlinearity=bad),
        lambda bad: nn.LSTMCell(1, 1)([1.0], bad),
        lambda bad: nn.Linear(1, 1).load_state_dict(bad),
        lambda bad: nn.init.calculate_gain(bad),
        lambda bad: nn.init.zeros_(bad),
        lambda bad: nn.summary(bad),
        lambda bad: fg.manual_seed(bad),
        lambda bad: functional.cross_entropy([1.0, 2.0], 0, label_smoothing=bad),
        lambda bad: functional.cosine_similarity([1.0], [1.0], eps=bad),
        lambda bad: nn.BatchNorm1d(1, eps=bad),
        lambda bad: nn.BatchNorm1d(1, momentum=bad),
        lambda bad: nn.init.uniform_([W], bad),
        lambda bad: nn.init.uniform_([W], 0.0, bad),
        lambda bad: nn.init.normal_([W], bad),
        lambda bad: nn.init.normal_([W], 0.0, bad),
        lambda bad: nn.init.constant_([W], bad),
        lambda bad: nn.init.xavier_uniform_([[W]], bad),
        lambda bad: nn.init.xavier_normal_([[W]], bad),
        lambda bad: nn.init.calculate_gain("leaky_relu", bad),
        lambda bad: Makemore(bad),
    ],
)
def test_argument_that_cannot_show_itself_is_refused_in_words(call):
    with pytest.raises(FastgradError, match=r"expected .*, got .*Unshown"):
        call(Unshown())


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_message_leaves_it_to_errors_to_show_what_was_given(path):
    """A repr may raise, never end, or have a million letters; errors.show knows."""
    assert "!r:." not in (ROOT / path).read_text("utf-8")
