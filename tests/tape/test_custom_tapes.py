"""Custom operations on tapes: a replay calls their functions, with their own partials.

Oracles: the recorded function itself, run eagerly; a twin written with the table's operations.
"""

import copy
import math
import pickle
import random
import struct
import threading
import warnings

import pytest
from helpers.custom_operations import swish

import fastgrad as fg
from fastgrad import Value, custom, fit, functional, optim, record
from fastgrad._native.tape.program import export, opcodes, restore
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    FastgradWarning,
    FileFormatError,
    TapeError,
)
from fastgrad.tape import loads_tape

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]


@custom("mix")
def mix(a, b, c):
    return a * b + math.sin(c)


@mix.partials
def mix(a, b, c, y):
    return b, a, math.cos(c)


@custom("total")
def total(*operands):
    return math.fsum(operands)


@total.partials
def total(*operands_and_result):
    return [1.0 + k for k in range(len(operands_and_result) - 1)]  # no derivative: theirs count


@custom("limited")
def limited(x):
    if x > 5:
        raise ValueError("too large")
    return x


@limited.partials
def limited(x, y):
    if x < -5:
        raise KeyError("too small")
    return 1.0


W = Value(3.0)


def own(x, z):
    return (mix(swish(W * x), z, swish(x)) * 2 + x).tanh() * W


def twin(x, z):
    def plain(v):
        return v * v.sigmoid()

    return ((plain(W * x) * z + plain(x).sin()) * 2 + x).tanh() * W


@pytest.fixture
def pair():
    W.data, W.grad = 3.0, 0.0
    return record(own, 0.5, 1.5), record(twin, 0.5, 1.5)


X, Z = [0.1, 0.2, -0.3, 1.5], [1.0, 2.0, 3.0, -4.0]


def close(one, two):
    """Compare nested numbers."""
    if isinstance(two, list | tuple):
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            close(a, b)
    else:
        assert one == pytest.approx(two, rel=1e-12)


# -- values and gradients --------------------------------------------------------------------------


def test_tape_of_custom_operations_has_the_values_of_the_function(pair):
    tape, _ = pair
    expected = [own(Value(x), Value(z)).data for x, z in zip(X, Z, strict=True)]
    assert tape(X, Z) == expected
    assert [tape(x, z) for x, z in zip(X, Z, strict=True)] == expected
    assert tape(X, 2.0) == [own(Value(x), Value(2.0)).data for x in X]


def test_tape_of_custom_operations_gives_arrays_for_arrays(pair, numpy):
    tape, _ = pair
    got = tape(numpy.array(X), 2.0)
    assert (type(got), got.tolist()) == (numpy.ndarray, tape(X, 2.0))
    value, (gx, _) = tape.value_and_grad(numpy.array(X)[::2], numpy.array(Z)[::2], wrt="inputs")
    assert (value, gx.tolist()) == (
        tape.value_and_grad(X[::2], Z[::2])[0],
        tape.value_and_grad(X[::2], Z[::2], wrt="inputs")[1][0],
    )


def test_gradient_of_custom_operations_has_the_bits_of_the_graph(pair):
    tape, _ = pair
    for at, z in zip(X, Z, strict=True):
        W.grad, x, y = 0.0, Value(at), Value(z)
        own(x, y).backward()
        assert tape.value_and_grad(at, z)[1] == [W.grad]
        assert tape.value_and_grad(at, z, wrt="inputs")[1] == (x.grad, y.grad)
        W.grad, x, y = 0.0, Value(at), Value(z)
        tape(x, y).backward()
        assert tape.value_and_grad(at, z)[1] == [W.grad]
        assert tape.value_and_grad(at, z, wrt="inputs")[1] == (x.grad, y.grad)


@pytest.mark.parametrize("arguments", [(X, Z), (X, 2.0), (0.5, Z), (0.5, 2.0)])
@pytest.mark.parametrize("reduce", ["mean", "sum", None])
@pytest.mark.parametrize("wrt", ["parameters", "inputs", "x", 1, ["z", W]])
def test_gradient_of_custom_operations_is_that_of_the_table(pair, arguments, reduce, wrt):
    tape, plain = pair
    got = tape.value_and_grad(*arguments, reduce=reduce, wrt=wrt)
    close(got, plain.value_and_grad(*arguments, reduce=reduce, wrt=wrt))


