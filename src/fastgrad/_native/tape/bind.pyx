"""Bind: a call's arguments in input slots, its results back in their structure.

A structure is a Shape, numbers in a rectangle, or (kind, keys, children, name). Doubles in memory
are read where they lie, numbers of other formats are converted there, everything else is read one
by one; what is given back are NumPy's arrays if any argument was one, else nested lists and floats.
Values among the arguments are noted beside their numbers, for the call that appends to a graph.
"""

from libc.string cimport memcpy, memset

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from fastgrad._native.base.errors cimport described, error_of, shown
from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_with_gil
from fastgrad._native.graph.handle cimport Handle, NOT_A_NUMBER, is_handle, node_at, number_read
from fastgrad._native.tape.header cimport InputColumn

import sys

cdef extern from "Python.h":
    tuple PyTuple_New(Py_ssize_t n)
    void PyTuple_SET_ITEM(tuple o, Py_ssize_t i, object item)
    bint PyFloat_CheckExact(object o)
    double PyFloat_AS_DOUBLE(object o)
    void *PyTuple_GET_ITEM(tuple o, Py_ssize_t i)
    Py_ssize_t PySequence_Fast_GET_SIZE(object o)
    PyObject **PySequence_Fast_ITEMS(object o)
    list PyList_New(Py_ssize_t n)
    void PyList_SET_ITEM(list o, Py_ssize_t i, object item)

cdef extern from "tape/formats.h" nogil:
    enum:
        FORMAT_AXES_MAX
    ctypedef void (*FormatReader)(double *to, const char *source, Py_ssize_t stride, size_t n) noexcept nogil
    ctypedef struct FormatCopy:
        int n
        Py_ssize_t counts[FORMAT_AXES_MAX]
        Py_ssize_t strides[FORMAT_AXES_MAX]
        Py_ssize_t steps[FORMAT_AXES_MAX]
    void format_f64_read(double *to, const char *source, Py_ssize_t stride, size_t n) noexcept nogil
    FormatReader format_reader(const char *format, Py_ssize_t size)
    void format_plan(
        FormatCopy *copy, int ndim, const Py_ssize_t *shape, const Py_ssize_t *strides, bint in_memory_order)
    const char *format_row(const FormatCopy *copy, const char *source, size_t done)


cdef enum:
    PART = 1 << 14  # numbers converted between two counts of work
    SPEC_LEVELS = 1000  # of a structure: more than Python's recursion makes
    DEEPER = 8  # levels of nesting that a message counts, besides those that belong there


cdef class Shape:
    def __init__(self, tuple shape, Py_ssize_t start, str name):
        if self.shape is not None:
            raise error_of("FastgradTypeError", "a new Shape", "one that is made already")
        if shape is None or start < 0:
            raise error_of("ShapeError", "a shape and a start of at least 0", f"{shape} and {start}")
        size = 1
        for extent in shape:
            if extent < 0:
                raise error_of("ShapeError", "extents of at least 0", f"{shape}", f"{name}")
            size *= extent
        self.size = size
        self.shape, self.ndim, self.start, self.name = shape, len(shape), start, name


cdef class Buffer:
    def __dealloc__(self):
        if self.viewed:
            PyBuffer_Release(&self.view)
        PyMem_RawFree(self.own)


cdef Buffer buffer_own(size_t n):
    cdef Buffer made = Buffer.__new__(Buffer)
    made.own = <double *> PyMem_RawMalloc((n or 1) * sizeof(double))
    if made.own == NULL:
        raise MemoryError()
    return made


cdef class Bound:
    def __dealloc__(self):
        PyMem_RawFree(self.values)
        PyMem_RawFree(self.columns)
        PyMem_RawFree(self.batched)


cdef int bound_prepare(Bound bound, uint32_t n_inputs, uint32_t n_arguments, size_t n_slots) except -1:
    """Give a new object memory for the slots, of which the first are inputs."""
    bound.n_inputs = bound.n_leaves = n_inputs
    bound.n_arguments = n_arguments
    bound.kept = []
    bound.values = <double *> PyMem_RawCalloc(n_slots + 1, sizeof(double))
    bound.columns = <InputColumn *> PyMem_RawCalloc(<size_t> n_inputs + 1, sizeof(InputColumn))
    bound.batched = <uint8_t *> PyMem_RawCalloc(<size_t> n_inputs + 1, 1)
    if bound.values == NULL or bound.columns == NULL or bound.batched == NULL:
        raise MemoryError()
    return 0


