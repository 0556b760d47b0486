"""PyTorch's tensors under torch.compile, float64, one thread.  Compiling is not timed.

It compiles with the system's C++ compiler, for a minute.
"""

from benchmarks.engines import torch_batched
from benchmarks.workloads import Unsupported

label = "PyTorch, compiled"
version = torch_batched.version


def build(workload):
    import torch

    torch_batched.configure(torch)
    if workload.startswith("moons"):
        return torch_batched.network(torch, workload, 1, torch.compile)
    if workload.startswith("lecture"):
        return torch_batched.network(torch, "lecture", 20, torch.compile)
    raise Unsupported("not written for it")