def test_each_gradient_of_a_batch_is_that_of_the_sample(pair):
    tape, _ = pair
    for wrt in ("parameters", "inputs"):
        values, gradients = tape.value_and_grad(X, Z, reduce=None, wrt=wrt)
        rows = [tape.value_and_grad(x, z, wrt=wrt) for x, z in zip(X, Z, strict=True)]
        assert values == [value for value, _ in rows]
        if wrt == "inputs":
            gradients = list(zip(*gradients, strict=True))
        assert list(map(tuple, gradients)) == [tuple(gradient) for _, gradient in rows]


def test_backward_and_check_of_custom_operations(pair):
    tape, plain = pair
    expected = plain.backward(X, Z)
    twin_grad, W.grad = W.grad, 0.0
    close(tape.backward(X, Z), expected)
    close(W.grad, twin_grad)
    assert tape.check(X, Z) is None
    found = record(lambda x: swish(x) * 2, 1.0).check([1.0, math.inf, math.nan])
    assert (found.sample, found.operation, found.operands) == (1, "swish", (math.inf,))


@pytest.mark.parametrize(
    ("at", "along"),
    [((X, Z), (1.0, 0.0)), ((X, 2.0), ([1.0, 0.5, 0.0, 2.0], 1.0)), ((0.5, 2.0), (1.0, -1.0))],
)
def test_forward_mode_of_custom_operations_is_that_of_the_table(pair, at, along):
    tape, plain = pair
    close(tape.jvp(at, along), plain.jvp(at, along))


def test_partials_that_are_no_derivatives_count_in_all_modes():
    tape = record(lambda a, b, c: total(a, b, c) * 2, 1.0, 2.0, 3.0)
    assert tape(1.0, 2.0, 3.0) == 12.0
    assert tape.value_and_grad(1.0, 2.0, 3.0, wrt="inputs")[1] == (2.0, 4.0, 6.0)
    assert tape.jvp((1.0, 2.0, 3.0), (0.0, 1.0, 1.0)) == (12.0, 10.0)


@pytest.mark.parametrize("n", [1, 8, 9, 40])
def test_custom_operation_of_many_operands_on_a_tape(n):
    tape = record(lambda xs: total(*xs), [0.0] * n)
    rows = [[float(s + k) for k in range(n)] for s in range(3)]
    assert tape(rows) == list(map(math.fsum, rows))
    _, (gradient,) = tape.value_and_grad(rows, reduce="sum", wrt="inputs")
    assert gradient == [[1.0 + k for k in range(n)]] * 3
    assert tape.jvp((rows,), ([1.0] * n,))[1] == [n * (n + 1) / 2] * 3


def test_adjoint_and_tangent_of_zero_ask_for_no_partials():
    tape = record(lambda x, y: fg.where(functional.gt(x, -6.0), y, limited(x)), 1.0, 2.0)
    assert tape.value_and_grad([1.0, -5.5], 2.0, wrt="inputs", reduce=None)[1][0] == [0.0, 0.0]
    assert tape.jvp((-10.0, 2.0), (0.0, 1.0)) == (-10.0, 0.0)


def test_custom_operation_of_shared_operands_is_called_once_a_call():
    calls = []

    @custom("counted")
    def counted(x):
        calls.append(x)
        return 2 * x

    counted.partials(lambda x, y: 2.0)
    tape = record(lambda x, k: counted(k) * x, 1.0, 3.0)
    calls.clear()
    assert tape([1.0, 2.0, 3.0], 5.0) == [10.0, 20.0, 30.0]
    assert calls == [5.0]
    assert tape.value_and_grad([1.0, 2.0, 3.0], 5.0, wrt="inputs", reduce="sum") == (
        60.0,
        ([10.0] * 3, 12.0),
    )


def test_closure_over_weights_sees_them_as_they_are_at_each_replay():
    weight = Value(2.0)

    @custom("scaled")
    def scaled(x):
        return x * weight.data

    scaled.partials(lambda x, y: weight.data)
    tape = record(lambda x: scaled(x) + 1, 1.0)
    assert tape(3.0) == 7.0
    weight.data = 5.0
    assert tape([3.0, 4.0]) == [16.0, 21.0]
    assert tape.value_and_grad(3.0, wrt="inputs") == (16.0, (5.0,))
    assert tape.parameters == []


def test_operation_without_partials_made_of_table_functions_is_inlined(tmp_path):
    @custom("cube")
    def cube(x):
        return functional.exp(x) * x + x.tanh() if isinstance(x, Value) else x

    @custom("poly")
    def poly(x, k):
        return x * x * k + 1

    x = Value(2.0)
    y = poly(x, 3)
    y.backward()
    assert (y.data, x.grad, poly(2.0, 3.0)) == (13.0, 12.0, 13.0)
    tape = record(lambda x: poly(x, x) + cube(x), 1.0, strict=True)
    assert tape.custom_operations == ()
    tape.save(tmp_path / "a")
    again = fg.load_tape(tmp_path / "a")
    expected = 9.0 + math.exp(2.0) * 2.0 + math.tanh(2.0)
    assert again([2.0]) == [pytest.approx(expected, rel=1e-15)]
    forgotten = custom("forgotten")(lambda x: 2.0)
    with pytest.raises(FastgradTypeError, match=r"expected partials, got none.*forgotten"):
        record(lambda x: forgotten(x), 1.0)


