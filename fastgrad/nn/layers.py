"""Layers: modules of one step, and containers of modules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fastgrad import functional
from fastgrad._native.graph.engine import numbers_of
from fastgrad._native.graph.neurons import KeptRows, call_kept_rows
from fastgrad._native.graph.recording import is_recording
from fastgrad.engine import Value
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    TapeError,
    describe,
    explain,
)
from fastgrad.formulas.activations import expect_approximation
from fastgrad.formulas.rows import by_elements, expect_length, expect_number, expect_part, listed
from fastgrad.nn import init
from fastgrad.nn.module import Module
from fastgrad.nn.neurons import expect_room, expect_width

__all__ = [
    "GELU",
    "BatchNorm1d",
    "Dropout",
    "Embedding",
    "LayerNorm",
    "Linear",
    "ModuleList",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "linear_kept",
    "matrix",
    "vector",
]


def vector(n: int, bound: float = 0.0) -> list[Value]:
    """Return n parameters, drawn evenly from -bound to bound."""
    values = [Value(0.0) for _ in range(n)]
    return init.uniform_(values, -bound, bound) if bound else values


def matrix(rows: int, columns: int, bound: float = 0.0) -> list[list[Value]]:
    """Return rows of parameters, drawn evenly from -bound to bound."""
    flat = vector(rows * columns, bound)
    return [flat[i * columns : (i + 1) * columns] for i in range(rows)]


def linear_kept(kept: KeptRows, x: Any, weight: Any, bias: Any) -> Any:
    """Compute `functional.linear`, with blocks of weights that are kept from call to call."""
    if type(x) is list and x and type(x[0]) is list:
        return [linear_kept(kept, row, weight, bias) for row in x]
    sums = call_kept_rows(kept, x, weight, bias)
    return functional.linear(x, weight, bias) if sums is None else sums


class Linear(Module):
    """Compute ``bias + weight @ x``.

    Parameters
    ----------
    in_features, out_features : int
        Lengths of input and output, at least 1.
    bias : bool
        Whether there is one.

    Attributes
    ----------
    weight : rows of Value, (out_features, in_features)
    bias : list of Value, (out_features,), or None
        Both drawn evenly from ``-1/sqrt(in_features)`` to ``1/sqrt(in_features)``.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If a length is no positive integer.

    Examples
    --------
    >>> from fastgrad import nn
    >>> len(nn.Linear(3, 2)([1.0, 2.0, 3.0]))
    2
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        expect_width(in_features, "in_features of Linear")
        expect_width(out_features, "out_features of Linear")
        expect_room((in_features + 1) * out_features, "Linear")
        bound = 1.0 / math.sqrt(in_features)
        self.weight = matrix(out_features, in_features, bound)
        self.bias = vector(out_features, bound) if bias else None
        self._kept = KeptRows()

    def forward(self, x: Any) -> Any:
        """Return ``out_features`` numbers for a row of ``in_features``, or a batch of rows."""
        return linear_kept(self._kept, x, self.weight, self.bias)

    def __repr__(self) -> str:
        bias = "" if self.bias else ", bias=False"
        return f"Linear({len(self.weight[0])}, {len(self.weight)}{bias})"


