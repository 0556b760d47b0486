/* Powers. */
#ifndef FASTGRAD_FUNCTIONS_POWER_H
#define FASTGRAD_FUNCTIONS_POWER_H

#include "functions/exponential.h"
#include "functions/logarithm.h"

/* log(x) + shift log(2) to some 2^-66 of itself, x normal and positive: as fg_log_sum, with what
 * the rows' l leave, r^2/2 as a pair and one coefficient more. */
FG_INLINE fg_pair fg_log_fine(double x, double shift) {
    uint64_t u = fg_bits(x) - FG_LOG_START, e = u & 0xFFF0000000000000u;
    int64_t j = (int64_t)(u >> 45 & 127);
    double c = fg_from_bits(fg_log_table[j][0]), l = fg_from_bits(fg_log_table[j][1]);
    double k = fg_from_bits(((e ^ 0x8000000000000000u) >> 52) | 0x4330000000000000u);
    double m = fg_from_bits(fg_bits(x) - e), high = fg_top(m), low = m - high, tail, h, square, p;
    double half_square, left;
    fg_pair r = fg_fast_sum(high * c - 1.0, low * c), one, two, three;
    tail = fg_from_bits(fg_log_tails[j][0]);
    k = (k - (0x1p52 + 2048.0)) + shift;
    h = fg_top(r.hi), square = r.hi * r.hi, half_square = 0.5 * (h * h);
    left = 0.5 * ((r.hi - h) * (r.hi + h)) + r.hi * r.lo;
    p = (FG_POW_0 + r.hi * FG_POW_1) +
        square * ((FG_POW_2 + r.hi * FG_POW_3) + square * (FG_POW_4 + r.hi * FG_POW_5));
    p *= square * r.hi;
    one = fg_fast_sum(k * FG_LN2_A, l), two = fg_fast_sum(one.hi, r.hi);
    three = fg_fast_sum(two.hi, -half_square);
    low = (one.lo + two.lo) + (three.lo + r.lo);
    return fg_fast_sum(three.hi, low + (((k * FG_LN2_B + tail) - left) + p));
}

/* exp(y log(x)), the product as a pair; then signs, and what C99 says of 0, 1, inf and nan. */
FG_INLINE double fg_pow_text(double x, double y) {
    double a = fg_size(x), b = fg_size(y), half = 0.5 * b, z;
    double up = fg_pick(a < 0x1p-1022, 0x1p54, 1.0), shift = fg_pick(a < 0x1p-1022, -54.0, 0.0);
    int whole = (b >= 0x1p52) | ((b + 0x1p52) - 0x1p52 == b);
    int odd = (b < 0x1p53) & whole & ((half + 0x1p52) - 0x1p52 != half);
    fg_pair l = fg_log_fine(a * up, shift), p;
    fg_exp_parts e;
    l.hi = fg_pick(a == 0.0, -fg_inf(), fg_pick(a < fg_inf(), l.hi, a));
    p = fg_product(y, l.hi);
    e = fg_exp_split(p.hi, p.lo + y * l.lo);
    z = fg_exp_value(e);
    z = fg_pick(p.hi > 709.79, fg_inf(), z);
    z = fg_pick(p.hi < -745.14, 0.0, z);
    z = fg_pick((x < 0.0) & (a < fg_inf()) & !whole, fg_nan(), z);
    z = fg_pick((a == 1.0) & whole, 1.0, z); /* (-1)^inf, too */
    z = fg_from_bits(fg_bits(z) ^ (fg_bits(x) & 0x8000000000000000u & -(uint64_t)odd));
    z = fg_pick(x == x, z, x);
    z = fg_pick(y == y, z, y);
    return fg_pick((x == 1.0) | (y == 0.0), 1.0, z);
}

/* The same of positive normal x, where the result is too; else bit 63 of *far is set. */
FG_INLINE double fg_pow_near(double x, double y, uint64_t *far) {
    fg_pair l = fg_log_fine(x, 0.0), p = fg_product(y, l.hi);
    fg_exp_parts e = fg_exp_split(p.hi, p.lo + y * l.lo);
    *far |= fg_far_bit(FG_NORMAL, x) | fg_far_bit(FG_EXP_REACH, p.hi);
    return (e.hi + fg_exp_lo(e)) * fg_exp_scale(e);
}

/* ---- a few exponents that are constants ---- */

