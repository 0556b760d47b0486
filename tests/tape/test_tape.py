"""Tapes in use: gradients, parameters, decisions, take, the object itself.

Oracles: the recorded function itself, run eagerly on Values, and Python's own arithmetic.
"""

import copy
import gc
import math
import operator
import pickle
import random
import re
import weakref
from functools import partial

import pytest
from helpers.graphs import live_after_gc
from helpers.polls import at_each_poll

import fastgrad as fg
from fastgrad import Value, functional, nn, optim
from fastgrad._native.graph import recording
from fastgrad.engine import arena_stats
from fastgrad.errors import FastgradTypeError, FastgradWarning, TapeError

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]


def values(*numbers):
    return [Value(x) for x in numbers]


def dot(x, w):
    return sum(a * b for a, b in zip(x, w, strict=True))


# -- gradients -------------------------------------------------------------------------------------


def test_reduce_and_wrt_scale_values_and_gradients(numpy):
    w = Value(2.0)
    tape = fg.record(lambda x: x * x * w, 1.0)
    X = numpy.array([1.0, 2.0, 4.0])
    for reduce, value, scale in (("mean", 14.0, 1 / 3), ("sum", 42.0, 1.0)):
        got, gradient = tape.value_and_grad(X, reduce=reduce)
        assert (got, gradient.tolist()) == (pytest.approx(value), [pytest.approx(21.0 * scale)])
        got, (gradient,) = tape.value_and_grad(X, reduce=reduce, wrt="inputs")
        assert gradient == pytest.approx(4 * X * scale)
        before = w.grad
        assert tape.backward(X, reduce=reduce) == pytest.approx(value)
        assert w.grad - before == pytest.approx(21.0 * scale)
    got, gradient = tape.value_and_grad(X, reduce=None)
    assert (got.tolist(), gradient.tolist()) == ([2.0, 8.0, 32.0], [[1.0], [4.0], [16.0]])
    got, (gradient,) = tape.value_and_grad(X, reduce=None, wrt="inputs")
    assert (got.tolist(), gradient.tolist()) == ([2.0, 8.0, 32.0], [4.0, 8.0, 16.0])
    for reduce in ("mean", "sum", None):
        assert tape.value_and_grad(3.0, reduce=reduce) == (18.0, [9.0])
        assert tape.value_and_grad(3.0, reduce=reduce, wrt="inputs") == (18.0, (12.0,))


def test_per_sample_gradients_of_shared_arguments_have_an_axis():
    tape = fg.record(lambda x, y: x * y[0] * y[1], 1.0, [1.0, 2.0])
    values_, (gx, gy) = tape.value_and_grad([1.0, 3.0], [5.0, 7.0], reduce=None, wrt="inputs")
    assert (values_, gx, gy) == ([35.0, 105.0], [35.0, 35.0], [[7.0, 5.0], [21.0, 15.0]])


def test_backward_adds_to_grad_as_eager_backward():
    model = nn.MLP(2, [4, 1])

    def loss(x, y):
        return (model(x) - y) ** 2 + 0.1 * sum(p * p for p in model.parameters())

    tape = fg.record(loss, [0.1, 0.2], 1.0)
    samples = [([0.5, -0.25], 1.0), ([1.5, 0.75], -1.0), ([-0.5, 2.0], 0.5)]
    for p in model.parameters():
        p.grad = 0.125
    total = sum(loss(x, y) for x, y in samples)
    total.backward()
    expected = [p.grad for p in model.parameters()]
    for p in model.parameters():
        p.grad = 0.125
    got = tape.backward([x for x, _ in samples], [y for _, y in samples], reduce="sum")
    assert got == pytest.approx(total.data, rel=1e-14)
    assert [p.grad for p in model.parameters()] == pytest.approx(expected, rel=1e-13, abs=1e-14)


def test_value_and_grad_touches_no_grad():
    w, b = values(2.0, 3.0)
    w.grad = b.grad = 7.0
    tape = fg.record(lambda x: x * w + b, 1.0)
    tape.value_and_grad(1.0)
    tape.value_and_grad([1.0, 2.0], wrt="inputs")
    tape.value_and_grad([1.0, 2.0], reduce=None)
    assert (w.grad, b.grad) == (7.0, 7.0)


