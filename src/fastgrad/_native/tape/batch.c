/* Batch: a plan run over many samples, a block at a time, on one thread or several.
 *
 * The order of every sum over samples is fixed by their number alone: within a block by the
 * kernels, within a group block after block, among groups as a tree. So threads change nothing in
 * the bits.
 *
 * A product of 0 and an infinity is 0 in a derivative (op_product() in ops.h). To test each one
 * would be felt where there is little but products. So most multiply plainly, and if a nan comes
 * out, which it does if one of them was nan, the group of samples is run again by the rule. */
#include <Python.h>

#include <stdatomic.h>
#include <string.h>

#include "tape/tape.h"

enum {
    GROUPS_MAX = 4096,
    ACCUMULATORS_MAX = 1 << 22,
    WEIGHT_ROWS = 16, /* of a layer, between polls */
    SPARE_ROWS = 3,   /* what a step needs: two operands, an adjoint */
    PADDING = 128     /* bytes: processors fetch two cache lines at a time */
};

typedef struct Worker Worker;

typedef struct {
    BatchRun *run;
    Worker *workers;
    int n_workers;
    const double *broadcast_values, *broadcast_tangents;
    double *accumulators; /* adjoints of the broadcast inputs, a row for each group of the run */
    double *totals;       /* of each group of the run */
    size_t n_blocks, n_groups, stride; /* of the whole batch */
    size_t first, end;                 /* groups of the run */
    size_t first_block;
    /* Of each pair of groups that is to be added, by the later one's number. */
    atomic_uchar half_is_done[GROUPS_MAX];
    atomic_int stop; /* a tape_result */
} Job;

struct Worker { /* one thread's memory */
    Job *job;
    /* Its own groups, in each call the same: their samples stay in its cache. */
    atomic_size_t next_group;
    size_t end_group;
    double *values, *adjoints; /* rows; in forward mode adjoints are tangents */
    double *spare;             /* rows */
    int again;                 /* its group is run by the rule, after plain products gave a nan */
    int has_nan;               /* among the gradients of inputs */
    Poll poll;                 /* by results; only the thread that came from Python has a check */
    char padding[PADDING];     /* from the next one, which another processor writes to */
};

static void poll_stop(void *worker) {
    Worker *w = worker;
    if (atomic_load(&w->job->stop) == TAPE_STOPPED)
        return; /* its error is set: run no handler beside it */
    if (poll_now(&w->poll))
        atomic_store(&w->job->stop, TAPE_STOPPED); /* over what others have stored */
}

/* Counts work; true if it is to be left, since a signal has come or another thread has stopped. */
static int poll_worker(Worker *w, size_t work) {
    if (!poll_is_due(&w->poll, (int64_t)work)) return 0;
    poll_stop(w);
    return atomic_load(&w->job->stop) != TAPE_OK;
}

/* The first block of a group. Most batches have one each, which spares a division. */
static size_t group_block(const Job *job, size_t group) {
    return job->n_blocks == job->n_groups ? group : group * job->n_blocks / job->n_groups;
}

/* What a group of the run adds up. */
static double *group_sums(const Job *job, size_t group) {
    return job->accumulators + (group - job->first) * job->run->plan->n_broadcasts;
}

static double *group_total(const Job *job, size_t group) {
    return &job->totals[group - job->first];
}

/* Samples with those that only fill up the last lanes. */
static size_t pad_to_lanes(size_t samples) { return (samples + LANES - 1) / LANES * LANES; }

static size_t work_of(const BatchStep *step, size_t padded) {
    return (1 + (size_t)step->k / 4) * step->m * padded;
}

/* ---- one block ---- */

/* Numbers of samples, a stride apart in the caller's memory, into a row, and out of one. */
static void copy_in(double *row, const double *from, ptrdiff_t stride, size_t count) {
    if (stride == 1) memcpy(row, from, count * sizeof *row);
    else
        for (size_t s = 0; s < count; s++) row[s] = from[(ptrdiff_t)s * stride];
}

static void copy_out(double *to, ptrdiff_t stride, const double *row, size_t count) {
    if (stride == 1) memcpy(to, row, count * sizeof *row);
    else
        for (size_t s = 0; s < count; s++) to[(ptrdiff_t)s * stride] = row[s];
}

static void fill(double *to, size_t n, double x) {
    for (size_t i = 0; i < n; i++) to[i] = x;
}

static void load_inputs(const Worker *w, const InputColumn *inputs, double *row, size_t begin,
    size_t count, size_t padded) {
    const BatchRun *run = w->job->run;
    for (uint32_t i = 0; i < run->plan->n_lanes; i++) {
        if (!run->plan->lanes[i]) continue;
        if (inputs[i].data) {
            const double *from = inputs[i].data + (ptrdiff_t)begin * inputs[i].stride;
            copy_in(row, from, inputs[i].stride, count);
            fill(row + count, padded - count, row[count - 1]); /* as harmless as the last sample */
        }
        row += w->job->stride;
    }
}

/* Draws what samples have of their own: all of it, or nothing, has rows, one behind the other. */
static int load_drawn(Worker *w, size_t begin, size_t count, size_t padded) {
    const BatchRun *run = w->job->run;
    const Program *p = run->plan->program;
    const size_t stride = w->job->stride;
    DrawKey key = run->draws;
    if (!p->n_drawn || !run->draws.is_on || run->plan->row_of[program_arguments(p)] == NO_SLOT)
        return TAPE_OK;
    double *row = w->values + run->plan->row_of[program_arguments(p)] * stride;
    for (uint32_t d = 0; d < p->n_dropouts; d++, key.call++) {
        const Dropout *dropout = &p->dropouts[d];
        for (uint32_t i = 0; i < dropout->n; i += 2, row += stride) {
            const DrawPair pair = draw_pair(dropout, &key, begin, i);
            const int is_last = i + 1 == dropout->n;
            double *second = is_last ? w->spare : row + stride;
            run->kernels->draw(&pair, padded, row, second);
            fill(row + count, padded - count, row[count - 1]);
            fill(second + count, padded - count, second[count - 1]);
            if (!is_last) row += stride;
            if (poll_worker(w, 16 * padded)) return TAPE_STOPPED;
        }
    }
    return TAPE_OK;
}

