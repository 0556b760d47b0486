/* Tape: a recorded program, the plans made from it, and the kernels that run them.
 * Every function leaves Python alone but for PyMem_Raw*, so none of them needs the GIL; custom
 * operations, which are Python, take it by themselves (PythonCalls). */
#ifndef FASTGRAD_TAPE_H
#define FASTGRAD_TAPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/poll.h"
#include "ops/ops.h"

/* ---- the program: operations in single assignment, one slot for each value ---- */

/* A slot is a value: inputs first, then parameters, constants, and the result of each operation.
 * Rows of the table have operands a and b (a again, where there is but one). Structural opcodes
 * list them in `terms`, op_listed() of them from a on:
 * OP_DOT   s, w, x, w, x, ...; b: number of pairs
 * OP_TAKE  index, entry, entry, ...; b: number of entries
 * OP_CUSTOM  a constant that numbers the tape's custom operations, operand, ...; b: of operands */
typedef struct {
    uint32_t a, b;
    uint32_t op;
} TapeOp; /* 12 bytes: a replay of millions is bound by memory */

/* How custom operations run: Python functions of a tape, by number. They take the GIL. `sample` is
 * -1 outside a batch. TAPE_STOPPED: a Python error is set. */
typedef int (*PythonForward)(
    void *tape, uint32_t number, uint32_t n, const double *x, int64_t sample, double *y);
typedef int (*PythonPartials)(void *tape, uint32_t number, uint32_t n, const double *x, double y,
    int64_t sample, double *partials);

typedef struct {
    void *tape; /* NULL: the program has no custom operation */
    PythonForward forward;
    PythonPartials partials;
} PythonCalls;

/* Factors that a call draws, for one dropout: 0 with probability p, else 1 / (1 - p). */
typedef struct {
    double p;
    uint32_t n;
} Dropout;

/* What they are drawn from: dropout d of a program has number call + d, and sample s of a run has
 * number sample + s, so a part of a batch draws what it does in the whole. */
typedef struct {
    uint64_t seed, call, sample;
    int is_on; /* else they are 1 */
} DrawKey;

typedef struct {
    uint32_t n_inputs, n_parameters, n_constants, n_ops, n_outputs;
    uint32_t n_recorded; /* operations before simplification */
    TapeOp *ops;
    uint32_t *sources; /* of operations: places in the user's program, 0 where not known */
    double *constants;
    uint32_t *terms;
    uint32_t n_terms;
    uint32_t *outputs; /* slots */
    PythonCalls python;
    /* The last inputs are no arguments: they are drawn, dropout by dropout. */
    Dropout *dropouts;
    uint32_t n_dropouts, n_drawn;
} Program;

enum tape_result {
    TAPE_OK = 0,
    TAPE_NO_MEMORY = -1,
    TAPE_STOPPED = -2, /* by a poll: its Python error is set */
    TAPE_TOO_LARGE = -3,
    TAPE_BAD_INDEX = -4, /* a take names no entry */
    TAPE_TOO_LONG = -5,  /* more operations than a derivative may have */
    TAPE_NO_RULE = -6    /* an operation whose derivative is not known as operations */
};

/* Leaves the function with a result that is not TAPE_OK. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        const int tried = (call);                                                                  \
        if (tried != TAPE_OK) return tried;                                                        \
    } while (0)

/* Room for so many zeros, and no NULL for none of them; else leaves with TAPE_NO_MEMORY. */
#define TRY_ROOM(array, n)                                                                         \
    do {                                                                                           \
        const size_t wanted = (n);                                                                 \
        (array) = PyMem_RawCalloc(wanted ? wanted : 1, sizeof *(array));                           \
        if (!(array)) return TAPE_NO_MEMORY;                                                       \
    } while (0)

static inline uint32_t program_leaves(const Program *p) {
    return p->n_inputs + p->n_parameters + p->n_constants;
}
static inline uint32_t program_arguments(const Program *p) { return p->n_inputs - p->n_drawn; }
static inline uint32_t program_slots(const Program *p) { return program_leaves(p) + p->n_ops; }

