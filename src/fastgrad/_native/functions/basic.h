/* What the texts of the functions are made of: bits, sums and products of two doubles without
 * rounding, polynomials.
 *
 * A function that loops use is one text without a branch: the compiler makes vectors of it for
 * every SIMD level, and a single number gets the same text, so that all bits agree. Such a text has
 * only additions, products, quotients, square roots, comparisons that select, and of whole numbers
 * sums, logical shifts, and, or: SSE2, NEON and WebAssembly have those for 64 bits, but neither
 * conversions nor arithmetic shifts nor comparisons. Three rules keep loops vectorised:
 * -fno-trapping-math (setup.py); a table's index is an int64_t; and `c ? x : constant` comes after
 * a lookup or is an fg_pick, for before one gcc makes a jump of it. No fused multiply-add anywhere.
 */
#ifndef FASTGRAD_FUNCTIONS_BASIC_H
#define FASTGRAD_FUNCTIONS_BASIC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "functions/constants.h"

/* FG_INLINE is a text, or part of one. FG_HELPER and FG_FUNCTION are called: a module has one copy.
 * One of several files is compiled with FASTGRAD_FUNCTIONS_DECLARED, which the file that has the
 * functions undefines, and defines FASTGRAD_FUNCTIONS_EXTERN. */
#if defined(__GNUC__)
#define FG_HELPER static __attribute__((noinline, unused))
#define FG_INLINE static inline __attribute__((always_inline, unused))
#else
#define FG_HELPER static
#define FG_INLINE static inline
#endif
#if defined(FASTGRAD_FUNCTIONS_DECLARED) || defined(FASTGRAD_FUNCTIONS_EXTERN)
#define FG_FUNCTION
#else
#define FG_FUNCTION FG_HELPER
#endif

/* ---- bits ---- */