def test_moons_network_on_a_tape_equals_eager(numpy):
    model = nn.MLP(2, [16, 16, 1])

    def loss(x, y):
        return (1 - y * model(x)).relu() + 1e-4 * sum(p * p for p in model.parameters())

    tape = fg.record(loss, [0.0, 0.0], 1.0)
    rng = numpy.random.default_rng(1)
    X, y = rng.normal(size=(100, 2)), rng.choice([-1.0, 1.0], 100)
    assert tape.parameters == model.parameters()
    assert tape([0.3, -0.7], -1.0) == loss([0.3, -0.7], -1.0).data
    assert tape(X, y).tolist() == [loss(list(x), float(t)).data for x, t in zip(X, y, strict=True)]
    value, grads = tape.value_and_grad(X, y)
    assert (value, grads.shape) == (pytest.approx(tape(X, y).mean()), (337,))
    values_, each = tape.value_and_grad(X, y, reduce=None)
    assert (values_.shape, each.shape) == ((100,), (100, 337))
    assert each.mean(0) == pytest.approx(grads, rel=1e-12, abs=1e-15)
    _, (gx, gy) = tape.value_and_grad(X, y, wrt="inputs")
    assert (gx.shape, gy.shape) == ((100, 2), (100,))


# -- parameters ------------------------------------------------------------------------------------


def test_parameters_are_in_the_order_of_first_use():
    a, b, c, d = values(1.0, 2.0, 3.0, 4.0)
    tape = fg.record(lambda x: (x * c + a) * c * b, 1.0)
    assert tape.parameters == [c, a, b]
    assert tape.value_and_grad(1.0)[1] == [2.0 * (2 * 3 * 1 + 1), 6.0, 12.0]
    assert d not in tape.parameters
    model = nn.MLP(3, [4, 2])
    assert fg.record(lambda x: sum(model(x)), [1.0] * 3).parameters == model.parameters()


def test_changed_parameter_data_is_used_by_the_next_call():
    w = Value(2.0)
    tape = fg.record(lambda x: x * w, 1.0)
    for data in (3.0, -1.5, math.inf):
        w.data = data
        assert tape(2.0) == 2.0 * data
        assert tape([2.0, 4.0]) == [2.0 * data, 4.0 * data]


def test_tape_keeps_its_parameters_alive():
    w = Value(2.0)
    w.label = "kept"
    tape = fg.record(lambda x, w=w: x * w, 1.0)
    del w
    gc.collect()
    assert (tape(3.0), tape.parameters[0].label) == (6.0, "kept")
    before = arena_stats()["live_nodes"]
    del tape
    assert arena_stats()["live_nodes"] == before - 1


CHANGES = {
    "item": lambda p, w: p.__setitem__(0, w),
    "slice": lambda p, w: p.__setitem__(slice(None), [w]),
    "del": lambda p, w: p.__delitem__(0),
    "+=": lambda p, w: operator.iadd(p, [w]),
    "*=": lambda p, w: operator.imul(p, 2),
    "append": lambda p, w: p.append(w),
    "clear": lambda p, w: p.clear(),
    "extend": lambda p, w: p.extend([w]),
    "insert": lambda p, w: p.insert(0, w),
    "pop": lambda p, w: p.pop(),
    "remove": lambda p, w: p.remove(p[0]),
    "reverse": lambda p, w: p.reverse(),
    "sort": lambda p, w: p.sort(key=lambda v: v.data),
    "shuffle": lambda p, w: random.shuffle(p),
}


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_parameter_list_refuses_every_change(change, loaded, tmp_path):
    a, b = values(2.0, 3.0)
    tape = fg.record(lambda x: x * a + b, 1.0)
    if loaded:
        tape.save(tmp_path / "a.tape")
        tape = fg.load_tape(tmp_path / "a.tape", parameters=[a, b])
    with pytest.raises(FastgradTypeError, match="parameters that the tape was recorded with"):
        CHANGES[change](tape.parameters, Value(7.0))
    assert tape.parameters == [a, b]
    with pytest.raises(AttributeError, match=r"parameters of a tape.; set the data"):
        tape.parameters = [b, a]
    assert (tape.parameters, tape(1.0)) == ([a, b], 5.0)