/* What the recorder hands over: operands name leaves (RECORD_LEAF set) or earlier operations. */
#define RECORD_LEAF 0x80000000u
enum leaf_kind { LEAF_INPUT, LEAF_PARAMETER, LEAF_CONSTANT };

typedef struct {
    uint32_t n_ops, n_leaves, n_terms, n_outputs;
    uint32_t n_fixed; /* parameters that are the first ones, used or not */
    TapeOp *ops;
    uint32_t *sources;
    uint8_t *leaf_kind;
    double *leaf_value; /* of constants */
    /* Inputs: which one. Parameters: which one, if it is fixed; else NO_SLOT, and set by
     * program_build if it is used. */
    uint32_t *leaf_slot;
    uint32_t *terms;
    uint32_t *outputs;
} Recording;

#define NO_SLOT 0xffffffffu

int program_build(Recording *recording, uint32_t n_inputs, Poll *poll, Program *program);
void program_free(Program *program);
size_t program_bytes(const Program *program);

/* Puts into the slots what a sample draws, or 1. */
int program_draw(
    const Program *program, const DrawKey *key, uint64_t sample, double *values, Poll *poll);

/* ---- derivatives of a program, as programs ---- */

#define SEED_ONE 0xfffffffeu /* where a seed is no input: 1.0 */

/* In a pass, the adjoint of an output or the tangent of an input or parameter: the number of the
 * derivative's input that it is, or SEED_ONE. The others are 0. */
typedef struct {
    uint32_t pass, place, seed;
} DeriveSeed;

/* Output `at` of the derivative: of a pass, the adjoint of a leaf, or the tangent of an output. */
typedef struct {
    uint32_t pass, place, at;
} DerivePick;

typedef struct {
    int forward;             /* tangents; else adjoints */
    int values;              /* the program's outputs come first; `at` counts from behind them */
    uint32_t n_inputs;       /* of the derivative: the program's, then those that seeds name */
    const uint8_t *live;     /* of inputs and parameters: what adjoints are asked for */
    const DeriveSeed *seeds; /* both in the order of passes, which have a seed each */
    const DerivePick *picks;
    uint32_t n_seeds, n_picks;
    uint32_t most; /* operations, before they are simplified */
} DeriveRequest;

/* The parameters are those of the program. TAPE_NO_RULE: `unknown` has the opcode. */
int program_derive(
    const Program *in, const DeriveRequest *request, Poll *poll, uint32_t *unknown, Program *made);

/* ---- one sample at a time ---- */

/* A list of operations of a program: all of them, or those that `which` names. */
typedef struct {
    const Program *program;
    const uint32_t *which; /* NULL: all */
    uint32_t n;
    int64_t sample; /* for messages: -1 outside a batch, or where all samples share it */
} Steps;

int steps_forward(const Steps *steps, double *values, Poll *poll);
int steps_reverse(const Steps *steps, const double *values, double *adjoints, Poll *poll);
int steps_tangent(const Steps *steps, const double *values, double *tangents, Poll *poll);

/* op_product() for tangents: what is known of a partial changes no zero's sign, so that one sample
 * and many have the same bits. */
static inline double tangent_term(double partial, double tangent) {
    return (partial != 0.0) & (tangent != 0.0) ? partial * tangent : 0.0;
}

/* Custom operations: of a step, and what they give of its adjoints or tangents. */
int custom_forward(const Steps *steps, const TapeOp *op, const double *values, double *y);
int custom_reverse(const Steps *steps, const TapeOp *op, const double *values, double y,
    double *adjoints, double g);
int custom_tangent(const Steps *steps, const TapeOp *op, const double *values, double y,
    const double *tangents, double *out);

/* Which of n entries an index names, a negative one from the end; -1 where it names none. */
static inline int64_t take_entry(double index, uint32_t n) {
    if (!(index >= -(double)n && index < (double)n)) return -1;
    const int64_t entry = (int64_t)index;
    if (index != (double)entry) return -1;
    return entry < 0 ? entry + n : entry;
}

