/* Exponentials. */
#ifndef FASTGRAD_FUNCTIONS_EXPONENTIAL_H
#define FASTGRAD_FUNCTIONS_EXPONENTIAL_H

#include "functions/basic.h"

/* exp(x + rest) = 2^k (hi + lo): x + rest = (128 k + j) log(2)/128 + r, -64 <= j < 64. hi + tail is
 * 2^(j/128) to some 107 bits, |r| <= log(2)/256 = 0.0027, q = exp(r) - 1 - r within 2^-74, and
 *     lo = tail + hi (r + q)
 * is below 0.004 hi, so that its roundings, of r with 53 bits behind the 32 of FG_LN2_N_A, of q and
 * of lo, are 0.004 (2^-53 + 2^-53 + ...): with the last addition exp errs by less than 0.507 units.
 * tail (r + q) is left out: 2^-54 0.0027. */
typedef struct {
    double hi, tail, r, q;
    uint64_t k; /* 128 (k + 1023) + j + 64 in the low bits: a row, and behind it an exponent */
} fg_exp_parts;

#define FG_EXP_MAGIC (FG_MAGIC + 128.0 * 1023.0 + 64.0)

/* By what t = FG_EXP_MAGIC + 128 k + j, a whole number, and r are; any t. */
FG_INLINE fg_exp_parts fg_exp_rows(double t, double r) {
    fg_exp_parts e;
    int64_t j = (int64_t)(fg_bits(t) & 127);
    e.hi = fg_from_bits(fg_exp_table[j][0]), e.tail = fg_from_bits(fg_exp_table[j][1]), e.r = r;
    e.q = r * r * ((FG_EXP_0 + r * FG_EXP_1) + r * r * (FG_EXP_2 + r * FG_EXP_3));
    e.k = fg_bits(t);
    return e;
}

/* Any x; the parts mean something for |x| < 2^20, where the product with FG_LN2_N_A is exact. */
FG_INLINE fg_exp_parts fg_exp_split(double x, double rest) {
    double t = x * FG_LOG2E_N + FG_EXP_MAGIC, k = t - FG_EXP_MAGIC;
    return fg_exp_rows(t, (x - k * FG_LN2_N_A) - (k * FG_LN2_N_B - rest));
}

FG_INLINE double fg_exp_lo(fg_exp_parts e) { return e.tail + e.hi * (e.r + e.q); }

/* 2^k: as one number, |x| < 708; as two factors, for any k, where the value may be subnormal. */
FG_INLINE double fg_exp_scale(fg_exp_parts e) { return fg_from_bits(e.k >> 7 << 52); }
FG_INLINE double fg_exp_half(fg_exp_parts e) { return fg_from_bits(((e.k >> 8) + 512) << 52); }
FG_INLINE double fg_exp_other(fg_exp_parts e) {
    return fg_from_bits(((e.k >> 7) - (e.k >> 8) + 511) << 52);
}

FG_INLINE double fg_exp_value(fg_exp_parts e) {
    return (e.hi + fg_exp_lo(e)) * fg_exp_half(e) * fg_exp_other(e);
}

#define FG_EXP_REACH 708.0 /* 2^k is one number there, and no end is near */

FG_INLINE double fg_exp_text(double x) {
    fg_exp_parts e = fg_exp_split(x, 0.0);
    return (e.hi + fg_exp_lo(e)) * fg_exp_scale(e);
}

/* exp(x) / 2, which may be finite where exp(x) is not; x > 0. */
FG_INLINE double fg_exp_half_of(double x) {
    fg_exp_parts e = fg_exp_split(x, 0.0);
    double y = 0.5 * (e.hi + fg_exp_lo(e)) * fg_exp_half(e) * fg_exp_other(e);
    return x > 711.0 ? fg_inf() : y;
}

/* exp(-(a + rest)) as a pair, a >= 0, and, rounded once, as a number. From 708 on the pair is
 * rough, and the number still good. */
FG_INLINE fg_pair fg_decay(double a, double rest, double *whole) {
    fg_exp_parts e = fg_exp_split(-a, -rest);
    double half = fg_exp_half(e), other = fg_exp_other(e), lo = fg_exp_lo(e);
    *whole = (e.hi + lo) * half * other;
    return fg_pair_of(e.hi * half * other, lo * half * other);
}

