/* Groups: how one sample runs in vectors. Planned from the program alone, with a fixed table of
 * costs, so that the same program gives the same plan on every run and processor. */
#include <Python.h>

#include <string.h>

#include "config.h"
#include "tape/groups.h"

/* Nanoseconds on a server of 2024 (AVX-512, 3.5 GHz), by least squares over twenty tapes. */
static const struct {
    double step, run, gather, listed, term, row; /* of groups: each step, and each lane's operand */
    double forward, forward_term, reverse, reverse_term; /* of the interpreter: an operation */
    /* Groups are used if they take less than this part of the interpreter's time: without a
     * gradient; with one. Above the last they are not kept until one is asked for. */
    double alone, both, hopeless;
} costs = {3.4, 0.12, 0.32, 2.4, 0.5, 12.0, 1.3, 0.4, 1.8, 0.8, 0.7, 0.9, 1.2};

enum {
    OPERATIONS_LEAST = 32, /* of a program that is worth a plan */
    NARROW = 4,            /* fewer lanes than this are listed one by one */
    CHAIN_LEAST = 6,       /* terms of a chain of sums that becomes one */
    ALONG_LEAST = 16,      /* terms of a sum that is worth a step of its own */
    SLICE_MOST = 64,       /* users of a value in slices */
    PIECE = 16,
    PIECE_OF_SUMS = 8 /* lanes, on average, where a step is cut */
};

#define POLL(steps)                                                                                \
    do {                                                                                           \
        if (poll_signals(poll, (int64_t)(steps))) return TAPE_STOPPED;                             \
    } while (0)

/* Room for one more entry: the array, moved or not; NULL: no memory. */
static void *extended(void *array, Extent *e, size_t size) {
    if (e->n < e->capacity) return array;
    const size_t capacity = e->capacity ? 2 * e->capacity : 16;
    array = PyMem_RawRealloc(array, capacity * size);
    if (array) e->capacity = capacity;
    return array;
}

