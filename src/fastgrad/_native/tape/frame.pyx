"""Frame: what one call of a tape works with, kept for the next.

The arguments' numbers lie in its slots, or are found through its columns; its adjoints and its
workspace are what a replay writes to. Two calls at once have two.
"""

from libc.string cimport memcpy

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree

from fastgrad._native.tape.bind cimport Out, Shape, bound_prepare, out_new
from fastgrad._native.tape.header cimport Program, program_slots


cdef class Frame(Bound):
    def __dealloc__(self):
        PyMem_RawFree(self.adjoints)
        PyMem_RawFree(self.pointers)
        PyMem_RawFree(self.strides)
        PyMem_RawFree(self.workspace.memory)


cdef Frame frame_new(const Program *p):
    """Make a frame for the calls of a program, whose constants it has."""
    cdef Frame frame = Frame.__new__(Frame)
    cdef size_t most = max(p.n_inputs, p.n_outputs) + 1
    bound_prepare(frame, p.n_inputs, program_slots(p))
    frame.adjoints = <double *> PyMem_RawCalloc(program_slots(p) + 1, sizeof(double))
    frame.pointers = <double **> PyMem_RawCalloc(most, sizeof(double *))
    frame.strides = <Py_ssize_t *> PyMem_RawCalloc(most, sizeof(Py_ssize_t))
    if frame.adjoints == NULL or frame.pointers == NULL or frame.strides == NULL:
        raise MemoryError()
    memcpy(frame.values + p.n_inputs + p.n_parameters, p.constants, p.n_constants * sizeof(double))
    return frame


cdef Out frame_out(Frame frame, Shape shape):
    """Make room for a result or a gradient, of each sample of a batch, and say where it is."""
    cdef tuple extents = (frame.n,) + shape.shape if frame.n >= 0 else shape.shape
    cdef Out out = out_new(extents, frame.arrays)
    cdef Py_ssize_t e
    for e in range(shape.size):
        frame.pointers[shape.start + e] = out.data + e
        frame.strides[shape.start + e] = shape.size
    return out