FG_INLINE uint64_t fg_bits(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

FG_INLINE double fg_from_bits(uint64_t u) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* The upper 26 bits of a significand: the product of two such is exact. */
FG_INLINE double fg_top(double x) { return fg_from_bits(fg_bits(x) & 0xFFFFFFFFF8000000u); }

/* The upper 13 bits: its square has 26. */
FG_INLINE double fg_cut(double x) { return fg_from_bits(fg_bits(x) & 0xFFFFFF0000000000u); }

/* The upper 17 bits: the product of three such is exact. */
FG_INLINE double fg_third(double x) { return fg_from_bits(fg_bits(x) & 0xFFFFFFF000000000u); }

FG_INLINE double fg_size(double x) { return fg_from_bits(fg_bits(x) & 0x7FFFFFFFFFFFFFFFu); }

FG_INLINE double fg_with_sign(double x, double of) { /* x >= 0, or has it anyway */
    return fg_from_bits(fg_bits(x) | (fg_bits(of) & 0x8000000000000000u));
}

/* c ? a : b by its bits, for what comes before a lookup. */
FG_INLINE double fg_pick(int c, double a, double b) {
    uint64_t mask = -(uint64_t)c;
    return fg_from_bits((fg_bits(a) & mask) | (fg_bits(b) & ~mask));
}

/* All bits where x is negative; and a there, else b. Where one condition selects more than once,
 * SSE2 has vectors of this only. */
FG_INLINE uint64_t fg_negative(double x) { return 0 - (fg_bits(x) >> 63); }

FG_INLINE double fg_select(uint64_t mask, double a, double b) {
    return fg_from_bits((fg_bits(a) & mask) | (fg_bits(b) & ~mask));
}

FG_INLINE double fg_inf(void) { return fg_from_bits(0x7FF0000000000000u); }

FG_INLINE double fg_nan(void) { return fg_from_bits(0x7FF8000000000000u); }

/* c0 + c1 x + ... c7 x^7, coefficients that are named so; x2 = x^2, x4 = x^4. */
#define FG_POLYNOMIAL_8(c, i0, i1, i2, i3, i4, i5, i6, i7, x, x2, x4)                              \
    (((c##i0 + x * c##i1) + x2 * (c##i2 + x * c##i3)) +                                            \
        x4 * ((c##i4 + x * c##i5) + x2 * (c##i6 + x * c##i7)))

/* ---- how far a text reaches ----
 *
 * A text in a loop need not hold for all numbers: a loop asks fg_far_bit of its samples, and has
 * those where bit 63 is set computed one by one, by the function of the same name, which may
 * branch. So no text selects what nobody asks for. A reach is a number that all |x| have to be
 * below, or: */
#define FG_ANYWHERE 0.0
#define FG_NORMAL (-1.0)          /* x is positive and normal */
#define FG_NORMAL_BEHIND_1 (-2.0) /* 1 + x is */

FG_INLINE uint64_t fg_far_bit(double reach, double x) {
    uint64_t u = fg_bits(reach == FG_NORMAL_BEHIND_1 ? 1.0 + x : x);
    if (reach == FG_ANYWHERE) return 0;
    if (reach < 0.0) return u | (u + 0x0010000000000000u) | (u - 0x0010000000000000u);
    return (u & 0x7FFFFFFFFFFFFFFFu) + (0x8000000000000000u - fg_bits(reach));
}

FG_INLINE int fg_is_far(double reach, double x) { return (int)(fg_far_bit(reach, x) >> 63); }

#define FG_MAGIC 0x1.8p52 /* with it added, |x| < 2^51 is a whole number in the low bits */

/* ---- sums and products of two doubles, without rounding ---- */

typedef struct {
    double hi, lo;
} fg_pair; /* hi + lo, lo about a unit of hi at most */

FG_INLINE fg_pair fg_pair_of(double hi, double lo) {
    fg_pair p;
    p.hi = hi, p.lo = lo;
    return p;
}

/* |a| >= |b|, or a is 0. */
FG_INLINE fg_pair fg_fast_sum(double a, double b) {
    double s = a + b;
    return fg_pair_of(s, (a - s) + b);
}

FG_INLINE fg_pair fg_sum(double a, double b) {
    double s = a + b, t = s - a;
    return fg_pair_of(s, (a - (s - t)) + (b - t));
}

FG_INLINE fg_pair fg_product(double a, double b) {
    double ah = fg_top(a), al = a - ah, bh = fg_top(b), bl = b - bh, p = a * b;
    return fg_pair_of(p, (((ah * bh - p) + ah * bl) + al * bh) + al * bl);
}

/* n / d near half a unit by one division, n = of.hi + of.lo and d = one + by.hi + by.lo: a quotient
 * and a divisor of 26 bits each have an exact product, so what is left of n is known. n is of.hi +
 * of.lo rounded. */
FG_INLINE fg_pair fg_quotient(double n, fg_pair of, double one, fg_pair by) {
    double whole = one + (by.hi + by.lo), inverse = 1.0 / whole;
    double q = fg_top(n * inverse), high = fg_top(whole), low = ((one - high) + by.hi) + by.lo;
    return fg_pair_of(q, (((of.hi - q * high) + of.lo) - q * low) * inverse);
}

/* The same where by.hi has 26 bits, and by.lo is not small, of's rest neither: about 2^-12. */
FG_INLINE fg_pair fg_quotient_of_cut(fg_pair of, fg_pair by) {
    double inverse = 1.0 / (by.hi + by.lo), q = fg_top((of.hi + of.lo) * inverse);
    return fg_pair_of(q, (((of.hi - q * by.hi) + of.lo) - q * by.lo) * inverse);
}

/* a b to some 2^-75 of it, by the upper halves of both, whose product is exact. */
FG_INLINE fg_pair fg_halves(fg_pair a, fg_pair b) {
    double aw = a.hi + a.lo, bw = b.hi + b.lo, ah = fg_top(aw), bh = fg_top(bw);
    return fg_pair_of(ah * bh, ah * ((b.hi - bh) + b.lo) + ((a.hi - ah) + a.lo) * bw);
}

FG_INLINE fg_pair fg_pair_sum(fg_pair a, fg_pair b) {
    fg_pair s = fg_sum(a.hi, b.hi);
    return fg_fast_sum(s.hi, s.lo + (a.lo + b.lo));
}

FG_INLINE fg_pair fg_pair_product(fg_pair a, fg_pair b) {
    fg_pair p = fg_product(a.hi, b.hi);
    return fg_fast_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

/* The rest of the division is exact: it has the quotient's error in it. */
FG_INLINE fg_pair fg_pair_quotient(fg_pair a, fg_pair b) {
    double q = a.hi / b.hi;
    fg_pair p = fg_product(q, b.hi);
    return fg_fast_sum(q, (((a.hi - p.hi) - p.lo) + a.lo - q * b.lo) / b.hi);
}

/* sqrt(a), a > 0 */
FG_INLINE fg_pair fg_pair_root(fg_pair a) {
    double y = sqrt(a.hi);
    fg_pair p = fg_product(y, y);
    return fg_fast_sum(y, (((a.hi - p.hi) - p.lo) + a.lo) / (2.0 * y));
}

/* 1 / sqrt(a), by a step of Newton's, whose rest is known: 0.5 units and 2^-51. */
FG_INLINE double fg_inverse_root(fg_pair a) {
    double y = 1.0 / sqrt(a.hi), miss;
    fg_pair p = fg_product(y, y), q = fg_product(a.hi, p.hi);
    miss = ((1.0 - q.hi) - q.lo) - (a.hi * p.lo + a.lo * p.hi);
    return a.hi > 0.0 ? y + 0.5 * (y * miss) : y; /* inf, nan */
}

/* (1 - x) (1 + x) */
FG_INLINE fg_pair fg_one_less_square(double x) {
    return fg_pair_product(fg_sum(1.0, -x), fg_sum(1.0, x));
}

/* A power of two that brings numbers from 0 on so near to 1 that squares stay in range. */
FG_INLINE double fg_scale_of(double a, double b) {
    double most = a > b ? a : b;
    return most > 0x1p400 ? 0x1p-600 : most < 0x1p-400 ? 0x1p600 : 1.0;
}

/* A polynomial of n coefficients, the highest first; the last `pairs` have rests. */
FG_HELPER fg_pair fg_polynomial(const double *c, int n, const double *rests, int pairs, fg_pair t) {
    double p = c[0];
    fg_pair sum, product;
    int i = 1;
    for (; i < n - pairs; i++) p = p * t.hi + c[i];
    sum = fg_pair_of(p, 0.0);
    for (; i < n; i++) {
        product = fg_product(sum.hi, t.hi);
        product.lo += sum.hi * t.lo + sum.lo * t.hi;
        sum = fg_sum(c[i], product.hi);
        sum = fg_fast_sum(sum.hi, sum.lo + (product.lo + rests[i - (n - pairs)]));
    }
    return sum;
}

#define FG_COUNT(array) (int)(sizeof(array) / sizeof(array)[0])
#define FG_POLYNOMIAL(c, t) fg_polynomial(c, FG_COUNT(c), c, 0, fg_pair_of(t, 0.0)).hi
#define FG_POLYNOMIAL_PAIR(c, t) fg_polynomial(c, FG_COUNT(c), c##_lo, FG_COUNT(c##_lo), t)

#endif
