"""trace: nodes and edges of Values and of tapes, in an order that the graph alone decides.

Oracles: `operands` and `_local_grads` of each Value; the eager engine for the numbers of a tape;
the chain rule, which the nodes must satisfy among themselves.
"""

import math
import random

import pytest
from helpers.random_graphs import run

import fastgrad as fg
from fastgrad import Value, functional, nn, trace
from fastgrad.errors import FastgradIndexError, FastgradTypeError, FastgradValueError, ShapeError
from fastgrad.graphs import Graph, Node


@fg.custom("doubled")
def doubled(x, y):
    return 2 * x + y


doubled.partials(lambda x, y, result: [2.0, 1.0])


def expect_chain_rule(graph):
    """Assert that each gradient is the sum of what its users contribute."""
    for node, users in zip(graph.nodes, graph.users(), strict=True):
        if users:
            parts = [
                graph.nodes[user].grad * graph.nodes[user].partials[position]
                for user, position in users
            ]
            assert node.grad == pytest.approx(math.fsum(parts), rel=1e-12, abs=1e-300)


def test_trace_lists_operands_in_order_with_repeats():
    a, b = Value(2.0, label="a"), Value(3.0, label="b")
    graph = trace(b**a * (a * a))
    assert [node.label for node in graph.nodes] == ["b", "a", "", "", ""]
    assert [node.operation for node in graph.nodes] == ["", "", "pow", "mul", "mul"]
    assert [node.operands for node in graph.nodes] == [(), (), (0, 1), (1, 1), (2, 3)]
    assert graph.edges == ((0, 2), (1, 2), (1, 3), (1, 3), (2, 4), (3, 4))
    assert graph.roots == (4,)
    assert graph.nodes[0].value is b
    assert graph.users()[1] == [(2, 1), (3, 0), (3, 1)]


def test_trace_unpacks_into_nodes_and_edges():
    nodes, edges = trace(Value(1.0) + 2)
    assert (len(nodes), edges) == (3, ((0, 2), (1, 2)))


def test_trace_names_operation_symbol_and_parameter():
    a = Value(0.5)
    made = [a**2, a**0.5, functional.leaky_relu(a, 0.1), a.tanh(), a.relu(), doubled(a, 1.0)]
    made += [Value(1.0, (a,), "mine"), Value(1.0, (a,)), Value(1.0, (a,), local_grads=(2.0,))]
    made += [fg.take([a, a], a * 2)]
    found = [trace(v).nodes[-1] for v in made]
    assert [(n.operation, n.symbol, n.parameter) for n in found] == [
        ("pow_number", "**2", 2.0),
        ("pow_number", "**0.5", 0.5),
        ("leaky_relu", "leaky_relu", 0.1),
        ("tanh", "tanh", None),
        ("relu", "ReLU", None),
        ("doubled", "doubled", None),
        ("mine", "mine", None),
        ("python", "", None),
        ("linear", "", None),
        ("take", "take", None),
    ]


def test_trace_has_numbers_and_partials_of_each_node():
    x = Value(0.3, label="x")
    y = (x * x).exp() + x.tanh() * doubled(x, x)
    y.backward()
    graph = trace(y)
    for node in graph.nodes:
        assert (node.data, node.grad) == (node.value.data, node.value.grad)
        assert node.partials == node.value._local_grads
        assert tuple(graph.nodes[i].value for i in node.operands) == node.value.operands
    expect_chain_rule(graph)


@pytest.mark.wide
@pytest.mark.parametrize("seed", range(5))
def test_trace_of_random_graphs_has_operands_first_and_each_node_once(seed):
    random.seed(seed)
    codes = [random.getrandbits(40) for _ in range(40)]
    graph = trace(run(Value, codes)[-1])
    assert [node.id for node in graph.nodes] == list(range(len(graph.nodes)))
    assert all(operand < node.id for node in graph.nodes for operand in node.operands)
    assert len({id(node.value) for node in graph.nodes}) == len(graph.nodes)


