"""Tapes called with Values: their operations join the graph.

Oracles: the recorded function itself, run eagerly on the same Values; `value_and_grad` of the tape.
"""

import math
from typing import NamedTuple

import pytest
from helpers.graphs import live_after_gc
from helpers.polls import at_each_poll, stop_at
from helpers.tape_programs import Program, bits, eager

import fastgrad as fg
from fastgrad import Value, functional, no_grad, record, take
from fastgrad.errors import FastgradIndexError, FastgradTypeError, ShapeError, TapeError

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]


def cube(x):
    return x * x * x


@pytest.fixture(scope="module")
def cubed():
    return record(cube, 2.0)


# -- gradients -------------------------------------------------------------------------------------


def test_tape_of_a_value_is_part_of_the_graph(cubed):
    x = Value(2.0)
    y = cubed(x) * 2 + x
    y.backward()
    assert (y.data, x.grad) == (18.0, 25.0)


@pytest.mark.parametrize("seed", range(150))
def test_random_program_on_values_has_the_bits_of_the_function(seed):
    program = Program(seed, 25)
    tape = record(program.some, *program.example)
    single = record(program.first, *program.example)
    for _ in range(3):
        sample = program.sample()
        expected, gradient = eager(program, sample)
        leaves = list(map(Value, sample))
        if expected is None:
            continue
        got = tape(*leaves)
        assert bits(v.data for v in got) == bits(expected)
        assert bits(v.data for v in tape(*leaves[:1], *sample[1:])) == bits(expected)
        if gradient is None:
            continue
        for leaf in (*leaves, *program.parameters):
            leaf.grad = 0.0
        single(*leaves).backward()
        got = [leaf.grad for leaf in (*leaves, *program.parameters)]
        for one, two in zip(got, gradient, strict=True):
            assert one == pytest.approx(two, rel=1e-9, abs=1e-12, nan_ok=True)
        value, by_inputs = single.value_and_grad(*sample, wrt="inputs")
        if math.isfinite(value) and all(map(math.isfinite, by_inputs)):
            assert bits(got[: len(leaves)]) == bits(by_inputs)


def test_initial_value_that_is_a_factor_has_the_bits_of_a_replay():
    q = Value(1.07464328615904)
    tape = record(lambda x: (x + x * x + x * q) * 1.7, 2.4)
    for k in range(100):
        x = Value(0.04 * k + 0.011)
        tape(x).backward()
        assert tape.value_and_grad(x.data, wrt="inputs") == (tape(x.data), (x.grad,))


def test_parameters_of_a_tape_of_values_get_their_gradient():
    model = fg.MLP(3, [8, 2])
    tape = record(model, [0.1, 0.2, 0.3])
    xs = [Value(0.5), Value(-1.0), Value(2.0)]
    gradients = []
    for f in (model, tape):
        for leaf in (*xs, *model.parameters()):
            leaf.grad = 0.0
        for _ in range(2):  # it accumulates
            a, b = f(xs)
            (a * b).tanh().backward()
        gradients.append([leaf.grad for leaf in (*xs, *model.parameters())])
    assert gradients[0] == gradients[1]
    assert any(gradients[0][3:])


def test_weights_changed_between_calls_count_in_the_next_one():
    w = [Value(float(k)) for k in range(6)]
    tape = record(lambda xs: sum((a * b for a, b in zip(w, xs, strict=True)), w[0]), [1.0] * 6)
    xs = [Value(1.0) for _ in range(6)]
    first = tape(xs)
    w[5].data = 7.0
    second = tape(xs)
    assert (first.data, second.data) == (15.0, 17.0)
    second.backward()
    assert [x.grad for x in xs] == [0.0, 1.0, 2.0, 3.0, 4.0, 7.0]


@pytest.mark.parametrize("width", [1, 2, 3, 4, 7])
def test_dots_of_a_tape_share_inputs_and_not_weights(width):
    """Dots of the same inputs one after the other, of others, of weights that are arguments."""

    def f(xs, ys):
        dot = lambda a, b, s: sum((p * q for p, q in zip(a, b, strict=True)), s)  # noqa: E731
        first = [dot([x + k for x in xs], ys, xs[0]) for k in (0.0, 1.0)]
        return dot(ys, ys, first[0]) * dot(xs, ys, first[1]) + dot(xs, ys, ys[0])

    xs, ys = [[Value(0.1 * k + 1) for k in range(s, s + width)] for s in (0, 5)]
    tape = record(f, [1.0] * width, [1.0] * width)
    results = []
    for g in (f, tape):
        for leaf in (*xs, *ys):
            leaf.grad = 0.0
        y = g(xs, ys)
        y.backward()
        y.backward()  # a dot that is swept again shows its products
        results.append((y.data, [v.grad for v in (*xs, *ys)]))
    assert results[0][0] == results[1][0]
    assert results[0][1] == pytest.approx(results[1][1], rel=1e-12)


