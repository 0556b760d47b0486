/* Derive: the derivative of a program, as a program.
 *
 * The operations of the program are copied, then swept in the order of the interpreter: in reverse
 * for adjoints, forth for tangents. What a sweep would compute is appended as operations instead,
 * and program_build simplifies all of them together. A sum of adjoints begins with 0.0, and has its
 * terms in the sweep's order, so a gradient has the bits that a sweep gives. */
#include <Python.h>

#include <stdlib.h>
#include <string.h>

#include "tape/tape.h"

typedef struct {
    const Program *in;
    const DeriveRequest *request;
    Poll *poll;
    Recording out;
    size_t ops_room, leaves_room, terms_room;
    uint8_t *odd;        /* per operation made: it may be inf or nan though all leaves are finite */
    uint32_t *value;     /* per slot of the program: what stands for it */
    uint32_t *sums;      /* per slot: its adjoint or tangent so far; NO_SLOT: 0 always */
    uint8_t *begun;      /* per slot: the sum began with 0.0, and is never -0.0 */
    uint8_t *live;       /* per slot: it is computed from what the derivative is by */
    uint32_t zero;       /* the constant 0.0 */
    uint32_t recent[16]; /* constants, by their bits; 0: none */
    uint32_t source;     /* of what is made now */
    int result;          /* the first failure: nothing is made from then on */
    uint32_t *unknown;
} Derivation;

/* ---- making operations ---- */

/* Room for one more of arrays that grow together. */
static int grow_one(void **array, size_t room, size_t size) {
    void *moved = PyMem_RawRealloc(*array, room * size);
    if (moved) *array = moved;
    return moved ? TAPE_OK : TAPE_NO_MEMORY;
}

static size_t more_than(size_t n) { return n + n / 2 + 64; }

static int grow_ops(Derivation *to) {
    const size_t room = more_than(to->out.n_ops);
    TRY(grow_one((void **)&to->out.ops, room, sizeof *to->out.ops));
    TRY(grow_one((void **)&to->out.sources, room, sizeof *to->out.sources));
    TRY(grow_one((void **)&to->odd, room, sizeof *to->odd));
    to->ops_room = room;
    return TAPE_OK;
}

static int grow_leaves(Derivation *to) {
    const size_t room = more_than(to->out.n_leaves);
    TRY(grow_one((void **)&to->out.leaf_kind, room, sizeof *to->out.leaf_kind));
    TRY(grow_one((void **)&to->out.leaf_value, room, sizeof *to->out.leaf_value));
    TRY(grow_one((void **)&to->out.leaf_slot, room, sizeof *to->out.leaf_slot));
    to->leaves_room = room;
    return TAPE_OK;
}

static uint32_t leaf(Derivation *to, uint8_t kind, double value, uint32_t slot) {
    if (to->result == TAPE_OK && to->out.n_leaves >= RECORD_LEAF / 4) to->result = TAPE_TOO_LARGE;
    if (to->result == TAPE_OK && to->out.n_leaves >= to->leaves_room) to->result = grow_leaves(to);
    if (to->result != TAPE_OK) return RECORD_LEAF;
    const uint32_t n = to->out.n_leaves++;
    to->out.leaf_kind[n] = kind;
    to->out.leaf_value[n] = value;
    to->out.leaf_slot[n] = slot;
    return n | RECORD_LEAF;
}

/* A constant; one that was asked for lately is the same leaf, so that operands sort well. */
static uint32_t number(Derivation *to, double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t *recent = &to->recent[(bits * 0x9e3779b97f4a7c15u) >> 60];
    if (!*recent || memcmp(&to->out.leaf_value[*recent & ~RECORD_LEAF], &x, sizeof x))
        *recent = leaf(to, LEAF_CONSTANT, x, NO_SLOT);
    return *recent;
}

static int is_number(const Derivation *to, uint32_t ref) {
    return ref & RECORD_LEAF && to->out.n_leaves &&
           to->out.leaf_kind[ref & ~RECORD_LEAF] == LEAF_CONSTANT;
}

