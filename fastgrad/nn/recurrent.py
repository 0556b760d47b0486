"""Cells of recurrent networks: one step from a state and an input to the next state."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastgrad._native.graph.neurons import KeptRows
from fastgrad.errors import FastgradValueError, ShapeError, describe, explain, show
from fastgrad.formulas.rows import depth_of, expect_length, is_row, like, listed
from fastgrad.functional import add, mul, relu, sigmoid, sub, tanh
from fastgrad.nn.layers import linear_kept, matrix, vector
from fastgrad.nn.module import Module
from fastgrad.nn.neurons import expect_room, expect_width

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]


class _Cell(Module):
    """A cell of some gates, each of which has hidden_size rows in the weights."""

    gates = 1
    states = 1
    _next: Callable[..., tuple[list[Any], ...]]  # of a row and its states, the next states

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        name = type(self).__name__
        expect_width(input_size, f"input_size of {name}")
        expect_width(hidden_size, f"hidden_size of {name}")
        rows = self.gates * hidden_size
        expect_room(rows * (input_size + hidden_size + 2), name)
        self.input_size, self.hidden_size = input_size, hidden_size
        bound = 1.0 / math.sqrt(hidden_size)
        self.weight_ih = matrix(rows, input_size, bound)
        self.weight_hh = matrix(rows, hidden_size, bound)
        self.bias_ih = vector(rows, bound) if bias else None
        self.bias_hh = vector(rows, bound) if bias else None
        self._kept_ih, self._kept_hh = KeptRows(), KeptRows()

    def _of_input(self, x: list[Any]) -> list[list[Any]]:
        return self._split(linear_kept(self._kept_ih, x, self.weight_ih, self.bias_ih))

    def _of_state(self, h: list[Any]) -> list[list[Any]]:
        return self._split(linear_kept(self._kept_hh, h, self.weight_hh, self.bias_hh))

    def _split(self, rows: list[Any]) -> list[list[Any]]:
        n = self.hidden_size
        return [rows[i * n : (i + 1) * n] for i in range(self.gates)]

    def _row(self, x: Any, n: int, what: str) -> list[Any]:
        where = f"{what} of {type(self).__name__}"
        row = listed(x, where)
        expect_length(row, n, where)
        return row

    def _step(self, x: Any, states: tuple[Any, ...] | None) -> tuple[Any, ...]:
        """Return the next states: of a row, or of each row of a batch."""
        name = type(self).__name__
        if depth_of(x) < 2:
            row = self._row(x, self.input_size, "input")
            if states is None:
                states = (self._zeros(),) * self.states
            return self._next(row, *(self._row(h, self.hidden_size, "state") for h in states))
        rows = listed(x, f"input of {name}")
        given: list[Any] = [None] * len(rows)
        if states is not None:
            columns = [listed(h, f"state of {name}") for h in states]
            for column in columns:
                expect_length(column, len(rows), f"state of {name}", "rows, as the input has")
            given = list(zip(*columns, strict=True))
        nexts = [self._step(row, before) for row, before in zip(rows, given, strict=True)]
        return tuple(like(x, list(column)) for column in zip(*nexts, strict=True))

    def _zeros(self) -> list[float]:
        return [0.0] * self.hidden_size

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.input_size}, {self.hidden_size})"


def _added(one: list[Any], two: list[Any]) -> list[Any]:
    return [add(a, b) for a, b in zip(one, two, strict=True)]


def _multiplied(one: list[Any], two: list[Any]) -> list[Any]:
    return [mul(a, b) for a, b in zip(one, two, strict=True)]


class RNNCell(_Cell):
    """Compute ``tanh(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)``.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of input and state, at least 1.
    bias : bool
        Whether there are biases.
    nonlinearity : str
        "tanh" or "relu".

    Attributes
    ----------
    weight_ih, weight_hh : rows of Value, (hidden_size, input_size) and (hidden_size, hidden_size)
    bias_ih, bias_hh : list of Value, (hidden_size,), or None
        All drawn evenly from ``-1/sqrt(hidden_size)`` to ``1/sqrt(hidden_size)``.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If a size is no positive integer, or the nonlinearity is unknown.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh"
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            got = show(nonlinearity)
            raise FastgradValueError(explain("'tanh' or 'relu'", got, "nonlinearity of RNNCell"))
        super().__init__(input_size, hidden_size, bias)
        self.nonlinearity = nonlinearity

    def forward(self, x: Any, hx: Any = None) -> Any:
        """Return the next state.

        Parameters
        ----------
        x : list or array, length input_size
            Or a batch of them.
        hx : list or array, length hidden_size, optional
            The state before, 0 if there is none; of a batch one for each row.

        Raises
        ------
        ShapeError
            If lengths do not fit.
        """
        return self._step(x, None if hx is None else (hx,))[0]

    def _next(self, x: list[Any], *states: list[Any]) -> tuple[list[Any], ...]:
        activation = tanh if self.nonlinearity == "tanh" else relu
        sums = _added(self._of_input(x)[0], self._of_state(states[0])[0])
        return ([activation(v) for v in sums],)