# -- composition -----------------------------------------------------------------------------------


def test_custom_operations_of_an_inner_tape_are_the_outer_tapes(pair):
    tape, plain = pair
    outer = record(lambda x: tape(x, swish(x)) * swish(x), 0.5, strict=True)
    other = record(lambda x: plain(x, x * x.sigmoid()) * (x * x.sigmoid()), 0.5)
    assert {op.name for op in outer.custom_operations} == {"swish", "mix"}
    assert len(outer.custom_operations) == 2
    close(outer.value_and_grad(X, wrt="inputs"), other.value_and_grad(X, wrt="inputs"))
    close(outer.value_and_grad(X), other.value_and_grad(X))
    x = Value(0.3)
    outer(x).backward()
    assert (x.grad,) == outer.value_and_grad(0.3, wrt="inputs")[1]


def test_custom_nodes_of_a_tape_of_values_show_their_operation(pair):
    tape, _ = pair
    y = record(lambda x: swish(x), 1.0)(Value(1.0))
    assert (y._op, len(y._prev)) == ("swish", 1)
    assert "v1 = swish(v0)" in str(tape)
    assert "v3 = mix(v1, z, v2)" in str(tape)
    assert tape.stats()["operations"] == 8


def test_operation_may_call_its_own_tape_and_make_a_graph():
    """Python in the middle of a replay may do anything."""

    @custom("deep")
    def deep(x):
        if x <= 0:
            return 0.0
        inner = Value(x)
        (inner * 2).backward()
        return tape(x - 1) + inner.grad

    deep.partials(lambda x, y: 1.0)
    tape = record(lambda x: deep(x) * 1.0, 0.0)
    assert tape(5.0) == 10.0
    assert tape([3.0, 0.0, 1.0]) == [6.0, 0.0, 2.0]


def test_fit_trains_through_custom_operations():
    random.seed(3)
    xs = [random.uniform(-2, 2) for _ in range(40)]
    ys = [1.5 * x / (1 + math.exp(-1.5 * x)) for x in xs]

    def run(activation, **words):
        w = Value(0.5)
        tape = record(lambda x, y: (activation(w * x) - y) ** 2, 1.0, 1.0)
        history = fit(tape, xs, ys, optimizer=optim.Adam([w], lr=0.05), steps=60, **words)
        return history, w.data

    def plain(v):
        return v * v.sigmoid()

    for words in ({}, {"batch_size": 7, "seed": 5}):
        history, w = run(swish, **words)
        expected, twin_w = run(plain, **words)
        close(history, expected)
        assert w == pytest.approx(twin_w, rel=1e-9)
        assert history[-1] < history[0] / 10


def test_fit_of_one_sample_through_custom_operations():
    w = Value(0.5)
    tape = record(lambda x: (swish(w * x) - 1) ** 2, 1.0)
    history = fit(tape, 2.0, optimizer=optim.SGD([w], lr=0.05), steps=50)
    assert history[-1] < 1e-6 < history[0]


def test_custom_operation_reads_the_parameters_of_each_step_of_fit():
    def trained(loop):
        w, seen = Value(1.0), []

        @custom("scaled")
        def scaled(x):
            seen.append(w.data)
            return x * w.data

        scaled.partials(lambda x, y: w.data)
        optimizer = optim.SGD([w], lr=0.1)
        tape = record(lambda x: (scaled(x) + w - 3) ** 2, 1.0, check_at=[])
        loop(tape, optimizer)
        return seen, w.data

    def steps(tape, optimizer):
        for _ in range(4):
            optimizer.zero_grad()
            tape.backward([1.0, 2.0, 0.5], reduce="mean")
            optimizer.step()

    def fitted(tape, optimizer):
        fit(tape, [1.0, 2.0, 0.5], optimizer=optimizer, steps=4)

    assert trained(fitted) == trained(steps)


# -- decisions -------------------------------------------------------------------------------------


