"""Neurons: micrograd's Neuron, Layer and MLP."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from fastgrad._native.base.errors import items_expect, whole_expect
from fastgrad._native.graph.neurons import (
    ACTIVATIONS,
    NeuronCore,
    call_layer,
    call_layers,
    set_layer_call,
)
from fastgrad.engine import Value
from fastgrad.errors import (
    FastgradOverflowError,
    FastgradTypeError,
    FastgradValueError,
    describe,
    explain,
    show,
)
from fastgrad.nn.module import Module

__all__ = ["MLP", "Layer", "Neuron", "expect_room", "expect_width"]


class _Called(Module):
    """Neuron, Layer and MLP are called natively; a subclass that writes forward is not."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls) and cls.__call__ in _NATIVE_CALLS:
            cls.__call__ = Module.__call__  # type: ignore[method-assign]


_NATIVE_CALLS: list[Any] = [NeuronCore.__call__]


class Neuron(NeuronCore, _Called):
    """Compute ``activation(b + w[0]*x[0] + w[1]*x[1] + ...)``.

    Parameters
    ----------
    nin : int
        Number of inputs, at least 1.
    nonlin : bool
        Whether the activation is applied.
    activation : str
        "relu", "tanh", "sigmoid", "gelu", "softplus", "leaky_relu" or "linear".

    Attributes
    ----------
    w : list of Value, length nin
        Weights, drawn in order from ``random.uniform(-1, 1)``; edit them as you like.
    b : Value
        Bias, 0 at first.
    nonlin, activation
        As given; may be set.

    Raises
    ------
    FastgradValueError, FastgradTypeError
        If nin is no positive integer, or the activation is unknown.

    Notes
    -----
    A call makes two native nodes; `_prev` shows the products and sums that micrograd would make.
    """

    def __init__(self, nin: int, nonlin: bool = True, activation: str = "relu") -> None:
        expect_width(nin, "nin of Neuron")
        expect_room(nin + 1, "Neuron")
        self.activation = activation
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0)
        if nonlin is not True:
            self.nonlin = nonlin

    def parameters(self) -> list[Value]:
        """Return the weights and the bias."""
        return [*self.w, self.b]

    def _named_parts(self) -> list[tuple[str, Any]]:
        return [("weight", self.w), ("bias", self.b), *super()._named_parts()]

    def __repr__(self) -> str:
        return f"{ACTIVATIONS[self.activation][1]}Neuron({len(self.w)})"


class Layer(_Called):
    """Apply several neurons to the same inputs.

    Parameters
    ----------
    nin, nout : int
        Number of inputs and of neurons, at least 1.
    **kwargs
        ``nonlin`` and ``activation`` of every `Neuron`.

    Attributes
    ----------
    neurons : list of Neuron
        Edit it as you like.
    """

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        expect_width(nin, "nin of Layer")
        expect_width(nout, "nout of Layer")
        expect_room((nin + 1) * nout, "Layer")
        self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x: Iterable[Any]) -> Any:
        """Return a list with the output of each neuron, or the output itself if there is one.

        Parameters
        ----------
        x : iterable of Value or numbers, length nin
            As with micrograd, what is longer than a neuron's weights is cut off.
        """
        inputs = _inputs(x)
        out = call_layer(self.neurons, inputs)
        if out is not None:
            return out
        out = []
        for neuron in self.neurons:
            out.append(neuron(inputs))
        return out[0] if len(out) == 1 else out

    def parameters(self) -> list[Value]:
        """Return the parameters of all neurons, one neuron after another."""
        found: list[Value] = []
        for neuron in self.neurons:
            if type(neuron) is Neuron and Neuron.parameters is _NEURON_PARAMETERS:
                found += neuron.w
                found.append(neuron.b)
            else:
                found += neuron.parameters()
        return found

    def _named_parts(self) -> list[tuple[str, Any]]:
        """Name the weights of plain neurons as one matrix, as PyTorch does."""
        parts = super()._named_parts()
        plain = [type(n) is Neuron and vars(n).keys() <= {"training"} for n in self.neurons]
        if len({len(neuron.w) for neuron in self.neurons}) != 1 or not all(plain):
            return parts
        weights = [neuron.w for neuron in self.neurons]
        biases = [neuron.b for neuron in self.neurons]
        others = [(name, part) for name, part in parts if name != "neurons"]
        return [("weight", weights), ("bias", biases), *others]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(str(neuron) for neuron in self.neurons)}]"


