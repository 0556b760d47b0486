"""Graphs that several tests build, and what they count of them."""

import gc

from fastgrad import Value
from fastgrad.engine import arena_stats, build_info


def live():
    return arena_stats()["live_nodes"]


def live_after_gc():
    """Count the nodes alive once the collector finds nothing more."""
    while gc.collect():
        pass
    return live()


def node_count(n):
    """Give a number of nodes, a tenth of it where chunks are tiny.

    That crosses more boundaries still, and what looks at every chunk there ever was stays quick.
    """
    return n if build_info()["chunk_nodes"] > 64 else n // 10


def all_nodes(v):
    """Collect the nodes of a graph, without recursion."""
    found, stack = {v}, [v]
    while stack:
        new = stack.pop()._prev - found
        found |= new
        stack.extend(new)
    return found


def chain(length, x):
    """Add a Value to itself, and to each sum again, so many times."""
    y = x
    for _ in range(length):
        y = y + x
    return y


def square(x, V=Value):
    """Make a custom node the way that micrograd's readers do, in either library."""
    out = V(x.data**2, (x,), "square")

    def _backward():
        x.grad += 2 * x.data * out.grad

    out._backward = _backward
    return out
