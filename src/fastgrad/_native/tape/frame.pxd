"""Frame: what one call of a tape works with, kept for the next."""

from fastgrad._native.tape.bind cimport Bound, Out, Shape
from fastgrad._native.tape.header cimport Program, Workspace

cdef class Frame(Bound):
    cdef double *adjoints    # of all slots
    cdef double **pointers   # of inputs or outputs: where gradients or results go
    cdef Py_ssize_t *strides
    cdef Workspace workspace
    cdef object plan         # what it runs: another thread may replace it in the tape's cache

cdef Frame frame_new(const Program *p)
cdef Out frame_out(Frame frame, Shape shape)
