/* The error function and the normal distribution.
 *
 * Tails are exp(-x^2) times a quotient of a polynomial: exp(t^2/2) Phi(-t) = G(s) / (t + 2) with
 * s = (t - 2) / (t + 2), after Shepherd and Laframboise, 1981, and the same of erfc. The square is
 * split exactly, s is a pair from the quotient that is needed anyway, of the polynomial the first
 * two terms are pairs, and the three factors are multiplied by thirds and rounded once. erf is 1
 * less a tail of which few bits count. */
#ifndef FASTGRAD_FUNCTIONS_NORMAL_H
#define FASTGRAD_FUNCTIONS_NORMAL_H

#include "functions/exponential.h"

/* Beyond these, parts of the tails are subnormal. */
#define FG_ERF_REACH 26.0
#define FG_GELU_REACH 37.0

/* a^2: exact, and the rest. */
FG_INLINE fg_pair fg_square_of(double a) {
    double high = fg_top(a), low = a - high;
    return fg_pair_of(high * high, low * (a + high));
}

/* exp(-scale x^2), scale = 1 or 1/2 */
FG_INLINE fg_exp_parts fg_exp_of_square(double x, double scale) {
    fg_pair z = fg_square_of(fg_size(x));
    return fg_exp_split(-scale * z.hi, -scale * z.lo);
}

/* Its power of two in two factors, of which the second is 1 within reach. */
FG_INLINE double fg_tail_half(fg_exp_parts e, int near) {
    return near ? fg_exp_scale(e) : fg_exp_half(e);
}
FG_INLINE double fg_tail_other(fg_exp_parts e, int near) { return near ? 1.0 : fg_exp_other(e); }

/* n / (one + a), n a double: the upper 17 bits, and the rest. */
FG_INLINE fg_pair fg_quotient_of_third(double n, double one, double a) {
    double whole = one + a, inverse = 1.0 / whole, q = fg_third(n * inverse), high = fg_top(whole);
    return fg_pair_of(q, ((n - q * high) - q * ((one - high) + a)) * inverse);
}

/* q E g, q.hi of 17 bits: of three such the product is exact, and what else there is below 2^-15 of
 * it. */
FG_INLINE fg_pair fg_thirds(fg_pair q, fg_exp_parts e, fg_pair g) {
    double lo = fg_exp_lo(e), ew = e.hi + lo, eh = fg_third(ew), el = (e.hi - eh) + lo;
    double gw = g.hi + g.lo, gh = fg_third(gw), gl = (g.hi - gh) + g.lo, p = q.hi * eh;
    return fg_pair_of(p * gh, p * gl + (q.hi * el + q.lo * ew) * gw);
}

/* G(s), s a pair whose upper part has 26 bits, so that its products with the upper parts of the
 * first two coefficients are exact. */
FG_INLINE fg_pair fg_normal_series(double hi, double lo) {
    double s = hi + lo, s2 = s * s, s4 = s2 * s2, s8 = s4 * s4, rest;
    fg_pair g = fg_fast_sum(FG_NORMAL_0, FG_NORMAL_1 * hi);
    rest = FG_POLYNOMIAL_8(FG_NORMAL_, 18, 19, 20, 21, 22, 23, 24, 25, s, s2, s4);
    rest = rest + s8 * ((FG_NORMAL_26 + s * FG_NORMAL_27) + s2 * FG_NORMAL_28);
    rest = FG_POLYNOMIAL_8(FG_NORMAL_, 10, 11, 12, 13, 14, 15, 16, 17, s, s2, s4) + s8 * rest;
    rest = FG_POLYNOMIAL_8(FG_NORMAL_, 2, 3, 4, 5, 6, 7, 8, 9, s, s2, s4) + s8 * rest;
    rest = s2 * rest + (s2 * FG_NORMAL_2_LO + (FG_NORMAL_1 * lo + FG_NORMAL_1_LO * s));
    g.lo += FG_NORMAL_0_LO + rest;
    return g;
}

FG_INLINE fg_pair fg_erfc_series(double hi, double lo) {
    double s = hi + lo, s2 = s * s, s4 = s2 * s2, s8 = s4 * s4, rest;
    fg_pair g = fg_fast_sum(FG_ERFC_0, FG_ERFC_1 * hi);
    rest = (FG_ERFC_18 + s * FG_ERFC_19) + s2 * (FG_ERFC_20 + s * FG_ERFC_21);
    rest = rest + s4 * ((FG_ERFC_22 + s * FG_ERFC_23) + s2 * FG_ERFC_24);
    rest = FG_POLYNOMIAL_8(FG_ERFC_, 10, 11, 12, 13, 14, 15, 16, 17, s, s2, s4) + s8 * rest;
    rest = FG_POLYNOMIAL_8(FG_ERFC_, 2, 3, 4, 5, 6, 7, 8, 9, s, s2, s4) + s8 * rest;
    rest = s2 * rest + (s2 * FG_ERFC_2_LO + (FG_ERFC_1 * lo + FG_ERFC_1_LO * s));
    g.lo += FG_ERFC_0_LO + rest;
    return g;
}

