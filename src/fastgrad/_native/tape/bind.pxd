"""Bind: a call's arguments in input slots, its results back in their structure."""

from libc.stdint cimport uint32_t, uint64_t, uint8_t

from fastgrad._native.tape.header cimport InputColumn

cdef class Shape:            # of an argument, or of a result: numbers in a rectangle
    cdef readonly tuple shape
    cdef readonly Py_ssize_t ndim
    cdef readonly Py_ssize_t start   # first input, or output
    cdef readonly Py_ssize_t size
    cdef readonly str name           # how errors call it

cdef class Buffer:           # a view of an argument's numbers, or a converted copy, for one call
    cdef Py_buffer view
    cdef bint viewed
    cdef double *own

cdef class Bound:            # the arguments of a call
    cdef uint32_t n_inputs   # the drawn ones, which are the last, included
    cdef uint32_t n_arguments  # inputs that a call has numbers for
    cdef uint32_t n_leaves   # of these there are columns: the inputs; the parameters too, once asked for
    cdef double *values      # of all slots: the inputs are the first
    cdef InputColumn *columns  # of inputs with a batch axis
    cdef uint8_t *batched    # which those are; as in columns, of use where there are samples
    cdef Py_ssize_t n        # samples; -1: no argument has a batch axis
    cdef Py_ssize_t sample   # the one that was loaded last; -1: none, or not of a batch
    cdef const uint64_t *numbers  # how messages number samples, if not NULL
    cdef Py_ssize_t first    # else: first, first + 1, ...; not 0 in a part of a batch
    cdef Shape sized         # the argument that said so
    cdef Py_ssize_t reading  # the sample that is read from a sequence; -1: none
    cdef bint tangents       # what is bound are those of the arguments; for errors, as is the sample
    cdef bint arrays         # give NumPy arrays, since some were given
    cdef list kept           # buffers and copies that columns point into
    cdef list given          # of each input the Value that it is, or None; None: there are only numbers

cdef class Out:              # numbers to be given back: in a new array, in a buffer, or in a frame
    cdef object array
    cdef Buffer buffer
    cdef double *data
    cdef tuple extents

cdef int bound_prepare(Bound bound, uint32_t n_inputs, uint32_t n_arguments, size_t n_slots) except -1
cdef int bind_all(Bound bound, list specs, tuple args) except -1
cdef int bind_tangents(Bound bound, object spec, object tangents) except -1
cdef int expect_numbers(Bound bound, list shapes) except -1
cdef bint bind_floats(Bound bound, tuple args) noexcept
cdef void load_sample(Bound bound, Py_ssize_t s) noexcept nogil

cdef int expect_spec(object spec, Py_ssize_t n) except -1
cdef list shapes_of(object spec)
cdef Out out_new(tuple extents, bint arrays)
cdef Out out_from(double *data, tuple extents, bint arrays)
cdef object out_give(Out out)
cdef object rebuild(object spec, list outs)
cdef object nest_values(Shape shape, list values, bint arrays)
cdef tuple floats(const double *data, Py_ssize_t n)
cdef tuple floats_of(const double *slots, list shapes)


cdef inline bint is_number(object spec) noexcept:
    return type(spec) is Shape and (<Shape> spec).ndim == 0
