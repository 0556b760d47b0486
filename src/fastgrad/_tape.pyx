"""Tape: a recorded program bound to its arguments, its parameters, its plans.

Layer: above _extract. Cimports it; its companions _tape_*.c do the work (tape.h).

A call takes a frame (two calls at once take two), binds the arguments to input slots, reads the
parameters' data, runs, and gives the frame back. One sample runs the whole program in the scalar
interpreter; a batch runs a plan made for the set of arguments that have a batch axis.
"""

from libc.math cimport isfinite
from libc.string cimport memcpy, memset

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals
from cpython.ref cimport Py_INCREF
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc

from fastgrad._arena cimport node_at
from fastgrad._handle cimport HandleLayout, NOT_A_NUMBER, number_read
from fastgrad._ops cimport OP_AFFINE, OP_CUSTOM, OP_HIDDEN, op_has_parameter, op_name, op_operands
from fastgrad._extract cimport NO_SLOT, Recorded, record_graph

import operator
import os
import sys

cdef extern from "Python.h":
    tuple PyTuple_New(Py_ssize_t n)
    void PyTuple_SET_ITEM(tuple o, Py_ssize_t i, object item)
    bint PyFloat_CheckExact(object o)
    double PyFloat_AS_DOUBLE(object o)
    int check_signals "PyErr_CheckSignals"() noexcept  # here -1 is an answer, its error stays set
    void *PyTuple_GET_ITEM(tuple o, Py_ssize_t i)

cdef enum:
    SMALL = 2048  # operations of a call that is over before another thread could run
    PLANS_MOST = 64  # kept: sets of batched arguments


cdef int poll_signals() noexcept with gil:
    return check_signals()


cdef int fail(int result) except -1:
    """Raise what a native result stands for; the error of a stop is set already."""
    if result == TAPE_NO_MEMORY:
        raise MemoryError()
    if result == TAPE_TOO_LARGE:
        raise OverflowError("expected a tape of at most 2**31 values, got more; record a smaller part")
    return -1


cdef class Shape:
    def __init__(self, tuple shape, Py_ssize_t start, str name):
        self.shape, self.ndim, self.start, self.name = shape, len(shape), start, name
        self.size = 1
        for extent in shape:
            self.size *= extent


cdef class Plans:
    def __dealloc__(self):
        plan_free(&self.plan)


cdef class Buffer:
    """A view of somebody's numbers, or numbers of our own, for as long as a call lasts."""

    cdef Py_buffer view
    cdef bint viewed
    cdef double *own

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


cdef class Frame:
    def __dealloc__(self):
        PyMem_RawFree(self.values)
        PyMem_RawFree(self.adjoints)
        PyMem_RawFree(self.columns)
        PyMem_RawFree(self.batched)
        PyMem_RawFree(self.pointers)
        PyMem_RawFree(self.strides)
        PyMem_RawFree(self.workspace.memory)


cdef Frame frame_new(Program *p):
    cdef Frame frame = Frame.__new__(Frame)
    cdef size_t slots = program_slots(p) + 1
    cdef size_t most = max(p.n_inputs, p.n_outputs) + 1
    frame.program = p
    frame.kept = []
    frame.values = <double *> PyMem_RawCalloc(slots, sizeof(double))
    frame.adjoints = <double *> PyMem_RawCalloc(slots, sizeof(double))
    frame.columns = <InputColumn *> PyMem_RawCalloc(most, sizeof(InputColumn))
    frame.batched = <uint8_t *> PyMem_RawCalloc(most, 1)
    frame.pointers = <double **> PyMem_RawCalloc(most, sizeof(double *))
    frame.strides = <Py_ssize_t *> PyMem_RawCalloc(most, sizeof(Py_ssize_t))
    if (frame.values == NULL or frame.adjoints == NULL or frame.columns == NULL or frame.batched == NULL
            or frame.pointers == NULL or frame.strides == NULL):
        raise MemoryError()
    memcpy(frame.values + p.n_inputs + p.n_parameters, p.constants, p.n_constants * sizeof(double))
    return frame


# Arguments ----------------------------------------------------------------------------------------

cdef int refuse_shape(Shape shape, object got) except -1:
    from fastgrad.errors import ShapeError, explain
    expected = "a number or a sequence of numbers, one for each sample"
    if shape.ndim:
        expected = f"shape {shape.shape}, or {('n',) + shape.shape} for a batch".replace("'", "")
    raise ShapeError(explain(expected, got, shape.name))


