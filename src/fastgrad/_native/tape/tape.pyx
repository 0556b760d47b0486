"""Tape: a recorded program bound to its arguments, its parameters, its plans.

A call takes a frame (two calls at once take two), has _bind put the arguments into its slots, reads
the parameters' data, runs, and gives the frame back. One sample runs the whole program in the scalar
interpreter; a batch runs a plan made for the set of arguments that have a batch axis.
"""

from libc.string cimport memcpy, memset

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.pythread cimport PyThread_get_thread_ident

from fastgrad._native.base.errors cimport described, error_of
from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_with_gil, poll_without_gil
from fastgrad._native.memory.arena cimport node_at
from fastgrad._native.tape.bind cimport (
    Out, Shape, bind_all, bound_prepare, floats, is_number, load_sample, out_from, out_give, out_new,
    rebuild, shapes_of,
)
from fastgrad._native.tape.extract cimport LEAF_PARAMETER, NO_SLOT, Recorded, record_graph
from fastgrad._native.graph.handle cimport HandleLayout
from fastgrad._native.ops.codes cimport OP_TAKE

import operator
import os
import threading

cdef extern from "Python.h":
    bint PyFloat_CheckExact(object o)
    double PyFloat_AS_DOUBLE(object o)
    void *PyTuple_GET_ITEM(tuple o, Py_ssize_t i)

cdef enum:
    SMALL = 2048  # operations of a call that is over before another thread could run
    PLANS_MOST = 64  # kept: sets of batched arguments


cdef unsigned long main_thread = threading.main_thread().ident


def _after_fork():
    """Whoever has forked is the child's main thread."""
    global main_thread
    main_thread = PyThread_get_thread_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


cdef int fail(int result) except -1:
    """Raise what a native result stands for; the error of a stop is set already."""
    if result == TAPE_NO_MEMORY:
        raise MemoryError()
    if result == TAPE_TOO_LARGE:
        raise error_of(
            "FastgradOverflowError", "a tape of at most 2**31 values", "more", "", "record a smaller part")
    return -1


cdef class Plans:
    def __dealloc__(self):
        plan_free(&self.plan)


cdef class Frame(Bound):
    def __dealloc__(self):
        PyMem_RawFree(self.adjoints)
        PyMem_RawFree(self.pointers)
        PyMem_RawFree(self.strides)
        PyMem_RawFree(self.workspace.memory)


cdef Frame frame_new(Program *p):
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


