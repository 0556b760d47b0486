"""PyPI's micrograd, as people run it: garbage collector on.  tanh, exp and log as in the lectures.

Layer: benchmarks.  May import: micrograd, workloads.
"""

import importlib.metadata
import math
import sys

from benchmarks.workloads import Library, eager_case

label = "micrograd"


def version():
    return importlib.metadata.version("micrograd")


def _extended(Value):
    """Give the class what lecture 1 adds to it, which W4 and W5 use."""

    def method(name, forward, partial):
        def apply(self):
            out = Value(forward(self.data), (self,), name)

            def _backward():
                self.grad += partial(self.data, out.data) * out.grad

            out._backward = _backward
            return out

        if not hasattr(Value, name):
            setattr(Value, name, apply)

    method("tanh", math.tanh, lambda _, y: 1 - y * y)
    method("exp", math.exp, lambda _, y: y)
    method("log", math.log, lambda x, _: 1 / x)
    return Value


def build(workload):
    from micrograd.engine import Value
    from micrograd.nn import MLP

    sys.setrecursionlimit(10**8)  # its backward() is recursive; W2 is a million nodes deep
    return eager_case(Library(label, _extended(Value), MLP), workload)
