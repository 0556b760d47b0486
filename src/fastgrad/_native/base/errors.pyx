"""Errors: what native code raises is worded by `fastgrad.errors.explain`, here and nowhere else."""

import builtins
import operator


cdef object error_of(str name, str expected, str got, str where="", str remedy=""):
    """Make an error to raise: a class of fastgrad.errors, or the builtin that arithmetic raises.

    That module is loaded when something fails, not before.
    """
    from fastgrad import errors
    cls = getattr(errors, name, None) or getattr(builtins, name)
    return cls(errors.explain(expected, got, where, remedy))


cdef str described(object o):
    """Name the type of what was given, and show it, at most 80 characters of it."""
    from fastgrad import errors
    return errors.describe(o)


cdef str shown(object o):
    """Show what was given, at most 80 characters of it."""
    from fastgrad import errors
    return errors.show(o)


cpdef bint flag_expect(object given, str where) except -1:
    """Read what is either true or false; raise for anything else."""
    if given is True or given is False:
        return given
    if isinstance(given, int) or type(given).__name__ in ("bool", "bool_"):  # NumPy's two names of its own
        return bool(given)
    raise error_of("FastgradTypeError", "True or False", described(given), where)


cpdef list items_expect(object given, str expected, str where):
    """Read what can be iterated over; raise for anything else."""
    try:
        items = iter(given)
    except TypeError:
        raise error_of("FastgradTypeError", expected, described(given), where) from None
    return list(items)


cpdef object whole_expect(object given, str expected, str where):
    """Read an int, or what stands for one; raise for anything else."""
    try:
        return operator.index(given)
    except TypeError:
        raise error_of("FastgradTypeError", expected, described(given), where) from None
