"""Inspect: what a tape holds, and where its results stop being finite: for people to read."""

from fastgrad._native.tape.replay cimport Replay

cdef int expect_finite(Replay tape, tuple args) except -1
