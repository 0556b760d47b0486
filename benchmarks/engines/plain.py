"""A class Value in plain Python, written for speed: the reference of every gradient."""

import platform

from benchmarks.workloads import eager_case, peers

label = peers.REFERENCE.name
version = platform.python_version


def build(workload):
    return eager_case(peers.REFERENCE, workload)
