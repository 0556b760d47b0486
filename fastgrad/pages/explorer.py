"""Explorer: a page in which a person walks through a computation, forward and backward.

What a page is given, as JSON (docs/pages.md):

nodes
    operands before users; each has `label`, `kind`, `op` and `symbol` ("" for a leaf), `operands`
    (numbers of nodes), `parameter` or null, `data` of a leaf as text, `learns`, and of what is
    inside a neuron's sum `inside`, the number of the sum
sums
    of each neuron's sum: its last node, and its operands ``s, w, x, w, x, ...``
root
    the number of the result
formulas
    of each operation: what it computes, and its partials
layouts
    "LR" and "TD", each twice: sums opened, and closed to one box; of each node its box or null
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from fastgrad.engine import Value
from fastgrad.errors import FastgradTypeError, FastgradValueError, TapeError, describe, explain
from fastgrad.graphs import Graph, trace
from fastgrad.nn.module import Module
from fastgrad.ops import TABLE
from fastgrad.pages.derivatives import formula_of, partials_of
from fastgrad.pages.layout import place
from fastgrad.pages.page import Page, filled
from fastgrad.tape import Tape

__all__ = ["explore"]

LIMIT = 1_000  # nodes: about 200 are readable at once, and parts of more
CHARACTER, LEAST, HIGH = 7.3, 100.0, 54.0  # points of a character, width and height of a box
LABEL_MAX = 24


def explore(
    root: Value | Tape,
    path: str | os.PathLike[str] | None = None,
    *,
    args: Iterable[Any] = (),
    parameters: Any = None,
) -> Page:
    """Make a page in which one walks through a computation, forward and backward.

    One HTML file, to open or to send: the engine runs in it as WebAssembly, so a number that is
    edited there has the results that it would have here. It asks no server for anything.

    Parameters
    ----------
    root : Value or Tape
        A result; its graph is shown. Of a tape: its first result, for one sample.
    path : path, optional
        Also write the page to this file.
    args : iterable
        Arguments of a tape, where the page begins; without them all inputs are 1.
    parameters : Module or iterable of Values, optional
        What gradient steps in the page change. If not given: a tape's parameters; of a Value the
        leaves with a label, or all of them where none has one.

    Returns
    -------
    Page
        With ``.html`` and ``.save(path)``; it shows itself in notebooks.

    Raises
    ------
    FastgradTypeError
        If root is neither, or parameters are none.
    FastgradValueError
        If there are more than 1,000 nodes.
    TapeError
        If an operation is a Python function, which a page cannot run.
    OSError
        If the file cannot be written.

    Notes
    -----
    Cost: 0.1 s and 160 KB for 100 nodes, and 1 KB for each more.

    Examples
    --------
    >>> import fastgrad as fg
    >>> a, b = fg.Value(2.0, label="a"), fg.Value(-3.0, label="b")
    >>> page = fg.explore((a * b + 10.0).tanh())
    >>> "<svg" in page.html
    True
    """
    if not isinstance(root, Value | Tape):
        raise FastgradTypeError(explain("a Value or a tape", describe(root), "root of explore"))
    graph = trace(root, *args, limit=LIMIT, **({} if isinstance(root, Tape) else {"dots": True}))
    learning = _learning(graph, parameters)
    nodes, sums, at = _opened(graph, learning)
    if len(nodes) > LIMIT:
        remedy = "explore a part of it, such as one sample's loss"
        raise FastgradValueError(
            explain(f"at most {LIMIT} nodes", f"{len(nodes)}", "explore", remedy)
        )
    title = root.name if isinstance(root, Tape) else str(getattr(root, "label", "") or "graph")
    data = _data(nodes, sums, at[graph.roots[0]], title)
    page = filled("explorer.html", f"{title} - fastgrad explorer", data)
    if path is not None:
        page.save(path)
    return page


def _learning(graph: Graph, parameters: Any) -> dict[int, str]:
    """Return the ids of the nodes that gradient steps change, with their labels."""
    leaves = [node for node in graph.nodes if node.kind in ("leaf", "parameter")]
    if parameters is not None:
        names = dict(_named(parameters))
        return {n.id: n.label or names[id(n.value)] for n in leaves if id(n.value) in names}
    named = {node.id: node.label for node in leaves if node.kind == "parameter" or node.label}
    return named or {node.id: node.label for node in leaves}


def _named(parameters: Any) -> Iterator[tuple[int, str]]:
    """Yield the identity and a short name of each parameter, such as ``L0.w[1,0]``."""
    if isinstance(parameters, Module):
        for name, values in parameters.named_parameters():
            short = re.sub(r"\blayers\.", "L", name).replace("weight", "w").replace("bias", "b")
            yield from _entries(short, values, ())
        return
    try:
        yield from ((id(value), "") for value in parameters)
    except TypeError:
        expected, got = "a Module or Values", describe(parameters)
        raise FastgradTypeError(explain(expected, got, "parameters of explore")) from None


def _entries(name: str, values: Any, at: tuple[int, ...]) -> Iterator[tuple[int, str]]:
    if isinstance(values, list):
        for i, part in enumerate(values):
            yield from _entries(name, part, (*at, i))
    else:
        yield id(values), f"{name}[{','.join(map(str, at))}]" if at else name


def _opened(
    graph: Graph, learning: dict[int, str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[int, int]]:
    """Return the page's nodes, sums of products as products and sums, and where each node went."""
    nodes: list[dict[str, Any]] = []
    sums: list[dict[str, Any]] = []
    at: dict[int, int] = {}

    def add(op: str, symbol: str, operands: list[int], **more: Any) -> int:
        shown = {"label": "", "kind": "operation", "op": op, "symbol": symbol, "operands": operands}
        nodes.append(shown | {"parameter": None, "data": None, "learns": False} | more)
        return len(nodes) - 1

    for node in graph.nodes:
        operands = [at[operand] for operand in node.operands]
        if node.operation == "dot":
            first, count = len(nodes), len(operands) // 2
            total = operands[0]
            for k in range(count):
                product = add("mul", "*", operands[1 + 2 * k : 3 + 2 * k])
                total = add("add", "+", [total, product])
            for inner in nodes[first:-1]:
                inner["inside"] = total
            nodes[total]["label"] = node.label
            sums.append({"node": total, "operands": operands})
            at[node.id] = total
            continue
        if node.operation and node.operation not in TABLE and node.operation != "take":
            remedy = "write it with fastgrad.functional"
            expected = "operations that a page can run"
            got = f"the operation {node.operation!r}, a Python function"
            raise TapeError(explain(expected, got, "explore", remedy))
        data = None if node.operation else repr(float(1.0 if node.data is None else node.data))
        at[node.id] = add(
            node.operation, node.symbol, operands,
            label=learning.get(node.id) or node.label, kind=node.kind, data=data,
            parameter=node.parameter, learns=node.id in learning,
        )  # fmt: skip
    return nodes, sums, at


