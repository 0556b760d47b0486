"""What fastgrad raises on its own account, and the helpers that word it.

Arithmetic raises what Python floats raise (`ZeroDivisionError`, `OverflowError`, `ValueError`).
A program written for micrograd needs none of the names below: each error is also the builtin that
such a program would catch.
"""

__all__ = [
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
    "MissingExtraError",
    "NonFiniteError",
    "ProgramError",
    "ShapeError",
    "TapeError",
    "explain",
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
    place = f" ({where})" if where else ""
    advice = f"; {remedy}" if remedy else ""
    return f"expected {expected}, got {got}{place}{advice}"


def word_result(
    sample: int | None,
    operation: str,
    operands: tuple[float, ...],
    result: float,
    place: tuple[str, int, str] | None,
) -> str:
    """Word what an operation of a tape gave: its operands, its result, the sample, the place.

    Parameters
    ----------
    sample, operation, operands, result, place
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
    where = f", recorded at {file}:{line} in {function}" if file else ""
    return f"{operation}({shown}{more}) = {result!r}{which}{where}"
