"""Sums of rows: sum, mean, prod, dot, linear, norm, logsumexp, cosine_similarity."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastgrad._native.graph import functional as table
from fastgrad._native.graph.functional import add, div, eq, maximum, mul, ne, pow, sqrt, where
from fastgrad._native.graph.neurons import call_linear
from fastgrad.errors import FastgradTypeError, FastgradValueError, describe, explain, show
from fastgrad.formulas.rows import (
    by_rows,
    depth_of,
    expect_length,
    expect_number,
    expect_some,
    flat,
    is_row,
    like,
    listed,
)

__all__ = [
    "cosine_similarity",
    "dot",
    "linear",
    "logsumexp",
    "mean",
    "mean_of",
    "norm",
    "prod",
    "products_of",
    "sum",
    "sums_of_products",
]


# Of one row, a list -------------------------------------------------------------------------------


def mean_of(row: list[Any]) -> Any:
    """Divide a sum by the number of its terms."""
    return div(table.sum(row), len(row))


def products_of(xs: list[Any], ys: list[Any]) -> Any:
    """Add products from left to right."""
    return sums_of_products(xs, [ys], [0.0])[0]


def sums_of_products(xs: list[Any], rows: list[list[Any]], starts: list[Any]) -> list[Any]:
    """Add products with each row to a number, from left to right: each is a dot in the graph."""
    sums: list[Any] | None = call_linear(xs, rows, starts)
    if sums is not None:
        return sums
    sums = []
    for row, start in zip(rows, starts, strict=True):
        total = start
        for x, y in zip(xs, row, strict=True):
            total = add(total, mul(x, y))
        sums.append(total)
    return sums


# What users find in functional --------------------------------------------------------------------


def _reduce(function: Callable[[list[Any]], Any], input: Any, dim: int | None, name: str) -> Any:
    """Apply a function to all numbers, or along an axis of rows or columns."""
    if dim is None:
        return function(flat(listed(input, name)))
    depth = depth_of(input)
    if not hasattr(type(dim), "__index__") or not -depth <= dim < depth:
        expected = f"None, or an axis of {-depth} to {depth - 1}"
        raise FastgradValueError(explain(expected, show(dim), f"dim of {name}"))
    axis = dim % depth
    return _along(function, input, axis, name)


def _along(function: Callable[[list[Any]], Any], x: Any, axis: int, name: str) -> Any:
    entries = listed(x, name)
    if axis:
        return like(x, [_along(function, row, axis - 1, name) for row in entries])
    if not entries or not is_row(entries[0]):
        return function(entries)
    rows = [listed(row, name) for row in entries]
    for i, row in enumerate(rows):
        expect_length(row, len(rows[0]), f"row {i} of {name}", "entries, as row 0 has")
    return like(x, [_along(function, list(column), 0, name) for column in zip(*rows, strict=True)])


def sum(input: Any, dim: int | None = None) -> Any:
    """Return the sum of numbers, added from left to right.

    Parameters
    ----------
    input : list or array of Values and numbers, or of rows of them
        Any iterable will do.
    dim : int, optional
        The axis to sum along: -1 gives the sum of each row, 0 of a batch that of each column. None
        gives the sum of all.

    Returns
    -------
    Value or number, or a list or array of them
        0.0 of nothing.

    Raises
    ------
    FastgradTypeError
        If the input is no such thing.
    FastgradValueError
        If there is no such axis; ShapeError if rows differ in length where columns are summed.

    Notes
    -----
    Cost: a node for each number after the first.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.sum([[1.0, 2.0], [3.0, 4.0]]), F.sum([[1.0, 2.0], [3.0, 4.0]], dim=-1)
    (10.0, [3.0, 7.0])
    """
    return _reduce(table.sum, input, dim, "sum")


def mean(input: Any, dim: int | None = None) -> Any:
    """Return the mean of numbers: their `sum`, divided by how many they are.

    Parameters
    ----------
    input, dim
        As for `sum`.

    Returns
    -------
    Value or float, or a list or array of them

    Raises
    ------
    FastgradValueError
        If there is no number, or no such axis.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.mean([1.0, 2.0, 6.0])
    3.0
    """

    def of(row: list[Any]) -> Any:
        expect_some(row, "mean")
        return mean_of(row)

    return _reduce(of, input, dim, "mean")


def prod(*operands: Any, dim: int | None = None) -> Any:
    """Return the product of numbers, from left to right; 1.0 of none.

    Parameters
    ----------
    *operands : Value or number
        Or one iterable of them, or of rows of them.
    dim : int, optional
        As for `sum`.

    Returns
    -------
    Value or float, or a list or array of them
        Recorded as ``a * b * c * ...``; a float where all are plain numbers.

    Raises
    ------
    FastgradTypeError
        If the only operand is no iterable, or one is no Value and no number.

    Notes
    -----
    The derivative by one operand is the product of the others, made without a division: it is right
    where operands are 0. Cost: a node for each operand after the first.

    Examples
    --------
    >>> from fastgrad import Value
    >>> from fastgrad.functional import prod
    >>> a, b, c = Value(2.0), Value(0.0), Value(5.0)
    >>> prod([a, b, c]).backward()
    >>> a.grad, b.grad, c.grad
    (0.0, 10.0, 0.0)
    """
    if len(operands) != 1 or not is_row(operands[0]):
        return table.prod(*operands)
    return _reduce(table.prod, operands[0], dim, "prod")


def logsumexp(*operands: Any) -> Any:
    """Return the logarithm of the sum of e to the power of each operand.

    Parameters
    ----------
    *operands : Value or number
        Or one iterable of them, or of rows of them. -inf stands for log(0), and adds nothing.

    Returns
    -------
    Value or float, of rows a list or array of them
        Of `logaddexp`, in pairs, then pairs of those, ...; a float where all are plain numbers.

    Raises
    ------
    FastgradTypeError
        If the only operand is no iterable, or one is no Value and no number.
    FastgradValueError
        If there is none.

    Notes
    -----
    The derivatives are the softmax of the operands. Nothing overflows, and no operand's number is
    looked at: a tape takes the largest anew in each call. Cost: a node for each operand after the
    first.

    Examples
    --------
    >>> from fastgrad import Value
    >>> from fastgrad.functional import logsumexp
    >>> z = [Value(1000.0), Value(1000.0), Value(float("-inf"))]
    >>> y = logsumexp(z)
    >>> y.backward()
    >>> y.data, [v.grad for v in z]
    (1000.6931471805599, [0.5, 0.5, 0.0])
    """
    if len(operands) != 1 or not is_row(operands[0]):
        return table.logsumexp(*operands)
    return by_rows(table.logsumexp, operands[0], "logsumexp")


def _paired(function: Callable[[list[Any], list[Any]], Any], x: Any, y: Any, name: str) -> Any:
    """Apply a function of two rows to rows, to the rows of batches, or to each row and the one."""
    if depth_of(x) < 2 and depth_of(y) < 2:
        xs, ys = listed(x, f"input of {name}"), listed(y, f"other of {name}")
        expect_length(ys, len(xs), f"other of {name}", "numbers, as the input has")
        return function(xs, ys)
    batch = x if depth_of(x) > 1 else y
    xs = listed(x, name) if depth_of(x) > 1 else [x] * len(y)
    ys = listed(y, name) if depth_of(y) > 1 else [y] * len(x)
    expect_length(ys, len(xs), f"other of {name}", "rows, as the input has")
    return like(batch, [_paired(function, a, b, name) for a, b in zip(xs, ys, strict=True)])


def dot(input: Any, other: Any) -> Any:
    """Return ``input[0]*other[0] + input[1]*other[1] + ...``, added from left to right.

    Parameters
    ----------
    input, other : list or array of Values and numbers
        Of one length. Of batches each row with its partner, of a batch and a row each with the row.

    Returns
    -------
    Value or number, of batches a list or array of them

    Raises
    ------
    FastgradTypeError
        If one is no row.
    ShapeError
        If their lengths differ.

    Notes
    -----
    Cost: one node, as of a `fastgrad.nn.Neuron`, and 8 bytes for each product.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.dot([1.0, 2.0], [3.0, 4.0])
    11.0
    """
    return _paired(products_of, input, other, "dot")


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """Return ``bias[i] + weight[i][0]*input[0] + weight[i][1]*input[1] + ...`` for each row i.

    Parameters
    ----------
    input : list or array of Values and numbers, length nin
        Or a batch of them.
    weight : rows of Values and numbers, (nout, nin)
        One row alone, (nin,), gives a number.
    bias : list or array, length nout, optional
        Of a weight of one row a number.

    Returns
    -------
    list or array, length nout
        Or a batch of them.

    Raises
    ------
    ShapeError
        If lengths do not fit.

    Notes
    -----
    Cost: one node for each row, as of a `fastgrad.nn.Layer`, and 4 bytes for each weight.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.linear([1.0, 2.0], [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], [0.0, 10.0, 20.0])
    [1.0, 11.5, 22.0]
    """
    rows = listed(weight, "weight of linear")
    is_one = not (rows and is_row(rows[0]))
    if is_one:
        rows, biases = [rows], [0.0 if bias is None else bias]
    else:
        rows = [listed(row, f"row {i} of weight of linear") for i, row in enumerate(rows)]
        biases = [0.0] * len(rows) if bias is None else listed(bias, "bias of linear")
        expect_length(biases, len(rows), "bias of linear", "numbers, as the weight has rows")

    def of(xs: list[Any]) -> Any:
        for i, row in enumerate(rows):
            expect_length(row, len(xs), f"row {i} of weight of linear", "numbers, as the input has")
        sums = sums_of_products(xs, rows, biases)
        return sums[0] if is_one else sums

    return by_rows(of, input, "input of linear")


def _root(square: Any) -> Any:
    """Take the root of a sum of squares; where that is 0 the derivative is 0, as PyTorch's."""
    return where(square, sqrt(add(square, eq(square, 0.0))), 0.0)