def test_parameter_list_reads_as_a_list():
    a, b = values(2.0, 3.0)
    tape = fg.record(lambda x: x * a + b, 1.0)
    p = tape.parameters
    assert p == [a, b] == p == tape.parameters
    assert p not in ([b, a], [a])
    assert isinstance(p, list)
    assert (len(p), p[0], p[-1], p[:1], p[::-1]) == (2, a, b, [a], [b, a])
    assert (repr(p), f"{p}") == (repr([a, b]),) * 2
    assert [*p] == list(p) == p.copy() == p + p[:0] == p[:0] + p == [a, b]
    assert (p * 2, p.index(b), p.count(a), a in p) == ([a, b, a, b], 1, 1, True)
    assert sorted(p, key=lambda v: -v.data) == list(reversed(p)) == [b, a]
    assert dict(zip("ab", p, strict=True)) == {"a": a, "b": b}
    for mine in (p[:], p.copy(), list(p), copy.copy(p), copy.deepcopy(p), p + p[:0], p * 1):
        mine.append(Value(1.0))
        assert (type(mine), len(mine)) == (list, 3)
    assert [v.data for v in pickle.loads(pickle.dumps(p))] == [2.0, 3.0]
    optim.SGD(p, lr=1.0).step()
    assert random.choice(p) in (a, b)


def test_unheld_leaves_made_inside_the_function_are_constants():
    kept = []

    def function(x):
        local = Value(3.0)
        kept.append(Value(5.0))
        return x * local + kept[-1]

    tape = fg.record(function, 1.0)
    assert tape.parameters == kept
    kept[0].data = 6.0
    assert tape(2.0) == 12.0


def test_leaves_whose_handle_only_a_graph_keeps_are_constants():
    class Special(Value):
        pass

    named = Value(2.0)
    named.label = "w"
    special, plain = Special(3.0), Value(5.0)
    captured = named * special * plain
    del named, special, plain
    tape = fg.record(lambda x: x * captured, 1.0)
    assert (tape.parameters, tape(2.0)) == ([], 60.0)


def test_captured_results_are_recomputed_from_parameters():
    a, b = values(2.0, 3.0)
    y = a * b
    tape = fg.record(lambda x: x + y, 1.0)
    a.data = 10.0
    assert (tape.parameters, tape(1.0)) == ([a, b], 31.0)
    tape.backward(1.0)
    assert (a.grad, b.grad, y.grad) == (3.0, 10.0, 0.0)


def test_parameters_of_a_subclass_keep_their_class():
    class Weight(Value):
        pass

    w = Weight(2.0)
    tape = fg.record(lambda x: x * w, 1.0)
    w.data = 4.0
    assert (tape.backward(3.0), w.grad) == (12.0, 3.0)
    assert type(tape.parameters[0]) is Weight


def test_parameter_initialised_later_is_still_bound_and_becomes_no_operation():
    w = Value.__new__(Value)
    tape = fg.record(lambda x: x * w, 1.0)
    assert tape(2.0) == 0.0
    with pytest.raises(FastgradTypeError, match="a new Value, got one that is initialised already"):
        w.__init__(5.0, (Value(1.0),))
    w.__init__(5.0)
    clutter = values(*range(50))
    assert (tape(2.0), tape.backward([2.0, 4.0]), w.grad) == (10.0, 15.0, 3.0)
    assert [v.grad for v in clutter] == [0.0] * 50


def test_parameter_shared_by_two_tapes_accumulates_both():
    w = Value(2.0)
    inner = fg.record(lambda x: x * w, 1.0)
    outer = fg.record(lambda x: x * inner.parameters[0], 1.0)
    assert (inner.parameters, outer.parameters) == ([w], [w])
    inner.backward(3.0)
    outer.backward(4.0)
    assert w.grad == 7.0


# -- decided per sample ----------------------------------------------------------------------------

DECIDERS = {
    "where": lambda x, y: fg.where(functional.lt(x, y), x * 10, y * 100),
    "operators": lambda x, y: fg.where(x < y, x * 10, y * 100) + (x >= y) * 7 + (x < 1) * 0.5,
    "max": functional.max,
    "min": functional.min,
    "abs": lambda x, y: abs(x) - y,
    "relu": lambda x, y: (x - y).relu() + y.leaky_relu(),
    "nested": lambda x, y: fg.where(x <= 0, fg.where(y > 0, y, -y), functional.max(x, y)),
}