static void load_filled(const Worker *w, const double *broadcasts, double *rows, size_t padded) {
    const Plan *plan = w->job->run->plan;
    for (uint32_t i = 0; i < plan->n_filled; i++)
        fill(rows + plan->filled[i].row * w->job->stride, padded,
            broadcasts[plan->filled[i].broadcast & ~BROADCAST]);
}

static double broadcast_value(const Worker *w, uint32_t broadcast) {
    return w->job->broadcast_values[broadcast & ~BROADCAST];
}

/* Whether somebody needs the adjoint of an operand. */
static int is_live(const Worker *w, uint32_t operand) {
    const Plan *plan = w->job->run->plan;
    if (operand & BROADCAST) return plan->live_broadcasts[operand & ~BROADCAST];
    return plan->live_rows[operand];
}

static const double *operand_row(const Worker *w, uint32_t operand, double *spare, size_t padded) {
    if (!(operand & BROADCAST)) return w->values + operand * w->job->stride;
    fill(spare, padded, broadcast_value(w, operand));
    return spare;
}

static double *row_at(double *rows, const Worker *w, uint32_t row) {
    return rows + row * w->job->stride;
}

/* Operand a (side 0) or b of result i of a map. */
static uint32_t map_operand(const Worker *w, const BatchStep *step, int side, uint32_t i) {
    const uint32_t first = side ? step->b : step->a;
    if (first == LISTED) return w->job->run->plan->lists[step->list + 2 * i + (uint32_t)side];
    return first & BROADCAST ? first : first + i;
}

/* The row of its adjoint; of a broadcast input, the first. */
static double *map_adjoint(const Worker *w, const BatchStep *step, int side, uint32_t i) {
    uint32_t row = (side ? step->db : step->da) + i;
    if (step->a == LISTED)
        row = w->job->run->plan->adjoint_lists[step->list + 2 * i + (uint32_t)side];
    return row_at(w->adjoints, w, row & BROADCAST ? 0 : row);
}

/* How many numbers a loop gets at a time, and how far on the next are: all rows, with what lies
 * between them; or one, if that might be out of the reach of the operation's text. */
static size_t map_piece(const Worker *w, const BatchStep *step, size_t padded, size_t *next) {
    static const unsigned char has_reach[OP_COUNT] = {
#define HAS_REACH(name, code, arity) [code] = 1,
        OP_EACH_NEAR(HAS_REACH)[OP_POW_NUMBER] = 1};
    const size_t stride = w->job->stride;
    const int is_one = has_reach[step->op] && stride != padded;
    *next = is_one ? stride : step->m * stride;
    return is_one ? padded : (step->m - 1) * stride + padded;
}

static void map_forward(const Worker *w, const BatchStep *step, size_t padded) {
    const size_t stride = w->job->stride;
    double *y = row_at(w->values, w, step->y);
    const Kernels *kernels = w->job->run->kernels;
    if (!(step->a & BROADCAST)) {
        const double *a = row_at(w->values, w, step->a);
        size_t next, n = map_piece(w, step, padded, &next);
        for (size_t i = 0; i < step->m * stride; i += next)
            if (step->b & BROADCAST)
                kernels->forward_broadcast[step->op](n, a + i, broadcast_value(w, step->b), y + i);
            else kernels->forward[step->op](n, a + i, row_at(w->values, w, step->b) + i, y + i);
        return;
    }
    for (uint32_t i = 0; i < step->m; i++) {
        const uint32_t b = map_operand(w, step, 1, i);
        const double *a = operand_row(w, map_operand(w, step, 0, i), w->spare, padded);
        if (b & BROADCAST)
            kernels->forward_broadcast[step->op](padded, a, broadcast_value(w, b), y + i * stride);
        else kernels->forward[step->op](padded, a, w->values + b * stride, y + i * stride);
    }
}

/* A dot that has broadcast inputs among its pairs. */
static void pairs_forward(
    const Worker *w, const uint32_t *pair, uint32_t k, size_t padded, double *y) {
    const size_t stride = w->job->stride;
    const Products *products = &w->job->run->kernels->products[0];
    for (uint32_t i = 0; i < k; i++, pair += 2) {
        if (pair[0] & BROADCAST)
            products->scale_add(
                padded, broadcast_value(w, pair[0]), operand_row(w, pair[1], w->spare, padded), y);
        else if (pair[1] & BROADCAST)
            products->scale_add(
                padded, broadcast_value(w, pair[1]), w->values + pair[0] * stride, y);
        else
            products->multiply_add(
                padded, w->values + pair[0] * stride, w->values + pair[1] * stride, y);
    }
}

static void dot_forward(const Worker *w, const BatchStep *step, size_t padded) {
    const size_t stride = w->job->stride;
    const uint32_t *item = w->job->run->plan->lists + step->list;
    double *y = row_at(w->values, w, step->y);
    for (uint32_t r = 0; r < step->m; r++, y += stride, item += 1 + 2 * step->k) {
        memcpy(y, operand_row(w, item[0], w->spare, padded), padded * sizeof *y);
        if (step->live & PAIRS_OF_ROWS)
            w->job->run->kernels->dot_forward(w->values, item + 1, step->k, stride, padded, y);
        else pairs_forward(w, item + 1, step->k, padded, y);
    }
}