def norm(input: Any, p: float = 2.0, dim: int | None = None) -> Any:
    """Return the p-norm of numbers: ``(|x[0]|**p + |x[1]|**p + ...) ** (1/p)``.

    Parameters
    ----------
    input, dim
        As for `sum`.
    p : float
        inf gives the largest absolute value, -inf the smallest, 0 how many are not 0.

    Returns
    -------
    Value or float, or a list or array of them

    Raises
    ------
    FastgradTypeError
        If p is no plain number.

    Notes
    -----
    Where the norm is 0 its derivatives are. Cost: for p = 2 six nodes, else two for each number.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.norm([3.0, -4.0]), F.norm([3.0, -4.0], p=1)
    (5.0, 7.0)
    """
    if not hasattr(p, "__float__") or hasattr(p, "_prev"):
        got = describe(p)
        raise FastgradTypeError(explain("a plain number", got, "p of norm"))
    p = float(p)

    def of(row: list[Any]) -> Any:
        if p == 2:
            return _root(products_of(row, row))
        if p == 0:
            return table.sum([ne(x, 0.0) for x in row])
        sizes = [table.abs(x) for x in row]
        if math.isinf(p):
            expect_some(row, "norm")
            return table.max(sizes) if p > 0 else table.min(sizes)
        if p == 1:
            return table.sum(sizes)
        total = table.sum([pow(size, p) for size in sizes])
        return where(total, pow(add(total, eq(total, 0.0)), 1 / p), 0.0)

    return _reduce(of, input, dim, "norm")


def cosine_similarity(x1: Any, x2: Any, eps: float = 1e-8) -> Any:
    """Return the cosine of the angle between rows: ``dot(x1, x2) / (norm(x1) * norm(x2))``.

    Parameters
    ----------
    x1, x2 : list or array of Values and numbers
        Of one length, or batches, as for `dot`.
    eps : float
        The least that a norm counts as.

    Returns
    -------
    Value or float, of batches a list or array of them

    Raises
    ------
    FastgradTypeError
        If eps is no number.
    ShapeError
        If lengths differ.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.cosine_similarity([3.0, 4.0], [6.0, 8.0])
    1.0
    """
    expect_number(eps, "eps of cosine_similarity")
    least = eps * eps

    def of(xs: list[Any], ys: list[Any]) -> Any:
        sizes = [sqrt(maximum(products_of(row, row), least)) for row in (xs, ys)]
        return div(products_of(xs, ys), mul(*sizes))

    return _paired(of, x1, x2, "cosine_similarity")
