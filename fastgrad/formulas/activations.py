"""Activations that have options."""

from __future__ import annotations

import math
from typing import Any

from fastgrad._native.graph import functional as table
from fastgrad._native.graph.functional import add, mul, square, tanh
from fastgrad.errors import FastgradValueError, explain, show

__all__ = ["expect_approximation", "gelu"]


def expect_approximation(approximate: Any, where: str) -> bool:
    """Tell "tanh" from "none"; raise FastgradValueError for anything else."""
    if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
        raise FastgradValueError(explain("'none' or 'tanh'", show(approximate), where))
    return approximate == "tanh"


def gelu(a: Any, approximate: str = "none") -> Any:
    """Return a times the normal distribution function of a, or what GPT-2 has for that.

    Parameters
    ----------
    a : number or Value
        Or another object, as for every operation.
    approximate : str
        "none" gives ``a * erfc(-a / sqrt(2)) / 2``, one node; "tanh" ``a * (1 + tanh(sqrt(2/pi) *
        (a + 0.044715*a**3))) / 2``, eight.

    Returns
    -------
    Value or float

    Raises
    ------
    FastgradValueError
        If `approximate` is neither.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.gelu(1.0), F.gelu(1.0, approximate="tanh")
    (0.8413447460685429, 0.8411919906082768)
    """
    if not expect_approximation(approximate, "approximate of gelu"):
        return table.gelu(a)
    inner = mul(mul(square(a), a), 0.044715)
    inner = mul(add(a, inner), math.sqrt(2.0 / math.pi))
    return mul(mul(a, 0.5), add(tanh(inner), 1.0))
