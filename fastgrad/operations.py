"""Operations beyond the table: your own, in Python, and the choice from a table of Values."""

from __future__ import annotations

import importlib
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NoReturn

from fastgrad._native.graph.engine import (
    CustomCore,
    apply_custom,
    apply_take,
    custom_result,
    numbers_of,
    register_custom,
)
from fastgrad._native.graph.recording import call_unreported
from fastgrad.engine import Value
from fastgrad.errors import (
    FastgradIndexError,
    FastgradTypeError,
    FastgradValueError,
    ShapeError,
    describe,
    explain,
    show,
)

__all__ = ["CustomOperation", "custom", "take"]


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
        ``@operation.partials``. A forward written with `fastgrad.functional` needs none: called
        with Values it is what it is made of, on tapes too.

    Raises
    ------
    FastgradTypeError
        If name is no str, or what is decorated cannot be called.

    Notes
    -----
    Define an operation once, at the top of a module: it stays for the life of the process. One
    call costs about as much as the Python functions it calls, and its node 40 bytes and one list
    of operands. A tape calls these functions too, sample by sample on one thread, holding the GIL:
    beside them some 0.1 microseconds for a value and 1 for its partials with a few operands, 0.015
    and 0.05 for each more.

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
        got = describe(name)
        raise FastgradTypeError(
            explain("a name", got, "argument of custom", 'write @custom("name") above the function')
        )

    def decorate(forward: Callable[..., float]) -> CustomOperation:
        return CustomOperation(name, forward)

    return decorate


class CustomOperation(CustomCore):
    """An operation whose forward and partials are Python functions: see `custom`.

    Notes
    -----
    Pickled, it is a reference where its module and name give it, as with the decorators above, else
    its name and its two functions, which have to be picklable. Copied, it is another operation of
    the same functions.
    """

    def __init__(self, name: str, forward: Callable[..., float]) -> None:
        if not callable(forward):
            got = describe(forward)
            raise FastgradTypeError(explain("a function", got, f"forward of {name!r}"))
        self.name = name
        self.forward = forward
        self.derivative: Callable[..., Any] | None = None
        self.__doc__ = forward.__doc__

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
            got = describe(derivative)
            raise FastgradTypeError(explain("a function", got, f"partials of {self.name!r}"))
        self.derivative = derivative
        return self

    def __call__(self, *operands: Any) -> Any:
        """Apply the operation: to Values it gives a Value, to plain numbers a float.

        Raises
        ------
        FastgradTypeError
            If there is no operand, or Values are given before the partials are, and the function
            does not give a Value for them.
        """
        numbers = numbers_of(operands)
        for x in operands:
            if isinstance(x, Value):
                break
        else:
            return custom_result(self, self.forward(*numbers))
        if self.derivative is None:
            result = self.forward(*operands)  # of functions of Values it has their derivatives
            return result if isinstance(result, Value) else self._refuse_without_partials()
        if not self.number:
            register_custom(self)
        return apply_custom(self, operands, call_unreported(self.forward, tuple(numbers)))

    def __reduce__(self) -> tuple[Any, ...]:
        derivative = self.derivative and _findable(self.derivative, "derivative")
        return _operation, (self.name, _findable(self.forward, "forward"), derivative)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        parts = self.__reduce__()
        place = _place(self.forward)
        if protocol < 4 and _found(self.forward, place) is self:  # these write no name in a name
            return _named, (self.forward.__module__, place)
        return parts

    def __copy__(self) -> CustomOperation:
        made = CustomOperation(self.name, self.forward)
        made.derivative = self.derivative
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> CustomOperation:
        memo[id(self)] = made = self.__copy__()
        return made

    def _refuse_without_partials(self) -> NoReturn:
        remedy = f"decorate a function f(operands..., y) with @{self.name}.partials"
        raise FastgradTypeError(explain("partials", "none", f"custom {self.name!r}", remedy))

    def partials_at(self, operands: list[float], y: float) -> Sequence[float]:
        """Compute the partials as floats, one for each operand; the engine calls this.

        Raises
        ------
        FastgradValueError
            If their number is wrong.
        FastgradTypeError
            If one is no number, or there is no function for them.
        """
        if self.derivative is None:
            self._refuse_without_partials()
        found = self.derivative(*operands, y)
        if len(operands) == 1 and not isinstance(found, list | tuple):
            found = (found,)
        where = f"partials of custom {self.name!r}"
        try:
            partials = [float(partial) for partial in found]
        except (TypeError, ValueError, OverflowError):
            got = describe(found)
            raise FastgradTypeError(explain("numbers", got, where)) from None
        if len(partials) != len(operands):
            expected = f"{len(operands)} numbers, one for each operand"
            raise FastgradValueError(explain(expected, f"{len(partials)}", where))
        return partials


def _found(function: Any, names: Sequence[str]) -> Any:
    """Return what names, one inside the other, give in a function's module; None for nothing."""
    thing = sys.modules.get(getattr(function, "__module__", None) or "")
    for name in names:
        thing = getattr(thing, name, None)
    return thing


