/* Schedule: in which order the operations of a batch run.
 *
 * What has the same level, the longest way from the leaves, depends on no other of it, and so one
 * kind of operation after another may run there: networks are written position by position and
 * neuron by neuron, and what is alike in them lies far apart. Values keep their bits: each is
 * computed from the same operands. Adjoints are added in another order than as recorded, the same
 * one always; where each sample's adjoints have the bits of one sample's, the order is not
 * changed. */
#include "tape/schedule.h"

#include <Python.h>

#include "tape/sorting.h"

typedef struct {
    Schedule *of;
    uint32_t *level;  /* per operation: 0 does not vary */
    uint32_t *shared; /* per operation: the number of a constant that is its operand, by which
                         those of a kind are sorted; 0 none */
    uint32_t *sorted, *count;
    uint32_t levels;
    Names kinds, constants;
} Sorter;

static void sorter_free(Sorter *s) {
    PyMem_RawFree(s->level);
    PyMem_RawFree(s->shared);
    PyMem_RawFree(s->sorted);
    PyMem_RawFree(s->count);
    names_free(&s->kinds);
    names_free(&s->constants);
}

static int varies(const Sorter *s, uint32_t slot) { return s->of->row_of[slot] != NO_SLOT; }

static void rise(const Sorter *s, uint32_t slot, uint32_t *level) {
    const uint32_t leaves = program_leaves(s->of->program);
    if (slot < leaves || !varies(s, slot)) return;
    if (s->level[slot - leaves] > *level) *level = s->level[slot - leaves];
}

/* The highest level of what an operation reads. */
static uint32_t level_below(const Sorter *s, uint32_t i) {
    const Program *p = s->of->program;
    const TapeOp *op = &p->ops[i];
    uint32_t level = 0;
    if (op_is_row(op->op)) {
        rise(s, op->a, &level);
        if (op_reads_b(op->op)) rise(s, op->b, &level);
        return level;
    }
    const uint32_t n = (uint32_t)op_listed(op->op, op->b);
    for (uint32_t t = 0; t < n; t++) rise(s, p->terms[op->a + t], &level);
    return level;
}

static int is_constant(const Program *p, uint32_t slot) {
    return slot >= p->n_inputs + p->n_parameters && slot < program_leaves(p);
}

/* Tells the kind of an operation, and its constant: layers are of a kind of their own each. */
static void classify(Sorter *s, uint32_t i) {
    const Program *p = s->of->program;
    const TapeOp *op = &p->ops[i];
    uint64_t key = op->op;
    if (s->of->layer_of[i]) {
        key = (uint64_t)1 << 62 | i;
    } else if (op_is_row(op->op)) {
        const int binary = op_reads_b(op->op) && op->b != op->a;
        const uint32_t shared = !varies(s, op->a) ? op->a : op->b;
        key |= (uint64_t)binary << 16;
        if (binary && !varies(s, shared)) {
            key |= (uint64_t)(op_is_add_or_mul(op->op) || shared == op->b ? 1 : 2) << 17;
            if (is_constant(p, shared)) s->shared[i] = 1 + name_of(&s->constants, shared);
        }
    } else {
        key |= (uint64_t)(op->b & 0x1fffff) << 10;
        if (op->op == OP_TAKE) key |= (uint64_t)p->terms[op->a] << 31;
    }
    s->of->kind[i] = name_of(&s->kinds, key);
}

/* Where a layer's first member is met, the operands of all members are known. */
static uint32_t level_of_layer(const Sorter *s, uint32_t first) {
    uint32_t level = 0;
    for (uint32_t i = first;; i = s->of->next[i]) {
        const uint32_t below = level_below(s, i);
        if (below > level) level = below;
        if (i == s->of->last[first]) return 1 + level;
    }
}

static int levels_find(Sorter *s, Poll *poll) {
    Schedule *of = s->of;
    const Program *p = of->program;
    const uint32_t leaves = program_leaves(p);
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const TapeOp *op = &p->ops[i];
        if (poll_signals(poll, 1 + (int64_t)(op_is_row(op->op) ? 0 : op_listed(op->op, op->b))))
            return TAPE_STOPPED;
        if (!varies(s, leaves + i)) continue;
        const uint32_t first = of->layer_of[i] ? of->layer_of[i] - 1 : i;
        if (first != i) s->level[i] = s->level[first];
        else if (of->layer_of[i] && of->by_level) s->level[i] = level_of_layer(s, i);
        else s->level[i] = 1 + level_below(s, i);
        if (s->level[i] > s->levels) s->levels = s->level[i];
        if (first != i) continue;
        classify(s, i);
        of->order[of->n++] = i;
    }
    return TAPE_OK;
}

/* How often the kind changes, or the level, from one to the next. */
static uint32_t changes(const Sorter *s, const uint32_t *order) {
    uint32_t n = 0;
    for (uint32_t at = 1; at < s->of->n; at++)
        n += s->of->kind[order[at]] != s->of->kind[order[at - 1]] ||
             s->level[order[at]] != s->level[order[at - 1]];
    return n;
}

static int sort(Sorter *s, Poll *poll) {
    Schedule *of = s->of;
    const uint32_t n_ops = of->program->n_ops;
    TRY_ROOM(s->level, n_ops);
    TRY_ROOM(s->shared, n_ops);
    TRY(names_begin(&s->kinds, n_ops));
    TRY(names_begin(&s->constants, of->program->n_constants));
    TRY(levels_find(s, poll));
    if (!of->by_level) return TAPE_OK;
    TRY_ROOM(s->sorted, 2 * (size_t)of->n);
    TRY_ROOM(s->count, (size_t)n_ops + 3);
    uint32_t *const one = s->sorted, *const two = one + of->n;
    sort_by(s->shared, s->constants.n + 1, of->order, of->n, s->count, one);
    sort_by(of->kind, s->kinds.n, one, of->n, s->count, two);
    sort_by(s->level, s->levels + 1, two, of->n, s->count, one);
    if ((uint64_t)4 * changes(s, one) < (uint64_t)3 * changes(s, of->order))
        memcpy(of->order, one, of->n * sizeof *one);
    return TAPE_OK;
}

int schedule_build(Schedule *schedule, Poll *poll) {
    Sorter s = {.of = schedule};
    schedule->n = 0;
    const int result = sort(&s, poll);
    sorter_free(&s);
    return result;
}
