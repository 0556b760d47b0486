"""Networks: micrograd's Module, Neuron, Layer and MLP."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from fastgrad._native.graph.neurons import (
    ACTIVATIONS,
    NeuronCore,
    call_layer,
    call_layers,
    set_layer_call,
    zero_grads,
)
from fastgrad.engine import Value
from fastgrad.errors import (
    FastgradOverflowError,
    FastgradTypeError,
    FastgradValueError,
    describe,
    explain,
)

# `from micrograd.nn import *` gives Value and random too, and programs rely on it.
__all__ = ["MLP", "Layer", "Module", "Neuron", "Value", "random"]


class Module:
    """Base of everything that has parameters.

    A subclass need not override `parameters`: it finds what the attributes hold.
    """

    def zero_grad(self) -> None:
        """Set the grad of every parameter to 0. Cost: a few ns for each."""
        zero_grads(self.parameters())

    def parameters(self) -> list[Value]:
        """Return the Values to train, each once.

        Returns
        -------
        list of Value
            Leaves and the parameters of Modules, in the order of the attributes that hold them, and
            within lists, tuples, values of dicts and arrays of objects in theirs. A Value that was
            computed is none.

        Notes
        -----
        Cost: a visit of each object found; keep the list where a loop needs it again and again.
        """
        found: dict[int, Value] = {}
        seen: dict[int, object] = {}
        work: list[object] = [self]
        while work:
            item = work.pop()
            if id(item) in seen:
                continue
            seen[id(item)] = item  # kept, so that no other object gets its id
            if isinstance(item, Value):
                if not item._prev:
                    found[id(item)] = item
            else:
                work += reversed(_held_by(item))
        return [*found.values()]


def _held_by(item: object) -> list[object]:
    """Return what Module.parameters looks through in an object."""
    if isinstance(item, Module):
        overridden = type(item).parameters is not Module.parameters
        return list(item.parameters() if overridden else vars(item).values())
    if isinstance(item, list | tuple):
        return list(item)
    if getattr(getattr(item, "dtype", None), "hasobject", False):
        return list(item.flat)  # type: ignore[attr-defined]
    return list(item.values()) if isinstance(item, dict) else []


class Neuron(NeuronCore, Module):
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
        _expect_width(nin, "nin of Neuron")
        _expect_room(nin + 1, "Neuron")
        self.activation = activation
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0)
        if not nonlin:
            self.nonlin = nonlin

    def parameters(self) -> list[Value]:
        """Return the weights and the bias."""
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{ACTIVATIONS[self.activation][1]}Neuron({len(self.w)})"


class Layer(Module):
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
        _expect_width(nin, "nin of Layer")
        _expect_width(nout, "nout of Layer")
        _expect_room((nin + 1) * nout, "Layer")
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

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(str(neuron) for neuron in self.neurons)}]"


class MLP(Module):
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
        _expect_width(nin, "nin of MLP")
        sizes = [nin, *_expect_widths(nouts)]
        _expect_room(sum((n + 1) * m for n, m in pairwise(sizes)), "MLP")
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


def _inputs(x: Iterable[Any]) -> list[Any]:
    """Read the inputs once, for all neurons; the bare output of a one-neuron layer is one input."""
    if type(x) is list:
        return x
    return [x] if isinstance(x, Value) else list(x)


def _expect_room(parameters: int, where: str) -> None:
    """Raise where so many parameters cannot be, before memory fills with them."""
    if parameters >= 1 << 32:
        raise FastgradOverflowError(explain("fewer than 2**32 parameters", f"{parameters}", where))
    if hasattr(os, "sysconf"):  # pragma: no branch (not on Windows)
        least, there = 96 * parameters, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if least > there > 0:
            got = f"{parameters} parameters, which take {least} bytes"
            raise MemoryError(explain(f"what {there} bytes of memory hold", got, where))


def _expect_width(n: int, where: str) -> None:
    if not hasattr(type(n), "__index__"):
        raise FastgradTypeError(explain("an integer", describe(n), where))
    if n < 1:
        raise FastgradValueError(explain("an integer of at least 1", f"{n}", where))


def _expect_widths(nouts: Sequence[int]) -> Sequence[int]:
    where = "nouts of MLP"
    if isinstance(nouts, str) or not hasattr(nouts, "__len__"):
        got = describe(nouts)
        raise FastgradTypeError(explain("a list of integers", got, where, "write MLP(2, [16, 1])"))
    if not len(nouts):
        remedy = "give the number of neurons of each layer: MLP(2, [16, 1])"
        raise FastgradValueError(explain("at least one layer", "none", where, remedy))
    for n in nouts:
        _expect_width(n, where)
    return nouts


def _expect_activation(name: str, where: str) -> None:
    if name not in ACTIVATIONS:
        raise FastgradValueError(explain(f"one of {', '.join(ACTIVATIONS)}", f"{name!r}", where))
