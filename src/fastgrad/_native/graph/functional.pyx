"""Operations as functions, of Values and of plain numbers; users find them in fastgrad.functional."""

from fastgrad._native.base.errors cimport described, error_of, shown
from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_with_gil
from fastgrad._native.graph.engine cimport (
    call_binary, call_inverse, call_parameter, call_unary, fold_operands, operands_listed,
)
from fastgrad._native.graph.handle cimport Handle, is_handle, number_expect

from libc.stdint cimport uint32_t, uint64_t

import operator

cdef extern from "base/philox.h":
    double philox_uniform(uint64_t seed, uint64_t call, uint32_t sample, uint64_t draw) nogil

cdef enum:
    ENTRIES_MAX = 0x7FFFFFFF  # of a list made here

include "../ops/functional.pxi"


def where(c, x, y):
    """Return x where the condition c holds, else y: a choice that a graph can make again.

    Parameters
    ----------
    c : Value or number
        The condition; it holds where it is not 0, hence for nan too.
    x, y : Value or number
        What to choose from; both have been computed already.

    Returns
    -------
    Value
        ``keep_if(c, x) + keep_unless(c, y)``, which is the chosen number exactly, signs of zero
        and nan included. Where c is a plain number it is x or y itself.

    Notes
    -----
    backward() passes to the chosen one only: the other gets 0 times the adjoint.

    Examples
    --------
    >>> from fastgrad import Value
    >>> from fastgrad.functional import lt, where
    >>> a, b = Value(2.0), Value(3.0)
    >>> y = where(lt(a, b), a * a, b)
    >>> y.backward()
    >>> y.data, a.grad, b.grad
    (4.0, 4.0, 0.0)
    """
    if not is_handle(c):
        return x if number_expect(c, "condition of where") != 0.0 else y
    kept = call_binary(c, x, OP_KEEP_IF, b"where")
    return call_binary(kept, call_binary(c, y, OP_KEEP_UNLESS, b"where"), OP_ADD, b"where")


def sum(*operands):
    """Return the sum of all operands, from left to right; 0.0 of none: for `formulas.sums`."""
    listed = operands_listed(operands, b"sum")
    return fold_operands((listed,), OP_ADD, b"sum") if listed else 0.0


def prod(*operands):
    """Return the product of all operands, from left to right; 1.0 of none: for `formulas.sums`."""
    listed = operands_listed(operands, b"prod")
    return fold_operands((listed,), OP_MUL, b"prod") if listed else 1.0


def logsumexp(*operands):
    """Return the logarithm of the sum of e to the power of each operand: for `formulas.sums`.

    Of `logaddexp`, in pairs, then pairs of those, ...
    """
    cdef list level = list(operands_listed(operands, b"logsumexp"))
    cdef Py_ssize_t i
    cdef Poll poll = poll_begin(poll_with_gil)
    if len(level) < 2:
        return fold_operands((level,), OP_LOGADDEXP, b"logsumexp")
    while len(level) > 1:
        for i in range(len(level) // 2):
            poll_signals(&poll, 1)
            level[i] = call_binary(level[2 * i], level[2 * i + 1], OP_LOGADDEXP, b"logsumexp")
        if len(level) % 2:
            level[len(level) // 2] = level[len(level) - 1]
        del level[(len(level) + 1) // 2:]
    return level[0]


def one_hot(i, n):
    """Return n numbers that are 0, but for the one at i, which is 1: for `formulas.tables`."""
    cdef list entries = []
    if is_handle(n) or not hasattr(type(n), "__index__"):
        raise error_of("FastgradTypeError", "an int", described(n), "n of one_hot")
    n = operator.index(n)
    if not 1 <= n <= ENTRIES_MAX:
        raise error_of("FastgradValueError", f"1 to {ENTRIES_MAX}", f"{n}", "n of one_hot")
    cdef Py_ssize_t size = n
    cdef Py_ssize_t k
    cdef Poll poll = poll_begin(poll_with_gil)
    for k in range(size):
        poll_signals(&poll, 1)
        entries.append(call_binary(i, k, OP_EQ, b"one_hot"))
    return entries


def philox_uniforms(seed, call, n):
    """Return n random numbers of 0 to 1, without 1: draws 0 to n - 1 of sample 0 of a call."""
    if not 0 <= n <= ENTRIES_MAX:
        raise error_of("FastgradValueError", f"0 to {ENTRIES_MAX}", shown(n), "random numbers")
    cdef uint64_t key = seed
    cdef uint64_t number = call
    cdef Py_ssize_t count = n
    cdef Py_ssize_t i
    cdef list drawn = []
    cdef Poll poll = poll_begin(poll_with_gil)
    for i in range(count):
        poll_signals(&poll, 1)
        drawn.append(philox_uniform(key, number, 0, i))
    return drawn
