"""NumPy's ufuncs and functions of Values, and of the arrays of them that record() makes.

NumPy decides on objects by `bool`: which of two is the maximum, which is first in order. A tape
would keep what came out for the example. So ufuncs that decide are replaced by the operations of
fastgrad.functional, element by element: their results are Values that a replay computes anew. What
gives positions, or as many elements as hold a condition, is refused while a thread records.

Arrays that the program makes itself are NumPy's own: there NumPy asks for a decision, and the
recording reports it. This module is loaded by who has NumPy: the one that imports it at its top.

tests/tape/test_numpy_namespace.py walks over all that NumPy has, and says what becomes of it.
"""

from __future__ import annotations

import math
import operator
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from fastgrad import _linear_algebra
from fastgrad._native.graph import functional
from fastgrad._native.graph.engine import numbers_of
from fastgrad._native.graph.recording import is_recording
from fastgrad._native.graph.value import Value, set_scalar_functions
from fastgrad.errors import FastgradError, FastgradTypeError, TapeError, explain

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

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        """Convert to float, which Values are; to int and bool as operations, while recording."""
        if not is_recording() or np.dtype(dtype) == object:
            return super().astype(dtype, *args, **kwargs)
        if np.dtype(dtype) == float:
            return self.copy()
        if np.dtype(dtype) == bool:
            return _wrapped(_elementwise(_holds, 1)(_plain(self)))
        if np.dtype(dtype).kind == "i":
            return np.trunc(self)
        return _refuse(f"astype({np.dtype(dtype)}) of an array", "Values are doubles: leave it out")

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """Add up."""
        return np.add.accumulate(*_along(self, axis), dtype=dtype, out=out)

    def cumprod(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """Multiply up."""
        return np.multiply.accumulate(*_along(self, axis), dtype=dtype, out=out)

    def sort(self, axis: int = -1, **kwargs: Any) -> None:  # type: ignore[override]
        """Sort in place."""
        self[...] = _sort(self, axis, **kwargs)

    def partition(self, kth: Any, axis: int = -1, **kwargs: Any) -> None:  # type: ignore[override]
        """Sort in place: that is a partition for any kth."""
        self[...] = _partition(self, kth, axis, **kwargs)


def _along(x: Any, axis: Any) -> tuple[Any, int]:
    return (x.reshape(-1), 0) if axis is None else (x, axis)


def _method(name: str, base: Callable[[Values], Any]) -> Callable[..., Any]:
    """Make a method that may be refused, and else is that of what base gives."""

    def method(self: Values, *args: Any, **kwargs: Any) -> Any:
        given = args if name == "compress" else (self, *args)  # as np.compress has them
        if is_recording() and (advice := _refusal(name, given, kwargs)):
            _refuse(f"{name} of an array", advice)
        return _wrapped(getattr(base(self), name)(*map(_plain, args), **kwargs))

    method.__name__ = name
    return method


# methods that give positions or bytes; those that NumPy makes of its ufuncs go their way
for _name in (
    "argmax", "argmin", "argpartition", "argsort", "byteswap", "choose", "compress", "nonzero",
    "searchsorted", "take", "tobytes",
):  # fmt: skip
    setattr(Values, _name, _method(_name, np.asarray))
for _name in ("mean", "std", "var"):
    setattr(Values, _name, _method(_name, partial(super, Values)))
del _name


# Refusals -----------------------------------------------------------------------------------------

_POSITIONS = frozenset({
    "argmax", "argmin", "argpartition", "argsort", "argwhere", "bincount", "count_nonzero",
    "digitize", "flatnonzero", "histogram", "histogram2d", "histogram_bin_edges", "histogramdd",
    "in1d", "intersect1d", "isin", "lexsort", "nonzero", "searchsorted", "setdiff1d", "setxor1d",
    "trim_zeros", "union1d", "unique", "unique_all", "unique_counts", "unique_inverse",
    "unique_values",
})  # fmt: skip
_BYTES = frozenset(
    {"byteswap", "packbits", "save", "savetxt", "savez", "savez_compressed", "tobytes"}
)
_INDEX = {
    "choose": (0, "a"),
    "take": (1, "indices"),
    "take_along_axis": (1, "indices"),
}  # which argument
_MASKS = {
    "compress": (0, "condition"), "extract": (0, "condition"), "piecewise": (1, "condlist"),
    "place": (1, "mask"), "putmask": (1, "mask"),
}  # fmt: skip
_SOLVE = "write np.linalg.solve(A.T @ A, A.T @ b), which replays, as do inv, det and cholesky"
_INSTEAD = {
    "geomspace": "write np.exp(np.linspace(np.log(a), np.log(b), n))",
    "gradient": "write (x[2:] - x[:-2]) / 2, or what the edges are to be",
    "i0": "write its series with operators",
    "interp": "it computes with plain floats: write it with operators",
    "poly1d": "write np.polyval(coefficients, x)",
    "polydiv": "write it with operators, for the degrees that are meant",
    "polyfit": "write np.linalg.solve(V.T @ V, V.T @ y) with V = np.vander(t, n)",
    "roots": "write their formula, or the steps of Newton's method",
    "sort_complex": "write np.sort(x)",
    "tensorinv": "reshape, and write np.linalg.inv",
    "tensorsolve": "reshape, and write np.linalg.solve",
}
_INSTEAD |= dict.fromkeys(("lstsq", "pinv", "qr", "cond", "matrix_rank"), _SOLVE)
_INSTEAD |= dict.fromkeys(
    ("eig", "eigh", "eigvals", "eigvalsh", "svd", "svdvals"),
    "write the steps of a power iteration, a fixed number of them",
)
_DECIDING_PADS = ("linear_ramp", "maximum", "median", "minimum")


def _refusal(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], module: str = "") -> str:
    """Say why a function cannot be recorded; nothing if it can."""
    if name in _POSITIONS:
        return (
            "it gives positions or counts, which a tape would keep: choose with fastgrad.where, "
            "np.maximum, np.max or np.sort, look up with fastgrad.take"
        )
    if name in _INSTEAD:
        return _INSTEAD[name]
    if name in _BYTES:
        return "a Value has no bytes to give: do it with the results of the tape"
    if module == "numpy.fft" and "shift" not in name:
        return "write np.cos(M) @ x and np.sin(M) @ x with matrices M of numbers"
    if name.startswith("nan"):
        return "write np.where(np.isnan(x), 0.0, x), or what stands for a nan"
    if name == "pad" and _argument(args, kwargs, 2, "mode") in _DECIDING_PADS:
        return "write np.concatenate"
    if name in _MASKS and _holds_values(_argument(args, kwargs, *_MASKS[name])):
        return "how many elements it takes is a decision: write np.where(condition, x, y)"
    if name in _INDEX and _holds_values(_argument(args, kwargs, *_INDEX[name])):
        return "look up with fastgrad.take, or write np.where(condition, x, y)"
    if name in ("mean", "std", "var") and _holds_values(kwargs.get("where")):
        return "write np.sum(x, where=c) / np.sum(c)"
    return ""


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, keyword: str) -> Any:
    return args[place] if place < len(args) else kwargs.get(keyword)