/* ---- erf ---- */

#define FG_ERF_UPPER_FROM 0.90625

/* From there on, 1 - G(s) E / (a + 5/2): of the polynomial, whose small terms come first, the last
 * sum has a rest. s need not be exact, and does not wait for that of the quotient. */
FG_INLINE double fg_erf_large(double a, fg_pair z) {
    fg_exp_parts e = fg_exp_split(-z.hi, -z.lo);
    double s = (a - 2.5) * (1.0 / (a + 2.5)), s2 = s * s, s4 = s2 * s2, g;
    fg_pair y;
    g = FG_POLYNOMIAL_8(FG_ERF_UPPER_, 8, 9, 10, 11, 12, 13, 14, 15, s, s2, s4);
    g = s2 * ((FG_ERF_UPPER_2 + s * FG_ERF_UPPER_3) +
                 (s2 * (FG_ERF_UPPER_4 + s * FG_ERF_UPPER_5) +
                     s4 * ((FG_ERF_UPPER_6 + s * FG_ERF_UPPER_7) + s2 * g)));
    y = fg_fast_sum(FG_ERF_UPPER_0, s * FG_ERF_UPPER_1 + g);
    y = fg_thirds(fg_quotient_of_third(1.0, 2.5, a), e, y);
    return 1.0 - (y.hi + y.lo) * fg_exp_scale(e);
}

/* Below, x + x (p(c) + (z - c) p1(z)), z = x^2, c = 11/32: no term is above 0.17. */
FG_INLINE double fg_erf_small(double a, fg_pair z) {
    double t = (z.hi - 0.34375) + z.lo, t2 = t * t, t4 = t2 * t2, p;
    p = (FG_ERF_WIDE_8 + t * FG_ERF_WIDE_9) + t2 * FG_ERF_WIDE_10;
    p = FG_POLYNOMIAL_8(FG_ERF_WIDE_, 0, 1, 2, 3, 4, 5, 6, 7, t, t2, t4) + (t4 * t4) * p;
    return a + a * (FG_ERF_MIDDLE + t * (FG_ERF_SLOPE + t * p));
}

FG_INLINE double fg_erf_text(double x) {
    double a = fg_size(x), y;
    fg_pair z = fg_square_of(a);
    y = fg_erf_large(a, z);
    return fg_with_sign(a < FG_ERF_UPPER_FROM ? fg_erf_small(a, z) : y, x);
}

/* ---- erfc ---- */

/* The parts of a tail: y.hi + y.lo times both factors. */
typedef struct {
    fg_pair y;
    double half, other;
} fg_tail;

/* erfc(a), 1/2 <= a < 28; s = 1 - 3 / (a + 3/2) */
FG_INLINE fg_tail fg_erfc_tail(double a, int near) {
    fg_exp_parts e = fg_exp_of_square(a, 1.0);
    fg_pair q = fg_quotient_of_third(1.0, 1.5, a);
    fg_tail tail;
    tail.y = fg_thirds(q, e, fg_erfc_series(1.0 - 3.0 * q.hi, -3.0 * q.lo));
    tail.half = fg_tail_half(e, near), tail.other = fg_tail_other(e, near);
    return tail;
}

/* erf(x) / x - 1, |x| <= 1/2, by z = x^2 */
FG_INLINE double fg_erf_series(double z) {
    double z2 = z * z, z4 = z2 * z2;
    double p = FG_POLYNOMIAL_8(FG_ERF_, 0, 1, 2, 3, 4, 5, 6, 7, z, z2, z4);
    p += (z4 * z4) * FG_ERF_8;
    return FG_ERF_HEAD + z * p;
}

FG_INLINE double fg_erfc_of(double x, int near) {
    double a = fg_size(x), y, z;
    fg_tail tail = fg_erfc_tail(a, near);
    fg_pair sum = fg_fast_sum(2.0, -(tail.y.hi * tail.half * tail.other));
    y = (tail.y.hi + tail.y.lo) * tail.half * tail.other;
    y = x < 0.0 ? sum.hi + (sum.lo - tail.y.lo * tail.half * tail.other) : y;
    sum = fg_fast_sum(1.0, -x);
    z = sum.hi + (sum.lo - x * fg_erf_series(x * x));
    return a < 0.5 ? z : y;
}

FG_INLINE double fg_erfc_text(double x) { return fg_erfc_of(x, 1); }

/* 2 / sqrt(pi) exp(-x^2) */
FG_INLINE double fg_gauss_of(double x, int near) {
    fg_exp_parts e = fg_exp_of_square(x, 1.0);
    double lo = fg_exp_lo(e), high = fg_top(e.hi + lo), low = (e.hi - high) + lo;
    double y = high * FG_GAUSS_A + (high * FG_GAUSS_B + low * FG_GAUSS);
    return y * fg_tail_half(e, near) * fg_tail_other(e, near);
}

