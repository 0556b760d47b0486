"""Shapes of arguments, as a recording and a family of tapes see them."""

from __future__ import annotations

from typing import Any

__all__ = ["extents_of", "is_array", "shapes_of"]


def extents_of(x: Any) -> tuple[int, ...] | None:
    """Return the shape of a rectangle of numbers, or None if it is none."""
    if not isinstance(x, list | tuple):
        return () if _is_number(x) else None
    inner = {extents_of(item) for item in x}
    if not inner:
        return (0,)
    first = inner.pop()
    return None if inner or first is None else (len(x), *first)


def _is_number(x: Any) -> bool:
    kind = type(x)
    return hasattr(kind, "__float__") or hasattr(kind, "__index__")


def is_array(x: Any) -> bool:
    """Tell whether a recording takes it for an array."""
    return hasattr(x, "ndim") and hasattr(x, "reshape") and bool(x.ndim)


def shapes_of(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the shape of each argument: of a number (), of what is no array those of its parts."""
    return tuple(
        (len(x),) if type(x) is list and x and type(x[0]) in (int, float) else _shape(x)
        for x in args
    )


def _shape(x: Any) -> tuple[Any, ...]:
    if is_array(x):
        return tuple(x.shape)
    extents = extents_of(x)
    if extents is not None:
        return extents
    if isinstance(x, dict):
        return tuple((key, _shape(part)) for key, part in x.items())
    if isinstance(x, list | tuple):
        return tuple(map(_shape, x))
    return ()  # whatever it is: a tape that takes a number says what is wrong with it
