/* One sample at a time: values forward, adjoints in reverse, tangents forward.
 * The same operations in the eager engine's order, so values and adjoints have its bits. */
#include "config.h"
#include "tape/tape.h"

enum { FETCH_AHEAD = 24 }; /* operations between fetching operands and using them */

#if defined(__GNUC__)
#define KEEP_BRANCH __asm__ volatile("") /* a select would wait for memory each time */
#else
#define KEEP_BRANCH ((void)0)
#endif

/* As likely one as the other in irregular graphs: select, do not branch. */
typedef double pair __attribute__((vector_size(16)));
typedef int64_t pair_bits __attribute__((vector_size(16)));

static inline double select_bits(double yes, double no, int64_t mask) {
    const pair_bits bits = {mask, mask};
    const pair a = {yes, yes}, b = {no, no};
    const pair_bits chosen = ((pair_bits)a & bits) | ((pair_bits)b & ~bits);
    return ((pair)chosen)[0];
}

static inline const double *select_address(const double *yes, const double *no, uintptr_t mask) {
    return (const double *)(((uintptr_t)yes & mask) | ((uintptr_t)no & ~mask));
}

static int structure_forward(
    const TapeOp *op, const uint32_t *terms, const double *v, double *out) {
    const uint32_t *t = terms + op->a;
    if (op->op == OP_TAKE) {
        int64_t entry = take_entry(v[t[0]], op->b);
        *out = entry < 0 ? NAN : v[t[1 + entry]];
        return entry < 0 ? TAPE_BAD_INDEX : TAPE_OK;
    }
    double y = v[t[0]];
    for (uint32_t i = 0; i < op->b; i++) y += v[t[1 + 2 * i]] * v[t[2 + 2 * i]];
    *out = y;
    return TAPE_OK;
}

/* What an adjoint of 0, inf or nan contributes to the factors of a dot. */
static void structure_reverse_odd(
    const TapeOp *op, const uint32_t *t, const double *v, double *adj, double g) {
    for (uint32_t i = g != 0.0 ? op->b : 0; i-- > 0;) {
        adj[t[1 + 2 * i]] += op_product(v[t[2 + 2 * i]], g);
        adj[t[2 + 2 * i]] += op_product(v[t[1 + 2 * i]], g);
    }
}

static void structure_reverse(
    const TapeOp *op, const uint32_t *terms, const double *v, double *adj, double g) {
    const uint32_t *t = terms + op->a;
    if (op->op == OP_TAKE) {
        int64_t entry = take_entry(v[t[0]], op->b);
        if (entry >= 0) adj[t[1 + entry]] += g;
        return;
    }
    if (op_is_odd(g)) structure_reverse_odd(op, t, v, adj, g);
    else
        for (uint32_t i = op->b; i-- > 0;) { /* last product first, as the eager sweep has it */
            adj[t[1 + 2 * i]] += v[t[2 + 2 * i]] * g;
            adj[t[2 + 2 * i]] += v[t[1 + 2 * i]] * g;
        }
    adj[t[0]] += g;
}

static double structure_tangent(
    const TapeOp *op, const uint32_t *terms, const double *v, const double *tan) {
    const uint32_t *t = terms + op->a;
    if (op->op == OP_TAKE) {
        int64_t entry = take_entry(v[t[0]], op->b);
        return entry < 0 ? NAN : tan[t[1 + entry]];
    }
    double y = tan[t[0]];
    for (uint32_t i = 0; i < op->b; i++)
        y += tangent_term(v[t[2 + 2 * i]], tan[t[1 + 2 * i]]) +
             tangent_term(v[t[1 + 2 * i]], tan[t[2 + 2 * i]]);
    return y;
}

/* Some operations of a list, [begin, end). `which` is known at compile time to be NULL or not. */
static inline int forward_some(
    const Steps *s, const uint32_t *which, uint32_t begin, uint32_t end, double *v) {
    const Program *p = s->program;
    const uint32_t leaves = program_leaves(p);
    const uint32_t *terms = p->terms;
    uint32_t last = NO_SLOT; /* written last: its value need not go through memory */
    double carry = 0.0;
    for (uint32_t k = begin; k < end; k++) {
        const uint32_t i = which ? which[k] : k;
        const TapeOp *op = &p->ops[i];
        double y;
        if (!which && end - k > FETCH_AHEAD && op_is_row(op[FETCH_AHEAD].op))
            FASTGRAD_PREFETCH(&v[op[FETCH_AHEAD].b]);
        if (FASTGRAD_LIKELY(op_is_add_or_mul(op->op))) {
            const double b = v[op->b];
            double a = carry;
            if (op->a != last) {
                KEEP_BRANCH;
                a = v[op->a];
            }
            const int64_t is_mul = -(int64_t)(op->op == OP_MUL);
            /* a * b + -0 or a * 1 + b: one rounding, and nothing to select once `a` is there. */
            y = a * select_bits(b, 1.0, is_mul) + select_bits(-0.0, b, is_mul);
        } else if (op->op == OP_POW_NUMBER) { /* squares are common, and need no call */
            y = v[op->b] == 2.0 ? v[op->a] * v[op->a] : fg_power(v[op->a], v[op->b]);
        } else if (op_is_row(op->op)) {
            op_forward(op->op, v[op->a], v[op->b], &y);
        } else if (op->op == OP_CUSTOM) {
            TRY(custom_forward(s, op, v, &y));
        } else {
            TRY(structure_forward(op, terms, v, &y));
        }
        last = leaves + i;
        v[last] = carry = y;
    }
    return TAPE_OK;
}