/* The rows that the neurons of a layer begin with, if they vary, from one of the plan's lists; else
 * NULL. */
static const uint32_t *initial_rows(const BatchStep *step, const uint32_t *lists) {
    return step->biases == NO_SLOT ? lists + step->list + step->k : NULL;
}

static void layer_forward(const Worker *w, const BatchStep *step, size_t padded) {
    const size_t stride = w->job->stride;
    const Plan *plan = w->job->run->plan;
    const double *broadcasts = w->job->broadcast_values;
    const uint32_t *initial = initial_rows(step, w->job->run->plan->lists);
    double *y = w->values + step->y * stride;
    for (uint32_t r = 0; initial && r < step->m; r++)
        memcpy(y + r * stride, w->values + initial[r] * stride, padded * sizeof *y);
    w->job->run->kernels->layer_forward(broadcasts + step->weights,
        initial ? NULL : broadcasts + step->biases, w->values, plan->lists + step->list, step->m,
        step->k, stride, padded, y);
}

/* Which entry each sample of takes names, NO_SLOT where none: in spare rows but the first. */
static uint32_t *entries_find(const Worker *w, const BatchStep *step, size_t padded) {
    const double *index = operand_row(w, step->a, w->spare, padded);
    uint32_t *entries = (uint32_t *)(w->spare + w->job->stride);
    for (size_t s = 0; s < padded; s++) {
        const int64_t e = take_entry(index[s], step->k);
        entries[s] = e < 0 ? NO_SLOT : (uint32_t)e;
    }
    return entries;
}

static double entry_value(const Worker *w, uint32_t entry, size_t s) {
    return entry & BROADCAST ? broadcast_value(w, entry) : row_at(w->values, w, entry)[s];
}

static int take_forward(const Worker *w, const BatchStep *step, size_t count, size_t padded) {
    const uint32_t *list = w->job->run->plan->lists + step->list, k = step->k;
    const uint32_t *e = entries_find(w, step, padded);
    int result = TAPE_OK, is_bad = 0;
    for (size_t s = 0; s < padded; s++) {
        is_bad |= e[s] == NO_SLOT;
        if (e[s] == NO_SLOT && s < count) result = TAPE_BAD_INDEX;
    }
    for (uint32_t c = 0; c < step->m; c++, list += k) {
        double *y = row_at(w->values, w, step->y + c);
        if (step->weights != NO_SLOT && !is_bad) {
            const double *table = w->job->broadcast_values + step->weights + (size_t)c * k;
            for (size_t s = 0; s < padded; s++) y[s] = table[e[s]];
        } else
            for (size_t s = 0; s < padded; s++)
                y[s] = e[s] == NO_SLOT ? NAN : entry_value(w, list[e[s]], s);
    }
    return result;
}

static int forward(Worker *w, size_t count, size_t padded) {
    const Plan *plan = w->job->run->plan;
    int result = TAPE_OK;
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const BatchStep *step = &plan->steps[i];
        if (poll_worker(w, work_of(step, padded))) return TAPE_STOPPED;
        switch (step->kind) {
        case BATCH_MAP: map_forward(w, step, padded); break;
        case BATCH_LAYER: layer_forward(w, step, padded); break;
        case BATCH_DOT: dot_forward(w, step, padded); break;
        default:
            if (take_forward(w, step, count, padded) != TAPE_OK) result = TAPE_BAD_INDEX;
        }
    }
    return result;
}

static int overlap(uint32_t a, uint32_t b, uint32_t m) { return a < b + m && b < a + m; }

/* A map whose operands are rows one after another, of which none is there twice. */
static int is_plain_map(const Worker *w, const BatchStep *step) {
    const int binary = op_is_binary(step->op);
    if (step->a & BROADCAST) return 0;
    if (step->b & BROADCAST) return !binary || !is_live(w, step->b);
    return !binary || !overlap(step->a, step->b, step->m);
}

static void plain_map_reverse(const Worker *w, const BatchStep *step, size_t padded) {
    size_t next, n = map_piece(w, step, padded, &next);
    const Products *products = &w->job->run->kernels->products[w->again];
    const double *a = row_at(w->values, w, step->a), *y = row_at(w->values, w, step->y),
                 *g = row_at(w->adjoints, w, step->dy);
    double *da = row_at(w->adjoints, w, step->da);
    for (size_t i = 0; i < step->m * w->job->stride; i += next)
        if (step->b & BROADCAST)
            products->reverse_broadcast[step->op](
                n, a + i, broadcast_value(w, step->b), y + i, g + i, da + i);
        else
            products->reverse[step->op](n, a + i, row_at(w->values, w, step->b) + i, y + i, g + i,
                da + i, row_at(w->adjoints, w, step->db) + i);
}