@pytest.mark.parametrize("width", [4, 6])
def test_dots_that_share_their_first_input_alone_keep_the_others(width):
    def f(xs, ys):
        dot = lambda a, b: sum((p * q for p, q in zip(a, b, strict=True)), 1.0)  # noqa: E731
        return [dot(ys, xs), dot([xs[1], *ys[1:]], [xs[0], *ys[1:]])]

    xs, ys = [[Value(0.1 * k + 1) for k in range(s, s + width)] for s in (0, 5)]
    gradients = []
    for g in (f, record(f, [1.0] * width, [1.0] * width)):
        for leaf in (*xs, *ys):
            leaf.grad = 0.0
        (g(xs, ys)[0] * 3 + g(xs, ys)[1]).backward()
        gradients.append([v.grad for v in (*xs, *ys)])
    assert gradients[0] == gradients[1]


def test_dot_of_arguments_from_a_parameter_on_takes_those_of_each_call():
    bias = Value(1.0)

    def f(xs, ys):
        return sum((x * y for x, y in zip(xs, ys, strict=True)), bias)

    tape = record(f, [1.0] * 5, [1.0] * 5)
    calls = [[[Value(k + 0.5 * n) for k in range(5)] for n in (i, i + 1)] for i in (1, 2)]
    for xs, ys in calls:
        tape(xs, ys).backward()
    for xs, ys in calls:
        assert [x.grad for x in xs] == [y.data for y in ys]
        assert [y.grad for y in ys] == [x.data for x in xs]
    assert bias.grad == 2.0


def test_graph_of_a_tape_can_be_looked_into():
    x = Value(2.0)
    y = record(lambda x: x**2 + x**0.5 + functional.leaky_relu(x, 0.5) * 3, 1.0)(x)
    assert (y.data, y._op, y.grad) == (4 + 2**0.5 + 6, "+", 0.0)
    symbols = set()
    todo = [y]
    while todo:
        v = todo.pop()
        symbols.add(v._op)
        todo += v._prev
    assert symbols == {"+", "**2", "**0.5", "leaky_relu", "*", ""}


def test_take_on_a_tape_of_values_passes_to_the_chosen_entry():
    tape = record(lambda i, table: take(table, i) * 10, 0.0, [1.0, 2.0, 3.0])
    table = [Value(5.0), Value(6.0), Value(7.0)]
    y = tape(Value(2.0), table)
    y.backward()
    assert (y.data, [v.grad for v in table]) == (70.0, [0.0, 0.0, 10.0])
    with pytest.raises(FastgradIndexError, match="an index of -3 to 2, got 3"):
        tape(Value(3.0), table)


def test_newton_with_a_tape_in_the_loop():
    """The derivative of the root by the parameter is that of the implicit function."""
    f = record(lambda x, a: x * x - a, 1.0, 2.0)
    slope = record(lambda x: 2 * x, 1.0)
    a = Value(2.0)
    x = Value(1.0)
    for _ in range(8):
        x = x - f(x, a) / slope(x)
    x.backward()
    assert x.data == pytest.approx(2**0.5)
    assert a.grad == pytest.approx(0.5 / 2**0.5)


def test_tape_is_a_layer_of_a_bigger_model():
    inner, outer = fg.MLP(2, [3]), fg.MLP(3, [1])
    tape = record(inner, [0.0, 0.0])
    optimizer = fg.optim.SGD([*inner.parameters(), *outer.parameters()], lr=0.05)
    losses = []
    for _ in range(100):
        loss = (outer(tape([Value(0.5), -1.0])) - 1) ** 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.data)
    assert losses[-1] < 1e-3 < losses[0]


# -- structure -------------------------------------------------------------------------------------


def test_result_of_values_is_nested_as_returned():
    class Pair(NamedTuple):
        p: float
        q: float

    tape = record(
        lambda d: {"a": [d["x"][0] * d["y"], d["x"][1]], "b": ([d["y"] + 1],), 3: d["y"]},
        {"x": Pair(1.0, 2.0), "y": 3.0},
    )
    x, y = Value(2.0), Value(5.0)
    result = tape({"x": Pair(x, 4.0), "y": y})
    assert list(result) == ["a", "b", 3]
    assert [type(part) for part in result.values()] == [list, tuple, Value]
    assert [v.data for v in (*result["a"], *result["b"][0])] == [10.0, 4.0, 6.0]
    assert result[3] is y