static double number_of(const Derivation *to, uint32_t ref) {
    return to->out.leaf_value[ref & ~RECORD_LEAF];
}

static int is_odd(const Derivation *to, uint32_t ref) {
    if (!(ref & RECORD_LEAF)) return to->odd[ref];
    return is_number(to, ref) && !isfinite(number_of(to, ref));
}

static uint32_t push(Derivation *to, TapeOp op, int odd) {
    if (to->result == TAPE_OK && to->out.n_ops >= to->request->most) to->result = TAPE_TOO_LONG;
    if (to->result == TAPE_OK && to->out.n_ops >= to->ops_room) to->result = grow_ops(to);
    if (to->result != TAPE_OK) return RECORD_LEAF;
    to->out.ops[to->out.n_ops] = op;
    to->out.sources[to->out.n_ops] = to->source;
    to->odd[to->out.n_ops] = (uint8_t)odd;
    return to->out.n_ops++;
}

/* Powers of 1, 2, 3, ... are products. */
static int is_whole_power(const Derivation *to, uint32_t op, uint32_t b) {
    if (op != OP_POW_NUMBER || !is_number(to, b)) return 0;
    const double k = number_of(to, b);
    return k >= 1.0 && k <= 64.0 && k == (double)(int)k;
}

static int is_odd_row(const Derivation *to, uint32_t op, uint32_t a, uint32_t b) {
    if (op_is_comparison(op)) return 0;
    if (!op_is_tame(op) && !is_whole_power(to, op, b)) return 1;
    return is_odd(to, a) || is_odd(to, b);
}

static uint32_t emit(Derivation *to, uint32_t op, uint32_t a, uint32_t b);

/* k * x^(k - 1), as pow_number's partial has it. */
static uint32_t emit_power_slope(Derivation *to, uint32_t a, double k) {
    if (k == 0.0 || k == 1.0) return number(to, k);
    if (k == 2.0) return emit(to, OP_MUL, number(to, 2.0), a);
    if ((k - 1.0) + 1.0 != k) return push(to, (TapeOp){a, number(to, k), OP_POWER_SLOPE}, 1);
    return emit(to, OP_MUL, number(to, k), emit(to, OP_POW_NUMBER, a, number(to, k - 1.0)));
}

static uint32_t emit(Derivation *to, uint32_t op, uint32_t a, uint32_t b) {
    if (to->result != TAPE_OK) return RECORD_LEAF;
    if (is_number(to, a) && is_number(to, b)) {
        double y = 0.0;
        op_forward((int)op, number_of(to, a), number_of(to, b), &y);
        return number(to, y);
    }
    if (op == OP_POWER_SLOPE) return emit_power_slope(to, a, number_of(to, b));
    if (op == OP_POW_NUMBER && number_of(to, b) == 1.0) return a;
    if ((op == OP_KEEP_IF || op == OP_KEEP_UNLESS) && is_number(to, a))
        return (number_of(to, a) != 0.0) == (op == OP_KEEP_IF) ? b : number(to, -0.0);
    return push(to, (TapeOp){a, b, op}, is_odd_row(to, op, a, b));
}

/* A number that makes a product by op_product()'s rule the plain one. */
static int is_plain_factor(const Derivation *to, uint32_t ref) {
    return is_number(to, ref) && number_of(to, ref) != 0.0 && isfinite(number_of(to, ref));
}

/* A partial times an adjoint or a tangent: what has no influence contributes nothing. The rule
 * costs an operation of its own, so it is made where one of the two may be infinite or nan. */
static uint32_t times(Derivation *to, uint32_t partial, uint32_t g) {
    if (to->result != TAPE_OK) return RECORD_LEAF;
    if (is_number(to, partial) && number_of(to, partial) == 0.0) return NO_SLOT;
    if (is_number(to, partial) && number_of(to, partial) == 1.0) return g;
    if (is_number(to, g) && number_of(to, g) == 1.0) return partial;
    const int plain = is_plain_factor(to, partial) || is_plain_factor(to, g) ||
                      !(is_odd(to, partial) || is_odd(to, g));
    return emit(to, plain ? OP_MUL : OP_PRODUCT, partial, g);
}

