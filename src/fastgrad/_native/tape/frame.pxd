"""Frame: what one call of a tape works with, kept for the next."""

from libc.stdint cimport uint64_t

from fastgrad._native.tape.bind cimport Bound, Out, Shape
from fastgrad._native.tape.header cimport DrawKey, Groups, Program, Pulls, Workspace

cdef class Frame(Bound):
    cdef double *adjoints    # of all slots
    cdef size_t n_values, n_adjoints  # how many there is room for
    cdef const Groups *groups  # how a single sample runs; NULL: in the interpreter
    cdef const Pulls *pulls
    cdef bint compiled           # a single sample runs as what `fastgrad.compiled` has made
    cdef double **grads      # of leaves: where the gradients of samples go
    cdef bint has_grads      # some are set
    cdef Py_ssize_t *grad_strides
    cdef double **outputs    # where results go
    cdef Py_ssize_t *output_strides
    cdef Workspace workspace
    cdef uint64_t read_at    # arena.writes when the parameters in the slots were read; 0: read them
    cdef DrawKey draws       # what the call draws from
    cdef object plan         # what it runs: another thread may replace it in the tape's cache

cdef Frame frame_new(const Program *p)
cdef int frame_deepen(Frame frame, size_t n_values, size_t n_adjoints) except -1
cdef int frame_widen(Frame frame, size_t n) except -1
cdef Out frame_result(Frame frame, Shape shape)
cdef Out frame_gradient(Frame frame, Shape shape)
