"""Programs run in child processes: how to run and compare them, and what they need."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fastgrad
from fastgrad.engine import build_info

SANITIZED = build_info()["variant"].startswith(("sanitize", "valgrind"))
ROOT = Path(fastgrad.__file__).resolve().parent.parent

LECTURE = '''
import math, random

class Value:
    """First version."""
    def __init__(self, data):
        self.data = data

try:
    @staticmethod
    class Value:
        def __init__(self, data, _children=(), _op='', label=''):
            self.data, self.grad, self._prev = data, 0.0, set(_children)
            self._op, self.label, self._backward = _op, label, lambda: None
        def __add__(self, other):
            other = other if isinstance(other, Value) else Value(other)
            out = Value(self.data + other.data, (self, other), '+')
            def _backward():
                self.grad += out.grad
                other.grad += out.grad
            out._backward = _backward
            return out
        __radd__ = __add__
        def __mul__(self, other):
            other = other if isinstance(other, Value) else Value(other)
            out = Value(self.data * other.data, (self, other), '*')
            def _backward():
                self.grad += other.data * out.grad
                other.grad += self.data * out.grad
            out._backward = _backward
            return out
        def tanh(self):
            t = math.tanh(self.data)
            out = Value(t, (self,), 'tanh')
            def _backward():
                self.grad += (1 - t * t) * out.grad
            out._backward = _backward
            return out
        def sparkle(self):
            return self
        sparkles: int = 3
        shine = dull = None
        def _helper(self):
            return self
        def backward(self):
            order, seen = [], set()
            def visit(v):
                if v not in seen:
                    seen.add(v)
                    [visit(operand) for operand in v._prev]
                    order.append(v)
            visit(self)
            self.grad = 1.0
            for v in reversed(order):
                v._backward()
    Value = getattr(Value, '__func__', Value)
except ValueError:
    class Value: pass

class Holder:
    class Value: inner = True

def factory():
    class Value: local = True
    return Value

x, w, b = Value(2.0), Value(-0.75), Value(0.3)
for _ in range(2):
    o = (x * w + b).tanh()
    o.backward()
print(f"{o.data:.12f} {x.grad:.12f} {w.grad:.12f} {b.grad:.12f}")
print(Holder.Value.inner, factory().local)
'''

MICROGPT = """
import math, sys

class Value:
    __slots__ = ('data', 'grad', '_children', '_local_grads')

    def __init__(self, data, children=(), local_grads=()):
        self.data, self.grad = data, 0
        self._children, self._local_grads = children, local_grads

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1, 1))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, k): return Value(self.data**k, (self,), (k * self.data**(k - 1),))
    def log(self): return Value(math.log(self.data), (self,), (1 / self.data,))
    def exp(self): return Value(math.exp(self.data), (self,), (math.exp(self.data),))
    def relu(self): return Value(max(0, self.data), (self,), (float(self.data > 0),))
    def __neg__(self): return self * -1
    def __radd__(self, other): return self + other
    def __sub__(self, other): return self + (-other)
    def __rmul__(self, other): return self * other
    def __truediv__(self, other): return self * other**-1

    def backward(self):
        topo, visited = [], set()
        def build(v):
            if v not in visited:
                visited.add(v)
                for child in v._children:
                    build(child)
                topo.append(v)
        build(self)
        self.grad = 1
        for v in reversed(topo):
            for child, local in zip(v._children, v._local_grads):
                child.grad += local * v.grad

def softmax(logits):
    largest = max(v.data for v in logits)
    exps = [(v - largest).exp() for v in logits]
    total = sum(exps)
    return [e / total for e in exps]

logits = [Value(0.1 * i) for i in range(5)]
hidden = [(v * v + 0.5).relu() for v in logits]
loss = -softmax(hidden)[2].log() + sum(hidden) / len(hidden)
loss.backward()
print(f"{loss.data:.12f}", *(f"{v.grad:.12f}" for v in logits))
print(Value.__module__, file=sys.stderr)
"""

FACTS = """
import json, os, sys
main = sys.modules["__main__"]
json.dump({
    "argv": sys.argv, "name": __name__, "file": __file__, "path": sys.path[0],
    "package": __package__, "spec": getattr(__spec__, "name", None), "doc": __doc__,
    "builtins": type(__builtins__).__name__, "globals": vars(main) is globals(),
    "loader": type(__loader__).__name__, "stdin": sys.stdin.read(), "cwd": os.getcwd(),
}, sys.stdout)
"""


def write(path, text):
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def python(*words, cwd, stdin="", flags=()):
    """Run the interpreter with this very fastgrad importable, installed or not.

    Programs find their neighbours, also where the suite itself runs with PYTHONSAFEPATH.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-W", "error", *flags, *map(str, words)],
        cwd=cwd, input=stdin, capture_output=True, text=True, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", "PYTHONSAFEPATH": ""},
    )  # fmt: skip


def needs_limits(test):
    """Mark a test whose process gives itself less memory."""
    linux = sys.platform.startswith("linux")
    for mark in (
        pytest.mark.wide,
        pytest.mark.skipif(not linux, reason="needs RLIMIT_AS and /proc"),
        pytest.mark.skipif(SANITIZED, reason="maps terabytes of its own"),
    ):
        test = mark(test)
    return test


def run(*words, **how):
    return python("-m", "fastgrad", "run", *words, **how)


def outcome(process):
    return process.returncode, process.stdout, process.stderr


def assert_refused(process, *fragments):
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.startswith("fastgrad: error: expected ")
    assert process.stderr.count("\n") == 1, "an error is one line, without a traceback"
    for fragment in fragments:
        assert fragment in process.stderr
