/* Batch kernels: the bodies, compiled once for each SIMD level by <level>.c.
 * The includer defines KERNELS, LEVEL, WIDTH (doubles in a register) and COLUMNS (of weights whose
 * sums stay in registers). There are eight logical lanes however wide a register is: a sum over
 * samples adds sample s into lane s % 8 and folds the lanes in one fixed order, so that every level
 * gives the same bits. */
#define FASTGRAD_FUNCTIONS_IN_LOOPS
#include <string.h>

#include "base/philox.h"
#include "tape/tape.h"

#define INLINE static inline __attribute__((always_inline)) /* extents are constants inside */
#define RARE static __attribute__((cold))                   /* small before it is fast */
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" /* nothing here is called from another file by vector */
#endif

typedef double part __attribute__((vector_size(8 * WIDTH), aligned(8), may_alias));
typedef int64_t part_mask __attribute__((vector_size(8 * WIDTH), aligned(8), may_alias));
enum { PARTS = LANES / WIDTH };

/* Loops over a tile, whose extents are known at compile time: unrolled, its sums are registers. */
#define EACH(i, count) _Pragma("GCC unroll 16") for (size_t i = 0; i < (count); i++)

INLINE part load(const double *p) { return *(const part *)p; }
INLINE void store(double *p, part x) { *(part *)p = x; }
INLINE part all(double x) { return x - (part){0}; }

/* Selects the samples that exist among those of the last part. */
INLINE part masked(part x, size_t n) {
    part_mask mask;
    EACH(i, WIDTH) mask[i] = i < n ? -1 : 0;
    return (part)((part_mask)x & mask);
}