# Arguments ----------------------------------------------------------------------------------------

cdef str place(Bound bound, str name):
    """Say, for an error, where a number belongs: the argument or its tangent, the sample."""
    where = f"tangent of {name}" if bound.tangents else name
    return where if bound.reading < 0 else f"{where}, sample {bound.first + bound.reading}"


cdef int bind_all(Bound bound, list specs, tuple args) except -1:
    """Bind the arguments of a call."""
    cdef Py_ssize_t i
    if len(args) != len(specs):
        raise error_of(
            "FastgradTypeError", f"{len(specs)} argument(s), as recorded", f"{len(args)}",
            "tangents of jvp" if bound.tangents else "arguments of a tape")
    memset(bound.batched, 0, bound.n_arguments)
    for i in range(len(args)):
        bind(bound, specs[i], args[i])
    if bound.given is not None and bound.n >= 0:
        refuse_batch(bound.sized, bound.n)
    return 0


cdef int bind_tangents(Bound bound, object spec, object tangents) except -1:
    """Bind tangents of some leaves; the others do not change."""
    memset(bound.values, 0, bound.n_leaves * sizeof(double))
    memset(bound.batched, 0, bound.n_leaves)
    return bind(bound, spec, tangents)


cdef bint bind_floats(Bound bound, tuple args) noexcept:
    """Bind one float for each input; False, and any of them bound, where these are not the arguments."""
    cdef Py_ssize_t i
    if len(args) != <Py_ssize_t> bound.n_arguments:
        return False
    for i in range(len(args)):
        if not PyFloat_CheckExact(<object> PyTuple_GET_ITEM(args, i)):
            return False
        bound.values[i] = PyFloat_AS_DOUBLE(<object> PyTuple_GET_ITEM(args, i))
    return True


cdef void load_sample(Bound bound, Py_ssize_t s) noexcept nogil:
    """Copy one sample of what has a batch axis into the input slots."""
    cdef uint32_t e
    if bound.n < 0:  # then `batched` may be that of an earlier call
        return
    bound.sample = bound.first + s if bound.numbers == NULL else <Py_ssize_t> bound.numbers[s]
    for e in range(bound.n_arguments):
        if bound.batched[e]:
            bound.values[e] = bound.columns[e].data[s * bound.columns[e].stride]


cdef int refuse_shape(Bound bound, Shape shape, object got) except -1:
    expected = "a number or a sequence of numbers, one for each sample"
    if shape.ndim:
        expected = f"shape {shape.shape}, or {('n',) + shape.shape} for a batch".replace("'", "")
    if bound.reading >= 0:
        expected = f"shape {shape.shape}" if shape.ndim else "a number"
    raise error_of("ShapeError", expected, got, place(bound, shape.name))


cdef int count_samples(Bound bound, Shape shape, Py_ssize_t n) except -1:
    """Note the length of a batch axis, the same for all arguments that have one."""
    if n < 1 or bound.n >= 0 and bound.n != n:
        expected = "at least one sample" if n < 1 else f"{bound.n} samples, as in {bound.sized.name}"
        raise error_of("ShapeError", expected, f"{n}", place(bound, shape.name))
    bound.n, bound.sized = n, shape
    return 0


cdef inline void bind_column(Bound bound, Py_ssize_t slot, const double *data, Py_ssize_t stride) noexcept:
    """Bind one number of each sample."""
    bound.columns[slot].data, bound.columns[slot].stride = data, stride
    bound.batched[slot] = 1


cdef bint is_short_row(const Py_buffer *view, Py_ssize_t n) noexcept:
    """Tell whether a buffer has so many doubles side by side, few enough to be copied at once."""
    return (
        n <= PART and view.shape[0] == n and view.strides != NULL and view.strides[0] == sizeof(double)
        and view.format != NULL and view.format[0] == c"d" and not view.format[1])


