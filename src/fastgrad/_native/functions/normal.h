/* The error function and the normal distribution.
 *
 * Tails are exp(-x^2) times a quotient of a polynomial: exp(t^2/2) Phi(-t) = G(s) / (t + 2) with
 * s = (t - 2) / (t + 2), after Shepherd and Laframboise, 1981, and the same of erfc. The square is
 * split exactly, s is a pair from the quotient that is needed anyway, of the polynomial the first
 * two terms are pairs, and the three factors are multiplied by halves and rounded once. */
#ifndef FASTGRAD_FUNCTIONS_NORMAL_H
#define FASTGRAD_FUNCTIONS_NORMAL_H

#include "functions/exponential.h"

/* exp(-scale x^2), scale = 1 or 1/2 */
FG_INLINE fg_exp_parts fg_exp_of_square(double x, double scale) {
    double a = fg_size(x), high = fg_top(a), low = a - high;
    return fg_exp_split(-scale * (high * high), -scale * (low * (a + high)));
}

FG_INLINE fg_pair fg_exp_pair(fg_exp_parts e) { return fg_pair_of(e.hi, fg_exp_lo(e)); }

/* G(s), s a pair: the first two coefficients have exact products with its upper half. */
FG_INLINE fg_pair fg_normal_series(double hi, double lo) {
    double s = hi + lo, s2 = s * s, s4 = s2 * s2, s8 = s4 * s4, rest;
    double high = fg_top(hi), low = lo + (hi - high);
    fg_pair g = fg_fast_sum(FG_NORMAL_0, FG_NORMAL_1 * high);
    rest = FG_POLYNOMIAL_8(FG_NORMAL_, 18, 19, 20, 21, 22, 23, 24, 25, s, s2, s4);
    rest = rest + s8 * ((FG_NORMAL_26 + s * FG_NORMAL_27) + s2 * FG_NORMAL_28);
    rest = FG_POLYNOMIAL_8(FG_NORMAL_, 10, 11, 12, 13, 14, 15, 16, 17, s, s2, s4) + s8 * rest;
    rest = FG_POLYNOMIAL_8(FG_NORMAL_, 2, 3, 4, 5, 6, 7, 8, 9, s, s2, s4) + s8 * rest;
    rest = s2 * rest + (s2 * FG_NORMAL_2_LO + (FG_NORMAL_1 * low + FG_NORMAL_1_LO * s));
    g.lo += FG_NORMAL_0_LO + rest;
    return g;
}

FG_INLINE fg_pair fg_erfc_series(double hi, double lo) {
    double s = hi + lo, s2 = s * s, s4 = s2 * s2, s8 = s4 * s4, rest;
    double high = fg_top(hi), low = lo + (hi - high);
    fg_pair g = fg_fast_sum(FG_ERFC_0, FG_ERFC_1 * high);
    rest = (FG_ERFC_18 + s * FG_ERFC_19) + s2 * (FG_ERFC_20 + s * FG_ERFC_21);
    rest = rest + s4 * ((FG_ERFC_22 + s * FG_ERFC_23) + s2 * FG_ERFC_24);
    rest = FG_POLYNOMIAL_8(FG_ERFC_, 10, 11, 12, 13, 14, 15, 16, 17, s, s2, s4) + s8 * rest;
    rest = FG_POLYNOMIAL_8(FG_ERFC_, 2, 3, 4, 5, 6, 7, 8, 9, s, s2, s4) + s8 * rest;
    rest = s2 * rest + (s2 * FG_ERFC_2_LO + (FG_ERFC_1 * low + FG_ERFC_1_LO * s));
    g.lo += FG_ERFC_0_LO + rest;
    return g;
}

/* The parts of a tail: y.hi + y.lo times both factors. */
typedef struct {
    fg_pair y;
    double half, other;
} fg_tail;

/* erfc(a), 1/2 <= a < 28 */
FG_INLINE fg_tail fg_erfc_tail(double a) {
    fg_exp_parts e = fg_exp_of_square(a, 1.0);
    fg_pair q = fg_quotient(1.0, fg_pair_of(1.0, 0.0), 1.5, fg_pair_of(a, 0.0));
    fg_tail tail;
    tail.y = fg_erfc_series(1.0 - 3.0 * q.hi, -3.0 * q.lo);
    tail.y = fg_halves(fg_halves(q, fg_exp_pair(e)), tail.y);
    tail.half = fg_exp_half(e), tail.other = fg_exp_other(e);
    return tail;
}

/* erf(x) / x - 1, |x| <= 1/2, by z = x^2 */
FG_INLINE double fg_erf_series(double z) {
    double z2 = z * z, z4 = z2 * z2;
    double p = FG_POLYNOMIAL_8(FG_ERF_, 0, 1, 2, 3, 4, 5, 6, 7, z, z2, z4);
    p += (z4 * z4) * FG_ERF_8;
    return FG_ERF_HEAD + z * p;
}