def _refuse(what: str, advice: str, cause: BaseException | None = None) -> NoReturn:
    if is_recording():
        expected, where = "what a replay can compute anew", "while recording"
        raise TapeError(explain(expected, what, where, advice)) from cause
    raise FastgradTypeError(explain("a function that Values have", what, "", advice)) from cause


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
    return functional.lt(_not(x), _holds(y))


def _or(x: Any, y: Any) -> Any:
    return functional.le(_not(x), _holds(y))


def _xor(x: Any, y: Any) -> Any:
    return functional.ne(_holds(x), _holds(y))


def _isnan(x: Any) -> Any:
    return functional.ne(x, x)


def _isinf(x: Any) -> Any:
    return functional.ge(functional.abs(x), math.inf)


def _signbit(x: Any) -> Any:
    """Tell what is below 0; -0.0 is, and shows it only in a direction."""
    return functional.lt(functional.atan2(x, -1.0), 0.0)


def _copysign(x: Any, y: Any) -> Any:
    x = functional.abs(x)
    return functional.where(_signbit(y), functional.neg(x), x)


def _fmax(x: Any, y: Any) -> Any:
    return functional.where(_isnan(x), y, functional.where(_isnan(y), x, functional.maximum(x, y)))


def _fmin(x: Any, y: Any) -> Any:
    return functional.where(_isnan(x), y, functional.where(_isnan(y), x, functional.minimum(x, y)))