static void map_reverse(
    const Worker *w, const BatchStep *step, double *acc, size_t count, size_t padded) {
    if (is_plain_map(w, step)) {
        plain_map_reverse(w, step, padded);
        return;
    }
    const size_t stride = w->job->stride;
    const Kernels *kernels = w->job->run->kernels;
    const int binary = op_is_binary(step->op);
    const Products *products = &kernels->products[w->again];
    const double *g = row_at(w->adjoints, w, step->dy), *y = row_at(w->values, w, step->y);
    for (uint32_t i = step->m; i-- > 0;) {
        const uint32_t a = map_operand(w, step, 0, i), b = map_operand(w, step, 1, i);
        double *da = map_adjoint(w, step, 0, i), *db = map_adjoint(w, step, 1, i),
               *extra = w->spare + 2 * stride;
        if (b & BROADCAST && (!binary || !is_live(w, b))) {
            products->reverse_broadcast[step->op](padded, w->values + a * stride,
                broadcast_value(w, b), y + i * stride, g + i * stride, da);
            continue;
        }
        const int spared = (a & BROADCAST) || (binary && ((b & BROADCAST) || a == b));
        if (spared) fill(extra, padded, 0.0);
        if (a & BROADCAST) da = extra;
        else if (b & BROADCAST || a == b) db = extra;
        products->reverse[step->op](padded, operand_row(w, a, w->spare, padded),
            operand_row(w, b, w->spare + stride, padded), y + i * stride, g + i * stride, da, db);
        if (!spared) continue;
        if (a & BROADCAST) acc[a & ~BROADCAST] += kernels->sum(count, extra);
        else if (b & BROADCAST) acc[b & ~BROADCAST] += kernels->sum(count, extra);
        else kernels->products[0].scale_add(padded, 1.0, extra, da);
    }
}

/* What a dot gives pairs that have broadcast inputs among them, or rows that nobody needs. */
static void pairs_reverse(const Worker *w, const uint32_t *pairs, const uint32_t *adjoints,
    uint32_t k, const double *g, double *acc, size_t count, size_t padded) {
    const size_t stride = w->job->stride;
    const Products *products = &w->job->run->kernels->products[w->again];
    for (uint32_t i = k; i-- > 0;) {
        for (int side = 0; side < 2; side++) {
            const uint32_t to = pairs[2 * i + side], by = pairs[2 * i + 1 - side];
            if (!is_live(w, to)) continue;
            if (to & BROADCAST) {
                acc[to & ~BROADCAST] += products->dot(
                    count, operand_row(w, by, w->spare, padded), g);
                continue;
            }
            double *d = row_at(w->adjoints, w, adjoints[2 * i + side]);
            if (by & BROADCAST) products->scale_add(padded, broadcast_value(w, by), g, d);
            else products->multiply_add(padded, w->values + by * stride, g, d);
        }
    }
}

static void dot_reverse(
    const Worker *w, const BatchStep *step, double *acc, size_t count, size_t padded) {
    const size_t stride = w->job->stride, items = 1 + 2 * (size_t)step->k;
    const Kernels *kernels = w->job->run->kernels;
    for (uint32_t r = step->m; r-- > 0;) {
        const size_t at = step->list + r * items;
        const uint32_t *item = w->job->run->plan->lists + at,
                       *to = w->job->run->plan->adjoint_lists + at;
        const double *g = row_at(w->adjoints, w, step->dy + r);
        if (step->live & LIVE_PAIRS && !w->again)
            kernels->dot_reverse(
                w->values, w->adjoints, item + 1, to + 1, step->k, stride, padded, g);
        else pairs_reverse(w, item + 1, to + 1, step->k, g, acc, count, padded);
        if (!is_live(w, item[0])) continue;
        if (item[0] & BROADCAST) acc[item[0] & ~BROADCAST] += kernels->sum(count, g);
        else kernels->products[0].scale_add(padded, 1.0, g, row_at(w->adjoints, w, to[0]));
    }
}

/* What a layer gives its inputs, by the rule: each sum in the order of the kernel. */
static void layer_inputs_again(const Worker *w, const BatchStep *step, size_t padded) {
    const size_t stride = w->job->stride;
    const Products *products = &w->job->run->kernels->products[1];
    const uint32_t *x = w->job->run->plan->adjoint_lists + step->list;
    const double *weight = w->job->broadcast_values + step->weights;
    for (size_t r = 0; r < step->m; r++) {
        const double *g = w->adjoints + (step->dy + r) * stride;
        for (size_t j = 0; j < step->k; j++, weight++)
            products->scale_add(padded, *weight, g, w->adjoints + x[j] * stride);
    }
}

static void layer_initial_reverse(
    const Worker *w, const BatchStep *step, double *acc, size_t count, size_t padded) {
    const size_t stride = w->job->stride;
    const Kernels *kernels = w->job->run->kernels;
    const uint32_t *initial = initial_rows(step, w->job->run->plan->adjoint_lists);
    const double *g = w->adjoints + step->dy * stride;
    if (step->live & LIVE_BIAS)
        kernels->layer_biases(acc + step->biases, step->m, stride, count, g);
    for (uint32_t r = 0; initial && r < step->m; r++, g += stride)
        kernels->products[0].scale_add(padded, 1.0, g, w->adjoints + initial[r] * stride);
}

/* Adjoints of the weights of tied layers, a few rows at a time: there may be many layers. */
static int tied_weights(Worker *w, const BatchStep *step, double *acc, size_t count) {
    const Plan *plan = w->job->run->plan;
    const Products *products = &w->job->run->kernels->products[w->again];
    const LayerRows rows = {w->values, w->adjoints, w->job->stride, plan->lists};
    for (uint32_t r = 0; r < step->m; r += WEIGHT_ROWS) {
        const uint32_t end = step->m - r < WEIGHT_ROWS ? step->m : r + WEIGHT_ROWS;
        const size_t work = (size_t)step->n_tied * (1 + step->k / 4) * (end - r) * count;
        if (poll_worker(w, work)) return TAPE_STOPPED;
        products->layer_weights(acc + step->weights, &rows, plan->tied + step->tied, step->n_tied,
            r, end, step->k, count);
    }
    return TAPE_OK;
}

static int layer_reverse(
    Worker *w, const BatchStep *step, double *acc, size_t count, size_t padded) {
    const size_t stride = w->job->stride;
    if (step->live & LIVE_WEIGHT && step->n_tied) TRY(tied_weights(w, step, acc, count));
    if (step->live & LIVE_INPUT && w->again) layer_inputs_again(w, step, padded);
    else if (step->live & LIVE_INPUT)
        w->job->run->kernels->layer_inputs(w->job->broadcast_values + step->weights, w->adjoints,
            w->job->run->plan->adjoint_lists + step->list, step->m, step->k, stride, padded,
            w->adjoints + step->dy * stride);
    layer_initial_reverse(w, step, acc, count, padded);
    return TAPE_OK;
}

