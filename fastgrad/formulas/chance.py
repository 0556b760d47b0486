"""Dropout: functions that draw random numbers."""

from __future__ import annotations

from typing import Any

from fastgrad import _random
from fastgrad._native.graph.functional import mul
from fastgrad._native.graph.recording import is_recording
from fastgrad.errors import TapeError, explain
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
    TapeError
        If a function is recorded that draws: a tape would keep the example's mask.

    Notes
    -----
    Numbers come from what `fastgrad.manual_seed` seeds, one call of it for each of this.

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
    if is_recording():
        expected, got = "what a replay can repeat", "random numbers of dropout"
        remedy = "call model.eval() before record, or train with dropout without a tape"
        raise TapeError(explain(expected, got, "while recording", remedy))
    drawn = iter(_random.default_generator.uniform(len(flat(input))))
    scale = 0.0 if p == 1.0 else 1.0 / (1.0 - p)
    return by_elements(lambda x: mul(x, scale if next(drawn) >= p else 0.0), "dropout", input)