#include "ops/slopes.h"

static uint32_t contribution(
    Derivation *to, const TapeOp *op, int operand, uint32_t y, uint32_t g) {
    const uint32_t found = slope_times(
        to, op->op, operand, to->value[op->a], to->value[op->b], to->value[y], g);
    if (found != SLOPE_UNKNOWN || to->result != TAPE_OK) return found;
    to->result = TAPE_NO_RULE;
    *to->unknown = op->op;
    return NO_SLOT;
}

/* ---- sums: 0.0 + term + term + ..., which become dots where terms are products ---- */

static int is_product(const Derivation *to, uint32_t ref) {
    return !(ref & RECORD_LEAF) && to->out.ops[ref].op == OP_MUL;
}

static void sum_add(Derivation *to, uint32_t slot, uint32_t term) {
    if (term == NO_SLOT || to->result != TAPE_OK) return;
    uint32_t *sum = &to->sums[slot];
    if (*sum == NO_SLOT) {
        *sum = term;
        return;
    }
    if (!to->begun[slot] && is_product(to, *sum)) {
        *sum = emit(to, OP_ADD, to->zero, *sum);
        to->begun[slot] = 1;
    }
    *sum = emit(to, OP_ADD, *sum, term);
}

/* The sum as a sweep has it: 0.0 where nothing was added, and never -0.0. */
static uint32_t sum_read(Derivation *to, uint32_t slot) {
    const uint32_t sum = to->sums[slot];
    if (sum == NO_SLOT) return to->zero;
    return to->begun[slot] ? sum : emit(to, OP_ADD, to->zero, sum);
}

static void sums_clear(Derivation *to) {
    const uint32_t n = program_slots(to->in);
    memset(to->sums, 0xff, n * sizeof *to->sums);
    memset(to->begun, 0, n);
}

/* ---- the program itself ---- */

static uint32_t push_terms(Derivation *to, const uint32_t *terms, uint32_t n) {
    const size_t need = (size_t)to->out.n_terms + n;
    if (to->result == TAPE_OK && need >= RECORD_LEAF) to->result = TAPE_TOO_LARGE;
    if (to->result == TAPE_OK && need > to->terms_room) {
        to->result = grow_one((void **)&to->out.terms, more_than(need), sizeof *to->out.terms);
        if (to->result == TAPE_OK) to->terms_room = more_than(need);
    }
    if (to->result != TAPE_OK) return 0;
    memcpy(to->out.terms + to->out.n_terms, terms, n * sizeof *terms);
    to->out.n_terms = (uint32_t)need;
    return (uint32_t)need - n;
}

/* Copies an operation that lists its operands. */
static uint32_t copy_listed(Derivation *to, const TapeOp *op) {
    const uint32_t n = (uint32_t)op_listed(op->op, op->b);
    const uint32_t at = push_terms(to, to->in->terms + op->a, n);
    int odd = op->op == OP_CUSTOM;
    if (to->result != TAPE_OK) return RECORD_LEAF;
    for (uint32_t t = at; t < at + n; t++) {
        to->out.terms[t] = to->value[to->out.terms[t]];
        odd |= is_odd(to, to->out.terms[t]);
    }
    return push(to, (TapeOp){at, op->b, op->op}, odd);
}