FG_INLINE double fg_gauss_text(double x) { return fg_gauss_of(x, 1); }

/* ---- gelu ---- */

/* |x| Phi(-|x|); s = 2 t / (t + 2) - 1 */
FG_INLINE fg_tail fg_gelu_tail(double t, int near) {
    fg_exp_parts e = fg_exp_of_square(t, 0.5);
    fg_pair q = fg_quotient_of_third(t, 2.0, t);
    fg_tail tail;
    tail.y = fg_thirds(q, e, fg_normal_series(2.0 * q.hi - 1.0, 2.0 * q.lo));
    tail.half = fg_tail_half(e, near), tail.other = fg_tail_other(e, near);
    return tail;
}

FG_INLINE double fg_gelu_of(double x, int near) {
    double t = fg_size(x), y;
    fg_tail tail = fg_gelu_tail(t, near);
    fg_pair sum = fg_fast_sum(x, -(tail.y.hi * tail.half * tail.other));
    y = sum.hi + (sum.lo - tail.y.lo * tail.half * tail.other);
    y = x < 0.0 ? -((tail.y.hi + tail.y.lo) * tail.half * tail.other) : y;
    return t < 0x1p-1000 ? 0.5 * x : y;
}

FG_INLINE double fg_gelu_text(double x) { return fg_gelu_of(x, 1); }

/* Phi(x) + x phi(x): of -t it is E D, E = exp(-t^2/2), D = G / (t + 2) - t / sqrt(2 pi), as pairs,
 * for it crosses 0 at t = 0.7518; of t it is 1 - E D. */
FG_INLINE double fg_gelu_slope_of(double x, int near) {
    double t = fg_size(x), th = fg_top(t), half, other, y, gw, gh, lo;
    fg_exp_parts e = fg_exp_of_square(t, 0.5);
    fg_pair q = fg_quotient_of_third(1.0, 2.0, t), d, g, p, sum;
    g = fg_normal_series(1.0 - 4.0 * q.hi, -4.0 * q.lo);
    gw = g.hi + g.lo, gh = fg_top(gw);
    lo = q.hi * ((g.hi - gh) + g.lo) + q.lo * gw;
    sum = fg_sum(q.hi * gh, -(th * FG_DENSITY_A));
    d = fg_fast_sum(sum.hi, sum.lo + (lo - (th * FG_DENSITY_B + (t - th) * FG_DENSITY)));
    half = fg_tail_half(e, near), other = fg_tail_other(e, near);
    p = fg_halves(fg_pair_of(e.hi, fg_exp_lo(e)), d);
    sum = fg_fast_sum(1.0, -(p.hi * half * other));
    y = sum.hi + (sum.lo - p.lo * half * other);
    return x < 0.0 ? (p.hi + p.lo) * half * other : y;
}

FG_INLINE double fg_gelu_slope_text(double x) { return fg_gelu_slope_of(x, 1); }

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
FG_FUNCTION double fg_erf(double x) {
    double a = fg_size(x);
    if (a < FG_ERF_UPPER_FROM) return fg_with_sign(fg_erf_small(a, fg_square_of(a)), x);
    if (a < 6.0) return fg_with_sign(fg_erf_large(a, fg_square_of(a)), x);
    return x == x ? fg_with_sign(1.0, x) : x;
}

FG_FUNCTION double fg_erfc(double x) {
    if (fg_size(x) < FG_ERF_REACH) return fg_erfc_of(x, 1);
    return x > 28.0 ? 0.0 : x < 0.0 ? 2.0 : fg_erfc_of(x, 0);
}

FG_FUNCTION double fg_gauss(double x) {
    if (fg_size(x) < FG_ERF_REACH) return fg_gauss_of(x, 1);
    return fg_size(x) > 28.0 ? 0.0 : fg_gauss_of(x, 0);
}

/* exp(-x^2/2) / sqrt(2 pi): what derivatives of gelu are made of */
FG_FUNCTION double fg_density(double x) {
    return 0x1.6a09e667f3bcdp-2 * fg_gauss(0x1.6a09e667f3bcdp-1 * x);
}

FG_FUNCTION double fg_gelu(double x) {
    if (fg_size(x) < FG_GELU_REACH) return fg_gelu_of(x, 1);
    return fg_size(x) > 39.0 ? (x < 0.0 ? -0.0 : x) : fg_gelu_of(x, 0);
}

FG_FUNCTION double fg_gelu_slope(double x) {
    if (fg_size(x) < FG_GELU_REACH) return fg_gelu_slope_of(x, 1);
    return fg_size(x) > 39.0 ? (x < 0.0 ? -0.0 : 1.0) : fg_gelu_slope_of(x, 0);
}
#endif

#endif