def _fmod(x: Any, y: Any) -> Any:
    rest = functional.mod(functional.abs(x), functional.abs(y))
    return functional.where(functional.lt(x, 0.0), functional.neg(rest), rest)


def _heaviside(x: Any, h: Any) -> Any:
    step = functional.where(functional.eq(x, 0.0), h, x)  # nan, of what is neither
    step = functional.where(functional.gt(x, 0.0), 1.0, step)
    return functional.where(functional.lt(x, 0.0), 0.0, step)


def _logaddexp2(x: Any, y: Any) -> Any:
    x, y = (functional.mul(z, math.log(2.0)) for z in (x, y))
    return functional.mul(functional.logaddexp(x, y), 1 / math.log(2.0))


def _modf(x: Any) -> tuple[Any, Any]:
    whole = _trunc(x)
    return functional.where(_isinf(x), 0.0, functional.sub(x, whole)), whole


def _trunc(x: Any) -> Any:
    return functional.where(functional.lt(x, 0.0), functional.ceil(x), functional.floor(x))


_OWN: dict[str, Callable[..., Any]] = {  # values that functional has under no such name
    "clip": _clip,
    "copysign": _copysign,
    "divmod": lambda x, y: (functional.floordiv(x, y), functional.mod(x, y)),
    "fabs": functional.abs,
    "float_power": functional.pow,
    "fmod": _fmod,
    "heaviside": _heaviside,
    "ldexp": lambda x, n: functional.mul(x, functional.pow(2.0, n)),
    "logaddexp2": _logaddexp2,
    "modf": _modf,
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
    "isinf": _isinf,
    "isnan": _isnan,
    "less": functional.lt,
    "less_equal": functional.le,
    "logical_and": _and,
    "logical_not": _not,
    "logical_or": _or,
    "logical_xor": _xor,
    "not_equal": functional.ne,
    "signbit": _signbit,
}
_OF_NUMBERS = frozenset(
    {"isfinite", "isinf", "isnan", "signbit"}
)  # that NumPy has no loop of objects for

_IDENTITIES: dict[Callable[..., Any], float] = {_and: 1.0, _or: 0.0}
_STARTS = {"add": 0.0, "multiply": 1.0}  # of what a mask has left nothing of


@cache
def _elementwise(function: Callable[..., Any], inputs: int, outputs: int = 1) -> Any:
    return np.frompyfunc(function, inputs, outputs, identity=_IDENTITIES.get(function))


def _function(name: str) -> Callable[..., Any] | None:
    """Return what a ufunc is of Values and numbers; None if there is nothing."""
    return _OWN.get(name) or getattr(functional, name, None)


def _replaced(ufunc: Any) -> Any:
    """Return the ufunc that computes on Values what this one says."""
    name = ufunc.__name__
    if name in _KEPT or (name in _TRUTHS and not is_recording()):
        return ufunc
    function = _TRUTHS.get(name) or _function(name)
    if function is not None:
        return _elementwise(function, ufunc.nin, ufunc.nout)
    if not any("O" in loop for loop in ufunc.types):  # those made of Python functions have one
        _refuse(f"np.{name}", "write it with operators, or apply it to plain numbers: v.data")
    return ufunc


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
    if u.nout == 1
    and u.__name__ not in _TRUTHS
    and u.__name__ not in _KEPT
    and (f := _function(u.__name__))
}
set_scalar_functions({**_SCALAR, **_OPERATORS})


