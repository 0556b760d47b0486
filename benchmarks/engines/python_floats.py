"""Python floats: the loops of W1 and W2 without any derivative, which no eager engine can beat."""

import platform

from benchmarks.workloads import WORKLOADS, Case, Unsupported, cases, workloads

label = "Python floats, no gradient"
version = platform.python_version


def build(workload):
    kind, _, _ = workload.partition("-")
    size = WORKLOADS[workload].size
    if workload == "control":
        return cases.control_case()
    if kind == "chain":
        return Case(lambda: workloads.chain(1.0, 0.999999, 1e-6, size), list)
    if kind == "dag":
        program, leaves = workloads.dag_program(size), workloads.dag_leaves()
        return Case(lambda: workloads.dag(leaves, program), list)
    raise Unsupported("floats have no relu, and no data to update")
