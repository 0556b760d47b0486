/* The cube root, and the length of a vector. */
#ifndef FASTGRAD_FUNCTIONS_ROOT_H
#define FASTGRAD_FUNCTIONS_ROOT_H

#include "functions/basic.h"

/* x = M 8^k, 1/2 <= M < 4. r is near M^(-1/3), by a polynomial (2^-14) and a step that cubes its
 * error. t = M r^2, cut to 26 bits, has a cube without rounding; what M is more, d < 2^-24 M, gives
 * the rest: M^(1/3) = t + d r^2/3 (1 + d r^3/3 + ...), to 2^-70. No division: 0.501 units. */
FG_INLINE fg_pair fg_cbrt_pair(double a) { /* a > 0 */
    uint64_t subnormal = fg_negative(a - 0x1p-1022);
    uint64_t u = fg_bits(a * fg_select(subnormal, 0x1p54, 1.0));
    double e = fg_from_bits(u >> 52 | 0x4330000000000000u) - 0x1p52; /* 1023 more than it is */
    double n = e * (1.0 / 3.0) + FG_MAGIC, left = e - 3.0 * (n - FG_MAGIC);
    double m = fg_from_bits((u & 0xFFFFFFFFFFFFFu) | 0x3FF0000000000000u), m2 = m * m;
    double r = (FG_CBRT_0 + m * FG_CBRT_1) + m2 * ((FG_CBRT_2 + m * FG_CBRT_3) + m2 * FG_CBRT_4);
    double scale = fg_from_bits(((fg_bits(n) + 682) & 0x7FF) << 52), miss, t, th, tl, d, lo;
    uint64_t minus = fg_negative(left + 0.5), plus = fg_negative(0.5 - left);
    r *= fg_select(minus, FG_CBRT_OF_2, fg_select(plus, 1.0 / FG_CBRT_OF_2, 1.0));
    m *= fg_select(minus, 0.5, fg_select(plus, 2.0, 1.0));
    scale *= fg_select(subnormal, 0x1p-18, 1.0);
    miss = 1.0 - m * (r * r * r);
    r += r * (miss * (1.0 / 3.0 + miss * (2.0 / 9.0)));
    t = fg_top(m * (r * r)), th = fg_top(t * t), tl = t * t - th;
    d = (m - th * t) - tl * t;
    lo = d * (r * r) * (1.0 / 3.0);
    lo += lo * (d * (r * r * r) * (1.0 / 3.0));
    return fg_pair_of(t * scale, lo * scale);
}

FG_INLINE double fg_cbrt_text(double x) {
    double a = fg_size(x);
    fg_pair p = fg_cbrt_pair(a);
    double y = a > 0.0 ? fg_with_sign(p.hi + p.lo, x) : x;
    return a < fg_inf() ? y : x;
}

/* Its derivative, y / (3 x), of x in the middle of the range: 0.51 units. */
FG_INLINE double fg_cbrt_slope_text(double x) {
    double a = fg_size(x), s, y;
    uint64_t tiny = fg_negative(a - 0x1p-900), huge = fg_negative(0x1p900 - a);
    fg_pair p, q;
    s = a * fg_select(tiny, 0x1p300, fg_select(huge, 0x1p-300, 1.0)), p = fg_cbrt_pair(s);
    q = fg_quotient(p.hi + p.lo, p, 0.0, fg_fast_sum(2.0 * s, s));
    y = (q.hi + q.lo) * fg_select(tiny, 0x1p200, fg_select(huge, 0x1p-200, 1.0));
    y = a > 0.0 ? y : fg_inf();
    return a < HUGE_VAL ? y : 1.0 / a; /* nan comes here */
}

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
FG_FUNCTION double fg_cbrt(double x) { return fg_cbrt_text(x); }

FG_FUNCTION double fg_cbrt_slope(double x) { return fg_cbrt_slope_text(x); }

/* sqrt(a^2 + b^2) from squares without rounding, a and b >= 0 in the middle of the range. Neither
 * root nor quotient waits for what the squares leave out; what the root misses over 2 y is that
 * times y / (2 s). 0.501 units. */
FG_INLINE fg_pair fg_length(double a, double b) {
    fg_pair p = fg_product(a, a), q = fg_product(b, b), s = fg_sum(p.hi, q.hi);
    double y = sqrt(s.hi), half = 0.5 / s.hi;
    s.lo += p.lo + q.lo;
    p = fg_product(y, y);
    return fg_pair_of(y, (((s.hi - p.hi) - p.lo) + s.lo) * (y * half));
}

FG_FUNCTION double fg_hypot(double a, double b) {
    double x = fg_size(a), y = fg_size(b), by = fg_scale_of(x, y);
    fg_pair p;
    if (x == HUGE_VAL || y == HUGE_VAL) return HUGE_VAL;
    if (x == 0.0 || y == 0.0) return x + y;
    if (by != 1.0) x *= by, y *= by;
    p = fg_length(x, y), y = p.hi + p.lo;
    return by == 1.0 ? y : y / by;
}

/* Its derivatives, a / hypot(a, b): 0 at the origin. */
FG_FUNCTION double fg_hypot_slope(double a, double b) {
    double x = fg_size(a), y = fg_size(b), by = fg_scale_of(x, y);
    fg_pair p;
    if (x == 0.0) return y == y ? a : y;
    if (!(x * by >= y * by * 0x1p-60)) return a / y;
    if (!(x * by <= y * by * 0x1p60)) return a / x;
    p = fg_pair_quotient(fg_pair_of(a * by, 0.0), fg_length(x * by, y * by));
    return p.hi + p.lo;
}
#endif

#endif
