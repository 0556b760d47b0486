/* Inverse trigonometric functions: an argument below tan(pi/8) or 1/2, then a polynomial. */
#ifndef FASTGRAD_FUNCTIONS_INVERSE_TRIGONOMETRIC_H
#define FASTGRAD_FUNCTIONS_INVERSE_TRIGONOMETRIC_H

#include "functions/basic.h"

/* ---- atan, atan2 ---- */

/* atan(x) is x + x A(z), z = x^2, |x| <= tan(pi/8). */
FG_INLINE double fg_atan_rest(double z) {
    double z2 = z * z, z4 = z2 * z2;
    double low = (FG_ATAN_0 + z * FG_ATAN_1) + z2 * (FG_ATAN_2 + z * FG_ATAN_3);
    double high = (FG_ATAN_4 + z * FG_ATAN_5) + z2 * (FG_ATAN_6 + z * FG_ATAN_7);
    return z * (low + z4 * (high + z4 * ((FG_ATAN_8 + z * FG_ATAN_9) + z2 * FG_ATAN_10)));
}

/* The angle of the point (d, n), n and d from 0 on and neither sum nor quotient out of range: below
 * pi/8 it is atan(n/d), above 3 pi/8 a quarter turn less atan(d/n), between them an eighth and
 * atan((n - d)/(n + d)). The quotient, cut to 26 bits, has an exact product with the upper half of
 * the divisor, so the rest of it is known to 2^-79. The polynomial does not wait for that: it takes
 * the rounded quotient, 3 * 2^-53 off, and A'(t) t is -z, but for z^2 < 0.03, times what that
 * misses. t A < 0.057 t has three roundings, the last sum one: 0.5 + 3 * 0.057 + 3 * 0.03 = 0.76
 * units. */
FG_INLINE fg_pair fg_point_angle(double n, double d) {
    uint64_t steep = fg_negative(d * 2.414213562373095 - n);
    uint64_t flat = ~fg_negative(d * 0.41421356237309503 - n);
    fg_pair sum = fg_sum(n, d), less = fg_sum(n, -d), base;
    double up = fg_select(flat, n, fg_select(steep, -d, less.hi));
    double up_lo = fg_select(flat | steep, 0.0, less.lo);
    double by = fg_select(flat, d, fg_select(steep, n, sum.hi));
    double by_lo = fg_select(flat | steep, 0.0, sum.lo);
    double turn = fg_select(flat, 0.0, fg_select(steep, FG_PI_2, 0.5 * FG_PI_2));
    double turn_lo = fg_select(flat, 0.0, fg_select(steep, FG_PI_2_LO, 0.5 * FG_PI_2_LO));
    double inverse = 1.0 / by, t = up * inverse, z = t * t, q = fg_top(t), high = fg_top(by);
    double ql = (((up - q * high) + up_lo) - q * ((by - high) + by_lo)) * inverse;
    double rest = t * fg_atan_rest(z) - ((q - t) + ql) * z;
    base = fg_fast_sum(turn, q);
    return fg_pair_of(base.hi, base.lo + (turn_lo + (ql + rest)));
}

FG_INLINE double fg_atan_text(double x) {
    double a = fg_size(x), y;
    fg_pair p = fg_point_angle(a, 1.0);
    y = a > 0x1p60 ? FG_PI_2 : p.hi + p.lo;
    y = a < 0x1p-27 ? a : y;
    return fg_with_sign(y, x);
}

/* Its derivative, 1 / (1 + x^2), to 0.51 units; from 2^30 on 1 / x^2 by two quotients, to 1.5. */
FG_INLINE double fg_atan_slope_text(double x) {
    double a = fg_size(x);
    fg_pair s = fg_product(a, a), d = fg_sum(1.0, s.hi), y;
    d.lo += s.lo;
    y = fg_quotient(1.0, fg_pair_of(1.0, 0.0), 0.0, d);
    return a < 0x1p30 ? y.hi + y.lo : (1.0 / a) / a; /* nan comes here */
}

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
/* Of one number the quotient by 1 can be spared. */
FG_FUNCTION double fg_atan(double x) {
    double a = fg_size(x), q = fg_top(a);
    if (!(a >= 0x1p-27 && a < 0.41421356237309503)) return fg_atan_text(x);
    return fg_with_sign(q + ((a - q) + a * fg_atan_rest(a * a)), x); /* (q - a) + ql is 0 */
}

FG_FUNCTION double fg_atan_slope(double x) { return fg_atan_slope_text(x); }

/* Its signs, zeros and infinities are those of C99. Within 2^-60 of an axis the angle is the
 * quotient, or a multiple of a quarter turn. */
FG_FUNCTION double fg_atan2(double a, double b) {
    double n = fg_size(a), d = fg_size(b), by;
    int back = (int)(fg_bits(b) >> 63);
    fg_pair p, s;
    if (a != a || b != b) return a + b;
    if (n == HUGE_VAL || d == HUGE_VAL) n = n == HUGE_VAL, d = d == HUGE_VAL;
    if (n == 0.0) return fg_with_sign(back ? 2.0 * FG_PI_2 : 0.0, a);
    by = fg_scale_of(n, d);
    if (n * by > d * by * 0x1p60) return fg_with_sign(FG_PI_2, a);
    if (n * by < d * by * 0x1p-60) return fg_with_sign(back ? 2.0 * FG_PI_2 : n / d, a);
    p = fg_point_angle(n * by, d * by);
    if (back) {
        s = fg_fast_sum(2.0 * FG_PI_2, -p.hi);
        p = fg_pair_of(s.hi, s.lo + (2.0 * FG_PI_2_LO - p.lo));
    }
    return fg_with_sign(p.hi + p.lo, a);
}

