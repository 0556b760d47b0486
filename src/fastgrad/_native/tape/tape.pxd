"""Tape: what people do with a recorded program: call it, differentiate it."""

from fastgrad._native.tape.frame cimport Frame
from fastgrad._native.tape.replay cimport Replay
from fastgrad._native.tape.wrt cimport Want

cdef int expect_threads(object threads) except -1

cdef class TapeCore(Replay):
    cdef object results(self, Frame frame, int threads)
    cdef double run_gradient(self, Frame frame, bint mean, Want want, int threads) except? -1.0
    cdef tuple gradient(self, Frame frame, bint mean, Want want, int threads)
    cdef list gradient_outs(self, Frame frame, list shapes)
    cdef tuple gradient_of_each(self, Frame frame, Want want, int threads)
    cdef int tangents_clear(self, Frame along) noexcept
    cdef tuple pushforward(self, Frame at, Frame along, Want want, int threads)
    cdef bytes join_lanes(self, Frame at, Frame along, Want want)