static int copy_program(Derivation *to) {
    const Program *in = to->in;
    const uint32_t leaves = program_leaves(in), more = to->request->n_inputs - in->n_inputs;
    for (uint32_t i = 0; i < to->request->n_inputs; i++) leaf(to, LEAF_INPUT, 0.0, i);
    for (uint32_t i = 0; i < in->n_inputs; i++) /* what is drawn comes last */
        to->value[i] = (i < program_arguments(in) ? i : i + more) | RECORD_LEAF;
    for (uint32_t i = 0; i < in->n_parameters; i++)
        to->value[in->n_inputs + i] = leaf(to, LEAF_PARAMETER, 0.0, i);
    for (uint32_t i = 0; i < in->n_constants; i++)
        to->value[in->n_inputs + in->n_parameters + i] = number(to, in->constants[i]);
    to->zero = number(to, 0.0);
    for (uint32_t i = 0; i < in->n_ops; i++) {
        const TapeOp *op = &in->ops[i];
        if (poll_signals(to->poll, 1 + (int64_t)op_listed(op->op, op->b))) return TAPE_STOPPED;
        to->source = in->sources[i];
        to->value[leaves + i] = op_is_row(op->op)
                                    ? push(to, (TapeOp){to->value[op->a], to->value[op->b], op->op},
                                          is_odd_row(
                                              to, op->op, to->value[op->a], to->value[op->b]))
                                    : copy_listed(to, op);
        if (to->result != TAPE_OK) return to->result;
    }
    return TAPE_OK;
}

/* Marks what is computed from the leaves that are asked for. */
static void mark_live(Derivation *to) {
    const Program *in = to->in;
    const uint32_t leaves = program_leaves(in);
    memcpy(to->live, to->request->live, in->n_inputs + in->n_parameters);
    for (uint32_t i = 0; i < in->n_ops; i++) {
        const TapeOp *op = &in->ops[i];
        uint8_t live = 0;
        if (op_is_row(op->op)) live = to->live[op->a] | to->live[op->b];
        else
            for (uint32_t t = 0; t < op_listed(op->op, op->b); t++)
                live |= to->live[in->terms[op->a + t]];
        to->live[leaves + i] = live;
    }
}

/* ---- adjoints ---- */

static void dot_reverse(Derivation *to, const TapeOp *op, uint32_t g) {
    const uint32_t *t = to->in->terms + op->a;
    for (uint32_t i = op->b; i-- > 0;) {
        const uint32_t w = t[1 + 2 * i], x = t[2 + 2 * i];
        if (to->live[w]) sum_add(to, w, times(to, to->value[x], g));
        if (to->live[x]) sum_add(to, x, times(to, to->value[w], g));
    }
    if (to->live[t[0]]) sum_add(to, t[0], g);
}

/* An entry has g where the index names it, from either end. */
static void take_reverse(Derivation *to, const TapeOp *op, uint32_t g) {
    const uint32_t *t = to->in->terms + op->a, index = to->value[t[0]];
    for (uint32_t i = 0; i < op->b; i++) {
        if (!to->live[t[1 + i]]) continue;
        const uint32_t from_start = emit(to, OP_EQ, index, number(to, i));
        const uint32_t from_end = emit(to, OP_EQ, index, number(to, (double)i - op->b));
        sum_add(to, t[1 + i], emit(to, OP_KEEP_IF, emit(to, OP_ADD, from_start, from_end), g));
    }
}

static void row_reverse(Derivation *to, const TapeOp *op, uint32_t y, uint32_t g) {
    const int binary = op_is_binary(op->op), b_first = op_row_is_add_or_mul(op->op);
    if (binary && b_first && to->live[op->b]) sum_add(to, op->b, contribution(to, op, 1, y, g));
    if (to->live[op->a]) sum_add(to, op->a, contribution(to, op, 0, y, g));
    if (binary && !b_first && to->live[op->b]) sum_add(to, op->b, contribution(to, op, 1, y, g));
}

static int no_rule(Derivation *to, uint32_t op) {
    *to->unknown = op;
    return TAPE_NO_RULE;
}

/* One sweep; the seeds are there. */
static int reverse(Derivation *to) {
    const Program *in = to->in;
    const uint32_t leaves = program_leaves(in);
    for (uint32_t i = in->n_ops; i-- > 0;) {
        const TapeOp *op = &in->ops[i];
        const uint32_t y = leaves + i, g = to->sums[y];
        if (poll_signals(to->poll, 1 + (int64_t)op_listed(op->op, op->b))) return TAPE_STOPPED;
        if (g == NO_SLOT) continue;
        to->source = in->sources[i];
        if (op_is_row(op->op)) row_reverse(to, op, y, g);
        else if (op->op == OP_DOT) dot_reverse(to, op, g);
        else if (op->op == OP_TAKE) take_reverse(to, op, g);
        else return no_rule(to, op->op);
        if (to->result != TAPE_OK) return to->result;
    }
    return TAPE_OK;
}