cdef int count_samples(Frame frame, Shape shape, Py_ssize_t n) except -1:
    """Note the length of a batch axis, the same for all arguments that have one."""
    if n < 1 or frame.n >= 0 and frame.n != n:
        from fastgrad.errors import ShapeError, explain
        expected = "at least one sample" if n < 1 else f"{frame.n} samples, as in {frame.sized.name}"
        raise ShapeError(explain(expected, f"{n}", shape.name))
    frame.n, frame.sized = n, shape
    return 0


cdef void bind_columns(Frame frame, Shape shape, const double *data, Py_ssize_t stride) noexcept:
    """Bind a batch whose elements lie side by side."""
    cdef Py_ssize_t e
    for e in range(shape.size):
        frame.columns[shape.start + e].data = data + e
        frame.columns[shape.start + e].stride = stride
        frame.batched[shape.start + e] = 1


cdef bint is_double(const char *format) noexcept:
    """Tell whether a format says float64 in this machine's byte order; ctypes says it explicitly."""
    cdef int one = 1
    cdef bint little = (<char *> &one)[0] == 1
    if format[0] == (c"<" if little else c">"):
        format += 1
    return format[0] == c"d" and format[1] == 0


cdef int bind_view(Frame frame, Shape shape, object arg) except -1:
    """Bind float64 numbers in memory without a copy. Returns 0 if they must be converted first."""
    cdef Buffer buffer = Buffer.__new__(Buffer)
    cdef Py_buffer *view = &buffer.view
    cdef Py_ssize_t extra, e, d, left, offset
    cdef const char *at
    try:
        PyObject_GetBuffer(arg, view, PyBUF_STRIDES | PyBUF_FORMAT)
    except (BufferError, ValueError):  # numbers that no buffer describes, such as NumPy's dates
        return 0
    buffer.viewed = True
    extra = view.ndim - shape.ndim
    if view.format == NULL or not is_double(view.format) or <size_t> view.buf % sizeof(double):
        return 0
    if view.ndim and view.strides == NULL:  # as ctypes has it, whatever is asked for
        return 0
    for d in range(view.ndim):
        if view.strides[d] % 8:
            return 0
    if extra < 0 or extra > 1:
        refuse_shape(shape, f"shape {tuple(view.shape[d] for d in range(view.ndim))}")
    for d in range(shape.ndim):
        if view.shape[d + extra] != shape.shape[d]:
            refuse_shape(shape, f"shape {tuple(view.shape[d] for d in range(view.ndim))}")
    if extra:
        count_samples(frame, shape, view.shape[0])
    for e in range(shape.size):
        offset, left = 0, e
        for d in range(shape.ndim - 1, -1, -1):
            offset += left % view.shape[d + extra] * view.strides[d + extra]
            left //= view.shape[d + extra]
        at = <const char *> view.buf + offset
        if extra:
            frame.columns[shape.start + e].data = <const double *> at
            frame.columns[shape.start + e].stride = view.strides[0] // 8
            frame.batched[shape.start + e] = 1
        else:
            frame.values[shape.start + e] = (<const double *> at)[0]
    if extra:
        frame.kept.append(buffer)
    return 1


cdef double *copy_numbers(object o, tuple extents, Py_ssize_t depth, double *to, Shape shape) except NULL:
    """Copy nested sequences of numbers, checking every length; returns where the next would go."""
    cdef double number = 0.0
    if depth == len(extents):
        if number_read(o, &number) == NOT_A_NUMBER:
            from fastgrad.errors import FastgradTypeError, explain
            raise FastgradTypeError(explain("numbers", f"{type(o).__name__} {o!r:.80}", shape.name))
        to[0] = number
        return to + 1
    if not isinstance(o, (list, tuple)):
        o = as_list(o, shape)
    cdef Py_ssize_t left = extents[depth]
    if len(o) != left:
        refuse_shape(shape, f"{len(o)} where {left} belong")
    for item in o:  # reading one may lengthen or shorten the list
        if left == 0:
            break
        to = copy_numbers(item, extents, depth + 1, to, shape)
        left -= 1
    if left or len(o) != extents[depth]:
        refuse_shape(shape, "a list that changed while it was read")
    return to