cdef int bind_view(Bound bound, Shape shape, object arg) except -1:
    """Bind numbers in memory. Returns 0 where no buffer describes them."""
    cdef Buffer buffer = Buffer.__new__(Buffer)
    cdef Py_buffer *view = &buffer.view
    cdef FormatReader reader
    cdef bint as_they_lie
    cdef Py_ssize_t d, extra
    cdef bint fits
    if isinstance(arg, (bytes, bytearray)):  # text, more likely than numbers
        return 0
    try:
        PyObject_GetBuffer(arg, view, PyBUF_STRIDES | PyBUF_FORMAT)
    except (BufferError, ValueError):  # numbers that no buffer describes, such as NumPy's dates
        return 0
    buffer.viewed = True
    if view.ndim == 1 and shape.ndim == 1 and is_short_row(view, shape.size):
        memcpy(bound.values + shape.start, view.buf, shape.size * sizeof(double))
        return 1
    extra = view.ndim - shape.ndim
    reader = NULL if view.format == NULL else format_reader(view.format, view.itemsize)
    if reader == NULL or view.ndim > FORMAT_AXES_MAX:
        return 0
    if view.ndim and view.strides == NULL:  # as ctypes has it, whatever is asked for
        return 0
    as_they_lie = extra and reader == format_f64_read and <size_t> view.buf % sizeof(double) == 0
    fits = 0 <= extra <= 1
    for d in range(view.ndim):
        as_they_lie = as_they_lie and view.strides[d] % <Py_ssize_t> sizeof(double) == 0
        fits = fits and (d < extra or view.shape[d] == shape.shape[d - extra])
    if not fits:
        refuse_shape(bound, shape, f"shape {tuple(view.shape[d] for d in range(view.ndim))}")
    if extra:
        count_samples(bound, shape, view.shape[0])
    if as_they_lie:
        bind_lying(bound, shape, buffer)
    else:
        bind_converted(bound, shape, view, reader)
    return 1


cdef int bind_lying(Bound bound, Shape shape, Buffer buffer) except -1:
    """Bind a batch of float64 numbers without a copy."""
    cdef const Py_buffer *view = &buffer.view
    cdef Py_ssize_t stride = view.strides[0] // <Py_ssize_t> sizeof(double)
    cdef Py_ssize_t slot = shape.start
    cdef Py_ssize_t end = shape.start + shape.size
    cdef Py_ssize_t rows = 0
    cdef FormatCopy sample
    cdef const char *at
    format_plan(&sample, view.ndim - 1, view.shape + 1, view.strides + 1, False)
    while slot < end:
        at = format_row(&sample, <const char *> view.buf, rows)
        for _ in range(sample.counts[sample.n - 1]):
            bind_column(bound, slot, <const double *> at, stride)
            at += sample.strides[sample.n - 1]
            slot += 1
        rows += 1
    bound.kept.append(buffer)
    return 0


cdef int convert(const Py_buffer *view, FormatReader reader, const FormatCopy *copy, double *to) except -1:
    """Copy an array's numbers, polling signals."""
    cdef Py_ssize_t inner = copy.counts[copy.n - 1]
    cdef Py_ssize_t stride = copy.strides[copy.n - 1]
    cdef Py_ssize_t left = view.len // view.itemsize
    cdef Py_ssize_t rows = 0
    cdef Py_ssize_t part, at
    cdef const char *source
    cdef Poll poll = poll_begin(poll_with_gil)
    while left:
        source = format_row(copy, <const char *> view.buf, rows)
        at = 0
        while at < inner:
            part = min(inner - at, <Py_ssize_t> PART)
            reader(to + at, source + at * stride, stride, part)
            poll_signals(&poll, part)
            at += part
        to += inner
        left -= inner
        rows += 1
    return 0


