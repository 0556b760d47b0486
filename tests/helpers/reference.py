"""Shared by tests against micrograd: both classes, and a description of a graph.

Oracle: PyPI's micrograd 0.1.0; importing this skips a module where it is missing.
"""

import random

import pytest

import fastgrad
from fastgrad import nn

micrograd = pytest.importorskip("micrograd.engine")
micrograd_nn = pytest.importorskip("micrograd.nn")

OURS, THEIRS = fastgrad.Value, micrograd.Value
CLASSES = pytest.mark.parametrize("Value", [OURS, THEIRS], ids=["fastgrad", "micrograd"])


def gradient(f, x):
    def program(V):
        v = V(x)
        f(v).backward()
        return float(v.grad)

    return program


def description(v):
    """Return everything that a drawing of the graph shows: operations, data, grads, edges."""
    return v._op, float(v.data), float(v.grad), sorted(description(operand) for operand in v._prev)


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
    return description(v), len(nodes(v)), [float(leaf.grad) for leaf in leaves]


def outcome(program, *arguments):
    """Return what a program returns, or the builtin type of what it raises."""
    try:
        return program(*arguments)
    except Exception as error:
        return next(cls for cls in type(error).__mro__ if cls.__module__ == "builtins")


def rows(table):
    """Parametrise by a table of programs; a row's name is its id."""
    return pytest.mark.parametrize("program", table.values(), ids=table.keys())


def count(*roots):
    """Count nodes and edges."""
    seen, stack, edges = set(roots), list(roots), 0
    while stack:
        operands = stack.pop()._prev
        edges += len(operands)
        stack += operands - seen
        seen |= operands
    return len(seen), edges


# -- the same program with either library's networks

OUR_NN, THEIR_NN = (nn, OURS), (micrograd_nn, THEIRS)


def both(program, seed=7):
    """Run a program of a library's modules and Value on both; return what it returns."""
    results = []
    for library, V in (OUR_NN, THEIR_NN):
        random.seed(seed)
        results.append(program(library, V))
    return results


def grads(values):
    return [float(v.grad) for v in values]


def agree(program, seed=7):
    """Expect a program to end the same on both: values exactly, gradients to a few last places."""
    (ours, our_grads), (theirs, their_grads) = both(program, seed)
    assert ours == theirs
    assert our_grads == pytest.approx(their_grads, rel=1e-13, abs=1e-13)