/* ---- tangents ---- */

static void dot_forward(Derivation *to, const TapeOp *op, uint32_t y) {
    const uint32_t *t = to->in->terms + op->a, *tan = to->sums;
    if (tan[t[0]] != NO_SLOT) sum_add(to, y, tan[t[0]]);
    for (uint32_t i = 0; i < op->b; i++) {
        const uint32_t w = t[1 + 2 * i], x = t[2 + 2 * i];
        if (tan[w] != NO_SLOT) sum_add(to, y, times(to, to->value[x], tan[w]));
        if (tan[x] != NO_SLOT) sum_add(to, y, times(to, to->value[w], tan[x]));
    }
}

static void take_forward(Derivation *to, const TapeOp *op, uint32_t y) {
    const uint32_t *t = to->in->terms + op->a;
    int changes = 0, odd = 0;
    for (uint32_t i = 1; i <= op->b; i++) changes |= to->sums[t[i]] != NO_SLOT;
    if (!changes) return;
    const uint32_t at = push_terms(to, t, op->b + 1);
    if (to->result != TAPE_OK) return;
    to->out.terms[at] = to->value[t[0]];
    for (uint32_t i = 1; i <= op->b; i++) {
        const uint32_t tangent = to->sums[t[i]];
        to->out.terms[at + i] = tangent == NO_SLOT ? to->zero : tangent;
        odd |= is_odd(to, to->out.terms[at + i]);
    }
    to->sums[y] = push(to, (TapeOp){at, op->b, OP_TAKE}, odd);
}

static void row_forward(Derivation *to, const TapeOp *op, uint32_t y) {
    const uint32_t ta = to->sums[op->a], tb = to->sums[op->b];
    if (ta != NO_SLOT) sum_add(to, y, contribution(to, op, 0, y, ta));
    if (op_is_binary(op->op) && tb != NO_SLOT) sum_add(to, y, contribution(to, op, 1, y, tb));
}

static int custom_changes(const Derivation *to, const TapeOp *op) {
    for (uint32_t t = 0; t < op_listed(op->op, op->b); t++)
        if (to->sums[to->in->terms[op->a + t]] != NO_SLOT) return 1;
    return 0;
}

/* One pass; the seeds are there. */
static int forward(Derivation *to) {
    const Program *in = to->in;
    const uint32_t leaves = program_leaves(in);
    for (uint32_t i = 0; i < in->n_ops; i++) {
        const TapeOp *op = &in->ops[i];
        if (poll_signals(to->poll, 1 + (int64_t)op_listed(op->op, op->b))) return TAPE_STOPPED;
        to->source = in->sources[i];
        if (op_is_row(op->op)) row_forward(to, op, leaves + i);
        else if (op->op == OP_DOT) dot_forward(to, op, leaves + i);
        else if (op->op == OP_TAKE) take_forward(to, op, leaves + i);
        else if (custom_changes(to, op)) return no_rule(to, op->op);
        if (to->result != TAPE_OK) return to->result;
    }
    return TAPE_OK;
}

/* ---- what was asked for ---- */

static int reserve(Derivation *to) {
    const size_t slots = program_slots(to->in);
    TRY_ROOM(to->value, slots);
    TRY_ROOM(to->sums, slots);
    TRY_ROOM(to->begun, slots);
    TRY_ROOM(to->live, slots);
    TRY_ROOM(to->out.outputs, (size_t)to->request->n_picks + to->in->n_outputs);
    TRY_ROOM(to->out.terms, 1);
    TRY(grow_ops(to));
    return grow_leaves(to);
}

/* Puts seeds in place; gives how many belong to a pass. */
static uint32_t seeds_set(Derivation *to, const DeriveSeed *seeds, uint32_t n) {
    uint32_t i = 0;
    for (; i < n && seeds[i].pass == seeds[0].pass; i++) {
        const int forward = to->request->forward;
        const uint32_t slot = forward ? seeds[i].place : to->in->outputs[seeds[i].place];
        if (forward || to->live[slot])
            sum_add(to, slot,
                seeds[i].seed == SEED_ONE ? number(to, 1.0) : seeds[i].seed | RECORD_LEAF);
    }
    return i;
}