static void take_reverse(
    const Worker *w, const BatchStep *step, double *acc, size_t count, size_t padded) {
    const uint32_t k = step->k, *e = entries_find(w, step, padded);
    for (uint32_t c = step->m; c-- > 0;) {
        const uint32_t *list = w->job->run->plan->adjoint_lists + step->list + (size_t)c * k;
        const double *g = row_at(w->adjoints, w, step->dy + c);
        if (step->weights != NO_SLOT) {
            double *table = acc + step->weights + (size_t)c * k;
            for (size_t s = 0; s < count; s++) table[e[s]] += g[s];
        } else
            for (size_t s = 0; s < count; s++) {
                const uint32_t entry = list[e[s]];
                if (entry & BROADCAST) acc[entry & ~BROADCAST] += g[s];
                else row_at(w->adjoints, w, entry)[s] += g[s];
            }
    }
}

static void filled_reverse(const Worker *w, double *acc, size_t count) {
    const Plan *plan = w->job->run->plan;
    for (uint32_t i = 0; i < plan->n_filled; i++) {
        const FilledRow *filled = &plan->filled[i];
        if (is_live(w, filled->broadcast))
            acc[filled->broadcast & ~BROADCAST] += w->job->run->kernels->sum(
                count, row_at(w->adjoints, w, filled->adjoint));
    }
}

static void clear(const Worker *w, uint32_t first, uint32_t n) {
    const RowRange *range = w->job->run->plan->clears + first;
    const size_t row = w->job->stride * sizeof(double);
    for (const RowRange *end = range + n; range < end; range++)
        memset(row_at(w->adjoints, w, range->row), 0, range->n * row);
}

static int reverse(Worker *w, double *acc, size_t count, size_t padded) {
    const Plan *plan = w->job->run->plan;
    for (uint32_t i = plan->n_steps; i-- > 0;) {
        const BatchStep *step = &plan->steps[i];
        clear(w, step->clear, step->n_clear);
        if (!(step->live & LIVE_RESULT)) continue;
        if (poll_worker(w, 2 * work_of(step, padded))) return TAPE_STOPPED;
        switch (step->kind) {
        case BATCH_MAP: map_reverse(w, step, acc, count, padded); break;
        case BATCH_LAYER: TRY(layer_reverse(w, step, acc, count, padded)); break;
        case BATCH_DOT: dot_reverse(w, step, acc, count, padded); break;
        default: take_reverse(w, step, acc, count, padded);
        }
    }
    filled_reverse(w, acc, count);
    return TAPE_OK;
}

/* Values or tangents of the outputs: rows, or slots of what is the same for all samples. */
static void write_outputs(const Worker *w, double *const *outputs, const ptrdiff_t *strides,
    const double *rows, const double *slots, size_t begin, size_t count) {
    const Plan *plan = w->job->run->plan;
    for (uint32_t o = 0; outputs && o < plan->program->n_outputs; o++) {
        const uint32_t slot = plan->program->outputs[o], row = plan->row_of[slot];
        if (!outputs[o]) continue;
        double *to = outputs[o] + (ptrdiff_t)begin * strides[o];
        if (row != NO_SLOT) copy_out(to, strides[o], rows + row * w->job->stride, count);
        else
            for (size_t s = 0; s < count; s++) to[(ptrdiff_t)s * strides[o]] = slots[slot];
    }
}

static void write_input_grads(Worker *w, size_t begin, size_t count) {
    const BatchRun *run = w->job->run;
    const double *row = w->adjoints;
    for (uint32_t i = 0; run->input_grads && i < run->plan->n_lanes; i++) {
        if (!run->plan->lanes[i]) continue;
        if (run->input_grads[i]) {
            w->has_nan |= isnan(run->kernels->sum(count, row));
            copy_out(run->input_grads[i] + (ptrdiff_t)begin * run->grad_strides[i],
                run->grad_strides[i], row, count);
        }
        row += w->job->stride;
    }
}

/* ---- forward mode: tangents, where a reverse sweep has adjoints ---- */

static double broadcast_tangent(const Worker *w, uint32_t broadcast) {
    return w->job->broadcast_tangents[broadcast & ~BROADCAST];
}

static const double *tangent_row(const Worker *w, uint32_t operand, double *spare, size_t padded) {
    if (!(operand & BROADCAST)) return w->adjoints + operand * w->job->stride;
    fill(spare, padded, broadcast_tangent(w, operand));
    return spare;
}

static void map_tangent(const Worker *w, const BatchStep *step, size_t padded) {
    const size_t stride = w->job->stride;
    const Kernels *kernels = w->job->run->kernels;
    const double *y = row_at(w->values, w, step->y);
    double *t = row_at(w->adjoints, w, step->y), *spare = w->spare + 2 * stride;
    if (!((step->a | step->b) & BROADCAST)) {
        const double *a = w->values + step->a * stride, *b = w->values + step->b * stride;
        const double *ta = w->adjoints + step->a * stride, *tb = w->adjoints + step->b * stride;
        size_t next, n = map_piece(w, step, padded, &next);
        for (size_t i = 0; i < step->m * stride; i += next)
            kernels->tangent[step->op](n, a + i, b + i, y + i, ta + i, tb + i, t + i);
        return;
    }
    for (uint32_t i = 0; i < step->m; i++, y += stride, t += stride) {
        const uint32_t a = map_operand(w, step, 0, i), b = map_operand(w, step, 1, i);
        if (b & BROADCAST && broadcast_tangent(w, b) == 0.0)
            kernels->tangent_broadcast[step->op](padded, w->values + a * stride,
                broadcast_value(w, b), y, w->adjoints + a * stride, t);
        else
            kernels->tangent[step->op](padded, operand_row(w, a, w->spare, padded),
                operand_row(w, b, w->spare + stride, padded), y, tangent_row(w, a, spare, padded),
                tangent_row(w, b, spare, padded), t);
    }
}

