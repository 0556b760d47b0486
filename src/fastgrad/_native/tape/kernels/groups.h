/* Kernels of groups: lanes are values of one sample. Included by kernels.h, once for each level.
 * Where lanes are no whole number of parts, the last part begins earlier and does some of them
 * again; where they are fewer than a part they run one by one, sums as a part of which the rest is
 * dropped: gathers have an index for each lane of it, runs read what is behind them. */
#include "tape/groups.h"

enum {
    MOST = 8,
    ROW = 128
}; /* parts in a tile of registers; lanes at a time for the table's loops */

INLINE part gather(const double *p, const uint32_t *i) {
    part x = {0};
    EACH(l, WIDTH) x[l] = p[i[l]];
    return x;
}

INLINE part ref_part(Ref r, const double *p, const uint32_t *pool, size_t i) {
    if (r.mode == REF_RUN) return load(p + r.at + i);
    if (r.mode == REF_ONE) return all(p[r.at]);
    return gather(p, pool + r.at + i);
}

INLINE double ref_lane(Ref r, const double *p, const uint32_t *pool, size_t i) {
    return p[r.mode == REF_RUN ? r.at + i : r.mode == REF_ONE ? r.at : pool[r.at + i]];
}

/* Calls PART(i) for parts of n lanes from `at` on, or LANE(i) where all are fewer than one. */
#define IN_PARTS(at, n, PART, LANE)                                                                \
    for (; at + WIDTH <= (n); at += WIDTH) { PART(at); }                                           \
    if (at < (n) && (n) >= WIDTH) {                                                                \
        PART((n) - WIDTH);                                                                         \
    } else                                                                                         \
        for (; at < (n); at++) { LANE(at); }
/* The same with TILE(i, parts) for several parts, whose sums are in registers at the same time, and
 * FEW(n) where all lanes are fewer than a part. */
#define IN_TILES_OF_PARTS(n, TILE, FEW)                                                            \
    size_t at = 0;                                                                                 \
    for (; at + MOST * WIDTH <= (n); at += MOST * WIDTH) TILE(at, MOST);                           \
    for (; at + 2 * WIDTH <= (n); at += 2 * WIDTH) TILE(at, 2);                                    \
    for (; at + WIDTH <= (n); at += WIDTH) TILE(at, 1);                                            \
    if (at < (n) && (n) >= WIDTH) TILE((n) - WIDTH, 1);                                            \
    else if (at < (n)) FEW(n);

/* ---- operations ---- */