/* x without its exponent, and 2 to that; 0 if x is 0 or subnormal, and infinite if x is. */
FG_INLINE double fg_significand(double x) {
    return fg_from_bits((fg_bits(x) & 0x800FFFFFFFFFFFFFu) | 0x3FF0000000000000u);
}
FG_INLINE double fg_exponential_part(double x) {
    return fg_from_bits(fg_bits(x) & 0x7FF0000000000000u);
}

/* The third and fourth power: of the significand as a pair, rounded once, then the exponents, of
 * which all but the last leave a normal number, or make no difference. */
FG_INLINE double fg_power_up(double x, int k) {
    double m = fg_significand(x), s = fg_exponential_part(x), y;
    fg_pair p = fg_product(m, m), q = fg_product(p.hi, k == 4 ? p.hi : m);
    q.lo += p.lo * (k == 4 ? 2.0 * p.hi : m);
    y = (q.hi + q.lo) * s * s * s;
    y = k == 4 ? y * s : y;
    return x == x ? y : x;
}

/* Their inverses, and that of the square. */
FG_INLINE double fg_power_down(double x, int k) {
    double m = fg_significand(x), y;
    double s = fg_from_bits(0x7FE0000000000000u - fg_bits(fg_exponential_part(x)));
    fg_pair p = fg_product(m, m), q;
    if (k == 3) {
        q = fg_product(p.hi, m);
        p = fg_pair_of(q.hi, q.lo + p.lo * m);
    }
    q = fg_quotient(1.0, fg_pair_of(1.0, 0.0), 0.0, p);
    y = (q.hi + q.lo) * s * s;
    y = k == 3 ? y * s : y;
    y = fg_size(x) < fg_inf() ? y : k == 3 ? fg_with_sign(0.0, x) : 0.0;
    return x == x ? y : x;
}

FG_INLINE double fg_power_root(double x) { /* of -0 it is 0, of -inf inf */
    double y = sqrt(fg_size(x));
    return x < 0.0 && x > -fg_inf() ? fg_nan() : x == x ? y : x;
}

/* 1 / sqrt(x) = 2^-h / sqrt(m), x = 4^h m, 1 <= m < 4 */
FG_INLINE double fg_power_inverse_root(double x) {
    double a = fg_size(x), up = a < 0x1p-1022 ? 0x1p54 : 1.0, m, root, y;
    double by = a < 0x1p-1022 ? 0x1p27 : 1.0;
    uint64_t u = fg_bits(a * up), h = ((u >> 52) + 1023) >> 1; /* of 2^h, biased */
    fg_pair square, q;
    m = fg_from_bits(u + 0x7FE0000000000000u - (h << 53));
    root = sqrt(m);
    square = fg_product(root, root);
    q.lo = ((m - square.hi) - square.lo) / (2.0 * root);
    q = fg_quotient(1.0, fg_pair_of(1.0, 0.0), 0.0, fg_pair_of(root, q.lo));
    y = (q.hi + q.lo) * fg_from_bits((2046 - h) << 52) * by;
    y = a == 0.0 ? fg_inf() : y;
    y = a < fg_inf() ? y : 0.0;
    return x < 0.0 && x > -fg_inf() ? fg_nan() : x == x ? y : x;
}

/* The exponents that have a text of their own. */
#define FG_EACH_POWER(X) X(-3.0) X(-2.0) X(-1.0) X(-0.5) X(0.5) X(1.0) X(2.0) X(3.0) X(4.0)

/* x^k, k one of those and a constant: x, x x, 1/x and the root are what they are. */
FG_INLINE double fg_power_text(double x, double k) {
    if (k == 1.0) return x;
    if (k == 2.0) return x * x;
    if (k == -1.0) return 1.0 / x;
    if (k == 0.5) return fg_power_root(x);
    if (k == -0.5) return fg_power_inverse_root(x);
    return k > 0.0 ? fg_power_up(x, (int)k) : fg_power_down(x, (int)-k);
}

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
FG_FUNCTION double fg_pow(double x, double y) {
    uint64_t far = 0;
    double z = fg_pow_near(x, y, &far);
    return far >> 63 ? fg_pow_text(x, y) : z;
}

FG_FUNCTION double fg_power(double x, double k) {
#define FG_POWER(c)                                                                                \
    if (k == (c)) return fg_power_text(x, c);
    if (k + k == (double)(int)(fg_size(k) < 8.0 ? k + k : 0.0)) { FG_EACH_POWER(FG_POWER) }
    return fg_pow(x, k);
}
#endif

#endif
