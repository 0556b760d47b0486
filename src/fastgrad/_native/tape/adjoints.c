/* Adjoints: which rows a batch keeps them in.
 *
 * In a reverse sweep an adjoint is needed from the last step that reads its value back to the step
 * that gives it; of a layer, back to the first of those tied to it, which computes the weights'. So
 * adjoints that are not needed at the same time share rows: they take a part of the memory of the
 * values, and are cleared when they are needed, in a cache, and not before a sweep. */
#include "tape/adjoints.h"

#include <Python.h>

#include <string.h>

enum {
    HOLES_MOST = 256, /* free ranges that are remembered */
    HOLES_TRIED = 64
};

/* Rows whose adjoints stay together. */
typedef struct {
    uint32_t row, n;
    uint32_t from, to; /* 1 + the last step that reads it, or 1 + all of them: before a sweep; the
                          last step in reverse that needs it, or KEPT */
    uint32_t adjoint;
    uint32_t next_from, next_to; /* of a list: 1 + the next segment */
} Segment;

#define KEPT NO_SLOT

typedef struct {
    Plan *plan;
    Segment *segments;
    uint32_t n;
    uint32_t *of_row; /* per row: its segment */
    uint32_t *heads;  /* of lists by `from`, and by `to`: 1 + a segment, 0 none */
    RowRange holes[HOLES_MOST];
    uint32_t n_holes;
} Placer;

static uint32_t leaf_rows(const Plan *plan) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < plan->n_lanes; i++) n += plan->lanes[i] != 0;
    return n;
}

static int segments_find(Placer *p, const uint8_t *begins) {
    const Plan *plan = p->plan;
    const uint32_t leaves = leaf_rows(plan);
    uint32_t n = 1;
    for (uint32_t row = 0; row < plan->n_rows; row++) n += begins[row];
    TRY_ROOM(p->segments, n);
    TRY_ROOM(p->of_row, plan->n_rows);
    for (uint32_t row = 0; row < plan->n_rows; row++) {
        if (!row || begins[row]) p->segments[p->n++] = (Segment){.row = row, .to = KEPT};
        p->segments[p->n - 1].n++;
        p->of_row[row] = p->n - 1;
    }
    if (leaves) p->segments[0].from = plan->n_steps + 1;
    for (uint32_t i = 0; i < plan->n_filled; i++)
        p->segments[p->of_row[plan->filled[i].row]].from = plan->n_steps + 1;
    return TAPE_OK;
}

static void read_by(const Placer *p, uint32_t row, uint32_t step) {
    if (row & BROADCAST) return;
    uint32_t *from = &p->segments[p->of_row[row]].from;
    if (*from < 1 + step) *from = 1 + step;
}

static uint32_t listed_by(const BatchStep *step) {
    switch (step->kind) {
    case BATCH_MAP: return step->a == LISTED ? 2 * step->m : 0;
    case BATCH_LAYER: return step->k + (step->biases == NO_SLOT ? step->m : 0);
    case BATCH_DOT: return step->m * (uint32_t)op_listed(step->op, step->k);
    default: return step->m * step->k;
    }
}

/* Finds the steps between which each segment is needed. */
static int spans_find(Placer *p, Poll *poll) {
    Plan *plan = p->plan;
    const uint32_t result = plan->row_of[plan->program->outputs[0]];
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const BatchStep *step = &plan->steps[i];
        const uint32_t n = listed_by(step);
        if (poll_signals(poll, 1 + (int64_t)n)) return TAPE_STOPPED;
        if (step->kind == BATCH_MAP || step->kind == BATCH_TAKE) read_by(p, step->a, i);
        if (step->kind == BATCH_MAP) read_by(p, step->b, i);
        for (uint32_t t = 0; t < n; t++) read_by(p, plan->lists[step->list + t], i);
        Segment *given = &p->segments[p->of_row[step->y]];
        if (given->to == KEPT) given->to = i; /* the first step of its results */
        for (uint32_t t = 0; t < step->n_tied; t++)
            p->segments[p->of_row[plan->tied[step->tied + t].y]].to = i;
    }
    for (uint32_t s = 0; s < p->n;
        s++) /* what nobody reads has the adjoint 0, or that of a result */
        if (!p->segments[s].from) p->segments[s].from = plan->n_steps + 1;
    if (result != NO_SLOT) p->segments[p->of_row[result]].from = plan->n_steps + 1;
    return TAPE_OK;
}

static int segments_list(Placer *p) {
    const uint32_t n_steps = p->plan->n_steps;
    TRY_ROOM(p->heads, 2 * (size_t)n_steps + 2);
    for (uint32_t s = p->n; s-- > 0;) {
        Segment *segment = &p->segments[s];
        uint32_t *from = &p->heads[segment->from];
        segment->next_from = *from;
        *from = 1 + s;
        if (segment->to == KEPT) continue;
        uint32_t *to = &p->heads[n_steps + 2 + segment->to];
        segment->next_to = *to;
        *to = 1 + s;
    }
    return TAPE_OK;
}