FG_INLINE double fg_erf_text(double x) {
    double a = fg_size(x), y;
    fg_tail tail = fg_erfc_tail(a);
    fg_pair large = fg_fast_sum(1.0, -(tail.y.hi * tail.half * tail.other));
    y = large.hi + (large.lo - tail.y.lo * tail.half * tail.other);
    y = a < 0.5 ? a + a * fg_erf_series(a * a) : y;
    y = a > 6.0 ? 1.0 : y;
    return a == a ? fg_with_sign(y, x) : x;
}

FG_INLINE double fg_erfc_text(double x) {
    double a = fg_size(x), y, z;
    fg_tail tail = fg_erfc_tail(a);
    fg_pair sum = fg_fast_sum(2.0, -(tail.y.hi * tail.half * tail.other));
    y = (tail.y.hi + tail.y.lo) * tail.half * tail.other;
    y = x < 0.0 ? sum.hi + (sum.lo - tail.y.lo * tail.half * tail.other) : y;
    sum = fg_fast_sum(1.0, -x);
    z = sum.hi + (sum.lo - x * fg_erf_series(x * x));
    y = a < 0.5 ? z : y;
    y = x > 28.0 ? 0.0 : y;
    y = x < -6.0 ? 2.0 : y;
    return a == a ? y : x;
}

/* 2 / sqrt(pi) exp(-x^2) */
FG_INLINE double fg_gauss_text(double x) {
    fg_exp_parts e = fg_exp_of_square(x, 1.0);
    fg_pair p = fg_halves(fg_exp_pair(e), fg_pair_of(FG_GAUSS, FG_GAUSS_LO));
    double y = (p.hi + p.lo) * fg_exp_half(e) * fg_exp_other(e);
    y = fg_size(x) > 28.0 ? 0.0 : y;
    return x == x ? y : x;
}

/* |x| Phi(-|x|) */
FG_INLINE fg_tail fg_gelu_tail(double t) {
    fg_exp_parts e = fg_exp_of_square(t, 0.5);
    fg_pair q = fg_quotient(t, fg_pair_of(t, 0.0), 2.0, fg_pair_of(t, 0.0)); /* t / (t + 2) */
    fg_tail tail;
    tail.y = fg_normal_series(2.0 * q.hi - 1.0, 2.0 * q.lo);
    tail.y = fg_halves(fg_halves(q, fg_exp_pair(e)), tail.y);
    tail.half = fg_exp_half(e), tail.other = fg_exp_other(e);
    return tail;
}

FG_INLINE double fg_gelu_text(double x) {
    double t = fg_size(x), y;
    fg_tail tail = fg_gelu_tail(t);
    fg_pair sum = fg_fast_sum(x, -(tail.y.hi * tail.half * tail.other));
    y = sum.hi + (sum.lo - tail.y.lo * tail.half * tail.other);
    y = x < 0.0 ? -((tail.y.hi + tail.y.lo) * tail.half * tail.other) : y;
    y = t > 39.0 ? (x < 0.0 ? -0.0 : x) : y;
    return t < 0x1p-1000 ? 0.5 * x : y;
}

/* Phi(x) + x phi(x): of -t it is E D, E = exp(-t^2/2), D = G / (t + 2) - t / sqrt(2 pi), as pairs,
 * for it crosses 0 at t = 0.7518; of t it is 1 - E D. */
FG_INLINE double fg_gelu_slope_text(double x) {
    double t = fg_size(x), half, other, y;
    fg_exp_parts e = fg_exp_of_square(t, 0.5);
    fg_pair q = fg_quotient(1.0, fg_pair_of(1.0, 0.0), 2.0, fg_pair_of(t, 0.0)), d, p, sum;
    d = fg_halves(fg_normal_series(1.0 - 4.0 * q.hi, -4.0 * q.lo), q);
    p = fg_halves(fg_pair_of(t, 0.0), fg_pair_of(FG_DENSITY, FG_DENSITY_LO));
    sum = fg_sum(d.hi, -p.hi);
    d = fg_fast_sum(sum.hi, sum.lo + (d.lo - p.lo));
    half = fg_exp_half(e), other = fg_exp_other(e);
    p = fg_halves(fg_exp_pair(e), d);
    sum = fg_fast_sum(1.0, -(p.hi * half * other));
    y = sum.hi + (sum.lo - p.lo * half * other);
    y = x < 0.0 ? (p.hi + p.lo) * half * other : y;
    half = 0.5 + fg_with_sign(0.5, x); /* the limit; of two constants gcc makes a jump */
    return t > 39.0 ? half : y;
}

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
FG_FUNCTION double fg_erf(double x) {
    double a = fg_size(x);
    return a < 0.5 ? fg_with_sign(a + a * fg_erf_series(a * a), x) : fg_erf_text(x);
}

FG_FUNCTION double fg_erfc(double x) { return fg_erfc_text(x); }

FG_FUNCTION double fg_gauss(double x) { return fg_gauss_text(x); }

FG_FUNCTION double fg_gelu(double x) { return fg_gelu_text(x); }

FG_FUNCTION double fg_gelu_slope(double x) { return fg_gelu_slope_text(x); }
#endif

#endif
