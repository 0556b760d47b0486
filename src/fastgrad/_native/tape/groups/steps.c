/* Plans how values are computed in groups: operations that are one unit, units of one level and
 * kind as one step. Planned from the program alone, with a fixed table of costs, so that the same
 * program gives the same plan on every run and processor. */
#include "tape/groups/plan.h"

enum {
    OPERATIONS_LEAST = 32, /* of a program that is worth a plan */
    CHAIN_LEAST = 6        /* terms of a chain of sums that becomes one */
};

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

static int groups_ref(Groups *g, const uint32_t *x, uint32_t n, Ref *ref) {
    REF_OF(g, x, n, *ref);
    return TAPE_OK;
}

/* ---- steps ---- */

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

/* How many products of a sum, from the first on, have a factor that lies behind the one before. */
static uint32_t row_length(const Groups *g, const uint32_t *x, uint32_t products, int side) {
    const uint32_t first = g->value_of[x[1 + side]];
    uint32_t j = 0;
    while (j < products && g->value_of[x[1 + 2 * j + (uint32_t)side]] == first + j) j++;
    return j;
}

static int is_same_row(
    const Groups *g, const uint32_t *x, const uint32_t *z, uint32_t length, int side) {
    for (uint32_t j = 0; j < length; j++)
        if (x[2 + 2 * j - (uint32_t)side] != z[2 + 2 * j - (uint32_t)side]) return 0;
    return row_length(g, z, length, side) == length;
}

/* How many sums of a group, from the first on, are a layer: rows of weights, the factors `side` of
 * the first `length` products, times one row of inputs. 0: fewer than are worth it. */
static uint32_t layer_find(const Forth *f, const Groups *g, const uint32_t *group, uint32_t n,
    uint32_t *length, int *side) {
    const Units *u = &f->units;
    const uint32_t *x = u->operands + u->begin[group[0]], products = terms_of(u, group[0]) / 2;
    uint32_t best = 0;
    for (int s = 0; s < 2; s++) {
        const uint32_t row = row_length(g, x, products, s);
        uint32_t rows = row < LAYER_LEAST ? 0 : 1;
        if (row > LAYER_MOST && row_length(g, x, row, 1 - s) < row) continue;
        while (rows && rows < n && is_same_row(g, x, u->operands + u->begin[group[rows]], row, s))
            rows++;
        if (rows < NARROW || rows <= best) continue;
        best = rows;
        *length = row;
        *side = s;
    }
    return best;
}

static int layer_push(const Forth *f, Groups *g, const uint32_t *group, uint32_t n, uint32_t length,
    int side, uint32_t y) {
    const Units *u = &f->units;
    const uint32_t *x = u->operands + u->begin[group[0]], k = terms_of(u, group[0]);
    GroupStep step = {.form = GROUP_LAYER, .op = OP_DOT, .n = n, .y = y, .c = {length, REF_ONE}};
    step.k = (k - 1) / 2 - length;
    step.list = (uint32_t)g->terms_extent.n;
    for (uint32_t t = 0; t < k; t += t ? 1 : 1 + 2 * length) {
        Ref ref;
        for (uint32_t r = 0; r < n; r++) f->x[r] = g->value_of[u->operands[u->begin[group[r]] + t]];
        TRY(groups_ref(g, f->x, n, &ref));
        PUSH(g, terms, ref);
    }
    for (uint32_t j = 0; j < length; j++) f->x[j] = g->value_of[x[2 + 2 * j - (uint32_t)side]];
    TRY(groups_ref(g, f->x, length, &step.b));
    step.a.at = (uint32_t)g->pool_extent.n;
    step.a.mode = REF_GATHER;
    for (uint32_t r = 0; r < n || r < LANES; r++)
        PUSH(g, pool,
            g->value_of[u->operands[u->begin[group[r < n ? r : n - 1]] + 1 + (uint32_t)side]]);
    g->cost += costs.step + costs.product * n * length;
    PUSH(g, steps, step);
    return TAPE_OK;
}

/* Sums of products: their layers, and what is between. */
static int layers_push(const Forth *f, Groups *g, const uint32_t *group, uint32_t n, uint32_t y) {
    uint32_t begin = 0, length = 0;
    int side = 0;
    for (uint32_t at = 0; at < n;) {
        const uint32_t rows = layer_find(f, g, group + at, n - at, &length, &side);
        if (!rows) {
            at++;
            continue;
        }
        if (begin < at) TRY(wide_push(f, g, group + begin, at - begin, y + begin));
        TRY(layer_push(f, g, group + at, rows, length, side, y + at));
        begin = at += rows;
    }
    return begin < n ? wide_push(f, g, group + begin, n - begin, y + begin) : TAPE_OK;
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
    return (form == UNIT_SUM ? layers_push : wide_push)(f, g, group, n, y);
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
