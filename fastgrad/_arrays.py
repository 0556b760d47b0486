"""NumPy's ufuncs and functions of Values, and of the arrays of them that record() makes.

NumPy decides on objects by `bool`: which of two is the maximum, which is first in order. A tape
would keep what came out for the example. So ufuncs that decide are replaced by the operations of
fastgrad.functional, element by element: their results are Values that a replay computes anew. What
gives positions, or as many elements as hold a condition, is refused while a thread records.

Arrays that the program makes itself are NumPy's own: there NumPy asks for a decision, and the
recording reports it. This module is loaded by who has NumPy: the one that imports it at its top.
"""

from __future__ import annotations

import math
import operator
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from fastgrad._native.graph import functional
from fastgrad._native.graph.engine import numbers_of
from fastgrad._native.graph.recording import is_recording
from fastgrad._native.graph.value import Value, set_scalar_functions
from fastgrad.errors import TapeError, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Values", "apply_function", "apply_ufunc"]


class Values(np.ndarray):
    """An array of Values, as record() gives it to a function; so are its views and results."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return apply_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return apply_function(func, args, kwargs)

    def __getitem__(self, index: Any) -> Any:
        try:
            return super().__getitem__(index)
        except IndexError:
            _refuse_index(index)
            raise

    def __setitem__(self, index: Any, value: Any) -> None:
        try:
            super().__setitem__(index, value)
        except IndexError:
            if not _is_mask(index, self) or np.ndim(value):
                _refuse_index(index)
                raise
            self[...] = _where(index, value, self)

    def sort(self, axis: int = -1, **kwargs: Any) -> None:  # type: ignore[override]
        """Sort in place."""
        self[...] = _sort(self, axis, **kwargs)

    def partition(self, kth: Any, axis: int = -1, **kwargs: Any) -> None:  # type: ignore[override]
        """Sort in place: that is a partition for any kth."""
        self[...] = _partition(self, kth, axis, **kwargs)


def _method(name: str) -> Callable[..., Any]:
    def method(self: Values, *args: Any, **kwargs: Any) -> Any:
        if is_recording() and (advice := _refusal(name, args, kwargs)):
            _refuse(f"{name} of an array", advice)
        return getattr(self.view(np.ndarray), name)(*args, **kwargs)

    method.__name__ = name
    return method


# methods that give positions; those that NumPy makes of its ufuncs go their way
for _name in (
    "argmax", "argmin", "argpartition", "argsort", "compress", "nonzero", "searchsorted",
):  # fmt: skip
    setattr(Values, _name, _method(_name))
del _name


# Refusals -----------------------------------------------------------------------------------------

_POSITIONS = frozenset({
    "argmax", "argmin", "argpartition", "argsort", "argwhere", "bincount", "count_nonzero",
    "digitize", "flatnonzero", "histogram", "histogram2d", "histogram_bin_edges", "histogramdd",
    "in1d", "intersect1d", "isin", "lexsort", "nonzero", "searchsorted", "setdiff1d", "setxor1d",
    "trim_zeros", "union1d", "unique", "unique_all", "unique_counts", "unique_inverse",
    "unique_values",
})  # fmt: skip
_FLOATS = frozenset({"gradient", "interp"})
_MASKS = {  # which argument
    "compress": (0, "condition"), "extract": (0, "condition"), "piecewise": (1, "condlist"),
    "place": (1, "mask"), "putmask": (1, "mask"),
}  # fmt: skip


def _refusal(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Say why a function cannot be recorded; nothing if it can."""
    if name in _POSITIONS:
        return (
            "it gives positions or counts, which a tape would keep: choose with fastgrad.where, "
            "np.maximum, np.max or np.sort, look up with fastgrad.take"
        )
    if name in _FLOATS:
        return "it computes with plain floats: write it with operators"
    if name.startswith("nan"):
        return "write np.where(np.isnan(x), 0.0, x), or what stands for a nan"
    if name in _MASKS:
        place, keyword = _MASKS[name]
        mask = args[place] if place < len(args) else kwargs.get(keyword)
        if _holds_values(mask):
            return "how many elements it takes is a decision: write np.where(condition, x, y)"
    return ""