/* Appends an entry to an array that has an extent. */
#define PUSH(of, array, ...)                                                                       \
    do {                                                                                           \
        void *moved = extended((of)->array, &(of)->array##_extent, sizeof *(of)->array);           \
        if (!moved) return TAPE_NO_MEMORY;                                                         \
        (of)->array = moved;                                                                       \
        (of)->array[(of)->array##_extent.n++] = (__VA_ARGS__);                                     \
    } while (0)

void groups_free(Groups *g) {
    PyMem_RawFree(g->steps);
    PyMem_RawFree(g->terms);
    PyMem_RawFree(g->list);
    PyMem_RawFree(g->pool);
    PyMem_RawFree(g->value_of);
    PyMem_RawFree(g->heads);
    memset(g, 0, sizeof *g);
}

void pulls_free(Pulls *p) {
    PyMem_RawFree(p->steps);
    PyMem_RawFree(p->uses);
    PyMem_RawFree(p->edges);
    PyMem_RawFree(p->begins);
    PyMem_RawFree(p->pool);
    PyMem_RawFree(p->scatters);
    PyMem_RawFree(p->cleared);
    PyMem_RawFree(p->ranges);
    memset(p, 0, sizeof *p);
}

static size_t bytes(Extent e, size_t size) { return e.capacity * size; }

size_t groups_bytes(const Groups *g) {
    return bytes(g->steps_extent, sizeof *g->steps) + bytes(g->terms_extent, sizeof *g->terms) +
           bytes(g->list_extent, sizeof *g->list) + bytes(g->pool_extent, sizeof *g->pool) +
           (g->value_of ? g->n_slots * sizeof *g->value_of : 0) +
           (g->heads ? g->n_slots * sizeof *g->heads : 0);
}

size_t pulls_bytes(const Pulls *p) {
    return bytes(p->steps_extent, sizeof *p->steps) + bytes(p->uses_extent, sizeof *p->uses) +
           bytes(p->edges_extent, sizeof *p->edges) + bytes(p->begins_extent, sizeof *p->begins) +
           bytes(p->pool_extent, sizeof *p->pool) + bytes(p->scatters_extent, sizeof *p->scatters) +
           bytes(p->cleared_extent, sizeof *p->cleared) +
           bytes(p->ranges_extent, sizeof *p->ranges);
}

/* ---- units: operations that are computed as one ---- */

enum unit_form { UNIT_NONE, UNIT_MAP, UNIT_SUM, UNIT_PLAIN, UNIT_TAKE };

/* Operation i, if it heads a unit, has the operands [begin[i], begin[i + 1]), as slots:
 * MAP a, b; SUM initial value, w, x, w, x, ...; PLAIN initial value, x, x, ...; TAKE index, ... */
typedef struct {
    const Program *program;
    uint32_t leaves, n, one;
    uint8_t *form;
    uint32_t *heads, *below, *begin;
    uint32_t *operands;
    Extent operands_extent;
    uint32_t *users, *chain, *walk;
} Units;

static void units_free(Units *u) {
    PyMem_RawFree(u->form);
    PyMem_RawFree(u->below);
    PyMem_RawFree(u->begin);
    PyMem_RawFree(u->operands);
    PyMem_RawFree(u->users);
    PyMem_RawFree(u->chain);
    PyMem_RawFree(u->walk);
}

static int is_sum(const TapeOp *op) { return op->op == OP_ADD || op->op == OP_DOT; }

/* Counts the users of each operation's result; a result of the program has one that sees it. */
static int users_count(Units *u, Poll *poll) {
    const Program *p = u->program;
    for (uint32_t i = 0; i < u->n; i++) {
        const TapeOp *op = &p->ops[i];
        const uint32_t listed = op_is_row(op->op) ? 0 : (uint32_t)op_listed(op->op, op->b);
        POLL(1 + listed);
        for (uint32_t t = 0; t < listed; t++)
            if (p->terms[op->a + t] >= u->leaves) u->users[p->terms[op->a + t] - u->leaves]++;
        if (!op_is_row(op->op)) continue;
        if (op->a >= u->leaves) u->users[op->a - u->leaves]++;
        if (op_is_binary(op->op) && op->b >= u->leaves) u->users[op->b - u->leaves]++;
    }
    for (uint32_t o = 0; o < p->n_outputs; o++)
        if (p->outputs[o] >= u->leaves) u->users[p->outputs[o] - u->leaves] += 2;
    return TAPE_OK;
}

/* Finds the longest chain of sums, seen by nobody else, that each sum ends. */
static void chain_find(Units *u, uint32_t i) {
    const TapeOp *op = &u->program->ops[i];
    uint32_t most = 0;
    u->below[i] = NO_SLOT;
    if (!is_sum(op)) return;
    for (int side = 0; side < (op->op == OP_ADD ? 2 : 1); side++) {
        const uint32_t slot = op->op == OP_DOT ? u->program->terms[op->a] : side ? op->b : op->a;
        if (slot < u->leaves) continue;
        const uint32_t x = slot - u->leaves;
        if (is_sum(&u->program->ops[x]) && u->users[x] == 1 && u->chain[x] > most) {
            most = u->chain[x];
            u->below[i] = x;
        }
    }
    u->chain[i] = most + (op->op == OP_ADD ? 1 : op->b);
}

/* Joins the operations below a sum that nobody else sees. */
static void unit_join(Units *u, uint32_t i) {
    const TapeOp *op = &u->program->ops[i];
    if (op_is_row(op->op)) u->form[i] = UNIT_MAP;
    else u->form[i] = op->op == OP_DOT ? UNIT_SUM : UNIT_TAKE;
    if (!is_sum(op)) return;
    if (u->chain[i] >= CHAIN_LEAST && u->below[i] != NO_SLOT) {
        u->form[i] = UNIT_PLAIN;
        if (op->op == OP_DOT) u->form[i] = UNIT_SUM;
        for (uint32_t x = u->below[i]; x != NO_SLOT; x = u->below[x]) {
            u->heads[x] = i;
            if (u->program->ops[x].op == OP_DOT) u->form[i] = UNIT_SUM;
        }
        return;
    }
    u->below[i] = NO_SLOT;
    for (int side = 1; op->op == OP_ADD && op->a != op->b && side >= 0; side--) {
        const uint32_t slot = side ? op->b : op->a;
        if (slot < u->leaves) continue;
        const uint32_t x = slot - u->leaves;
        if (u->program->ops[x].op == OP_MUL && u->users[x] == 1) { /* a * b + c */
            u->heads[x] = i;
            u->form[i] = UNIT_SUM;
            return;
        }
    }
}

static int unit_push(Units *u, uint32_t slot) {
    PUSH(u, operands, slot);
    return TAPE_OK;
}

/* A term of a sum that is no product is one with 1.0. */
static int term_push(Units *u, uint32_t i, uint32_t slot, int is_first) {
    if (!is_first && u->form[i] == UNIT_SUM) TRY(unit_push(u, u->one));
    return unit_push(u, slot);
}

/* Lists the terms of a chain of sums, from its bottom up. */
static int chain_list(Units *u, uint32_t i) {
    const Program *p = u->program;
    uint32_t depth = 0;
    int is_first = 1;
    for (uint32_t x = i; x != NO_SLOT; x = u->below[x]) u->walk[depth++] = x;
    while (depth--) {
        const uint32_t x = u->walk[depth];
        const TapeOp *op = &p->ops[x];
        const uint32_t inner = u->below[x] == NO_SLOT ? NO_SLOT : u->leaves + u->below[x];
        if (op->op == OP_DOT) {
            const uint32_t *t = p->terms + op->a;
            if (t[0] != inner) TRY(unit_push(u, t[0]));
            for (uint32_t j = 1; j <= 2 * op->b; j++) TRY(unit_push(u, t[j]));
        } else {
            if (op->a != inner) TRY(term_push(u, i, op->a, is_first));
            if (op->b != inner) TRY(term_push(u, i, op->b, is_first && op->a == inner));
        }
        is_first = 0;
    }
    return TAPE_OK;
}

static int operands_list(Units *u, uint32_t i) {
    const Program *p = u->program;
    const TapeOp *op = &p->ops[i];
    if (u->form[i] == UNIT_TAKE) {
        for (uint32_t t = 0; t <= op->b; t++) TRY(unit_push(u, p->terms[op->a + t]));
    } else if (u->form[i] == UNIT_MAP) {
        TRY(unit_push(u, op->a));
        TRY(unit_push(u, op->b));
    } else if (op->op == OP_ADD && u->below[i] == NO_SLOT) { /* a * b + c */
        const int is_b = op->b >= u->leaves && u->heads[op->b - u->leaves] == i;
        const TapeOp *product = &p->ops[(is_b ? op->b : op->a) - u->leaves];
        TRY(unit_push(u, is_b ? op->a : op->b));
        TRY(unit_push(u, product->a));
        TRY(unit_push(u, product->b));
    } else TRY(chain_list(u, i));
    return TAPE_OK;
}

static int units_find(Units *u, Poll *poll) {
    TRY_ROOM(u->form, u->n + 1);
    TRY_ROOM(u->below, u->n + 1);
    TRY_ROOM(u->begin, u->n + 2);
    TRY_ROOM(u->users, u->n + 1);
    TRY_ROOM(u->chain, u->n + 1);
    TRY_ROOM(u->walk, u->n + 1);
    TRY(users_count(u, poll));
    for (uint32_t i = 0; i < u->n; i++) {
        POLL(1);
        u->heads[i] = i;
        chain_find(u, i);
    }
    for (uint32_t i = u->n; i-- > 0;) {
        POLL(1);
        if (u->heads[i] == i) unit_join(u, i);
    }
    for (uint32_t i = 0; i < u->n; i++) {
        u->begin[i] = (uint32_t)u->operands_extent.n;
        if (u->heads[i] == i) TRY(operands_list(u, i));
        POLL(1 + u->operands_extent.n - u->begin[i]);
    }
    u->begin[u->n] = (uint32_t)u->operands_extent.n;
    return TAPE_OK;
}

/* ---- sorting and naming ---- */

/* Numbers for keys, in the order in which they are met. */
typedef struct {
    uint64_t *keys;
    uint32_t *numbers, mask, n;
} Names;

static int names_begin(Names *names, uint32_t most) {
    uint32_t size = 16;
    while (size / 2 < most) size *= 2;
    names->mask = size - 1;
    TRY_ROOM(names->keys, size);
    TRY_ROOM(names->numbers, size);
    return TAPE_OK;
}

static void names_free(Names *names) {
    PyMem_RawFree(names->keys);
    PyMem_RawFree(names->numbers);
}

static uint64_t mixed(uint64_t x) {
    x *= 0x9e3779b97f4a7c15u;
    return x ^ x >> 29;
}

static uint32_t name_of(Names *names, uint64_t key) {
    key |= (uint64_t)1 << 63; /* 0 marks what is free */
    uint32_t at = (uint32_t)(mixed(key) >> 20) & names->mask;
    for (; names->keys[at]; at = (at + 1) & names->mask)
        if (names->keys[at] == key) return names->numbers[at];
    names->keys[at] = key;
    return names->numbers[at] = names->n++;
}

/* Sorts by keys below `keys`, stable; `count` has room for keys + 1. */
static void sort_by(const uint32_t *key, uint32_t keys, const uint32_t *in, uint32_t n,
    uint32_t *count, uint32_t *out) {
    memset(count, 0, (keys + (size_t)1) * sizeof *count);
    for (uint32_t i = 0; i < n; i++) count[key[in[i]] + 1]++;
    for (uint32_t k = 0; k < keys; k++) count[k + 1] += count[k];
    for (uint32_t i = 0; i < n; i++) out[count[key[in[i]]]++] = in[i];
}

/* ---- operands in lanes ---- */

static int is_sequence(const uint32_t *x, uint32_t n, uint32_t step) {
    for (uint32_t i = 1; i < n; i++)
        if (x[i] != x[0] + i * step) return 0;
    return 1;
}

static enum ref_mode mode_of(const uint32_t *x, uint32_t n) {
    if (is_sequence(x, n, 0)) return REF_ONE;
    return is_sequence(x, n, 1) ? REF_RUN : REF_GATHER;
}

/* How n indices go; those of a gather are appended to a pool. */
#define REF_OF(of, x, n, ref)                                                                      \
    do {                                                                                           \
        (ref).mode = mode_of(x, n);                                                                \
        (ref).at = (x)[0];                                                                         \
        (of)->cost += (n) * ((ref).mode == REF_GATHER ? costs.gather : costs.run);                 \
        if ((ref).mode == REF_GATHER) {                                                            \
            (ref).at = (uint32_t)(of)->pool_extent.n;                                              \
            for (uint32_t i_ = 0; i_ < (n); i_++) PUSH(of, pool, (x)[i_]);                         \
        }                                                                                          \
    } while (0)

static int groups_ref(Groups *g, const uint32_t *x, uint32_t n, Ref *ref) {
    REF_OF(g, x, n, *ref);
    return TAPE_OK;
}

static int pulls_ref(Pulls *p, const uint32_t *x, uint32_t n, Ref *ref) {
    REF_OF(p, x, n, *ref);
    return TAPE_OK;
}

/* Cuts n lanes, rows x of operands, where none goes on as a run or as one for all. Returns the
 * number of pieces, their ends in `ends`; 1 if they would be shorter than `least` on average. */
static uint32_t cut(const uint32_t *x, uint32_t rows, uint32_t n, uint32_t least, uint32_t *ends) {
    uint32_t pieces = 0, begin = 0;
    for (uint32_t i = 1; i < n; i++) {
        int goes_on = 1;
        for (uint32_t r = 0; r < rows && goes_on; r++) {
            const uint32_t *row = x + (size_t)r * n, step = row[i] - row[i - 1];
            goes_on = step <= 1 && (i - begin < 2 || step == row[i - 1] - row[i - 2]);
        }
        if (goes_on) continue;
        ends[pieces++] = begin = i;
        if (n / (pieces + 1) < least) break;
    }
    ends[pieces++] = n;
    if (pieces > 1 && n / pieces < least) {
        ends[0] = n;
        return 1;
    }
    return pieces;
}

/* ---- forward ---- */

typedef struct {
    Units units;
    uint32_t *level, *kind, *order, *sorted, *count, *family;
    uint32_t *x, *ends;
    Names names, families;
    uint32_t n, levels;
} Forth;

static void forth_free(Forth *f) {
    units_free(&f->units);
    PyMem_RawFree(f->level);
    PyMem_RawFree(f->kind);
    PyMem_RawFree(f->order);
    PyMem_RawFree(f->sorted);
    PyMem_RawFree(f->count);
    PyMem_RawFree(f->family);
    PyMem_RawFree(f->x);
    PyMem_RawFree(f->ends);
    names_free(&f->names);
    names_free(&f->families);
}

static uint32_t terms_of(const Units *u, uint32_t i) { return u->begin[i + 1] - u->begin[i]; }

/* Levels and kinds. What has the same kind has as many operands, and a number's powers one. */
static int levels_find(Forth *f, Poll *poll) {
    Units *u = &f->units;
    for (uint32_t i = 0; i < u->n; i++) {
        if (u->heads[i] != i) continue;
        const TapeOp *op = &u->program->ops[i];
        const uint32_t *x = u->operands + u->begin[i], k = terms_of(u, i);
        uint32_t level = 0;
        POLL(1 + k);
        for (uint32_t t = 0; t < k; t++)
            if (x[t] >= u->leaves && x[t] != u->one && f->level[x[t] - u->leaves] > level)
                level = f->level[x[t] - u->leaves];
        f->level[i] = level + 1;
        if (level + 1 > f->levels) f->levels = level + 1;
        uint64_t key = (uint64_t)u->form[i] << 8;
        if (u->form[i] != UNIT_MAP) key |= (uint64_t)k << 16;
        else key |= op->op | (op->op == OP_POW_NUMBER ? (uint64_t)op->b << 16 : 0);
        f->kind[i] = name_of(&f->names, key);
        f->order[f->n++] = i;
    }
    return TAPE_OK;
}

static int is_constant(const Program *p, uint32_t slot) {
    return slot >= p->n_inputs + p->n_parameters && slot < program_leaves(p);
}

/* Brings those of a group together that share constants, or have one operand twice, if they are
 * many each: what lies between them would make gathers of runs. */
static void families_join(Forth *f, uint32_t *group, uint32_t n) {
    const Units *u = &f->units;
    const uint32_t before = f->families.n;
    for (uint32_t r = 0; r < n; r++) {
        const uint32_t *x = u->operands + u->begin[group[r]], k = terms_of(u, group[r]);
        uint64_t key = f->level[group[r]] * (uint64_t)f->names.n + f->kind[group[r]];
        for (uint32_t t = 0; t < k && t < 6; t++)
            key = mixed(key ^ (is_constant(u->program, x[t]) ? x[t] + 2 : k == 2 && x[0] == x[1]));
        f->family[group[r]] = name_of(&f->families, key) - before;
    }
    const uint32_t families = f->families.n - before;
    if (families < 2 || families > n / (2 * PIECE)) return;
    for (uint32_t r = 0; r < n; r++) /* a key met on another level, by chance */
        if (f->family[group[r]] >= families) return;
    sort_by(f->family, families, group, n, f->count, f->sorted);
    memcpy(group, f->sorted, n * sizeof *group);
}

/* Runs those of a group one by one. */
static int list_push(const Forth *f, Groups *g, const uint32_t *group, uint32_t n, uint32_t y) {
    const Units *u = &f->units;
    if (!g->steps_extent.n || g->steps[g->steps_extent.n - 1].form != GROUP_LIST) {
        PUSH(g, steps, (GroupStep){.form = GROUP_LIST, .y = y, .list = (uint32_t)g->list_extent.n});
        g->cost += costs.step;
    }
    for (uint32_t r = 0; r < n; r++) {
        const uint32_t *x = u->operands + u->begin[group[r]], k = terms_of(u, group[r]);
        TapeOp op = {0, 0, u->program->ops[group[r]].op};
        g->cost += costs.listed;
        if (u->form[group[r]] == UNIT_MAP) {
            op.a = g->value_of[x[0]];
            op.b = g->value_of[x[1]];
        } else {
            op = (TapeOp){(uint32_t)g->pool_extent.n, k / 2, OP_DOT};
            g->cost += costs.term * k / 2;
            for (uint32_t t = 0; t < k; t++) PUSH(g, pool, g->value_of[x[t]]);
        }
        PUSH(g, list, op);
        g->steps[g->steps_extent.n - 1].n++;
    }
    return TAPE_OK;
}

static int take_push(const Forth *f, Groups *g, uint32_t i, uint32_t y) {
    const Units *u = &f->units;
    const uint32_t *x = u->operands + u->begin[i], k = terms_of(u, i);
    PUSH(g, steps,
        (GroupStep){.form = GROUP_TAKE,
            .n = 1,
            .y = y,
            .k = k - 1,
            .list = (uint32_t)g->pool_extent.n,
            .a = {g->value_of[x[0]], REF_ONE}});
    g->cost += costs.step + costs.listed;
    for (uint32_t t = 1; t < k; t++) PUSH(g, pool, g->value_of[x[t]]);
    return TAPE_OK;
}

static int along_push(const Forth *f, Groups *g, uint32_t i, uint32_t y) {
    const Units *u = &f->units;
    const int plain = u->form[i] == UNIT_PLAIN;
    const uint32_t *x = u->operands + u->begin[i], k = (terms_of(u, i) - 1) / (plain ? 1 : 2);
    GroupStep step = {.form = GROUP_ALONG, .op = plain ? OP_ADD : OP_DOT, .n = 1, .y = y, .k = k};
    step.a.at = g->value_of[x[0]];
    step.a.mode = REF_ONE;
    for (int side = 0; side < 2 - plain; side++) {
        for (uint32_t t = 0; t < k; t++)
            f->x[t] = g->value_of[x[1 + (plain ? t : 2 * t + (uint32_t)side)]];
        TRY(groups_ref(g, f->x, k, side ? &step.c : &step.b));
    }
    g->cost += costs.step + costs.term * k;
    PUSH(g, steps, step);
    return TAPE_OK;
}

/* Lanes [begin, begin + n) of the rows of a group. */
static int piece_push(
    const Forth *f, Groups *g, uint32_t i, uint32_t begin, uint32_t n, uint32_t wide, uint32_t y) {
    const Units *u = &f->units;
    const uint32_t k = terms_of(u, i);
    GroupStep step = {.form = GROUP_MAP, .op = (uint16_t)u->program->ops[i].op, .n = n, .y = y};
    g->cost += costs.step;
    if (u->form[i] == UNIT_MAP) {
        TRY(groups_ref(g, f->x + begin, n, &step.a));
        if (op_is_add_or_mul(step.op) || op_is_binary(step.op) || op_has_parameter(step.op))
            TRY(groups_ref(g, f->x + wide + begin, n, &step.b));
        else step.b = step.a;
        if (op_is_add_or_mul(step.op) && step.a.mode > step.b.mode) {
            const Ref swapped = step.a;
            step.a = step.b;
            step.b = swapped;
        }
        if (!op_is_add_or_mul(step.op)) g->cost += costs.row;
    } else {
        step.form = GROUP_SUMS;
        step.op = u->form[i] == UNIT_SUM ? OP_DOT : OP_ADD;
        step.k = (k - 1) / (u->form[i] == UNIT_SUM ? 2 : 1);
        step.list = (uint32_t)g->terms_extent.n;
        for (uint32_t t = 0; t < k; t++) {
            Ref ref;
            TRY(groups_ref(g, f->x + (size_t)t * wide + begin, n, &ref));
            PUSH(g, terms, ref);
        }
    }
    PUSH(g, steps, step);
    return TAPE_OK;
}

static int wide_push(const Forth *f, Groups *g, const uint32_t *group, uint32_t n, uint32_t y) {
    const Units *u = &f->units;
    const uint32_t k = terms_of(u, group[0]);
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t t = 0; t < k; t++)
            f->x[(size_t)t * n + r] = g->value_of[u->operands[u->begin[group[r]] + t]];
    const uint32_t pieces = cut(f->x, k, n, k > 4 ? PIECE_OF_SUMS : PIECE, f->ends);
    for (uint32_t p = 0, begin = 0; p < pieces; begin = f->ends[p++])
        TRY(piece_push(f, g, group[0], begin, f->ends[p] - begin, n, y + begin));
    return TAPE_OK;
}

static int is_narrow(const Forth *f, uint32_t i, uint32_t n) {
    const enum unit_form form = f->units.form[i];
    if (n >= NARROW || form == UNIT_TAKE || form == UNIT_PLAIN) return 0;
    return form == UNIT_MAP || terms_of(&f->units, i) < 2 * ALONG_LEAST;
}

static int group_push(
    const Forth *f, Groups *g, const uint32_t *group, uint32_t n, uint32_t y, Poll *poll) {
    const enum unit_form form = f->units.form[group[0]];
    POLL((int64_t)n * (1 + terms_of(&f->units, group[0])));
    if (is_narrow(f, group[0], n)) return list_push(f, g, group, n, y);
    if (form == UNIT_TAKE || (form != UNIT_MAP && n < NARROW)) {
        for (uint32_t r = 0; r < n; r++)
            TRY(form == UNIT_TAKE ? take_push(f, g, group[r], y + r)
                                  : along_push(f, g, group[r], y + r));
        return TAPE_OK;
    }
    return wide_push(f, g, group, n, y);
}

static uint32_t group_end(const Forth *f, uint32_t begin) {
    uint32_t end = begin + 1;
    while (end < f->n && f->level[f->order[end]] == f->level[f->order[begin]] &&
           f->kind[f->order[end]] == f->kind[f->order[begin]])
        end++;
    return end;
}

/* Plans a level: its wide groups, then what is narrow, which joins that of the next. */
static int level_push(Forth *f, Groups *g, uint32_t *begin, uint32_t *y, Poll *poll) {
    const uint32_t level = f->level[f->order[*begin]], first = *begin;
    for (int narrow = 0; narrow < 2; narrow++) {
        uint32_t at = first;
        while (at < f->n && f->level[f->order[at]] == level) {
            const uint32_t end = group_end(f, at), n = end - at;
            uint32_t *group = f->order + at;
            at = end;
            if (is_narrow(f, group[0], n) != narrow) continue;
            if (!narrow && f->units.form[group[0]] != UNIT_TAKE) families_join(f, group, n);
            for (uint32_t r = 0; r < n; r++) g->value_of[f->units.leaves + group[r]] = *y + r;
            TRY(group_push(f, g, group, n, *y, poll));
            *y += n;
        }
        *begin = at;
    }
    return TAPE_OK;
}

static int forth_build(Forth *f, Groups *g, int always, Poll *poll) {
    Units *u = &f->units;
    const Program *p = u->program;
    const uint32_t slots = program_slots(p);
    TRY_ROOM(g->heads, u->n + 1);
    u->heads = g->heads;
    TRY(units_find(u, poll));
    f->level = u->users; /* what is done with, so that less memory is touched for the first time */
    f->order = u->chain;
    f->sorted = u->walk;
    f->family = u->below;
    u->users = u->chain = u->walk = u->below = NULL;
    TRY_ROOM(f->kind, u->n + 1);
    TRY_ROOM(f->count, u->n + 3);
    TRY_ROOM(f->ends, u->n + 2);
    TRY_ROOM(f->x, u->operands_extent.n + 1);
    TRY(names_begin(&f->names, u->n));
    TRY(names_begin(&f->families, u->n));
    TRY(levels_find(f, poll));
    if (!always && f->levels > f->n / 2) return TAPE_OK; /* a chain */
    sort_by(f->kind, f->names.n, f->order, f->n, f->count, f->sorted);
    sort_by(f->level, f->levels + 1, f->sorted, f->n, f->count, f->order);
    TRY_ROOM(g->value_of, slots + (size_t)2);
    for (uint32_t s = 0; s < slots; s++) g->value_of[s] = s < u->leaves ? s : NO_SLOT;
    g->one = g->value_of[u->one] = slots;
    uint32_t y = slots + 2;
    for (uint32_t begin = 0; begin < f->n;) TRY(level_push(f, g, &begin, &y, poll));
    g->n_values = y;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const TapeOp *op = &p->ops[i];
        g->scalar_cost += costs.forward + (op->op == OP_DOT ? costs.forward_term * op->b : 0.0);
    }
    g->pays_alone = always || g->cost < costs.alone * g->scalar_cost;
    if (!always && g->cost >= costs.hopeless * g->scalar_cost) g->steps_extent.n = 0;
    return TAPE_OK;
}

