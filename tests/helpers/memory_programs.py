"""The prelude of programs that measure their resident memory and count live nodes."""

PRELUDE = """
import gc, os, random, sys
from fastgrad import Value, arena_stats, no_grad
from fastgrad._native.graph.check import arena_check
from fastgrad.nn import MLP

def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def live():
    return arena_stats()["live_nodes"]

class Stop(Exception):
    pass

def square(x):  # an operation as micrograd's lecture writes it: a cycle
    out = Value(x.data * 0.5, (x,), "half")
    def step():
        x.grad += 0.5 * out.grad
    out._backward = step
    return out

x, w, b = Value(0.5), Value(0.25), Value(0.125)
"""