def test_trace_gives_no_partials_where_there_are_no_numbers():
    x = Value(0.0)
    infinite, by_hand = x**0.5, Value(1.0, (x,), "mine")
    by_hand._backward = lambda: None
    assert trace(infinite).nodes[-1].partials is None
    assert trace(by_hand).nodes[-1].partials is None


def test_trace_keeps_own_attributes_of_a_program_apart():
    x = Value(2.0)
    y = x * 3
    y.operands = "mine"
    assert [node.operands for node in trace(y).nodes] == [(), (), (0, 1)]


def test_trace_of_a_list_is_one_graph():
    a = Value(1.0)
    b = a + 1
    graph = trace([b, a, b * 2])
    assert len(graph.nodes) == 5
    assert graph.roots == (2, 0, 4)


@pytest.mark.wide
def test_trace_of_a_deep_graph_needs_no_recursion():
    v = Value(1.0)
    for _ in range(5_000):
        v = v + v
    assert len(trace(v).nodes) == 5_001


def test_trace_to_a_depth_marks_what_is_cut():
    a, b = Value(1.0), Value(2.0)
    y = (a * b).tanh() + a
    graph = trace(y, depth=1)
    assert [(n.symbol, n.operands, n.is_cut, n.partials) for n in graph.nodes] == [
        ("tanh", (), True, None),
        ("", (), False, ()),
        ("+", (0, 1), False, (1.0, 1.0)),
    ]
    assert len(trace(y, depth=0).nodes) == 1
    assert len(trace(y, depth=9).nodes) == 5


def test_trace_refuses_more_nodes_than_the_limit():
    v = Value(1.0) + 1
    assert len(trace(v, limit=3).nodes) == 3
    with pytest.raises(FastgradValueError, match="expected at most 2 nodes, got more"):
        trace(v, limit=2)
    with pytest.raises(FastgradValueError, match="at most 1 nodes"):
        trace(fg.record(lambda x: x * 2.0, 1.0), limit=1)


@pytest.mark.parametrize("expand_first", [False, True])
def test_trace_keeps_dots_whole_if_asked(expand_first):
    neuron = nn.Neuron(2, activation="tanh")
    x = [Value(0.5), Value(-2.0)]
    y = neuron(x)
    y.backward()
    whole = trace(y) if expand_first else None
    graph = trace(y, dots=True)
    dot = graph.nodes[-2]
    w, b = neuron.w, neuron.b
    assert (dot.operation, dot.symbol) == ("dot", "dot")
    assert [graph.nodes[i].value for i in dot.operands] == [b, w[0], x[0], w[1], x[1]]
    assert dot.partials == (1.0, x[0].data, w[0].data, x[1].data, w[1].data)
    expect_chain_rule(graph)
    whole = whole or trace(y)
    assert [node.symbol for node in whole.nodes if node.operands] == ["*", "+", "*", "+", "tanh"]
    expect_chain_rule(whole)


# -- tapes -----------------------------------------------------------------------------------------


def function(x, y, w):
    row = [x[0], y, w]
    return (fg.take(row, x[1]) * w + x[0] ** 2 - y.leaky_relu(0.1)) ** 0.5 + w * 2 + w


def test_trace_of_a_tape_has_the_numbers_of_a_call():
    w = Value(1.5, label="w")
    tape = fg.record(lambda x, y: function(x, y, w), [2.0, 2.0], -3.0)
    graph = trace(tape, [2.5, 1.0], 4.0)
    value, (by_x, by_y) = tape.value_and_grad([2.5, 1.0], 4.0, wrt="inputs")
    by_w = tape.value_and_grad([2.5, 1.0], 4.0, wrt=w)[1]
    assert [n.label for n in graph.nodes[:4]] == ["x[0]", "x[1]", "y", "w"]
    assert [n.kind for n in graph.nodes[:5]] == ["input"] * 3 + ["parameter", "constant"]
    assert [n.data for n in graph.nodes[:4]] == [2.5, 1.0, 4.0, 1.5]
    assert [n.grad for n in graph.nodes[:4]] == [*by_x, by_y, by_w]
    assert graph.nodes[3].value is w
    assert [graph.nodes[i].data for i in graph.roots] == [value]
    assert w.grad == 0.0
    expect_chain_rule(graph)