def test_rectangle_of_values_comes_back_as_lists_or_an_object_array(numpy):
    tape = record(lambda a: a * 2, numpy.ones((2, 3)))
    v = Value(3.0)
    rows = tape([[v, 1.0, 2], [0.0, 0.0, v]])
    assert [[w.data for w in row] for row in rows] == [[6.0, 2.0, 4.0], [0.0, 0.0, 6.0]]
    array = tape(numpy.array([[v, 1.0, 2.0], [0.0, 0.0, v]], dtype=object))
    assert (type(array), array.shape, array.dtype) == (numpy.ndarray, (2, 3), object)
    array.sum().backward()
    assert v.grad == 4.0
    scalar = record(lambda a, b: (a * b).sum(), numpy.ones(2), 1.0)
    assert type(scalar(numpy.ones(2), v)) is Value


def test_argument_or_parameter_that_is_returned_is_itself():
    w = Value(3.0)
    tape = record(lambda x, y: [x, y, w], 1.0, 2.0)
    x = Value(5.0)
    for context in (no_grad(), None):
        if context is None:
            a, b, c = tape(x, 4)
        else:
            with context:
                a, b, c = tape(x, 4)
        assert a is x
        assert c is w
        assert (b.data, b._prev) == (4.0, set())


def test_subclass_among_arguments_and_parameters_stays_itself():
    class Named(Value):
        pass

    w, x = Named(3.0), Named(2.0)
    w.name, x.name = "w", "x"
    tape = record(lambda x, y: w * x * y, 1.0, 1.0)
    y = tape(x, Value(1.0))
    del x
    todo, names = [y], set()
    while todo:
        v = todo.pop()
        names |= {v.name} if isinstance(v, Named) else set()
        todo += v._prev
    assert names == {"w", "x"}


def test_numbers_alone_make_no_graph(cubed):
    before = live_after_gc()
    assert type(cubed(2)) is float
    assert type(cubed(True)) is float
    assert live_after_gc() == before


# -- errors ----------------------------------------------------------------------------------------


def test_values_in_a_batch_are_refused_by_the_argument(cubed):
    two = record(lambda x, ys: x * ys[0] * ys[1], 1.0, [1.0, 2.0])
    x = Value(1.0)
    expected = r"one sample in each argument, as Values were given, got a batch of {} \({}\)"
    for call, n, name in (
        (lambda: cubed([x, x]), 2, "x"),
        (lambda: cubed([1.0, 2.0, x]), 3, "x"),
        (lambda: two(x, [[1.0, 2.0]] * 4), 4, "ys"),
        (lambda: two([1.0, 2.0], [x, 3.0]), 2, "x"),
        (lambda: two(1.0, [[x, 3.0]]), 1, "ys"),
    ):
        with pytest.raises(ShapeError, match=expected.format(n, name)):
            call()


def test_gradient_methods_refuse_values_by_the_argument(cubed):
    two = record(lambda x, ys: x * ys[0] * ys[1], 1.0, [1.0, 2.0])
    x = Value(1.0)
    optimizer = fg.optim.SGD([x], lr=0.1)
    for call, name in (
        (lambda: cubed.backward(x), "x"),
        (lambda: cubed.value_and_grad(x), "x"),
        (lambda: cubed.value_and_grad(x, wrt="inputs", check=True), "x"),
        (lambda: cubed.value_and_grad(x, reduce=None), "x"),
        (lambda: cubed.jvp((x,), (1.0,)), "x"),
        (lambda: cubed.jvp((1.0,), (x,)), "tangent of x"),
        (lambda: two.backward(1.0, [2.0, x]), "ys"),
        (lambda: fg.fit(two, 1.0, [2.0, x], optimizer=optimizer, steps=1), "ys"),
    ):
        with pytest.raises(FastgradTypeError, match=rf"expected numbers, got Value .*\({name}\)"):
            call()
    assert x.grad == 0.0


@pytest.mark.parametrize(
    ("f", "at", "error"),
    [
        (lambda x: 1 / x, 0.0, ZeroDivisionError),
        (lambda x: x.exp() * 2, 1000.0, OverflowError),
        (lambda x: x.log() + 1, -1.0, ValueError),
        (lambda x: x**0.5, -1.0, ValueError),
    ],
)
def test_tape_of_values_raises_where_the_function_does(f, at, error):
    tape = record(f, 1.0)
    x = Value(at)
    before = live_after_gc()
    for g in (f, tape):
        with pytest.raises(error):
            g(x)
        with no_grad(), pytest.raises(error):
            g(x)
    assert live_after_gc() == before
    assert not math.isfinite(tape(at))  # numbers are replayed


def test_infinity_that_the_function_gives_comes_out():
    tape = record(lambda x: x * 1e308 * 10, 1.0)
    assert tape(Value(1.0)).data == math.inf


