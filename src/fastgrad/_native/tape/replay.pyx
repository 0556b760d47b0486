"""Replay: a program with its parameters, its plans and the frames of its calls; how a call runs.

A call takes a frame (two calls at once take two), has bind put the arguments into its slots, reads
the parameters' data, runs, and gives the frame back. One sample runs the whole program in the scalar
interpreter; a batch runs a plan made for the set of arguments that have a batch axis.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy, memset

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree

from fastgrad._native.base.errors cimport error_of, shown
from fastgrad._native.base.poll cimport (
    Poll, is_main_thread, poll_begin, poll_signals, poll_with_gil, poll_without_gil,
)
from fastgrad._native.graph.engine cimport custom_operations, custom_result
from fastgrad._native.graph.handle cimport HandleLayout, is_value
from fastgrad._native.memory.arena cimport FRESH, Node, arena, block_disown, node_at
from fastgrad._native.ops.codes cimport OP_TAKE, op_name
from fastgrad._native.graph.recording cimport (
    call_unreported, is_recording, program_level, recorded_draw, recorded_read, recording_threads,
)
from fastgrad._native.tape.bind cimport (
    bind_all, bind_floats, expect_numbers, expect_spec, is_number, load_sample, shapes_of,
)
from fastgrad._native.tape.extract cimport Recorded, record_graph
from fastgrad._native.tape.frame cimport Frame, frame_deepen, frame_new
from fastgrad._native.tape.header cimport (
    BatchPart, BatchRun, DeriveRequest, DrawKey, Dropout, Groups, Kernels, LEAF_PARAMETER, NO_SLOT,
    PlanRequest, Program, PythonForward, PythonPartials, Steps, TAPE_BAD_INDEX, TAPE_NO_MEMORY,
    TAPE_NO_RULE, TAPE_OK, TAPE_TOO_LARGE, TAPE_TOO_LONG, TapeOp, batch_finish, batch_group_begin,
    batch_groups, batch_run, batch_subtree, groups_build, groups_bytes, groups_forward, groups_free,
    groups_reverse, kernels_named, plan_build, plan_bytes, plan_free, program_arguments, program_build,
    program_bytes, program_derive, program_draw, program_free, program_slots, pulls_build, pulls_bytes,
    pulls_free, steps_forward, steps_reverse, steps_tangent, take_entry,
)
from fastgrad._native.tape.wrt cimport Want, wants_new

import os
from operator import attrgetter

from fastgrad.errors import warn_one_thread

cdef extern from "Python.h":
    void *PyTuple_GET_ITEM(tuple o, Py_ssize_t i)

cdef enum:
    SMALL = 2048  # operations of a call that is over before another thread could run
    PLANS_MAX = 64  # kept: sets of batched arguments
    SINGLES = 3  # calls with one sample, of which the last plans groups; `record` has made the first
    GRADIENTS = 2  # those with a gradient, of which the last plans that
    LANES = 8  # more numbers than there are: kernels read in parts


cdef int fail(int result) except -1:
    """Raise what a native result stands for; the error of a stop is set already."""
    if result == TAPE_OK:
        return 0
    if result == TAPE_NO_MEMORY:
        raise MemoryError()
    if result == TAPE_TOO_LARGE:
        raise error_of(
            "FastgradOverflowError", "a tape of at most 2**31 values", "more", "", "record a smaller part")
    return -1


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

cdef object groups_used = "auto"


def use_compiled(Replay tape not None, size_t value, size_t gradient, size_t work, library):
    """Run a tape's single samples by functions at these addresses; 0: there is none for the gradient."""
    if not value or tape.nodes == NULL:
        raise error_of(
            "FastgradTypeError", "a tape, and the address of a function", f"{value}", "use_compiled")
    tape.value, tape.value_and_gradient = <CompiledValue> value, <CompiledGradient> gradient
    tape.work, tape.library = work, library


def use_groups(when):
    """Say when single samples run in groups: "auto", by the plan's costs; "always"; "never". For tests."""
    global groups_used
    before = groups_used
    if when not in ("auto", "always", "never"):
        raise error_of("FastgradValueError", '"auto", "always" or "never"', shown(when), "use_groups")
    groups_used = when
    return before


