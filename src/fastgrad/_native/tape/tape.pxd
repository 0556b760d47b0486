"""Tape: a recorded program bound to its arguments, its parameters, its plans."""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint8_t

from fastgrad._native.base.poll cimport Poll
from fastgrad._native.memory.arena cimport Node
from fastgrad._native.tape.bind cimport Bound, InputColumn, Shape
from fastgrad._native.tape.extract cimport Recording, TapeOp

cdef extern from "tape/tape.h" nogil:
    enum:
        TAPE_OK
        TAPE_NO_MEMORY
        TAPE_STOPPED
        TAPE_TOO_LARGE
        TAPE_BAD_INDEX
    ctypedef struct Program:
        uint32_t n_inputs
        uint32_t n_parameters
        uint32_t n_constants
        uint32_t n_ops
        uint32_t n_outputs
        uint32_t n_recorded
        TapeOp *ops
        uint32_t *sources
        double *constants
        uint32_t *terms
        uint32_t n_terms
        uint32_t *outputs
    uint32_t program_leaves(const Program *p)
    uint32_t program_slots(const Program *p)
    int program_build(Recording *recording, uint32_t n_inputs, Poll *poll, Program *program)
    void program_free(Program *program)
    size_t program_bytes(const Program *program)

    ctypedef struct Steps:
        const Program *program
        const uint32_t *which
        uint32_t n
    int steps_forward(const Steps *steps, double *values, Poll *poll)
    int steps_reverse(const Steps *steps, const double *values, double *adjoints, Poll *poll)
    int steps_tangent(const Steps *steps, const double *values, double *tangents, Poll *poll)
    int64_t take_entry(double index, uint32_t n)

    ctypedef struct Kernels:
        const char *name
    const Kernels *kernels_named(const char *name)

    ctypedef struct BatchStep:
        uint8_t kind
        uint8_t op
        uint32_t m
        uint32_t k
    ctypedef struct Plan:
        const Program *program
        uint32_t *uniform
        uint32_t n_uniform
        BatchStep *steps
        uint32_t n_steps
        uint32_t n_ports
        uint32_t n_rows
        uint32_t n_layers
        uint32_t block
    int plan_build(const Program *program, const uint8_t *batched, Poll *poll, Plan *plan)
    void plan_free(Plan *plan)
    size_t plan_bytes(const Plan *plan)

    ctypedef struct Workspace:
        double *memory
        size_t size
    ctypedef struct BatchRun:
        const Plan *plan
        const Kernels *kernels
        Workspace *workspace
        const InputColumn *inputs
        size_t n
        const double *slots
        double *slot_adjoints
        double seed
        double **outputs
        Py_ssize_t *output_strides
        double **input_grads
        Py_ssize_t *grad_strides
        double total
        int threads
        Poll poll
    int batch_run(BatchRun *run)


cdef enum:
    SAMPLE_STEPS = 64  # between polls: what a sample that runs by itself takes besides its operations


cdef class Plans:            # one plan, as an object
    cdef Plan plan

cdef class Frame(Bound):     # what one call works with; kept for the next
    cdef double *adjoints    # of all slots
    cdef double **pointers   # of inputs or outputs
    cdef Py_ssize_t *strides
    cdef Workspace workspace
    cdef Plans plans         # what it runs: another thread may replace it in the tape's cache

cdef class TapeCore:
    cdef Program program
    cdef readonly list parameters
    cdef tuple captured      # the same, which nobody can change: it keeps the nodes alive
    cdef Node **nodes        # as of the last nodes_find
    cdef list arguments      # Shapes, or (kind, keys, children)
    cdef list shapes         # the Shapes in them, in order
    cdef tuple everything    # the structure of a gradient in all arguments
    cdef list weights        # the Shape of one in the parameters, by itself
    cdef object result       # Shape, or (kind, keys, children)
    cdef bint plain          # numbers in, one Value out: a single sample has a short path
    cdef list frames         # not in use
    cdef dict plans          # mask of batched inputs: Plans
    cdef const Kernels *kernels

    cdef int adopt(self, list arguments, object result) except -1
    cdef bint bind_plain(self, Frame frame, tuple args) noexcept
    cdef Frame frame_take(self)
    cdef int frame_give(self, Frame frame) except -1
    cdef int frame_bind(self, Frame frame, tuple args) except -1
    cdef int nodes_find(self) except -1
    cdef int load_parameters(self, Frame frame) except -1
    cdef int expect_scalar(self) except -1
    cdef Plans plan_for(self, Frame frame)
    cdef int bad_index(self, Frame frame) except -1
    cdef int fail(self, Frame frame, int result) except -1
    cdef double run_gradient(self, Frame frame, bint mean, bint inputs, int threads) except? -1.0
    cdef list gradient_outs(self, Frame frame, list shapes)
    cdef object each_sample(self, Frame frame, list shapes, object spec)
    cdef tuple push(self, Frame at, Frame along)
    cdef int run_tangent(self, Frame at, Frame along) except -1
    cdef int prepare(
        self, Frame frame, BatchRun *run, Steps *uniform, bint reverse, bint inputs, int threads) except -1
    cdef int perform(self, Frame frame, BatchRun *run, const Steps *uniform) noexcept nogil
    cdef int perform_single(self, Frame frame, bint reverse) noexcept nogil
    cdef int run_single(self, Frame frame, bint reverse) except -1
    cdef double run_batch(self, Frame frame, double seed, bint reverse, bint inputs, int threads) except? -1.0
