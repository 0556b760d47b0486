"""Replay: a program with its parameters, its plans and the frames of its calls; how a call runs."""

from libc.stdint cimport int64_t, uint32_t

from fastgrad._native.base.poll cimport Poll
from fastgrad._native.memory.arena cimport Node
from fastgrad._native.tape.frame cimport Frame
from fastgrad._native.tape.header cimport (
    BatchPart, BatchRun, DeriveRequest, DrawKey, Groups, Kernels, Plan, Program, Pulls, Steps,
)
from fastgrad._native.tape.wrt cimport Want, Wants

cdef enum:
    SAMPLE_STEPS = 64  # between polls: what a sample that runs by itself takes besides its operations

# What `fastgrad.compiled` has made: x, p, y, and gx, gp, then room to work in; 0, or it has no result.
ctypedef int (*CompiledValue)(
    const double *, const double *, double *, double *) noexcept nogil
ctypedef int (*CompiledGradient)(
    const double *, const double *, double *, double *, double *, double *) noexcept nogil

cdef class CachedPlan:       # for one set of batched inputs
    cdef Plan plan

cdef class CachedPulls:      # for what a gradient is of
    cdef Pulls pulls

cdef class Replay:
    cdef Program program
    cdef Groups groups       # how a single sample runs, once planned
    cdef CompiledValue value  # of a single sample, compiled; NULL: replayed
    cdef CompiledGradient value_and_gradient
    cdef size_t work         # doubles that these need
    cdef object library      # keeps them loaded
    cdef int singles         # calls with one sample so far, up to that which plans
    cdef readonly tuple captured  # the parameters; it keeps their nodes alive
    cdef public object listed     # the same, as the list that people see; None until they do
    cdef list kinds          # those that are of a subclass of Value
    cdef uint32_t *blocks    # of each dot: the arena's block of its weights, 0 or NULL where none is kept
    cdef Node **nodes        # of the parameters
    cdef list arguments      # Shapes, or (kind, keys, children)
    cdef list shapes         # the Shapes in them, in order
    cdef Wants wants         # what gradients are of
    cdef object result       # Shape, or (kind, keys, children)
    cdef bint plain          # numbers in, one Value out: a single sample has a short path
    cdef list frames         # not in use
    cdef const Kernels *kernels
    cdef public bint training  # calls draw what dropouts leave; else they leave all
    cdef readonly tuple custom_operations  # what replay calls, by the numbers that OP_CUSTOM lists
    cdef bint said_threads   # that they are one
    cdef public str name     # of the function, and of its arguments; for messages
    cdef public list names
    cdef public list places  # file, line, function; operations number them
    cdef public list decisions  # that the recording has frozen: results must be finite then
    cdef public dict derived    # derivative tapes that were asked for, by what was asked

    cdef int derive(self, Replay tape, const DeriveRequest *request, str what) except -1
    cdef int adopt(self, list parameters, list arguments, object result) except -1
    cdef int expect_recorded(self) except -1
    cdef Frame frame_take(self)
    cdef int frame_give(self, Frame frame) except -1
    cdef int frame_bind(self, Frame frame, tuple args) except -1
    cdef int frame_bind_values(self, Frame frame, tuple args) except -1
    cdef bint frame_bind_plain(self, Frame frame, tuple args) except -1
    cdef int dropouts_set(self, object dropouts) except -1
    cdef int draws_begin(self, Frame frame, const DrawKey *key, bint take) except -1
    cdef int draws_record(self, Frame frame) except -1
    cdef int draws_give(self, Frame frame) except -1
    cdef int draw(self, Frame frame, Py_ssize_t sample) except -1
    cdef int perform_draw(self, Frame frame, Py_ssize_t sample, Poll *poll) noexcept nogil
    cdef int call_custom(
        self, uint32_t number, uint32_t n, const double *x, int64_t sample, double *y,
        double *partials) except -1
    cdef int one_thread(self) except -1
    cdef int nodes_fix(self) noexcept
    cdef int parameters_load(self, Frame frame) except -1
    cdef int parameters_report(self) except -1
    cdef int gradient_add(self, Frame frame) except -1
    cdef int expect_scalar(self) except -1
    cdef Want want(self, object wrt)
    cdef CachedPlan plan_new(self, Want want, bytes lanes, bint each)
    cdef CachedPlan plan_for(self, Frame frame, Want want)
    cdef CachedPlan plan_for_each(self, Frame frame, Want want)
    cdef int prepare(
        self, Frame frame, BatchRun *run, Steps *uniform, CachedPlan cached, bint reverse,
        int threads) except -1
    cdef int perform(self, Frame frame, BatchRun *run, const Steps *uniform) noexcept nogil
    cdef int plan_single(self, Frame frame, Want want, int calls) except -1
    cdef int plan_compiled(self, Frame frame) except -1
    cdef int perform_compiled(self, Frame frame, Want want) noexcept nogil
    cdef int plan_groups(self) except -1
    cdef int plan_pulls(self, Want want) except -1
    cdef int perform_scalar(self, Frame frame, Want want) noexcept nogil
    cdef int perform_single(self, Frame frame, Want want) noexcept nogil
    cdef int run_performed(self, Frame frame, Want want) except -1
    cdef int run_scalar(self, Frame frame, Want want) except -1
    cdef int run_single(self, Frame frame, Want want) except -1
    cdef void tangents_set(self, Frame along) noexcept nogil
    cdef CachedPlan plan_of_lanes(self, Want want, bytes lanes)
    cdef int perform_tangents(self, Frame along, BatchRun *run, const Steps *uniform) noexcept nogil
    cdef int run_tangents(self, Frame at, Frame along, bytes lanes, int threads) except -1
    cdef int run_tangent(self, Frame at, Frame along) except -1
    cdef double run_batch(
        self, Frame frame, CachedPlan cached, double seed, bint reverse, int threads) except? -1.0
    cdef size_t group_begin(self, CachedPlan cached, size_t n, size_t group) noexcept
    cdef size_t group_count(self, CachedPlan cached, size_t n) noexcept
    cdef size_t subtree(self, size_t at, size_t end, size_t n) noexcept
    cdef int run_part(
        self, Frame frame, CachedPlan cached, const BatchPart *part, double seed, int threads) except -1
    cdef double run_finish(
        self, Frame frame, CachedPlan cached, size_t n, double *rows, size_t *sizes,
        double seed) except? -1.0
    cdef int fail(self, Frame frame, int result) except -1
    cdef int bad_index(self, Frame frame) except -1
    cdef int expect_indices(self, Frame frame) except -1