cdef object as_list(object o, Shape shape):
    if hasattr(o, "tolist"):  # arrays of any kind
        o = o.tolist()
    elif PyObject_CheckBuffer(o) and not isinstance(o, (bytes, bytearray)):
        try:
            o = memoryview(o).tolist()
        except NotImplementedError:  # a format that it cannot read, such as those of ctypes
            o = list(o)
    if not isinstance(o, (list, tuple)):
        refuse_shape(shape, f"{type(o).__name__} {o!r:.80}")
    return o


cdef int bind_copy(Frame frame, Shape shape, object arg) except -1:
    """Bind nested sequences of numbers, or an array of another type."""
    cdef Py_ssize_t depth = 0
    cdef Buffer buffer
    if not isinstance(arg, (list, tuple)):
        arg = as_list(arg, shape)
    first = arg
    while isinstance(first, (list, tuple)) or hasattr(first, "tolist") and getattr(first, "ndim", 0):
        depth += 1
        if not len(first):
            break
        first = first[0]
    if depth == shape.ndim:
        copy_numbers(arg, shape.shape, 0, frame.values + shape.start, shape)
        return 0
    if depth != shape.ndim + 1:
        refuse_shape(shape, f"{depth} levels of nesting" if depth else f"{type(arg).__name__} {arg!r:.80}")
    count_samples(frame, shape, len(arg))
    buffer = buffer_own(frame.n * shape.size)
    copy_numbers(arg, (frame.n,) + shape.shape, 0, buffer.own, shape)
    frame.kept.append(buffer)
    bind_columns(frame, shape, buffer.own, shape.size)
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


cdef int bind(Frame frame, object spec, object arg) except -1:
    """Bind an argument to the slots of its shape."""
    cdef Shape shape
    cdef double number = 0.0
    if type(spec) is Shape:
        shape = <Shape> spec
        if shape.ndim == 0:
            if PyFloat_CheckExact(arg):
                frame.values[shape.start] = PyFloat_AS_DOUBLE(arg)
                return 0
            if not isinstance(arg, (list, tuple)) and number_read(arg, &number) != NOT_A_NUMBER:
                frame.values[shape.start] = number
                return 0
        if is_array(arg):
            frame.arrays = True
        if PyObject_CheckBuffer(arg) and bind_view(frame, shape, arg):
            return 0
        return bind_copy(frame, shape, arg)
    kind, keys, children, name = spec
    if kind is dict:
        if not isinstance(arg, dict) or arg.keys() != set(keys):
            got = f"keys {list(arg)}" if isinstance(arg, dict) else f"{type(arg).__name__} {arg!r:.80}"
            refuse_container(f"a dict with keys {list(keys)}", got, name)
        for key, child in zip(keys, children):
            bind(frame, child, arg[key])
        return 0
    if not isinstance(arg, (list, tuple)) or len(arg) != len(children):
        got = f"{len(arg)}" if isinstance(arg, (list, tuple)) else f"{type(arg).__name__} {arg!r:.80}"
        refuse_container(f"a {kind.__name__} of {len(children)}", got, name)
    for item, child in zip(arg, children):
        bind(frame, child, item)
    return 0


cdef int refuse_container(str expected, str got, str name) except -1:
    from fastgrad.errors import ShapeError, explain
    raise ShapeError(explain(expected, got, name))


# Results ------------------------------------------------------------------------------------------

cdef class Out:
    """Numbers to be filled in: the memory of a new NumPy array, or memory of our own."""

    cdef object array
    cdef Buffer buffer
    cdef double *data
    cdef tuple extents


cdef Out out_new(tuple extents, bint arrays):
    cdef Out out = Out.__new__(Out)
    cdef size_t n = 1
    out.extents = extents
    out.buffer = Buffer.__new__(Buffer)
    if arrays:
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


cdef object out_give(Out out):
    cdef const double *at = out.data
    if out.array is not None:
        return out.array
    return nested(&at, out.extents, 0)


cdef object nested(const double **at, tuple extents, Py_ssize_t depth):
    """Make nested lists of numbers; a float where there is no extent."""
    cdef list made
    cdef double number
    if depth == len(extents):
        number = at[0][0]
        at[0] += 1
        return number
    made = []
    for _ in range(extents[depth]):
        made.append(nested(at, extents, depth + 1))
    return made


cdef object rebuild(object spec, list parts):
    """Put the parts of a result, or of an argument, back into its structure; uses parts up."""
    if type(spec) is Shape:
        return parts.pop(0)
    kind, keys, children, _ = spec
    made = []
    for child in children:
        made.append(rebuild(child, parts))
    if kind is dict:
        return dict(zip(keys, made))
    return kind(made)