static void pair_tangent(const Worker *w, uint32_t a, uint32_t b, double *t, size_t padded) {
    const size_t stride = w->job->stride;
    const Kernels *kernels = w->job->run->kernels;
    if (!((a | b) & BROADCAST)) {
        kernels->multiply_tangent(padded, w->values + a * stride, w->adjoints + a * stride,
            w->values + b * stride, w->adjoints + b * stride, t);
    } else if (a & b & BROADCAST) {
        const double shared = tangent_term(broadcast_value(w, b), broadcast_tangent(w, a)) +
                              tangent_term(broadcast_value(w, a), broadcast_tangent(w, b));
        for (size_t s = 0; s < padded; s++) t[s] += shared;
    } else {
        const uint32_t shared = a & BROADCAST ? a : b, row = a & BROADCAST ? b : a;
        kernels->scale_tangent(padded, broadcast_value(w, shared), broadcast_tangent(w, shared),
            w->values + row * stride, w->adjoints + row * stride, t);
    }
}

static void dot_tangent(const Worker *w, const BatchStep *step, size_t padded) {
    const uint32_t *item = w->job->run->plan->lists + step->list;
    double *t = row_at(w->adjoints, w, step->y);
    for (uint32_t r = 0; r < step->m; r++, t += w->job->stride) {
        memcpy(t, tangent_row(w, *item++, w->spare, padded), padded * sizeof *t);
        for (uint32_t i = 0; i < step->k; i++, item += 2)
            pair_tangent(w, item[0], item[1], t, padded);
    }
}

/* Whether the weights of a layer do not change, so that it is as linear as in its values. */
static int layer_is_fixed(const Worker *w, const BatchStep *step) {
    const double *change = w->job->broadcast_tangents + step->weights;
    for (size_t i = 0; i < (size_t)step->m * step->k; i++)
        if (change[i] != 0.0) return 0;
    return 1;
}

/* What the tangents of a layer begin with. Zeros are added to it: it is no -0. */
static void layer_tangent_begin(const Worker *w, const BatchStep *step, size_t padded) {
    const size_t stride = w->job->stride;
    const uint32_t *initial = initial_rows(step, w->job->run->plan->lists);
    double *t = w->adjoints + step->y * stride;
    for (uint32_t r = 0; r < step->m; r++, t += stride) {
        const uint32_t from = initial ? initial[r] : BROADCAST | (step->biases + r);
        const double *begin = tangent_row(w, from, w->spare, padded);
        for (size_t s = 0; s < padded; s++) t[s] = begin[s] + 0.0;
    }
}

static void layer_tangent(const Worker *w, const BatchStep *step, size_t padded) {
    const size_t stride = w->job->stride;
    const uint32_t *x = w->job->run->plan->lists + step->list;
    const Kernels *kernels = w->job->run->kernels;
    double *t = w->adjoints + step->y * stride;
    layer_tangent_begin(w, step, padded);
    if (layer_is_fixed(w, step)) {
        int has_nan = 0;
        kernels->layer_forward(w->job->broadcast_values + step->weights, NULL, w->adjoints, x,
            step->m, step->k, stride, padded, t);
        for (uint32_t r = 0; r < step->m; r++)
            has_nan |= isnan(kernels->sum(padded, t + r * stride));
        if (!has_nan) return;
        layer_tangent_begin(w, step, padded);
    }
    for (uint32_t r = 0; r < step->m; r++, t += stride) /* by the rule of op_product() */
        for (uint32_t j = 0; j < step->k; j++)
            pair_tangent(w, BROADCAST | (step->weights + r * step->k + j), x[j], t, padded);
}

static void take_tangent(const Worker *w, const BatchStep *step, size_t padded) {
    const uint32_t *list = w->job->run->plan->lists + step->list;
    const uint32_t *e = entries_find(w, step, padded);
    for (uint32_t c = 0; c < step->m; c++, list += step->k) {
        double *t = row_at(w->adjoints, w, step->y + c);
        for (size_t s = 0; s < padded; s++) {
            const uint32_t entry = e[s] == NO_SLOT ? 0 : list[e[s]];
            if (e[s] == NO_SLOT) t[s] = NAN;
            else if (entry & BROADCAST) t[s] = broadcast_tangent(w, entry);
            else t[s] = row_at(w->adjoints, w, entry)[s];
        }
    }
}

static int tangent(Worker *w, size_t padded) {
    const Plan *plan = w->job->run->plan;
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const BatchStep *step = &plan->steps[i];
        if (poll_worker(w, 2 * work_of(step, padded))) return TAPE_STOPPED;
        switch (step->kind) {
        case BATCH_MAP: map_tangent(w, step, padded); break;
        case BATCH_LAYER: layer_tangent(w, step, padded); break;
        case BATCH_DOT: dot_tangent(w, step, padded); break;
        default: take_tangent(w, step, padded);
        }
    }
    return TAPE_OK;
}