#define MAP_PART_ADD(i) store(y + (i), ref_part(a, v, pool, i) + ref_part(b, v, pool, i))
#define MAP_LANE_ADD(i) y[i] = ref_lane(a, v, pool, i) + ref_lane(b, v, pool, i)
#define MAP_PART_MUL(i) store(y + (i), ref_part(a, v, pool, i) * ref_part(b, v, pool, i))
#define MAP_LANE_MUL(i) y[i] = ref_lane(a, v, pool, i) * ref_lane(b, v, pool, i)
#define MAP_MODES(a_mode, b_mode, name)                                                            \
    {                                                                                              \
        const Ref a = {s->a.at, a_mode}, b = {s->b.at, b_mode};                                    \
        size_t at = 0;                                                                             \
        IN_PARTS(at, s->n, MAP_PART_##name, MAP_LANE_##name)                                       \
        break;                                                                                     \
    }
/* Add and mul do not care which operand is which: the modes of a and b come in order. */
#define MAP(name)                                                                                  \
    switch (3 * s->a.mode + s->b.mode) {                                                           \
    case 3 * REF_RUN + REF_RUN: MAP_MODES(REF_RUN, REF_RUN, name)                                  \
    case 3 * REF_RUN + REF_ONE: MAP_MODES(REF_RUN, REF_ONE, name)                                  \
    case 3 * REF_RUN + REF_GATHER: MAP_MODES(REF_RUN, REF_GATHER, name)                            \
    case 3 * REF_ONE + REF_GATHER: MAP_MODES(REF_ONE, REF_GATHER, name)                            \
    case 3 * REF_GATHER + REF_GATHER: MAP_MODES(REF_GATHER, REF_GATHER, name)                      \
    default: MAP_MODES(REF_ONE, REF_ONE, name)                                                     \
    }

static void map_add(const GroupStep *s, const uint32_t *pool, const double *v, double *y) {
    MAP(ADD)
}
static void map_mul(const GroupStep *s, const uint32_t *pool, const double *v, double *y){MAP(MUL)}

/* The next of n lanes for the table's loops, which want whole LANES: how many from *at on. */
INLINE size_t row_next(size_t n, size_t *at) {
    const size_t left = n - *at;
    if (left >= ROW) return ROW;
    if (left >= LANES) return left - left % LANES;
    if (n < LANES) return left;
    *at = n - LANES;
    return LANES;
}

INLINE size_t whole(size_t n) { return (n + LANES - 1) / LANES * LANES; }

/* Lanes [at, at + n) of an operand, and some more to make whole LANES, side by side: in `to` if
 * they do not lie so. */
INLINE const double *ref_row(
    Ref r, const double *p, const uint32_t *pool, size_t at, size_t n, double *to) {
    if (r.mode == REF_RUN) return p + r.at + at;
    if (r.mode == REF_ONE)
        for (size_t i = 0; i < whole(n); i++) to[i] = p[r.at];
    else
        for (size_t i = 0; i < whole(n); i++) to[i] = p[pool[r.at + at + i]];
    return to;
}

static void map_row(const GroupStep *s, const uint32_t *pool, const double *v, double *y) {
    const int is_unary = s->a.at == s->b.at && s->a.mode == s->b.mode;
    const int is_broadcast = s->b.mode == REF_ONE && KERNELS.forward_broadcast[s->op];
    double of_a[ROW], of_b[ROW], of_y[LANES];
    for (size_t at = 0, n; at < s->n; at += n) {
        n = row_next(s->n, &at);
        double *to = n < LANES ? of_y : y + at;
        const double *a = ref_row(s->a, v, pool, at, n, of_a), *b = a;
        if (!is_unary) b = ref_row(s->b, v, pool, at, n, of_b);
        if (is_broadcast) KERNELS.forward_broadcast[s->op](whole(n), a, v[s->b.at], to);
        else KERNELS.forward[s->op](whole(n), a, b, to);
        if (n < LANES) memcpy(y + at, of_y, n * sizeof *y);
    }
}

/* ---- sums ---- */

INLINE void store_few(double *y, size_t n, part x) {
    double made[WIDTH];
    store(made, x);
    for (size_t i = 0; i < n; i++) y[i] = made[i];
}

/* Adds k products, or terms, of some parts of lanes. */
INLINE void sums_add(const Ref *t, uint32_t k, int of_products, const uint32_t *pool,
    const double *v, size_t at, size_t parts, part *sum) {
    if (!of_products) {
        for (uint32_t j = 0; j < k; j++)
            EACH(q, parts) sum[q] += ref_part(t[j], v, pool, at + q * WIDTH);
    } else
        for (uint32_t j = 0; j < k; j++) {
            const Ref w = t[2 * j], x = t[1 + 2 * j];
            if (x.mode == REF_ONE && w.mode == REF_RUN) {
                const part by = all(v[x.at]);
                EACH(q, parts) sum[q] += load(v + w.at + at + q * WIDTH) * by;
            } else EACH(q, parts)
            sum[q] += ref_part(w, v, pool, at + q * WIDTH) * ref_part(x, v, pool, at + q * WIDTH);
        }
}

INLINE void sums_of(const GroupStep *s, const Ref *t, const uint32_t *pool, const double *v,
    size_t at, size_t parts, part *sum) {
    EACH(q, parts) sum[q] = ref_part(t[0], v, pool, at + q * WIDTH);
    sums_add(t + 1, s->k, s->op == OP_DOT, pool, v, at, parts, sum);
}

INLINE void sums_tile(const GroupStep *s, const Ref *t, const uint32_t *pool, const double *v,
    double *y, size_t at, size_t parts) {
    part sum[MOST];
    sums_of(s, t, pool, v, at, parts, sum);
    EACH(q, parts) store(y + at + q * WIDTH, sum[q]);
}

static void sums_few(
    const GroupStep *s, const Ref *t, const uint32_t *pool, const double *v, double *y) {
    part sum;
    sums_of(s, t, pool, v, 0, 1, &sum);
    store_few(y, s->n, sum);
}

static void map_sums(
    const GroupStep *s, const Ref *t, const uint32_t *pool, const double *v, double *y){
#define SUMS_TILE(i, parts) sums_tile(s, t, pool, v, y, i, parts)
#define SUMS_FEW(n) sums_few(s, t, pool, v, y)
    IN_TILES_OF_PARTS(s -> n, SUMS_TILE, SUMS_FEW)}

/* ---- layers ---- */

/* Exchanges the off-diagonal blocks of rows i and i + step: all of them transpose a square. */
#if WIDTH == 8
#define EXCHANGE_1(a, b)                                                                           \
    SHUFFLED(a, b, 0, 8, 2, 10, 4, 12, 6, 14), SHUFFLED(a, b, 1, 9, 3, 11, 5, 13, 7, 15)
#define EXCHANGE_2(a, b)                                                                           \
    SHUFFLED(a, b, 0, 1, 8, 9, 4, 5, 12, 13), SHUFFLED(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define EXCHANGE_4(a, b)                                                                           \
    SHUFFLED(a, b, 0, 1, 2, 3, 8, 9, 10, 11), SHUFFLED(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#elif WIDTH == 4
#define EXCHANGE_1(a, b) SHUFFLED(a, b, 0, 4, 2, 6), SHUFFLED(a, b, 1, 5, 3, 7)
#define EXCHANGE_2(a, b) SHUFFLED(a, b, 0, 1, 4, 5), SHUFFLED(a, b, 2, 3, 6, 7)
#else
#define EXCHANGE_1(a, b) SHUFFLED(a, b, 0, 2), SHUFFLED(a, b, 1, 3)
#endif
#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#define EXCHANGE(step)                                                                             \
    do {                                                                                           \
        EACH(i, WIDTH) if (!(i & step)) {                                                          \
            const part both[2] = {EXCHANGE_##step(r[i], r[i + step])};                             \
            r[i] = both[0];                                                                        \
            r[i + step] = both[1];                                                                 \
        }                                                                                          \
    } while (0)

INLINE void transpose(part *r) {
    EXCHANGE(1);
#if WIDTH > 2
    EXCHANGE(2);
#endif
#if WIDTH > 4
    EXCHANGE(4);
#endif
}

/* A part of a layer's sums: WIDTH rows of weights, as columns, times inputs. */
INLINE part layer_part(const GroupStep *s, const Ref *t, const uint32_t *pool, const double *v,
    const double *x, size_t at) {
    const uint32_t *rows = pool + s->a.at + at;
    const size_t k = s->c.at;
    part sum = ref_part(t[0], v, pool, at);
    size_t j = 0;
    for (; j + WIDTH <= k; j += WIDTH) {
        part r[WIDTH];
        EACH(l, WIDTH) r[l] = load(v + rows[l] + j);
        transpose(r);
        EACH(l, WIDTH) sum += r[l] * all(x[j + l]);
    }
    for (; j < k; j++) {
        part w = {0};
        EACH(l, WIDTH) w[l] = v[rows[l] + j];
        sum += w * all(x[j]);
    }
    sums_add(t + 1, s->k, 1, pool, v, at, 1, &sum);
    return sum;
}

static void map_layer(
    const GroupStep *s, const Ref *t, const uint32_t *pool, const double *v, double *y) {
    const size_t n = s->n;
    double inputs[LAYER_MOST];
    const double *x = v + s->b.at;
    if (s->b.mode != REF_RUN) {
        for (size_t j = 0; j < s->c.at; j++) inputs[j] = ref_lane(s->b, v, pool, j);
        x = inputs;
    }
    size_t at = 0;
    for (; at + WIDTH <= n; at += WIDTH) store(y + at, layer_part(s, t, pool, v, x, at));
    if (at == n) return;
    at = n < WIDTH ? 0 : n - WIDTH;
    store_few(y + at, n - at, layer_part(s, t, pool, v, x, at));
}

/* One sum of products: these in parts, the additions one by one. */
static double sum_along(double sum, size_t k, Ref b, const double *of_b, Ref c, const double *of_c,
    const uint32_t *pool) {
    double t[ROW];
    for (size_t at = 0; at < k; at += ROW) {
        const size_t n = k - at < ROW ? k - at : ROW;
        size_t i = 0;
        for (; i + WIDTH <= n; i += WIDTH)
            store(t + i, ref_part(b, of_b, pool, at + i) * ref_part(c, of_c, pool, at + i));
        for (; i < n; i++) t[i] = ref_lane(b, of_b, pool, at + i) * ref_lane(c, of_c, pool, at + i);
        for (i = 0; i < n; i++) sum += t[i];
    }
    return sum;
}

static double sum_plain(double sum, size_t k, Ref b, const double *of_b, const uint32_t *pool) {
    if (b.mode == REF_RUN)
        for (size_t i = 0; i < k; i++) sum += of_b[b.at + i];
    else
        for (size_t i = 0; i < k; i++) sum += ref_lane(b, of_b, pool, i);
    return sum;
}

static void group_step(const GroupStep *s, const Groups *groups, double *v) {
    const uint32_t *pool = groups->pool;
    double *y = v + s->y;
    if (s->form == GROUP_SUMS) map_sums(s, groups->terms + s->list, pool, v, y);
    else if (s->form == GROUP_LAYER) map_layer(s, groups->terms + s->list, pool, v, y);
    else if (s->form == GROUP_ALONG)
        *y = s->op == OP_DOT ? sum_along(v[s->a.at], s->k, s->b, v, s->c, v, pool)
                             : sum_plain(v[s->a.at], s->k, s->b, v, pool);
    else if (s->op == OP_ADD) map_add(s, pool, v, y);
    else if (s->op == OP_MUL) map_mul(s, pool, v, y);
    else map_row(s, pool, v, y);
}

/* ---- adjoints ---- */

INLINE void ref_store(Ref y, const uint32_t *pool, double *d, size_t i, part x) {
    if (y.mode == REF_RUN) store(d + y.at + i, x);
    else EACH(l, WIDTH) d[pool[y.at + i + l]] = x[l];
}

INLINE double *ref_at(Ref y, const uint32_t *pool, double *d, size_t i) {
    return d + (y.mode == REF_RUN ? y.at + i : pool[y.at + i]);
}

INLINE void pull_sums(const PullStep *s, const GroupUse *u, const uint32_t *pool, const double *v,
    const double *d, size_t at, size_t parts, part *sum) {
    EACH(q, parts) sum[q] = all(0.0);
    for (const GroupUse *end = u + s->k; u < end; u++) {
        if (u->kind == USE_ADD) EACH(q, parts) sum[q] += ref_part(u->g, d, pool, at + q * WIDTH);
        else if (u->v.mode == REF_RUN && u->g.mode == REF_RUN) EACH(q, parts)
        sum[q] += load(v + u->v.at + at + q * WIDTH) * load(d + u->g.at + at + q * WIDTH);
        else if (u->v.mode == REF_RUN && u->g.mode == REF_ONE) {
            const part g = all(d[u->g.at]);
            EACH(q, parts) sum[q] += load(v + u->v.at + at + q * WIDTH) * g;
        }
        else EACH(q, parts) sum[q] += ref_part(u->v, v, pool, at + q * WIDTH) *
                                      ref_part(u->g, d, pool, at + q * WIDTH);
    }
}

INLINE void pull_tile(const PullStep *s, const GroupUse *u, const uint32_t *pool, const double *v,
    double *d, size_t at, size_t parts) {
    part sum[MOST];
    pull_sums(s, u, pool, v, d, at, parts, sum);
    EACH(q, parts) ref_store(s->y, pool, d, at + q * WIDTH, sum[q]);
}

static void pull_few(
    const PullStep *s, const GroupUse *u, const uint32_t *pool, const double *v, double *d) {
    part sum;
    double made[WIDTH];
    pull_sums(s, u, pool, v, d, 0, 1, &sum);
    store(made, sum);
    for (size_t i = 0; i < s->n; i++) *ref_at(s->y, pool, d, i) = made[i];
}

static void pull_group(
    const PullStep *s, const GroupUse *u, const uint32_t *pool, const double *v, double *d) {
#define PULL_TILE(i, parts) pull_tile(s, u, pool, v, d, i, parts)
#define PULL_FEW(n) pull_few(s, u, pool, v, d)
    IN_TILES_OF_PARTS(s->n, PULL_TILE, PULL_FEW)
}

/* Adds what a user contributes to n lanes, by the table's loops. */
static void pull_use(const GroupUse *u, const uint32_t *pool, const double *v, const double *d,
    size_t at, size_t n, double *sum) {
    double of_g[ROW], of_a[ROW], of_b[ROW], of_y[ROW], other[ROW];
    const double *g = ref_row(u->g, d, pool, at, n, of_g);
    n = whole(n);
    if (u->kind == USE_ADD) {
        for (size_t i = 0; i < n; i++) sum[i] += g[i];
        return;
    }
    const double *a = ref_row(u->v, v, pool, at, n, of_a);
    if (u->kind == USE_MUL) {
        multiply_add(n, a, g, sum);
        return;
    }
    const double *y = ref_row(u->y, v, pool, at, n, of_y);
    const Products *products = &KERNELS.products[0];
    if (u->kind == USE_SLOPE_A && u->b.mode == REF_ONE && products->reverse_broadcast[u->op]) {
        products->reverse_broadcast[u->op](n, a, v[u->b.at], y, g, sum);
        return;
    }
    const double *b = a;
    if (op_is_binary(u->op) || op_has_parameter(u->op)) {
        memset(other, 0, n * sizeof *other);
        b = ref_row(u->b, v, pool, at, n, of_b);
    }
    if (u->kind == USE_SLOPE_A) products->reverse[u->op](n, a, b, y, g, sum, other);
    else products->reverse[u->op](n, a, b, y, g, other, sum);
}

static void pull_rows(
    const PullStep *s, const GroupUse *uses, const uint32_t *pool, const double *v, double *d) {
    double sum[ROW];
    for (size_t at = 0, n; at < s->n; at += n) {
        n = row_next(s->n, &at);
        memset(sum, 0, whole(n) * sizeof *sum);
        for (uint32_t j = 0; j < s->k; j++) pull_use(uses + j, pool, v, d, at, n, sum);
        for (size_t i = 0; i < n; i++) *ref_at(s->y, pool, d, at + i) = sum[i];
    }
}

static void pull_slice(const PullStep *s, const uint32_t *pool, const double *v, double *d) {
    const uint32_t *x = pool + s->uses;
    part sum[PARTS];
    double made[LANES];
    EACH(p, PARTS) sum[p] = all(0.0);
    for (uint32_t j = 0; j < s->k; j++, x += 2 * LANES)
        EACH(p, PARTS) sum[p] += gather(v, x + p * WIDTH) * gather(d, x + LANES + p * WIDTH);
    EACH(p, PARTS) store(made + p * WIDTH, sum[p]);
    for (size_t i = 0; i < s->n; i++) *ref_at(s->y, pool, d, i) = made[i];
}

static void pull_step(const PullStep *s, const Pulls *pulls, const double *v, double *d) {
    const GroupUse *u = pulls->uses + s->uses;
    if (s->form == PULL_SLICE) pull_slice(s, pulls->pool, v, d);
    else if (s->form == PULL_ALONG)
        *ref_at(s->y, pulls->pool, d, 0) = sum_along(0.0, s->k, u->v, v, u->g, d, pulls->pool);
    else if (s->has_slopes) pull_rows(s, u, pulls->pool, v, d);
    else pull_group(s, u, pulls->pool, v, d);
}