static int derive_all(Derivation *to) {
    const DeriveRequest *request = to->request;
    const Program *in = to->in;
    uint32_t *outputs, pick = 0;
    TRY(reserve(to));
    TRY(copy_program(to));
    mark_live(to);
    for (uint32_t o = 0; request->values && o < in->n_outputs; o++)
        to->out.outputs[to->out.n_outputs++] = to->value[in->outputs[o]];
    outputs = to->out.outputs + to->out.n_outputs;
    for (uint32_t seed = 0; seed < request->n_seeds;) {
        const uint32_t pass = request->seeds[seed].pass;
        sums_clear(to);
        seed += seeds_set(to, request->seeds + seed, request->n_seeds - seed);
        TRY(request->forward ? forward(to) : reverse(to));
        for (; pick < request->n_picks && request->picks[pick].pass == pass; pick++) {
            const uint32_t place = request->picks[pick].place;
            outputs[request->picks[pick].at] = sum_read(
                to, request->forward ? in->outputs[place] : place);
        }
        if (poll_signals(to->poll, program_slots(in) / 8)) return TAPE_STOPPED;
    }
    to->out.n_outputs += request->n_picks;
    return to->result;
}

/* ---- level by level, so that operations of one kind stand together, and their operands ---- */

typedef struct {
    uint64_t key; /* where the operands are */
    uint32_t op;
} Sorted;

typedef struct {
    uint32_t *level, *order, *counts, *place;
    Sorted *sorted;
    TapeOp *ops;
    uint32_t *sources;
} Levels;

static uint32_t level_after(const Levels *by, uint32_t ref, uint32_t level) {
    if (ref & RECORD_LEAF || by->level[ref] < level) return level;
    return by->level[ref] + 1;
}

static uint32_t levels_find(const Recording *out, Levels *by) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < out->n_ops; i++) {
        const TapeOp *op = &out->ops[i];
        uint32_t level = 0;
        if (op_is_row(op->op)) level = level_after(by, op->b, level_after(by, op->a, level));
        else
            for (uint32_t t = 0; t < op_listed(op->op, op->b); t++)
                level = level_after(by, out->terms[op->a + t], level);
        by->level[i] = level;
        if (level > most) most = level;
    }
    return most + 1;
}

static uint32_t renamed(const uint32_t *place, uint32_t ref) {
    return ref & RECORD_LEAF ? ref : place[ref];
}

static int by_operands(const void *one, const void *two) {
    const Sorted *a = one, *b = two;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return a->op < b->op ? -1 : 1;
}

/* Places the operations of one level, which are those of order[begin, end): by kind, then operands,
 * leaves before results. */
static void level_place(const Recording *out, Levels *by, uint32_t begin, uint32_t end) {
    for (uint32_t at = begin, stop; at < end; at = stop) {
        const uint32_t kind = out->ops[by->order[at]].op;
        for (stop = at; stop < end && out->ops[by->order[stop]].op == kind; stop++) {
            const TapeOp *op = &out->ops[by->order[stop]];
            const uint64_t a = op_is_row(kind) ? renamed(by->place, op->a) ^ RECORD_LEAF : 0;
            const uint64_t b = op_is_row(kind) ? renamed(by->place, op->b) ^ RECORD_LEAF : 0;
            by->sorted[stop] = (Sorted){a << 32 | b, by->order[stop]};
        }
        qsort(by->sorted + at, stop - at, sizeof *by->sorted, by_operands);
        for (uint32_t i = at; i < stop; i++) by->place[by->sorted[i].op] = i;
    }
}

static int levels_reserve(Levels *by, uint32_t n) {
    TRY_ROOM(by->level, n);
    TRY_ROOM(by->order, n);
    TRY_ROOM(by->place, n);
    TRY_ROOM(by->sorted, n);
    TRY_ROOM(by->ops, n + (size_t)1);
    TRY_ROOM(by->sources, n + (size_t)1);
    return TAPE_OK;
}

