/* Power: one x ** k for a few k, with the bits of libm's pow but mostly without it.
 *
 * The power's 53 leading bits are found in whole numbers, and the rest tells how far it is from the
 * middle between two doubles. glibc's pow rounds once, too, a value that is off by less than 0.0155
 * units in the last place within the range here (tape/kernels/powers.h has the bound), so where the
 * power is further than 1/64 from the middle both round to the same; elsewhere, for 3 % of all x,
 * and whatever is odd, pow itself is called. With another libm it always is. */
#ifndef FASTGRAD_POWER_H
#define FASTGRAD_POWER_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "config.h"

#if defined(__GLIBC__) && defined(__SIZEOF_INT128__) && !defined(OP_POWER_OF_LIBM)

__extension__ typedef unsigned __int128 op_wide;
__extension__ typedef __int128 op_signed_wide;

enum { OP_EXPONENT_BIAS = 1023, OP_EXPONENT_RANGE = 32 };

static inline uint64_t op_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline uint64_t op_fraction(uint64_t bits) { /* with its leading bit */
    return (bits & (((uint64_t)1 << 52) - 1)) | (uint64_t)1 << 52;
}
static inline int op_exponent(uint64_t bits) { return (int)(bits >> 52) & 0x7ff; }
static inline int op_is_tame(uint64_t bits) { /* 2**-32 <= |x| < 2**32 */
    return (unsigned)(op_exponent(bits) - OP_EXPONENT_BIAS + OP_EXPONENT_RANGE) <
           2 * OP_EXPONENT_RANGE;
}

/* Whether 64 bits behind the last place are 1/64 and more from a half. */
static inline int op_is_far(uint64_t rest) {
    return rest - ((uint64_t)31 << 58) > (uint64_t)1 << 59;
}

static inline double op_square(double x, int *sure) {
    const uint64_t bits = op_bits(x), m = op_fraction(bits);
    const op_wide p = (op_wide)m * m; /* of 105 or 106 bits */
    *sure = op_is_tame(bits) & op_is_far((uint64_t)p << (12 - (int)((uint64_t)(p >> 64) >> 41)));
    return x * x;
}

/* Whether a rounded quotient or root is near enough to it: it is too small by rest / unit. */
static inline int op_is_near(op_signed_wide rest, op_wide unit) {
    return (op_wide)(rest < 0 ? -rest : rest) * 64 < unit * 31;
}

static inline double op_inverse(double x, int *sure) {
    const uint64_t bits = op_bits(x), m = op_fraction(bits);
    const double y = 1.0 / x;
    const int64_t rest = (int64_t)(0 - op_fraction(op_bits(y)) * m); /* of 2**104 or 2**105 */
    *sure = op_is_tame(bits) & ((uint64_t)(rest < 0 ? -rest : rest) * 64 < m * 31);
    return y;
}

/* The third or fourth power: all bits of the product, then rounded. */
static inline double op_product_of(double x, int k, int *sure) {
    const uint64_t bits = op_bits(x), m = op_fraction(bits);
    uint64_t limb[4] = {m, 0, 0, 0};
    for (int i = 1; i < k; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < 4; j++) {
            const op_wide p = (op_wide)limb[j] * m + carry;
            limb[j] = (uint64_t)p;
            carry = (uint64_t)(p >> 64);
        }
    }
    /* m**3 has 157 to 159 bits, m**4 has 209 to 212: the first of them is in limb k - 1. */
    const int at = k - 2, by = 11 + 64 - __builtin_clzll(limb[k - 1]), drop = 64 * at + by;
    const uint64_t high = limb[at] >> by | limb[at + 1] << (64 - by);
    const uint64_t rest = limb[at] << (64 - by) | limb[at - 1] >> by;
    *sure = op_is_tame(bits) & op_is_far(rest);
    const int exponent = k * (op_exponent(bits) - OP_EXPONENT_BIAS - 52) + drop;
    const uint64_t scale = (uint64_t)(exponent + OP_EXPONENT_BIAS) << 52;
    double size;
    memcpy(&size, &scale, sizeof size);
    const double y = (double)(high + (rest >> 63)) * size;
    return x < 0.0 && k % 2 ? -y : y;
}

/* y by one unit up or down, if it is more than half a unit off: rest is what y is too small by. */
static inline double op_moved(double y, op_signed_wide *rest, op_wide unit) {
    uint64_t bits = op_bits(y);
    if (*rest > 0 && (op_wide)*rest * 2 > unit) bits++, *rest -= (op_signed_wide)unit;
    else if (*rest < 0 && (op_wide) - *rest * 2 > unit) bits--, *rest += (op_signed_wide)unit;
    memcpy(&y, &bits, sizeof y);
    return y;
}

static inline double op_inverse_square(double x, int *sure) {
    const uint64_t bits = op_bits(x), m = op_fraction(bits);
    const op_wide unit = (op_wide)m * m;
    double y = 1.0 / (x * x);
    const uint64_t q = op_fraction(op_bits(y));
    op_signed_wide rest = (op_signed_wide)(0 - q * unit); /* of a power of two beyond 128 bits */
    y = op_moved(y, &rest, unit);
    *sure = op_is_tame(bits) & (q - ((uint64_t)1 << 52) - 2 < ((uint64_t)1 << 52) - 4) &
            op_is_near(rest, unit);
    return y;
}

static inline double op_root(double x, int *sure) {
    const uint64_t bits = op_bits(x), m = op_fraction(bits);
    const double y = sqrt(x);
    const uint64_t root = op_bits(y), q = op_fraction(root);
    const int by = op_exponent(bits) + OP_EXPONENT_BIAS + 52 - 2 * op_exponent(root);
    const int64_t rest = (int64_t)((m << (by & 63)) - q * q);
    *sure = op_is_tame(bits) & (bits >> 63 == 0) & (q > (uint64_t)1 << 52 || !rest) &
            op_is_near(rest, 2 * (op_wide)q);
    return y;
}

static inline double op_inverse_root(double x, int *sure) {
    const uint64_t bits = op_bits(x), m = op_fraction(bits);
    double y = 1.0 / sqrt(x);
    const uint64_t q = op_fraction(op_bits(y));
    const op_wide unit = 2 * (op_wide)q * m;
    op_signed_wide rest = (op_signed_wide)(0 - (op_wide)q * q * m);
    y = op_moved(y, &rest, unit);
    *sure = op_is_tame(bits) & (bits >> 63 == 0) &
            (q - ((uint64_t)1 << 52) - 2 < ((uint64_t)1 << 52) - 4) & op_is_near(rest, unit);
    return y;
}

#if defined(__GNUC__)
__attribute__((noinline, unused))
#endif
static double op_power_other(double x, double k) {
    int sure = 0;
    double y = 0.0;
    if (k == -1.0) y = op_inverse(x, &sure);
    else if (k == 3.0) y = op_product_of(x, 3, &sure);
    else if (k == -2.0) y = op_inverse_square(x, &sure);
    else if (k == -0.5) y = op_inverse_root(x, &sure);
    else if (k == 0.5) y = op_root(x, &sure);
    else if (k == 4.0) y = op_product_of(x, 4, &sure);
    return sure ? y : pow(x, k);
}

static inline double op_power(double x, double k) {
    if (FASTGRAD_LIKELY(k == 2.0)) {
        int sure;
        const double y = op_square(x, &sure);
        if (FASTGRAD_LIKELY(sure)) return y;
    }
    return op_power_other(x, k);
}

#else
static inline double op_power(double x, double k) { return pow(x, k); }
#endif

#endif