static int run_block(Worker *w, size_t group, size_t begin, size_t count) {
    const BatchRun *run = w->job->run;
    const Plan *plan = run->plan;
    const size_t stride = w->job->stride, padded = pad_to_lanes(count);
    const uint32_t first = plan->row_of[plan->program->outputs[0]];
    load_inputs(w, run->inputs, w->values, begin, count, padded);
    TRY(load_drawn(w, begin, count, padded));
    load_filled(w, w->job->broadcast_values, w->values, padded);
    const int result = forward(w, count, padded);
    if (result == TAPE_STOPPED) return result;
    write_outputs(w, run->outputs, run->output_strides, w->values, run->slots, begin, count);
    if (run->tangents && result == TAPE_OK) {
        load_inputs(w, run->tangents, w->adjoints, begin, count, padded);
        load_filled(w, w->job->broadcast_tangents, w->adjoints, padded);
        TRY(tangent(w, padded));
        write_outputs(w, run->output_tangents, run->output_tangent_strides, w->adjoints,
            run->slot_tangents, begin, count);
    }
    if (first != NO_SLOT)
        *group_total(w->job, group) += run->kernels->sum(count, w->values + first * stride);
    if (!run->slot_adjoints || result != TAPE_OK) return result;
    clear(w, 0, plan->n_clears_first);
    if (first != NO_SLOT) { /* else the inputs' gradients are those zeros */
        fill(w->adjoints + plan->seed * stride, count, run->seed);
        TRY(reverse(w, group_sums(w->job, group), count, padded));
    }
    write_input_grads(w, begin, count);
    return TAPE_OK;
}

/* ---- groups, threads ---- */

size_t batch_groups(const Plan *plan, size_t n) {
    const size_t blocks = (n + plan->block - 1) / plan->block, sums = plan->n_broadcasts + 1;
    size_t groups = blocks < GROUPS_MAX ? blocks : GROUPS_MAX;
    while (groups > 1 && groups * sums > ACCUMULATORS_MAX) groups /= 2;
    return groups;
}

size_t batch_group_begin(const Plan *plan, size_t n, size_t group) {
    const size_t blocks = (n + plan->block - 1) / plan->block;
    const size_t begin = group * blocks / batch_groups(plan, n) * plan->block;
    return begin < n ? begin : n;
}

size_t batch_subtree(size_t at, size_t end, size_t n) {
    size_t size = 1;
    while (at + size < end && at % (2 * size) == 0 && (at + 2 * size <= end || end == n)) size *= 2;
    return size;
}

/* Adds up the groups that are done as a tree: whoever completes a pair adds its halves. */
static void add_group(Job *job, size_t group) {
    const uint32_t n = job->run->plan->n_broadcasts;
    const BatchPart *part = job->run->part;
    if (part && !part->is_added) return;
    for (size_t step = 1; step < job->n_groups; step *= 2) {
        const size_t left = group / (2 * step) * (2 * step), right = left + step;
        if (right >= job->n_groups) continue; /* it has no partner at this step */
        if (part && (left < job->first || batch_subtree(left, job->end, job->n_groups) <= step))
            return; /* its partner is another part's, or some of it */
        if (!atomic_exchange(&job->half_is_done[right], 1)) return;
        double *to = group_sums(job, left), *from = group_sums(job, right);
        for (uint32_t p = 0; p < n; p++) to[p] += from[p];
        *group_total(job, left) += *group_total(job, right);
        group = left;
    }
}

/* Runs the blocks of a group; 0 if the run is to be left. */
static int run_blocks(Worker *w, size_t group) {
    Job *job = w->job;
    const uint32_t n_broadcasts = job->run->plan->n_broadcasts;
    const size_t block = job->run->plan->block, end = group_block(job, group + 1);

    memset(group_sums(job, group), 0, n_broadcasts * sizeof(double));
    *group_total(job, group) = 0.0;
    w->has_nan = 0;
    for (size_t b = group_block(job, group); b < end; b++) {
        const size_t begin = (b - job->first_block) * block, left = job->run->n - begin;
        if (atomic_load(&job->stop) != TAPE_OK) return 0;
        const int result = run_block(w, group, begin, left < block ? left : block);
        int none = TAPE_OK; /* a stop is stored already, and is not to be lost: its error is set */
        if (result != TAPE_OK) atomic_compare_exchange_strong(&job->stop, &none, result);
        if (poll_worker(w, block)) return 0; /* there may be no step at all */
    }
    return 1;
}

/* Runs a group; 0 if the run is to be left. */
static int run_group(Worker *w, size_t group) {
    Job *job = w->job;
    const uint32_t n = job->run->plan->n_broadcasts;
    if (!run_blocks(w, group)) return 0;
    if (job->run->slot_adjoints &&
        (w->has_nan || isnan(job->run->kernels->sum(n, group_sums(job, group))))) {
        w->again = 1;
        const int is_whole = run_blocks(w, group);
        w->again = 0;
        if (!is_whole) return 0;
    }
    add_group(job, group);
    return 1;
}

/* Runs the groups of a worker, and then those that its neighbours have not begun. */
static void run_groups(void *worker) {
    Worker *w = worker;
    Worker *const workers = w->job->workers, *from = w;
    const int n = w->job->n_workers;
    do {
        for (size_t group; (group = atomic_fetch_add(&from->next_group, 1)) < from->end_group;)
            if (!run_group(w, group)) return;
        from = from + 1 == workers + n ? workers : from + 1;
    } while (from != w);
}

/* Blocks and groups follow from the number of samples and the plan; threads are as many as asked
 * for, if there is a group for each. */
