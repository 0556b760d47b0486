"""What the tests against micrograd share: both classes, and what a program shows of a graph.

Layer: tests.  May import: fastgrad, micrograd, pytest.
Oracle: PyPI's micrograd 0.1.0; importing this skips a module where it is missing.
"""

import pytest

import fastgrad

micrograd = pytest.importorskip("micrograd.engine")

OURS, THEIRS = fastgrad.Value, micrograd.Value
CLASSES = pytest.mark.parametrize("Value", [OURS, THEIRS], ids=["fastgrad", "micrograd"])


def gradient(f, x):
    def program(V):
        v = V(x)
        f(v).backward()
        return float(v.grad)

    return program


def picture(v):
    """Return everything that a drawing of the graph shows: operations, data, grads, edges."""
    return v._op, float(v.data), float(v.grad), sorted(picture(operand) for operand in v._prev)


def nodes(v):
    """Collect the nodes of a graph as lecture 1's draw_dot does."""
    found = set()

    def build(node):
        if node not in found:
            found.add(node)
            for operand in node._prev:
                build(operand)

    build(v)
    return found


def swept(v, *leaves):
    """Run backward, and show the graph and the grads of some leaves."""
    v.backward()
    return picture(v), len(nodes(v)), [float(leaf.grad) for leaf in leaves]


def outcome(program, *arguments):
    """Return what a program returns, or the type of what it raises."""
    try:
        return program(*arguments)
    except Exception as error:
        return type(error)


def rows(table):
    """Parametrise by a table of programs; a row's name is its id."""
    return pytest.mark.parametrize("program", table.values(), ids=table.keys())