def test_check_of_a_tape_takes_values(cubed):
    assert cubed.check(Value(2.0)) is None
    assert cubed.check(Value(math.inf)).operation == "mul"
    assert cubed(Value(2.0), check=True).data == 8.0


# -- no_grad and recording -------------------------------------------------------------------------


def test_tape_of_values_under_no_grad_is_a_leaf(cubed):
    with no_grad():
        y = cubed(Value(2.0))
    assert (type(y), y.data, y._prev) == (Value, 8.0, set())


def test_tapes_inside_tapes_are_one_tape_with_all_parameters():
    w = Value(3.0)

    def first(x):
        return (w * x).tanh()

    def second(f):
        return lambda x: f(x) + f(x * 2)

    inner = record(first, 0.5, strict=True)
    middle = record(second(inner), 0.5, strict=True)
    outer = record(lambda x: middle(middle(x)), 0.5, strict=True)
    plain = record(lambda x: second(first)(second(first)(x)), 0.5)
    assert [p is w for p in outer.parameters] == [True]
    xs = [0.7, -1.0, 2.0]
    assert outer(xs) == plain(xs)
    assert len(outer) == len(plain)
    for reduce in ("sum", None):
        assert outer.value_and_grad(xs, reduce=reduce) == plain.value_and_grad(xs, reduce=reduce)
    assert outer.jvp((xs,), ([1.0] * 3,)) == plain.jvp((xs,), ([1.0] * 3,))
    for f in (outer, plain):
        w.grad, x = 0.0, Value(0.7)
        f(x).backward()
        assert (x.grad,) == outer.value_and_grad(0.7, wrt="inputs")[1]
        assert [w.grad] == outer.value_and_grad(0.7)[1]


def test_tapes_nest_as_deep_as_functions_do():
    tape = record(lambda x: x * 1.25 + 1, 1.0)
    for _ in range(200):
        tape = record(lambda x, t=tape: t(x) - x, 1.0)
    x = Value(3.0)
    y = tape(x)
    y.backward()
    assert y.data == tape(3.0)
    assert (x.grad,) == tape.value_and_grad(3.0, wrt="inputs")[1]


def test_inner_tape_of_a_recorded_and_a_plain_argument_keeps_both():
    inner = record(lambda x, y: x * y, 1.0, 1.0)
    outer = record(lambda x: inner(x, 3.0) + inner(2.0, x), 1.0)
    assert outer([1.0, 2.0]) == [5.0, 10.0]


def test_inner_tape_under_no_grad_is_reported_as_a_frozen_decision(cubed):
    def f(x):
        with no_grad():
            y = cubed(x)
        return x * y

    with pytest.raises(TapeError, match="no_grad"):
        record(f, 2.0, strict=True)


def test_gradient_methods_in_a_recorded_function_refuse_recorded_values(cubed):
    with pytest.raises(FastgradTypeError, match="expected numbers, got Value"):
        record(lambda x: x * cubed.value_and_grad(x)[0], 1.0)


def test_example_that_holds_values_is_read(cubed):
    tape = record(lambda x, ys: cubed(x) * ys[0] * ys[1], Value(2.0), [Value(3.0), 4.0])
    assert tape(2.0, [1.0, 1.0]) == 8.0


# -- signals and memory ----------------------------------------------------------------------------


def long_chain(x):
    for _ in range(150_000):
        x = x * 0.75 + 0.25
    return x


def test_tape_of_values_stops_at_any_poll_and_leaves_nothing():
    tape = record(long_chain, 1.0)
    x = Value(2.0)
    before = live_after_gc()
    n = at_each_poll(lambda: tape(x))[0]
    assert n > 2
    for number in (1, n // 2, n):
        with pytest.raises(KeyboardInterrupt):
            at_each_poll(lambda: tape(x), stop_at(number))
        assert live_after_gc() == before


def test_handler_may_use_the_tape_that_is_appended():
    tape = record(long_chain, 1.0)
    x, seen = Value(2.0), []
    n, y = at_each_poll(lambda: tape(x), lambda number: seen.append(tape(x) * x))
    assert len(seen) == n
    y.backward()
    assert x.grad == tape.value_and_grad(2.0, wrt="inputs")[1][0]
    assert {v.data for v in seen} == {y.data * 2.0}


def test_graph_outlives_the_tape_and_is_freed_with_the_result():
    before = live_after_gc()
    tape = record(fg.MLP(4, [5, 1]), [0.0] * 4)
    xs = [Value(0.5) for _ in range(4)]
    y = tape(xs)
    expected = tape.value_and_grad([0.5] * 4, wrt="inputs")[1][0]
    del tape
    y.backward()
    assert [x.grad for x in xs] == expected
    del y, xs
    assert live_after_gc() == before
