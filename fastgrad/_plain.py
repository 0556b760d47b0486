"""Plain numbers: a function as it runs without Values, to compare a tape with."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from fastgrad._native.graph.engine import numbers_of
from fastgrad.engine import Value

__all__ = ["call_plainly", "is_close", "is_same", "kind_of", "numbers_in"]


def call_plainly(function: Callable[..., Any], args: tuple[Any, ...]) -> list[float] | None:
    """Return the numbers that a function of plain numbers gives; None if it cannot take them.

    Arrays become float64, since a tape computes in doubles. The arguments are copied.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of what the function computes by itself
        try:
            return numbers_in(function(*map(_doubles, args)))
        except Exception:  # it wants Values, or raises where a tape goes on with inf
            return None


def numbers_in(result: Any) -> list[float]:
    """Return the numbers in nested lists, tuples, dicts and arrays of numbers and Values."""
    if isinstance(result, Value):
        return numbers_of((result,))
    if isinstance(result, dict):
        result = list(result.values())
    if hasattr(result, "tolist"):
        result = result.tolist()
    if isinstance(result, list | tuple):
        return [number for part in result for number in numbers_in(part)]
    return [float(result)]


def kind_of(x: list[Any] | tuple[Any, ...]) -> Any:
    """Return what makes the like of a list, a tuple or a named tuple out of its items."""
    return list if isinstance(x, list) else getattr(type(x), "_make", tuple)


def is_same(one: float, two: float) -> bool:
    """Tell whether two numbers are equal, or both nan."""
    return one == two or (math.isnan(one) and math.isnan(two))


def is_close(one: float, two: float) -> bool:
    """Tell whether two numbers differ by no more than the rounding of another library."""
    return is_same(one, two) or math.isclose(one, two, rel_tol=1e-6, abs_tol=1e-12)


def _doubles(x: Any) -> Any:
    """Return a copy of an argument in which all numbers are Python's or doubles."""
    if isinstance(x, dict):
        return {key: _doubles(part) for key, part in x.items()}
    if isinstance(x, list | tuple):
        return kind_of(x)(map(_doubles, x))
    if isinstance(x, int | float):
        return x
    return x.astype(float) if getattr(x, "ndim", 0) else float(x)
