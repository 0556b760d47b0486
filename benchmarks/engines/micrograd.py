"""PyPI's micrograd, as people run it, collector on. tanh, exp and log as in the lectures."""

import importlib.metadata
import sys

from benchmarks.workloads import Unsupported, eager_case, peers

label = "micrograd"


def version():
    return importlib.metadata.version("micrograd")


def build(workload):
    if workload in {"moons-batch", "kalman"}:
        raise Unsupported("minutes a round")
    sys.setrecursionlimit(peers.DEEP)
    return eager_case(peers.micrograd(), workload)
