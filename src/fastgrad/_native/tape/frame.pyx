"""Frame: what one call of a tape works with, kept for the next.

The arguments' numbers lie in its slots, or are found through its columns; its adjoints and its
workspace are what a replay writes to. Two calls at once have two.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc

from fastgrad._native.tape.bind cimport Out, Shape, bound_prepare, out_new
from fastgrad._native.tape.header cimport InputColumn, Program, program_arguments, program_slots


cdef class Frame(Bound):
    def __dealloc__(self):
        PyMem_RawFree(self.adjoints)
        PyMem_RawFree(self.grads)
        PyMem_RawFree(self.grad_strides)
        PyMem_RawFree(self.outputs)
        PyMem_RawFree(self.output_strides)
        PyMem_RawFree(self.workspace.memory)


cdef Frame frame_new(const Program *p):
    """Make a frame for the calls of a program, whose constants it has."""
    cdef Frame frame = Frame.__new__(Frame)
    bound_prepare(frame, p.n_inputs, program_arguments(p), program_slots(p))
    frame.adjoints = <double *> PyMem_RawCalloc(program_slots(p) + 1, sizeof(double))
    frame.grads = <double **> PyMem_RawCalloc(<size_t> p.n_inputs + 1, sizeof(double *))
    frame.grad_strides = <Py_ssize_t *> PyMem_RawCalloc(<size_t> p.n_inputs + 1, sizeof(Py_ssize_t))
    frame.outputs = <double **> PyMem_RawCalloc(<size_t> p.n_outputs + 1, sizeof(double *))
    frame.output_strides = <Py_ssize_t *> PyMem_RawCalloc(<size_t> p.n_outputs + 1, sizeof(Py_ssize_t))
    if (frame.adjoints == NULL or frame.grads == NULL or frame.grad_strides == NULL
            or frame.outputs == NULL or frame.output_strides == NULL):
        raise MemoryError()
    frame.n_values = frame.n_adjoints = program_slots(p)
    memcpy(frame.values + p.n_inputs + p.n_parameters, p.constants, p.n_constants * sizeof(double))
    return frame


cdef void *widened(void **memory, size_t n, size_t size) except NULL:
    cdef void *moved = PyMem_RawRealloc(memory[0], (n + 1) * size)
    if moved == NULL:
        raise MemoryError()
    memory[0] = moved
    return moved


cdef int frame_deepen(Frame frame, size_t n_values, size_t n_adjoints) except -1:
    """Make room for so many values and adjoints; those of leaves stay."""
    if n_values > frame.n_values:
        widened(<void **> &frame.values, n_values, sizeof(double))
        memset(frame.values + frame.n_values, 0, (n_values - frame.n_values) * sizeof(double))
        frame.n_values = n_values
    if n_adjoints > frame.n_adjoints:
        widened(<void **> &frame.adjoints, n_adjoints, sizeof(double))
        memset(frame.adjoints + frame.n_adjoints, 0, (n_adjoints - frame.n_adjoints) * sizeof(double))
        frame.n_adjoints = n_adjoints
    return 0


cdef int frame_widen(Frame frame, size_t n) except -1:
    """Make room for n leaves that differ from sample to sample: the inputs, or the parameters too."""
    if n > frame.n_leaves:
        widened(<void **> &frame.columns, n, sizeof(InputColumn))
        widened(<void **> &frame.batched, n, 1)
        widened(<void **> &frame.grads, n, sizeof(double *))
        widened(<void **> &frame.grad_strides, n, sizeof(Py_ssize_t))
        frame.n_leaves = <uint32_t> n
    memset(frame.batched + frame.n_inputs, 0, n - frame.n_inputs)
    memset(frame.grads, 0, n * sizeof(double *))
    return 0


cdef Out out_for(Frame frame, Shape shape, double **pointers, Py_ssize_t *strides):
    cdef tuple extents = (frame.n,) + shape.shape if frame.n >= 0 else shape.shape
    cdef Out out = out_new(extents, frame.arrays)
    cdef Py_ssize_t e
    for e in range(shape.size):
        pointers[shape.start + e] = out.data + e
        strides[shape.start + e] = shape.size
    return out


cdef Out frame_result(Frame frame, Shape shape):
    """Make room for a result, of each sample of a batch, and say where it is."""
    return out_for(frame, shape, frame.outputs, frame.output_strides)


cdef Out frame_gradient(Frame frame, Shape shape):
    """Make room for a gradient of each sample, and say where it is."""
    frame.has_grads = True
    return out_for(frame, shape, frame.grads, frame.grad_strides)
