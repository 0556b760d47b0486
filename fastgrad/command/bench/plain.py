"""A scalar autograd in plain Python: the reference that gradients are checked against.

Written apart from the engine, and as fast as a class in Python can be made without tricks.
"""

from __future__ import annotations

import math
import random
from itertools import count, pairwise
from typing import Any

__all__ = ["MLP", "Value"]

_number = count().__next__


class Value:
    """A number, its operands, and its derivatives with respect to them."""

    __slots__ = ("data", "grad", "number", "operands", "partials")

    def __init__(self, data: float, operands: Any = (), partials: Any = ()) -> None:
        self.data = data
        self.grad = 0.0
        self.operands = operands
        self.partials = partials
        self.number = _number()

    def __add__(self, other: Any) -> Value:
        if isinstance(other, Value):
            return Value(self.data + other.data, (self, other), (1.0, 1.0))
        return Value(self.data + other, (self,), (1.0,))

    def __mul__(self, other: Any) -> Value:
        if isinstance(other, Value):
            return Value(self.data * other.data, (self, other), (other.data, self.data))
        return Value(self.data * other, (self,), (other,))

    def __pow__(self, k: float) -> Value:
        return Value(self.data**k, (self,), (k * self.data ** (k - 1),))

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __truediv__(self, other: Any) -> Any:
        return self * other**-1

    def __rtruediv__(self, other: Any) -> Any:
        return self**-1 * other

    def relu(self) -> Value:
        """Return max(0, self)."""
        return Value(max(0.0, self.data), (self,), (float(self.data > 0),))

    def exp(self) -> Value:
        """Return e to the power self."""
        y = math.exp(self.data)
        return Value(y, (self,), (y,))

    def log(self) -> Value:
        """Return the natural logarithm."""
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def tanh(self) -> Value:
        """Return the hyperbolic tangent."""
        y = math.tanh(self.data)
        return Value(y, (self,), (1 - y * y,))

    def erf(self) -> Value:
        """Return the error function."""
        partial = 2 / math.sqrt(math.pi) * math.exp(-self.data * self.data)
        return Value(math.erf(self.data), (self,), (partial,))

    def graph(self) -> list[Value]:
        """Return all nodes that this one depends on, itself included, newest first."""
        found = {self.number: self}
        waiting = [self]
        while waiting:
            for operand in waiting.pop().operands:
                if operand.number not in found:
                    found[operand.number] = operand
                    waiting.append(operand)
        return [found[number] for number in sorted(found, reverse=True)]

    def backward(self) -> None:
        """Add the derivatives of this node to the grad of all that it depends on."""
        self.grad = 1.0
        for node in self.graph():
            grad = node.grad
            for operand, partial in zip(node.operands, node.partials, strict=True):
                operand.grad += partial * grad


class MLP:
    """Neurons of Values, drawn as micrograd draws them, and called in its loops."""

    def __init__(
        self,
        nin: int,
        nouts: list[int],
        activation: str = "relu",
        output_activation: str = "linear",
    ) -> None:
        self.layers = [
            [([Value(random.uniform(-1, 1)) for _ in range(a)], Value(0.0)) for _ in range(b)]
            for a, b in pairwise([nin, *nouts])
        ]
        self.activations = [activation] * (len(nouts) - 1) + [output_activation]

    def __call__(self, x: list[Value]) -> Any:
        for layer, activation in zip(self.layers, self.activations, strict=True):
            x = [sum((wi * xi for wi, xi in zip(w, x, strict=True)), b) for w, b in layer]
            if activation != "linear":
                x = [getattr(value, activation)() for value in x]
        return x[0] if len(x) == 1 else x

    def zero_grad(self) -> None:
        """Set the grad of every parameter to 0."""
        for p in self.parameters():
            p.grad = 0.0

    def parameters(self) -> list[Value]:
        """Return the weights and biases, neuron by neuron."""
        return [p for layer in self.layers for w, b in layer for p in [*w, b]]