cdef list shapes_of(object spec):
    if type(spec) is Shape:
        return [spec]
    found = []
    for child in spec[2]:
        found += shapes_of(child)
    return found


# The tape -----------------------------------------------------------------------------------------

cdef class TapeCore:
    """What `fastgrad.tape.Tape` inherits: see there."""

    def __init__(self, list inputs, list outputs, list arguments, object result):
        cdef Recorded recorded = record_graph(inputs, outputs)
        cdef uint32_t n
        cdef int built
        if self.nodes != NULL:
            raise TypeError("expected a new tape, got one that is recorded already")
        n = <uint32_t> len(inputs)
        with nogil:
            built = program_build(&recorded.raw, n, poll_signals, &self.program)
        if built != TAPE_OK:
            fail(built)
        self.parameters = [None] * self.program.n_parameters
        for leaf, value in recorded.parameters:
            if recorded.raw.leaf_slot[<uint32_t> leaf] != NO_SLOT:
                self.parameters[recorded.raw.leaf_slot[<uint32_t> leaf]] = value
        self.adopt(arguments, result)

    cdef int adopt(self, list arguments, object result) except -1:
        """Fill in what follows from the program, the parameters and the shapes."""
        self.captured = tuple(self.parameters)
        self.arguments, self.result = arguments, result
        self.shapes = []
        for spec in arguments:
            self.shapes += shapes_of(spec)
        self.plain = is_number(result)
        for spec in arguments:
            self.plain = self.plain and is_number(spec)
        self.frames, self.plans = [], {}
        self.kernels = chosen
        self.nodes = <Node **> PyMem_RawCalloc(self.program.n_parameters + 1, sizeof(Node *))
        if self.nodes == NULL:  # last: a tape without is refused by frame_take
            raise MemoryError()
        return self.nodes_find()

    def __dealloc__(self):
        program_free(&self.program)
        PyMem_RawFree(self.nodes)

    def __len__(self):
        return self.program.n_ops

    def __reduce__(self):
        raise TypeError(f"cannot pickle or copy a {type(self).__name__}; record its function again")

    cdef Frame frame_take(self):
        if self.nodes == NULL:
            raise TypeError("expected a recorded tape, got an empty one; make it with fastgrad.record")
        cdef Frame frame = self.frames.pop() if self.frames else frame_new(&self.program)
        frame.n, frame.arrays = -1, False
        memset(frame.pointers, 0, max(self.program.n_inputs, self.program.n_outputs) * sizeof(double *))
        return frame

    cdef int frame_bind(self, Frame frame, tuple args) except -1:
        cdef Py_ssize_t i
        if len(args) != len(self.arguments):
            raise TypeError(f"expected {len(self.arguments)} argument(s), as recorded, got {len(args)}")
        memset(frame.batched, 0, self.program.n_inputs)
        for i in range(len(args)):
            bind(frame, self.arguments[i], args[i])
        return self.load_parameters(frame)

    cdef bint bind_plain(self, Frame frame, tuple args) noexcept:
        """Bind floats to a tape of numbers, the case worth a path of its own; False for anything else."""
        cdef Py_ssize_t i
        if not self.plain or len(args) != <Py_ssize_t> self.program.n_inputs:
            return False
        for i in range(len(args)):
            if not PyFloat_CheckExact(<object> PyTuple_GET_ITEM(args, i)):
                return False
            frame.values[i] = PyFloat_AS_DOUBLE(<object> PyTuple_GET_ITEM(args, i))
        return self.load_parameters(frame) == 0

    cdef int nodes_find(self) except -1:
        """Find the parameters' nodes: one that was made without `__init__` may get another."""
        cdef uint32_t i
        for i in range(self.program.n_parameters):
            self.nodes[i] = node_at((<HandleLayout *> PyTuple_GET_ITEM(self.captured, i)).id)
        return 0

    cdef int load_parameters(self, Frame frame) except -1:
        cdef double *to = frame.values + self.program.n_inputs
        cdef uint32_t i
        self.nodes_find()
        for i in range(self.program.n_parameters):
            to[i] = self.nodes[i].data
        return 0

    cdef Plans plan_for(self, Frame frame):
        cdef bytes mask = (<char *> frame.batched)[:self.program.n_inputs]
        cdef Plans found = self.plans.get(mask)
        cdef int built
        if found is None:
            if len(self.plans) >= PLANS_MOST:
                self.plans.clear()
            found = Plans.__new__(Plans)
            with nogil:
                built = plan_build(&self.program, frame.batched, poll_signals, &found.plan)
            if built != TAPE_OK:
                fail(built)
            self.plans[mask] = found
        return found

    cdef int bad_index(self, Frame frame) except -1:
        """Raise for the first take that finds no entry."""
        from fastgrad.errors import FastgradIndexError, explain
        cdef const TapeOp *op
        cdef double index
        cdef Py_ssize_t s, e
        cdef uint32_t i
        cdef Steps steps
        steps.program, steps.which, steps.n = &self.program, NULL, self.program.n_ops
        for s in range(max(frame.n, 1)):
            for e in range(self.program.n_inputs):
                if frame.n >= 0 and frame.batched[e]:  # else that is an earlier call's
                    frame.values[e] = frame.columns[e].data[s * frame.columns[e].stride]
            steps_forward(&steps, frame.values, NULL)
            PyErr_CheckSignals()
            for i in range(self.program.n_ops):
                op = &self.program.ops[i]
                if op.op != OP_CUSTOM:
                    continue
                index = frame.values[self.program.terms[op.a]]
                if take_entry(index, op.b) < 0:
                    where = f", sample {s}" if frame.n >= 0 else ""
                    got = repr(index).removesuffix(".0")
                    raise FastgradIndexError(explain(
                        f"an index of 0 to {op.b - 1}", got, f"index of take{where}"))
        raise FastgradIndexError(explain(
            "indices of entries", "one of none, which has changed since", "index of take"))

    cdef int perform_single(self, Frame frame, bint reverse) noexcept nogil:
        """Run all operations on one sample, and back from the first output."""
        cdef Steps steps
        cdef int result
        steps.program, steps.which, steps.n = &self.program, NULL, self.program.n_ops
        result = steps_forward(&steps, frame.values, poll_signals)
        if reverse and result == TAPE_OK:
            memset(frame.adjoints, 0, program_slots(&self.program) * sizeof(double))
            frame.adjoints[self.program.outputs[0]] = 1.0
            result = steps_reverse(&steps, frame.values, frame.adjoints, poll_signals)
        return result

    cdef int run_single(self, Frame frame, bint reverse) except -1:
        cdef int result
        if self.program.n_ops <= SMALL:
            result = self.perform_single(frame, reverse)
        else:
            with nogil:
                result = self.perform_single(frame, reverse)
        if result == TAPE_BAD_INDEX:
            self.bad_index(frame)
        if result != TAPE_OK:
            fail(result)
        return 0

    cdef int prepare(
            self, Frame frame, BatchRun *run, Steps *uniform, bint reverse, bint inputs,
            int threads) except -1:
        """Describe a run over a bound frame; frame.pointers say where its results or gradients go."""
        cdef Plans plans = self.plan_for(frame)
        frame.plans = plans
        memset(run, 0, sizeof(run[0]))
        run.plan, run.kernels, run.workspace = &plans.plan, self.kernels, &frame.workspace
        run.inputs, run.n, run.slots = frame.columns, frame.n, frame.values
        run.seed, run.threads, run.poll = 1.0, threads, poll_signals
        if reverse:
            run.slot_adjoints = frame.adjoints
            if inputs:
                run.input_grads, run.grad_strides = frame.pointers, frame.strides
        else:
            run.outputs, run.output_strides = frame.pointers, frame.strides
        uniform.program, uniform.which, uniform.n = &self.program, plans.plan.uniform, plans.plan.n_uniform
        return 0

    cdef int perform(self, Frame frame, BatchRun *run, const Steps *uniform) noexcept nogil:
        """Run a batch: what all samples share, the samples, and back."""
        cdef int result = steps_forward(uniform, frame.values, poll_signals)
        if run.slot_adjoints != NULL:
            memset(frame.adjoints, 0, program_slots(&self.program) * sizeof(double))
        if result == TAPE_OK:
            result = batch_run(run)
        if result == TAPE_OK and run.slot_adjoints != NULL:
            result = steps_reverse(uniform, frame.values, frame.adjoints, poll_signals)
        return result

    cdef double run_batch(
            self, Frame frame, double seed, bint reverse, bint inputs, int threads) except? -1.0:
        """Run a batch, and give the sum of its first output."""
        cdef BatchRun run
        cdef Steps uniform
        cdef int result
        self.prepare(frame, &run, &uniform, reverse, inputs, threads)
        run.seed = seed
        with nogil:
            result = self.perform(frame, &run, &uniform)
        if result == TAPE_BAD_INDEX:
            self.bad_index(frame)
        if result != TAPE_OK:
            fail(result)
        return run.total

    def __call__(self, *args, threads=1, bint check=False):
        """Return the result for one sample, or for each sample of a batch."""
        if check:
            self._expect_finite(args)
        cdef Frame frame = self.frame_take()
        cdef Shape shape
        cdef list outs = []
        cdef Out out
        cdef Py_ssize_t e, o
        try:
            if self.bind_plain(frame, args):
                self.run_single(frame, False)
                return frame.values[self.program.outputs[0]]
            n_threads = expect_threads(threads)
            self.frame_bind(frame, args)
            if frame.n < 0:
                self.run_single(frame, False)
                if type(self.result) is Shape and (<Shape> self.result).ndim == 0:
                    return frame.values[self.program.outputs[0]]
            for shape in shapes_of(self.result):
                out = out_new((frame.n,) + shape.shape if frame.n >= 0 else shape.shape, frame.arrays)
                for e in range(shape.size):
                    o = shape.start + e
                    if frame.n < 0:
                        out.data[e] = frame.values[self.program.outputs[o]]
                    frame.pointers[o], frame.strides[o] = out.data + e, shape.size
                outs.append(out)
            if frame.n >= 0:
                self.run_batch(frame, 0.0, False, False, n_threads)
            return rebuild(self.result, gives(outs))
        finally:
            self.frame_give(frame)

    cdef int frame_give(self, Frame frame) except -1:
        frame.sized = None
        try:
            if frame.kept:
                frame.kept = []
            self.frames.append(frame)
        except MemoryError:  # it is dropped: what the call has done stands
            pass
        return 0

    cdef int expect_scalar(self) except -1:
        if type(self.result) is not Shape or (<Shape> self.result).ndim:
            from fastgrad.errors import TapeError, explain
            raise TapeError(explain(
                "a function that returns one Value", "a structure of Values", "gradient of a tape",
                "record a function that reduces them to one loss"))
        return 0

    def backward(self, *args, str reduce="mean", threads=1, bint check=False):
        """Run forward and backward; add the gradient into the parameters' grad; return the loss."""
        if check:
            self._expect_finite(args)
        cdef Frame frame = self.frame_take()
        cdef double value
        cdef uint32_t i
        cdef const double *adjoints
        try:
            n_threads = expect_threads(threads)
            self.expect_scalar()
            self.frame_bind(frame, args)
            value = self.run_gradient(frame, expect_reduce(reduce, False), False, n_threads)
            result = value  # a float, made before anything is changed
            adjoints = frame.adjoints + self.program.n_inputs
            self.nodes_find()
            for i in range(self.program.n_parameters):
                self.nodes[i].grad += adjoints[i]
            return result
        finally:
            self.frame_give(frame)

    cdef double run_gradient(self, Frame frame, bint mean, bint inputs, int threads) except? -1.0:
        """Give the value of one sample, or the mean or sum of a batch; adjoints are in the frame."""
        if frame.n < 0:
            self.run_single(frame, True)
            return frame.values[self.program.outputs[0]]
        cdef double scale = 1.0 / <double> frame.n if mean else 1.0
        return self.run_batch(frame, scale, True, inputs, threads) * scale

    def value_and_grad(self, *args, reduce="mean", str wrt="parameters", threads=1, bint check=False):
        """Return the value and its gradient in the parameters or in the inputs; touches no grad."""
        if check:
            self._expect_finite(args)
        cdef Frame frame = self.frame_take()
        cdef bint inputs = wrt == "inputs"
        cdef double value
        cdef Out out
        try:
            if not inputs and wrt != "parameters":
                from fastgrad.errors import FastgradValueError, explain
                raise FastgradValueError(explain('"parameters" or "inputs"', repr(wrt), "wrt"))
            if inputs and reduce == "mean" and self.bind_plain(frame, args):
                self.run_single(frame, True)
                return frame.values[self.program.outputs[0]], floats(frame.adjoints, self.program.n_inputs)
            n_threads = expect_threads(threads)
            self.expect_scalar()
            self.frame_bind(frame, args)
            if reduce is None and frame.n >= 0:
                return self.each_sample(frame, inputs)
            outs = self.input_outs(frame) if inputs else None
            value = self.run_gradient(frame, expect_reduce(reduce, True), inputs, n_threads)
            if inputs:
                return value, self.input_grads(frame, outs)
            out = out_new((self.program.n_parameters,), frame.arrays)
            memcpy(out.data, frame.adjoints + self.program.n_inputs,
                   self.program.n_parameters * sizeof(double))
            return value, out_give(out)
        finally:
            self.frame_give(frame)

    cdef list input_outs(self, Frame frame):
        """Make room for the gradient in each argument; a batch's is written as it is computed."""
        cdef Shape shape
        cdef Out out
        cdef list outs = []
        cdef Py_ssize_t e
        for shape in self.shapes:
            if shape.ndim == 0 and frame.n < 0:  # a float, made from the adjoint itself
                outs.append(None)
                continue
            if shape.size and frame.batched[shape.start]:
                out = out_new((frame.n,) + shape.shape, frame.arrays)
                for e in range(shape.size):
                    frame.pointers[shape.start + e] = out.data + e
                    frame.strides[shape.start + e] = shape.size
            else:
                out = out_new(shape.shape, frame.arrays and shape.ndim)
            outs.append(out)
        return outs

    cdef object input_grads(self, Frame frame, list outs):
        cdef Shape shape
        cdef Out out
        cdef list parts = []
        cdef list made = []
        for shape, o in zip(self.shapes, outs):
            if o is None:
                parts.append(frame.adjoints[shape.start])
                continue
            out = o
            if not (shape.size and frame.batched[shape.start]):
                memcpy(out.data, frame.adjoints + shape.start, shape.size * sizeof(double))
            parts.append(out_give(out))
        for spec in self.arguments:
            made.append(rebuild(spec, parts))
        return tuple(made)

    cdef object each_sample(self, Frame frame, bint inputs):
        """Give the value of each sample and its own gradient: the scalar interpreter in a loop."""
        cdef Py_ssize_t s, e
        cdef Shape shape
        cdef Out out
        cdef Out values = out_new((frame.n,), frame.arrays)
        cdef Out grads = out_new((frame.n, self.program.n_parameters), frame.arrays)
        cdef list outs = []
        if inputs:
            for shape in self.shapes:
                outs.append(out_new((frame.n,) + shape.shape, frame.arrays))
        for s in range(frame.n):
            for e in range(self.program.n_inputs):
                if frame.batched[e]:
                    frame.values[e] = frame.columns[e].data[s * frame.columns[e].stride]
            self.run_single(frame, True)
            if s % 1024 == 0 or self.program.n_ops > SMALL:
                PyErr_CheckSignals()
            values.data[s] = frame.values[self.program.outputs[0]]
            if not inputs:
                memcpy(grads.data + s * self.program.n_parameters, frame.adjoints + self.program.n_inputs,
                       self.program.n_parameters * sizeof(double))
            for shape, o in zip(self.shapes, outs):
                out = o
                memcpy(out.data + s * shape.size, frame.adjoints + shape.start, shape.size * sizeof(double))
        if not inputs:
            return out_give(values), out_give(grads)
        parts, made = gives(outs), []
        for spec in self.arguments:
            made.append(rebuild(spec, parts))
        return out_give(values), tuple(made)

    def _first_nonfinite(self, tuple args):
        """Find the first sample and operation whose result is nan or inf: (sample, operation, values of
        its operands, result), sample -1 if no argument has a batch axis; None if all are finite."""
        cdef Frame frame = self.frame_take()
        cdef Py_ssize_t s, e
        cdef uint32_t i
        cdef uint32_t leaves = program_leaves(&self.program)
        cdef list operands = []
        try:
            self.frame_bind(frame, args)
            for s in range(max(frame.n, 1)):
                for e in range(self.program.n_inputs):
                    if frame.batched[e]:
                        frame.values[e] = frame.columns[e].data[s * frame.columns[e].stride]
                self.run_single(frame, False)
                PyErr_CheckSignals()
                for i in range(self.program.n_ops):
                    if isfinite(frame.values[leaves + i]):
                        continue
                    for slot in self._operation(i)[1]:
                        operands.append(frame.values[<uint32_t> slot])
                    return s if frame.n >= 0 else -1, i, operands, frame.values[leaves + i]
            return None
        finally:
            self.frame_give(frame)

    # What tape.py shows ---------------------------------------------------------------------------

    def _sizes(self):
        """Give n_inputs, n_parameters, n_constants, n_ops, n_recorded, n_fused."""
        cdef uint32_t i
        cdef uint32_t fused = 0
        cdef Program *p = &self.program
        for i in range(p.n_ops):
            fused += p.ops[i].op == OP_AFFINE
        return p.n_inputs, p.n_parameters, p.n_constants, p.n_ops, p.n_recorded, fused

    def _operation(self, uint32_t i):
        """Give name, operand slots and source of an operation."""
        cdef const TapeOp *op = &self.program.ops[i]
        cdef list slots = []
        cdef uint32_t t
        if op.op > OP_HIDDEN:
            slots.append(op.a)
            if op_operands[op.op] == 2 or op_has_parameter[op.op]:
                slots.append(op.b)
        else:
            for t in range(1 + op.b * (2 if op.op == OP_AFFINE else 1)):
                slots.append(self.program.terms[op.a + t])
        name = "take" if op.op == OP_CUSTOM else "dot" if op.op == OP_AFFINE else op_name[op.op].decode()
        return name, slots, self.program.sources[i]

    def _constant(self, uint32_t i):
        return self.program.constants[i]

    def _outputs(self):
        cdef list slots = []
        cdef uint32_t o
        for o in range(self.program.n_outputs):
            slots.append(self.program.outputs[o])
        return slots

    def _shapes(self):
        return self.shapes

    def _plan(self, bytes batched):
        """Describe the plan for a mask of batched inputs."""
        cdef Frame frame = self.frame_take()
        cdef Plans plans
        memcpy(frame.batched, <const char *> batched, self.program.n_inputs)
        plans = self.plan_for(frame)
        self.frame_give(frame)
        cdef const Plan *p = &plans.plan
        return {"uniform": p.n_uniform, "steps": p.n_steps, "layers": p.n_layers, "rows": p.n_rows,
                "ports": p.n_ports, "block": p.block}

    @property
    def nbytes(self):
        """Bytes of native memory: the program, its plans, the frames kept for the next call."""
        cdef Plans plans
        cdef Frame frame
        cdef size_t total = program_bytes(&self.program) + self.program.n_parameters * sizeof(Node *)
        for plans in self.plans.values():
            total += plan_bytes(&plans.plan)
        for frame in self.frames:
            total += 2 * program_slots(&self.program) * sizeof(double) + frame.workspace.size * sizeof(double)
        return total


