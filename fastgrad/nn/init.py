"""Initialisers: set Values in place, from random numbers that a seed decides; PyTorch's names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastgrad import _random
from fastgrad._random import Generator
from fastgrad.engine import Value
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    ShapeError,
    describe,
    explain,
    show,
)
from fastgrad.formulas.rows import expect_number, flat, is_row

__all__ = [
    "Generator",
    "calculate_gain",
    "constant_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_GAINS = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 0.75,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return what `xavier_uniform_` multiplies with before a nonlinearity.

    Parameters
    ----------
    nonlinearity : str
        "linear", "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
    param : float, optional
        The slope of leaky_relu, 0.01 if not given.

    Returns
    -------
    float

    Raises
    ------
    FastgradTypeError
        If the slope is no number.
    FastgradValueError
        If the nonlinearity is unknown.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        expect_number(slope, "param of calculate_gain")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        expected = f"one of {', '.join([*_GAINS, 'leaky_relu'])}"
        got = show(nonlinearity)
        raise FastgradValueError(explain(expected, got, "nonlinearity of calculate_gain"))
    return _GAINS[nonlinearity]


def uniform_(
    tensor: Any, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Any:
    """Set Values to random numbers of a to b.

    Parameters
    ----------
    tensor : Value, or a list or array or rows of Values
        Set in their order.
    a, b : float
        The least number, and what all are below.
    generator : Generator, optional
        Where numbers come from; else what `fastgrad.manual_seed` seeds.

    Returns
    -------
    what was given

    Raises
    ------
    FastgradTypeError
        If the tensor holds anything but Values, or a number is none.

    Examples
    --------
    >>> from fastgrad import Value
    >>> from fastgrad.nn import init
    >>> row = init.uniform_([Value(0.0), Value(0.0)], -1.0, 1.0, generator=init.Generator(3))
    >>> all(-1.0 <= v.data < 1.0 for v in row)
    True
    """
    expect_number(a, "a of uniform_")
    expect_number(b, "b of uniform_")
    return _filled(tensor, lambda n: [a + (b - a) * u for u in _drawn(generator).uniform(n)])


def normal_(
    tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Any:
    """Set Values to random numbers of a normal distribution.

    Parameters
    ----------
    tensor, generator
        As for `uniform_`.
    mean, std : float
        Of the distribution.

    Returns
    -------
    what was given

    Raises
    ------
    FastgradTypeError
        If the tensor holds anything but Values, or a number is none.
    """
    expect_number(mean, "mean of normal_")
    expect_number(std, "std of normal_")
    return _filled(tensor, lambda n: [mean + std * z for z in _drawn(generator).normal(n)])


def constant_(tensor: Any, val: float) -> Any:
    """Set Values to one number, and return them: see `uniform_`."""
    return _filled(tensor, lambda n: [val] * n)


def zeros_(tensor: Any) -> Any:
    """Set Values to 0, and return them: see `uniform_`."""
    return constant_(tensor, 0.0)


def ones_(tensor: Any) -> Any:
    """Set Values to 1, and return them: see `uniform_`."""
    return constant_(tensor, 1.0)


def eye_(tensor: Any) -> Any:
    """Set rows of Values to 1 on the diagonal, else 0, and return them.

    Raises
    ------
    ShapeError
        If the tensor has no rows.
    """
    rows, columns = _extents(tensor, "eye_")
    return _filled(tensor, lambda _: [float(i == j) for i in range(rows) for j in range(columns)])


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Generator | None = None) -> Any:
    """Set rows of weights to numbers of -a to a, a being ``gain * sqrt(6 / (fan_in + fan_out))``.

    Parameters
    ----------
    tensor : rows of Values, (nout, nin)
        Set in their order.
    gain : float
        See `calculate_gain`.
    generator
        As for `uniform_`.

    Returns
    -------
    what was given

    Raises
    ------
    ShapeError
        If the tensor has no rows.
    """
    expect_number(gain, "gain of xavier_uniform_")
    bound = gain * math.sqrt(6.0 / sum(_extents(tensor, "xavier_uniform_")))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Generator | None = None) -> Any:
    """Set rows of weights to normal numbers of deviation ``gain * sqrt(2 / (fan_in + fan_out))``.

    Parameters
    ----------
    tensor, gain, generator
        As for `xavier_uniform_`.

    Returns
    -------
    what was given

    Raises
    ------
    ShapeError
        If the tensor has no rows.
    """
    expect_number(gain, "gain of xavier_normal_")
    std = gain * math.sqrt(2.0 / sum(_extents(tensor, "xavier_normal_")))
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(
    tensor: Any,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Any:
    """Set rows of weights to numbers of -b to b, b being ``gain * sqrt(3 / fan)``.

    Parameters
    ----------
    tensor : rows of Values, (nout, nin)
        Set in their order.
    a : float
        The slope of leaky_relu.
    mode : str
        "fan_in", which keeps the variance of results, or "fan_out", that of gradients.
    nonlinearity : str
        See `calculate_gain`.
    generator
        As for `uniform_`.

    Returns
    -------
    what was given

    Raises
    ------
    ShapeError
        If the tensor has no rows.
    FastgradValueError
        If mode or nonlinearity are unknown.
    """
    bound = math.sqrt(3.0) * _kaiming(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Any,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Any:
    """Set rows of weights to normal numbers of deviation ``gain / sqrt(fan)``.

    Parameters
    ----------
    tensor, a, mode, nonlinearity, generator
        As for `kaiming_uniform_`.

    Returns
    -------
    what was given

    Raises
    ------
    ShapeError
        If the tensor has no rows.
    FastgradValueError
        If mode or nonlinearity are unknown.
    """
    std = _kaiming(tensor, a, mode, nonlinearity, "kaiming_normal_")
    return normal_(tensor, 0.0, std, generator)


def _kaiming(tensor: Any, a: float, mode: str, nonlinearity: str, name: str) -> float:
    fan_out, fan_in = _extents(tensor, name)
    fans = {"fan_in": fan_in, "fan_out": fan_out}
    if mode not in fans:
        expected, got = "'fan_in' or 'fan_out'", show(mode)
        raise FastgradValueError(explain(expected, got, f"mode of {name}"))
    return calculate_gain(nonlinearity, a) / math.sqrt(fans[mode])


def _drawn(generator: Generator | None) -> Generator:
    return _random.default_generator if generator is None else generator


def _extents(tensor: Any, name: str) -> tuple[int, int]:
    """Return nout and nin of rows."""
    if not is_row(tensor) or not len(tensor) or not is_row(tensor[0]) or not len(tensor[0]):
        raise ShapeError(explain("rows of Values", show(tensor), f"tensor of {name}"))
    return len(tensor), len(tensor[0])


def _filled(tensor: Any, numbers: Callable[[int], list[float]]) -> Any:
    """Set Values to as many numbers."""
    values = flat(tensor)
    for value in values:
        if not isinstance(value, Value):
            got = describe(value)
            raise FastgradTypeError(explain("Values", got, "tensor of an initialiser"))
    for value, number in zip(values, numbers(len(values)), strict=True):
        value.data = number
    return tensor