def apply_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do what ``__array_ufunc__`` asks for, where an operand is a Value or an array of record()."""
    name = ufunc.__name__
    replaced = _replaced(ufunc)
    given = [_plain(x) for x in inputs]
    _expect_doubles(f"np.{name}", kwargs, is_truth=name in _TRUTHS)
    out = kwargs.get("out")
    if out is not None:
        kwargs["out"] = tuple(x if x is None else _out(x, ufunc) for x in out)
    if method in ("reduce", "accumulate", "reduceat") and replaced is not ufunc and name in _TRUTHS:
        given[0] = _elementwise(_holds, 1)(given[0])  # a result may be an element as it is
    if method == "reduce":
        _mask_reduced(name, given, kwargs)
    if _holds_values(kwargs.get("where")):
        _refuse("where= of Values", "write np.where(condition, x, y)")
    if name in _OF_NUMBERS and not is_recording():
        given = [_numbers(x) for x in given]
    result = getattr(replaced, method)(*given, **kwargs)
    if out is not None and out[0] is not None and len(out) == 1:
        return out[0]
    return tuple(map(_wrapped, result)) if isinstance(result, tuple) else _wrapped(result)


def _expect_doubles(what: str, kwargs: dict[str, Any], is_truth: bool = False) -> None:
    """Take the dtype that Values have anyway from the keywords of a call; refuse any other."""
    dtype = kwargs.get("dtype")
    if dtype is None or np.dtype(dtype) == object:
        return
    if np.dtype(dtype) != (bool if is_truth else float):
        _refuse(f"dtype={np.dtype(dtype)} of {what}", "Values are doubles: leave it out")
    del kwargs["dtype"]


def _out(x: Any, ufunc: Any) -> Any:
    if x.dtype != object and (is_recording() or ufunc.__name__ not in _TRUTHS):
        _refuse(
            f"np.{ufunc.__name__} into an array of {x.dtype}",
            "make the array with dtype=object, or np.zeros_like(x)",
        )
    return _plain(x)


def _mask_reduced(name: str, given: list[Any], kwargs: dict[str, Any]) -> None:
    """Let a reduction start somewhere, and a mask of Values replace elements by that."""
    where = kwargs.get("where", True)
    if where is True:
        if name == "hypot":  # begins with 0: of one element it is the amount
            kwargs.setdefault("initial", 0.0)
        return
    if kwargs.get("initial", np._NoValue) is np._NoValue and name in _STARTS:
        kwargs["initial"] = _STARTS[name]
    start = kwargs.get("initial", _IDENTITIES.get(_TRUTHS.get(name, abs)))
    if _holds_values(where) and start is not None and start is not np._NoValue:
        given[0] = _plain(_where(where, given[0], start))
        del kwargs["where"]


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
    what = f"{func.__module__}.{name}".replace("numpy", "np", 1)
    if is_recording():
        if advice := _refusal(name, args, kwargs, func.__module__):
            _refuse(what, advice)
        if not (name.endswith("_like") and np.dtype(kwargs.get("dtype")).kind in "bi"):
            _expect_doubles(what, kwargs)
    function = _FUNCTIONS.get(name)
    if function is not None:
        kwargs.pop("dtype", None)
        return function(*args, **kwargs)
    if hasattr(Value, _METHODS.get(name, name)):  # NumPy would call it, and it is another
        args = tuple(_array(x) if isinstance(x, Value) else x for x in args)
    try:
        result = func._implementation(*args, **kwargs)
    except (AttributeError, TypeError) as error:
        if isinstance(error, FastgradError) or not _is_numpys(error):
            raise
        _refuse(f"{what} ({error})", "write it with operators", error)
    return (
        type(result)(map(_wrapped, result)) if type(result) in (list, tuple) else _wrapped(result)
    )


def _is_numpys(error: BaseException) -> bool:
    """Tell an error that NumPy's own code has raised or met."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = trace.tb_frame.f_globals["__name__"] if trace is not None else ""
    return name.startswith("numpy.") or name == __name__  # which calls what is written in C


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
    x = _array(x)
    if axis is None and ord is not None and x.ndim not in (1, 2):
        raise ValueError("Improper number of dimensions to norm.")
    axes = x.ndim if axis is None else np.size(axis)
    if axes == 2 and (ord in (2, -2) or ord == "nuc"):
        _refuse(f"np.linalg.norm of a matrix, ord={ord!r}", "write np.linalg.norm(x, 'fro'), or 1")
    return _linear_algebra.norm(x, ord, axis, keepdims)