def test_what_a_custom_operation_reads_is_no_decision_of_the_recording():
    weight = Value(2.0)

    @custom("scaled")
    def scaled(x):
        return x * weight.data

    scaled.partials(lambda x, y: weight.data)
    inner = record(lambda x: scaled(x) * 2, 1.0, strict=True)
    outer = record(lambda x: inner(x) + scaled(x), 1.0, strict=True)
    assert (inner.decisions, outer.decisions, outer(3.0)) == ([], [], 18.0)


def test_recording_begun_by_a_custom_operation_hears_its_own_decisions():
    heard = []

    @custom("inside")
    def inside(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            heard.append(record(lambda v: v * float(v), 2.0).decisions)
        return x

    inside.partials(lambda x, y: 1.0)
    record(lambda x: inside(x), 1.0, strict=True)
    assert [len(decisions) for decisions in heard] == [1] * len(heard)
    assert heard


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [7.0, [0.0, 7.0]])
def test_index_out_of_range_is_named_before_an_operation_is_given_nan(index):
    @custom("whole")
    def whole(x):
        return float(int(x))

    whole.partials(lambda x, y: 0.0)
    tape = record(lambda i: whole(fg.take([1.0, 2.0], i)), 0.0)
    with pytest.raises(IndexError, match="index of take"):
        tape(index)


def test_partials_that_lead_to_nothing_wanted_are_not_asked_for():
    @custom("barren")
    def barren(x):
        return x

    @barren.partials
    def barren(x, y):
        raise ArithmeticError

    tape = record(lambda x, y: barren(x) + y * y * y * y * y, 1.0, 2.0)
    assert tape.value_and_grad(1.0, 2.0, wrt="y") == (33.0, 80.0)
    assert tape.value_and_grad([1.0], 2.0, wrt="y") == (33.0, 80.0)


def notes(call):
    with pytest.raises((ValueError, KeyError)) as caught:
        call()
    return type(caught.value), caught.value.__notes__


def test_error_of_a_custom_operation_names_it_and_the_sample():
    w = Value(3.0)
    tape = record(lambda x: limited(x * w) * 2, 1.0)
    tape.name = "loss"
    where = "in the custom operation 'limited'{}, on the tape of loss"
    plain, third = where.format(""), where.format(", sample 2")
    assert notes(lambda: tape(2.0)) == (ValueError, [plain])
    assert notes(lambda: tape(Value(2.0))) == (ValueError, [plain])
    assert notes(lambda: tape([1.0, 0.0, 2.0])) == (ValueError, [third])
    assert notes(lambda: tape.check([1.0, 0.0, 2.0])) == (ValueError, [third])
    assert notes(lambda: tape.value_and_grad([1.0, 0.0, -2.0])) == (KeyError, [third])
    assert notes(lambda: tape.backward(-2.0)) == (KeyError, [plain])
    assert notes(lambda: tape.value_and_grad([1.0, 0.0, -2.0], reduce=None)) == (KeyError, [third])
    assert notes(lambda: tape.jvp(([1.0, 0.0, -2.0],), (1.0,))) == (KeyError, [third])
    assert w.grad == 0.0
    optimizer = optim.SGD([w], lr=0.1)
    for words in ({}, {"batch_size": 1, "steps": 3}):
        got = notes(lambda w=words: fit(tape, [1.0, 1.0, 2.0], optimizer=optimizer, **w))
        assert got == (ValueError, [third])
    assert tape([1.0, 0.5]) == [2 * w.data, w.data]


def test_wrong_results_and_partials_on_a_tape_are_refused():
    state = {"result": 1.0, "partials": 1.0}
    odd = custom("odd")(lambda x: state["result"]).partials(lambda x, y: state["partials"])
    tape = record(lambda x: odd(x) * 2, 1.0)
    state["result"] = None
    with pytest.raises(FastgradTypeError, match="expected a number, got None"):
        tape([1.0, 2.0])
    state["result"] = 1.0
    for wrong, error in (((1.0, 2.0), FastgradValueError), ("a", FastgradTypeError)):
        state["partials"] = wrong
        with pytest.raises(error, match="partials of custom 'odd'"):
            tape.value_and_grad([1.0, 2.0], wrt="inputs")
    state["partials"] = 5.0
    assert tape.value_and_grad([1.0, 2.0], wrt="inputs", reduce="sum") == (4.0, ([10.0, 10.0],))


def test_interrupt_in_a_custom_operation_ends_the_batch():
    @custom("stopped")
    def stopped(x):
        if x == 3.0:
            raise KeyboardInterrupt
        return x

    stopped.partials(lambda x, y: 1.0)
    tape = record(lambda x: stopped(x) * 2, 1.0)
    with pytest.raises(KeyboardInterrupt) as caught:
        tape([1.0, 2.0, 3.0, 4.0])
    assert not hasattr(caught.value, "__notes__")
    assert tape([1.0, 2.0]) == [2.0, 4.0]