class GRUCell(_Cell):
    """Compute a gated recurrent unit, as PyTorch does.

    With r, z, n the first, second and third hidden_size rows of each weight and bias,
    ``r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)``, z alike, ``n = tanh(W_in x + b_in + r * (W_hn h
    + b_hn))``; the next state is ``(1 - z) * n + z * h``.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of input and state, at least 1.
    bias : bool
        Whether there are biases.

    Attributes
    ----------
    weight_ih, weight_hh : rows of Value, 3 * hidden_size of them
    bias_ih, bias_hh : list of Value, or None
        All drawn evenly from ``-1/sqrt(hidden_size)`` to ``1/sqrt(hidden_size)``.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If a size is no positive integer.
    """

    gates = 3

    def forward(self, x: Any, hx: Any = None) -> Any:
        """Return the next state: see `RNNCell.forward`."""
        return self._step(x, None if hx is None else (hx,))[0]

    def _next(self, x: list[Any], *states: list[Any]) -> tuple[list[Any], ...]:
        (h,) = states
        (xr, xz, xn), (hr, hz, hn) = self._of_input(x), self._of_state(h)
        r = [sigmoid(v) for v in _added(xr, hr)]
        z = [sigmoid(v) for v in _added(xz, hz)]
        n = [tanh(add(a, mul(gate, b))) for a, gate, b in zip(xn, r, hn, strict=True)]
        return (
            [
                add(mul(sub(1.0, gate), new), mul(gate, old))
                for gate, new, old in zip(z, n, h, strict=True)
            ],
        )


class LSTMCell(_Cell):
    """Compute a step of long short-term memory, as PyTorch does.

    With i, f, g, o the first to fourth hidden_size rows of each weight and bias,
    ``i = sigmoid(W_ii x + b_ii + W_hi h + b_hi)``, f and o alike, g with tanh; the next states are
    ``c' = f * c + i * g`` and ``h' = o * tanh(c')``.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of input and states, at least 1.
    bias : bool
        Whether there are biases.

    Attributes
    ----------
    weight_ih, weight_hh : rows of Value, 4 * hidden_size of them
    bias_ih, bias_hh : list of Value, or None
        All drawn evenly from ``-1/sqrt(hidden_size)`` to ``1/sqrt(hidden_size)``.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If a size is no positive integer.
    """

    gates = 4
    states = 2

    def forward(self, x: Any, hx: Any = None) -> Any:
        """Return the next states (h, c).

        Parameters
        ----------
        x : list or array, length input_size
            Or a batch of them.
        hx : pair (h, c) of lists or arrays, length hidden_size, optional
            The states before, 0 if there are none; of a batch one of each for each row.

        Raises
        ------
        ShapeError
            If lengths do not fit, or hx is no pair.
        """
        if hx is not None and (not is_row(hx) or len(hx) != 2):
            got = describe(hx)
            raise ShapeError(explain("a pair (h, c)", got, "state of LSTMCell"))
        return self._step(x, None if hx is None else tuple(hx))

    def _next(self, x: list[Any], *states: list[Any]) -> tuple[list[Any], ...]:
        h, c = states
        sums = [_added(a, b) for a, b in zip(self._of_input(x), self._of_state(h), strict=True)]
        i, f, o = ([sigmoid(v) for v in sums[k]] for k in (0, 1, 3))
        g = [tanh(v) for v in sums[2]]
        c = _added(_multiplied(f, c), _multiplied(i, g))
        return _multiplied(o, [tanh(v) for v in c]), c