def test_trace_of_a_tape_names_operations_as_eager_does():
    w = Value(1.5)
    tape = fg.record(lambda x, y: function(x, y, w), [2.0, 2.0], -3.0)
    found = [(n.operation, n.symbol, n.parameter, len(n.operands)) for n in trace(tape).nodes]
    assert ("pow_number", "**2", 2.0, 1) in found
    assert ("pow_number", "**0.5", 0.5, 1) in found
    assert ("leaky_relu", "leaky_relu", 0.1, 1) in found
    assert ("take", "take", None, 4) in found
    place = trace(tape).nodes[-1].place
    assert place[0] == __file__
    assert place[2] == "function"


def test_trace_of_a_tape_without_arguments_has_no_numbers():
    w = Value(1.5)
    graph = trace(fg.record(lambda x: x * w + 2.0, 3.0))
    assert [(n.data, n.grad) for n in graph.nodes] == [
        (None, None), (1.5, None), (2.0, None), (None, None), (None, None)
    ]  # fmt: skip
    assert graph.nodes[-1].partials is None
    constant = trace(fg.record(lambda: w * w))
    assert [(n.data, n.grad) for n in constant.nodes] == [(1.5, 3.0), (2.25, 1.0)]


def test_trace_of_a_tape_has_partials_of_dots_conditions_and_custom_operations():
    model = nn.MLP(2, [2, 1])
    tape = fg.record(
        lambda x, y: doubled(fg.where(x[0] > y, model(x) * y, y), y) + 0.0 * y, [1.0, 2.0], 0.5
    )
    for args in ([1.0, 2.0], 0.5), ([0.0, 2.0], 0.5):
        graph = trace(tape, *args)
        assert {"dot", "keep_if", "doubled"} <= {node.operation for node in graph.nodes}
        expect_chain_rule(graph)


def test_trace_of_a_tape_takes_an_index_that_is_an_entry():
    tape = fg.record(lambda i, x: fg.take([x, i, x], i) * 2.0, 1.0, 5.0)
    (node,) = (node for node in trace(tape, 1.0, 5.0).nodes if node.operation == "take")
    assert node.operands == (0, 1, 0, 1)
    assert node.partials == (0.0, 0.0, 1.0, 0.0)
    assert [n.grad for n in trace(tape, 1.0, 5.0).nodes[:2]] == [2.0, 0.0]
    with pytest.raises(FastgradIndexError, match="expected an index of -3 to 2, got nan"):
        trace(tape, math.nan, 5.0)


def test_trace_of_a_tape_with_several_results_has_no_gradients():
    graph = trace(fg.record(lambda x: [x * 2.0, x + 1.0], 1.0), 3.0)
    assert [graph.nodes[i].data for i in graph.roots] == [6.0, 4.0]
    assert {node.grad for node in graph.nodes} == {None}


def test_trace_of_a_tape_leaves_unused_arguments_without_gradient():
    graph = trace(fg.record(lambda x, y: x * 2.0, 1.0, 1.0), 3.0, 4.0)
    assert [node.grad for node in graph.nodes[:3]] == [2.0, 0.0, 3.0]


def test_trace_refuses_what_it_cannot_list():
    tape = fg.record(lambda x: x * 2.0, 1.0)
    for root in (2.0, [], [Value(1.0), 2.0], None):
        with pytest.raises(FastgradTypeError, match="expected a Value, a list of Values or a tape"):
            trace(root)
    with pytest.raises(FastgradTypeError, match="expected a tape to call with them"):
        trace(Value(1.0), 2.0)
    with pytest.raises(FastgradTypeError, match="depth of trace"):
        trace(tape, 1.0, depth=2)
    for wrong in (1.5, True, "a"):
        with pytest.raises(FastgradTypeError, match="limit of trace"):
            trace(tape, 1.0, limit=wrong)
    with pytest.raises(ShapeError, match="expected one sample, got a batch of 2"):
        trace(tape, [1.0, 2.0])


def test_trace_returns_plain_records():
    graph = trace(Value(1.0))
    assert graph == Graph((Node(0, "leaf", "", 1.0, 0.0, value=graph.nodes[0].value),), (), (0,))