int groups_build(const Program *p, int always, Poll *poll, Groups *g) {
    Forth f = {.units = {.program = p, .leaves = program_leaves(p), .n = p->n_ops}};
    memset(g, 0, sizeof *g);
    if (p->python.tape || !p->n_ops || (!always && p->n_ops < OPERATIONS_LEAST) ||
        program_slots(p) >= EDGE_USE / 4)
        return TAPE_OK;
    f.units.one = g->n_slots = program_slots(p);
    const int result = forth_build(&f, g, always, poll);
    forth_free(&f);
    if (result != TAPE_OK || !g->steps_extent.n) groups_free(g);
    return result;
}

/* ---- reverse ---- */

/* What a user, an operation, contributes to a value. */
typedef struct {
    uint32_t user, other; /* other: the slot of a product's other factor, or of a take's index */
    uint16_t kind, op;
    uint32_t entry;
} Contribution;

typedef struct {
    const Program *program;
    const Groups *groups;
    const uint8_t *live;
    Pulls *pulls;
    uint32_t leaves, slots, output;
    uint32_t *begin; /* per slot: where its contributions begin */
    Contribution *all;
    uint32_t *distance, *kind, *order, *sorted, *count, *by_value, *adjoint_of;
    uint32_t *x, *ends, *cuts, *narrow;
    uint32_t n, most, next;
    Names names;
} Back;

