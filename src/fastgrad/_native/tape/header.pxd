"""Header: what tape.h declares, for Cython. Its functions are linked into `replay` alone."""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t

from fastgrad._native.base.poll cimport Poll

cdef extern from "tape/tape.h" nogil:
    enum:
        TAPE_OK
        TAPE_NO_MEMORY
        TAPE_STOPPED
        TAPE_TOO_LARGE
        TAPE_BAD_INDEX
        TAPE_TOO_LONG
        TAPE_NO_RULE

    ctypedef struct TapeOp:
        uint32_t a
        uint32_t b
        uint32_t op
    ctypedef int (*PythonForward)(
        void *tape, uint32_t number, uint32_t n, const double *x, int64_t sample, double *y)
    ctypedef int (*PythonPartials)(
        void *tape, uint32_t number, uint32_t n, const double *x, double y, int64_t sample,
        double *partials)
    ctypedef struct PythonCalls:
        void *tape
        PythonForward forward
        PythonPartials partials
    ctypedef struct Dropout:
        double p
        uint32_t n
    ctypedef struct DrawKey:
        uint64_t seed
        uint64_t call
        uint64_t sample
        bint is_on
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
        PythonCalls python
        Dropout *dropouts
        uint32_t n_dropouts
        uint32_t n_drawn
    uint32_t program_arguments(const Program *p)
    uint32_t program_leaves(const Program *p)
    uint32_t program_slots(const Program *p)

    enum:
        RECORD_LEAF
        NO_SLOT
        LEAF_INPUT
        LEAF_PARAMETER
        LEAF_CONSTANT
    ctypedef struct Recording:
        uint32_t n_ops
        uint32_t n_leaves
        uint32_t n_terms
        uint32_t n_outputs
        uint32_t n_fixed
        TapeOp *ops
        uint32_t *sources
        uint8_t *leaf_kind
        double *leaf_value
        uint32_t *leaf_slot
        uint32_t *terms
        uint32_t *outputs
    int program_build(Recording *recording, uint32_t n_inputs, Poll *poll, Program *program)
    void program_free(Program *program)
    size_t program_bytes(const Program *program)
    int program_draw(
        const Program *program, const DrawKey *key, uint64_t sample, double *values, Poll *poll)

    enum:
        SEED_ONE
    ctypedef struct DeriveSeed:
        pass
    ctypedef struct DerivePick:
        pass
    ctypedef struct DeriveRequest:
        bint forward
        bint values
        uint32_t n_inputs
        const uint8_t *live
        const DeriveSeed *seeds
        const DerivePick *picks
        uint32_t n_seeds
        uint32_t n_picks
        uint32_t most
    int program_derive(
        const Program *in_, const DeriveRequest *request, Poll *poll, uint32_t *unknown, Program *made)

    ctypedef struct Steps:
        const Program *program
        const uint32_t *which
        uint32_t n
        int64_t sample
    int steps_forward(const Steps *steps, double *values, Poll *poll)
    int steps_reverse(const Steps *steps, const double *values, double *adjoints, Poll *poll)
    int steps_tangent(const Steps *steps, const double *values, double *tangents, Poll *poll)
    int64_t take_entry(double index, uint32_t n)

    ctypedef struct Kernels:
        const char *name
        double (*sum)(size_t n, const double *a) nogil
    const Kernels *kernels_named(const char *name)

    ctypedef struct PlanRequest:
        const uint8_t *lanes
        uint32_t n_lanes
        const uint8_t *live
        bint in_scalar_order
    ctypedef struct Plan:
        uint32_t *uniform
        uint32_t n_uniform
        uint32_t *uniform_live
        uint32_t n_uniform_live
        uint32_t n_steps
        uint32_t n_adjoints
        uint32_t n_broadcasts
        uint32_t n_rows
        uint32_t n_layers
        uint32_t block
    int plan_build(const Program *program, const PlanRequest *request, Poll *poll, Plan *plan)
    void plan_free(Plan *plan)
    size_t plan_bytes(const Plan *plan)

    ctypedef struct InputColumn:
        const double *data
        Py_ssize_t stride
    ctypedef struct BatchPart:
        size_t of
        size_t first
        size_t end
        bint is_added
        double *rows
    ctypedef struct Workspace:
        double *memory
        size_t size
    ctypedef struct BatchRun:
        const Plan *plan
        const Kernels *kernels
        Workspace *workspace
        const InputColumn *inputs
        size_t n
        const uint64_t *numbers
        DrawKey draws
        const double *slots
        double *slot_adjoints
        double seed
        double **outputs
        Py_ssize_t *output_strides
        const InputColumn *tangents
        const double *slot_tangents
        double **output_tangents
        Py_ssize_t *output_tangent_strides
        double **input_grads
        Py_ssize_t *grad_strides
        double total
        int threads
        Poll poll
        const BatchPart *part
    int batch_run(BatchRun *run)
    size_t batch_groups(const Plan *plan, size_t n)
    size_t batch_group_begin(const Plan *plan, size_t n, size_t group)
    size_t batch_subtree(size_t at, size_t end, size_t n)
    int batch_finish(BatchRun *run, size_t n, double *rows, size_t *sizes)

cdef extern from "tape/groups.h" nogil:
    enum:
        GROUP_LAYER
    ctypedef struct GroupStep:
        int form
        uint32_t n
    ctypedef struct Extent:
        size_t n
    ctypedef struct Groups:
        const GroupStep *steps
        Extent steps_extent
        size_t n_values
        bint pays_alone
    ctypedef struct Pulls:
        size_t n_adjoints
    int groups_build(const Program *program, bint always, Poll *poll, Groups *groups)
    int pulls_build(
        const Program *program, const Groups *groups, const uint8_t *live, bint always, Poll *poll,
        Pulls *pulls)
    void groups_free(Groups *groups)
    void pulls_free(Pulls *pulls)
    size_t groups_bytes(const Groups *groups)
    size_t pulls_bytes(const Pulls *pulls)
    int groups_forward(
        const Program *program, const Groups *groups, const Kernels *kernels, double *values, Poll *poll)
    int groups_reverse(
        const Pulls *pulls, const Kernels *kernels, const double *values, double *adjoints, int *odd,
        Poll *poll)
