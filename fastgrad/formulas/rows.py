"""Rows: what functions of vectors take, and how a function of one row serves a batch.

A row is a list, a tuple or an array of Values and numbers; a sequence of rows is a batch, and may
be one of batches. A result is an array where its argument is one, else lists.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from fastgrad._native.graph.recording import is_recording
from fastgrad._native.graph.value import Value
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    ShapeError,
    describe,
    explain,
    show,
)

__all__ = [
    "by_elements",
    "by_rows",
    "depth_of",
    "expect_length",
    "expect_number",
    "expect_part",
    "expect_some",
    "flat",
    "is_row",
    "like",
    "listed",
    "reduced",
]

REDUCTIONS = ("none", "mean", "sum")


def is_row(x: Any) -> bool:
    """Tell a sequence of entries or rows from a number."""
    return isinstance(x, list | tuple) or getattr(x, "ndim", 0) > 0


def depth_of(x: Any) -> int:
    """Count the axes of a number, a row, a batch of rows, judged by first entries."""
    depth = 0
    while is_row(x):
        depth += 1
        if not len(x):
            break
        x = x[0]
    return depth


def listed(x: Any, where: str) -> list[Any]:
    """Return the entries of a row, or the rows of a batch, as a list that nobody changes."""
    if type(x) is list:
        return x
    if getattr(x, "ndim", 0) == 1:
        return list(x.tolist())  # Python's floats, or the Values themselves
    if (
        not isinstance(x, Iterable)
        or isinstance(x, str | bytes | Mapping | AbstractSet)
        or getattr(x, "ndim", 1) == 0
    ):
        got = describe(x)
        raise FastgradTypeError(explain("a list or array of Values and numbers", got, where))
    return list(x)


def like(x: Any, result: Any) -> Any:
    """Return a list of results as an array where what it was computed from is one."""
    if not getattr(x, "ndim", 0) or not isinstance(result, list):
        return result
    np = sys.modules["numpy"]
    array = np.array(result, dtype=object)
    if not any(isinstance(entry, Value) for entry in array.flat):
        return array.astype(float)
    from fastgrad._arrays import Values

    return array.view(Values) if is_recording() else array


def by_rows(function: Callable[[list[Any]], Any], x: Any, where: str) -> Any:
    """Apply a function of one row to a row, or to each row of a batch."""
    entries = listed(x, where)
    if entries and is_row(entries[0]):
        return like(x, [by_rows(function, row, where) for row in entries])
    return like(x, function(entries))


def by_elements(
    function: Callable[..., Any], where: str, first: Any, *others: Any, spread: Sequence[Any] = ()
) -> Any:
    """Apply a function to the numbers of arguments of one shape, place by place.

    Parameters
    ----------
    function : callable
        It takes a number of each argument, and of each of `spread`.
    where : str
        Of the function, for messages.
    first, *others
        Numbers, rows or batches, all of one shape.
    spread : sequence
        Further arguments of that shape, or with fewer axes: used again for each row.
    """
    if not is_row(first):
        for x in (*others, *spread):
            if is_row(x):
                raise ShapeError(explain("a number, as the input is", f"{len(x)} numbers", where))
        return function(first, *others, *spread)
    entries, depth = listed(first, where), depth_of(first)
    columns = [entries, *(_entries(x, len(entries), where) for x in others)]
    for x in spread:
        used_again = depth_of(x) < depth
        columns.append([x] * len(entries) if used_again else _entries(x, len(entries), where))
    if entries and is_row(entries[0]):
        count = 1 + len(others)
        return like(
            first,
            [
                by_elements(function, where, *row[:count], spread=row[count:])
                for row in zip(*columns, strict=True)
            ],
        )
    return like(first, [function(*numbers) for numbers in zip(*columns, strict=True)])


def _entries(x: Any, count: int, where: str) -> list[Any]:
    """Return the entries of what must be as long as the input."""
    if not is_row(x):
        got = describe(x)
        raise ShapeError(explain(f"{count} entries, as the input has", got, where))
    entries = listed(x, where)
    expect_length(entries, count, where, "entries, as the input has")
    return entries


def flat(x: Any) -> list[Any]:
    """Return the numbers of nested lists and arrays, in their order."""
    if not is_row(x):
        return [x]
    return [number for entry in listed(x, "") for number in flat(entry)]


def expect_length(entries: Sequence[Any], count: int, where: str, what: str = "numbers") -> None:
    """Raise ShapeError unless a row has so many entries."""
    if len(entries) != count:
        raise ShapeError(explain(f"{count} {what}", f"{len(entries)}", where))


def expect_some(entries: Sequence[Any], where: str) -> None:
    """Raise FastgradValueError for a row without entries."""
    if not entries:
        raise FastgradValueError(explain("at least one number", "none", where))


def expect_number(
    x: Any, where: str, expected: str = "a number", accepts: Callable[[Any], bool] = lambda _: True
) -> None:
    """Raise FastgradTypeError for what is no number, FastgradValueError for one of no use."""
    if not hasattr(type(x), "__float__") and not hasattr(type(x), "__index__"):
        raise FastgradTypeError(explain(expected, describe(x), where))
    if not accepts(x):
        raise FastgradValueError(explain(expected, show(x), where))


def expect_part(x: Any, where: str) -> None:
    """Raise an error for an option that is no number from 0 to 1."""
    expect_number(x, where, "a number from 0 to 1", lambda x: 0.0 <= x <= 1.0)


def reduced(reduction: str, where: str) -> str:
    """Return the name of a reduction; raise FastgradValueError for an unknown one."""
    if reduction not in REDUCTIONS:
        expected = f"one of {', '.join(map(repr, REDUCTIONS))}"
        got = show(reduction)
        raise FastgradValueError(explain(expected, got, f"reduction of {where}"))
    return reduction