static void back_free(Back *b) {
    PyMem_RawFree(b->begin);
    PyMem_RawFree(b->all);
    PyMem_RawFree(b->distance);
    PyMem_RawFree(b->kind);
    PyMem_RawFree(b->order);
    PyMem_RawFree(b->sorted);
    PyMem_RawFree(b->count);
    PyMem_RawFree(b->by_value);
    PyMem_RawFree(b->adjoint_of);
    PyMem_RawFree(b->x);
    PyMem_RawFree(b->ends);
    PyMem_RawFree(b->cuts);
    PyMem_RawFree(b->narrow);
    names_free(&b->names);
}

/* It has an adjoint: something wanted leads to it, and it is not hidden inside a unit. */
static int has_adjoint(const Back *b, uint32_t slot) {
    if (!b->live[slot]) return 0;
    return slot < b->leaves || b->groups->heads[slot - b->leaves] == slot - b->leaves;
}

/* Counts a contribution, and how far its value is from the result; or notes it. */
static void give(Back *b, uint32_t slot, Contribution c) {
    if (!has_adjoint(b, slot)) return;
    if (b->all) {
        b->all[b->begin[slot]++] = c;
        return;
    }
    const uint32_t distance = b->distance[b->leaves + c.user] + 1;
    b->begin[slot + 2]++;
    if (b->distance[slot] < distance) b->distance[slot] = distance;
}