/* Takes rows from the first hole that has room, else behind all. */
static uint32_t rows_take(Placer *p, uint32_t n) {
    for (uint32_t h = 0; h < p->n_holes && h < HOLES_TRIED; h++) {
        RowRange *hole = &p->holes[h];
        if (hole->n < n) continue;
        const uint32_t row = hole->row;
        hole->row += n;
        hole->n -= n;
        if (!hole->n) memmove(hole, hole + 1, (--p->n_holes - h) * sizeof *hole);
        return row;
    }
    p->plan->n_adjoints += n;
    return p->plan->n_adjoints - n;
}

/* Gives rows back: to the holes beside them, else they are one, if there are not too many. */
static void rows_give(Placer *p, uint32_t row, uint32_t n) {
    uint32_t h = 0;
    while (h < p->n_holes && p->holes[h].row < row) h++;
    RowRange *hole = &p->holes[h];
    const int joins_before = h > 0 && hole[-1].row + hole[-1].n == row;
    const int joins_behind = h < p->n_holes && row + n == hole->row;
    if (joins_before) {
        hole[-1].n += n;
        if (!joins_behind) return;
        hole[-1].n += hole->n;
        memmove(hole, hole + 1, (--p->n_holes - h) * sizeof *hole);
    } else if (joins_behind) {
        hole->row = row;
        hole->n += n;
    } else if (p->n_holes < HOLES_MOST) {
        memmove(hole + 1, hole, (p->n_holes++ - h) * sizeof *hole);
        *hole = (RowRange){row, n};
    }
}

/* Places the segments that a step is the first in reverse to add to, which it clears. */
static void step_enter(Placer *p, uint32_t from) {
    Plan *plan = p->plan;
    for (uint32_t s = p->heads[from]; s; s = p->segments[s - 1].next_from) {
        Segment *segment = &p->segments[s - 1];
        segment->adjoint = rows_take(p, segment->n);
        plan->clears[plan->n_clears++] = (RowRange){segment->adjoint, segment->n};
    }
}

static void step_leave(Placer *p, uint32_t to) {
    for (uint32_t s = p->heads[p->plan->n_steps + 2 + to]; s; s = p->segments[s - 1].next_to)
        rows_give(p, p->segments[s - 1].adjoint, p->segments[s - 1].n);
}

static void segments_place(Placer *p) {
    Plan *plan = p->plan;
    step_enter(p, plan->n_steps + 1);
    plan->n_clears_first = plan->n_clears;
    for (uint32_t i = plan->n_steps; i-- > 0;) {
        BatchStep *step = &plan->steps[i];
        step->clear = plan->n_clears;
        step_enter(p, 1 + i);
        step->n_clear = plan->n_clears - step->clear;
        step_leave(p, i);
    }
}

static uint32_t adjoint_of(const Placer *p, uint32_t row) {
    if (row & BROADCAST) return row;
    const Segment *segment = &p->segments[p->of_row[row]];
    return segment->adjoint + (row - segment->row);
}

/* Names the rows of adjoints wherever those of values are named. */
static int rows_name(const Placer *p) {
    Plan *plan = p->plan;
    const uint32_t result = plan->row_of[plan->program->outputs[0]];
    TRY_ROOM(plan->adjoint_lists, plan->n_lists);
    for (uint32_t i = 0; i < plan->n_lists; i++)
        plan->adjoint_lists[i] = adjoint_of(p, plan->lists[i]);
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        BatchStep *step = &plan->steps[i];
        step->dy = adjoint_of(p, step->y);
        if (step->kind != BATCH_MAP) continue;
        step->da = adjoint_of(p, step->a);
        step->db = adjoint_of(p, step->b);
    }
    for (uint32_t i = 0; i < plan->n_layers; i++) plan->tied[i].dy = adjoint_of(p, plan->tied[i].y);
    for (uint32_t i = 0; i < plan->n_filled; i++)
        plan->filled[i].adjoint = adjoint_of(p, plan->filled[i].row);
    plan->seed = result == NO_SLOT ? NO_SLOT : adjoint_of(p, result);
    return TAPE_OK;
}

static int place(Placer *p, const uint8_t *begins, Poll *poll) {
    TRY(segments_find(p, begins));
    TRY(spans_find(p, poll));
    TRY(segments_list(p));
    TRY_ROOM(p->plan->clears, p->n);
    segments_place(p);
    return rows_name(p);
}

int adjoints_place(Plan *plan, const uint8_t *begins, Poll *poll) {
    Placer p = {.plan = plan};
    const int result = place(&p, begins, poll);
    PyMem_RawFree(p.segments);
    PyMem_RawFree(p.of_row);
    PyMem_RawFree(p.heads);
    return result;
}