cdef inline Steps all_steps(const Program *p, Frame frame) noexcept nogil:
    """Give the list of all operations, for the sample that a frame has."""
    cdef Steps steps
    steps.program, steps.which, steps.n, steps.sample = p, NULL, p.n_ops, frame.sample
    return steps


cdef list used_parameters(Recorded recorded, uint32_t n):
    """Give the Values of a recording that the program reads, in the order of their slots."""
    cdef list parameters = [None] * n
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef uint32_t leaf
    values = iter(recorded.parameters)
    for leaf in range(recorded.raw.n_leaves):
        poll_signals(&poll, 1)
        if recorded.raw.leaf_kind[leaf] == LEAF_PARAMETER:
            value = next(values)
            if recorded.raw.leaf_slot[leaf] != NO_SLOT:
                parameters[recorded.raw.leaf_slot[leaf]] = value
    return parameters


cdef tuple operations_of(Recorded recorded):
    """Give the custom operations of a recording, by their numbers on its tape."""
    cdef list operations = []
    for number in recorded.customs:  # in the order in which they were met
        operations.append(custom_operations[number])
    return tuple(operations)


cdef int python_forward(
        void *tape, uint32_t number, uint32_t n, const double *x, int64_t sample,
        double *y) except -2 with gil:
    (<Replay> tape).call_custom(number, n, x, sample, y, NULL)
    return TAPE_OK


cdef int python_partials(
        void *tape, uint32_t number, uint32_t n, const double *x, double y, int64_t sample,
        double *partials) except -2 with gil:
    (<Replay> tape).call_custom(number, n, x, sample, &y, partials)
    return TAPE_OK


cdef class CachedPlan:
    def __dealloc__(self):
        plan_free(&self.plan)


cdef class CachedPulls:
    def __dealloc__(self):
        pulls_free(&self.pulls)


