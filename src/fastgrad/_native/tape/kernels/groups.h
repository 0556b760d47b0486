/* Kernels of groups: lanes are values of one sample. Included by kernels.h, once for each level.
 * Where lanes are no whole number of parts, the last part begins earlier and does some of them
 * again; where they are fewer than a part they run one by one. */
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
/* The same with TILE(i, parts) for several parts, whose sums are in registers at the same time. */
#define IN_TILES_OF_PARTS(n, TILE, LANE)                                                           \
    size_t at = 0;                                                                                 \
    for (; at + MOST * WIDTH <= (n); at += MOST * WIDTH) TILE(at, MOST);                           \
    for (; at + 2 * WIDTH <= (n); at += 2 * WIDTH) TILE(at, 2);                                    \
    IN_PARTS(at, n, TILE##_OF_ONE, LANE)

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

/* Lanes [at, at + n) of an operand, side by side, in `to` if they do not lie so; filled up to
 * LANES. */
INLINE const double *ref_row(
    Ref r, const double *p, const uint32_t *pool, size_t at, size_t n, double *to) {
    if (r.mode == REF_RUN && n % LANES == 0) return p + r.at + at;
    for (size_t i = 0; i < n; i++) to[i] = ref_lane(r, p, pool, at + i);
    for (size_t i = n; i % LANES; i++) to[i] = to[0];
    return to;
}

static void map_row(const GroupStep *s, const uint32_t *pool, const double *v, double *y) {
    const int is_unary = s->a.at == s->b.at && s->a.mode == s->b.mode;
    const int is_broadcast = s->b.mode == REF_ONE && KERNELS.forward_broadcast[s->op];
    double of_a[ROW], of_b[ROW], of_y[LANES];
    for (size_t at = 0, n; at < s->n; at += n) {
        n = row_next(s->n, &at);
        const size_t whole = (n + LANES - 1) / LANES * LANES;
        double *to = n < LANES ? of_y : y + at;
        const double *a = ref_row(s->a, v, pool, at, n, of_a), *b = a;
        if (!is_unary) b = ref_row(s->b, v, pool, at, n, of_b);
        if (is_broadcast) KERNELS.forward_broadcast[s->op](whole, a, v[s->b.at], to);
        else KERNELS.forward[s->op](whole, a, b, to);
        if (n < LANES) memcpy(y + at, of_y, n * sizeof *y);
    }
}

/* ---- sums ---- */

INLINE void sums_tile(const GroupStep *s, const Ref *t, const uint32_t *pool, const double *v,
    double *y, size_t at, size_t parts) {
    part sum[MOST];
    EACH(q, parts) sum[q] = ref_part(t[0], v, pool, at + q * WIDTH);
    if (s->op != OP_DOT) {
        for (uint32_t j = 1; j <= s->k; j++)
            EACH(q, parts) sum[q] += ref_part(t[j], v, pool, at + q * WIDTH);
    } else
        for (uint32_t j = 0; j < s->k; j++) {
            const Ref w = t[1 + 2 * j], x = t[2 + 2 * j];
            if (x.mode == REF_ONE && w.mode == REF_RUN) {
                const part by = all(v[x.at]);
                EACH(q, parts) sum[q] += load(v + w.at + at + q * WIDTH) * by;
            } else EACH(q, parts)
            sum[q] += ref_part(w, v, pool, at + q * WIDTH) * ref_part(x, v, pool, at + q * WIDTH);
        }
    EACH(q, parts) store(y + at + q * WIDTH, sum[q]);
}

RARE double sums_lane(
    const GroupStep *s, const Ref *t, const uint32_t *pool, const double *v, size_t i) {
    double sum = ref_lane(t[0], v, pool, i);
    for (uint32_t j = 0; j < s->k; j++)
        if (s->op == OP_DOT)
            sum += ref_lane(t[1 + 2 * j], v, pool, i) * ref_lane(t[2 + 2 * j], v, pool, i);
        else sum += ref_lane(t[1 + j], v, pool, i);
    return sum;
}

static void map_sums(
    const GroupStep *s, const Ref *t, const uint32_t *pool, const double *v, double *y) {
#define SUMS_TILE(i, parts) sums_tile(s, t, pool, v, y, i, parts)
#define SUMS_TILE_OF_ONE(i) SUMS_TILE(i, 1)
#define SUMS_LANE(i) y[i] = sums_lane(s, t, pool, v, i)
    IN_TILES_OF_PARTS(s->n, SUMS_TILE, SUMS_LANE)
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

INLINE void pull_tile(const PullStep *s, const GroupUse *u, const uint32_t *pool, const double *v,
    double *d, size_t at, size_t parts) {
    part sum[MOST];
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
    EACH(q, parts) ref_store(s->y, pool, d, at + q * WIDTH, sum[q]);
}

RARE void pull_lane(const PullStep *s, const GroupUse *u, const uint32_t *pool, const double *v,
    double *d, size_t i) {
    double sum = 0.0;
    for (const GroupUse *end = u + s->k; u < end; u++) {
        const double g = ref_lane(u->g, d, pool, i);
        sum += u->kind == USE_ADD ? g : ref_lane(u->v, v, pool, i) * g;
    }
    *ref_at(s->y, pool, d, i) = sum;
}

static void pull_group(
    const PullStep *s, const GroupUse *u, const uint32_t *pool, const double *v, double *d) {
#define PULL_TILE(i, parts) pull_tile(s, u, pool, v, d, i, parts)
#define PULL_TILE_OF_ONE(i) PULL_TILE(i, 1)
#define PULL_LANE(i) pull_lane(s, u, pool, v, d, i)
    IN_TILES_OF_PARTS(s->n, PULL_TILE, PULL_LANE)
}

/* Adds what a user contributes to n lanes, by the table's loops. */
static void pull_use(const GroupUse *u, const uint32_t *pool, const double *v, const double *d,
    size_t at, size_t n, double *sum) {
    double of_g[ROW], of_a[ROW], of_b[ROW], of_y[ROW], other[ROW];
    const size_t whole = (n + LANES - 1) / LANES * LANES;
    const double *g = ref_row(u->g, d, pool, at, n, of_g);
    if (u->kind == USE_ADD) {
        for (size_t i = 0; i < whole; i++) sum[i] += g[i];
        return;
    }
    const double *a = ref_row(u->v, v, pool, at, n, of_a);
    if (u->kind == USE_MUL) {
        multiply_add(whole, a, g, sum);
        return;
    }
    const double *y = ref_row(u->y, v, pool, at, n, of_y);
    const Products *products = &KERNELS.products[0];
    if (u->kind == USE_SLOPE_A && u->b.mode == REF_ONE && products->reverse_broadcast[u->op]) {
        products->reverse_broadcast[u->op](whole, a, v[u->b.at], y, g, sum);
        return;
    }
    memset(other, 0, whole * sizeof *other);
    const double *b = ref_row(u->b, v, pool, at, n, of_b);
    if (u->kind == USE_SLOPE_A) products->reverse[u->op](whole, a, b, y, g, sum, other);
    else products->reverse[u->op](whole, a, b, y, g, other, sum);
}

static void pull_rows(
    const PullStep *s, const GroupUse *uses, const uint32_t *pool, const double *v, double *d) {
    double sum[ROW];
    for (size_t at = 0, n; at < s->n; at += n) {
        n = row_next(s->n, &at);
        memset(sum, 0, sizeof sum);
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
