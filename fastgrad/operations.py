"""Operations of your own: a function and its partials, written in Python.

Layer: above engine.  May import: _engine, errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastgrad._engine import apply_custom, numbers_of, register_custom
from fastgrad.engine import Value
from fastgrad.errors import FastgradTypeError, FastgradValueError, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CustomOperation", "custom"]


def custom(name: str) -> Callable[[Callable[..., float]], CustomOperation]:
    """Make an operation out of a function of floats.

    Parameters
    ----------
    name : str
        What ``_op`` and pictures show.

    Returns
    -------
    decorator
        Turns ``forward(a, b, ...) -> float`` into a `CustomOperation`. Give it the derivatives with
        ``@operation.partials``.

    Raises
    ------
    FastgradTypeError
        If name is no str, or what is decorated cannot be called.

    Notes
    -----
    Define an operation once, at the top of a module: it stays for the life of the process. One
    call costs about as much as the Python functions it calls, and its node 40 bytes and one list
    of operands.

    Examples
    --------
    >>> import math
    >>> from fastgrad import Value, custom
    >>> @custom("swish")
    ... def swish(x):
    ...     return x / (1 + math.exp(-x))
    ...
    >>> @swish.partials
    ... def swish(x, y):
    ...     s = 1 / (1 + math.exp(-x))
    ...     return s + y * (1 - s)
    ...
    >>> x = Value(0.0)
    >>> y = swish(x)
    >>> y.backward()
    >>> y, x.grad
    (Value(data=0.0, grad=1.0), 0.5)
    """
    if not isinstance(name, str):
        got = f"{type(name).__name__} {name!r:.80}"
        raise FastgradTypeError(
            explain("a name", got, "argument of custom", 'write @custom("name") above the function')
        )

    def decorate(forward: Callable[..., float]) -> CustomOperation:
        return CustomOperation(name, forward)

    return decorate


class CustomOperation:
    """An operation whose forward and partials are Python functions: see `custom`."""

    def __init__(self, name: str, forward: Callable[..., float]) -> None:
        if not callable(forward):
            got = f"{type(forward).__name__} {forward!r:.80}"
            raise FastgradTypeError(explain("a function", got, f"forward of {name!r}"))
        self.name = name
        self.forward = forward
        self.derivative: Callable[..., Any] = self._derivative_missing
        self.__doc__ = forward.__doc__
        self._index = register_custom(self)

    def __repr__(self) -> str:
        return f"<custom operation {self.name!r}>"

    def partials(self, derivative: Callable[..., Any]) -> CustomOperation:
        """Set the derivatives: a function of the operands and the result.

        Parameters
        ----------
        derivative : callable
            ``derivative(a, b, ..., y)`` returns ``[dy/da, dy/db, ...]``, one number for each
            operand; with one operand the number alone will do.

        Returns
        -------
        CustomOperation
            This operation, so that it can decorate a function of the same name.
        """
        if not callable(derivative):
            got = f"{type(derivative).__name__} {derivative!r:.80}"
            raise FastgradTypeError(explain("a function", got, f"partials of {self.name!r}"))
        self.derivative = derivative
        return self

    def __call__(self, *operands: Any) -> Any:
        """Apply the operation: to Values it gives a Value, to plain numbers a float.

        Raises
        ------
        FastgradTypeError
            If there is no operand, or Values are given before the partials are.
        """
        numbers = numbers_of(operands)
        for x in operands:
            if isinstance(x, Value):
                break
        else:
            return float(self.forward(*numbers))
        if self.derivative == self._derivative_missing:
            self._derivative_missing()
        return apply_custom(self._index, operands, self.forward(*numbers))

    def _derivative_missing(self, *_: float) -> Any:
        remedy = f"decorate a function f(operands..., y) with @{self.name}.partials"
        raise FastgradTypeError(explain("partials", "none", f"custom {self.name!r}", remedy))

    def partials_at(self, operands: list[float], y: float) -> Sequence[float]:
        """Compute the partials as floats, one for each operand; the engine calls this.

        Raises
        ------
        FastgradValueError
            If their number is wrong.
        FastgradTypeError
            If one is no number.
        """
        found = self.derivative(*operands, y)
        if len(operands) == 1 and not isinstance(found, list | tuple):
            found = (found,)
        where = f"partials of custom {self.name!r}"
        try:
            partials = [float(partial) for partial in found]
        except TypeError:
            got = f"{type(found).__name__} {found!r:.80}"
            raise FastgradTypeError(explain("numbers", got, where)) from None
        if len(partials) != len(operands):
            expected = f"{len(operands)} numbers, one for each operand"
            raise FastgradValueError(explain(expected, f"{len(partials)}", where))
        return partials
