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
    uint64_t k; /* 128 k + j + 64 in the low bits */
} fg_exp_parts;

/* By what t = MAGIC + 128 k + j, a whole number, and r are; any t. */
FG_INLINE fg_exp_parts fg_exp_rows(double t, double r) {
    fg_exp_parts e;
    int64_t j = (int64_t)(fg_bits(t) & 127);
    e.hi = fg_from_bits(fg_exp_table[j][0]), e.tail = fg_from_bits(fg_exp_table[j][1]), e.r = r;
    e.q = r * r * ((FG_EXP_0 + r * FG_EXP_1) + r * r * (FG_EXP_2 + r * FG_EXP_3));
    e.k = fg_bits(t) + 64;
    return e;
}

/* Any x; the parts mean something for |x| < 2^20, where the product with FG_LN2_N_A is exact. */
FG_INLINE fg_exp_parts fg_exp_split(double x, double rest) {
    double t = x * FG_LOG2E_N + FG_MAGIC, k = t - FG_MAGIC;
    return fg_exp_rows(t, (x - k * FG_LN2_N_A) - (k * FG_LN2_N_B - rest));
}

FG_INLINE double fg_exp_lo(fg_exp_parts e) { return e.tail + e.hi * (e.r + e.q); }

/* 2^k: as one number, |x| < 708; as two factors, for any k, where the value may be subnormal. */
FG_INLINE double fg_exp_scale(fg_exp_parts e) { return fg_from_bits(((e.k >> 7) + 1023) << 52); }
FG_INLINE double fg_exp_half(fg_exp_parts e) { return fg_from_bits(((e.k >> 8) + 1023) << 52); }
FG_INLINE double fg_exp_other(fg_exp_parts e) {
    return fg_from_bits(((e.k >> 7) - (e.k >> 8) + 1023) << 52);
}

FG_INLINE double fg_exp_value(fg_exp_parts e) {
    return (e.hi + fg_exp_lo(e)) * fg_exp_half(e) * fg_exp_other(e);
}

/* A subnormal value is rounded twice: 0.76 units. */
FG_INLINE double fg_exp_text(double x) {
    double y = fg_exp_value(fg_exp_split(x, 0.0));
    y = x > 709.79 ? fg_inf() : y;
    return x < -745.14 ? 0.0 : y;
}

/* exp(x) / 2, which may be finite where exp(x) is not; x > 0. */
FG_INLINE double fg_exp_half_text(double x) {
    fg_exp_parts e = fg_exp_split(x, 0.0);
    double y = 0.5 * (e.hi + fg_exp_lo(e)) * fg_exp_half(e) * fg_exp_other(e);
    return x > 711.0 ? fg_inf() : y;
}

/* exp(-a) as a pair, a >= 0, and, rounded once, as a number. From 708 on the pair is rough, and the
 * number still good. */
FG_INLINE fg_pair fg_decay(double a, double rest, double *whole) {
    fg_exp_parts e = fg_exp_split(-a, -rest);
    double half = fg_exp_half(e), other = fg_exp_other(e), lo = fg_exp_lo(e);
    *whole = (e.hi + lo) * half * other;
    return fg_pair_of(e.hi * half * other, lo * half * other);
}

/* by u / (1 + u)^2, u = exp(-a), a >= 0, by a power of two */
FG_INLINE double fg_bell(double a, double by) {
    fg_exp_parts e = fg_exp_split(-a, 0.0);
    double half = fg_exp_half(e), other = fg_exp_other(e), lo = fg_exp_lo(e), whole, y;
    fg_pair u = fg_pair_of(e.hi * half * other, lo * half * other), d = fg_fast_sum(1.0, u.hi), q;
    d.lo += u.lo;
    d = fg_halves(d, d);
    q = fg_quotient(u.hi + u.lo, u, 0.0, d);
    whole = by * (e.hi + lo) * half * other;
    y = a > 40.0 ? whole : by * (q.hi + q.lo);
    return a > 750.0 ? 0.0 : y;
}

/* 2^x: r is the rest times log(2). */
FG_INLINE double fg_exp2_text(double x) {
    double t = x * 128.0 + FG_MAGIC, y;
    y = fg_exp_value(fg_exp_rows(t, (x - (t - FG_MAGIC) * 0x1p-7) * FG_LN2));
    y = x >= 1024.0 ? fg_inf() : y;
    return x < -1075.5 ? 0.0 : y;
}

/* exp(x) - 1 as a pair, |x| < 708: (s hi - 1) + s r without rounding, then what is below 0.004 s.
 * The rounding of r counts here, and tail r. `positive`: x >= 0 is known. */
FG_INLINE fg_pair fg_expm1_pair(double x, int positive) {
    double t = x * FG_LOG2E_N + FG_MAGIC, k = t - FG_MAGIC;
    double a = x - k * FG_LN2_N_A, b = k * FG_LN2_N_B;
    fg_exp_parts e = fg_exp_rows(t, a - b);
    double s = fg_exp_scale(e), left = (a - e.r) - b;
    fg_pair one = positive ? fg_fast_sum(e.hi * s, -1.0) : fg_sum(e.hi * s, -1.0);
    fg_pair two = fg_fast_sum(one.hi, e.r * s);
    double lo = (e.tail + left) + (((e.hi - 1.0) + e.tail) * e.r + e.hi * e.q);
    return fg_pair_of(two.hi, (one.lo + two.lo) + s * lo);
}

FG_INLINE double fg_expm1_text(double x) {
    fg_pair p = fg_expm1_pair(x, 0);
    double y = p.hi + p.lo;
    y = x > 40.0 ? fg_exp_text(x) : y; /* the same parts: computed once */
    y = x < -40.0 ? -1.0 : y;
    return fg_size(x) < 0x1p-54 ? x : y;
}

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
/* A branch past the ends is quicker for one number. */
FG_FUNCTION double fg_exp(double x) {
    fg_exp_parts e;
    if (!(x > -708.0 && x < 709.0)) return fg_exp_text(x);
    e = fg_exp_split(x, 0.0);
    return (e.hi + fg_exp_lo(e)) * fg_exp_scale(e);
}

FG_FUNCTION double fg_exp2(double x) { return fg_exp2_text(x); }

FG_FUNCTION double fg_expm1(double x) {
    fg_pair p;
    if (!(fg_size(x) >= 0x1p-54 && fg_size(x) <= 40.0)) return fg_expm1_text(x);
    p = fg_expm1_pair(x, 0);
    return p.hi + p.lo;
}
#endif

#endif
