/* Plans how adjoints are computed in groups: values with the same distance from the result and the
 * same kinds of users as one step, which pulls what these contribute. */
#include "tape/groups/plan.h"

enum { SLICE_MOST = 64 }; /* users of a value in slices */

static int pulls_ref(Pulls *p, const uint32_t *x, uint32_t n, Ref *ref) {
    REF_OF(p, x, n, *ref);
    return TAPE_OK;
}

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
