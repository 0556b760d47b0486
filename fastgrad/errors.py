"""What fastgrad raises on its own account, and the helpers that word it.

Arithmetic raises what Python floats raise (`ZeroDivisionError`, `OverflowError`, `ValueError`).
A program written for micrograd needs none of the names below: each error is also the builtin that
such a program would catch.
"""

from __future__ import annotations

import reprlib
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

__all__ = [
    "DerivativeError",
    "FastgradAttributeError",
    "FastgradError",
    "FastgradIndexError",
    "FastgradOverflowError",
    "FastgradRecursionError",
    "FastgradRuntimeError",
    "FastgradTypeError",
    "FastgradValueError",
    "FastgradWarning",
    "FileFormatError",
    "GradcheckError",
    "GradientLostWarning",
    "MissingExtraError",
    "NonFiniteError",
    "ProgramError",
    "ShapeError",
    "TapeError",
    "describe",
    "explain",
    "printable",
    "show",
    "warn_gradient_lost",
    "word_result",
]


class FastgradError(Exception):
    """Base of every error that is fastgrad's own."""


class FastgradTypeError(FastgradError, TypeError):
    """An argument is of a kind that the call cannot take."""


class FastgradValueError(FastgradError, ValueError):
    """An argument is of the right kind, and out of range or inconsistent with the others."""


class FastgradRuntimeError(FastgradError, RuntimeError):
    """The call is right, and comes at a moment when it cannot be served."""


class FastgradIndexError(FastgradError, IndexError):
    """An index is outside its sequence, or no whole number."""


class FastgradAttributeError(FastgradError, AttributeError):
    """An attribute of a Value can be neither set nor deleted."""


class FastgradOverflowError(FastgradError, OverflowError):
    """More nodes, operands or values of a tape than there are numbers for."""


class FastgradRecursionError(FastgradRuntimeError, RecursionError):
    """Calls that are too deep inside each other."""


class ShapeError(FastgradValueError):
    """A sequence has another length or nesting than its partner."""


class TapeError(FastgradRuntimeError):
    """A function cannot be recorded, or a tape is used against its recording."""


class DerivativeError(TapeError):
    """A derivative that cannot be made: of an operation without one, or too long."""


class GradcheckError(FastgradError, AssertionError):
    """A derivative differs from differences: `fastgrad.gradcheck` found it."""


class FileFormatError(FastgradValueError):
    """A file is not what its loader expects: damaged, truncated, or of another format."""


class NonFiniteError(FastgradValueError, ArithmeticError):
    """A loss became nan or inf; `history` has the losses before it."""

    def __init__(self, message: str, history: object = ()) -> None:
        super().__init__(message)
        self.history = history


class ProgramError(FastgradValueError):
    """A program cannot be started as asked: no such script, module or class."""


class MissingExtraError(FastgradError, ImportError):
    """An optional dependency is not installed."""


class FastgradWarning(UserWarning):
    """Something works, and perhaps not as its reader supposes."""


class GradientLostWarning(FastgradWarning):
    """A computed Value became a plain number, and what is computed from that has no gradient.

    By ``float(v)`` and whatever calls it: ``math.exp(v)``, ``np.asarray([v], float)``, assignment
    into an array of floats. ``v.data`` and ``v.item()`` say that only the number is meant.
    """


def explain(expected: str, got: str, where: str = "", remedy: str = "") -> str:
    """Word an error: what was expected, what came instead, where, and what to do about it.

    Parameters
    ----------
    expected, got : str
        Phrases without a full stop.
    where : str, optional
        The argument, the file and line, the operation.
    remedy : str, optional
        What to do, as an imperative.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> explain("a number", "'a'", "data of Value", "convert it with float()")
    "expected a number, got 'a' (data of Value); convert it with float()"
    """
    place = f" ({printable(where)})" if where else ""
    advice = f"; {remedy}" if remedy else ""
    return f"expected {expected}, got {got}{place}{advice}"


