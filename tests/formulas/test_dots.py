"""Sums of products in the graph: a dot node each, or operators where something is not plain.

Oracle: the loop `start + row[0]*x[0] + ...` in operators; `arena_check`; a Neuron.
"""

import pytest
from helpers.graphs import live_after_gc

from fastgrad import Value, functional, nn, no_grad
from fastgrad._native.graph.check import arena_check
from fastgrad._native.graph.neurons import call_linear

F = functional


def loop(xs, row, start=0.0):
    total = start
    for x, w in zip(xs, row, strict=True):
        total = total + w * x
    return total


def leaves(*numbers):
    return [Value(number) for number in numbers]


def test_dot_is_the_graph_of_a_neuron():
    neuron = nn.Neuron(3, nonlin=False)
    x = leaves(0.1, -0.7, 1.3)
    found, expected = F.linear(x, [neuron.w], [neuron.b])[0], neuron(x)
    assert (found.data, found._op, len(found._prev)) == (expected.data, "+", 2)
    found.backward()
    grads = [v.grad for v in (*x, *neuron.parameters())]
    for v in (*x, *neuron.parameters()):
        v.grad = 0.0
    expected.backward()
    assert grads == [v.grad for v in (*x, *neuron.parameters())]


def test_rows_may_mix_values_and_numbers():
    a, b, c = leaves(0.1, 0.2, 0.3)
    xs, rows, starts = [a, 0.7, b], [[1.0, b, 3], [c, c, c], [1.0, 2.0, 3.0]], [0.5, c, 0.0]
    found = F.linear(xs, rows, starts)
    expected = [loop(xs, row, start) for row, start in zip(rows, starts, strict=True)]
    assert [v.data for v in found] == [v.data for v in expected]
    F.sum(found).backward()
    grads = [v.grad for v in (a, b, c)]
    for v in (a, b, c):
        v.grad = 0.0
    F.sum(expected).backward()
    assert grads == pytest.approx([v.grad for v in (a, b, c)], rel=1e-14)


def test_values_in_the_weights_alone_or_the_start_alone_are_enough():
    w = Value(2.0)
    assert F.linear([3.0], [[w]])[0].data == 6.0
    assert F.linear([3.0], [[1.0]], [w])[0].data == 5.0
    assert F.linear([3.0], [[1.0]], [2.0]) == [5.0]


def test_dot_of_a_row_with_itself_has_twice_its_derivative():
    x = leaves(3.0, -2.0)
    F.dot(x, x).backward()
    assert [v.grad for v in x] == [6.0, -4.0]


def test_subclasses_go_through_the_operations_of_functional():
    class Own(Value):
        pass

    x = [Own(3.0), Value(2.0)]
    found = F.dot(x, [Value(5.0), 7.0])
    found.backward()
    assert (found.data, x[0].grad, x[1].grad) == (29.0, 5.0, 7.0)


def test_patched_operators_are_not_passed_by(monkeypatch):
    monkeypatch.setattr(Value, "__mul__", lambda self, other: other)
    assert call_linear(leaves(1.0), [leaves(2.0)], [0.0]) is None


def test_dots_under_no_grad_make_no_graph():
    with no_grad():
        found = F.linear(leaves(1.0, 2.0), [leaves(3.0, 4.0)])[0]
    assert (found.data, found._prev) == (11.0, set())


@pytest.mark.parametrize(
    ("xs", "rows", "starts"),
    [
        ([1.0], [[2.0]], [0.0]),
        ([Value(1.0)], [], []),
        ([Value(1.0)], [[2.0]], []),
        ([Value(1.0)], [(2.0,)], [0.0]),
        ([Value(1.0)], [[2.0, 3.0]], [0.0]),
        ([Value(1.0)], [[2.0], [None]], [0.0, 0.0]),
        ([Value(1.0), "a"], [[2.0, 3.0]], [0.0]),
        ([], [[]], [Value(1.0)]),
    ],
)
def test_what_is_not_plain_is_left_to_python_and_nothing_stays(xs, rows, starts):
    before = live_after_gc()
    assert call_linear(xs, rows, starts) is None
    assert live_after_gc() == before
    arena_check()


def test_dots_are_freed_with_their_graph():
    before = live_after_gc()
    found = F.linear(leaves(1.0, 2.0), [leaves(3.0, 4.0), leaves(5.0, 6.0)])
    arena_check()
    F.sum(found).backward()
    del found
    assert live_after_gc() == before
    arena_check()


def test_lists_that_change_while_they_are_read_do_no_harm():
    class Strange:
        def __init__(self, lists):
            self.lists = lists

        def __float__(self):
            for one in self.lists:
                one.clear()
            return 1.0

    rows, starts, xs = [leaves(1.0, 2.0), leaves(3.0, 4.0)], [0.0, 0.0], leaves(5.0, 6.0)
    starts[0] = Strange([rows, starts, xs, rows[1]])
    assert call_linear(xs, rows, starts) is None
    arena_check()