def _average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False
) -> Any:
    a = _array(a)
    if weights is None:
        average = np.mean(a, axis=axis, keepdims=keepdims)
        total = np.full(np.shape(average), a.size / max(np.size(average), 1))
        return (average, total) if returned else average
    weights = np.asanyarray(weights)
    if weights.shape != a.shape:
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        axes = [i % a.ndim for i in (axis if isinstance(axis, tuple) else (axis,))]
        if weights.shape != tuple(a.shape[i] for i in axes):
            raise ValueError(
                "Shape of weights must be consistent with shape of a along specified axis."
            )
        weights = np.transpose(weights, np.argsort(axes))
        weights = weights.reshape([a.shape[i] if i in axes else 1 for i in range(a.ndim)])
    total = np.sum(weights * np.ones(a.shape), axis=axis, keepdims=keepdims)
    average = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (average, total) if returned else average


def _cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None,
    fweights: Any = None, aweights: Any = None,
) -> Any:  # fmt: skip
    def rows(x: Any) -> Any:
        x = np.atleast_2d(_array(x))
        return x if rowvar or len(x) == 1 else x.T

    x = rows(m) if y is None else np.concatenate((rows(m), rows(y)))
    ddof = (0 if bias else 1) if ddof is None else ddof
    given = [np.asanyarray(w, dtype=float) for w in (fweights, aweights) if w is not None]
    if not given:
        scale, weights = float(x.shape[1] - ddof), np.ones(x.shape[1])
    else:
        weights = np.prod(given, axis=0)
        total = weights.sum()
        of_a = 1.0 if aweights is None else (weights * given[-1]).sum() / total
        scale = float(total - ddof * of_a)
    x = x - _average(x, 1, weights, keepdims=True)
    return np.squeeze((x * weights) @ x.T / scale)[()]


def _corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    c = np.asanyarray(_cov(x, y, rowvar))
    if c.ndim == 0:
        return c[()] / c[()]
    deviations = np.sqrt(np.diagonal(c))
    return np.clip(c / deviations[:, None] / deviations, -1.0, 1.0)


def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    axis: int = 0,
) -> Any:  # fmt: skip
    first, last = _array(start), _array(stop)
    gaps = operator.index(num) - bool(endpoint)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    step = (last - first) / gaps if gaps else math.nan
    places = np.arange(float(num)).reshape((-1,) + (1,) * np.ndim(last - first))
    points = first + places * step if gaps else first + places
    if endpoint and num > 1:
        points[-1] = last
    points = np.moveaxis(points, 0, axis)
    return (points, step) if retstep else points


def _copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    if dst.dtype != object and casting != "unsafe":  # which np.full asks for
        _refuse(f"np.copyto into an array of {dst.dtype}", "make the array with dtype=object")
    if dst.dtype != object or not _holds_values(where):
        np.copyto._implementation(_plain(dst), _plain(src), casting, _plain(where))  # type: ignore[attr-defined]
    else:
        dst[...] = _where(where, src, dst)


def _convolved(a: Any, b: Any) -> Any:
    return np.convolve(_array(a), _array(b))


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


def _sinc(x: Any) -> Any:
    x = functional.mul(functional.where(_not(x), 1e-20, x), math.pi)
    return functional.div(functional.sin(x), x)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "average": _average,
    "cholesky": _linear_algebra.cholesky,
    "clip": _clipped,
    "common_type": lambda *_: np.float64,
    "copyto": _copyto,
    "corrcoef": _corrcoef,
    "cov": _cov,
    "det": _linear_algebra.det,
    "inv": _linear_algebra.inv,
    "isneginf": lambda x, out=None: np.less_equal(_array(x), -math.inf, out=out),
    "isposinf": lambda x, out=None: np.greater_equal(_array(x), math.inf, out=out),
    "linspace": _linspace,
    "norm": _norm,
    "partition": _partition,
    "percentile": partial(_quantile, np.percentile),
    "polymul": _convolved,
    "quantile": partial(_quantile, np.quantile),
    "result_type": _result_type,
    "select": _select,
    "sinc": lambda x: _wrapped(_elementwise(_sinc, 1)(_plain(x))),
    "slogdet": _linear_algebra.slogdet,
    "solve": _linear_algebra.solve,
    "sort": _sort,
    "where": _where,
}