def _place(function: Any) -> list[str]:
    """Return the names of what a function's qualified name says it belongs to."""
    return getattr(function, "__qualname__", "").split(".")[:-1]


def _named(module: str, names: list[str]) -> CustomOperation:
    """Return the operation that a pickle names."""
    found: Any = importlib.import_module(module)
    for name in names:
        found = getattr(found, name)
    if not isinstance(found, CustomOperation):
        where = f"{module}.{'.'.join(names)}"
        raise FastgradTypeError(explain("a custom operation", show(found), where))
    return found


def _findable(function: Any, role: str) -> Any:
    """Name a function that its operation hides so that it is found: ``module.swish.forward``.

    Then pickle finds it where it finds the operation, and cloudpickle writes it down where that
    would not do, as of ``__main__``.
    """
    name = getattr(function, "__qualname__", "")
    found = _found(function, name.split("."))
    if isinstance(found, CustomOperation) and getattr(found, role) is function:
        function.__qualname__ = f"{name}.{role}"
    return function


def _operation(name: str, forward: Any, derivative: Any) -> CustomOperation:
    """Return the operation of a pickle: the one that has these functions, or a new one."""
    made = custom(name)(forward)
    if derivative is not None:
        made.partials(derivative)
    found = _found(forward, _place(_findable(forward, "forward")))
    if isinstance(found, CustomOperation) and found.__reduce__() == made.__reduce__():
        return found
    return made


def take(table: Sequence[Any], i: Any) -> Any:
    """Choose an entry or a row of a table: an embedding, the score of a target class.

    Parameters
    ----------
    table : sequence
        Values and numbers, or rows: sequences of them, all of one length.
    i : int or Value
        Which one, a whole number of -n to n - 1: below 0 it counts from the end. A Value is for
        functions that are recorded: its data is the index, and may be another at each replay.

    Returns
    -------
    Value or number, or a list of them for a row
        For a plain i ``table[i]`` itself, a row as a new list. For a Value new Values, whose
        operands are i and all entries of the column; backward() passes to the chosen entry only.

    Raises
    ------
    FastgradIndexError
        If i is no whole number or outside the table; backward() raises it if i has changed.
    FastgradTypeError
        If the table or a row is no sequence (a dict, a set, a text, an iterator), or i no number.
    FastgradValueError
        If the table is empty; ShapeError if rows differ in length.

    Notes
    -----
    Cost with a Value: a node for each number chosen, and 4 bytes for each entry of the table.

    Examples
    --------
    >>> from fastgrad import Value, take
    >>> table = [Value(1.0), Value(2.0), Value(3.0)]
    >>> take(table, -1) is table[-1]
    True
    >>> y = take(table, Value(1))
    >>> y.backward()
    >>> y.data, [v.grad for v in table]
    (2.0, [0.0, 1.0, 0.0])
    """
    n = _length(table, "a sequence of Values, numbers or rows", "table of take")
    if not n:
        raise FastgradValueError(explain("at least one entry", "none", "table of take"))
    if not isinstance(i, Value):
        position = _position(i, n)
        chosen = table[position]
        if not _is_row(chosen):
            return chosen
        _length(chosen, *_row(position % n))
        return list(chosen)
    if not _is_row(table[0]):
        return apply_take((i, *table))
    width = _length(table[0], *_row(0))
    for k, row in enumerate(table):
        if not _is_row(row) or _length(row, *_row(k)) != width:
            got = f"{len(row)} in row {k}" if _is_row(row) else f"{show(row)} as row {k}"
            raise ShapeError(explain(f"rows of {width} entries", got, "table of take"))
    return [apply_take((i, *(row[column] for row in table))) for column in range(width)]


def _is_row(entry: Any) -> bool:
    return hasattr(entry, "__len__") and not isinstance(entry, Value)


def _row(k: int) -> tuple[str, str]:
    return "a sequence of Values and numbers as a row", f"row {k} of take's table"


def _length(table: Any, expected: str, where: str) -> int:
    """Return the length of a sequence; what else has a length is no table, by whatever order."""
    if hasattr(table, "__getitem__") and not isinstance(
        table, Mapping | AbstractSet | str | bytes | bytearray
    ):
        try:
            return len(table)
        except TypeError:  # an array without axes
            pass
    got = describe(table)
    remedy = "make a list of it"
    if isinstance(table, Mapping):
        remedy = "pass list(table.values()), or look a key up in the dict itself"
    raise FastgradTypeError(explain(expected, got, where, remedy)) from None


def _position(i: Any, n: int) -> int:
    """Read a plain index, which may be negative, or a float without a fraction."""
    try:
        position = operator.index(i)
    except TypeError:
        if not hasattr(type(i), "__float__") or getattr(i, "ndim", False):
            got = describe(i)
            raise FastgradTypeError(explain("an int or a Value", got, "index of take")) from None
        position = int(i) if float(i).is_integer() else n  # n: outside
    if not -n <= position < n:
        expected = f"an index of {-n} to {n - 1}"
        raise FastgradIndexError(explain(expected, show(i), f"index of take, {n} entries"))
    return position
