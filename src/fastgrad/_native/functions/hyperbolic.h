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

#define FG_TANH_REACH 350.0
#define FG_TANH_SLOPE_REACH 320.0
#define FG_SINH_REACH 700.0

FG_INLINE double fg_tanh_text(double x) { return fg_with_sign(fg_tanh_core(fg_size(x)), x); }

/* 1 / cosh(x)^2 = 4 u / (1 + u)^2, u = exp(-2 |x|) */
FG_INLINE double fg_tanh_slope_text(double x) { return 4.0 * fg_bell(2.0 * fg_size(x)); }

/* sinh(a) = (e + e / (1 + e)) / 2 */
FG_INLINE double fg_sinh_text(double x) {
    fg_pair e = fg_expm1_pair(fg_size(x), 1), q = fg_quotient(e.hi + e.lo, e, 1.0, e);
    fg_pair sum = fg_fast_sum(e.hi, q.hi);
    return fg_with_sign(0.5 * (sum.hi + (sum.lo + (e.lo + q.lo))), x);
}

/* cosh(a) = (e + 1 + 1 / (1 + e)) / 2 */
FG_INLINE double fg_cosh_text(double x) {
    fg_pair e = fg_expm1_pair(fg_size(x), 1), q = fg_quotient(e.hi + e.lo, e, 1.0, e);
    fg_pair two = fg_fast_sum(2.0, -q.hi), sum = fg_sum(two.hi, e.hi);
    return 0.5 * (sum.hi + ((sum.lo + two.lo) + (e.lo - q.lo)));
}

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
FG_FUNCTION double fg_tanh(double x) {
    if (fg_size(x) < FG_TANH_REACH) return fg_tanh_text(x);
    return x == x ? fg_with_sign(1.0, x) : x;
}

FG_FUNCTION double fg_tanh_slope(double x) { return fg_bell_any(2.0 * fg_size(x), 4.0); }

/* Past the reach, both are exp(a) / 2. */
FG_FUNCTION double fg_sinh(double x) {
    if (fg_size(x) < FG_SINH_REACH) return fg_sinh_text(x);
    return x == x ? fg_with_sign(fg_exp_half_of(fg_size(x)), x) : x;
}

FG_FUNCTION double fg_cosh(double x) {
    if (fg_size(x) < FG_SINH_REACH) return fg_cosh_text(x);
    return fg_exp_half_of(fg_size(x));
}
#endif

#endif