cdef bint is_number(object spec) noexcept:
    return type(spec) is Shape and (<Shape> spec).ndim == 0


cdef tuple floats(const double *data, Py_ssize_t n):
    cdef tuple made = PyTuple_New(n)
    cdef object number
    cdef Py_ssize_t i
    for i in range(n):
        number = data[i]
        Py_INCREF(number)
        PyTuple_SET_ITEM(made, i, number)
    return made


cdef bint expect_reduce(object reduce, bint none) except? -1:
    """Tell "mean" from "sum"."""
    if reduce == "mean" or none and reduce is None:
        return True
    if reduce != "sum":
        from fastgrad.errors import FastgradValueError, explain
        expected = '"mean" or "sum" or None' if none else '"mean" or "sum"'
        raise FastgradValueError(explain(expected, repr(reduce), "reduce"))
    return False


cdef int expect_threads(object threads) except -1:
    cdef int n = operator.index(threads)  # a float is no number of threads
    if n < 1:
        from fastgrad.errors import FastgradValueError, explain
        raise FastgradValueError(explain("at least 1", f"{n}", "threads"))
    return n


cdef list gives(list outs):
    cdef list parts = []
    for out in outs:
        parts.append(out_give(<Out> out))
    return parts


cdef const Kernels *choose() except NULL:
    """Pick the batch kernels for this processor, or those that FASTGRAD_SIMD names."""
    name = os.environ.get("FASTGRAD_SIMD", "")
    encoded = name.encode()
    cdef const Kernels *kernels = kernels_named(<const char *> encoded if encoded else NULL)
    if kernels == NULL:
        raise ImportError(
            f"expected FASTGRAD_SIMD to be baseline, avx2 or avx512, as this processor has, got {name!r}")
    return kernels


cdef const Kernels *chosen = choose()
SIMD = chosen.name.decode()