/* Meets the contributions of an operation in the order of a sweep. */
static void give_all(Back *b, uint32_t i) {
    const TapeOp *op = &b->program->ops[i];
    const uint32_t user = b->groups->heads[i], *t = b->program->terms + op->a;
    if (op->op == OP_DOT) {
        for (uint32_t j = op->b; j-- > 0;) {
            give(b, t[1 + 2 * j], (Contribution){user, t[2 + 2 * j], USE_MUL, 0, 0});
            give(b, t[2 + 2 * j], (Contribution){user, t[1 + 2 * j], USE_MUL, 0, 0});
        }
        give(b, t[0], (Contribution){user, 0, USE_ADD, 0, 0});
    } else if (op->op == OP_TAKE) {
        for (uint32_t j = 0; j < op->b; j++)
            give(b, t[1 + j], (Contribution){user, t[0], USE_TAKE, 0, j});
    } else if (op->op == OP_ADD) {
        give(b, op->b, (Contribution){user, 0, USE_ADD, 0, 0});
        give(b, op->a, (Contribution){user, 0, USE_ADD, 0, 0});
    } else if (op->op == OP_MUL) {
        give(b, op->b, (Contribution){user, op->a, USE_MUL, 0, 0});
        give(b, op->a, (Contribution){user, op->b, USE_MUL, 0, 0});
    } else {
        give(b, op->a, (Contribution){user, 0, USE_SLOPE_A, (uint16_t)op->op, 0});
        if (op_is_binary(op->op))
            give(b, op->b, (Contribution){user, 0, USE_SLOPE_B, (uint16_t)op->op, 0});
    }
}

static int contributions_find(Back *b, Poll *poll) {
    const Program *p = b->program;
    for (int noted = 0; noted < 2; noted++) {
        for (uint32_t i = p->n_ops; i-- > 0;) {
            POLL(1 + (op_is_row(p->ops[i].op) ? 0 : op_listed(p->ops[i].op, p->ops[i].b)));
            if (b->live[b->leaves + i]) give_all(b, i);
        }
        if (noted) break;
        for (uint32_t s = 0; s < b->slots; s++) b->begin[s + 2] += b->begin[s + 1];
        memmove(b->begin, b->begin + 1, (b->slots + (size_t)1) * sizeof *b->begin);
        TRY_ROOM(b->all, b->begin[b->slots]);
    }
    memmove(b->begin + 1, b->begin, b->slots * sizeof *b->begin);
    b->begin[0] = 0;
    return TAPE_OK;
}

static uint32_t users_of(const Back *b, uint32_t slot) {
    return b->begin[slot + 1] - b->begin[slot];
}

static int is_same_list(const Back *b, uint32_t s, uint32_t t) {
    const uint32_t k = users_of(b, s);
    if (k != users_of(b, t) || (s < b->leaves) != (t < b->leaves)) return 0;
    const Contribution *c = b->all + b->begin[s], *d = b->all + b->begin[t];
    for (uint32_t j = 0; j < k; j++)
        if (c[j].kind != d[j].kind || c[j].op != d[j].op) return 0;
    return 1;
}

static int any_of(const Back *b, uint32_t slot, enum use_kind least, enum use_kind most) {
    for (uint32_t c = b->begin[slot]; c < b->begin[slot + 1]; c++)
        if (b->all[c].kind >= least && b->all[c].kind <= most) return 1;
    return 0;
}

