/* Logarithms. */
#ifndef FASTGRAD_FUNCTIONS_LOGARITHM_H
#define FASTGRAD_FUNCTIONS_LOGARITHM_H

#include "functions/basic.h"

/* log(x + rest) = k log(2) + l + log1p(r), as k and the two others' sum; x normal and positive,
 * |rest| at most a unit of x.
 *
 * x = 2^k m, m in [sqrt(1/2), sqrt(2)); seven bits of m choose a row: c near 1/m, of 24 bits, and
 * l = -log(c), which c was searched for to be within 2^-62 of itself of a double. The halves of m
 * have exact products with c, so r = m c - 1 is known as a pair, |r| < 0.0078. The rows around 1
 * have c = 1 and l = 0, so that there all of the value is r - r^2/2 + r^3 p(r), and log(1) is 0.
 * What is rounded behind r is r^2/2, below 0.004 r: with the last addition log errs by less than
 * 0.544 units. */
typedef struct {
    double k;          /* a whole number */
    double l;          /* of the row */
    double r, r_lo, p; /* log1p(r + r_lo) = r + (p + r_lo (1 - r)) */
} fg_log_parts;

FG_INLINE fg_log_parts fg_log_split(double x, double rest) {
    fg_log_parts parts;
    uint64_t u = fg_bits(x) - FG_LOG_START, e = u & 0xFFF0000000000000u;
    int64_t j = (int64_t)(u >> 45 & 127);
    double c = fg_from_bits(fg_log_table[j][0]), m = fg_from_bits(fg_bits(x) - e);
    double high = fg_top(m), low = m - high, r, square;
    fg_pair sum = fg_fast_sum(high * c - 1.0, low * c);
    /* e >> 52 has a sign: adding 2048 takes it away, and 2^52 + that is a double by its bits */
    parts.k = fg_from_bits(((e ^ 0x8000000000000000u) >> 52) | 0x4330000000000000u);
    parts.k -= 0x1p52 + 2048.0;
    parts.l = fg_from_bits(fg_log_table[j][1]);
    parts.r = r = sum.hi, square = r * r;
    /* half of rest, times 2^(1 - k): 2^-k of k = 1024 is no normal number */
    parts.r_lo = sum.lo + ((0.5 * rest) * fg_from_bits(0x4000000000000000u - e)) * c;
    parts.p = (FG_LOG_0 + r * FG_LOG_1) + square * ((FG_LOG_2 + r * FG_LOG_3) + square * FG_LOG_4);
    parts.p = (square * r) * parts.p - 0.5 * square;
    return parts;
}

/* log(x + rest) + shift log(2), shift a whole number; x normal and positive. */
FG_INLINE fg_pair fg_log_sum(double x, double rest, double shift) {
    fg_log_parts parts = fg_log_split(x, rest);
    double k = parts.k + shift; /* its product with FG_LN2_A, of 32 bits, is exact */
    fg_pair one = fg_fast_sum(k * FG_LN2_A, parts.l), two = fg_fast_sum(one.hi, parts.r);
    double lo = (k * FG_LN2_B + parts.r_lo) + (parts.p - parts.r_lo * parts.r);
    return fg_pair_of(two.hi, (one.lo + two.lo) + lo);
}

FG_INLINE double fg_log_text(double x) {
    fg_pair y = fg_log_sum(x, 0.0, 0.0);
    return y.hi + y.lo;
}

/* Of any x. */
FG_INLINE double fg_log_any_text(double x) {
    double up = x < 0x1p-1022 ? 0x1p54 : 1.0, shift = x < 0x1p-1022 ? -54.0 : 0.0;
    fg_pair p = fg_log_sum(x * up, 0.0, shift);
    double y = x > 0.0 ? p.hi + p.lo : fg_nan();
    y = x == 0.0 ? -fg_inf() : y;
    return x < fg_inf() ? y : x;
}

FG_INLINE double fg_log1p_text(double x) {
    fg_pair d = fg_sum(1.0, x), p = fg_log_sum(d.hi, d.lo, 0.0);
    double y = p.hi + p.lo;
    return fg_size(x) < 0x1p-54 ? x : y;
}

/* The parts of log(x) but for k log(2), which is left in *k, with shift added; as fg_log_sum. */
FG_INLINE fg_pair fg_log_rest(double x, double shift, double *k) {
    fg_log_parts parts = fg_log_split(x, 0.0);
    fg_pair m = fg_fast_sum(parts.l, parts.r);
    *k = parts.k + shift;
    m.lo += parts.p + (parts.r_lo - parts.r_lo * parts.r);
    return m;
}

/* k is whole and the rest at most 1/2, so that powers of two are exact. */
FG_INLINE double fg_log2_sum(double x, double shift) {
    double k;
    fg_pair m = fg_halves(fg_log_rest(x, shift, &k), fg_pair_of(FG_LOG2E, FG_LOG2E_LO));
    fg_pair y = fg_fast_sum(k, m.hi);
    return y.hi + (y.lo + m.lo);
}

FG_INLINE double fg_log10_sum(double x, double shift) {
    double k;
    fg_pair m = fg_halves(fg_log_rest(x, shift, &k), fg_pair_of(FG_LOG10E, FG_LOG10E_LO));
    fg_pair y = fg_fast_sum(k * FG_LOG10_2_A, m.hi);
    return y.hi + (y.lo + (m.lo + k * FG_LOG10_2_B));
}

FG_INLINE double fg_log2_text(double x) { return fg_log2_sum(x, 0.0); }

FG_INLINE double fg_log10_text(double x) { return fg_log10_sum(x, 0.0); }

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
FG_FUNCTION double fg_log(double x) {
    return fg_is_far(FG_NORMAL, x) ? fg_log_any_text(x) : fg_log_text(x);
}

FG_FUNCTION double fg_log1p(double x) {
    return fg_is_far(FG_NORMAL_BEHIND_1, x) ? fg_log_any_text(1.0 + x) : fg_log1p_text(x);
}

FG_FUNCTION double fg_log2(double x) {
    if (!fg_is_far(FG_NORMAL, x)) return fg_log2_text(x);
    return x > 0.0 && x < HUGE_VAL ? fg_log2_sum(x * 0x1p54, -54.0) : fg_log_any_text(x);
}

FG_FUNCTION double fg_log10(double x) {
    if (!fg_is_far(FG_NORMAL, x)) return fg_log10_text(x);
    return x > 0.0 && x < HUGE_VAL ? fg_log10_sum(x * 0x1p54, -54.0) : fg_log_any_text(x);
}

/* ---- for functions of single numbers ---- */

/* log(x + rest) + shift log(2), x > 0, rest about a unit of x at most. */
FG_HELPER fg_pair fg_log_pair(double x, double rest, double shift) {
    if (x < 0x1p-1022) x *= 0x1p54, rest *= 0x1p54, shift -= 54.0;
    fg_pair y = fg_log_sum(x, rest, shift);
    return fg_fast_sum(y.hi, y.lo);
}
#endif

#endif
