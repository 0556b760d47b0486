"""CppAD: the graph is recorded and optimized once, in C++, and replayed.  Neither is timed.

It has no package for Python: CPPAD_PREFIX names where its CMake has installed it, and a driver is
compiled against its headers.
"""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from array import array
from functools import partial
from pathlib import Path

from benchmarks.workloads import WORKLOADS, Case, Unsupported, dag_leaves, dag_program

label = "CppAD"
FLAGS = ["-O3", "-DNDEBUG", "-march=native"]


def headers():
    include = Path(os.environ.get("CPPAD_PREFIX", "/usr")) / "include"
    if not (include / "cppad" / "configure.hpp").is_file():
        raise ModuleNotFoundError("cppad is in no CPPAD_PREFIX", name="cppad")
    return include


def version():
    text = (headers() / "cppad" / "configure.hpp").read_text(encoding="utf-8")
    return re.search(r'CPPAD_PACKAGE_STRING\s+"cppad-([^"]+)"', text)[1]


def flags():
    return {"compiled": " ".join(FLAGS)}


def build(workload):
    include = headers()
    kind, _, _ = workload.partition("-")
    if kind == "chain":
        leaves, program = [1.0, 0.999999, 1e-6], _chain(WORKLOADS[workload].size)
    elif kind == "dag":
        leaves = dag_leaves()
        program = _dag(len(leaves), WORKLOADS[workload].size)
    else:
        raise Unsupported("not written for it")
    library, n = _compiled(include), len(leaves)
    point, gradient = (ctypes.c_double * n)(*leaves), (ctypes.c_double * n)()
    graph = ctypes.c_void_p(
        library.graph_record(n, point, len(program[0]), *(_pointer(column) for column in program))
    )
    forward = partial(library.graph_forward, graph, n, point)
    return Case(
        forward, lambda: list(gradient), lambda _: library.graph_reverse(graph, n, gradient)
    )


def _chain(operations):
    """Give columns of `x = x*a + b`: whether a product, first operand, second operand."""
    n = operations // 2
    previous = [0, *range(3, 2 + 2 * n)]
    return array("B", [1, 0] * n), array("I", previous), array("I", [1, 2] * n)


def _dag(leaves, operations):
    product, others = zip(*dag_program(operations), strict=True)
    previous = range(leaves - 1, leaves - 1 + operations)
    return array("B", product), array("I", previous), array("I", others)


def _pointer(column):
    return ctypes.c_void_p(column.buffer_info()[0])


def _compiled(include):
    compiler = shutil.which("c++") or shutil.which("g++")
    if not compiler:
        raise Unsupported("no C++ compiler")
    source = Path(__file__).with_name("cppad_graph.cpp")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.so"
        subprocess.run(
            [compiler, *FLAGS, "-std=c++17", "-fPIC", "-shared", f"-I{include}",
             "-o", path, source],
            check=True,
        )  # fmt: skip
        library = ctypes.CDLL(str(path))  # stays loaded
    library.graph_record.restype = ctypes.c_void_p
    library.graph_forward.restype = ctypes.c_double
    return library
