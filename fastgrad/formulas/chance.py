"""Dropout: functions that draw random numbers."""

from __future__ import annotations

from typing import Any

from fastgrad import _random
from fastgrad._native.graph.functional import mul
from fastgrad.formulas.rows import by_elements, expect_part, flat

__all__ = ["dropout"]


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Any:
    """Return each number with probability 1 - p, divided by that, else 0.

    Parameters
    ----------
    input : number or Value, or a list or array of them
        Or a batch.
    p : float
        The probability of 0, from 0 to 1.
    training : bool
        Whether anything is done; else the input is returned.

    Returns
    -------
    of the input's shape

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If p is no number from 0 to 1.

    Notes
    -----
    Numbers come from what `fastgrad.manual_seed` seeds, one call of it for each of this. A tape
    draws anew at each call, for each sample; while its function is recorded, nothing is dropped.
    From the same state of the generator one sample has the same mask, eagerly and on a tape.

    Examples
    --------
    >>> import fastgrad
    >>> _ = fastgrad.manual_seed(0)
    >>> sorted({*fastgrad.functional.dropout([1.0] * 100, p=0.2)})
    [0.0, 1.25]
    """
    expect_part(p, "p of dropout")
    if not training or p == 0.0:
        return input
    drawn = iter(_random.factors(float(p), len(flat(input))))
    return by_elements(lambda x: mul(x, next(drawn)), "dropout", input)