cdef int bind_converted(Bound bound, Shape shape, const Py_buffer *view, FormatReader reader) except -1:
    """Bind a copy of numbers of any format; those of one sample go into the slots."""
    cdef FormatCopy copy
    cdef Py_ssize_t e, d, left, offset
    cdef Buffer made
    cdef bint batch = view.ndim > shape.ndim
    format_plan(&copy, view.ndim, view.shape, view.strides, batch)
    if not batch:
        return convert(view, reader, &copy, bound.values + shape.start)
    made = buffer_own(view.len // view.itemsize)
    convert(view, reader, &copy, made.own)
    for e in range(shape.size):
        offset, left = 0, e
        for d in range(shape.ndim, 0, -1):
            offset += left % view.shape[d] * copy.steps[d]
            left //= view.shape[d]
        bind_column(bound, shape.start + e, made.own + offset, copy.steps[0])
    bound.kept.append(made)
    return 0


cdef bint copy_floats(PyObject **items, Py_ssize_t n, double *to) noexcept:
    """Copy a row of floats; False, and some of them copied, where something else is among them."""
    cdef Py_ssize_t i
    for i in range(n):
        if not PyFloat_CheckExact(<object> items[i]):
            return False
        to[i] = PyFloat_AS_DOUBLE(<object> items[i])
    return True


cdef int bind_value(Bound bound, Handle value, Shape shape, double *to) except -1:
    """Bind a Value: its data, and itself for the graph; no reading by the program."""
    if bound.sized is shape:
        refuse_batch(shape, bound.n)
    if bound.given is None:
        bound.given = [None] * bound.n_leaves
    bound.given[to - bound.values] = value
    to[0] = node_at(value.id).data
    return 0


cdef int refuse_batch(Shape shape, Py_ssize_t n) except -1:
    raise error_of(
        "ShapeError", "one sample in each argument, as Values were given", f"a batch of {n}", shape.name,
        "call the tape for each sample, or give it numbers only")


cdef int expect_numbers(Bound bound, list shapes) except -1:
    """Raise where an argument is, or holds, a Value."""
    cdef Shape shape
    if bound.given is None:
        return 0
    for shape in shapes:
        for value in bound.given[shape.start:shape.start + shape.size]:
            if value is not None:
                raise error_of(
                    "FastgradTypeError", "numbers", described(value), place(bound, shape.name),
                    "call the tape: tape(...) of Values is a Value, with a graph and backward()")
    return 0


cdef double *copy_numbers(
        Bound bound, object o, tuple extents, Py_ssize_t depth, double *to, Shape shape,
        Poll *poll) except NULL:
    """Copy nested sequences of numbers, checking every length; returns where the next would go."""
    cdef double number = 0.0
    cdef Py_ssize_t left
    if depth == len(extents):
        poll_signals(poll, 1)
        if is_handle(o):
            bind_value(bound, <Handle> o, shape, to)
            return to + 1
        if number_read(o, &number) == NOT_A_NUMBER:
            raise error_of("FastgradTypeError", "numbers", described(o), place(bound, shape.name))
        to[0] = number
        return to + 1
    if not isinstance(o, (list, tuple)):
        o = as_list(bound, o, shape)
    left = extents[depth]
    if len(o) != left:
        refuse_shape(bound, shape, f"{len(o)} where {left} belong")
    if depth + 1 == len(extents) and left and (type(o) is list or type(o) is tuple):
        poll_signals(poll, left)  # its handlers may change the list, but from here on nobody does
        if PySequence_Fast_GET_SIZE(o) == left and copy_floats(PySequence_Fast_ITEMS(o), left, to):
            return to + left
    for item in o:  # reading one may lengthen or shorten the list
        if left == 0:
            break
        if depth == 0 and len(extents) > shape.ndim:
            bound.reading = extents[0] - left
        to = copy_numbers(bound, item, extents, depth + 1, to, shape, poll)
        left -= 1
    if left or len(o) != extents[depth]:
        refuse_shape(bound, shape, "a list that changed while it was read")
    return to


def expect_unmasked(array, str name):
    """Raise where an array has masked entries: a tape has no mask, and takes the numbers below it."""
    mask = getattr(array, "mask", None)
    if mask is not None and getattr(mask, "any", bool)():
        raise error_of(
            "FastgradTypeError", "numbers", "a masked array", name,
            "pass array.filled(number), or only the entries that count")


cdef object as_list(Bound bound, object o, Shape shape):
    if hasattr(o, "tolist"):  # arrays of any kind
        expect_unmasked(o, place(bound, shape.name))
        o = o.tolist()
    elif PyObject_CheckBuffer(o) and not isinstance(o, (bytes, bytearray)):
        try:
            o = memoryview(o).tolist()
        except NotImplementedError:  # a format that it cannot read, such as those of ctypes
            o = list(o)
    if not isinstance(o, (list, tuple)):
        refuse_shape(bound, shape, described(o))
    return o


cdef int bind_copy(Bound bound, Shape shape, object arg) except -1:
    """Bind nested sequences of numbers, or an array of another type."""
    cdef Py_ssize_t depth = 0
    cdef Py_ssize_t e
    cdef Buffer buffer
    cdef Poll poll = poll_begin(poll_with_gil)
    if not isinstance(arg, (list, tuple)):
        arg = as_list(bound, arg, shape)
    first = arg
    while isinstance(first, (list, tuple)) or hasattr(first, "tolist") and getattr(first, "ndim", 0):
        depth += 1
        if depth > shape.ndim + DEEPER:  # it may hold itself
            refuse_shape(bound, shape, f"more than {shape.ndim + DEEPER} levels of nesting")
        if not len(first):
            break
        first = first[0]
    if depth == shape.ndim:
        copy_numbers(bound, arg, shape.shape, 0, bound.values + shape.start, shape, &poll)
        return 0
    if depth != shape.ndim + 1:
        refuse_shape(bound, shape, f"{depth} levels of nesting" if depth else described(arg))
    count_samples(bound, shape, len(arg))
    buffer = buffer_own(bound.n * shape.size)
    copy_numbers(bound, arg, (bound.n,) + shape.shape, 0, buffer.own, shape, &poll)
    bound.reading = -1
    bound.kept.append(buffer)
    for e in range(shape.size):
        bind_column(bound, shape.start + e, buffer.own + e, shape.size)
    return 0


cdef object array_type = None
cdef object array_empty = None  # NumPy's, whose user has imported it


cdef bint is_array(object o) except -1:
    """Tell a NumPy array without importing NumPy."""
    global array_type, array_empty
    if array_type is None:
        numpy = sys.modules.get("numpy")
        if numpy is None:
            return False
        array_empty, array_type = numpy.empty, numpy.ndarray
    return isinstance(o, array_type)


cdef int bind(Bound bound, object spec, object arg) except -1:
    """Bind an argument to the slots of its shape."""
    cdef Shape shape
    cdef double number = 0.0
    if type(spec) is Shape:
        shape = <Shape> spec
        if shape.ndim == 0:
            if PyFloat_CheckExact(arg):
                bound.values[shape.start] = PyFloat_AS_DOUBLE(arg)
                return 0
            if is_handle(arg):
                return bind_value(bound, <Handle> arg, shape, bound.values + shape.start)
            if not isinstance(arg, (list, tuple)) and number_read(arg, &number) != NOT_A_NUMBER:
                bound.values[shape.start] = number
                return 0
        if is_array(arg):
            bound.arrays = True
            if type(arg) is not array_type:
                expect_unmasked(arg, place(bound, shape.name))
        if PyObject_CheckBuffer(arg) and bind_view(bound, shape, arg):
            return 0
        return bind_copy(bound, shape, arg)
    kind, keys, children, name = spec
    if kind is dict:
        if not isinstance(arg, dict) or arg.keys() != set(keys):
            got = f"keys {list(arg)}" if isinstance(arg, dict) else described(arg)
            refuse_container(f"a dict with keys {list(keys)}", got, place(bound, name))
        arg = map(arg.__getitem__, keys)
    elif not isinstance(arg, (list, tuple)) or len(arg) != len(children):
        got = f"{len(arg)}" if isinstance(arg, (list, tuple)) else described(arg)
        refuse_container(f"a {kind.__name__} of {len(children)}", got, place(bound, name))
    for item, child in zip(arg, children):
        bind(bound, child, item)
    return 0


cdef int refuse_container(str expected, str got, str name) except -1:
    raise error_of("ShapeError", expected, got, name)


# Results ------------------------------------------------------------------------------------------

cdef class Out:
    pass


cdef Out out_new(tuple extents, bint arrays):
    """Make room for numbers to be filled in."""
    cdef Out out = Out.__new__(Out)
    cdef size_t n = 1
    out.extents = extents
    if arrays:
        out.buffer = Buffer.__new__(Buffer)
        out.array = array_empty(extents)
        PyObject_GetBuffer(out.array, &out.buffer.view, PyBUF_STRIDES | PyBUF_WRITABLE)
        out.buffer.viewed = True
        out.data = <double *> out.buffer.view.buf
        return out
    for extent in extents:
        n *= extent
    out.buffer = buffer_own(n)
    out.data = out.buffer.own
    return out


cdef Out out_from(double *data, tuple extents, bint arrays):
    """Take numbers that are there already; floats and lists are made of them as they lie."""
    cdef Out out
    if arrays and extents:
        out = out_new(extents, True)
        memcpy(out.data, data, out.buffer.view.len)
        return out
    out = Out.__new__(Out)
    out.data, out.extents = data, extents
    return out


cdef object out_give(Out out):
    cdef const double *at = out.data
    if out.array is not None:
        return out.array
    return nested(&at, out.extents, 0)


cdef object nested(const double **at, tuple extents, Py_ssize_t depth):
    """Make nested lists of numbers; a float where there is no extent."""
    cdef list made
    cdef double number
    cdef Py_ssize_t i, n
    cdef object item
    if depth == len(extents):
        number = at[0][0]
        at[0] += 1
        return number
    n = extents[depth]
    made = PyList_New(n)  # nobody sees it before it is full
    for i in range(n):
        if depth + 1 == len(extents):
            item = at[0][i]
        else:
            item = nested(at, extents, depth + 1)
        Py_INCREF(item)
        PyList_SET_ITEM(made, i, item)
    if depth + 1 == len(extents):
        at[0] += n
    return made


cdef object rebuild(object spec, list outs):
    """Give the numbers of a result, or of arguments, in their structure."""
    if type(spec) is not Shape and spec[0] is tuple and is_flat(spec[2]):
        return rebuild_flat(outs)
    return rebuild_from(spec, iter(outs))


cdef bint is_flat(list specs) noexcept:
    """Tell whether nothing is nested here: as nearly always in the gradient by all arguments."""
    cdef Py_ssize_t i
    for i in range(len(specs)):
        if type(specs[i]) is not Shape:
            return False
    return True


cdef tuple rebuild_flat(list outs):
    cdef list made = []
    for out in outs:
        made.append(out_give(<Out> out) if type(out) is Out else out)
    return tuple(made)


cdef object rebuild_from(object spec, object outs):
    if type(spec) is Shape:
        out = next(outs)
        return out_give(out) if type(out) is Out else out  # else there already, as nest_values gives it
    kind, keys, children, _ = spec
    made = []
    for child in children:
        made.append(rebuild_from(child, outs))
    if kind is dict:
        return dict(zip(keys, made))
    return kind(made)


cdef object nest_values(Shape shape, list values, bint arrays):
    """Give the Values of a result in the rectangle that they have there."""
    cdef list part = values[shape.start:shape.start + shape.size]
    if shape.ndim == 0:
        return part[0]
    if arrays:
        made = array_empty(shape.size, dtype=object)
        made[:] = part
        return made.reshape(shape.shape)
    for extent in reversed(shape.shape[1:]):
        nested_part = []
        for i in range(0, len(part), extent):
            nested_part.append(part[i:i + extent])
        part = nested_part
    return part


cdef Py_ssize_t spec_end(object spec, Py_ssize_t start, int depth) except -1:
    """Check a structure whose numbers begin at `start`, and give where they end."""
    cdef Shape shape
    if type(spec) is Shape and (<Shape> spec).start == start:
        shape = <Shape> spec
        return shape.start + shape.size
    if type(spec) is not tuple or len(spec) != 4 or depth == SPEC_LEVELS:
        raise error_of("FastgradTypeError", "a structure", shown(spec), "structure of a tape")
    kind, keys, children, name = spec
    if kind not in (list, tuple, dict) or type(children) is not list or not isinstance(name, str) or (
            kind is dict and (type(keys) is not list or len(keys) != len(children))):
        raise error_of("FastgradTypeError", "a structure", shown(spec), "structure of a tape")
    for child in tuple(children):
        start = spec_end(child, start, depth + 1)
    return start


cdef int expect_spec(object spec, Py_ssize_t n) except -1:
    """Check that the numbers of a structure, or of a list of them, are 0 to n - 1."""
    cdef Py_ssize_t end = 0
    for one in tuple(spec) if type(spec) is list else (spec,):
        end = spec_end(one, end, 0)
    if end != n:
        raise error_of("ShapeError", f"a structure of {n} numbers", f"{end}", "structure of a tape")
    return 0


cdef list shapes_of(object spec):
    if type(spec) is Shape:
        return [spec]
    found = []
    for child in spec[2]:
        found += shapes_of(child)
    return found


cdef tuple floats(const double *data, Py_ssize_t n):
    cdef tuple made = PyTuple_New(n)
    cdef object number
    cdef Py_ssize_t i
    for i in range(n):
        number = data[i]
        Py_INCREF(number)
        PyTuple_SET_ITEM(made, i, number)
    return made


cdef tuple floats_of(const double *slots, list shapes):
    """Give the numbers in the slots of single Values."""
    cdef tuple made = PyTuple_New(len(shapes))
    cdef object number
    cdef Py_ssize_t i
    for i in range(len(shapes)):
        number = slots[(<Shape> shapes[i]).start]
        Py_INCREF(number)
        PyTuple_SET_ITEM(made, i, number)
    return made