def _caption(node: dict[str, Any]) -> str:
    """Return what a box has for a title."""
    label = node["label"]
    label = label if len(label) <= LABEL_MAX else f"{label[: LABEL_MAX - 1]}…"
    return f"{label} = {node['symbol']}" if label and node["op"] else label or node["symbol"]


def _data(
    nodes: list[dict[str, Any]], sums: list[dict[str, Any]], root: int, title: str
) -> dict[str, Any]:
    closed = {one["node"]: one["operands"] for one in sums}
    for node in nodes:
        node["caption"] = _caption(node)
        if node["parameter"] is not None:
            node["parameter"] = repr(float(node["parameter"]))
    operations = {node["op"] for node in nodes} & TABLE.keys()
    layouts = {}
    for direction in ("LR", "TD"):
        for state, hidden in (("open", False), ("closed", True)):
            layouts[f"{direction} {state}"] = _layout(nodes, closed, direction == "TD", hidden)
    return {
        "title": title,
        "nodes": nodes,
        "sums": sums,
        "root": root,
        "formulas": {name: [formula_of(name), *partials_of(name)] for name in sorted(operations)},
        "layouts": layouts,
    }


def _layout(
    nodes: list[dict[str, Any]], closed: dict[int, list[int]], upright: bool, hidden: bool
) -> dict[str, Any]:
    """Place what is visible: all nodes, or sums as one box."""
    visible = [i for i, node in enumerate(nodes) if not (hidden and "inside" in node)]
    number = {i: place_ for place_, i in enumerate(visible)}
    edges, sizes = [], []
    for i in visible:
        operands = closed[i] if hidden and i in closed else nodes[i]["operands"]
        edges += [(operand, i) for operand in dict.fromkeys(operands)]
        width = CHARACTER * (len(nodes[i]["caption"]) + 4)
        sizes.append((max(LEAST, width), HIGH))
    found = place(sizes, [(number[a], number[b]) for a, b in edges], upright)
    boxes: list[Any] = [None] * len(nodes)
    for i, box in zip(visible, found.boxes, strict=True):
        boxes[i] = box
    lines = [[a, b, points] for (a, b), points in zip(edges, found.edges, strict=True)]
    return {"width": found.width, "height": found.height, "boxes": boxes, "edges": lines}
