"""Inspect: what a tape holds, and where its results stop being finite: for people to read."""

from fastgrad._native.base.poll cimport Poll
from fastgrad._native.tape.frame cimport Frame
from fastgrad._native.tape.header cimport DrawKey
from fastgrad._native.tape.replay cimport Replay

cdef int expect_finite(Replay tape, tuple args, object wrt) except -1
cdef tuple nonfinite_in_sample(
    Replay tape, Frame frame, Py_ssize_t s, Py_ssize_t number, list wants, Poll *poll)
cdef object expect_decided(Replay tape, tuple args, const DrawKey *drawn, object result)