@pytest.mark.parametrize("name", DECIDERS)
def test_decisions_are_made_for_each_sample(name):
    function = DECIDERS[name]
    numbers = (0.0, -0.0, 1.0, -1.5, math.inf, -math.inf, math.nan)
    samples = [(x, y) for x in numbers for y in numbers]
    tape = fg.record(function, 1.0, 2.0)

    def eager(x, y):
        a, b = Value(x), Value(y)
        recording.leaf_mark_input(a)
        recording.record_enter(lambda what: None)  # comparisons are Values while recording
        try:
            out = function(a, b)
        finally:
            recording.record_exit()
        out.backward()
        return repr(out.data), repr(a.grad), repr(b.grad)

    expected = [eager(x, y) for x, y in samples]
    xs, ys = zip(*samples, strict=True)
    assert [repr(z) for z in tape(xs, ys)] == [value for value, _, _ in expected]
    for (x, y), wanted in zip(samples, expected, strict=True):
        value, (gx, gy) = tape.value_and_grad(x, y, wrt="inputs")
        assert (repr(value), repr(gx), repr(gy)) == wanted, (x, y)
    _, (gx, gy) = tape.value_and_grad(xs, ys, reduce="sum", wrt="inputs")
    assert [(repr(a), repr(b)) for a, b in zip(gx, gy, strict=True)] == [e[1:] for e in expected]


def test_strict_recording_raises_and_leaves_no_nodes():
    x = Value(1.0)
    before = live_after_gc()
    for frozen in (bool, float, lambda v: v.data, lambda v: f"{v:.1f}"):
        with pytest.raises(TapeError, match="expected what a replay can repeat, got"):
            fg.record(lambda v, frozen=frozen: v * frozen(v * x), 2.0, strict=True)
    assert live_after_gc() == before
    assert (x < 2) is True  # nobody records any more


def test_recording_inside_a_recording_works():
    w = Value(3.0)

    def outer(x):
        inner = fg.record(lambda z: z * w, 2.0)
        return x * inner(Value(5.0))

    tape = fg.record(outer, 1.0, strict=True)
    assert tape(2.0) == 30.0
    w.data = 4.0
    assert tape(2.0) == 40.0


# -- take ------------------------------------------------------------------------------------------


def test_take_by_an_input_selects_for_each_sample(numpy):
    table = [values(*range(4)), values(*range(10, 14)), values(*range(20, 24))]
    tape = fg.record(lambda i, x: dot(fg.take(table, i), x), 0, [1.0] * 4)
    X = numpy.arange(20.0).reshape(5, 4)
    i = numpy.array([2, 0, 1, 1, 2])
    rows = numpy.array([[v.data for v in row] for row in table])
    assert tape(i, X).tolist() == (rows[i] * X).sum(1).tolist()
    assert tape(2, X).tolist() == (rows[2] * X).sum(1).tolist()
    assert tape(i, X[0]).tolist() == (rows[i] * X[0]).sum(1).tolist()
    assert tape(1, X[3]) == rows[1] @ X[3]
    gradient = numpy.zeros((3, 4))
    numpy.add.at(gradient, i, X)
    tape.backward(i, X, reduce="sum")
    assert [[v.grad for v in row] for row in table] == gradient.tolist()
    _, (gi, gx) = tape.value_and_grad(i, X, reduce="sum", wrt="inputs")
    assert (gi.tolist(), gx.tolist()) == ([0.0] * 5, rows[i].tolist())