INLINE double folded(const double *sum) {
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

INLINE double folded_parts(const part *x) {
    double sum[LANES];
    EACH(i, PARTS) store(sum + i * WIDTH, x[i]);
    return folded(sum);
}

typedef double quad __attribute__((vector_size(32), aligned(8), may_alias));

/* The four sums of lanes [i], [i + 4]: the first step of folding. */
INLINE quad folded_halves(const part *x) {
    double sum[LANES];
    EACH(i, PARTS) store(sum + i * WIDTH, x[i]);
    return *(const quad *)sum + *(const quad *)(sum + 4);
}

/* Four sums at once, each added as folded() does. */
INLINE quad folded_four(const part *a, const part *b, const part *c, const part *d) {
    const quad s = folded_halves(a), t = folded_halves(b), u = folded_halves(c),
               v = folded_halves(d);
    const quad one = __builtin_shufflevector(s, t, 0, 1, 4, 5) +
                     __builtin_shufflevector(s, t, 2, 3, 6, 7);
    const quad two = __builtin_shufflevector(u, v, 0, 1, 4, 5) +
                     __builtin_shufflevector(u, v, 2, 3, 6, 7);
    return __builtin_shufflevector(one, two, 0, 2, 4, 6) +
           __builtin_shufflevector(one, two, 1, 3, 5, 7);
}

/* ---- operations of the table ---- */

/* A partial times an adjoint: plainly, or by the rule that every derivative has. */
INLINE double times(int rule, double partial, double adjoint) {
    return rule ? op_product(partial, adjoint) : partial * adjoint;
}

/* Rows are padded, so n is a multiple of LANES: whoever knows that needs no loop for a rest. */
#define EACH_SAMPLE(i, n) for (size_t i = 0, end_ = (n) / LANES * LANES; i < end_; i++)

#include "tape/kernels/powers.h"

/* Samples that a row's text does not reach are computed one by one. */
RARE void forward_far(double reach, int op, size_t n, const double *a, double *y) {
    for (size_t i = 0; i < n; i++)
        if (fg_is_far(reach, a[i])) y[i] = value_of_one(op, a[i]);
}

/* Of slopes, which are added up, all are, if one is out of reach. */
INLINE int is_within_reach(double reach, size_t n, const double *a) {
    uint64_t far = 0;
    for (size_t i = 0; i < n; i++) far |= fg_far_bit(reach, a[i]);
    return !(far >> 63);
}

RARE void reverse_far(
    int op, size_t n, const double *a, const double *y, const double *g, double *da) {
    for (size_t i = 0; i < n; i++) da[i] += op_product(slope_of_one(op, a[i], y[i]), g[i]);
}

RARE void tangent_far(
    int op, size_t n, const double *a, const double *y, const double *ta, double *t) {
    for (size_t i = 0; i < n; i++) t[i] = tangent_term(slope_of_one(op, a[i], y[i]), ta[i]);
}

#define FORWARD(name, code, arity)                                                                 \
    static void name##_forward(                                                                    \
        size_t n, const double *restrict a, const double *restrict b, double *restrict y) {        \
        uint64_t far = 0;                                                                          \
        EACH_SAMPLE(i, n) {                                                                        \
            y[i] = op_##name##_value(a[i], b[i]);                                                  \
            far |= fg_far_bit(op_##name##_reach, a[i]);                                            \
        }                                                                                          \
        if (far >> 63) forward_far(op_##name##_reach, code, n, a, y);                              \
    }
/* Light operations multiply plainly, and by the rule only where a group of samples is run again. */
#define REVERSE(name, code, arity)                                                                 \
    INLINE void name##_reverse_by(int rule, size_t n, const double *restrict a,                    \
        const double *restrict b, const double *restrict y, const double *restrict g,              \
        double *restrict da, double *restrict db) {                                                \
        if (!is_within_reach(op_##name##_slope_reach, n, a)) {                                     \
            reverse_far(code, n, a, y, g, da);                                                     \
            return;                                                                                \
        }                                                                                          \
        EACH_SAMPLE(i, n) {                                                                        \
            da[i] += times(rule, op_##name##_da(a[i], b[i], y[i]), g[i]);                          \
            if (arity == 2) db[i] += times(rule, op_##name##_db(a[i], b[i], y[i]), g[i]);          \
        }                                                                                          \
    }                                                                                              \
    static void name##_reverse(size_t n, const double *a, const double *b, const double *y,        \
        const double *g, double *da, double *db) {                                                 \
        name##_reverse_by(!op_##name##_is_light, n, a, b, y, g, da, db);                           \
    }                                                                                              \
    RARE void name##_again(size_t n, const double *a, const double *b, const double *y,            \
        const double *g, double *da, double *db) {                                                 \
        name##_reverse_by(1, n, a, b, y, g, da, db);                                               \
    }
/* The same with one b for all samples, which has no adjoint. */
#define FORWARD_BROADCAST(name, code, arity)                                                       \
    static void name##_forward_broadcast(                                                          \
        size_t n, const double *restrict a, double b, double *restrict y) {                        \
        if (code == OP_POW_NUMBER) {                                                               \
            power_row(n, a, b, y);                                                                 \
            return;                                                                                \
        }                                                                                          \
        EACH_SAMPLE(i, n) y[i] = op_##name##_value(a[i], b);                                       \
    }
#define REVERSE_BROADCAST(name, code, arity)                                                       \
    INLINE void name##_reverse_broadcast_by(int rule, size_t n, const double *restrict a,          \
        double b, const double *restrict y, const double *restrict g, double *restrict da) {       \
        if (code == OP_POW_NUMBER) {                                                               \
            powers_reverse(n, a, b, y, g, da);                                                     \
            return;                                                                                \
        }                                                                                          \
        EACH_SAMPLE(i, n) da[i] += times(rule, op_##name##_da(a[i], b, y[i]), g[i]);               \
    }                                                                                              \
    static void name##_reverse_broadcast(                                                          \
        size_t n, const double *a, double b, const double *y, const double *g, double *da) {       \
        name##_reverse_broadcast_by(!op_##name##_is_light, n, a, b, y, g, da);                     \
    }                                                                                              \
    RARE void name##_again_broadcast(                                                              \
        size_t n, const double *a, double b, const double *y, const double *g, double *da) {       \
        name##_reverse_broadcast_by(1, n, a, b, y, g, da);                                         \
    }
