"""Softmax and normalised rows: what is made of a row to make it comparable with others."""

from __future__ import annotations

from typing import Any

from fastgrad._native.graph import functional as table
from fastgrad._native.graph.engine import numbers_of
from fastgrad._native.graph.functional import add, exp, floor, log, mul, neg, pow
from fastgrad._native.graph.recording import is_recording
from fastgrad.errors import ShapeError, describe, explain
from fastgrad.formulas.rows import by_rows, expect_length, expect_some, is_row, listed
from fastgrad.formulas.sums import mean_of, products_of

__all__ = ["layer_norm", "log_softmax", "log_softmax_of", "rms_norm", "softmax"]


def _shifted(row: list[Any], name: str) -> list[Any]:
    """Subtract from each number the largest one, rounded down: of their exp none overflows.

    The whole number has no derivative. So it is the same for results and gradients, bit for bit,
    whether it is an operation, which a tape does anew for each sample, or a plain number.
    """
    expect_some(row, name)
    largest = table.max(row if is_recording() else numbers_of(tuple(row)))
    less = neg(floor(largest))
    return [add(x, less) for x in row]


def log_softmax_of(row: list[Any], name: str) -> tuple[list[Any], Any]:
    """Return numbers and what to subtract from each, for its log_softmax."""
    shifted = _shifted(row, name)
    return shifted, log(table.sum([exp(x) for x in shifted]))


def softmax(input: Any) -> Any:
    """Return ``exp(x) / (exp(input[0]) + exp(input[1]) + ...)`` for each x: numbers that add to 1.

    Parameters
    ----------
    input : list or array of Values and numbers
        Or a batch of them. -inf gives 0.

    Returns
    -------
    list or array, of the input's shape

    Raises
    ------
    FastgradTypeError
        If the input is no such thing.
    FastgradValueError
        If it is empty.

    Notes
    -----
    Nothing overflows. Cost: four nodes for each number. `cross_entropy` takes the numbers before.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.softmax([1000.0, 1000.0, float("-inf")])
    [0.5, 0.5, 0.0]
    """

    def of(row: list[Any]) -> list[Any]:
        powers = [exp(x) for x in _shifted(row, "softmax")]
        share = pow(table.sum(powers), -1)
        return [mul(x, share) for x in powers]

    return by_rows(of, input, "softmax")


def log_softmax(input: Any) -> Any:
    """Return ``x - logsumexp(input)`` for each x: the logarithm of `softmax`, accurately.

    Parameters
    ----------
    input : list or array of Values and numbers
        Or a batch of them. -inf gives -inf.

    Returns
    -------
    list or array, of the input's shape

    Raises
    ------
    FastgradTypeError
        If the input is no such thing.
    FastgradValueError
        If it is empty.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.log_softmax([0.0, -1000.0])
    [0.0, -1000.0]
    """

    def of(row: list[Any]) -> list[Any]:
        shifted, total = log_softmax_of(row, "log_softmax")
        less = neg(total)
        return [add(x, less) for x in shifted]

    return by_rows(of, input, "log_softmax")


def _scale(x: Any, width: int, name: str) -> list[Any] | None:
    """Return the numbers to multiply with or to add, one for each of a row."""
    if x is None:
        return None
    if not is_row(x):
        got = describe(x)
        raise ShapeError(explain(f"{width} numbers, as the input has", got, name))
    entries = listed(x, name)
    expect_length(entries, width, name, "numbers, as the input has")
    return entries


def rms_norm(input: Any, weight: Any = None, eps: float | None = None) -> Any:
    """Return ``x * (mean of squares + eps) ** -0.5 * weight`` for each x of a row.

    Parameters
    ----------
    input : list or array of Values and numbers
        Or a batch of them.
    weight : list or array, optional
        A factor for each number of a row.
    eps : float, optional
        None stands for 2**-52, as with PyTorch.

    Returns
    -------
    list or array, of the input's shape

    Raises
    ------
    FastgradValueError
        If a row is empty; ShapeError if the weight is not as long as it.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.rms_norm([3.0, -3.0, 3.0], eps=0.0)
    [1.0, -1.0, 1.0]
    """
    least = 2.0**-52 if eps is None else eps

    def of(row: list[Any]) -> list[Any]:
        expect_some(row, "rms_norm")
        return _normalized(row, least, _scale(weight, len(row), "weight of rms_norm"), None)

    return by_rows(of, input, "rms_norm")


def layer_norm(input: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Return ``(x - mean) * (variance + eps) ** -0.5 * weight + bias`` for each x of a row.

    Parameters
    ----------
    input : list or array of Values and numbers
        Or a batch of them.
    weight, bias : list or array, optional
        A factor and a summand for each number of a row.
    eps : float
        Keeps the result finite where all numbers are equal.

    Returns
    -------
    list or array, of the input's shape
        The variance is the mean of the squared distances from the mean.

    Raises
    ------
    FastgradValueError
        If a row is empty; ShapeError if weight or bias are not as long as it.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.layer_norm([1.0, 3.0], eps=0.0)
    [-1.0, 1.0]
    """

    def of(row: list[Any]) -> list[Any]:
        expect_some(row, "layer_norm")
        less = neg(mean_of(row))
        scales = _scale(weight, len(row), "weight of layer_norm")
        shifts = _scale(bias, len(row), "bias of layer_norm")
        return _normalized([add(x, less) for x in row], eps, scales, shifts)

    return by_rows(of, input, "layer_norm")


def _normalized(
    row: list[Any], eps: float, scales: list[Any] | None, shifts: list[Any] | None
) -> list[Any]:
    """Divide numbers by the root of their mean square, then scale and shift them."""
    factor = pow(add(table.div(products_of(row, row), len(row)), eps), -0.5)
    out = [mul(x, factor) for x in row]
    if scales is not None:
        out = [mul(x, scale) for x, scale in zip(out, scales, strict=True)]
    if shifts is not None:
        out = [add(x, shift) for x, shift in zip(out, shifts, strict=True)]
    return out