class MLP(_Called):
    """Chain layers: a multi-layer perceptron.

    Parameters
    ----------
    nin : int
        Number of inputs.
    nouts : sequence of int
        Number of neurons of each layer; the last one is linear unless said otherwise.
    activation : str
        Activation of the layers before the last one.
    output_activation : str
        Activation of the last layer.

    Attributes
    ----------
    layers : list of Layer
        Edit it as you like.

    Examples
    --------
    >>> from fastgrad.nn import MLP
    >>> MLP(2, [2, 1])
    MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2)], Layer of [LinearNeuron(2)]]
    """

    def __init__(
        self,
        nin: int,
        nouts: Sequence[int],
        activation: str = "relu",
        output_activation: str = "linear",
    ) -> None:
        expect_width(nin, "nin of MLP")
        sizes = [nin, *_expect_widths(nouts)]
        expect_room(sum((n + 1) * m for n, m in pairwise(sizes)), "MLP")
        _expect_activation(activation, "activation of MLP")
        _expect_activation(output_activation, "output_activation of MLP")
        inner = [Layer(n, m, activation=activation) for n, m in pairwise(sizes[:-1])]
        linear = output_activation == "linear"
        last = Layer(
            *sizes[-2:],
            nonlin=not linear,
            activation=activation if linear else output_activation,  # for nonlin = True
        )
        self.layers = [*inner, last]

    def __call__(self, x: Iterable[Any]) -> Any:
        """Return the outputs of the last layer: a list, or the output itself if there is one."""
        x = _inputs(x)
        out = call_layers(self.layers, x)
        if out is not None:
            return out
        for layer in self.layers:
            x = layer(_inputs(x))
        return x

    def parameters(self) -> list[Value]:
        """Return the parameters of all layers, one layer after another."""
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(str(layer) for layer in self.layers)}]"


_NEURON_PARAMETERS = Neuron.parameters
set_layer_call(Layer.__call__)
_NATIVE_CALLS += [Layer.__call__, MLP.__call__]


_ONE_SAMPLE = "one sample, a sequence of numbers and Values"


def _inputs(x: Iterable[Any]) -> list[Any]:
    """Read the inputs once, for all neurons; the bare output of a one-neuron layer is one input."""
    if type(x) is list:
        return x
    return [x] if isinstance(x, Value) else items_expect(x, _ONE_SAMPLE, "inputs of a layer")


def expect_room(parameters: int, where: str) -> None:
    """Raise where so many parameters cannot be, before memory fills with them."""
    if parameters >= 1 << 32:
        raise FastgradOverflowError(explain("fewer than 2**32 parameters", show(parameters), where))
    if hasattr(os, "sysconf"):  # pragma: no branch (not on Windows)
        least, there = 96 * parameters, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if least > there > 0:
            got = f"{parameters} parameters, which take {least} bytes"
            raise MemoryError(explain(f"what {there} bytes of memory hold", got, where))


def expect_width(n: int, where: str) -> None:
    """Raise unless a number of inputs or outputs is an integer of at least 1."""
    if whole_expect(n, "an integer", where) < 1:
        raise FastgradValueError(explain("an integer of at least 1", show(n), where))


def _expect_widths(nouts: Sequence[int]) -> Sequence[int]:
    where = "nouts of MLP"
    if isinstance(nouts, str) or not hasattr(nouts, "__len__"):
        got = describe(nouts)
        raise FastgradTypeError(explain("a list of integers", got, where, "write MLP(2, [16, 1])"))
    items_expect(nouts, "a list of integers", where)
    if not len(nouts):
        remedy = "give the number of neurons of each layer: MLP(2, [16, 1])"
        raise FastgradValueError(explain("at least one layer", "none", where, remedy))
    for n in nouts:
        expect_width(n, where)
    return nouts


def _expect_activation(name: str, where: str) -> None:
    if name not in ACTIVATIONS:
        raise FastgradValueError(explain(f"one of {', '.join(ACTIVATIONS)}", f"{name!r}", where))
