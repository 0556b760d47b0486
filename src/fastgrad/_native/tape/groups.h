/* Groups: one sample in vectors. Operations of the same level and kind are one step over lanes, and
 * so are, in reverse, values with the same distance from the result and the same kinds of users.
 *
 * A value's adjoint is 0.0 + c1 + c2 + ..., its users in the order of a sweep; a sum that begins
 * with 0.0 is never -0.0. So pulling what its users contribute, in that order, gives the bits of
 * the eager engine, which pushes; adding 0.0 * 0.0 changes none; and what a partial sum that
 * nobody else sees has for an adjoint, 0.0 + 1.0 * g, is g. */
#ifndef FASTGRAD_GROUPS_H
#define FASTGRAD_GROUPS_H

#include "tape/tape.h"

/* How the index of an operand goes from lane to lane. */
enum ref_mode { REF_RUN, REF_ONE, REF_GATHER };
typedef struct {
    uint32_t at; /* the first index; of a gather: where its indices are in the pool */
    uint32_t mode;
} Ref;

enum group_form {
    GROUP_MAP,   /* y = op(a, b) */
    GROUP_SUMS,  /* y = ((init + w*x) + w*x) + ..., or of plain terms: n sums side by side */
    GROUP_LAYER, /* the same, whose products begin with rows of weights times one row of inputs */
    GROUP_ALONG, /* one long sum: a is its initial value, b and c run along its terms */
    GROUP_TAKE,  /* one of k entries, numbered by a */
    GROUP_LIST   /* operations one by one, where there are few on a level */
};

typedef struct GroupStep {
    uint16_t form, op; /* sums: the opcode is OP_DOT if of products, else OP_ADD */
    uint32_t n, y;     /* results, side by side; the first one's index */
    uint32_t k;        /* terms, or entries */
    /* Sums: the Ref of their initial values; those of terms follow, w and x or x alone. Take: its
     * entries in the pool. List: its first operation. Layer: as sums, without the terms that b
     * (inputs, one after the other), a (in the pool, where each sum's row of weights begins) and c
     * (how many they are) are for. */
    uint32_t list;
    Ref a, b, c;
} GroupStep;

enum { LAYER_MOST = 128 }; /* inputs of a layer that do not lie side by side */

/* What a user of a value contributes to its adjoint. */
enum use_kind {
    USE_ADD,     /* g */
    USE_MUL,     /* v * g: v is the other factor */
    USE_TAKE,    /* g, if the index v names entry b of y.at */
    USE_SLOPE_A, /* the partial of op in a, times g: its operands are v and b, its result y */
    USE_SLOPE_B
};
typedef struct {
    uint16_t kind, op;
    Ref g, v, b, y;
} GroupUse;

enum pull_form {
    PULL_GROUP, /* n values with k users of the same kinds each */
    PULL_ALONG, /* one value, whose many users are sums or products */
    PULL_SLICE, /* up to LANES values with up to k such users: user by user LANES indices of v, of g
                 */
    PULL_LIST   /* values one by one */
};
typedef struct PullStep {
    uint16_t form, has_slopes;
    uint32_t n, k;
    uint32_t
        uses; /* group, along: the first; slice: in the pool; list: first of its n + 1 begins */
    Ref y;    /* where the adjoints go */
} PullStep;

/* += values[v] * adjoints[g]; or, where g has this bit, use number v. */
#define EDGE_USE 0x80000000u
typedef struct {
    uint32_t g, v;
} GroupEdge;

typedef struct {       /* a take of leaves that only takes use */
    uint32_t index, g; /* of a value, of an adjoint */
    uint32_t list, n;  /* of adjoints, in the pool */
} GroupScatter;

/* Of an array that grows: entries, and room. */
typedef struct {
    size_t n, capacity;
} Extent;

/* Forward: for all calls of a tape. Values of leaves lie in their slots, results behind all slots,
 * so that the scalar interpreter has its memory beside. */
typedef struct Groups {
    GroupStep *steps;
    Ref *terms;
    TapeOp *list;
    uint32_t *pool;
    Extent steps_extent, terms_extent, list_extent, pool_extent;
    uint32_t *value_of; /* per slot; NO_SLOT: inside a step */
    uint32_t *heads;    /* per operation: the one whose step computes it */
    uint32_t one;       /* index of 1.0; 0.0 follows */
    uint32_t n_slots;
    size_t n_values;          /* 0: there is no plan */
    double cost, scalar_cost; /* nanoseconds, by the table in groups/plan.h */
    int pays_alone;           /* without a gradient, too */
} Groups;

/* Reverse: for what a gradient is of. Adjoints of leaves lie in their slots. */
typedef struct Pulls {
    PullStep *steps;
    GroupUse *uses;
    GroupEdge *edges;
    uint32_t *begins; /* of lists */
    uint32_t *pool;
    GroupScatter *scatters;
    uint32_t *cleared; /* adjoints that scatters add to */
    Extent steps_extent, uses_extent, edges_extent, begins_extent, pool_extent, scatters_extent,
        cleared_extent;
    uint32_t zero, seed; /* indices of 0.0, and of the result's adjoint */
    size_t n_adjoints;
    uint32_t *ranges; /* of leaves that have a gradient: begin and end of each */
    Extent ranges_extent;
    double cost;
} Pulls;

/* Of both planning and running: Ctrl-C is heard in proportion to work. */
#define POLL(steps)                                                                                \
    do {                                                                                           \
        if (poll_signals(poll, (int64_t)(steps))) return TAPE_STOPPED;                             \
    } while (0)

/* TAPE_OK and nothing planned (n_values, n_adjoints are 0): the interpreter is as good, or there is
 * something here that groups leave to it. `always`: whatever the cost, for tests. The same program
 * is planned in the same way always. */
int groups_build(const Program *program, int always, Poll *poll, Groups *groups);
int pulls_build(const Program *program, const Groups *groups, const uint8_t *live, int always,
    Poll *poll, Pulls *pulls);
void groups_free(Groups *groups);
void pulls_free(Pulls *pulls);
size_t groups_bytes(const Groups *groups);
size_t pulls_bytes(const Pulls *pulls);

/* Runs a sample whose leaves are in `values`, and puts the results of the program in their slots.
 */
int groups_forward(const Program *program, const Groups *groups, const Kernels *kernels,
    double *values, Poll *poll);
/* Computes the adjoints of leaves; *odd: one of them is nan, for which the rule of op_product() may
 * be the reason: the interpreter, which has it, must run instead. */
int groups_reverse(const Pulls *pulls, const Kernels *kernels, const double *values,
    double *adjoints, int *odd, Poll *poll);

#endif