class Embedding(Module):
    """Look up a row of a table: what a token means.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Number of tokens, length of a row; at least 1.

    Attributes
    ----------
    weight : rows of Value, (num_embeddings, embedding_dim)
        Drawn from the normal distribution.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If a number is no positive integer.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        expect_width(num_embeddings, "num_embeddings of Embedding")
        expect_width(embedding_dim, "embedding_dim of Embedding")
        expect_room(num_embeddings * embedding_dim, "Embedding")
        self.weight = init.normal_(matrix(num_embeddings, embedding_dim))

    def forward(self, i: Any) -> Any:
        """Return the row of a token, or of each of several: see `functional.embedding`."""
        return functional.embedding(i, self.weight)

    def __repr__(self) -> str:
        return f"Embedding({len(self.weight)}, {len(self.weight[0])})"


class RMSNorm(Module):
    """Divide rows by the root of their mean square: see `functional.rms_norm`.

    Parameters
    ----------
    normalized_shape : int
        Length of a row.
    eps : float, optional
        Added to the mean square.
    elementwise_affine : bool
        Whether there is a weight.

    Attributes
    ----------
    weight : list of Value, or None
        1 at first.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If the length is no positive integer.
    """

    def __init__(
        self, normalized_shape: int, eps: float | None = None, elementwise_affine: bool = True
    ) -> None:
        expect_width(normalized_shape, "normalized_shape of RMSNorm")
        self.eps = eps
        self.weight = init.ones_(vector(normalized_shape)) if elementwise_affine else None

    def forward(self, x: Any) -> Any:
        """Return a row, or a batch of rows, normalised."""
        return functional.rms_norm(x, self.weight, self.eps)


class LayerNorm(Module):
    """Shift and scale rows to mean 0 and variance 1: see `functional.layer_norm`.

    Parameters
    ----------
    normalized_shape : int
        Length of a row.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether there are a weight and a bias.
    bias : bool
        Whether there is a bias where there is a weight.

    Attributes
    ----------
    weight, bias : list of Value, or None
        1 and 0 at first.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If the length is no positive integer.
    """

    def __init__(
        self,
        normalized_shape: int,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        expect_width(normalized_shape, "normalized_shape of LayerNorm")
        self.eps = eps
        self.weight = init.ones_(vector(normalized_shape)) if elementwise_affine else None
        self.bias = vector(normalized_shape) if elementwise_affine and bias else None

    def forward(self, x: Any) -> Any:
        """Return a row, or a batch of rows, normalised."""
        return functional.layer_norm(x, self.weight, self.bias, self.eps)


class BatchNorm1d(Module):
    """Shift and scale each feature of a batch to mean 0 and variance 1.

    Parameters
    ----------
    num_features : int
        Length of a row.
    eps : float
        Added to the variance.
    momentum : float or None
        What part of the running numbers a batch replaces; None for the mean of all batches.
    affine : bool
        Whether there are a weight and a bias.
    track_running_stats : bool
        Whether running numbers are kept; without them a batch is always normalised by itself.

    Attributes
    ----------
    weight, bias : list of Value, or None
        1 and 0 at first.
    running_mean, running_var : list of float, or None
        What `eval` uses in place of the batch's; the variance is that of samples, divided by n - 1.
    num_batches_tracked : int or None

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If the number of features is no positive integer, or eps or momentum no number.

    Notes
    -----
    While training, a result depends on all rows of the batch. So it is no function of one sample,
    and cannot be recorded: LayerNorm can. After ``eval()`` it is a scale and a shift.
    """

    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        expect_width(num_features, "num_features of BatchNorm1d")
        expect_number(eps, "eps of BatchNorm1d")
        if momentum is not None:
            expect_number(momentum, "momentum of BatchNorm1d", "a number, or None")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = init.ones_(vector(num_features)) if affine else None
        self.bias = vector(num_features) if affine else None
        tracked = track_running_stats
        self.running_mean = [0.0] * num_features if tracked else None
        self.running_var = [1.0] * num_features if tracked else None
        self.num_batches_tracked = 0 if tracked else None

    def forward(self, x: Any) -> Any:
        """Return a batch of rows, normalised; with running numbers also a row alone.

        Raises
        ------
        TapeError
            If a function is recorded while training.
        ShapeError
            If rows are not of ``num_features``.
        FastgradValueError
            If a batch that is normalised by itself has less than two rows.
        """
        if not self.training and self.running_mean is not None and self.running_var is not None:
            means, variances = self.running_mean, self.running_var
            return self._scaled(x, means, variances)
        if is_recording():
            remedy = "use LayerNorm, or call model.eval() before record"
            expected = "what is a function of one sample"
            raise TapeError(explain(expected, "BatchNorm1d in training", "while recording", remedy))
        rows = [listed(row, "input of BatchNorm1d") for row in listed(x, "input of BatchNorm1d")]
        for row in rows:
            expect_length(row, self.num_features, "input of BatchNorm1d", "features")
        if len(rows) < 2:
            expected = "at least two rows to take a variance of"
            raise FastgradValueError(explain(expected, f"{len(rows)}", "input of BatchNorm1d"))
        columns = [list(column) for column in zip(*rows, strict=True)]
        means = [functional.mean(column) for column in columns]
        variances = [
            functional.mean([functional.square(v - mean) for v in column])
            for column, mean in zip(columns, means, strict=True)
        ]
        self._track(numbers_of(tuple(means)), numbers_of(tuple(variances)), len(rows))
        return self._scaled(x, means, variances)

    def _track(self, means: list[float], variances: list[float], n: int) -> None:
        """Move the running numbers towards those of a batch."""
        if self.running_mean is None or self.running_var is None or not self.training:
            return
        self.num_batches_tracked = int(self.num_batches_tracked or 0) + 1
        part = 1.0 / self.num_batches_tracked if self.momentum is None else self.momentum
        sampled = [variance * n / (n - 1) for variance in variances]
        for running, now in ((self.running_mean, means), (self.running_var, sampled)):
            running[:] = [
                (1.0 - part) * old + part * new for old, new in zip(running, now, strict=True)
            ]

    def _scaled(self, x: Any, means: list[Any], variances: list[Any]) -> Any:
        factors = [functional.pow(variance + self.eps, -0.5) for variance in variances]
        weights = [1.0] * self.num_features if self.weight is None else self.weight
        biases = [0.0] * self.num_features if self.bias is None else self.bias

        def of(v: Any, mean: Any, factor: Any, weight: Any, bias: Any) -> Any:
            out = functional.mul(functional.sub(v, mean), factor)
            return functional.add(functional.mul(out, weight), bias)

        return by_elements(of, "BatchNorm1d", x, spread=(means, factors, weights, biases))


class Dropout(Module):
    """While training, set numbers to 0 at random: see `functional.dropout`.

    Parameters
    ----------
    p : float
        The probability of 0.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If p is no number from 0 to 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        expect_part(p, "p of Dropout")
        self.p = p

    def forward(self, x: Any) -> Any:
        """Return the input, after `eval` as it is."""
        return functional.dropout(x, self.p, self.training)

    def __repr__(self) -> str:
        return f"Dropout({self.p})"


