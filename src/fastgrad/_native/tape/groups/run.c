/* Runs a plan of groups: what is listed one by one here, the steps in lanes by kernels. */
#include <Python.h>

#include <string.h>

#include "config.h"
#include "tape/groups.h"

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
        POLL((int64_t)s->n * (1 + s->k + (s->form == GROUP_LAYER ? s->c.at : 0)));
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