/* ---- many samples at a time ---- */

enum { LANES = 8 }; /* logical lanes, whatever the hardware has: the order of sums follows them */

/* One of the layers that have the same weights. */
typedef struct {
    uint32_t list;  /* its inputs */
    uint32_t y, dy; /* rows of values, of adjoints */
} LayerUse;

/* Where layers have their rows. */
typedef struct {
    const double *values, *adjoints;
    size_t stride;
    const uint32_t *lists;
} LayerRows;

/* What multiplies partials by adjoints. */
typedef struct {
    void (*reverse[OP_COUNT])(size_t n, const double *a, const double *b, const double *y,
        const double *g, double *da, double *db);
    /* of operations that have a b or a parameter: one b for all samples, without an adjoint */
    void (*reverse_broadcast[OP_COUNT])(
        size_t n, const double *a, double b, const double *y, const double *g, double *da);
    void (*multiply_add)(size_t n, const double *a, const double *b, double *y); /* y += a * b */
    void (*scale_add)(size_t n, double a, const double *b, double *y);           /* y += a * b */
    double (*dot)(size_t n, const double *a, const double *b);
    /* rows [begin, end) of dw, of layers of the same weights */
    void (*layer_weights)(double *dw, const LayerRows *rows, const LayerUse *uses, size_t n_uses,
        size_t begin, size_t end, size_t k, size_t n);
} Products;

/* Two draws of one dropout, that share their random words, for samples from a first one on. */
typedef struct {
    uint64_t seed, call;
    uint32_t sample, pair;
    int64_t threshold; /* of bits: below it a factor is 0 */
    double scale;
} DrawPair;

DrawPair draw_pair(const Dropout *dropout, const DrawKey *key, uint64_t sample, uint32_t draw);

struct GroupStep;
struct Groups;
struct PullStep;
struct Pulls;

typedef struct {
    const char *name;
    void (*forward[OP_COUNT])(size_t n, const double *a, const double *b, double *y);
    void (*forward_broadcast[OP_COUNT])(size_t n, const double *a, double b, double *y);
    /* bias NULL: y has what the sums begin with */
    void (*layer_forward)(const double *w, const double *bias, const double *values,
        const uint32_t *x, size_t m, size_t k, size_t stride, size_t n, double *y);
    void (*layer_inputs)(const double *w, double *adjoints, const uint32_t *x, size_t m, size_t k,
        size_t stride, size_t n, const double *g);
    void (*layer_biases)(double *dbias, size_t m, size_t stride, size_t n, const double *g);
    /* forward mode: t is the tangent of y */
    void (*tangent[OP_COUNT])(size_t n, const double *a, const double *b, const double *y,
        const double *ta, const double *tb, double *t);
    void (*tangent_broadcast[OP_COUNT])(/* b does not change */
        size_t n, const double *a, double b, const double *y, const double *ta, double *t);
    void (*multiply_tangent)(size_t n, const double *a, const double *ta, const double *b,
        const double *tb, double *t); /* adds that of a * b */
    void (*scale_tangent)(
        size_t n, double a, double ta, const double *b, const double *tb, double *t);
    double (*sum)(size_t n, const double *a);
    void (*draw)(const DrawPair *pair, size_t n, double *first, double *second);
    /* a dot whose k pairs are rows: adds it to y; gives all of them, whose adjoints are the rows
     * `to`, what it gives */
    void (*dot_forward)(
        const double *values, const uint32_t *pairs, size_t k, size_t stride, size_t n, double *y);
    void (*dot_reverse)(const double *values, double *adjoints, const uint32_t *pairs,
        const uint32_t *to, size_t k, size_t stride, size_t n, const double *g);
    /* steps of groups.h, of one sample */
    void (*group_step)(const struct GroupStep *step, const struct Groups *groups, double *values);
    void (*pull_step)(const struct PullStep *step, const struct Pulls *pulls, const double *values,
        double *adjoints);
    Products products[2]; /* plain ones; by the rule of op_product() */
} Kernels;