def _refuse(what: str, advice: str) -> NoReturn:
    raise TapeError(explain("what a replay can compute anew", what, "while recording", advice))


def _holds_values(x: Any) -> bool:
    """Tell an array, list or tuple that has Values in it, or a Value."""
    if isinstance(x, np.ndarray):
        return x.dtype == object and any(isinstance(item, Value) for item in x.flat)
    if isinstance(x, list | tuple):
        return any(map(_holds_values, x))
    return isinstance(x, Value)


def _is_mask(index: Any, array: np.ndarray) -> bool:
    return isinstance(index, np.ndarray) and index.shape == array.shape and _holds_values(index)


def _refuse_index(index: Any) -> None:
    if _holds_values(index):
        raise TapeError(
            explain(
                "numbers as an index",
                "Values",
                "index of an array",
                "look up with fastgrad.take(array, i), choose with np.where(condition, x, y)",
            )
        )


# Ufuncs -------------------------------------------------------------------------------------------

# whose loops over objects compute with operators, and decide nothing
_KEPT = frozenset({
    "absolute", "add", "conjugate", "divide", "floor_divide", "matmul", "matvec",
    "multiply", "negative", "positive", "power", "reciprocal", "remainder", "square", "subtract",
    "true_divide", "vecdot", "vecmat",
})  # fmt: skip


def _clip(x: Any, low: Any, high: Any) -> Any:
    return functional.minimum(functional.maximum(x, low), high)


def _holds(x: Any) -> Any:
    """Return 1 where x is not 0, else 0, as a comparison: `if` takes the result for what it is."""
    return functional.ne(x, 0.0)


def _not(x: Any) -> Any:
    return functional.eq(x, 0.0)


def _and(x: Any, y: Any) -> Any:
    return functional.lt(0.0, functional.mul(_holds(x), _holds(y)))


def _or(x: Any, y: Any) -> Any:
    return functional.lt(0.0, functional.add(_holds(x), _holds(y)))


def _xor(x: Any, y: Any) -> Any:
    return functional.ne(_holds(x), _holds(y))


def _isnan(x: Any) -> Any:
    return functional.ne(x, x)


def _fmax(x: Any, y: Any) -> Any:
    return functional.where(_isnan(x), y, functional.where(_isnan(y), x, functional.maximum(x, y)))


def _fmin(x: Any, y: Any) -> Any:
    return functional.where(_isnan(x), y, functional.where(_isnan(y), x, functional.minimum(x, y)))


def _trunc(x: Any) -> Any:
    return functional.where(functional.lt(x, 0.0), functional.ceil(x), functional.floor(x))


_OWN: dict[str, Callable[..., Any]] = {  # values that functional has under no such name
    "clip": _clip,
    "fabs": functional.abs,
    "trunc": _trunc,
    "fmax": _fmax,
    "fmin": _fmin,
    "deg2rad": lambda x: functional.mul(x, math.pi / 180),
    "radians": lambda x: functional.mul(x, math.pi / 180),
    "rad2deg": lambda x: functional.mul(x, 180 / math.pi),
    "degrees": lambda x: functional.mul(x, 180 / math.pi),
}
_TRUTHS: dict[str, Callable[..., Any]] = {  # bools, and while a thread records Values of 0 or 1
    "bitwise_and": _and,
    "bitwise_or": _or,
    "bitwise_xor": _xor,
    "equal": functional.eq,
    "greater": functional.gt,
    "greater_equal": functional.ge,
    "invert": _not,
    "isfinite": lambda x: functional.lt(functional.abs(x), math.inf),
    "isinf": lambda x: functional.ge(functional.abs(x), math.inf),
    "isnan": _isnan,
    "less": functional.lt,
    "less_equal": functional.le,
    "logical_and": _and,
    "logical_not": _not,
    "logical_or": _or,
    "logical_xor": _xor,
    "not_equal": functional.ne,
}
_OF_NUMBERS = frozenset(
    {"isfinite", "isinf", "isnan", "signbit"}
)  # that NumPy has no loop of objects for

