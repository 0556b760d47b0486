"""Append: the operations of a tape that is called with Values become nodes of the graph."""

from fastgrad._native.tape.frame cimport Frame
from fastgrad._native.tape.replay cimport Replay

cdef object append(Replay tape, Frame frame)