/* Value and partial of a row of OP_EACH_NEAR for any operand: loops have texts that may not reach
 * it. */
double value_of_one(int op, double a);
double slope_of_one(int op, double a, double y);

extern const Kernels kernels_baseline, kernels_avx2, kernels_avx512;
const Kernels *kernels_named(const char *name); /* NULL: the best; NULL returned: not here */

_Static_assert(OP_COUNT <= 1 << 16, "opcodes have 16 bits on tapes, whatever a node has");

enum batch_kind { BATCH_MAP, BATCH_LAYER, BATCH_DOT, BATCH_TAKE };
/* Bit of an operand that is a broadcast input: a value that is the same for all samples, named by
 * its index into broadcasts. */
#define BROADCAST 0x80000000u
/* A map whose operands follow no rule: its list has a and b of each result. */
#define LISTED 0xffffffffu

typedef struct {
    uint16_t op;
    uint8_t kind, live; /* of batch_kind, of live_step */
    /* Rows; those of y, y+1, ... follow, and so do a map's a and b, unless they are LISTED, or one
     * broadcast input for all. */
    uint32_t y, a, b;
    uint32_t m; /* results, each with a row */
    uint32_t k; /* layer: inputs; dot: pairs of each; take: entries of each */
    uint32_t
        list; /* layer: x, and m initial values if they vary; dot: of each result its initial
                 value, w0, x0, ...; take: of each its entries, the index is a; map: if LISTED */
    uint32_t weights;        /* layer: first broadcast input of m * k, row by row; take: of its
                                entries, if they follow one another; else NO_SLOT */
    uint32_t biases;         /* layer: first of m; NO_SLOT: initial values vary */
    uint32_t tied, n_tied;   /* layer that is the first of its weights: all of them */
    uint32_t op_index;       /* first operation of the program that it stands for */
    uint32_t dy, da, db;     /* as y, a, b: rows of adjoints */
    uint32_t clear, n_clear; /* rows of adjoints that it is the first in reverse to add to */
} BatchStep;

/* What of a step leads to what a gradient is of: any result; of a layer an input, a weight, a
 * broadcast initial value. */
enum live_step {
    LIVE_RESULT = 1,
    LIVE_INPUT = 2,
    LIVE_WEIGHT = 4,
    LIVE_BIAS = 8,
    PAIRS_OF_ROWS = 16, /* dots: no broadcast input among them */
    LIVE_PAIRS = 32     /* dots: all of them, and rows */
};

/* A row that has one broadcast input in all lanes. */
typedef struct {
    uint32_t row, adjoint, broadcast;
} FilledRow;

/* Rows of adjoints, one after another. */
typedef struct {
    uint32_t row, n;
} RowRange;

/* What a plan is made for. */
typedef struct {
    const uint8_t *lanes; /* per leaf: it may differ from sample to sample */
    uint32_t n_lanes;     /* leaves that have an entry: the inputs, or the parameters too */
    const uint8_t *live;  /* per slot: it is what a gradient is of, or computed from that */
    /* Add up each sample's adjoints in the order of the scalar interpreter, for its bits. */
    int in_scalar_order;
} PlanRequest;

/* How a program runs when some of its leaves differ from sample to sample. */
typedef struct {
    const Program *program;
    uint8_t *lanes; /* as requested */
    uint32_t n_lanes;
    uint32_t *uniform; /* operations that are the same for all samples */
    uint32_t n_uniform;
    uint32_t *uniform_live; /* those that adjoints go through */
    uint32_t n_uniform_live;
    uint8_t *live_rows, *live_broadcasts;
    BatchStep *steps;
    uint32_t n_steps, steps_capacity;
    uint32_t *lists;
    uint32_t n_lists, lists_capacity;
    uint32_t *adjoint_lists; /* the same, of rows of adjoints */
    RowRange *clears;
    uint32_t n_clears, n_clears_first; /* the first of them: before a reverse sweep */
    uint32_t *broadcasts;              /* slots of the broadcast inputs */
    uint32_t n_broadcasts, broadcasts_capacity;
    FilledRow *filled;
    uint32_t n_filled, filled_capacity;
    LayerUse *tied;   /* layers, those of the same weights together */
    uint32_t *row_of; /* per slot: its lanes, NO_SLOT if it is the same for all samples */
    uint32_t n_rows;
    uint32_t n_adjoints; /* rows: what is not needed at the same time shares them */
    uint32_t seed;       /* row of the first result's adjoint; NO_SLOT: it does not vary */
    uint32_t n_layers;
    uint32_t block; /* samples that are worked on at a time */
} Plan;

