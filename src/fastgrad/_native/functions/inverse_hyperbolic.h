/* Inverse hyperbolic functions: logarithms of pairs. */
#ifndef FASTGRAD_FUNCTIONS_INVERSE_HYPERBOLIC_H
#define FASTGRAD_FUNCTIONS_INVERSE_HYPERBOLIC_H

#include "functions/logarithm.h"

/* Their derivatives, 0.51 units; where 1 is lost in the square, 1 / x. */
FG_INLINE double fg_asinh_slope_text(double x) { /* 1 / sqrt(1 + x^2) */
    double a = fg_size(x), y;
    fg_pair s = fg_product(a, a), d = fg_sum(1.0, s.hi);
    d.lo += s.lo, y = fg_inverse_root(d);
    return a < 0x1p30 ? y : 1.0 / a;
}

FG_INLINE double fg_acosh_slope_text(double x) { /* 1 / sqrt(x^2 - 1) */
    double y = fg_inverse_root(fg_pair_product(fg_sum(x, -1.0), fg_sum(x, 1.0)));
    return x < 0x1p30 ? y : 1.0 / x;
}

FG_INLINE double fg_atanh_slope_text(double x) { /* 1 / (1 - x^2) */
    fg_pair d = fg_one_less_square(x), y = fg_quotient(1.0, fg_pair_of(1.0, 0.0), 0.0, d);
    double whole = y.hi + y.lo;
    return d.hi == 0.0 ? fg_inf() : whole;
}

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
FG_FUNCTION double fg_asinh_slope(double x) { return fg_asinh_slope_text(x); }

FG_FUNCTION double fg_acosh_slope(double x) { return fg_acosh_slope_text(x); }

FG_FUNCTION double fg_atanh_slope(double x) { return fg_atanh_slope_text(x); }

FG_FUNCTION double fg_asinh(double a) {
    double x = fabs(a), z = a * a;
    fg_pair s, y;
    if (!(x < HUGE_VAL) || x < 0x1p-30) return a;
    if (x < 0x1p-9) return a + a * z * (((-5.0 / 112.0 * z + 3.0 / 40.0) * z) - 1.0 / 6.0);
    if (x > 0x1p30) {
        y = fg_log_pair(x, 0.0, 1.0);
    } else {
        s = fg_product(x, x);
        s = fg_pair_root(fg_pair_sum(fg_pair_of(1.0, 0.0), s));
        s = fg_pair_sum(fg_pair_of(x, 0.0), s);
        y = fg_log_pair(s.hi, s.lo, 0.0);
    }
    return copysign(y.hi + y.lo, a);
}

FG_FUNCTION double fg_acosh(double a) {
    fg_pair s, y;
    if (!(a > 1.0)) return a == 1.0 ? 0.0 : NAN;
    if (!(a < HUGE_VAL)) return a;
    if (a > 0x1p30) {
        y = fg_log_pair(a, 0.0, 1.0);
    } else {
        s = fg_pair_root(fg_pair_product(fg_sum(a, -1.0), fg_sum(a, 1.0)));
        s = fg_pair_sum(fg_pair_of(a, 0.0), s);
        y = fg_log_pair(s.hi, s.lo, 0.0);
    }
    return y.hi + y.lo;
}

FG_FUNCTION double fg_atanh(double a) {
    double x = fabs(a);
    fg_pair p, q;
    if (!(x < 1.0)) return x == 1.0 ? copysign(HUGE_VAL, a) : NAN;
    if (x < 0x1p-9) return a + a * (a * a) * ((a * a / 7.0 + 1.0 / 5.0) * (a * a) + 1.0 / 3.0);
    p = fg_sum(1.0, x), q = fg_sum(1.0, -x);
    p = fg_log_pair(p.hi, p.lo, 0.0), q = fg_log_pair(q.hi, q.lo, 0.0);
    p = fg_pair_sum(p, fg_pair_of(-q.hi, -q.lo));
    return copysign(0.5 * (p.hi + p.lo), a);
}
#endif

#endif
