"""Errors: what native code raises is worded by `fastgrad.errors.explain`, here and nowhere else."""

import builtins


cdef object error_of(str name, str expected, str got, str where="", str remedy=""):
    """Make an error to raise: a class of fastgrad.errors, or the builtin that arithmetic raises.

    That module is loaded when something fails, not before.
    """
    from fastgrad import errors
    cls = getattr(errors, name, None) or getattr(builtins, name)
    return cls(errors.explain(expected, got, where, remedy))


cdef str described(object o):
    """Name the type of what was given, and show it, at most 80 characters of it."""
    return f"{type(o).__name__} {o!r:.80}"
