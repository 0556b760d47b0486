"""Other libraries that run a program in micrograd's style as it stands."""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import sys
from typing import TYPE_CHECKING, Any

from . import plain
from .workloads import Library

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEEP", "REFERENCE", "installed", "micrograd", "torch_scalars"]

DEEP = 10**8  # recursion limit for micrograd, whose backward() calls itself node by node
REFERENCE = Library("a Python class", plain.Value, plain.MLP)


def micrograd() -> Library:
    """Return PyPI's micrograd, given the three methods that its lectures add.

    Raises
    ------
    ImportError
        If it is not installed, or `import micrograd` gives fastgrad.
    """
    Value, MLP = _micrograd_copy()
    if not Value.__module__.startswith("micrograd"):
        raise ImportError("import micrograd gives another library")

    def method(
        name: str, forward: Callable[[float], float], partial: Callable[[float, float], float]
    ) -> None:
        def apply(self: Any) -> Any:
            out = Value(forward(self.data), (self,), name)

            def _backward() -> None:
                self.grad += partial(self.data, out.data) * out.grad

            out._backward = _backward
            return out

        if not hasattr(Value, name):
            setattr(Value, name, apply)

    method("tanh", math.tanh, lambda _, y: 1 - y * y)
    method("exp", math.exp, lambda _, y: y)
    method("log", math.log, lambda x, _: 1 / x)
    return Library(f"micrograd {_version('micrograd')}".strip(), Value, MLP)


def _micrograd_copy() -> tuple[Any, Any]:
    """Import micrograd anew, so that what it is given here shows nowhere else in the process."""

    def loaded() -> list[str]:
        return [name for name in sys.modules if name.partition(".")[0] == "micrograd"]

    before = {name: sys.modules.pop(name) for name in loaded()}
    try:
        engine, nn = map(importlib.import_module, ("micrograd.engine", "micrograd.nn"))
        return engine.Value, nn.MLP
    finally:
        for name in loaded():
            del sys.modules[name]
        sys.modules.update(before)


def torch_scalars() -> Library:
    """Return PyTorch with one float64 tensor for each number: W1 and W2 only.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)

    def leaf(x: float) -> Any:
        return torch.tensor(float(x), dtype=torch.float64, requires_grad=True)

    return Library(f"PyTorch {torch.__version__}, scalars", leaf)


def installed() -> list[Library]:
    """Return the libraries that can be imported, the reference last."""
    found = []
    for maker in (micrograd, torch_scalars):
        try:
            found.append(maker())
        except ImportError:
            continue
    return [*found, REFERENCE]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # a checkout on sys.path
        return ""