@pytest.mark.parametrize("example", [0, -1])
def test_take_by_a_negative_index_counts_from_the_end(numpy, example):
    table = [values(*range(4)), values(*range(10, 14)), values(*range(20, 24))]
    tape = fg.record(lambda i, x: dot(fg.take(table, i), x), example, [1.0] * 4)
    X = numpy.arange(24.0).reshape(6, 4)
    i = numpy.array([-3, -2, -1, 0, 1, 2])
    assert tape(i, X).tolist() == tape(i % 3, X).tolist()
    for k in i.tolist():
        assert tape(k, X[0]) == tape(k % 3, X[0])
        for args in ((k, X[0]), (k, X)):
            mine, other = tape.value_and_grad(*args), tape.value_and_grad(k % 3, *args[1:])
            assert list(mine[1]) == list(other[1])
        assert tape.jvp((k, X[0]), (0.0, X[1])) == tape.jvp((k % 3, X[0]), (0.0, X[1]))
    tape.backward(i, X, reduce="sum")
    once = [[v.grad for v in row] for row in table]
    tape.backward(i % 3, X, reduce="sum")
    assert [[v.grad for v in row] for row in table] == [[2 * g for g in row] for row in once]
    _, (_, by_each) = tape.value_and_grad(i, X, reduce=None, wrt="inputs")
    assert (
        by_each.tolist() == tape.value_and_grad(i % 3, X, reduce=None, wrt="inputs")[1][1].tolist()
    )


def test_take_among_inputs_by_a_computed_index_selects():
    tape = fg.record(lambda x, i: fg.take(x, i * 2) ** 2, [1.0, 2.0, 3.0, 4.0, 5.0], 1.0)
    assert tape([1.0, 2.0, 3.0, 4.0, 5.0], [0, 1, 2]) == [1.0, 9.0, 25.0]
    _, (gx, _) = tape.value_and_grad([[1.0] * 5, [2.0] * 5], [2, 0], reduce="sum", wrt="inputs")
    assert gx == [[0.0] * 4 + [2.0], [4.0] + [0.0] * 4]


@pytest.mark.parametrize(
    "index", [3, -4, 0.5, -0.5, math.nan, math.inf, -math.inf, 1e300, 2**32, -(2**63)]
)
def test_take_with_an_index_out_of_range_names_the_sample(index):
    table = values(1.0, 2.0, 3.0)
    tape = fg.record(lambda i, x: fg.take(table, i) * x, 0, 1.0)
    got = re.escape(f"got {float(index)!r}".removesuffix(".0"))
    wrong = rf"expected an index of -3 to 2, {got} \(index of take, 3 entries"
    for call in (tape, tape.backward, tape.value_and_grad):
        with pytest.raises(IndexError, match=wrong + r"\)"):
            call(index, 1.0)
        with pytest.raises(IndexError, match=wrong + r", sample 9\)"):
            call([1] * 9 + [index] + [2, 99], 1.0)
        with pytest.raises(IndexError, match=wrong + r", sample 0\)"):
            call(index, [1.0] * 300)
    with pytest.raises(IndexError, match=wrong + r", sample 1\)"):
        tape.value_and_grad([0, index], 1.0, reduce=None)
    assert [v.grad for v in table] == [0.0] * 3
    assert tape([0, 1, 2], 2.0) == [2.0, 4.0, 6.0]


def test_refused_index_is_of_the_current_call(numpy):
    tape = fg.record(lambda i: fg.take(values(1.0, 2.0), i) * 1.0, 0.0)
    for call in (tape, partial(tape.value_and_grad, wrt="inputs")):
        tape(numpy.array([0.0, 1.0]))  # its frame is used again
        with pytest.raises(IndexError, match=r"of -2 to 1, got 7 .index of take, 2 entries.$"):
            call(7.0)


def test_index_corrected_by_a_handler_is_reported_as_changed(numpy):
    """A signal handler puts it right between the replay and the search for what was wrong."""
    tape = fg.record(lambda i: fg.take(values(1.0, 2.0), i) * 1.0, 0.0)
    indices = numpy.array([0.0] * 5_000 + [2.0])  # too few for a poll in the replay
    with pytest.raises(IndexError, match="changed since"):
        at_each_poll(partial(tape, indices), lambda number: indices.fill(0.0))


# -- the object ------------------------------------------------------------------------------------


def test_len_nbytes_and_stats_agree():
    w = values(1.0, 2.0, 3.0)
    tape = fg.record(lambda x: dot(w, x).tanh() + sum(v * v for v in w), [1.0] * 3)
    stats = tape.stats()
    assert len(tape) == stats["operations"] < stats["recorded"]
    assert (stats["inputs"], stats["parameters"], stats["dots"]) == (3, 3, 2)
    assert (stats["hoisted"], stats["layers"], stats["block"] % 8) == (1, 1, 0)
    size = tape.nbytes
    assert size > 8 * (len(tape) + 6)
    tape([[1.0] * 3] * 100)
    assert tape.nbytes > size
    assert fg.record(lambda x: x, 1.0).stats()["operations"] == 0