/* A leaf that is nothing but an entry of takes: each take adds to the one that it has taken. */
static int is_table(const Back *b, uint32_t slot) {
    return slot < b->leaves && any_of(b, slot, USE_TAKE, USE_TAKE) &&
           !any_of(b, slot, USE_ADD, USE_MUL) && !any_of(b, slot, USE_SLOPE_A, USE_SLOPE_B);
}

/* Lists the values that have adjoints, in the order of their values, by kinds of users. */
static int values_sort(Back *b, Poll *poll) {
    const uint32_t behind = b->slots + 2;
    const uint32_t n_results = (uint32_t)b->groups->n_values - behind;
    for (uint32_t i = 0; i < n_results; i++) b->by_value[i] = NO_SLOT;
    for (uint32_t s = b->leaves; s < b->slots; s++)
        if (b->groups->value_of[s] != NO_SLOT) b->by_value[b->groups->value_of[s] - behind] = s;
    for (uint32_t i = 0; i < b->leaves + n_results; i++) {
        const uint32_t slot = i < b->leaves ? i : b->by_value[i - b->leaves];
        if (!has_adjoint(b, slot) || slot == b->output) continue;
        POLL(1 + users_of(b, slot));
        if (slot >= b->leaves && !users_of(b, slot)) {
            b->adjoint_of[slot] = b->pulls->zero; /* it leads to nothing */
            continue;
        }
        if (is_table(b, slot)) {
            PUSH(b->pulls, cleared, slot);
            continue;
        }
        uint64_t key = slot < b->leaves;
        for (uint32_t c = b->begin[slot]; c < b->begin[slot + 1]; c++)
            key = mixed(key ^ (b->all[c].kind | (uint64_t)b->all[c].op << 4)) + 1;
        b->kind[slot] = name_of(&b->names, key);
        if (b->distance[slot] > b->most) b->most = b->distance[slot];
        b->order[b->n++] = slot;
    }
    sort_by(b->kind, b->names.n, b->order, b->n, b->count, b->sorted);
    sort_by(b->distance, b->most + 1, b->sorted, b->n, b->count, b->order);
    return TAPE_OK;
}

static uint32_t adjoint_of_user(const Back *b, const Contribution *c) {
    return b->adjoint_of[b->leaves + c->user];
}

/* The other factor of what a sum or product contributes. */
static uint32_t factor_of(const Back *b, const Contribution *c) {
    return c->kind == USE_MUL ? b->groups->value_of[c->other] : b->groups->one;
}

static void number(Back *b, const uint32_t *group, uint32_t n) {
    for (uint32_t r = 0; r < n; r++)
        b->adjoint_of[group[r]] = group[r] < b->leaves ? group[r] : b->next++;
}

/* Where the adjoints of n values go: a run, or one by one. */
static int target_ref(Back *b, const uint32_t *group, uint32_t n, Ref *ref) {
    for (uint32_t r = 0; r < n; r++) b->ends[r] = b->adjoint_of[group[r]];
    TRY(pulls_ref(b->pulls, b->ends, n, ref));
    if (ref->mode == REF_ONE) ref->mode = REF_RUN; /* of one */
    return TAPE_OK;
}

/* A user of an operation of the table, or a take: its values are single. */
static int use_push(Back *b, const Contribution *c) {
    const Groups *g = b->groups;
    const TapeOp *op = &b->program->ops[c->user];
    GroupUse use = {.kind = c->kind, .op = c->op, .g = {adjoint_of_user(b, c), REF_ONE}};
    if (c->kind == USE_TAKE) {
        use.v.at = g->value_of[c->other];
        use.b.at = c->entry;
        use.y.at = op->b;
    } else {
        use.v.at = g->value_of[op->a];
        use.b.at = g->value_of[op->b];
        use.y.at = g->value_of[b->leaves + c->user];
    }
    PUSH(b->pulls, uses, use);
    return TAPE_OK;
}

static int edges_push(Back *b, uint32_t slot) {
    Pulls *p = b->pulls;
    for (uint32_t i = b->begin[slot]; i < b->begin[slot + 1]; i++) {
        const Contribution *c = &b->all[i];
        GroupEdge edge = {adjoint_of_user(b, c), factor_of(b, c)};
        if (c->kind > USE_MUL) {
            edge = (GroupEdge){EDGE_USE, (uint32_t)p->uses_extent.n};
            TRY(use_push(b, c));
        }
        PUSH(p, edges, edge);
        p->cost += costs.listed;
    }
    PUSH(p, begins, (uint32_t)p->edges_extent.n);
    return TAPE_OK;
}

static int pull_list(Back *b, const uint32_t *group, uint32_t n) {
    Pulls *p = b->pulls;
    PullStep step = {.form = PULL_LIST, .n = n, .uses = (uint32_t)p->begins_extent.n};
    TRY(target_ref(b, group, n, &step.y));
    PUSH(p, steps, step);
    PUSH(p, begins, (uint32_t)p->edges_extent.n);
    p->cost += costs.step;
    for (uint32_t r = 0; r < n; r++) TRY(edges_push(b, group[r]));
    return TAPE_OK;
}

static int pull_along(Back *b, uint32_t slot) {
    Pulls *p = b->pulls;
    const uint32_t k = users_of(b, slot);
    const Contribution *c = b->all + b->begin[slot];
    PullStep step = {.form = PULL_ALONG, .n = 1, .k = k, .uses = (uint32_t)p->uses_extent.n};
    GroupUse use = {.kind = USE_MUL};
    TRY(target_ref(b, &slot, 1, &step.y));
    for (uint32_t j = 0; j < k; j++) b->x[j] = adjoint_of_user(b, c + j);
    TRY(pulls_ref(p, b->x, k, &use.g));
    for (uint32_t j = 0; j < k; j++) b->x[j] = factor_of(b, c + j);
    TRY(pulls_ref(p, b->x, k, &use.v));
    PUSH(p, uses, use);
    PUSH(p, steps, step);
    p->cost += costs.step + costs.term * k;
    return TAPE_OK;
}

/* Up to LANES values, the first with the most users: the others add 0.0 * 0.0 in their place. */
static int pull_slice(Back *b, const uint32_t *group, uint32_t n) {
    Pulls *p = b->pulls;
    const uint32_t k = users_of(b, group[0]);
    PullStep step = {.form = PULL_SLICE, .n = n, .k = k};
    TRY(target_ref(b, group, n, &step.y));
    step.uses = (uint32_t)p->pool_extent.n;
    PUSH(p, steps, step);
    p->cost += costs.step + 2 * LANES * costs.gather * k;
    for (uint32_t j = 0; j < k; j++)
        for (int is_g = 0; is_g < 2; is_g++)
            for (uint32_t l = 0; l < LANES; l++) {
                uint32_t index = is_g ? p->zero : b->groups->one + 1;
                if (l < n && j < users_of(b, group[l])) {
                    const Contribution *c = b->all + b->begin[group[l]] + j;
                    index = is_g ? adjoint_of_user(b, c) : factor_of(b, c);
                }
                PUSH(p, pool, index);
            }
    return TAPE_OK;
}

/* Index of what a contribution multiplies: 0 the adjoint, 1 the other factor, or the operands
 * a and b and the result of an operation of the table. */
