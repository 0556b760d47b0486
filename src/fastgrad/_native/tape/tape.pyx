"""Tape: what people do with a recorded program: call it, differentiate it.

Each verb takes a frame of its replay, binds the arguments, runs, and gives the frame back.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memset

from fastgrad._native.base.errors cimport described, error_of, flag_expect, shown
from fastgrad._native.tape.append cimport append
from fastgrad._native.tape.bind cimport (
    Out, Shape, bind_all, bind_tangents, expect_numbers, floats, floats_of, is_number, out_from, out_give,
    out_new, rebuild, shapes_of,
)
from fastgrad._native.tape.frame cimport Frame, frame_gradient, frame_result, frame_widen
from fastgrad._native.tape.header cimport DrawKey, program_arguments
from fastgrad._native.tape.inspect cimport expect_decided, expect_finite
from fastgrad._native.tape.replay cimport CachedPlan
from fastgrad._native.tape.wrt cimport Want

import operator


cdef bint expect_reduce(object reduce, bint none) except? -1:
    """Tell "mean" from "sum"."""
    if none and reduce is None:
        return True
    if not isinstance(reduce, str) or reduce not in ("mean", "sum"):
        expected = '"mean" or "sum" or None' if none else '"mean" or "sum"'
        raise error_of("FastgradValueError", expected, shown(reduce), "reduce")
    return reduce == "mean"


cdef int expect_tuple(object given, str where) except -1:
    if not isinstance(given, tuple):
        raise error_of("FastgradTypeError", "a tuple", described(given), where, "write (x,) for one argument")
    return 0


cdef object ONE = 1


cdef int expect_threads(object threads) except -1:
    cdef int n
    if threads is ONE:  # the default: nearly always
        return 1
    try:
        n = operator.index(threads)
    except TypeError:  # a float is no number of threads
        raise error_of("FastgradTypeError", "a whole number", described(threads), "threads") from None
    except OverflowError:
        raise error_of("FastgradOverflowError", "at most 2147483647", shown(threads), "threads") from None
    if n < 1:
        raise error_of("FastgradValueError", "at least 1", f"{n}", "threads")
    return n


cdef int executors_used = 0  # blocks of fastgrad.parallel.using that are open, in any thread


def use_executors(int more):
    """Count the blocks in which batches are computed elsewhere."""
    global executors_used
    executors_used += more


cdef object elsewhere = None  # has a batch computed by an executor; NotImplemented: nobody is to


def set_elsewhere(function):
    """Say what computes batches for which there is an executor: this module comes below it."""
    global elsewhere
    elsewhere = function


cdef class TapeCore(Replay):
    """What `fastgrad.tape.Tape` inherits: see there."""

    def __call__(self, *args, threads=1, check=False, executor=None):
        """Return the result for one sample, or for each sample of a batch.

        Parameters
        ----------
        *args
            In the structure of the example; a batch has one more leading axis, an argument without it
            is shared. Or one sample of Values and numbers.
        threads : int
            That share a batch's samples; they change no bit of the result.
        check : bool
            Look for nan and inf first, with `check`: in the result, and in the gradient that is asked for.
        executor : object, optional
            What computes a batch, with the same bits: anything with submit, see `fastgrad.parallel`.

        Returns
        -------
        float, list or array
            In the structure of the function's result, with a leading axis for a batch. NumPy arrays
            where an argument was one. Values, if an argument is or holds one: the tape's operations
            join the graph, its parameters as operands.

        Raises
        ------
        ShapeError, FastgradTypeError
            If the arguments are not of the example's structure, or Values come with a batch.
        ZeroDivisionError, OverflowError, ValueError
            With Values only: where the function itself raises.
        FastgradIndexError
            If an index of `take` names no entry.
        NonFiniteError
            With ``check=True``, if a result is nan or inf, or a gradient: the message names the
            operation that made it. Of a tape that has ``decisions`` always, if a result is: the
            error lists them.

        Notes
        -----
        Cost: some 0.1 microseconds a call, and 2 to 4 nanoseconds an operation; of a batch, a
        fraction of that for each sample. No graph is built, but for Values: some 25 nanoseconds and
        32 bytes an operation.
        """
        if check is not False and flag_expect(check, "check"):
            expect_finite(self, args, None)
        cdef object found = NotImplemented
        if executor is not None or executors_used:
            found = elsewhere(self, "call", args, executor, threads=threads)
        if found is not NotImplemented:
            return expect_decided(self, args, NULL, found) if self.decisions else found
        cdef Frame frame = self.frame_take()
        cdef DrawKey drawn
        try:
            n_threads = expect_threads(threads)
            if self.frame_bind_plain(frame, args):
                self.draws_begin(frame, NULL, True)
                self.run_single(frame, None)
                result = frame.values[self.program.outputs[0]]
            else:
                self.frame_bind_values(frame, args)
                self.draws_begin(frame, NULL, True)
                if frame.given is not None:
                    result = append(self, frame)
                else:
                    result = self.results(frame, n_threads)
            drawn = frame.draws
        finally:
            self.frame_give(frame)
        return expect_decided(self, args, &drawn, result) if self.decisions else result

    cdef object results(self, Frame frame, int threads):
        """Run a bound frame forwards, and give the result in its structure."""
        cdef Shape shape
        cdef Out out
        cdef list outs = []
        cdef const double *values
        cdef const uint32_t *slots
        cdef Py_ssize_t o
        if frame.n < 0:
            self.run_single(frame, None)
            if is_number(self.result):
                return frame.values[self.program.outputs[0]]
            values = frame.values
            for shape in shapes_of(self.result):
                out = out_new(shape.shape, frame.arrays)
                slots = self.program.outputs + shape.start
                for o in range(shape.size):
                    out.data[o] = values[slots[o]]
                outs.append(out)
        else:
            for shape in shapes_of(self.result):
                outs.append(frame_result(frame, shape))
            self.run_batch(frame, self.plan_for(frame, self.want("parameters")), 0.0, False, threads)
        return rebuild(self.result, outs)

    def backward(self, *args, reduce="mean", threads=1, check=False, executor=None):
        """Run forward and backward; add the gradient into the parameters' grad; return the loss.

        Parameters
        ----------
        *args, threads, check, executor
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
        FastgradTypeError
            If an argument is or holds a Value: call the tape, which gives a Value with a graph.

        Notes
        -----
        Like ``loss.backward()`` it adds: call ``optimizer.zero_grad()`` before. The sum over a batch
        is made in one order, whatever the threads and the processor, so its bits are always the same.
        """
        if check is not False and flag_expect(check, "check"):
            expect_finite(self, args, "parameters")
        cdef object found = NotImplemented
        if executor is not None or executors_used:
            found = elsewhere(self, "backward", args, executor, reduce=reduce, threads=threads)
        if found is not NotImplemented:
            return expect_decided(self, args, NULL, found) if self.decisions else found
        cdef Frame frame = self.frame_take()
        cdef object value  # a float, made before anything is changed
        try:
            n_threads = expect_threads(threads)
            self.expect_scalar()
            self.frame_bind(frame, args)
            self.draws_begin(frame, NULL, True)
            value = self.run_gradient(
                frame, expect_reduce(reduce, False), self.want("parameters"), n_threads)
            if self.decisions:
                expect_decided(self, args, &frame.draws, value)
            self.gradient_add(frame)
            return value
        finally:
            self.frame_give(frame)

    cdef double run_gradient(self, Frame frame, bint mean, Want want, int threads) except? -1.0:
        """Give the value of one sample, or the mean or sum of a batch; adjoints are in the frame."""
        if frame.n < 0:
            self.run_single(frame, want)
            return frame.values[self.program.outputs[0]]
        cdef double scale = 1.0 / <double> frame.n if mean else 1.0
        return self.run_batch(frame, self.plan_for(frame, want), scale, True, threads) * scale

    def value_and_grad(
            self, *args, reduce="mean", wrt="parameters", threads=1, check=False, executor=None):
        """Return the value and its gradient in the parameters or in arguments; touches no grad.

        Parameters
        ----------
        *args, threads, check, executor
            As for a call.
        reduce : "mean", "sum" or None
            Of a batch: None gives each sample's value and its own gradient.
        wrt : str, int, Value, or a list or tuple of these
            What the gradient is in: "parameters", in the order of ``parameters``; "inputs", all
            arguments; the name or the position of one argument; a parameter itself. An argument's
            gradient has its structure; in a batched one each sample has its own. An argument that
            is called "inputs" or "parameters" is reached by position.

        Returns
        -------
        (value, gradient)
            A float and, for n parameters, a list or array of n, for one Value a float, for a list
            or tuple a tuple of the gradients of its items. With ``reduce=None`` values and gradients
            have an axis of n samples more.

        Raises
        ------
        TapeError, FastgradValueError
            If the function's result is not one Value; if `reduce` or `wrt` is none of these, or
            `wrt` names something twice. Otherwise as for `backward`.

        Notes
        -----
        Cost: 2 to 5 times that of a call; only what leads to `wrt` is swept. With ``reduce=None``
        much the same where `wrt` has a batch axis; by parameters, and arguments that are shared, a row
        of memory for each of them. A sample's gradient has the bits that it has by itself.
        """
        if check is not False and flag_expect(check, "check"):
            expect_finite(self, args, wrt)
        cdef object found = NotImplemented
        if executor is not None or executors_used:
            found = elsewhere(
                self, "value_and_grad", args, executor, reduce=reduce, wrt=wrt, threads=threads)
        if found is not NotImplemented:
            if self.decisions:
                expect_decided(self, args, NULL, found[0])
            return found
        cdef Frame frame = self.frame_take()
        cdef Want want
        cdef DrawKey drawn
        cdef tuple result
        try:
            want = self.want(wrt)
            n_threads = expect_threads(threads)
            if type(wrt) is str and wrt == "inputs" and reduce == "mean" and \
                    self.frame_bind_plain(frame, args):
                self.draws_begin(frame, NULL, True)
                self.run_single(frame, want)
                result = (
                    frame.values[self.program.outputs[0]],
                    floats(frame.adjoints, program_arguments(&self.program)))
            else:
                self.expect_scalar()
                self.frame_bind(frame, args)
                self.draws_begin(frame, NULL, True)
                if reduce is None and frame.n >= 0:
                    result = self.gradient_of_each(frame, want, n_threads)
                else:
                    result = self.gradient(frame, expect_reduce(reduce, True), want, n_threads)
            drawn = frame.draws
        finally:
            self.frame_give(frame)
        if self.decisions:
            expect_decided(self, args, &drawn, result[0])
        return result

    cdef tuple gradient(self, Frame frame, bint mean, Want want, int threads):
        """Run a bound frame forwards and back, and give the value and the gradient in its structure."""
        cdef list outs = None if want.single_values else self.gradient_outs(frame, want.shapes)
        cdef double value = self.run_gradient(frame, mean, want, threads)
        cdef Shape shape
        cdef Py_ssize_t i
        if want.single_values:
            return value, floats_of(frame.adjoints, want.shapes)
        for i, shape in enumerate(want.shapes):
            if outs[i] is None:
                outs[i] = out_from(frame.adjoints + shape.start, shape.shape, frame.arrays)
        return value, rebuild(want.spec, outs)

    cdef list gradient_outs(self, Frame frame, list shapes):
        """Make room for what a batch computes sample by sample: None for what its samples share."""
        cdef Shape shape
        cdef list outs = []
        cdef bint batched
        for shape in shapes:
            batched = frame.n >= 0 and shape.size and shape.start < self.program.n_inputs
            outs.append(frame_gradient(frame, shape) if batched and frame.batched[shape.start] else None)
        return outs

    cdef tuple gradient_of_each(self, Frame frame, Want want, int threads):
        """Give the value of each sample and its own gradient, also by what all of them share."""
        cdef CachedPlan cached = self.plan_for_each(frame, want)
        cdef Out values = out_new((frame.n,), frame.arrays)
        cdef list outs = []
        cdef Shape shape
        cdef Py_ssize_t slot
        if want.parameters:
            frame_widen(frame, self.program.n_inputs + self.program.n_parameters)
        for shape in want.shapes:
            outs.append(frame_gradient(frame, shape))
            if shape.size and not (shape.start < self.program.n_inputs and frame.batched[shape.start]):
                for slot in range(shape.start, shape.start + shape.size):
                    frame.columns[slot].data, frame.columns[slot].stride = frame.values + slot, 0
        frame.outputs[0], frame.output_strides[0] = values.data, 1
        self.run_batch(frame, cached, 1.0, True, threads)
        return out_give(values), rebuild(want.spec, outs)

    def jvp(self, args, tangents, *, wrt="inputs", threads=1):
        """Return the result, and its derivative in a direction: forward mode.

        Parameters
        ----------
        args : tuple
            The arguments, as for a call.
        tangents : tuple
            Of the same structure: how fast each number of the arguments changes. Arguments, tangents
            or both may have a batch axis.
        wrt : str, int, Value, or a list or tuple of these
            What changes, as for `value_and_grad`: then `tangents` has the structure of that gradient,
            and all else does not change.
        threads : int
            As for a call.

        Returns
        -------
        (result, derivative)
            Both in the structure of the result, with a leading axis for a batch.

        Raises
        ------
        ShapeError
            As for a call, and where the two batches differ in length.
        FastgradTypeError
            As for `backward`, and where `args` or `tangents` is no tuple.
        FastgradValueError
            If `wrt` names nothing, or something twice.

        Notes
        -----
        Cost: 2 to 3 times that of a call, whatever the number of inputs and outputs. As in
        reverse mode, 0 times an infinite partial is 0. A sample's derivative has the bits that it has by
        itself.
        Griewank and Walther, Evaluating Derivatives (2008), section 3.1.

        Examples
        --------
        >>> import fastgrad as fg
        >>> tape = fg.record(lambda x, y: [x * y, x + y], 0.0, 0.0)
        >>> tape.jvp((3.0, 5.0), (1.0, 0.0))
        ([15.0, 8.0], [5.0, 1.0])
        """
        expect_tuple(args, "args of jvp")
        cdef bint inputs = type(wrt) is str and wrt == "inputs"
        cdef Want want = self.want(wrt)
        if inputs:
            expect_tuple(tangents, "tangents of jvp")
        cdef Frame at = self.frame_take()
        cdef Frame along = self.frame_take()
        cdef DrawKey drawn
        cdef tuple result
        try:
            n_threads = expect_threads(threads)
            self.frame_bind(at, args)
            self.draws_begin(at, NULL, True)
            if want.parameters:
                frame_widen(at, self.program.n_inputs + self.program.n_parameters)
                frame_widen(along, self.program.n_inputs + self.program.n_parameters)
            along.tangents = True
            self.tangents_clear(along)
            along.read_at = 0
            if inputs:
                bind_all(along, self.arguments, tangents)
            else:
                bind_tangents(along, want.spec, tangents)
            expect_numbers(along, want.shapes)
            if at.n >= 0 and along.n >= 0 and at.n != along.n:
                raise error_of(
                    "ShapeError", f"{at.n} samples, as in the arguments", f"{along.n}", "tangents")
            at.arrays = along.arrays = at.arrays or along.arrays
            at.n = along.n = max(at.n, along.n)
            result = self.pushforward(at, along, want, n_threads)
            drawn = at.draws
        finally:
            self.frame_give(along)
            self.frame_give(at)
        if self.decisions:
            expect_decided(self, args, &drawn, result[0])
        return result

    cdef int tangents_clear(self, Frame along) noexcept:
        """Let nothing change but what tangents are bound to: no parameter, nothing that is drawn."""
        cdef uint32_t first = program_arguments(&self.program)
        memset(along.values + first, 0, (self.program.n_drawn + self.program.n_parameters) * sizeof(double))
        memset(along.batched + first, 0, self.program.n_drawn)
        return 0

    cdef tuple pushforward(self, Frame at, Frame along, Want want, int threads):
        """Run two bound frames forwards, arguments and tangents."""
        cdef list outs = []
        cdef list slopes = []
        cdef Shape shape
        cdef uint32_t o, slot
        for shape in shapes_of(self.result):
            outs.append(frame_result(at, shape))
            slopes.append(frame_result(along, shape))
        if at.n >= 0:
            self.run_tangents(at, along, self.join_lanes(at, along, want), threads)
        else:
            self.run_tangent(at, along)
            for o in range(self.program.n_outputs):
                slot = self.program.outputs[o]
                at.outputs[o][0], along.outputs[o][0] = at.values[slot], along.adjoints[slot]
        return rebuild(self.result, outs), rebuild(self.result, slopes)

    cdef bytes join_lanes(self, Frame at, Frame along, Want want):
        """Give a byte for each leaf: whether it, or its tangent, differs from sample to sample.

        Where but one of them does, the other's column repeats its number.
        """
        cdef uint32_t n = self.program.n_inputs + (self.program.n_parameters if want.parameters else 0)
        cdef bytearray lanes = bytearray(n)
        cdef char *mark = lanes
        cdef uint32_t i
        for i in range(n):
            mark[i] = at.batched[i] | along.batched[i]
            if not at.batched[i]:
                at.columns[i].data, at.columns[i].stride = at.values + i, 0
            if not along.batched[i]:
                along.columns[i].data, along.columns[i].stride = along.values + i, 0
        return bytes(lanes)