/* Lists operations by level, and within one by kind; counts[l] is then where level l ends. */
static int levels_order(const Recording *out, Levels *by, uint32_t levels) {
    const uint32_t n = out->n_ops;
    uint32_t kinds[OP_COUNT + 1] = {0}, *by_kind = by->place;
    TRY_ROOM(by->counts, (size_t)levels + 1);
    for (uint32_t i = 0; i < n; i++) {
        kinds[out->ops[i].op + 1]++;
        by->counts[by->level[i] + 1]++;
    }
    for (uint32_t k = 0; k < OP_COUNT; k++) kinds[k + 1] += kinds[k];
    for (uint32_t l = 0; l < levels; l++) by->counts[l + 1] += by->counts[l];
    for (uint32_t i = 0; i < n; i++) by_kind[kinds[out->ops[i].op]++] = i;
    for (uint32_t i = 0; i < n; i++) by->order[by->counts[by->level[by_kind[i]]]++] = by_kind[i];
    return TAPE_OK;
}

static int levels_sort(Derivation *to, Levels *by) {
    Recording *out = &to->out;
    const uint32_t n = out->n_ops;
    TRY(levels_reserve(by, n));
    const uint32_t levels = levels_find(out, by);
    TRY(levels_order(out, by, levels));
    for (uint32_t level = 0, begin = 0; level < levels; level++) {
        const uint32_t end = by->counts[level];
        level_place(out, by, begin, end);
        if (poll_signals(to->poll, 4 * (int64_t)(end - begin))) return TAPE_STOPPED;
        begin = end;
    }
    for (uint32_t i = 0; i < n; i++) {
        TapeOp op = out->ops[i];
        if (op_is_row(op.op)) op.a = renamed(by->place, op.a), op.b = renamed(by->place, op.b);
        by->ops[by->place[i]] = op;
        by->sources[by->place[i]] = out->sources[i];
    }
    for (uint32_t t = 0; t < out->n_terms; t++) out->terms[t] = renamed(by->place, out->terms[t]);
    for (uint32_t o = 0; o < out->n_outputs; o++)
        out->outputs[o] = renamed(by->place, out->outputs[o]);
    PyMem_RawFree(out->ops);
    PyMem_RawFree(out->sources);
    out->ops = by->ops, out->sources = by->sources;
    by->ops = NULL, by->sources = NULL;
    return TAPE_OK;
}

static int by_levels(Derivation *to) {
    Levels by = {0};
    const int result = levels_sort(to, &by);
    PyMem_RawFree(by.level);
    PyMem_RawFree(by.order);
    PyMem_RawFree(by.counts);
    PyMem_RawFree(by.place);
    PyMem_RawFree(by.sorted);
    PyMem_RawFree(by.ops);
    PyMem_RawFree(by.sources);
    return result;
}

int program_derive(
    const Program *in, const DeriveRequest *request, Poll *poll, uint32_t *unknown, Program *made) {
    Derivation to = {.in = in, .request = request, .poll = poll, .unknown = unknown};
    memset(made, 0, sizeof *made);
    to.out.n_fixed = in->n_parameters;
    int result = derive_all(&to);
    if (result == TAPE_OK) result = by_levels(&to);
    if (result == TAPE_OK) result = program_build(&to.out, request->n_inputs, poll, made);
    PyMem_RawFree(to.value);
    PyMem_RawFree(to.sums);
    PyMem_RawFree(to.begun);
    PyMem_RawFree(to.live);
    PyMem_RawFree(to.odd);
    PyMem_RawFree(to.out.ops);
    PyMem_RawFree(to.out.sources);
    PyMem_RawFree(to.out.leaf_kind);
    PyMem_RawFree(to.out.leaf_value);
    PyMem_RawFree(to.out.leaf_slot);
    PyMem_RawFree(to.out.terms);
    PyMem_RawFree(to.out.outputs);
    return result;
}