def test_repr_and_str_show_the_program():
    w = Value(3.0)

    def cost(x, rest):
        return (x[1] * w - rest["k"]) ** 2 + 2.5

    tape = fg.record(cost, [1.0, 2.0], {"k": 0.5})
    assert tape.name == "cost"
    assert tape.inputs == [("x", (2,)), ("rest['k']", ())]
    assert repr(tape) == (
        f"<tape of cost(x[2], rest['k']): {len(tape)} operations for 5, 1 parameters>"
    )
    lines = str(tape).splitlines()
    assert lines[0] == repr(tape)[1:-1]
    assert "p0" in str(tape)
    assert "x[1]" in str(tape)
    assert "rest['k']" in str(tape)
    assert lines[-1] == f"  return v{len(tape) - 1}"
    v = values(2.0, 3.0, 4.0)
    neuron = fg.record(lambda x: (v[2] + v[0] * x[0] + v[1] * x[1]).tanh(), [1.0, 2.0])
    assert str(neuron).splitlines()[1:] == [
        "  v0 = dot(p2, p0, x[0], p1, x[1])", "  v1 = tanh(v0)", "  return v1"
    ]  # fmt: skip
    long = fg.record(lambda x: functional.exp(sum((x * i).sin() for i in range(2, 60))), 0.001)
    assert f"... {len(long) - 40} more" in str(long)


def test_argument_names_come_from_the_signature():
    class Callable:
        def __call__(self, a, *more, key=None):
            return a + sum(more)

    tape = fg.record(Callable(), 1.0, 2.0, 3.0)
    assert tape.name == "Callable"
    assert [name for name, _ in tape.inputs] == ["a", "argument1", "argument2"]
    with pytest.warns(FastgradWarning, match="the tape of max keeps"):
        tape = fg.record(max, 1.0, 2.0)  # whose signature nobody knows
    assert [name for name, _ in tape.inputs] == ["argument0", "argument1"]


def test_tape_in_a_cycle_is_collected(linear):
    tape = fg.record(lambda x: x, 1.0)
    tape.note = tape  # a cycle
    reference = weakref.ref(tape)
    del tape
    gc.collect()
    assert reference() is None


def test_empty_tape_is_refused_by_every_call(linear):
    empty = fg.Tape.__new__(fg.Tape)
    for call in (empty, empty.backward, empty.value_and_grad, empty.check):
        with pytest.raises(TypeError, match="expected a recorded tape, got an empty one"):
            call()
    with pytest.raises(TypeError):
        fg.Tape()
    with pytest.raises(TypeError):
        fg.Tape([1.0], [2.0], [], None, "f", [])
    assert linear([1.0, 2.0, 3.0]) == 321.0


def test_replay_gives_inf_or_nan_where_eager_raises():
    tape = fg.record(lambda x: 1 / x + x.exp() + (x - 2).log(), 3.0)
    assert tape(0.0) != tape(0.0)
    assert fg.record(lambda x: 1 / x, 1.0)([0.0, -0.0, math.inf]) == [math.inf, -math.inf, 0.0]
    assert fg.record(lambda x: x.exp(), 1.0)(1e4) == math.inf
    assert math.isnan(fg.record(lambda x: x.log(), 1.0)(-1.0))
    assert math.isnan(fg.record(lambda x: x**0.5, 1.0)(-1.0))
    value, (gradient,) = fg.record(lambda x: x.sqrt(), 1.0).value_and_grad(0.0, wrt="inputs")
    assert (value, gradient) == (0.0, math.inf)


def test_every_set_of_batched_arguments_works_in_bounded_memory():
    n = 8
    tape = fg.record(lambda *x: sum(v * (10**i) for i, v in enumerate(x)), *[1.0] * n)
    for mask in range(1, 2**n):
        arguments = [[1.0, 2.0] if mask >> i & 1 else 1.0 for i in range(n)]
        high = sum(10**i * (1 + (mask >> i & 1)) for i in range(n))
        assert tape(*arguments) == [float("1" * n), high]
    assert len(tape) == 1 or tape.nbytes < 1 << 20