_IDENTITIES: dict[Callable[..., Any], float] = {_and: 1.0, _or: 0.0}


@cache
def _elementwise(function: Callable[..., Any], inputs: int) -> Any:
    return np.frompyfunc(function, inputs, 1, identity=_IDENTITIES.get(function))


def _function(name: str) -> Callable[..., Any] | None:
    """Return what a ufunc is of Values and numbers; None if its own loop computes that."""
    if name in _KEPT:
        return None
    return _OWN.get(name) or getattr(functional, name, None)


def _replaced(ufunc: Any) -> Any:
    """Return the ufunc that computes on Values what this one says."""
    name = ufunc.__name__
    truth = _TRUTHS.get(name)
    function = (truth if is_recording() else None) if truth else _function(name)
    return ufunc if function is None else _elementwise(function, ufunc.nin)


_OPERATORS: dict[Any, Callable[..., Any]] = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul,
    np.true_divide: operator.truediv, np.power: operator.pow, np.floor_divide: operator.floordiv,
    np.remainder: operator.mod, np.negative: operator.neg, np.absolute: operator.abs,
    np.less: operator.lt, np.less_equal: operator.le, np.greater: operator.gt,
    np.greater_equal: operator.ge, np.equal: operator.eq, np.not_equal: operator.ne,
}  # fmt: skip
_UFUNCS = [ufunc for ufunc in vars(np).values() if isinstance(ufunc, np.ufunc)]
_SCALAR: dict[Any, Callable[..., Any]] = {
    u: f
    for u in _UFUNCS
    if u.nout == 1 and u.__name__ not in _TRUTHS and (f := _function(u.__name__))
}
set_scalar_functions({**_SCALAR, **_OPERATORS})


def apply_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do what ``__array_ufunc__`` asks for, where an operand is a Value or an array of record()."""
    given = [_plain(x) for x in inputs]
    out = kwargs.get("out")
    if out is not None:
        kwargs["out"] = tuple(x if x is None else _plain(x) for x in out)
    if _holds_values(kwargs.get("where")):
        _refuse("where= of Values", "write np.where(condition, x, y)")
    if ufunc.__name__ in _OF_NUMBERS and not is_recording():
        given = [_numbers(x) for x in given]
    result = getattr(_replaced(ufunc), method)(*given, **kwargs)
    if out is not None and out[0] is not None and len(out) == 1:
        return out[0]
    return tuple(map(_wrapped, result)) if isinstance(result, tuple) else _wrapped(result)


def _plain(x: Any) -> Any:
    """Return an operand as NumPy takes it without asking us again."""
    if isinstance(x, Value):
        array = np.empty((), dtype=object)
        array[()] = x
        return array
    return x.view(np.ndarray) if isinstance(x, Values) else x


def _numbers(x: Any) -> Any:
    array = np.asarray(x, dtype=object)
    return np.array(numbers_of(tuple(array.flat)), dtype=float).reshape(array.shape)


def _wrapped(result: Any) -> Any:
    """Return a result: while a thread records, an array of objects as one of ours."""
    if isinstance(result, np.ndarray) and result.dtype == object:
        return result.view(Values if is_recording() else np.ndarray)
    return result


# Functions ----------------------------------------------------------------------------------------


def apply_function(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do what ``__array_function__`` asks for: an argument is a Value or an array of record()."""
    name = func.__name__
    if is_recording() and (advice := _refusal(name, args, kwargs)):
        _refuse(f"np.{name}", advice)
    function = _FUNCTIONS.get(name)
    if function is not None:
        return function(*args, **kwargs)
    if hasattr(Value, _METHODS.get(name, name)):  # NumPy would call it, and it is another
        args = tuple(_array(x) if isinstance(x, Value) else x for x in args)
    result = func._implementation(*args, **kwargs)
    return (
        type(result)(map(_wrapped, result)) if type(result) in (list, tuple) else _wrapped(result)
    )