static uint32_t index_of(const Back *b, const Contribution *c, int part) {
    const Groups *g = b->groups;
    const TapeOp *op = &b->program->ops[c->user];
    if (part == 0) return adjoint_of_user(b, c);
    if (c->kind == USE_ADD) return 0;
    if (c->kind == USE_MUL) return g->value_of[c->other];
    return g->value_of[part == 1 ? op->a : part == 2 ? op->b : b->leaves + c->user];
}

/* The operand `part` of the contributions j of n values. */
static int use_ref(Back *b, const uint32_t *group, uint32_t n, uint32_t j, int part, Ref *ref) {
    for (uint32_t r = 0; r < n; r++)
        b->ends[r] = index_of(b, b->all + b->begin[group[r]] + j, part);
    return pulls_ref(b->pulls, b->ends, n, ref);
}

static int pull_piece(Back *b, const uint32_t *group, uint32_t n) {
    Pulls *p = b->pulls;
    const uint32_t k = users_of(b, group[0]);
    PullStep step = {.form = PULL_GROUP, .n = n, .k = k, .uses = (uint32_t)p->uses_extent.n};
    p->cost += costs.step;
    for (uint32_t j = 0; j < k; j++) {
        const Contribution *c = b->all + b->begin[group[0]] + j;
        GroupUse use = {.kind = c->kind, .op = c->op};
        TRY(use_ref(b, group, n, j, 0, &use.g));
        if (c->kind != USE_ADD) TRY(use_ref(b, group, n, j, 1, &use.v));
        if (c->kind >= USE_SLOPE_A) {
            TRY(use_ref(b, group, n, j, 2, &use.b));
            TRY(use_ref(b, group, n, j, 3, &use.y));
            step.has_slopes = 1;
            p->cost += costs.row;
        }
        PUSH(p, uses, use);
    }
    TRY(target_ref(b, group, n, &step.y));
    PUSH(p, steps, step);
    return TAPE_OK;
}

static int pull_wide(Back *b, const uint32_t *group, uint32_t n) {
    const uint32_t k = users_of(b, group[0]), rows = 2 * k + 1;
    uint32_t *x = b->x;
    for (uint32_t r = 0; r < n; r++) x[r] = b->adjoint_of[group[r]];
    for (uint32_t j = 0; j < k; j++)
        for (uint32_t r = 0; r < n; r++) {
            const Contribution *c = b->all + b->begin[group[r]] + j;
            x[(size_t)(1 + 2 * j) * n + r] = index_of(b, c, 0);
            x[(size_t)(2 + 2 * j) * n + r] = index_of(b, c, 1);
        }
    const uint32_t pieces = cut(x, rows, n, k > 4 ? PIECE_OF_SUMS : PIECE, b->cuts);
    for (uint32_t p = 0, begin = 0; p < pieces; begin = b->cuts[p++])
        TRY(pull_piece(b, group + begin, b->cuts[p] - begin));
    return TAPE_OK;
}

/* What is narrow on a level, and is sums and products: in slices, most users first. */
static int narrow_push(Back *b, uint32_t *narrow, uint32_t n) {
    if (n < NARROW) {
        if (!n) return TAPE_OK;
        number(b, narrow, n);
        return pull_list(b, narrow, n);
    }
    uint32_t count[SLICE_MOST + 1] = {0};
    for (uint32_t i = 0; i < n; i++) count[SLICE_MOST - users_of(b, narrow[i])]++;
    for (uint32_t k = 0, sum = 0; k <= SLICE_MOST; k++) {
        const uint32_t some = count[k];
        count[k] = sum;
        sum += some;
    }
    for (uint32_t i = 0; i < n; i++)
        b->sorted[count[SLICE_MOST - users_of(b, narrow[i])]++] = narrow[i];
    number(b, b->sorted, n);
    for (uint32_t at = 0; at < n; at += LANES)
        TRY(pull_slice(b, b->sorted + at, n - at < LANES ? n - at : LANES));
    return TAPE_OK;
}

/* Plans all values of one distance. */
static int distance_push(Back *b, uint32_t *at, Poll *poll) {
    const uint32_t distance = b->distance[b->order[*at]];
    uint32_t n_narrow = 0, begin = *at;
    while (begin < b->n && b->distance[b->order[begin]] == distance) {
        const uint32_t *group = b->order + begin, k = users_of(b, group[0]);
        uint32_t end = begin + 1;
        while (end < b->n && b->distance[b->order[end]] == distance &&
               b->kind[b->order[end]] == b->kind[group[0]] &&
               is_same_list(b, b->order[end], group[0]))
            end++;
        const uint32_t n = end - begin;
        const int is_plain = !any_of(b, group[0], USE_TAKE, USE_SLOPE_B);
        begin = end;
        POLL((int64_t)n * (1 + k));
        if (n < NARROW && is_plain && k < ALONG_LEAST) {
            memcpy(b->narrow + n_narrow, group, n * sizeof *group);
            n_narrow += n;
            continue;
        }
        number(b, group, n);
        if (any_of(b, group[0], USE_TAKE, USE_TAKE) || (n < NARROW && !is_plain))
            TRY(pull_list(b, group, n));
        else if (n < NARROW)
            for (uint32_t r = 0; r < n; r++) TRY(pull_along(b, group[r]));
        else TRY(pull_wide(b, group, n));
    }
    *at = begin;
    return narrow_push(b, b->narrow, n_narrow);
}

/* Takes add to the tables that they take from, in the order of a sweep. */
static int scatters_push(Back *b, Poll *poll) {
    const Program *p = b->program;
    for (uint32_t i = p->n_ops; i-- > 0;) {
        const TapeOp *op = &p->ops[i];
        int any = 0;
        POLL(1);
        if (op->op != OP_TAKE || !b->live[b->leaves + i]) continue;
        const uint32_t *t = p->terms + op->a;
        for (uint32_t j = 1; j <= op->b && !any; j++) any = b->live[t[j]] && is_table(b, t[j]);
        if (!any) continue;
        POLL(op->b);
        PUSH(b->pulls, scatters,
            (GroupScatter){b->groups->value_of[t[0]], b->adjoint_of[b->leaves + i],
                (uint32_t)b->pulls->pool_extent.n, op->b});
        b->pulls->cost += costs.listed;
        for (uint32_t j = 1; j <= op->b; j++)
            PUSH(b->pulls, pool, b->live[t[j]] && is_table(b, t[j]) ? t[j] : NO_SLOT);
    }
    return TAPE_OK;
}

static int ranges_push(Back *b) {
    for (uint32_t s = 0; s < b->leaves; s++) {
        if (b->live[s] && (!s || !b->live[s - 1])) PUSH(b->pulls, ranges, s);
        if (b->live[s] && (s + 1 == b->leaves || !b->live[s + 1])) PUSH(b->pulls, ranges, s + 1);
    }
    return TAPE_OK;
}

