"""Extract: from the arena's nodes to the list of operations that a tape is built from."""

from fastgrad._native.tape.header cimport Recording

cdef class Recorded:
    cdef Recording raw
    cdef list parameters  # the handles of the leaves that are
    cdef dict customs     # numbers of custom operations: their places among those of the tape

cdef Recorded record_graph(list inputs, list outputs, tuple fixed)