#define TANGENT(name, code, arity)                                                                 \
    static void name##_tangent(size_t n, const double *restrict a, const double *restrict b,       \
        const double *restrict y, const double *restrict ta, const double *restrict tb,            \
        double *restrict t) {                                                                      \
        if (!is_within_reach(op_##name##_slope_reach, n, a)) {                                     \
            tangent_far(code, n, a, y, ta, t);                                                     \
            return;                                                                                \
        }                                                                                          \
        EACH_SAMPLE(i, n) {                                                                        \
            t[i] = tangent_term(op_##name##_da(a[i], b[i], y[i]), ta[i]);                          \
            if (arity == 2) t[i] += tangent_term(op_##name##_db(a[i], b[i], y[i]), tb[i]);         \
        }                                                                                          \
    }
/* One b for all samples, which does not change: its term is 0. */
#define TANGENT_BROADCAST(name, code, arity)                                                       \
    static void name##_tangent_broadcast(size_t n, const double *restrict a, double b,             \
        const double *restrict y, const double *restrict ta, double *restrict t) {                 \
        if (code == OP_POW_NUMBER) {                                                               \
            powers_tangent(n, a, b, y, ta, t);                                                     \
            return;                                                                                \
        }                                                                                          \
        EACH_SAMPLE(i, n)                                                                          \
        t[i] = tangent_term(op_##name##_da(a[i], b, y[i]), ta[i]) + (arity == 2 ? 0.0 : -0.0);     \
    }
OP_EACH(FORWARD)
OP_EACH(REVERSE)
OP_EACH(TANGENT)
OP_EACH_BROADCAST(TANGENT_BROADCAST)
OP_EACH_BROADCAST(FORWARD_BROADCAST)
OP_EACH_BROADCAST(REVERSE_BROADCAST)

/* ---- layers: m dots of the same k inputs ---- */

/* Calls TILE_CALL(count) for a tile of `most` or one at a time, the count being a constant. */
#define IN_TILES(i, n, most, TILE_CALL)                                                            \
    for (size_t i = 0; i < (n);)                                                                   \
        if ((n) - i >= (most)) {                                                                   \
            TILE_CALL(most);                                                                       \
            i += (most);                                                                           \
        } else {                                                                                   \
            TILE_CALL(1);                                                                          \
            i += 1;                                                                                \
        }

enum { ROWS = 4, ACROSS = 2 * WIDTH }; /* neurons or inputs in a tile of registers; samples */

INLINE void forward_tile(const double *w, const double *bias, const double *values,
    const uint32_t *x, size_t rows, size_t k, size_t stride, size_t at, size_t wide, double *y) {
    part sum[ROWS][ACROSS / WIDTH];
    EACH(r, rows)
    EACH(v, wide)
    sum[r][v] = bias ? all(bias[r]) : load(y + r * stride + at + v * WIDTH);
    for (size_t j = 0; j < k; j++) {
        const double *column = values + x[j] * stride + at;
        part in[ACROSS / WIDTH];
        EACH(v, wide) in[v] = load(column + v * WIDTH);
        EACH(r, rows) EACH(v, wide) sum[r][v] += w[r * k + j] * in[v];
    }
    EACH(r, rows) EACH(v, wide) store(y + r * stride + at + v * WIDTH, sum[r][v]);
}

static void layer_forward(const double *w, const double *bias, const double *values,
    const uint32_t *x, size_t m, size_t k, size_t stride, size_t n, double *y) {
    size_t at;
#define FORWARD_ROWS(rows)                                                                         \
    for (at = 0; at + ACROSS <= n; at += ACROSS)                                                   \
        forward_tile(w + r * k, bias ? bias + r : NULL, values, x, rows, k, stride, at,            \
            ACROSS / WIDTH, y + r * stride);                                                       \
    for (; at < n; at += WIDTH)                                                                    \
    forward_tile(                                                                                  \
        w + r * k, bias ? bias + r : NULL, values, x, rows, k, stride, at, 1, y + r * stride)
    IN_TILES(r, m, ROWS, FORWARD_ROWS)
}

INLINE void inputs_tile(const double *w, double *adjoints, const uint32_t *x, size_t columns,
    size_t m, size_t k, size_t stride, size_t at, size_t wide, const double *g) {
    part sum[ROWS][ACROSS / WIDTH];
    EACH(j, columns) EACH(v, wide) sum[j][v] = load(adjoints + x[j] * stride + at + v * WIDTH);
    for (size_t r = 0; r < m; r++) {
        part in[ACROSS / WIDTH];
        EACH(v, wide) in[v] = load(g + r * stride + at + v * WIDTH);
        EACH(j, columns) EACH(v, wide) sum[j][v] += w[r * k + j] * in[v];
    }
    EACH(j, columns) EACH(v, wide) store(adjoints + x[j] * stride + at + v * WIDTH, sum[j][v]);
}

static void layer_inputs(const double *w, double *adjoints, const uint32_t *x, size_t m, size_t k,
    size_t stride, size_t n, const double *g) {
    size_t at;
#define INPUTS_COLUMNS(columns)                                                                    \
    for (at = 0; at + ACROSS <= n; at += ACROSS)                                                   \
        inputs_tile(w + j, adjoints, x + j, columns, m, k, stride, at, ACROSS / WIDTH, g);         \
    for (; at < n; at += WIDTH) inputs_tile(w + j, adjoints, x + j, columns, m, k, stride, at, 1, g)
    IN_TILES(j, k, ROWS, INPUTS_COLUMNS)
}

/* Products of samples [at, at + LANES), of which the first n exist, into one sum per lane. */
INLINE void weights_add(part sum[ROWS][COLUMNS][PARTS], const double *values, const uint32_t *x,
    size_t rows, size_t columns, size_t stride, size_t at, const double *g) {
    EACH(p, PARTS) {
        part in[COLUMNS];
        EACH(j, columns) in[j] = load(values + x[j] * stride + at + p * WIDTH);
        EACH(r, rows)
        EACH(j, columns) sum[r][j][p] += load(g + r * stride + at + p * WIDTH) * in[j];
    }
}

INLINE void weights_rest(part sum[ROWS][COLUMNS][PARTS], const double *values, const uint32_t *x,
    size_t rows, size_t columns, size_t stride, size_t at, size_t n, const double *g) {
    EACH(p, PARTS) {
        const size_t from = at + p * WIDTH, left = n > from ? n - from : 0;
        EACH(r, rows)
        EACH(j, columns)
        sum[r][j][p] += masked(load(g + r * stride + from), left) *
                        masked(load(values + x[j] * stride + from), left);
    }
}

/* Products of all samples of all layers that have these weights, from row r and column j on. */
INLINE void weights_tile(double *dw, const LayerRows *from, const LayerUse *uses, size_t n_uses,
    size_t r, size_t j, size_t rows, size_t columns, size_t k, size_t n) {
    const size_t stride = from->stride;
    part sum[ROWS][COLUMNS][PARTS];
    EACH(i, rows) EACH(c, columns) EACH(p, PARTS) sum[i][c][p] = all(0.0);
    for (const LayerUse *use = uses; use < uses + n_uses; use++) {
        const uint32_t *x = from->lists + use->list + j;
        const double *g = from->adjoints + (use->dy + r) * stride;
        size_t at = 0;
        for (; at + LANES <= n; at += LANES)
            weights_add(sum, from->values, x, rows, columns, stride, at, g);
        if (at < n) weights_rest(sum, from->values, x, rows, columns, stride, at, n, g);
    }
    dw += r * k + j;
    if (columns == 4) {
        EACH(i, rows)
        *(quad *)(dw + i * k) += folded_four(sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
    } else if (rows == 4 && columns == 1) {
        const quad of_rows = folded_four(sum[0][0], sum[1][0], sum[2][0], sum[3][0]);
        EACH(i, rows) dw[i * k] += of_rows[i];
    } else EACH(i, rows) EACH(c, columns) dw[i * k + c] += folded_parts(sum[i][c]);
}

static double sum_lanes(size_t n, const double *a) {
    part sum[PARTS] = {{0}};
    size_t at = 0;
    for (; at + LANES <= n; at += LANES) EACH(p, PARTS) sum[p] += load(a + at + p * WIDTH);
    if (at < n) { /* nothing is read behind them: gradients are no padded rows */
        double rest[LANES] = {0};
        for (size_t i = at; i < n; i++) rest[i - at] = a[i];
        EACH(p, PARTS) sum[p] += load(rest + p * WIDTH);
    }
    return folded_parts(sum);
}

static void layer_biases(double *dbias, size_t m, size_t stride, size_t n, const double *g) {
    for (size_t r = 0; r < m; r++) dbias[r] += sum_lanes(n, g + r * stride);
}

static void layer_weights(double *dw, const LayerRows *from, const LayerUse *uses, size_t n_uses,
    size_t begin, size_t end, size_t k, size_t n) {
#define WEIGHTS_COLUMNS(columns) weights_tile(dw, from, uses, n_uses, r, j, ROWS, columns, k, n)
#define WEIGHTS_COLUMNS_ONE(columns) weights_tile(dw, from, uses, n_uses, r, j, 1, columns, k, n)
    size_t r = begin;
    for (; r + ROWS <= end; r += ROWS) IN_TILES(j, k, COLUMNS, WEIGHTS_COLUMNS)
    for (; r < end; r++) IN_TILES(j, k, COLUMNS, WEIGHTS_COLUMNS_ONE)
}

/* The same by the rule. */
RARE void layer_weights_again(double *dw, const LayerRows *from, const LayerUse *uses,
    size_t n_uses, size_t begin, size_t end, size_t k, size_t n) {
    for (size_t i = begin * k; i < end * k; i++) {
        double sum[LANES] = {0};
        for (const LayerUse *use = uses; use < uses + n_uses; use++) {
            const double *x = from->values + from->lists[use->list + i % k] * from->stride;
            const double *g = from->adjoints + (use->dy + i / k) * from->stride;
            for (size_t s = 0; s < n; s++) sum[s % LANES] += op_product(x[s], g[s]);
        }
        dw[i] += folded(sum);
    }
}

/* ---- what dots in no layer are made of ---- */

static void multiply_add(
    size_t n, const double *restrict a, const double *restrict b, double *restrict y) {
    for (size_t i = 0; i < n; i++) y[i] += a[i] * b[i];
}

static void scale_add(size_t n, double a, const double *restrict b, double *restrict y) {
    for (size_t i = 0; i < n; i++) y[i] += a * b[i];
}

static void multiply_tangent(size_t n, const double *restrict a, const double *restrict ta,
    const double *restrict b, const double *restrict tb, double *restrict t) {
    for (size_t i = 0; i < n; i++) t[i] += tangent_term(b[i], ta[i]) + tangent_term(a[i], tb[i]);
}

static void scale_tangent(size_t n, double a, double ta, const double *restrict b,
    const double *restrict tb, double *restrict t) {
    for (size_t i = 0; i < n; i++) t[i] += tangent_term(b[i], ta) + tangent_term(a, tb[i]);
}

/* ---- draws ---- */

/* philox() for one sample after another: what it loops over, written so that loops are vectors. */
static void draw(const DrawPair *pair, size_t n, double *restrict first, double *restrict second) {
    const int64_t threshold = pair->threshold;
    const double scale = pair->scale;
    EACH_SAMPLE(i, n) {
        uint32_t words[4] = {pair->pair, pair->sample + (uint32_t)i, (uint32_t)pair->call,
            (uint32_t)(pair->call >> 32)};
        philox(words, pair->seed);
        first[i] = philox_bits(words[0], words[1]) >= threshold ? scale : 0.0;
        second[i] = philox_bits(words[2], words[3]) >= threshold ? scale : 0.0;
    }
}

static double dot_lanes(size_t n, const double *a, const double *b) {
    part sum[PARTS] = {{0}};
    size_t at = 0;
    for (; at + LANES <= n; at += LANES)
        EACH(p, PARTS) sum[p] += load(a + at + p * WIDTH) * load(b + at + p * WIDTH);
    if (at < n) EACH(p, PARTS) {
            const size_t from = at + p * WIDTH, left = n > from ? n - from : 0;
            sum[p] += masked(load(a + from), left) * masked(load(b + from), left);
        }
    return folded_parts(sum);
}

/* Several pairs of rows: what they add up to stays in registers. */
INLINE void pairs_tile(const double *values, const uint32_t *pairs, size_t k, size_t stride,
    size_t at, size_t wide, double *y) {
    part sum[ACROSS / WIDTH];
    EACH(v, wide) sum[v] = load(y + at + v * WIDTH);
    for (const uint32_t *pair = pairs; pair < pairs + 2 * k; pair += 2) {
        const double *a = values + pair[0] * stride + at, *b = values + pair[1] * stride + at;
        EACH(v, wide) sum[v] += load(a + v * WIDTH) * load(b + v * WIDTH);
    }
    EACH(v, wide) store(y + at + v * WIDTH, sum[v]);
}

static void dot_forward(
    const double *values, const uint32_t *pairs, size_t k, size_t stride, size_t n, double *y) {
    size_t at = 0;
    for (; at + ACROSS <= n; at += ACROSS)
        pairs_tile(values, pairs, k, stride, at, ACROSS / WIDTH, y);
    for (; at < n; at += WIDTH) pairs_tile(values, pairs, k, stride, at, 1, y);
}

/* The last pair first, and a row that is there twice one after another. */
INLINE void pairs_back(const double *values, double *adjoints, const uint32_t *pairs,
    const uint32_t *to, size_t k, size_t stride, size_t at, size_t wide, const double *g) {
    part by[ACROSS / WIDTH];
    EACH(v, wide) by[v] = load(g + at + v * WIDTH);
    for (size_t t = 2 * k; t > 0;) {
        t -= 2;
        const double *a = values + pairs[t] * stride + at, *b = values + pairs[t + 1] * stride + at;
        double *da = adjoints + to[t] * stride + at, *db = adjoints + to[t + 1] * stride + at;
        EACH(v, wide) {
            store(da + v * WIDTH, load(da + v * WIDTH) + load(b + v * WIDTH) * by[v]);
            store(db + v * WIDTH, load(db + v * WIDTH) + load(a + v * WIDTH) * by[v]);
        }
    }
}

static void dot_reverse(const double *values, double *adjoints, const uint32_t *pairs,
    const uint32_t *to, size_t k, size_t stride, size_t n, const double *g) {
    size_t at = 0;
    for (; at + ACROSS <= n; at += ACROSS)
        pairs_back(values, adjoints, pairs, to, k, stride, at, ACROSS / WIDTH, g);
    for (; at < n; at += WIDTH) pairs_back(values, adjoints, pairs, to, k, stride, at, 1, g);
}

/* The three of them for partials a and adjoints b, by the rule. */
RARE void multiply_add_again(
    size_t n, const double *restrict a, const double *restrict b, double *restrict y) {
    for (size_t i = 0; i < n; i++) y[i] += op_product(a[i], b[i]);
}

RARE void scale_add_again(size_t n, double a, const double *restrict b, double *restrict y) {
    for (size_t i = 0; i < n; i++) y[i] += op_product(a, b[i]);
}

RARE double dot_again(size_t n, const double *a, const double *b) {
    double sum[LANES] = {0};
    for (size_t s = 0; s < n; s++) sum[s % LANES] += op_product(a[s], b[s]);
    return folded(sum);
}

#if !defined(__wasi__) /* a page replays single samples operation by operation */
#include "tape/kernels/groups.h"
#endif

#define FORWARD_ENTRY(name, code, arity) [code] = name##_forward,
#define REVERSE_ENTRY(name, code, arity) [code] = name##_reverse,
#define AGAIN_ENTRY(name, code, arity)                                                             \
    [code] = op_##name##_is_light ? name##_again : name##_reverse,
#define FORWARD_BROADCAST_ENTRY(name, code, arity) [code] = name##_forward_broadcast,
#define REVERSE_BROADCAST_ENTRY(name, code, arity) [code] = name##_reverse_broadcast,
#define AGAIN_BROADCAST_ENTRY(name, code, arity)                                                   \
    [code] = op_##name##_is_light ? name##_again_broadcast : name##_reverse_broadcast,
#define TANGENT_ENTRY(name, code, arity) [code] = name##_tangent,
#define TANGENT_BROADCAST_ENTRY(name, code, arity) [code] = name##_tangent_broadcast,

const Kernels KERNELS = {
    .name = LEVEL,
    .forward = {OP_EACH(FORWARD_ENTRY)},
    .forward_broadcast = {OP_EACH_BROADCAST(FORWARD_BROADCAST_ENTRY)},
    .tangent = {OP_EACH(TANGENT_ENTRY)},
    .tangent_broadcast = {OP_EACH_BROADCAST(TANGENT_BROADCAST_ENTRY)},
    .multiply_tangent = multiply_tangent,
    .scale_tangent = scale_tangent,
    .layer_forward = layer_forward,
    .layer_inputs = layer_inputs,
    .layer_biases = layer_biases,
    .sum = sum_lanes,
    .draw = draw,
    .dot_forward = dot_forward,
    .dot_reverse = dot_reverse,
#if !defined(__wasi__)
    .group_step = group_step,
    .pull_step = pull_step,
#endif
    .products = {{.reverse = {OP_EACH(REVERSE_ENTRY)},
                     .reverse_broadcast = {OP_EACH_BROADCAST(REVERSE_BROADCAST_ENTRY)},
                     .multiply_add = multiply_add,
                     .scale_add = scale_add,
                     .dot = dot_lanes,
                     .layer_weights = layer_weights},
        {.reverse = {OP_EACH(AGAIN_ENTRY)},
            .reverse_broadcast = {OP_EACH_BROADCAST(AGAIN_BROADCAST_ENTRY)},
            .multiply_add = multiply_add_again,
            .scale_add = scale_add_again,
            .dot = dot_again,
            .layer_weights = layer_weights_again}},
};