cdef class TapeCore:
    """What `fastgrad.tape.Tape` inherits: see there."""

    def __init__(self, list inputs, list outputs, list arguments, object result):
        cdef uint32_t n = <uint32_t> len(inputs)  # now: signal handlers could change the list
        cdef Recorded recorded = record_graph(inputs, outputs)
        cdef list parameters
        cdef uint32_t leaf
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef int built
        if self.nodes != NULL:
            raise error_of("FastgradTypeError", "a new tape", "one that is recorded already")
        with nogil:
            built = program_build(&recorded.raw, n, &poll, &self.program)
        if built != TAPE_OK:
            fail(built)
        parameters = [None] * self.program.n_parameters
        values = iter(recorded.parameters)
        poll = poll_begin(poll_with_gil)
        for leaf in range(recorded.raw.n_leaves):
            poll_signals(&poll, 1)
            if recorded.raw.leaf_kind[leaf] == LEAF_PARAMETER:
                value = next(values)
                if recorded.raw.leaf_slot[leaf] != NO_SLOT:
                    parameters[recorded.raw.leaf_slot[leaf]] = value
        self.parameters = parameters
        self.adopt(arguments, result)

    cdef int adopt(self, list arguments, object result) except -1:
        """Fill in what follows from the program, the parameters and the shapes."""
        self.captured = tuple(self.parameters)
        self.arguments, self.result = arguments, result
        self.shapes = []
        for spec in arguments:
            self.shapes += shapes_of(spec)
        self.everything = (tuple, None, arguments, None)
        self.weights = [Shape((self.program.n_parameters,), self.program.n_inputs, "parameters")]
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
        raise error_of(
            "FastgradTypeError", "what can be pickled or copied", f"a {type(self).__name__}", "",
            "record its function again, or save it to a file")

    cdef Frame frame_take(self):
        if self.nodes == NULL:
            raise error_of(
                "FastgradTypeError", "a recorded tape", "an empty one", "", "make it with fastgrad.record")
        cdef Frame frame = self.frames.pop() if self.frames else frame_new(&self.program)
        frame.n, frame.arrays = -1, False
        memset(frame.pointers, 0, max(self.program.n_inputs, self.program.n_outputs) * sizeof(double *))
        return frame

    cdef int frame_bind(self, Frame frame, tuple args) except -1:
        bind_all(frame, self.arguments, args)
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
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef int built
        if found is None:
            if len(self.plans) >= PLANS_MOST:
                self.plans.clear()
            found = Plans.__new__(Plans)
            with nogil:
                built = plan_build(&self.program, frame.batched, &poll, &found.plan)
            if built != TAPE_OK:
                fail(built)
            self.plans[mask] = found
        return found

    cdef int bad_index(self, Frame frame) except -1:
        """Raise for the first take that finds no entry."""
        cdef const TapeOp *op
        cdef double index
        cdef Py_ssize_t s
        cdef uint32_t i
        cdef Steps steps
        cdef Poll poll = poll_begin(poll_with_gil)
        steps.program, steps.which, steps.n = &self.program, NULL, self.program.n_ops
        for s in range(max(frame.n, 1)):
            load_sample(frame, s)
            if steps_forward(&steps, frame.values, &poll) == TAPE_STOPPED:
                return -1  # its error is set
            poll_signals(&poll, SAMPLE_STEPS)
            for i in range(self.program.n_ops):
                op = &self.program.ops[i]
                if op.op != OP_TAKE:
                    continue
                index = frame.values[self.program.terms[op.a]]
                if take_entry(index, op.b) < 0:
                    where = f", sample {s}" if frame.n >= 0 else ""
                    got = repr(index).removesuffix(".0")
                    raise error_of(
                        "FastgradIndexError", f"an index of 0 to {op.b - 1}", got, f"index of take{where}")
        raise error_of(
            "FastgradIndexError", "indices of entries", "one of none, which has changed since",
            "index of take")

    cdef int fail(self, Frame frame, int result) except -1:
        """Raise what the result of a run stands for."""
        if result == TAPE_BAD_INDEX:
            self.bad_index(frame)
        return fail(result)

    cdef int perform_single(self, Frame frame, bint reverse) noexcept nogil:
        """Run all operations on one sample, and back from the first output."""
        cdef Steps steps
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef int result
        steps.program, steps.which, steps.n = &self.program, NULL, self.program.n_ops
        result = steps_forward(&steps, frame.values, &poll)
        if reverse and result == TAPE_OK:
            memset(frame.adjoints, 0, program_slots(&self.program) * sizeof(double))
            frame.adjoints[self.program.outputs[0]] = 1.0
            result = steps_reverse(&steps, frame.values, frame.adjoints, &poll)
        return result

    cdef int run_single(self, Frame frame, bint reverse) except -1:
        cdef int result
        if self.program.n_ops <= SMALL:
            result = self.perform_single(frame, reverse)
        else:
            with nogil:
                result = self.perform_single(frame, reverse)
        if result != TAPE_OK:
            self.fail(frame, result)
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
        run.seed, run.threads = 1.0, threads
        # No other thread runs handlers; and a daemon's ends at exit, should it take the GIL: not while
        # helpers use its stack.
        if PyThread_get_thread_ident() == main_thread:
            run.poll = poll_begin(poll_without_gil)
        else:
            run.poll = poll_begin(NULL)
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
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef int result = steps_forward(uniform, frame.values, &poll)
        if run.slot_adjoints != NULL:
            memset(frame.adjoints, 0, program_slots(&self.program) * sizeof(double))
        if result == TAPE_OK:
            result = batch_run(run)
        if result == TAPE_OK and run.slot_adjoints != NULL:
            result = steps_reverse(uniform, frame.values, frame.adjoints, &poll)
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
        if result != TAPE_OK:
            self.fail(frame, result)
        return run.total

    def __call__(self, *args, threads=1, bint check=False):
        """Return the result for one sample, or for each sample of a batch.

        Parameters
        ----------
        *args
            In the structure of the example; a batch has one more leading axis, an argument without it
            is shared.
        threads : int
            That share a batch's samples; they change no bit of the result.
        check : bool
            Look for nan and inf first, with `check`.

        Returns
        -------
        float, list or array
            In the structure of the function's result, with a leading axis for a batch. NumPy arrays
            where an argument was one.

        Raises
        ------
        ShapeError, FastgradTypeError
            If the arguments are not of the example's structure.
        FastgradIndexError
            If an index of `take` names no entry.
        NonFiniteError
            With ``check=True``: the first operation that gives nan or inf.

        Notes
        -----
        Cost: some 0.1 microseconds a call, and 2 to 4 nanoseconds an operation; of a batch, a
        fraction of that for each sample. No graph is built.
        """
        if check:
            self._expect_finite(args)
        cdef Frame frame = self.frame_take()
        cdef Shape shape
        cdef list outs = []
        cdef uint32_t o
        try:
            if self.bind_plain(frame, args):
                self.run_single(frame, False)
                return frame.values[self.program.outputs[0]]
            n_threads = expect_threads(threads)
            self.frame_bind(frame, args)
            if frame.n < 0:
                self.run_single(frame, False)
                if is_number(self.result):
                    return frame.values[self.program.outputs[0]]
            for shape in shapes_of(self.result):
                outs.append(frame_out(frame, shape))
            if frame.n >= 0:
                self.run_batch(frame, 0.0, False, False, n_threads)
            else:
                for o in range(self.program.n_outputs):
                    frame.pointers[o][0] = frame.values[self.program.outputs[o]]
            return rebuild(self.result, outs)
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
        if not is_number(self.result):
            raise error_of(
                "TapeError", "a function that returns one Value", "a structure of Values",
                "gradient of a tape", "record a function that reduces them to one loss")
        return 0

    def backward(self, *args, str reduce="mean", threads=1, bint check=False):
        """Run forward and backward; add the gradient into the parameters' grad; return the loss.

        Parameters
        ----------
        *args, threads, check
            As for a call.
        reduce : "mean" or "sum"
            What is made of a batch's losses: what is returned, and what the gradient is of.

        Returns
        -------
        float

        Raises
        ------
        TapeError
            If the function's result is not one Value; otherwise as for a call. Then no grad has
            changed.

        Notes
        -----
        Like ``loss.backward()`` it adds: call ``optimizer.zero_grad()`` before. The sum over a batch
        is made in one order, whatever the threads and the processor, so its bits are always the same.
        """
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
        """Return the value and its gradient in the parameters or in the inputs; touches no grad.

        Parameters
        ----------
        *args, threads, check
            As for a call.
        reduce : "mean", "sum" or None
            Of a batch: None gives each sample's value and its own gradient.
        wrt : "parameters" or "inputs"
            In the parameters, in the order of ``parameters``; or in the arguments, in their own
            structure. In a batched argument each sample has its gradient.

        Returns
        -------
        (value, gradient)
            A float and, for n parameters, a list or array of n; of n samples with ``reduce=None``
            arrays (n,) and (n, parameters).

        Raises
        ------
        TapeError, FastgradValueError
            If the function's result is not one Value; if `reduce` or `wrt` is none of these.
            Otherwise as for a call.

        Notes
        -----
        Cost: 2 to 5 times that of a call. With ``reduce=None`` each sample runs by itself.
        """
        if check:
            self._expect_finite(args)
        cdef Frame frame = self.frame_take()
        cdef bint inputs = wrt == "inputs"
        cdef list shapes = self.shapes if inputs else self.weights
        cdef object spec = self.everything if inputs else shapes[0]
        cdef Shape shape
        cdef Py_ssize_t i
        cdef double value
        try:
            if not inputs and wrt != "parameters":
                raise error_of("FastgradValueError", '"parameters" or "inputs"', repr(wrt), "wrt")
            if inputs and reduce == "mean" and self.bind_plain(frame, args):
                self.run_single(frame, True)
                return frame.values[self.program.outputs[0]], floats(frame.adjoints, self.program.n_inputs)
            n_threads = expect_threads(threads)
            self.expect_scalar()
            self.frame_bind(frame, args)
            if reduce is None and frame.n >= 0:
                return self.each_sample(frame, shapes, spec)
            outs = self.gradient_outs(frame, shapes)
            value = self.run_gradient(frame, expect_reduce(reduce, True), inputs, n_threads)
            for i, shape in enumerate(shapes):
                if outs[i] is None:
                    outs[i] = out_from(frame.adjoints + shape.start, shape.shape, frame.arrays)
            return value, rebuild(spec, outs)
        finally:
            self.frame_give(frame)

    cdef list gradient_outs(self, Frame frame, list shapes):
        """Make room for what a batch computes sample by sample: None for what its samples share."""
        cdef Shape shape
        cdef list outs = []
        cdef bint batched
        for shape in shapes:
            batched = frame.n >= 0 and shape.size and shape.start < self.program.n_inputs
            outs.append(frame_out(frame, shape) if batched and frame.batched[shape.start] else None)
        return outs

    cdef object each_sample(self, Frame frame, list shapes, object spec):
        """Give the value of each sample and its own gradient: the scalar interpreter in a loop."""
        cdef Py_ssize_t s
        cdef Shape shape
        cdef Out values = out_new((frame.n,), frame.arrays)
        cdef Out out
        cdef Poll poll = poll_begin(poll_with_gil)
        cdef list outs = []
        for shape in shapes:
            outs.append(out_new((frame.n,) + shape.shape, frame.arrays))
        for s in range(frame.n):
            load_sample(frame, s)
            self.run_single(frame, True)
            poll_signals(&poll, self.program.n_ops + SAMPLE_STEPS)
            values.data[s] = frame.values[self.program.outputs[0]]
            for shape, out in zip(shapes, outs):
                memcpy(out.data + s * shape.size, frame.adjoints + shape.start, shape.size * sizeof(double))
        return out_give(values), rebuild(spec, outs)

    def jvp(self, args, tangents):
        """Return the result, and its derivative in a direction: forward mode.

        Parameters
        ----------
        args : tuple
            The arguments, as for a call.
        tangents : tuple
            Of the same structure: how fast each number of the arguments changes. The parameters do
            not change. Either may have a batch axis, or both.

        Returns
        -------
        (result, derivative)
            Both in the structure of the result, with a leading axis for a batch.

        Raises
        ------
        ShapeError
            As for a call, and where the two batches differ in length.
        FastgradTypeError
            As for a call, and where `args` or `tangents` is no tuple.

        Notes
        -----
        Cost: for each sample two sweeps of the scalar interpreter, whatever the number of inputs and
        outputs. What does not change contributes nothing, even where a partial is infinite.
        Griewank and Walther, Evaluating Derivatives (2008), section 3.1.

        Examples
        --------
        >>> import fastgrad as fg
        >>> tape = fg.record(lambda x, y: [x * y, x + y], 0.0, 0.0)
        >>> tape.jvp((3.0, 5.0), (1.0, 0.0))
        ([15.0, 8.0], [5.0, 1.0])
        """
        expect_tuple(args, "args of jvp")
        expect_tuple(tangents, "tangents of jvp")
        cdef Frame at = self.frame_take()
        cdef Frame along = self.frame_take()
        try:
            self.frame_bind(at, args)
            bind_all(along, self.arguments, tangents)
            if at.n >= 0 and along.n >= 0 and at.n != along.n:
                raise error_of(
                    "ShapeError", f"{at.n} samples, as in the arguments", f"{along.n}", "tangents")
            return self.push(at, along)
        finally:
            self.frame_give(along)
            self.frame_give(at)

    cdef tuple push(self, Frame at, Frame along):
        """Run each sample of two bound frames forwards, arguments and tangents."""
        cdef Py_ssize_t n = max(at.n, along.n)
        cdef Py_ssize_t s, e
        cdef bint arrays = at.arrays or along.arrays
        cdef list outs = []
        cdef list slopes = []
        cdef list shapes = shapes_of(self.result)
        cdef Shape shape
        cdef Out out, slope
        cdef Poll poll = poll_begin(poll_with_gil)
        cdef uint32_t slot
        for shape in shapes:
            extents = (n,) + shape.shape if n >= 0 else shape.shape
            outs.append(out_new(extents, arrays and extents))
            slopes.append(out_new(extents, arrays and extents))
        for s in range(max(n, 1)):
            load_sample(at, s)
            load_sample(along, s)
            self.run_tangent(at, along)
            poll_signals(&poll, 2 * self.program.n_ops + SAMPLE_STEPS)
            for shape, out, slope in zip(shapes, outs, slopes):
                for e in range(shape.size):
                    slot = self.program.outputs[shape.start + e]
                    out.data[s * shape.size + e] = at.values[slot]
                    slope.data[s * shape.size + e] = along.adjoints[slot]
        return rebuild(self.result, outs), rebuild(self.result, slopes)

    cdef int run_tangent(self, Frame at, Frame along) except -1:
        """Run one sample; the tangents of all slots are left where `along` has adjoints."""
        cdef Steps steps
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef int result
        steps.program, steps.which, steps.n = &self.program, NULL, self.program.n_ops
        self.run_single(at, False)
        memset(along.adjoints, 0, program_slots(&self.program) * sizeof(double))
        memcpy(along.adjoints, along.values, self.program.n_inputs * sizeof(double))
        with nogil:
            result = steps_tangent(&steps, at.values, along.adjoints, &poll)
        return fail(result) if result != TAPE_OK else 0

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