static inline int reverse_some(const Steps *s, const uint32_t *which, uint32_t begin, uint32_t end,
    const double *v, double *adj) {
    const double one = 1.0;
    const Program *p = s->program;
    const uint32_t leaves = program_leaves(p);
    uint32_t last = NO_SLOT;
    double carry = 0.0;
    for (uint32_t k = end; k-- > begin;) {
        const uint32_t i = which ? which[k] : k;
        const TapeOp *op = &p->ops[i];
        const uint32_t y = leaves + i;
        const double g = y == last ? carry : adj[y];
        /* The second operand may be anywhere. */
        if (!which && k >= FETCH_AHEAD && op_is_row(op[-FETCH_AHEAD].op)) {
            FASTGRAD_PREFETCH(&adj[op[-FETCH_AHEAD].b]);
            FASTGRAD_PREFETCH(&v[op[-FETCH_AHEAD].b]);
        }
        const uint32_t ia = op->a, ib = op->b;
        last = NO_SLOT;
        if (FASTGRAD_LIKELY(op_is_add_or_mul(op->op))) {
            const int64_t is_mul = -(int64_t)(op->op == OP_MUL);
            const double *const da = select_address(&v[ib], &one, (uintptr_t)is_mul);
            const double *const db = select_address(&v[ia], &one, (uintptr_t)is_mul);
            double ga, gb;
            op_products(*da, *db, g, &ga, &gb);
            adj[ib] += gb; /* b first: where both are one slot, the last sum is carried */
            adj[ia] = carry = adj[ia] + ga;
            last = ia;
        } else if (op_is_row(op->op)) {
            const double a = v[ia], b = v[ib];
            double da = 0.0, db = 0.0;
            if (g == 0.0) continue;
            op_slopes(op->op, a, b, v[y], &da, &db);
            op_products(da, db, g, &da, &db);
            adj[ia] += da;
            if (op_is_binary(op->op)) adj[ib] += db;
        } else if (op->op == OP_CUSTOM) {
            TRY(custom_reverse(s, op, v, v[y], adj, g));
        } else {
            structure_reverse(op, p->terms, v, adj, g);
        }
    }
    return TAPE_OK;
}

static inline int tangent_some(const Steps *s, const uint32_t *which, uint32_t begin, uint32_t end,
    const double *v, double *tan) {
    const Program *p = s->program;
    const uint32_t leaves = program_leaves(p);
    for (uint32_t k = begin; k < end; k++) {
        const uint32_t i = which ? which[k] : k;
        const TapeOp *op = &p->ops[i];
        double da = 0.0, db = 0.0, t;
        if (op_is_row(op->op)) {
            op_slopes(op->op, v[op->a], v[op->b], v[leaves + i], &da, &db);
            t = tangent_term(da, tan[op->a]);
            if (op_is_binary(op->op)) t += tangent_term(db, tan[op->b]);
        } else if (op->op == OP_CUSTOM) {
            TRY(custom_tangent(s, op, v, v[leaves + i], tan, &t));
        } else {
            t = structure_tangent(op, p->terms, v, tan);
        }
        tan[leaves + i] = t;
    }
    return TAPE_OK;
}

int steps_forward(const Steps *s, double *values, Poll *poll) {
    for (uint32_t begin = 0; begin < s->n;) {
        uint32_t end = s->n - begin < POLL_INTERVAL ? s->n : begin + POLL_INTERVAL;
        TRY(s->which ? forward_some(s, s->which, begin, end, values)
                     : forward_some(s, NULL, begin, end, values));
        if (poll_signals(poll, end - begin)) return TAPE_STOPPED;
        begin = end;
    }
    return TAPE_OK;
}

int steps_reverse(const Steps *s, const double *values, double *adjoints, Poll *poll) {
    for (uint32_t end = s->n; end > 0;) {
        uint32_t begin = end < POLL_INTERVAL ? 0 : end - POLL_INTERVAL;
        TRY(s->which ? reverse_some(s, s->which, begin, end, values, adjoints)
                     : reverse_some(s, NULL, begin, end, values, adjoints));
        if (poll_signals(poll, end - begin)) return TAPE_STOPPED;
        end = begin;
    }
    return TAPE_OK;
}

int steps_tangent(const Steps *s, const double *values, double *tangents, Poll *poll) {
    for (uint32_t begin = 0; begin < s->n;) {
        uint32_t end = s->n - begin < POLL_INTERVAL ? s->n : begin + POLL_INTERVAL;
        TRY(s->which ? tangent_some(s, s->which, begin, end, values, tangents)
                     : tangent_some(s, NULL, begin, end, values, tangents));
        if (poll_signals(poll, end - begin)) return TAPE_STOPPED;
        begin = end;
    }
    return TAPE_OK;
}