def printable(text: str) -> str:
    r"""Return a text with its control characters escaped: names come from strangers' files.

    Examples
    --------
    >>> print(printable("a\x1b[31mb"))
    a\x1b[31mb
    """
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else repr(c)[1:-1] for c in text])


class _Short(reprlib.Repr):
    """Shows the beginning of large things, without reading the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 5
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 10
        self.maxstring = self.maxother = self.maxlong = 100

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002
        bits = x.bit_length()
        return repr(x) if bits < 10_000 else f"<{bits} bits>"  # of which Python shows none


def show(thing: object) -> str:
    """Return how a thing shows itself, at most 80 characters of it, for an error that names it.

    Examples
    --------
    >>> show("a"), show(10**5000), len(show([1.5] * 10**6))
    ("'a'", '<16610 bits>', 55)
    """
    try:
        return _Short().repr(thing)[:80]
    except Exception as error:
        return f"one that cannot be shown: {type(error).__name__}"


def describe(thing: object) -> str:
    """Name the type of what was given, and show it.

    Examples
    --------
    >>> describe("a")
    "str 'a'"
    """
    return f"{type(thing).__name__} {show(thing)}"


def word_result(
    sample: int | None,
    operation: str,
    operands: tuple[float, ...],
    result: float,
    place: tuple[str, int, str] | None,
    in_derivative: bool = False,
) -> str:
    """Word what an operation of a tape gave: its operands, its result, the sample, the place.

    Parameters
    ----------
    sample, operation, operands, result, place, in_derivative
        As in `fastgrad.tape.NonFinite`.

    Returns
    -------
    str
        One line, with at most four operands.

    Examples
    --------
    >>> word_result(2, "log", (0.0,), float("-inf"), ("loss.py", 7, "loss"))
    'log(0.0) = -inf in sample 2, recorded at loss.py:7 in loss'
    """
    shown = ", ".join(map(repr, operands[:4]))
    more = ", ..." if len(operands) > 4 else ""
    which = "" if sample is None else f" in sample {sample}"
    file, line, function = place or ("", 0, "")
    where = printable(f", recorded at {file}:{line} in {function}") if file else ""
    if not operation:
        return f"{result!r}{which}"
    gave = f" gives {result!r} in its derivative" if in_derivative else f" = {result!r}"
    return f"{operation}({shown}{more}){gave}{which}{where}"


_REMAINDERS = (6, 19)  # arguments of BINARY_OP: NB_REMAINDER, NB_INPLACE_REMAINDER


def warn_gradient_lost(what: str, level: int) -> None:
    """Warn, at the line of the program, that a plain number was taken out of a graph.

    Parameters
    ----------
    what : str
        What took it: "float()".
    level : int
        The stacklevel of that line, counted from who calls this.

    Warns
    -----
    GradientLostWarning
        Once for each line, as Python's filters do; never for ``"%f" % v``, which is printing.
    """
    if _formats(sys._getframe(1)):
        return
    warnings.warn(
        f"{what} makes a plain number of a computed Value: what is computed from that has no "
        "gradient; write v.data if only the number is meant, else functional.exp(v) for "
        "math.exp(v), arrays of dtype=object for arrays of float",
        GradientLostWarning,
        stacklevel=level + 1,
    )


def warn_one_thread(tape: str, operations: str, level: int) -> None:
    """Warn, at the line of the program, that custom operations leave a batch on one thread."""
    text = f"the tape of {tape} calls Python for {operations}: threads= is 1 there"
    warnings.warn(text, FastgradWarning, stacklevel=level + 1)


def _formats(frame: FrameType) -> bool:
    """Tell whether a frame is at an operator %; that of text calls float for its operands."""
    from opcode import opmap

    code, at = frame.f_code.co_code, frame.f_lasti
    return at >= 0 and code[at] == opmap["BINARY_OP"] and code[at + 1] in _REMAINDERS