static void job_divide(Job *job) {
    const BatchRun *run = job->run;
    const size_t block = run->plan->block, whole = run->part ? run->part->of : run->n;
    job->n_blocks = (whole + block - 1) / block;
    job->n_groups = batch_groups(run->plan, whole);
    job->first = run->part ? run->part->first : 0;
    job->end = run->part ? run->part->end : job->n_groups;
    job->first_block = group_block(job, job->first);
    job->stride = pad_to_lanes(run->n < block ? run->n : block);
    /* Rows a power of two apart evict each other. */
    if (job->stride % 64 == 0) job->stride += LANES;
    job->n_workers = run->threads < 1 ? 1 : run->threads > THREADS_MAX ? THREADS_MAX : run->threads;
    if ((size_t)job->n_workers > job->end - job->first)
        job->n_workers = (int)(job->end - job->first);
}

static int workspace_reserve(Workspace *workspace, size_t size) {
    if (workspace->size >= size) return TAPE_OK;
    if (size > PTRDIFF_MAX / sizeof(double) / 2) return TAPE_NO_MEMORY;
    double *memory;
    TRY_ROOM(memory, size);
    PyMem_RawFree(workspace->memory);
    workspace->memory = memory;
    workspace->size = size;
    return TAPE_OK;
}

/* Lays out the workspace: rows of each worker, values of the broadcasts, sums of each group. */
static int job_place(Job *job) {
    const BatchRun *run = job->run;
    const Plan *plan = run->plan;
    const size_t values = plan->n_rows * job->stride;
    const size_t adjoints = (run->tangents ? plan->n_rows : plan->n_adjoints) * job->stride;
    const size_t each = values + adjoints + SPARE_ROWS * job->stride;
    const size_t sums = (job->end - job->first) * (plan->n_broadcasts + 1);
    TRY(workspace_reserve(
        run->workspace, (size_t)job->n_workers * each + 2 * plan->n_broadcasts + sums + LANES));
    double *at = (double *)(((uintptr_t)run->workspace->memory + 63) & ~(uintptr_t)63);
    for (int t = 0; t < job->n_workers; t++, at += each) {
        Worker *w = &job->workers[t];
        w->job = job;
        w->poll = t ? poll_begin(NULL) : run->poll;
        w->values = at;
        w->adjoints = at + values;
        w->spare = at + values + adjoints;
        w->again = 0;
    }
    for (uint32_t p = 0; p < plan->n_broadcasts; p++) at[p] = run->slots[plan->broadcasts[p]];
    job->broadcast_values = at;
    at += plan->n_broadcasts;
    if (run->tangents)
        for (uint32_t p = 0; p < plan->n_broadcasts; p++)
            at[p] = run->slot_tangents[plan->broadcasts[p]];
    job->broadcast_tangents = at;
    job->accumulators = at + plan->n_broadcasts;
    job->totals = job->accumulators + (job->end - job->first) * plan->n_broadcasts;
    return TAPE_OK;
}

/* Hands out all groups, before any is run. */
static void job_begin(Job *job) {
    const size_t threads = (size_t)job->n_workers, n = job->end - job->first;
    for (size_t g = job->first; g < job->end; g++) atomic_store(&job->half_is_done[g], 0);
    for (size_t t = 0; t < threads; t++) {
        atomic_store(&job->workers[t].next_group, job->first + t * n / threads);
        job->workers[t].end_group = job->first + (t + 1) * n / threads;
    }
}

/* Gives what all groups of n samples add up to: the total and the adjoints of the broadcasts. */
static void run_give(BatchRun *run, size_t n, double total, const double *sums) {
    const Plan *plan = run->plan;
    const uint32_t out = plan->program->outputs[0];
    const int is_shared = plan->row_of[out] == NO_SLOT;
    run->total = is_shared ? run->slots[out] * (double)n : total;
    if (!run->slot_adjoints) return;
    for (uint32_t p = 0; p < plan->n_broadcasts; p++)
        run->slot_adjoints[plan->broadcasts[p]] += sums[p];
    if (is_shared) run->slot_adjoints[out] += run->seed * (double)n;
}

/* Gives the rows of a part. */
static void part_give(const Job *job) {
    const BatchPart *part = job->run->part;
    const uint32_t n = job->run->plan->n_broadcasts;
    double *row = part->rows;
    for (size_t g = part->first, size = 1; g < part->end; g += size, row += n + 1) {
        if (part->is_added) size = batch_subtree(g, part->end, job->n_groups);
        row[0] = *group_total(job, g);
        memcpy(row + 1, group_sums(job, g), n * sizeof *row);
    }
}

int batch_finish(BatchRun *run, size_t n, double *rows, size_t *sizes) {
    const size_t groups = batch_groups(run->plan, n), width = run->plan->n_broadcasts + 1;
    for (size_t step = 1; step < groups; step *= 2) {
        for (size_t left = 0; left + step < groups; left += 2 * step) {
            double *to = rows + left * width, *from = to + step * width;
            if (sizes[left] > step) continue; /* the right one is in it */
            for (size_t p = 0; p < width; p++) to[p] += from[p];
            sizes[left] = 2 * step;
            if (poll_signals(&run->poll, (int64_t)width)) return TAPE_STOPPED;
        }
    }
    run_give(run, n, rows[0], rows + 1);
    return TAPE_OK;
}

int batch_run(BatchRun *run) {
    Worker workers[THREADS_MAX];
    Job job = {.run = run, .workers = workers};
    if (run->plan->program->python.tape) return sequence_run(run);
    int is_whole = 1; /* 0 in a child that a signal handler forked: helpers are not there */
    job_divide(&job);
    TRY(job_place(&job));
    do {
        job_begin(&job);
        if (job.n_workers == 1) run_groups(workers);
        else
            is_whole = thread_pool_run(
                run_groups, workers, sizeof *workers, job.n_workers, poll_stop);
    } while (!is_whole);
    TRY(atomic_load(&job.stop));
    if (run->part) part_give(&job);
    else run_give(run, run->n, job.totals[0], job.accumulators);
    return TAPE_OK;
}