def test_operation_that_gives_another_result_each_time_is_refused_by_record():
    count = iter(range(100))
    odd = custom("odd")(lambda x: next(count)).partials(lambda x, y: 0.0)
    with pytest.raises(TapeError, match="from its tape"):
        record(lambda x: odd(x) * 2, 1.0)


def test_backward_written_by_hand_is_still_refused():
    def f(x):
        y = x * 2
        y._backward = lambda: None
        return swish(y)

    with pytest.raises(TapeError, match="a node with a backward step in Python"):
        record(f, 1.0)


# -- threads ---------------------------------------------------------------------------------------


def test_threads_of_a_batch_with_custom_operations_are_one_and_that_is_said_once(pair):
    tape, _ = pair
    expected = tape(X, Z)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            assert tape(X, Z, threads=3) == expected
            assert tape(0.5, 1.0, threads=3) == tape(0.5, 1.0)
    assert [(w.category, w.filename) for w in caught] == [(FastgradWarning, __file__)]
    text = "the tape of own calls Python for 'mix', 'swish': threads= is 1 there"
    assert str(caught[0].message) == text
    fresh = record(own, 0.5, 1.5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(record(lambda x: fresh(x, 1.0), 1.0), X, optimizer=optim.SGD([W], lr=0.0), threads=2)
    assert [w.filename for w in caught] == [__file__]


def test_threads_may_call_one_tape_with_custom_operations(pair):
    tape, _ = pair
    expected = tape(X, Z), tape.value_and_grad(X, Z), tape.jvp((X, Z), (1.0, 1.0))
    wrong = []

    def work():
        for _ in range(100):
            got = tape(X, Z), tape.value_and_grad(X, Z), tape.jvp((X, Z), (1.0, 1.0))
            if got != expected:
                wrong.append(got)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# -- files, pickles, copies ------------------------------------------------------------------------


def test_save_refuses_a_custom_operation_by_name(pair, tmp_path):
    tape, _ = pair
    with pytest.raises(TapeError, match="got the custom operation 'mix'"):
        tape.save(tmp_path / "tape")
    assert list(tmp_path.iterdir()) == []


def test_tape_with_custom_operations_is_pickled_with_them(pair):
    tape, _ = pair
    again = pickle.loads(pickle.dumps(tape))
    assert again.custom_operations == tape.custom_operations
    assert again.value_and_grad(X, Z) == tape.value_and_grad(X, Z)
    assert str(again) == str(tape)
    both = pickle.loads(pickle.dumps((again, W)))
    assert both[0](X, Z) == tape(X, Z)
    for duplicate in (copy.copy, copy.deepcopy):
        assert duplicate(tape)(X, Z) == tape(X, Z)
    local = record(lambda x: custom("local")(lambda v: v).partials(lambda v, y: 1.0)(x), 1.0)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(local)


def test_numbers_of_operations_in_a_pickled_tape_are_checked(pair):
    tape, _ = pair
    _, (data, parameters, operations) = tape.__reduce__()
    assert loads_tape(data, parameters, operations)(X, Z) == tape(X, Z)
    with pytest.raises(FileFormatError, match="expected a known operation, got 'custom'"):
        loads_tape(data, parameters)
    with pytest.raises(FileFormatError, match="number of one of 1 custom operations, got 1"):
        loads_tape(data, parameters, operations[:1])
    with pytest.raises(FastgradTypeError, match="expected custom operations, got int 5"):
        loads_tape(data, parameters, [5, swish])


def test_slot_of_an_operations_number_is_checked(pair):
    """A pickle is no safer for that, but what is damaged raises."""
    tape = record(lambda x: swish(x), 1.0)
    arrays, codes = export(tape)
    assert codes == [opcodes()["custom"]]
    fresh = lambda: fg.Tape.__new__(fg.Tape)  # noqa: E731
    assert restore(fresh(), arrays, codes, 1, len(tape.places), (swish,)) is None
    wrong = {**arrays, "terms": bytes(4) + arrays["terms"][4:]}  # an input
    expected = ("the slot of a constant, for custom", "0", "terms[0]")
    assert restore(fresh(), wrong, codes, 1, len(tape.places), (swish,)) == expected
    for value in (1.0, -1.0, 0.5, math.nan, 1e300):
        wrong = {**arrays, "constants": struct.pack("=d", value)}
        fault = restore(fresh(), wrong, codes, 1, len(tape.places), (swish,))
        assert fault == ("the number of one of 1 custom operations", repr(value), "constants[0]")
