"""CasADi's functions as generated C, called through its buffers.  Compiling is not timed.

W3 is 5 MB of C, a minute or two for the compiler.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.engines import casadi as interpreted
from benchmarks.workloads import WORKLOADS, Case, Unsupported, expression

label = "CasADi, C"
version = interpreted.version


def build(workload):
    import casadi as ca
    import numpy as np

    if workload == "expression":
        leaves = ca.SX.sym("x", 2)
        root = expression(leaves[0], leaves[1], lambda x: ca.fmax(x, 0))
        function, start, rate = _function(ca, leaves, root), np.array([-4.0, 2.0]), 0.0
        times = WORKLOADS[workload].per
    elif workload == "moons":
        function, start, rate, times = *interpreted.network(ca, workload), 1
    elif workload.startswith("lecture"):
        function, start, rate, times = *interpreted.network(ca, "lecture"), 20
    else:
        raise Unsupported("too long to compile, or not written for it")
    function = _compiled(ca, function)
    buffers, call = function.buffer()
    x, value, gradient = start.copy(), np.zeros(1), np.zeros(len(start))
    buffers.set_arg(0, memoryview(x))
    buffers.set_res(0, memoryview(value))
    buffers.set_res(1, memoryview(gradient))

    def forward():
        for _ in range(times):
            call()
            if rate:
                np.subtract(x, rate * gradient, out=x)

    forward.kept = function, buffers  # `call` does not keep them, and crashes without
    return Case(forward, gradient.tolist)


def _function(ca, leaves, root):
    return ca.Function("f", [leaves], [root, ca.gradient(root, leaves)])


def _compiled(ca, function):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise Unsupported("no C compiler")
    with tempfile.TemporaryDirectory() as folder:
        generator = ca.CodeGenerator("f.c")
        generator.add(function)
        generator.generate(folder + "/")
        library = Path(folder) / "f.so"
        subprocess.run(
            [compiler, "-O1", "-march=native", "-fPIC", "-shared", "-o", library, "f.c", "-lm"],
            cwd=folder, check=True,
        )  # fmt: skip
        return ca.external(function.name(), str(library))  # stays loaded