class _Elementwise(Module):
    """Apply an operation to each number of a row, or of a batch."""

    function: Callable[[Any], Any]

    def forward(self, x: Any) -> Any:
        """Return each number's result, in the shape of the input."""
        return by_elements(self.function, type(self).__name__, x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ReLU(_Elementwise):
    """Apply `functional.relu` to each number."""

    function = staticmethod(functional.relu)


class Tanh(_Elementwise):
    """Apply `functional.tanh` to each number."""

    function = staticmethod(functional.tanh)


class Sigmoid(_Elementwise):
    """Apply `functional.sigmoid` to each number."""

    function = staticmethod(functional.sigmoid)


class GELU(_Elementwise):
    """Apply ``x * (1 + erf(x / sqrt(2))) / 2`` to each number.

    Parameters
    ----------
    approximate : str
        "none", or "tanh": ``x * (1 + tanh(sqrt(2/pi) * (x + 0.044715*x**3))) / 2``, as GPT-2.

    Raises
    ------
    FastgradValueError
        If it is neither.
    """

    def __init__(self, approximate: str = "none") -> None:
        expect_approximation(approximate, "approximate of GELU")
        self.approximate = approximate

    def function(self, x: Any) -> Any:
        return functional.gelu(x, self.approximate)


# Containers ---------------------------------------------------------------------------------------


class ModuleList(Module):
    """A list of modules, for a forward that uses them as it likes.

    Parameters
    ----------
    modules : iterable of callables
        Their names are ``"0"``, ``"1"``, ...

    Raises
    ------
    FastgradTypeError
        If one cannot be called.
    """

    def __init__(self, modules: Iterable[Any] = ()) -> None:
        self._modules: list[Any] = []
        for module in modules:
            self.append(module)

    def append(self, module: Any) -> ModuleList:
        """Add a module at the end, and return this list."""
        if not callable(module):
            got = describe(module)
            where = f"modules of {type(self).__name__}"
            raise FastgradTypeError(explain("a module or a function", got, where))
        self._modules.append(module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules)

    def __getitem__(self, i: Any) -> Any:
        return self._modules[i]

    def _named_parts(self) -> list[tuple[str, Any]]:
        parts = [(str(i), module) for i, module in enumerate(self._modules)]
        return [*parts, *(part for part in super()._named_parts() if part[0] != "_modules")]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._modules))})"


class Sequential(ModuleList):
    """Call modules one after another, each with the result of the one before.

    Parameters
    ----------
    *modules : callable
        Modules, or functions.

    Raises
    ------
    FastgradTypeError
        If one cannot be called.

    Examples
    --------
    >>> from fastgrad import nn
    >>> nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).num_parameters()
    33
    """

    def __init__(self, *modules: Any) -> None:
        super().__init__(modules)

    def forward(self, x: Any) -> Any:
        """Return the last module's result."""
        for module in self._modules:
            x = module(x)
        return x