/* The same of a < FG_EXP_REACH. */
FG_INLINE fg_pair fg_decay_near(double a) {
    fg_exp_parts e = fg_exp_split(-a, 0.0);
    double scale = fg_exp_scale(e);
    return fg_pair_of(e.hi * scale, fg_exp_lo(e) * scale);
}

/* u / (1 + u)^2, u = exp(-a), 0 <= a < 650: below, the rest of the division would be subnormal. The
 * square of 1 + u cut to 13 bits is exact and has 26, as the quotient has. */
FG_INLINE double fg_bell(double a) {
    fg_pair u = fg_decay_near(a), d = fg_fast_sum(1.0, u.hi), q;
    double cut = fg_cut(d.hi), low = (d.hi - cut) + (d.lo + u.lo);
    q = fg_quotient_of_cut(u, fg_pair_of(cut * cut, low * (2.0 * cut + low)));
    return q.hi + q.lo;
}

/* The same of any a, times a power of two; from 40 on it is u, which may be subnormal. */
FG_INLINE double fg_bell_any(double a, double by) {
    fg_exp_parts e = fg_exp_split(-a, 0.0);
    if (a < 40.0) return by * fg_bell(a);
    return a > 750.0 ? 0.0 : by * (e.hi + fg_exp_lo(e)) * fg_exp_half(e) * fg_exp_other(e);
}

/* 2^x: r is the rest times log(2). */
FG_INLINE fg_exp_parts fg_exp2_split(double x) {
    double t = x * 128.0 + FG_EXP_MAGIC;
    return fg_exp_rows(t, (x - (t - FG_EXP_MAGIC) * 0x1p-7) * FG_LN2);
}

FG_INLINE double fg_exp2_text(double x) {
    fg_exp_parts e = fg_exp2_split(x);
    return (e.hi + fg_exp_lo(e)) * fg_exp_scale(e);
}

/* exp(x) - 1 as a pair, |x| < 708: (s hi - 1) + s r without rounding, then what is below 0.004 s.
 * The rounding of r counts here, and tail r. `positive`: x >= 0 is known. */
FG_INLINE fg_pair fg_expm1_pair(double x, int positive) {
    double t = x * FG_LOG2E_N + FG_EXP_MAGIC, k = t - FG_EXP_MAGIC;
    double a = x - k * FG_LN2_N_A, b = k * FG_LN2_N_B;
    fg_exp_parts e = fg_exp_rows(t, a - b);
    double s = fg_exp_scale(e), left = (a - e.r) - b;
    fg_pair one = positive ? fg_fast_sum(e.hi * s, -1.0) : fg_sum(e.hi * s, -1.0);
    fg_pair two = fg_fast_sum(one.hi, e.r * s);
    double lo = (e.tail + left) + (((e.hi - 1.0) + e.tail) * e.r + e.hi * e.q);
    return fg_pair_of(two.hi, (one.lo + two.lo) + s * lo);
}

/* The sign is that of x, also of -0. */
FG_INLINE double fg_expm1_text(double x) {
    fg_pair p = fg_expm1_pair(x, 0);
    return fg_with_sign(p.hi + p.lo, x);
}

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
/* A subnormal value is rounded twice: 0.76 units. */
FG_FUNCTION double fg_exp(double x) {
    double y;
    if (fg_size(x) < FG_EXP_REACH) return fg_exp_text(x);
    y = fg_exp_value(fg_exp_split(x, 0.0));
    y = x > 709.79 ? fg_inf() : y;
    return x < -745.14 ? 0.0 : y;
}

FG_FUNCTION double fg_exp2(double x) {
    double y;
    if (fg_size(x) < FG_EXP_REACH) return fg_exp2_text(x);
    y = fg_exp_value(fg_exp2_split(x));
    y = x >= 1024.0 ? fg_inf() : y;
    return x < -1075.5 ? 0.0 : y;
}

FG_FUNCTION double fg_expm1(double x) {
    if (fg_size(x) < FG_EXP_REACH) return fg_expm1_text(x);
    return x < 0.0 ? -1.0 : fg_exp(x);
}
#endif

#endif
