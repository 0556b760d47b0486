/* Hyperbolic functions: of e = exp(|x|) - 1 as a pair. */
#ifndef FASTGRAD_FUNCTIONS_HYPERBOLIC_H
#define FASTGRAD_FUNCTIONS_HYPERBOLIC_H

#include "functions/exponential.h"

/* tanh(|x|) = e / (e + 2), e = exp(2 |x|) - 1. Close to 19, where e^2 passes 2^53 and tanh rounds
 * to 1 or its neighbour, it errs by up to 1 unit; elsewhere by less than 0.7. */
FG_INLINE double fg_tanh_core(double a) {
    fg_pair e = fg_expm1_pair(2.0 * a, 1), q = fg_quotient(e.hi + e.lo, e, 2.0, e);
    return q.hi + q.lo;
}

FG_INLINE double fg_tanh_text(double x) {
    double a = fg_size(x), y = fg_tanh_core(a);
    y = a > 20.0 ? 1.0 : y;
    return a < 0x1p-28 || a != a ? x : fg_with_sign(y, x);
}

/* 1 / cosh(x)^2 = 4 u / (1 + u)^2, u = exp(-2 |x|) */
FG_INLINE double fg_tanh_slope_text(double x) { return fg_bell(2.0 * fg_size(x), 4.0); }

/* sinh(a) = (e + e / (1 + e)) / 2 */
FG_INLINE double fg_sinh_core(double a) {
    fg_pair e = fg_expm1_pair(a, 1), q = fg_quotient(e.hi + e.lo, e, 1.0, e);
    fg_pair sum = fg_fast_sum(e.hi, q.hi);
    return 0.5 * (sum.hi + (sum.lo + (e.lo + q.lo)));
}

/* cosh(a) = (e + 1 + 1 / (1 + e)) / 2 */
FG_INLINE double fg_cosh_core(double a) {
    fg_pair e = fg_expm1_pair(a, 1), q = fg_quotient(e.hi + e.lo, e, 1.0, e);
    fg_pair two = fg_fast_sum(2.0, -q.hi), sum = fg_sum(two.hi, e.hi);
    return 0.5 * (sum.hi + ((sum.lo + two.lo) + (e.lo - q.lo)));
}

/* From 22 on exp(-2 a) < 2^-63, and both are exp(a) / 2. */
FG_INLINE double fg_sinh_text(double x) {
    double a = fg_size(x), large = fg_exp_half_text(a), y = fg_sinh_core(a);
    y = a > 22.0 ? large : y;
    return a < 0x1p-28 || a != a ? x : fg_with_sign(y, x);
}

FG_INLINE double fg_cosh_text(double x) {
    double a = fg_size(x), large = fg_exp_half_text(a), y = fg_cosh_core(a);
    y = a > 22.0 ? large : y;
    return a == a ? y : x;
}

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
FG_FUNCTION double fg_tanh(double x) {
    double a = fg_size(x);
    return a >= 0x1p-28 && a <= 20.0 ? fg_with_sign(fg_tanh_core(a), x) : fg_tanh_text(x);
}

FG_FUNCTION double fg_tanh_slope(double x) { return fg_tanh_slope_text(x); }

FG_FUNCTION double fg_sinh(double x) {
    double a = fg_size(x);
    return a >= 0x1p-28 && a <= 22.0 ? fg_with_sign(fg_sinh_core(a), x) : fg_sinh_text(x);
}

FG_FUNCTION double fg_cosh(double x) {
    return fg_size(x) <= 22.0 ? fg_cosh_core(fg_size(x)) : fg_cosh_text(x);
}
#endif

#endif
