"""Derivatives of functions, with JAX's names and meaning: of code on Values, and of tapes.

A function is run once at each call on Values of its arguments, and what it did is differentiated,
so its branches may depend on them; nothing is kept. A tape is differentiated itself, and keeps its
derivative tapes. Called with Values, a transformed function gives Values: so transforms nest, and
may stand inside a function that is recorded. Parameters that a function captures keep their `grad`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastgrad._native.base.errors import flag_expect
from fastgrad._native.graph.engine import numbers_of
from fastgrad._native.graph.recording import call_unreported
from fastgrad.engine import Value
from fastgrad.errors import FastgradTypeError, GradcheckError, describe, explain
from fastgrad.tape import Tape, tape_of_run

__all__ = [
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "jacfwd",
    "jacrev",
    "jvp",
    "value_and_grad",
    "vjp",
]

Function = Callable[..., Any]


# -- arguments and results -------------------------------------------------------------------------


def _has_values(tree: Any) -> bool:
    if isinstance(tree, Value):
        return True
    if isinstance(tree, dict):
        return any(map(_has_values, tree.values()))
    if isinstance(tree, list | tuple):
        return any(map(_has_values, tree))
    return _is_object_array(tree) and _has_values(tree.tolist())


def _is_object_array(tree: Any) -> bool:
    return getattr(getattr(tree, "dtype", None), "kind", "") == "O"


def _plain(tree: Any) -> Any:
    """Return a structure with the numbers of its Values."""
    if isinstance(tree, Value):
        return numbers_of((tree,))[0]
    if isinstance(tree, dict):
        return {key: _plain(part) for key, part in tree.items()}
    if isinstance(tree, list | tuple):
        parts = map(_plain, tree)
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if _is_object_array(tree):
        return _array_of(_plain(tree.tolist()))
    return tree


def _array_of(numbers: Any) -> Any:
    import numpy as np

    return np.array(numbers, dtype=float)


def _expect_function(f: Any, what: str) -> None:
    if not callable(f):
        raise FastgradTypeError(explain("a function or a tape", describe(f), f"function of {what}"))


class _Traced:
    """What a function did at some arguments: its tape, and what it returned beside."""

    def __init__(self, f: Function, args: tuple[Any, ...], has_aux: bool, what: str) -> None:
        self.symbolic = any(map(_has_values, args))
        self.aux: Any = None
        if isinstance(f, Tape):
            self.tape = f
            return

        def first(*given: Any) -> Any:
            result = f(*given)
            if not has_aux:
                return result
            if not isinstance(result, tuple) or len(result) != 2:
                got = describe(result)
                raise FastgradTypeError(explain("a pair (result, aux)", got, f"function of {what}"))
            self.aux = result[1] if self.symbolic else call_unreported(_plain, (result[1],))
            return result[0]

        self.tape = tape_of_run(first, call_unreported(_plain, (args,)), f)

    def __call__(self, args: tuple[Any, ...]) -> Any:
        return self.tape(*args)


def _aux_expect(f: Any, has_aux: Any, what: str) -> bool:
    _expect_function(f, what)
    aux = flag_expect(has_aux, f"has_aux of {what}")
    if aux and isinstance(f, Tape):
        raise FastgradTypeError(
            explain("a function that returns (result, aux)", "a tape", f"has_aux of {what}")
        )
    return aux


def _wrapped(f: Any, made: Function, what: str) -> Function:
    made.__name__ = made.__qualname__ = f"{what}_of_{getattr(f, '__name__', 'function')}"
    made.__doc__ = f"Derivative made by fastgrad.{what}."
    return made


# -- gradients -------------------------------------------------------------------------------------


def value_and_grad(f: Any, argnums: Any = 0, has_aux: bool = False) -> Function:
    """Return a function that gives the value of `f` and its gradient.

    Parameters
    ----------
    f : callable or Tape
        Gives one number: a Value, of Values.
    argnums : int, or a tuple of them
        The arguments that the gradient is by; a tuple gives a tuple.
    has_aux : bool
        `f` gives ``(number, aux)``, of which aux is passed on.

    Returns
    -------
    callable
        Takes what `f` takes: numbers, arrays, lists, tuples, dicts of them. It gives ``(value,
        gradient)``, or ``((value, aux), gradient)``; the gradient has the argument's structure.
        Called with Values it gives Values.

    Raises
    ------
    FastgradTypeError
        If `f` is no function; and when called, if it does not give a pair though `has_aux`.
    TapeError
        When called, if `f` gives no single Value.
    FastgradValueError
        When called, if `argnums` names no argument.

    Notes
    -----
    Cost of a call: that of `f` on Values, and some 200 ns an operation. ``record(f, x)`` once, then
    ``tape.value_and_grad``, costs a hundredth of that, for functions whose branches do not change.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (6.0, (3.0, 2.0))
    """
    aux = _aux_expect(f, has_aux, "value_and_grad")

    def value_and_gradient(*args: Any) -> Any:
        traced = _Traced(f, args, aux, "value_and_grad")
        if traced.symbolic:
            value, gradient = traced.tape.grad_tape(argnums, value=True)(*args)
        else:
            value, gradient = traced.tape.value_and_grad(*args, reduce=None, wrt=argnums)
        return ((value, traced.aux), gradient) if aux else (value, gradient)

    return _wrapped(f, value_and_gradient, "value_and_grad")


def grad(f: Any, argnums: Any = 0, has_aux: bool = False) -> Function:
    """Return the gradient of a function, as a function.

    Parameters
    ----------
    f, argnums, has_aux
        As for `value_and_grad`.

    Returns
    -------
    callable
        Takes what `f` takes, gives the gradient; with `has_aux` ``(gradient, aux)``.

    Raises
    ------
    FastgradTypeError, TapeError, FastgradValueError
        As for `value_and_grad`.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.grad(fg.grad(lambda x: x**3))(2.0)
    12.0
    >>> fg.grad(lambda p: p["a"] * p["b"][0])({"a": 2.0, "b": [5.0, 7.0]})
    {'a': 5.0, 'b': [2.0, 0.0]}
    """
    aux = _aux_expect(f, has_aux, "grad")
    both = value_and_grad(f, argnums, aux)

    def gradient(*args: Any) -> Any:
        value, found = both(*args)
        return (found, value[1]) if aux else found

    return _wrapped(f, gradient, "grad")


# -- products --------------------------------------------------------------------------------------


def _tuple_expect(given: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(given, list | tuple):
        remedy = "write (x,) for one argument"
        raise FastgradTypeError(explain("a tuple", describe(given), where, remedy))
    return tuple(given)


def jvp(f: Any, primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """Return the value of a function and its derivative in a direction.

    Parameters
    ----------
    f : callable or Tape
        Gives Values, in lists, tuples, dicts.
    primals, tangents : tuple
        The arguments, and how fast each number of them changes.
    has_aux : bool
        As for `value_and_grad`.

    Returns
    -------
    (result, derivative), or (result, derivative, aux)

    Raises
    ------
    FastgradTypeError
        If `f` is no function, or `primals` or `tangents` no tuple.
    ShapeError
        If tangents are not of the arguments' structure.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.jvp(lambda x, y: [x * y, x + y], (3.0, 5.0), (1.0, 0.0))
    ([15.0, 8.0], [5.0, 1.0])
    """
    aux = _aux_expect(f, has_aux, "jvp")
    args = _tuple_expect(primals, "primals of jvp")
    directions = _tuple_expect(tangents, "tangents of jvp")
    traced = _Traced(f, args, aux, "jvp")
    if traced.symbolic or any(map(_has_values, directions)):
        result, derivative = traced.tape.jvp_tape()(*args, *directions)
    else:
        result, derivative = traced.tape.jvp(args, directions)
    return (result, derivative, traced.aux) if aux else (result, derivative)


def vjp(f: Any, *primals: Any, has_aux: bool = False) -> Any:
    """Return the value of a function, and what pulls weights of its results back to arguments.

    Parameters
    ----------
    f : callable or Tape
        Gives Values, in lists, tuples, dicts.
    *primals
        The arguments.
    has_aux : bool
        As for `value_and_grad`.

    Returns
    -------
    (result, pull), or (result, pull, aux)
        ``pull(weights)``, of the result's structure, gives a tuple: for each argument the gradient
        of the weighted sum of results.

    Raises
    ------
    FastgradTypeError
        As for `value_and_grad`.

    Examples
    --------
    >>> import fastgrad as fg
    >>> y, pull = fg.vjp(lambda x: [x, x**2], 3.0)
    >>> y, pull([1.0, 10.0])
    ([3.0, 9.0], (61.0,))
    """
    aux = _aux_expect(f, has_aux, "vjp")
    traced = _Traced(f, primals, aux, "vjp")
    pulled = traced.tape.vjp_tape()

    def pull(weights: Any) -> Any:
        return pulled(*primals, weights)

    result = traced(primals)
    return (result, pull, traced.aux) if aux else (result, pull)


def hvp(f: Any, argnums: int = 0) -> Function:
    """Return the product of the Hessian of a function and a direction, as a function.

    Parameters
    ----------
    f : callable or Tape
        Gives one number.
    argnums : int
        The argument that the Hessian is by.

    Returns
    -------
    callable
        Takes the arguments, then a direction of that argument's structure; gives the product.

    Raises
    ------
    FastgradTypeError, TapeError, FastgradValueError
        As for `value_and_grad`.
    DerivativeError
        When called, if an operation has no second derivative: one of `fastgrad.custom`.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.hvp(lambda x: x[0] ** 2 * x[1])([3.0, 5.0], [1.0, 0.0])
    [10.0, 6.0]
    """
    _expect_function(f, "hvp")

    def product(*args: Any) -> Any:
        traced = _Traced(f, args[:-1], False, "hvp")
        return traced.tape.hvp_tape(argnums)(*args)

    return _wrapped(f, product, "hvp")


# -- matrices --------------------------------------------------------------------------------------


def _matrix(f: Any, what: str, derivative: Callable[[Tape], Tape]) -> Function:
    _expect_function(f, what)

    def matrix(*args: Any) -> Any:
        return derivative(_Traced(f, args, False, what).tape)(*args)

    return _wrapped(f, matrix, what)


def jacfwd(f: Any, argnums: int = 0) -> Function:
    """Return the derivatives of all results of a function, by forward mode, as a function.

    Parameters
    ----------
    f : callable or Tape
        Gives Values, in lists, tuples, dicts.
    argnums : int
        The argument that they are by, one number or array.

    Returns
    -------
    callable
        Takes what `f` takes. It gives the result's structure, with an array of the argument's shape
        for each number.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        As for `value_and_grad`.
    ShapeError
        When called, if the argument is a structure.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.jacfwd(lambda x: [x[0] * x[1], x[0]])([3.0, 5.0])
    [[5.0, 3.0], [1.0, 0.0]]
    """
    return _matrix(f, "jacfwd", lambda tape: tape.jacobian_tape(argnums, mode="forward"))


def jacrev(f: Any, argnums: int = 0) -> Function:
    """Return the derivatives of all results of a function, by reverse mode, as a function.

    Parameters
    ----------
    f, argnums
        As for `jacfwd`.

    Returns
    -------
    callable
        As for `jacfwd`.

    Raises
    ------
    FastgradTypeError, FastgradValueError, ShapeError
        As for `jacfwd`.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.jacrev(lambda x: [x[0] * x[1], x[0]])([3.0, 5.0])
    [[5.0, 3.0], [1.0, 0.0]]
    """
    return _matrix(f, "jacrev", lambda tape: tape.jacobian_tape(argnums, mode="reverse"))


def hessian(f: Any, argnums: int = 0) -> Function:
    """Return the matrix of second derivatives of a function, as a function.

    Parameters
    ----------
    f : callable or Tape
        Gives one number.
    argnums : int
        The argument that they are by, one number or array.

    Returns
    -------
    callable
        Takes what `f` takes; gives the argument's shape twice, symmetric to the bit.

    Raises
    ------
    FastgradTypeError, TapeError, FastgradValueError, DerivativeError
        As for `hvp`.
    ShapeError
        As for `jacfwd`.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.hessian(lambda x: x[0] ** 2 * x[1])([3.0, 5.0])
    [[10.0, 6.0], [6.0, 0.0]]
    """
    return _matrix(f, "hessian", lambda tape: tape.hessian_tape(argnums))


# -- a check ---------------------------------------------------------------------------------------


def _entries(tree: Any, path: str = "") -> list[tuple[str, tuple[Any, ...], float]]:
    """Return of each number how it is written, the keys that lead to it, and itself."""
    if isinstance(tree, dict):
        pairs: Any = tree.items()
    elif isinstance(tree, list) or getattr(tree, "ndim", 0) > 0:
        pairs = enumerate(tree)
    else:
        return [(path, (), float(tree))]
    return [
        (place, (key, *keys), number)
        for key, part in pairs
        for place, keys, number in _entries(part, f"{path}[{key!r}]")
    ]


def _with(tree: Any, keys: tuple[Any, ...], x: float) -> Any:
    """Return a structure with another number at one place."""
    if not keys:
        return x
    new = tree.copy()
    new[keys[0]] = _with(tree[keys[0]], keys[1:], x)
    return new


def _floats(tree: Any) -> Any:
    """Return a structure whose numbers can be set: lists for tuples, arrays of floats."""
    if isinstance(tree, dict):
        return {key: _floats(part) for key, part in tree.items()}
    if isinstance(tree, list | tuple):
        return [_floats(part) for part in tree]
    return _array_of(tree) if hasattr(tree, "tolist") else tree


def gradcheck(
    f: Any,
    *args: Any,
    order: int = 1,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
) -> bool:
    """Compare the derivatives of a function with differences.

    Parameters
    ----------
    f : callable or Tape
        Gives one number.
    *args
        Where to check it, all of them.
    order : int
        Check the gradients of this order, and those below it.
    eps : float
        Half the difference.
    atol, rtol : float
        A derivative may differ by ``atol + rtol * abs(difference)``.

    Returns
    -------
    bool
        True.

    Raises
    ------
    GradcheckError
        If one differs: the message names the argument, the entry, and operations of
        `fastgrad.custom`, whose derivatives are nobody's but their author's.
    FastgradTypeError, TapeError, DerivativeError
        As for `hessian`.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.gradcheck(lambda x: x[0].sin() * x[1], [0.3, 2.0], order=2)
    True
    """
    _expect_function(f, "gradcheck")
    given = _floats(list(args))
    tape = f if isinstance(f, Tape) else tape_of_run(f, tuple(given), f)
    for k in range(1, order + 1):
        _check_order(f, tape, given, k, eps, lambda a, b: abs(a - b) <= atol + rtol * abs(b))
    return True


def _derivative(f: Any, order: int) -> Any:
    """Return the sum of the derivatives of an order, but the last, by all arguments."""

    def total(*args: Any) -> Any:
        return sum(_flat(grad(f, tuple(range(len(args))))(*args)))

    return f if order == 1 else _derivative(total, order - 1)


def _flat(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list | tuple) or getattr(tree, "ndim", 0) > 0:
        return [x for part in tree for x in _flat(part)]
    return [tree]


def _value_at(f: Any, args: list[Any]) -> float:
    """Return what a function gives for plain numbers."""
    tape = f if isinstance(f, Tape) else tape_of_run(f, tuple(args), f)
    return float(tape(*args))


def _check_order(
    f: Any, tape: Tape, given: list[Any], order: int, eps: float, is_close: Function
) -> None:
    g = _derivative(f, order)
    found = _flat(list(grad(g, tuple(range(len(given))))(*given)))
    for (place, keys, x), got in zip(_entries(given), found, strict=True):
        ends = [_value_at(g, _with(given, keys, x + sign * eps)) for sign in (1, -1)]
        expected = (ends[0] - ends[1]) / (2 * eps)
        if is_close(got, expected):
            continue
        customs = ", ".join(repr(operation.name) for operation in tape.custom_operations)
        where = f"derivative by {tape.names[keys[0]]}{place[place.index(']') + 1 :]}"
        remedy = (
            f"look at the partials of {customs}"
            if customs
            else "look for what lost it: float(), .data, a branch at this point"
        )
        raise GradcheckError(
            explain(
                f"{expected!r}, as differences give",
                f"{got!r}",
                f"{where}, order {order}" if order > 1 else where,
                remedy,
            )
        )
