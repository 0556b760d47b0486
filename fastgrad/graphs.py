"""Graphs: what a Value was computed from, or what a tape computes, as nodes and edges in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from fastgrad._native.graph.value import operation_of
from fastgrad._native.tape import inspect
from fastgrad.engine import Value
from fastgrad.errors import (
    FastgradAttributeError,
    FastgradTypeError,
    FastgradValueError,
    describe,
    explain,
)
from fastgrad.ops import TABLE
from fastgrad.tape import Tape

__all__ = ["Graph", "Node", "trace"]


@dataclass(frozen=True, slots=True)
class Node:
    """A number in a graph, and what made it.

    Attributes
    ----------
    id : int
        Its place in `Graph.nodes`, behind those of its operands; on a tape its slot.
    kind : str
        "leaf" or "operation" of Values; of a tape "input", "parameter", "constant" or "operation".
    label : str
        ``label`` of the Value; on a tape the name of an input (``x[0]``) or parameter; or "".
    data, grad : float or None
        Its number, and the derivative of the result by it. Of a tape that was given no arguments
        only the data of parameters and constants is known.
    operation : str
        The name in the table of operations (`fastgrad.ops.TABLE`), "dot", "take", "linear", that
        of a custom operation, or what a Value made by hand has as ``_op``; "" for a leaf.
    symbol : str
        What a picture shows: ``_op``, such as "+", "**2", "ReLU".
    parameter : float or None
        Of an operation that has one, such as the exponent of ``v**2``.
    operands : tuple of int
        Ids of what it was computed from, in order, with repeats.
    partials : tuple of float or None
        Its derivative by each operand, where that is a number: not of a backward step that is a
        Python function, and not where the derivative is infinite.
    value : Value or None
        The Value itself; of a tape that of a parameter.
    place : (file, line, function) or None
        What made it when the tape was recorded, if that is known.
    is_cut : bool
        Whether it has operands that `depth` has left out.
    """

    id: int
    kind: str
    label: str
    data: float | None
    grad: float | None
    operation: str = ""
    symbol: str = ""
    parameter: float | None = None
    operands: tuple[int, ...] = ()
    partials: tuple[float, ...] | None = ()
    value: Value | None = None
    place: tuple[str, int, str] | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """What `trace` returns; ``nodes, edges = trace(root)`` works too.

    Attributes
    ----------
    nodes : tuple of Node
        Operands before what is computed from them; the order follows from the graph alone.
    edges : tuple of (int, int)
        Ids of operand and user, for each operand of each node in their order: ``a * a`` has two.
    roots : tuple of int
        Ids of what was traced, or of a tape's results.
    """

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]
    roots: tuple[int, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter((self.nodes, self.edges))

    def users(self) -> list[list[tuple[int, int]]]:
        """Return, for each node, who uses it: (id of the user, which operand of it this is).

        The gradient of a node is the sum over these of the user's gradient times its partial.
        """
        users: list[list[tuple[int, int]]] = [[] for _ in self.nodes]
        for node in self.nodes:
            for position, operand in enumerate(node.operands):
                users[operand].append((node.id, position))
        return users


def trace(
    root: Value | Tape | Iterable[Value],
    *args: Any,
    depth: int | None = None,
    limit: int | None = None,
    dots: bool = False,
) -> Graph:
    """List what a Value was computed from, or what a tape computes.

    Parameters
    ----------
    root : Value, list or tuple of Values, or Tape
        A list is traced as one graph.
    *args
        Arguments of a tape, for one sample: its nodes then have the numbers of that call.
    depth : int, optional
        Leave out what is more operations than this before the root.
    limit : int, optional
        Raise where there are more nodes.
    dots : bool
        Keep the sum of a neuron's products, ``((b + w*x) + w*x) + ...``, as one node with the
        operands ``b, w, x, w, x, ...``. Otherwise it is shown as micrograd makes it. Tapes always
        have such sums as one.

    Returns
    -------
    Graph

    Raises
    ------
    FastgradTypeError
        If root is none of these, depth or limit no whole number, or there are arguments for what
        is no tape.
    FastgradValueError
        If there are more nodes than `limit`.
    ShapeError
        If arguments of a tape are a batch, or do not fit.

    Notes
    -----
    Cost: about 1 us a node; each Value in the graph gets a Python object, which stays.

    Examples
    --------
    >>> from fastgrad import Value, trace
    >>> a = Value(3.0, label="a")
    >>> graph = trace(a * a + 1)
    >>> [(node.id, node.label, node.operation, node.operands) for node in graph.nodes]
    [(0, 'a', '', ()), (1, '', 'mul', (0, 0)), (2, '', '', ()), (3, '', 'add', (1, 2))]
    >>> graph.edges
    ((0, 1), (0, 1), (1, 3), (2, 3))
    """
    for name, number in (("depth", depth), ("limit", limit)):
        if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
            got = describe(number)
            raise FastgradTypeError(explain("a whole number or None", got, f"{name} of trace"))
    if isinstance(root, Value):
        roots = [root]
    elif isinstance(root, list | tuple) and root and all(isinstance(v, Value) for v in root):
        roots = list(root)
    else:
        if not isinstance(root, Tape):
            got, expected = describe(root), "a Value, a list of Values or a tape"
            raise FastgradTypeError(explain(expected, got, "root of trace"))
        return _trace_tape(root, args, depth, limit)
    if args:
        got = f"{len(args)} arguments"
        raise FastgradTypeError(explain("a tape to call with them", got, "trace"))
    return _trace_values(roots, depth, limit, dots)


# Values -------------------------------------------------------------------------------------------


def _trace_values(roots: list[Value], depth: int | None, limit: int | None, dots: bool) -> Graph:
    found: dict[int, tuple[tuple[Value, ...], str, float | None]] = {}

    def of(value: Value) -> tuple[tuple[Value, ...], str, float | None]:
        if id(value) not in found:
            found[id(value)] = operation_of(value, dots)
            _expect_at_most(limit, len(found))
        return found[id(value)]

    kept = None if depth is None else _within(roots, depth, of)
    ids: dict[int, int] = {}
    nodes: list[Node] = []
    work = [(value, False) for value in reversed(roots)]
    while work:
        value, is_ready = work.pop()
        if id(value) in ids:
            continue
        operands, operation, parameter = of(value)
        inside = [v for v in operands if kept is None or id(v) in kept]
        if is_ready:
            ids[id(value)] = len(nodes)
            known = tuple(ids[id(v)] for v in inside)
            is_cut = len(inside) < len(operands)
            partials = _partials_of(value, operation, operands)
            nodes.append(
                Node(
                    id=len(nodes),
                    kind="operation" if operands else "leaf",
                    label=str(getattr(value, "label", None) or ""),
                    data=value.data,
                    grad=value.grad,
                    operation=operation,
                    symbol="dot" if operation == "dot" else value._op,
                    parameter=parameter,
                    operands=known,
                    partials=None if is_cut else partials,
                    value=value,
                    is_cut=is_cut,
                )
            )
        else:
            work.append((value, True))
            work += [(v, False) for v in reversed(inside) if id(v) not in ids]
    return _graph(nodes, [ids[id(root)] for root in roots])


def _within(roots: list[Value], depth: int, of: Any) -> dict[int, Value]:
    """Return the Values at most so many operations before a root."""
    kept = {id(root): root for root in roots}
    level = list(kept.values())
    for _ in range(depth):
        below = {id(v): v for value in level for v in of(value)[0] if id(v) not in kept}
        kept |= below
        level = list(below.values())
    return kept


def _partials_of(
    value: Value, operation: str, operands: tuple[Value, ...]
) -> tuple[float, ...] | None:
    if operation == "dot":
        pairs = zip(operands[1::2], operands[2::2], strict=True)
        return (1.0, *(number for w, x in pairs for number in (x.data, w.data)))
    try:
        return value._local_grads
    except (FastgradAttributeError, ZeroDivisionError):
        return None


# Tapes --------------------------------------------------------------------------------------------


def _trace_tape(tape: Tape, args: tuple[Any, ...], depth: int | None, limit: int | None) -> Graph:
    n_inputs, n_parameters, n_constants, n_operations, *_ = inspect.sizes(tape)
    if depth is not None:
        expected, got = "a Value", "a tape"
        raise FastgradTypeError(explain(expected, got, "depth of trace"))
    n_leaves = n_inputs + n_parameters + n_constants
    _expect_at_most(limit, n_leaves + n_operations)
    parameters = tape.parameters
    data: list[float | None] = [None] * n_inputs
    data += [p.data for p in parameters]
    data += [inspect.constant(tape, i) for i in range(n_constants)]
    data += [None] * n_operations
    grads: list[float | None] = [None] * len(data)
    partials: list[list[float]] | None = None
    if args or not tape.names:
        found, grads, partials = inspect.replay_in_full(tape, args)
        data = [*found]
    nodes = [Node(i, "input", tape._input(i), data[i], grads[i]) for i in range(n_inputs)]
    for i, value in enumerate(parameters, n_inputs):
        label = str(getattr(value, "label", None) or tape._slot(i))
        nodes.append(Node(i, "parameter", label, data[i], grads[i], value=value))
    nodes += [Node(i, "constant", "", data[i], grads[i]) for i in range(len(nodes), n_leaves)]
    for i in range(n_operations):
        name, slots, source = inspect.operation(tape, i)
        row = TABLE.get(name)
        operands, parameter, symbol = slots, None, row.symbol if row else name
        if row and row.parameter:
            operands = slots[:1]
            parameter = inspect.constant(tape, slots[1] - n_inputs - n_parameters)
            if name == "pow_number":
                symbol += str(int(parameter)) if parameter.is_integer() else repr(parameter)
        nodes.append(
            Node(
                id=n_leaves + i,
                kind="operation",
                label="",
                data=data[n_leaves + i],
                grad=grads[n_leaves + i],
                operation=name,
                symbol=symbol,
                parameter=parameter,
                operands=tuple(operands),
                partials=None if partials is None else tuple(partials[i][: len(operands)]),
                place=tape.places[source - 1] if source and tape.places else None,
            )
        )
    graph = _graph(nodes, inspect.outputs(tape))
    return graph if partials is None else _with_grads_of_constants(graph)


def _with_grads_of_constants(graph: Graph) -> Graph:
    """Add what a replay has no use for: the derivatives by numbers that never change."""
    nodes = list(graph.nodes)
    for node, users in zip(graph.nodes, graph.users(), strict=True):
        parts = [
            grad * partials[position]
            for user, position in reversed(users)
            for grad, partials in [(nodes[user].grad, nodes[user].partials)]
            if grad is not None and partials is not None
        ]
        if node.kind == "constant" and parts:
            nodes[node.id] = replace(node, grad=sum(parts))
    return replace(graph, nodes=tuple(nodes))


# Both ---------------------------------------------------------------------------------------------


def _expect_at_most(limit: int | None, count: int) -> None:
    if limit is not None and count > limit:
        remedy = "trace a part of it, with depth=, or raise limit="
        raise FastgradValueError(explain(f"at most {limit} nodes", "more", "trace", remedy))


def _graph(nodes: list[Node], roots: list[int]) -> Graph:
    edges = tuple((operand, node.id) for node in nodes for operand in node.operands)
    return Graph(tuple(nodes), edges, tuple(roots))