/* a / (a^2 + b^2), both derivatives of atan2, to 0.51 units; where one of them is 2^60 times the
 * other, a / b^2 and 1 / a, to 1.5. */
FG_FUNCTION double fg_over_square(double a, double b) {
    double n = fg_size(a), d = fg_size(b), by = fg_scale_of(n, d);
    fg_pair p;
    if (!(n * by >= d * by * 0x1p-60)) /* a / d may be subnormal, and would be rounded early */
        return n < 0x1p-900 && d > 0x1p-100 ? a * 0x1p300 / d / d * 0x1p-300 : a / d / d;
    if (!(n * by <= d * by * 0x1p60)) return 1.0 / a;
    n = a * by, d = b * by;
    p = fg_pair_sum(fg_product(n, n), fg_product(d, d));
    p = fg_pair_quotient(fg_pair_of(n, 0.0), p);
    return (p.hi + p.lo) * by;
}
#endif

/* ---- asin, acos ---- */

FG_INLINE double fg_asin_rest(double z) {
    double z2 = z * z, z4 = z2 * z2;
    double low = ((FG_ASIN_0 + z * FG_ASIN_1) + z2 * (FG_ASIN_2 + z * FG_ASIN_3)) +
                 z4 * ((FG_ASIN_4 + z * FG_ASIN_5) + z2 * (FG_ASIN_6 + z * FG_ASIN_7));
    double high = (FG_ASIN_8 + z * FG_ASIN_9) + z2 * (FG_ASIN_10 + z * FG_ASIN_11);
    return low + (z4 * z4) * (high + z4 * FG_ASIN_12);
}

typedef struct {
    double t, rest; /* t + rest is asin(a), or asin(sqrt(w)), w = (1 - a)/2 */
    int small;
} fg_asin_parts;

/* asin(t) = t + t z A(z), z = t^2: for a <= 1/2 of a, beyond, of sqrt(w), a double and its rest, as
 * asin(a) = pi/2 - 2 asin(sqrt(w)). t z A < 0.048 t has three roundings: 0.5 + 3 * 0.048 = 0.65
 * units of asin, and less of acos. */
FG_INLINE fg_asin_parts fg_asin_of(double a) {
    double w = 0.5 * (1.0 - a), root = sqrt(w), z, rest;
    fg_pair p = fg_product(root, root);
    fg_asin_parts parts;
    parts.small = a <= 0.5;
    rest = ((w - p.hi) - p.lo) * (root * (0.5 / w)); /* over 2 root, which it need not wait for */
    rest = w > 0.0 ? rest : w;                       /* 0 at 1, nan beyond */
    rest = parts.small ? 0.0 : rest;
    parts.t = parts.small ? a : root;
    z = parts.small ? a * a : w;
    parts.rest = rest + (parts.t * z) * fg_asin_rest(z);
    return parts;
}
FG_INLINE double fg_asin_text(double x) {
    double a = fg_size(x), y;
    fg_asin_parts p = fg_asin_of(a);
    fg_pair s = fg_fast_sum(FG_PI_2, -2.0 * p.t);
    y = p.small ? p.t + p.rest : s.hi + (s.lo + (FG_PI_2_LO - 2.0 * p.rest));
    y = a < 0x1p-27 ? a : y;
    return fg_with_sign(y, x);
}

FG_INLINE double fg_acos_text(double x) {
    fg_asin_parts p = fg_asin_of(fg_size(x));
    double sign = x < 0.0 ? -1.0 : 1.0, small, left;
    fg_pair s = fg_fast_sum(FG_PI_2, -sign * p.t), l = fg_fast_sum(2.0 * FG_PI_2, -2.0 * p.t);
    small = s.hi + (s.lo + (FG_PI_2_LO - sign * p.rest));
    left = l.hi + (l.lo + (2.0 * FG_PI_2_LO - 2.0 * p.rest));
    left = x < 0.0 ? left : 2.0 * (p.t + p.rest);
    return p.small ? small : left;
}

/* The derivative of asin, 1 / sqrt(1 - x^2). */
FG_INLINE double fg_asin_slope_text(double x) { return fg_inverse_root(fg_one_less_square(x)); }

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
/* Of one number the root can be spared. */
FG_FUNCTION double fg_asin(double x) {
    double a = fg_size(x), z = a * a;
    if (!(a >= 0x1p-27 && a <= 0.5)) return fg_asin_text(x);
    return fg_with_sign(a + (a * z) * fg_asin_rest(z), x);
}

FG_FUNCTION double fg_acos(double x) { return fg_acos_text(x); }

FG_FUNCTION double fg_asin_slope(double x) { return fg_asin_slope_text(x); }
#endif

#endif