cdef bint expect_reduce(object reduce, bint none) except? -1:
    """Tell "mean" from "sum"."""
    if reduce == "mean" or none and reduce is None:
        return True
    if reduce != "sum":
        expected = '"mean" or "sum" or None' if none else '"mean" or "sum"'
        raise error_of("FastgradValueError", expected, repr(reduce), "reduce")
    return False


cdef int expect_tuple(object given, str where) except -1:
    if not isinstance(given, tuple):
        raise error_of("FastgradTypeError", "a tuple", described(given), where, "write (x,) for one argument")
    return 0


cdef int expect_threads(object threads) except -1:
    cdef int n
    try:
        n = operator.index(threads)
    except TypeError:  # a float is no number of threads
        raise error_of("FastgradTypeError", "a whole number", described(threads), "threads") from None
    if n < 1:
        raise error_of("FastgradValueError", "at least 1", f"{n}", "threads")
    return n


cdef const Kernels *choose() except NULL:
    """Pick the batch kernels for this processor, or those that FASTGRAD_SIMD names."""
    name = os.environ.get("FASTGRAD_SIMD", "")
    encoded = name.encode()
    cdef const Kernels *kernels = kernels_named(<const char *> encoded if encoded else NULL)
    if kernels == NULL:
        raise error_of(
            "ImportError", "baseline, avx2 or avx512, as this processor has", f"{name!r}", "FASTGRAD_SIMD")
    return kernels


cdef const Kernels *chosen = choose()
SIMD = chosen.name.decode()
