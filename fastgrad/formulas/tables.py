"""Classes and tokens: numbers that stand for one of several, as rows of a table."""

from __future__ import annotations

from typing import Any

from fastgrad._native.graph import functional as table
from fastgrad.formulas.rows import is_row, like, listed
from fastgrad.operations import take

__all__ = ["embedding", "one_hot"]


def one_hot(i: Any, num_classes: int) -> Any:
    """Return num_classes numbers that are 0, but for the one at i, which is 1.

    Parameters
    ----------
    i : Value or number, or a list or array of them
        Which one, counted from 0: a class, a token. On a tape it may be another for each sample.
    num_classes : int
        How many.

    Returns
    -------
    list of Values, or floats where i is a plain number; for a list of i a list of them
        All 0 where i is none of 0 to num_classes - 1. No gradient passes to i.

    Raises
    ------
    FastgradTypeError
        If i is no number or num_classes no int.
    FastgradValueError
        If num_classes is less than 1, or as many entries cannot be.

    Notes
    -----
    Cost: a node for each entry. To choose from a table, `embedding` and `fastgrad.take` need one
    node for each number chosen.

    Examples
    --------
    >>> import fastgrad as fg
    >>> from fastgrad.functional import one_hot
    >>> one_hot(2, 4)
    [0.0, 0.0, 1.0, 0.0]
    >>> tape = fg.record(lambda i: one_hot(i, 3), 0)
    >>> tape([2, 1])
    [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    if is_row(i):
        return like(i, [one_hot(one, num_classes) for one in listed(i, "i of one_hot")])
    return table.one_hot(i, num_classes)


def embedding(input: Any, weight: Any) -> Any:
    """Return the row of a table that a token has, or those of several.

    Parameters
    ----------
    input : int or Value, or a list or array of them
        As the index of `fastgrad.take`; on a tape it may be another for each sample.
    weight : list or array of rows of Values and numbers, (num_embeddings, embedding_dim)
        The table.

    Returns
    -------
    list of Values and numbers, or a list or array of such rows
        For a plain int the entries themselves. An array where input or weight is one.

    Raises
    ------
    FastgradIndexError
        If a token is outside the table.
    FastgradTypeError, FastgradValueError
        If weight is no table: see `fastgrad.take`.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.embedding([2, 0], [[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]])
    [[2.0, 2.5], [0.0, 0.5]]
    """
    if is_row(input):
        rows = [embedding(i, weight) for i in listed(input, "input of embedding")]
        return like(input if hasattr(input, "ndim") else weight, rows)
    return like(weight, take(weight, input))