_METHODS = {"amax": "max", "amin": "min", "around": "round"}  # that these functions call


def _array(x: Any) -> Any:
    """Return an array on which ufuncs and methods are ours."""
    return np.asarray(_plain(x), dtype=object).view(Values)


def _where(condition: Any, *choices: Any) -> Any:
    if len(choices) == 2 and _holds_values(condition):
        choose = _elementwise(functional.where, 3)
        return _wrapped(choose(*map(_plain, (condition, *choices))))
    if not choices and is_recording():
        _refuse("np.where of a condition alone", _refusal("nonzero", (), {}))
    result = np.where(_plain(condition), *map(_plain, choices))
    return result[()] if choices and not result.ndim else _wrapped(result)


def _clipped(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **kwargs: Any) -> Any:
    low, high = kwargs.pop("min", a_min), kwargs.pop("max", a_max)
    low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
    result = _elementwise(_clip, 3)(*map(_plain, (a, low, high)), **kwargs)
    if out is None:
        return _wrapped(result)
    out[...] = result
    return out


def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    result = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        result = _where(condition, choice, result)
    return result


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    vectors = isinstance(axis, int) or (axis is None and np.ndim(x) == 1)
    if vectors and ord in (math.inf, -math.inf):
        extreme = np.max if ord > 0 else np.min
        return extreme(np.abs(_array(x)), axis=axis, keepdims=keepdims)
    return _wrapped(np.linalg.norm._implementation(_plain(x), ord, axis, keepdims))  # type: ignore[attr-defined]


def _result_type(*args: Any) -> Any:
    return np.result_type(*(np.dtype(object) if isinstance(x, Value) else _plain(x) for x in args))


def _quantile(function: Any, a: Any, q: Any, *args: Any, **kwargs: Any) -> Any:
    """Ask for an array of quantiles: of one alone NumPy wants the dtype."""
    array = _array(a) if isinstance(a, Value) else a
    result = _wrapped(function._implementation(array, np.atleast_1d(q), *args, **kwargs))
    return result if np.ndim(q) else result[0]


def _sort(a: Any, axis: int | None = -1, **kwargs: Any) -> Any:
    """Sort by a network of minima and maxima, which is the same for all numbers."""
    if not is_recording():
        return np.sort(_plain(a), axis, **kwargs)
    rows = np.array(_plain(a), dtype=object)
    rows = rows.reshape(-1) if axis is None else np.moveaxis(rows, axis, 0)
    low, high = _elementwise(functional.minimum, 2), _elementwise(functional.maximum, 2)
    for i, j in _comparators(len(rows)):
        # of equals the first is the smaller: each has one gradient
        rows[i], rows[j] = low(rows[i], rows[j]), high(rows[j], rows[i])
    return (rows if axis is None else np.moveaxis(rows, 0, axis)).view(Values)


def _partition(a: Any, kth: Any, axis: int | None = -1, **kwargs: Any) -> Any:
    if not is_recording():
        return np.partition(_plain(a), kth, axis, **kwargs)
    return _sort(a, axis)


def _comparators(n: int) -> Iterator[tuple[int, int]]:
    """Yield the pairs that Batcher's odd-even mergesort compares, n log(n)^2 / 4 of them."""
    size = 1
    while size < n:
        step = size
        while step:
            for start in range(step % size, n - step, 2 * step):
                for i in range(start, min(start + step, n - step)):
                    if i // (2 * size) == (i + step) // (2 * size):
                        yield i, i + step
            step //= 2
        size *= 2


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "clip": _clipped,
    "norm": _norm,
    "partition": _partition,
    "percentile": partial(_quantile, np.percentile),
    "quantile": partial(_quantile, np.quantile),
    "result_type": _result_type,
    "select": _select,
    "sort": _sort,
    "where": _where,
}