static int back_build(Back *b, int always, Poll *poll) {
    Pulls *p = b->pulls;
    TRY_ROOM(b->begin, b->slots + (size_t)3);
    TRY_ROOM(b->distance, b->slots + (size_t)1);
    TRY(contributions_find(b, poll));
    if (users_of(b, b->output)) return TAPE_OK; /* its adjoint would be more than the seed */
    TRY_ROOM(b->kind, b->slots + (size_t)1);
    TRY_ROOM(b->order, b->slots + (size_t)1);
    TRY_ROOM(b->sorted, b->slots + (size_t)1);
    TRY_ROOM(b->count, b->slots + (size_t)3);
    TRY_ROOM(b->by_value, b->slots + (size_t)1);
    TRY_ROOM(b->adjoint_of, b->slots + (size_t)1);
    TRY_ROOM(b->ends, b->slots + (size_t)2);
    TRY_ROOM(b->cuts, b->slots + (size_t)2);
    TRY_ROOM(b->narrow, b->slots + (size_t)2);
    TRY_ROOM(b->x, 2 * (size_t)b->begin[b->slots] + b->slots + 1);
    TRY(names_begin(&b->names, b->slots));
    p->zero = b->slots;
    p->seed = b->adjoint_of[b->output] = b->slots + 1;
    b->next = b->slots + 2;
    TRY(values_sort(b, poll));
    for (uint32_t at = 0; at < b->n;) TRY(distance_push(b, &at, poll));
    TRY(scatters_push(b, poll));
    TRY(ranges_push(b));
    p->n_adjoints = b->next;
    double scalar = b->groups->scalar_cost;
    for (uint32_t i = 0; i < b->program->n_ops; i++) {
        const TapeOp *op = &b->program->ops[i];
        if (b->live[b->leaves + i])
            scalar += costs.reverse + (op->op == OP_DOT ? costs.reverse_term * op->b : 0.0);
    }
    if (!always && b->groups->cost + p->cost >= costs.both * scalar) p->n_adjoints = 0;
    return TAPE_OK;
}

int pulls_build(
    const Program *p, const Groups *g, const uint8_t *live, int always, Poll *poll, Pulls *pulls) {
    Back b = {p, g, live, pulls, program_leaves(p), program_slots(p), p->outputs[0]};
    memset(pulls, 0, sizeof *pulls);
    if (!g->steps_extent.n || p->n_outputs != 1 || b.output < b.leaves || !live[b.output])
        return TAPE_OK;
    const int result = back_build(&b, always, poll);
    back_free(&b);
    if (result != TAPE_OK || !pulls->n_adjoints) pulls_free(pulls);
    return result;
}

/* ---- running ---- */

static void list_forward(const GroupStep *s, const Groups *g, double *v) {
    double *y = v + s->y;
    for (const TapeOp *op = g->list + s->list, *end = op + s->n; op < end; op++, y++) {
        if (op->op == OP_ADD) *y = v[op->a] + v[op->b];
        else if (op->op == OP_MUL) *y = v[op->a] * v[op->b];
        else if (op->op == OP_DOT) {
            const uint32_t *t = g->pool + op->a;
            double sum = v[t[0]];
            for (uint32_t j = 0; j < op->b; j++) sum += v[t[1 + 2 * j]] * v[t[2 + 2 * j]];
            *y = sum;
        } else if (op->op == OP_POW_NUMBER) *y = fg_power(v[op->a], v[op->b]);
        else op_forward((int)op->op, v[op->a], v[op->b], y);
    }
}

static int take_forward(const GroupStep *s, const Groups *g, double *v) {
    const int64_t entry = take_entry(v[s->a.at], s->k);
    if (entry < 0) return TAPE_BAD_INDEX;
    v[s->y] = v[g->pool[s->list + entry]];
    return TAPE_OK;
}

int groups_forward(
    const Program *p, const Groups *g, const Kernels *kernels, double *v, Poll *poll) {
    v[g->one] = 1.0;
    v[g->one + 1] = 0.0;
    for (const GroupStep *s = g->steps, *end = s + g->steps_extent.n; s < end; s++) {
        if (s->form == GROUP_LIST) list_forward(s, g, v);
        else if (s->form == GROUP_TAKE) TRY(take_forward(s, g, v));
        else kernels->group_step(s, g, v);
        POLL((int64_t)s->n * (1 + s->k));
    }
    for (uint32_t o = 0; o < p->n_outputs; o++) v[p->outputs[o]] = v[g->value_of[p->outputs[o]]];
    return TAPE_OK;
}

static double contribution(const GroupUse *u, const double *v, double g) {
    double da = 0.0, db = 0.0;
    if (u->kind == USE_TAKE) return take_entry(v[u->v.at], u->y.at) == u->b.at ? g : 0.0;
    op_slopes(u->op, v[u->v.at], v[u->b.at], v[u->y.at], &da, &db);
    return op_product(u->kind == USE_SLOPE_A ? da : db, g);
}

static void list_reverse(const PullStep *s, const Pulls *p, const double *v, double *d) {
    const uint32_t *begin = p->begins + s->uses;
    for (uint32_t i = 0; i < s->n; i++) {
        double sum = 0.0;
        for (const GroupEdge *e = p->edges + begin[i], *end = p->edges + begin[i + 1]; e < end; e++)
            if (FASTGRAD_LIKELY(!(e->g & EDGE_USE))) sum += v[e->v] * d[e->g];
            else sum += contribution(p->uses + e->v, v, d[p->uses[e->v].g.at]);
        d[s->y.mode == REF_RUN ? s->y.at + i : p->pool[s->y.at + i]] = sum;
    }
}

static void takes_reverse(const Pulls *p, const double *v, double *d) {
    for (size_t i = 0; i < p->cleared_extent.n; i++) d[p->cleared[i]] = 0.0;
    for (const GroupScatter *s = p->scatters, *end = s + p->scatters_extent.n; s < end; s++) {
        const int64_t entry = take_entry(v[s->index], s->n);
        if (entry >= 0 && p->pool[s->list + entry] != NO_SLOT)
            d[p->pool[s->list + entry]] += d[s->g];
    }
}

/* Tells whether a leaf's adjoint is nan; a finite sum says quickly that none is. */
static int has_nan(const Pulls *p, const Kernels *kernels, const double *d) {
    for (size_t r = 0; r < p->ranges_extent.n; r += 2) {
        const uint32_t begin = p->ranges[r], end = p->ranges[r + 1];
        if (isfinite(kernels->sum(end - begin, d + begin))) continue;
        for (uint32_t i = begin; i < end; i++)
            if (isnan(d[i])) return 1;
    }
    return 0;
}

int groups_reverse(
    const Pulls *p, const Kernels *kernels, const double *v, double *d, int *odd, Poll *poll) {
    d[p->zero] = 0.0;
    d[p->seed] = 1.0;
    for (const PullStep *s = p->steps, *end = s + p->steps_extent.n; s < end; s++) {
        if (s->form == PULL_LIST) list_reverse(s, p, v, d);
        else kernels->pull_step(s, p, v, d);
        POLL((int64_t)s->n * (1 + s->k));
    }
    takes_reverse(p, v, d);
    *odd = has_nan(p, kernels, d);
    return TAPE_OK;
}