cdef class Replay:
    """What `TapeCore` inherits: nothing here knows the verbs."""

    def __cinit__(self):
        self.custom_operations = ()
        self.training = True

    def __init__(
            self, list inputs not None, list outputs not None, list arguments not None, object result,
            tuple fixed not None=(), list dropouts=None):
        cdef uint32_t n = <uint32_t> len(inputs)  # now: signal handlers could change the list
        cdef Recorded recorded = record_graph(inputs, outputs, fixed)
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef int built
        if self.nodes != NULL or self.program.ops != NULL:
            raise error_of("FastgradTypeError", "a new tape", "one that is recorded already")
        with nogil:
            built = program_build(&recorded.raw, n, &poll, &self.program)
        if built != TAPE_OK:
            fail(built)
        self.custom_operations = operations_of(recorded)
        self.dropouts_set(dropouts)
        self.adopt(used_parameters(recorded, self.program.n_parameters), arguments, result)

    cdef int derive(self, Replay tape, const DeriveRequest *request, str what) except -1:
        """Make an empty tape's program: the derivative of another's, with its parameters."""
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef uint32_t unknown = 0
        cdef int built
        tape.expect_recorded()
        if self.nodes != NULL or self.program.ops != NULL:
            raise error_of("FastgradTypeError", "a new tape", "one that is recorded already")
        with nogil:
            built = program_derive(&tape.program, request, &poll, &unknown, &self.program)
        where = f"{what} of {tape.name}"
        if built == TAPE_NO_RULE:
            raise error_of(
                "DerivativeError", "operations whose derivatives are operations of a tape",
                f"{op_name[unknown].decode()}", where,
                "value_and_grad and jvp of the tape, and backward, have its first derivative")
        if built == TAPE_TOO_LONG:
            raise error_of(
                "DerivativeError", f"at most {request.most} operations", "more", where,
                "differentiate by less, or ask for products, hvp_tape, jvp_tape, vjp_tape")
        if built != TAPE_OK:
            fail(built)
        self.custom_operations = tape.custom_operations
        return 0

    cdef int adopt(self, list parameters, list arguments, object result) except -1:
        """Fill in what follows from the program, the parameters and the shapes."""
        expect_spec(arguments, program_arguments(&self.program))
        expect_spec(result, self.program.n_outputs)
        self.captured = tuple(parameters)
        if self.custom_operations:
            self.program.python.tape = <void *> self
            self.program.python.forward = <PythonForward> python_forward
            self.program.python.partials = <PythonPartials> python_partials
        self.kinds = []
        for value in self.captured:
            if not is_value(value):
                self.kinds.append(value)
        self.arguments, self.result = arguments, result
        self.shapes = []
        for spec in arguments:
            self.shapes += shapes_of(spec)
        self.wants = wants_new(&self.program, arguments, self.captured)
        self.plain = is_number(result)
        for spec in arguments:
            self.plain = self.plain and is_number(spec)
        self.frames = []
        self.kernels = chosen
        self.name, self.names, self.places, self.decisions = "", [], [], []
        self.nodes = <Node **> PyMem_RawCalloc(self.program.n_parameters + 1, sizeof(Node *))
        if self.nodes == NULL:  # last: a tape without is refused by frame_take
            raise MemoryError()
        return self.nodes_fix()

    def __dealloc__(self):
        cdef uint32_t i
        if self.blocks != NULL:
            for i in range(self.program.n_ops):
                if self.blocks[i]:
                    block_disown(self.blocks[i])
            PyMem_RawFree(self.blocks)
        program_free(&self.program)
        groups_free(&self.groups)
        PyMem_RawFree(self.nodes)

    def __len__(self):
        return self.program.n_ops

    @property
    def nbytes(self):
        """Bytes of native memory: the program, its plans, the frames kept for the next call."""
        cdef CachedPlan plan
        cdef Frame frame
        cdef Want want
        cdef size_t total = program_bytes(&self.program) + self.program.n_parameters * sizeof(Node *)
        if self.nodes == NULL:
            return total
        if self.blocks != NULL:
            total += self.program.n_ops * sizeof(uint32_t)
        total += self.wants.nbytes() + groups_bytes(&self.groups)
        for want in list(self.wants.named.values()) + self.wants.recent:
            for plan in list(want.plans.values()) + list(want.plans_each.values()):
                total += plan_bytes(&plan.plan)
            if want.pulls is not None:
                total += pulls_bytes(&(<CachedPulls> want.pulls).pulls)
        if self.derived is not None:
            for tape in list(self.derived.values()):
                total += (<Replay> tape).nbytes
        for frame in self.frames:
            total += (frame.n_values + frame.n_adjoints + frame.workspace.size) * sizeof(double)
        return total

    # Frames: taken, bound, given back ---------------------------------------------------------------

    cdef int expect_recorded(self) except -1:
        if self.nodes == NULL:
            raise error_of(
                "FastgradTypeError", "a recorded tape", "an empty one", "", "make it with fastgrad.record")
        return 0

    cdef Frame frame_take(self):
        """Take a frame that no other call uses."""
        self.expect_recorded()
        cdef Frame frame = self.frames.pop() if self.frames else frame_new(&self.program)
        frame.n = frame.sample = frame.reading = -1
        frame.first = 0
        frame.arrays, frame.tangents, frame.given = False, False, None
        if frame.has_grads:
            frame.has_grads = False
            memset(frame.grads, 0, self.program.n_inputs * sizeof(double *))
        memset(frame.outputs, 0, self.program.n_outputs * sizeof(double *))
        return frame

    cdef int frame_give(self, Frame frame) except -1:
        frame.sized = frame.given = None
        try:
            if frame.kept:
                frame.kept = []
            self.frames.append(frame)
        except MemoryError:  # it is dropped: what the call has done stands
            pass
        return 0

    cdef int frame_bind(self, Frame frame, tuple args) except -1:
        """Put the arguments of a call, which are numbers, and the parameters' data into a frame."""
        self.frame_bind_values(frame, args)
        return expect_numbers(frame, self.shapes)

    cdef int frame_bind_values(self, Frame frame, tuple args) except -1:
        """The same of arguments that may hold Values: these are noted in the frame."""
        bind_all(frame, self.arguments, args)
        return self.parameters_load(frame)

    cdef bint frame_bind_plain(self, Frame frame, tuple args) except -1:
        """Bind floats to a tape of numbers, the case worth a path of its own; False for anything else."""
        return self.plain and bind_floats(frame, args) and self.parameters_load(frame) == 0

    # What a call draws ------------------------------------------------------------------------------

    cdef int dropouts_set(self, object dropouts) except -1:
        """Say which inputs, the last ones, are drawn: p and a number of factors for each dropout."""
        cdef Program *p = &self.program
        cdef uint32_t drawn = 0
        cdef uint32_t d = 0
        if not dropouts:
            return 0
        p.dropouts = <Dropout *> PyMem_RawCalloc(len(dropouts), sizeof(Dropout))
        if p.dropouts == NULL:
            raise MemoryError()
        p.n_dropouts = <uint32_t> len(dropouts)
        for probability, n in tuple(dropouts):
            p.dropouts[d].p, p.dropouts[d].n = probability, n
            drawn += p.dropouts[d].n
            d += 1
        p.n_drawn = drawn
        return 0

    cdef int draws_begin(self, Frame frame, const DrawKey *key, bint take) except -1:
        """Say what a bound call draws from: a key, or the generator, whose next numbers it takes or reads."""
        cdef bint training = self.training
        frame.draws.is_on, frame.draws.sample = training, 0
        if not self.program.n_dropouts or not training:
            return self.draws_give(frame)
        if key != NULL:
            frame.draws = key[0]
        else:
            frame.draws.seed, frame.draws.call, frame.draws.sample = (
                self.generator.take(self.program.n_dropouts if take else 0))
            if recording_threads and is_recording() and take:
                self.draws_record(frame)
        return self.draws_give(frame)

    cdef int draws_record(self, Frame frame) except -1:
        """In a recording: what a call with Values draws is drawn by the tape that is being recorded."""
        cdef uint32_t first = program_arguments(&self.program)
        if frame.given is None:
            return recorded_draw("dropout")
        frame.draws.is_on = False
        frame.given[first:self.program.n_inputs] = self.hidden_inputs()
        return 0

    cdef int draws_give(self, Frame frame) except -1:
        """Mark what a batch draws sample by sample; one sample has it in its slots."""
        cdef bint batched = frame.n >= 0 and frame.draws.is_on
        cdef uint32_t i
        for i in range(program_arguments(&self.program), self.program.n_inputs):
            frame.batched[i], frame.columns[i].data = batched, NULL
        return 0 if batched else self.draw(frame, 0)

    cdef int draw(self, Frame frame, Py_ssize_t sample) except -1:
        """Put what one sample draws into the slots."""
        cdef Poll poll = poll_begin(poll_with_gil)
        return fail(self.perform_draw(frame, sample, &poll))

    cdef int perform_draw(self, Frame frame, Py_ssize_t sample, Poll *poll) noexcept nogil:
        return program_draw(&self.program, &frame.draws, <uint64_t> sample, frame.values, poll)

    # Parameters -------------------------------------------------------------------------------------

    cdef int nodes_fix(self) noexcept:
        """Find the parameters' nodes, which stay theirs."""
        cdef uint32_t i
        for i in range(self.program.n_parameters):
            self.nodes[i] = node_at((<HandleLayout *> PyTuple_GET_ITEM(self.captured, i)).id)
            self.nodes[i].flags &= ~FRESH  # no __init__ may give the handle another node
        return 0

    cdef int parameters_load(self, Frame frame) except -1:
        """Read the parameters' data, unless nobody has written to a leaf since this frame had it."""
        cdef double *to = frame.values + self.program.n_inputs
        cdef uint32_t i
        if recording_threads and frame.given is None:
            self.parameters_report()
        if frame.read_at == arena.writes:
            return 0
        for i in range(self.program.n_parameters):
            to[i] = self.nodes[i].data
        frame.read_at = arena.writes
        return 0

    cdef int parameters_report(self) except -1:
        """Report to a recording that a tape in it gives plain numbers, for which its parameters are read."""
        cdef uint32_t i
        for i in range(self.program.n_parameters):
            recorded_read((<HandleLayout *> PyTuple_GET_ITEM(self.captured, i)).id, "tape")
        return 0

    cdef int gradient_add(self, Frame frame) except -1:
        """Add the adjoints of the parameters into their grad."""
        cdef const double *adjoints = frame.adjoints + self.program.n_inputs
        cdef uint32_t i
        for i in range(self.program.n_parameters):
            self.nodes[i].grad += adjoints[i]
        return 0

    cdef int expect_scalar(self) except -1:
        if not is_number(self.result):
            raise error_of(
                "TapeError", "a function that returns one Value", "a structure of Values",
                "gradient of a tape", "record a function that reduces them to one loss")
        return 0

    # Custom operations ------------------------------------------------------------------------------

    cdef int call_custom(
            self, uint32_t number, uint32_t n, const double *x, int64_t sample, double *y,
            double *partials) except -1:
        """Call an operation's function for its result, or with room for them for its partials."""
        cdef list operands = []
        cdef uint32_t i
        operation = self.custom_operations[number]
        for i in range(n):
            operands.append(x[i])
        try:
            if partials == NULL:
                y[0] = custom_result(operation, call_unreported(operation.forward, tuple(operands)))
                return 0
            found = call_unreported(operation.partials_at, (operands, y[0]))
            for i in range(n):
                partials[i] = found[i]
        except Exception as error:
            where = "" if sample < 0 else f", sample {sample}"
            error.add_note(f"in the custom operation {operation.name!r}{where}, on the tape of {self.name}")
            raise
        return 0

    cdef int one_thread(self) except -1:
        """Say once that custom operations leave a batch on one thread."""
        if self.said_threads:
            return 0
        self.said_threads = True
        names = ", ".join(map(repr, dict.fromkeys(map(attrgetter("name"), self.custom_operations))))
        warn_one_thread(self.name, names, program_level())
        return 0

    # One sample -------------------------------------------------------------------------------------

    cdef int plan_compiled(self, Frame frame) except -1:
        """Make room behind the slots for what compiled code works with; without it, replay runs."""
        cdef size_t n = program_slots(&self.program)
        try:
            frame_deepen(frame, n + self.program.n_outputs + self.work, 0)
        except MemoryError:
            return 0
        frame.compiled = True
        return 0

    cdef int perform_compiled(self, Frame frame, Want want) noexcept nogil:
        """Run one sample in compiled code, whose gradient is that of all leaves; where it has no result,
        replay says why."""
        cdef const Program *p = &self.program
        cdef double *x = frame.values
        cdef double *y = x + program_slots(p)
        cdef double *gx = frame.adjoints
        cdef uint32_t o
        cdef int result
        if want is None:
            result = self.value(x, x + p.n_inputs, y, y + p.n_outputs)
        else:
            result = self.value_and_gradient(x, x + p.n_inputs, y, gx, gx + p.n_inputs, y + p.n_outputs)
        if result != 0:
            return self.perform_scalar(frame, want)
        for o in range(p.n_outputs):
            x[p.outputs[o]] = y[o]
        return TAPE_OK

    cdef int plan_groups(self) except -1:
        """Plan how a single sample runs, if that is worth it; without memory there is no plan."""
        cdef Groups made
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef bint always = groups_used == "always"
        cdef int built
        with nogil:
            built = groups_build(&self.program, always, &poll, &made)
        if built != TAPE_OK and built != TAPE_NO_MEMORY:
            self.singles = 0
            fail(built)
        if self.groups.n_values:  # signal handlers have called the tape
            groups_free(&made)
        else:
            self.groups = made
        return 0

    cdef int plan_pulls(self, Want want) except -1:
        """The same for its adjoints."""
        cdef CachedPulls made = CachedPulls.__new__(CachedPulls)
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef bint always = groups_used == "always"
        cdef int built
        with nogil:
            built = pulls_build(&self.program, &self.groups, want.live, always, &poll, &made.pulls)
        if built != TAPE_OK and built != TAPE_NO_MEMORY:
            want.singles = 0
            fail(built)
        if want.pulls is None:
            want.pulls = made
        return 0

    cdef int plan_single(self, Frame frame, Want want, int calls) except -1:
        """Say how a single sample runs, in the first of some calls: in groups, planned at the second."""
        cdef CachedPulls cached
        cdef size_t n_adjoints
        frame.groups, frame.pulls, frame.compiled = NULL, NULL, False
        if self.value != NULL:
            return self.plan_compiled(frame)
        if self.singles < SINGLES:
            self.singles += calls
            if self.singles >= SINGLES:
                self.plan_groups()
        if want is not None and want.pulls is None:
            want.singles = min(want.singles + calls, <int> GRADIENTS)
            if want.singles == GRADIENTS and self.groups.n_values:
                self.plan_pulls(want)
        if not self.groups.n_values or groups_used == "never":
            return 0
        cached = <CachedPulls> want.pulls if want is not None else None
        if want is not None and (cached is None or not cached.pulls.n_adjoints):
            return 0
        if want is None and not self.groups.pays_alone:
            return 0
        n_adjoints = cached.pulls.n_adjoints if cached is not None else 0
        try:
            frame_deepen(frame, self.groups.n_values + LANES, n_adjoints + LANES)
        except MemoryError:
            return 0
        frame.groups = &self.groups
        if cached is not None:
            frame.pulls = &cached.pulls
        return 0

    cdef int perform_single(self, Frame frame, Want want) noexcept nogil:
        """Run one sample, and back from the first output to what is wanted, if any; leaves and results
        have their slots then, and nothing else has where it ran in groups."""
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef int odd = 0
        cdef int result
        if frame.compiled:
            return self.perform_compiled(frame, want)
        if frame.groups == NULL:
            return self.perform_scalar(frame, want)
        result = groups_forward(&self.program, frame.groups, self.kernels, frame.values, &poll)
        if frame.pulls == NULL or result != TAPE_OK:
            return result
        result = groups_reverse(frame.pulls, self.kernels, frame.values, frame.adjoints, &odd, &poll)
        return self.perform_scalar(frame, want) if odd else result

    cdef int perform_scalar(self, Frame frame, Want want) noexcept nogil:
        """Run all operations on one sample, and back from the first output to what is wanted, if any."""
        cdef Steps steps = all_steps(&self.program, frame)
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef int result = steps_forward(&steps, frame.values, &poll)
        if want is not None and result == TAPE_OK:
            memset(frame.adjoints, 0, program_slots(&self.program) * sizeof(double))
            frame.adjoints[self.program.outputs[0]] = 1.0
            if want.steps != NULL:
                steps.which, steps.n = want.steps, want.n_steps
            result = steps_reverse(&steps, frame.values, frame.adjoints, &poll)
        return result

    cdef int run_single(self, Frame frame, Want want) except -1:
        """Run one sample: afterwards leaves and results have values, and leaves adjoints."""
        self.plan_single(frame, want, 1)
        return self.run_performed(frame, want)

    cdef int run_scalar(self, Frame frame, Want want) except -1:
        """Run one sample: afterwards all slots have values and adjoints."""
        frame.groups, frame.pulls, frame.compiled = NULL, NULL, False
        return self.run_performed(frame, want)

    cdef int run_performed(self, Frame frame, Want want) except -1:
        cdef int result
        if self.program.n_ops <= SMALL:
            result = self.perform_single(frame, want)
        else:
            with nogil:
                result = self.perform_single(frame, want)
        if result != TAPE_OK:
            self.fail(frame, result)
        return 0

    cdef void tangents_set(self, Frame along) noexcept nogil:
        """Put the tangents of the leaves where `along` has adjoints, and 0 for all else."""
        cdef size_t changing = <size_t> self.program.n_inputs + self.program.n_parameters
        memset(along.adjoints, 0, program_slots(&self.program) * sizeof(double))
        memcpy(along.adjoints, along.values, changing * sizeof(double))

    cdef int run_tangent(self, Frame at, Frame along) except -1:
        """Run one sample; the tangents of all slots are left where `along` has adjoints."""
        cdef Steps steps = all_steps(&self.program, at)
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef int result
        self.run_scalar(at, None)
        self.tangents_set(along)
        with nogil:
            result = steps_tangent(&steps, at.values, along.adjoints, &poll)
        return fail(result) if result != TAPE_OK else 0

    # A batch ----------------------------------------------------------------------------------------

    cdef Want want(self, object wrt):
        self.expect_recorded()
        return self.wants.find(wrt, self.names)

    cdef CachedPlan plan_new(self, Want want, bytes lanes, bint each):
        """Build a plan for leaves that differ from sample to sample; for each one's gradient if asked."""
        cdef CachedPlan made = CachedPlan.__new__(CachedPlan)
        cdef PlanRequest request
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef int built
        request.lanes, request.n_lanes = <const uint8_t *> <const char *> lanes, <uint32_t> len(lanes)
        request.live, request.in_scalar_order = want.live, each
        with nogil:
            built = plan_build(&self.program, &request, &poll, &made.plan)
        if built != TAPE_OK:
            fail(built)
        plans = want.plans_each if each else want.plans
        if len(plans) >= PLANS_MAX:
            plans.clear()
        plans[lanes] = made
        return made

    cdef CachedPlan plan_for(self, Frame frame, Want want):
        """Give the plan for the inputs that have a batch axis; a new one, or one of the latest calls."""
        cdef bytes mask = (<char *> frame.batched)[:self.program.n_inputs]
        return self.plan_of_lanes(want, mask)

    cdef CachedPlan plan_of_lanes(self, Want want, bytes lanes):
        """The same for leaves that differ from sample to sample, named by a byte each."""
        cdef CachedPlan found = want.plans.get(lanes)
        return found if found is not None else self.plan_new(want, lanes, False)

    cdef CachedPlan plan_for_each(self, Frame frame, Want want):
        """The same where each sample has a gradient of its own, also by what all of them share."""
        cdef uint32_t n = self.program.n_inputs + (self.program.n_parameters if want.parameters else 0)
        cdef bytearray mask = bytearray((<char *> want.live)[:n])
        cdef char *mark = mask
        cdef CachedPlan found
        cdef uint32_t i
        for i in range(self.program.n_inputs):
            mark[i] |= <char> frame.batched[i]
        lanes = bytes(mask)
        found = want.plans_each.get(lanes)
        return found if found is not None else self.plan_new(want, lanes, True)

    cdef int prepare(
            self, Frame frame, BatchRun *run, Steps *uniform, CachedPlan cached, bint reverse,
            int threads) except -1:
        """Describe a run over a bound frame, which says where results and gradients go."""
        if threads > 1 and self.custom_operations:
            self.one_thread()
        frame.plan = cached
        memset(run, 0, sizeof(run[0]))
        run.plan, run.kernels, run.workspace = &cached.plan, self.kernels, &frame.workspace
        run.inputs, run.n, run.slots = frame.columns, frame.n, frame.values
        run.seed, run.threads = 1.0, threads
        # No other thread runs handlers; and a daemon's ends at exit, should it take the GIL: not while
        # helpers use its stack.
        if is_main_thread():
            run.poll = poll_begin(poll_without_gil)
        else:
            run.poll = poll_begin(NULL)
        run.outputs, run.output_strides = frame.outputs, frame.output_strides
        run.draws = frame.draws
        if reverse:
            run.slot_adjoints = frame.adjoints
            run.input_grads, run.grad_strides = frame.grads, frame.grad_strides
        uniform.program, uniform.which, uniform.n = &self.program, cached.plan.uniform, cached.plan.n_uniform
        uniform.sample = -1
        return 0

    cdef int perform(self, Frame frame, BatchRun *run, const Steps *uniform) noexcept nogil:
        """Run a batch: what all samples share, the samples, and back."""
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef Steps back
        cdef int result = steps_forward(uniform, frame.values, &poll)
        if run.slot_adjoints != NULL:
            memset(frame.adjoints, 0, program_slots(&self.program) * sizeof(double))
        if result == TAPE_OK:
            result = batch_run(run)
        if result == TAPE_OK and run.slot_adjoints != NULL:
            back = uniform[0]
            back.which, back.n = run.plan.uniform_live, run.plan.n_uniform_live
            result = steps_reverse(&back, frame.values, frame.adjoints, &poll)
        return result

    cdef double run_batch(
            self, Frame frame, CachedPlan cached, double seed, bint reverse, int threads) except? -1.0:
        """Run a batch, and give the sum of its first output."""
        cdef BatchRun run
        cdef Steps uniform
        cdef int result
        self.prepare(frame, &run, &uniform, cached, reverse, threads)
        run.seed = seed
        if self.custom_operations:  # they would take the GIL for each sample
            result = self.perform(frame, &run, &uniform)
        else:
            with nogil:
                result = self.perform(frame, &run, &uniform)
        if result != TAPE_OK:
            self.fail(frame, result)
        return run.total

    # Parts of a batch, which other processes may run -----------------------------------------------------

    cdef size_t group_begin(self, CachedPlan cached, size_t n, size_t group) noexcept:
        """Give the first sample of a group of a batch of n; n for the end of the last."""
        return batch_group_begin(&cached.plan, n, group)

    cdef size_t group_count(self, CachedPlan cached, size_t n) noexcept:
        return batch_groups(&cached.plan, n)

    cdef int run_part(
            self, Frame frame, CachedPlan cached, const BatchPart *part, double seed,
            int threads) except -1:
        """Run the samples of some groups; the part's rows get what these add up to."""
        cdef BatchRun run
        cdef Steps uniform
        cdef int result
        self.prepare(frame, &run, &uniform, cached, True, threads)
        run.seed, run.part = seed, part
        with nogil:
            result = steps_forward(&uniform, frame.values, &run.poll)
            if result == TAPE_OK:
                result = batch_run(&run)
        if result != TAPE_OK:
            self.fail(frame, result)
        return 0

    cdef double run_finish(
            self, Frame frame, CachedPlan cached, size_t n, double *rows, size_t *sizes,
            double seed) except? -1.0:
        """Add up what the parts of n samples gave, do what is done once, and give the sum of the results."""
        cdef BatchRun run
        cdef Steps uniform
        cdef int result
        self.prepare(frame, &run, &uniform, cached, True, 1)
        run.seed = seed
        memset(frame.adjoints, 0, program_slots(&self.program) * sizeof(double))
        with nogil:
            result = steps_forward(&uniform, frame.values, &run.poll)
            if result == TAPE_OK:
                result = batch_finish(&run, n, rows, sizes)
            if result == TAPE_OK:
                uniform.which, uniform.n = cached.plan.uniform_live, cached.plan.n_uniform_live
                result = steps_reverse(&uniform, frame.values, frame.adjoints, &run.poll)
        if result != TAPE_OK:
            self.fail(frame, result)
        return run.total

    cdef size_t subtree(self, size_t at, size_t end, size_t n) noexcept:
        return batch_subtree(at, end, n)

    cdef int perform_tangents(
            self, Frame along, BatchRun *run, const Steps *uniform) noexcept nogil:
        """Run a batch in forward mode: what all samples share, and the samples."""
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef int result = steps_forward(uniform, <double *> run.slots, &poll)
        self.tangents_set(along)
        if result == TAPE_OK:
            result = steps_tangent(uniform, run.slots, along.adjoints, &poll)
        return batch_run(run) if result == TAPE_OK else result

    cdef int run_tangents(self, Frame at, Frame along, bytes lanes, int threads) except -1:
        """Run a batch in forward mode; `along` has the tangents, and where those of results go."""
        cdef BatchRun run
        cdef Steps uniform
        cdef int result
        self.prepare(
            at, &run, &uniform, self.plan_of_lanes(self.want("parameters"), lanes), False, threads)
        run.tangents, run.slot_tangents = along.columns, along.adjoints
        run.output_tangents, run.output_tangent_strides = along.outputs, along.output_strides
        with nogil:
            result = self.perform_tangents(along, &run, &uniform)
        if result != TAPE_OK:
            self.fail(at, result)
        return 0

    # What a run has found ---------------------------------------------------------------------------

    cdef int fail(self, Frame frame, int result) except -1:
        """Raise what the result of a run stands for."""
        if result == TAPE_BAD_INDEX:
            self.bad_index(frame)
        return fail(result)

    cdef int bad_index(self, Frame frame) except -1:
        """Raise for the first take that finds no entry: run sample after sample once more."""
        cdef Steps steps = all_steps(&self.program, frame)
        cdef Poll poll = poll_begin(poll_with_gil)
        cdef Py_ssize_t s
        cdef int result
        for s in range(max(frame.n, 1)):
            load_sample(frame, s)
            self.draw(frame, s)
            steps.sample = frame.sample
            result = steps_forward(&steps, frame.values, &poll)
            if result != TAPE_OK and result != TAPE_BAD_INDEX:
                fail(result)
            poll_signals(&poll, SAMPLE_STEPS)
            self.expect_indices(frame)
        raise error_of(
            "FastgradIndexError", "unchanged indices", "one out of range, changed since", "index of take")

    cdef int expect_indices(self, Frame frame) except -1:
        """Raise for the first take that has found no entry, in the sample that has run."""
        cdef const TapeOp *op
        cdef double index
        cdef uint32_t i
        for i in range(self.program.n_ops):
            op = &self.program.ops[i]
            if op.op != OP_TAKE:
                continue
            index = frame.values[self.program.terms[op.a]]
            if take_entry(index, op.b) < 0:
                where = f", sample {frame.sample}" if frame.n >= 0 else ""
                got = repr(index).removesuffix(".0")
                raise error_of(
                    "FastgradIndexError", f"an index of {-<int64_t> op.b} to {op.b - 1}", got,
                    f"index of take, {op.b} entries{where}")
        return 0