int plan_build(const Program *program, const PlanRequest *request, Poll *poll, Plan *plan);
void plan_free(Plan *plan);
size_t plan_bytes(const Plan *plan);

/* An input as its caller has it: that of sample s lies at data + s * stride. */
typedef struct {
    const double *data;
    ptrdiff_t stride; /* doubles from sample to sample */
} InputColumn;

/* A part of a batch: the samples of a run are those of some of its groups. */
typedef struct {
    size_t of; /* samples of the whole */
    size_t first, end;
    int is_added; /* whole subtrees of groups are added up, and have one row */
    double *rows; /* of n_broadcasts + 1: the total, adjoints of the broadcast inputs */
} BatchPart;

typedef struct { /* grows as needed; kept from call to call */
    double *memory;
    size_t size;
} Workspace;

typedef struct {
    const Plan *plan;
    const Kernels *kernels;
    Workspace *workspace;
    const InputColumn *inputs; /* one per leaf of the plan's lanes; no data: drawn */
    size_t n;                  /* samples */
    const uint64_t *numbers;   /* of samples, for messages; NULL: 0, 1, ... */
    DrawKey draws;
    const double *slots;   /* values of what is the same for all samples */
    double *slot_adjoints; /* NULL: forward only */
    double seed;           /* adjoint of each sample's first output */
    double **outputs;      /* per output of the program: n numbers, or NULL */
    ptrdiff_t *output_strides;
    const InputColumn *tangents; /* NULL: none; as inputs, for forward mode */
    const double *slot_tangents;
    double **output_tangents;
    ptrdiff_t *output_tangent_strides;
    double **input_grads; /* NULL: none; or per leaf: where its n adjoints go, or NULL */
    ptrdiff_t *grad_strides;
    double total; /* sum of the first output over the samples, in a fixed order */
    int threads;
    Poll poll;             /* of the caller's share, while it waits too */
    const BatchPart *part; /* NULL: all groups, added up */
} BatchRun;

int batch_run(BatchRun *run);

/* The groups of a batch of n samples, and the first sample of each; of the last one's end, n. */
size_t batch_groups(const Plan *plan, size_t n);
size_t batch_group_begin(const Plan *plan, size_t n, size_t group);
/* How many groups the row stands for that a part, which is added up and ends at `end` of n groups,
 * has at a group: its own and those behind it. */
size_t batch_subtree(size_t at, size_t end, size_t n);
/* Ends a run whose parts were run elsewhere: rows of n_broadcasts + 1, one place for each group, of
 * which those with a size have what the parts gave. Sizes and rows are used up. */
int batch_finish(BatchRun *run, size_t n, double *rows, size_t *sizes);
/* The same for a program with custom operations: sample by sample, on this thread. */
int sequence_run(BatchRun *run);

/* ---- threads ---- */

enum { THREADS_MAX = 64 }; /* threads, the caller's included */

/* Runs work(share) for the first of n shares, each `size` bytes, on this thread, and for the others
 * on helper threads as far as there are any: each share must be able to do all the work. Every
 * share that has begun has ended on return; poll(shares) is called every so often while waiting for
 * that. Returns 0 if work or poll has forked and this is the child, where the helpers' results are
 * lost. */
int thread_pool_run(void (*work)(void *), void *shares, size_t size, int n, void (*poll)(void *));

#endif
