/* Sine, cosine, tangent: quarter turns are taken off, then polynomials.
 *
 * Below 2^17 they are taken off in four parts of pi/2 (Cody, Waite 1980), in vectors, too. Beyond,
 * the argument times those bits of 2/pi that matter is computed in whole numbers (Payne, Hanek
 * 1983), of one number at a time. */
#ifndef FASTGRAD_FUNCTIONS_TRIGONOMETRIC_H
#define FASTGRAD_FUNCTIONS_TRIGONOMETRIC_H

#include "functions/basic.h"

typedef struct {
    fg_pair rest;      /* within pi/4, but for rounding */
    uint64_t quarters; /* the quarter turns taken off, modulo 4 */
} fg_angle;

#define FG_ANGLE_REACH 0x1p17

/* n < 2^17 and the parts A, B, C have 36 bits: products with them are exact, and the first
 * difference is, too. The fourth reaches 2^-168; no rest of a double here is below 2^-60. */
FG_INLINE fg_angle fg_angle_near(double x) {
    double t = x * FG_TWO_OVER_PI + FG_MAGIC, n = t - FG_MAGIC;
    fg_pair a = fg_sum(x - n * FG_PI_2_A, -(n * FG_PI_2_B)), b = fg_sum(a.hi, -(n * FG_PI_2_C));
    fg_angle angle;
    angle.rest = fg_fast_sum(b.hi, (b.lo + a.lo) - n * FG_PI_2_D);
    angle.quarters = fg_bits(t);
    return angle;
}

/* The sine of an angle and some more quarters. With r + rl for the rest, z = r^2, and rl to first
 * order, sin(r + rl) = r + (rl (1 - z/2) + r z S(z)), cos(r + rl) = 1 - z/2 + (z^2 C(z) - r rl).
 * The sine: |r z S| < 0.103 |r| has three roundings: 0.5 + 3 * 0.103 = 0.81 units. The cosine: a
 * unit is 2^-53, that of z/2 < 0.31 is half a rounding of z, 2^-55, and z^2 C < 0.016 has three:
 * 0.5 + 0.25 + 3 * 0.016 = 0.8 units. */
FG_INLINE double fg_sine_of(fg_angle angle, uint64_t more) {
    double r = angle.rest.hi, rl = angle.rest.lo;
    double z = r * r, z2 = z * z, z4 = z2 * z2, half = 0.5 * z, w = 1.0 - half;
    double s = FG_SIN_0 +
               (z * FG_SIN_1 + (z2 * (FG_SIN_2 + z * FG_SIN_3) + z4 * (FG_SIN_4 + z * FG_SIN_5)));
    double c = FG_COS_0 +
               (z * FG_COS_1 + (z2 * (FG_COS_2 + z * FG_COS_3) + z4 * (FG_COS_4 + z * FG_COS_5)));
    double sine = r + (rl * w + (r * z) * s);
    double cosine = w + (((1.0 - w) - half) + (z2 * c - r * rl));
    uint64_t k = angle.quarters + more, odd = 0 - (k & 1);
    return fg_from_bits(((fg_bits(cosine) & odd) | (fg_bits(sine) & ~odd)) ^ (k >> 1 & 1) << 63);
}

/* |x| < 2^17 */
FG_INLINE double fg_sin_text(double x) {
    double y = fg_sine_of(fg_angle_near(x), 0);
    return fg_size(x) < 0x1p-27 ? x : y;
}

FG_INLINE double fg_cos_text(double x) { return fg_sine_of(fg_angle_near(x), 1); }

/* Sine and cosine of the rest as pairs: what is above, but z is one too. r z S and z^2 C are
 * rounded three times: 3 * 0.111 * 2^-53 of the sine, 3 * 0.023 * 2^-53 of the cosine. In `flip`
 * the bits are set where the quarters are odd: there the two change places, and one its sign. */
typedef struct {
    fg_pair sine, cosine;
    uint64_t flip;
} fg_arc;

FG_INLINE fg_arc fg_arc_of(fg_angle angle) {
    double r = angle.rest.hi, rl = angle.rest.lo;
    fg_pair square = fg_product(r, r), one = fg_fast_sum(1.0, -0.5 * square.hi);
    double z = square.hi, z2 = z * z, z4 = z2 * z2, zl = square.lo + 2.0 * r * rl;
    double s = FG_SIN_0 +
               (z * FG_SIN_1 + (z2 * (FG_SIN_2 + z * FG_SIN_3) + z4 * (FG_SIN_4 + z * FG_SIN_5)));
    double c = FG_COS_0 +
               (z * FG_COS_1 + (z2 * (FG_COS_2 + z * FG_COS_3) + z4 * (FG_COS_4 + z * FG_COS_5)));
    fg_arc arc;
    arc.sine = fg_pair_of(r, (r * z) * s + (rl + r * zl * FG_SIN_0));
    arc.cosine = fg_pair_of(one.hi, one.lo + (z2 * c - 0.5 * zl));
    arc.flip = 0 - (angle.quarters & 1);
    return arc;
}

FG_INLINE fg_pair fg_pair_select(uint64_t mask, fg_pair a, fg_pair b) {
    return fg_pair_of(fg_select(mask, a.hi, b.hi), fg_select(mask, a.lo, b.lo));
}

/* Both errors, 0.41, that of S, 0.06, and a rounding: 0.97 units. */
FG_INLINE double fg_tan_of(fg_angle angle) {
    fg_arc arc = fg_arc_of(angle);
    fg_pair up = fg_pair_select(arc.flip, arc.cosine, arc.sine);
    fg_pair by = fg_pair_select(arc.flip, arc.sine, arc.cosine);
    fg_pair y = fg_quotient(up.hi + up.lo, up, 0.0, by);
    return fg_from_bits(fg_bits(y.hi + y.lo) ^ (arc.flip & 0x8000000000000000u));
}

/* The derivative, 1 / cos(x)^2: twice the error of the sine and a rounding, 1.3 units. */
FG_INLINE double fg_tan_slope_of(fg_angle angle) {
    fg_arc arc = fg_arc_of(angle);
    fg_pair by = fg_pair_select(arc.flip, arc.sine, arc.cosine), square;
    by = fg_fast_sum(by.hi, by.lo), square = fg_product(by.hi, by.hi);
    square.lo += 2.0 * by.hi * by.lo;
    by = fg_quotient(1.0, fg_pair_of(1.0, 0.0), 0.0, square);
    return by.hi + by.lo;
}

/* |x| < 2^17 */
FG_INLINE double fg_tan_text(double x) {
    double y = fg_tan_of(fg_angle_near(x));
    return fg_size(x) < 0x1p-27 ? x : y;
}

FG_INLINE double fg_tan_slope_text(double x) { return fg_tan_slope_of(fg_angle_near(x)); }

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
/* x = m 2^e, m of 53 bits. Bits of 2/pi worth 4/m and more give whole turns; the 192 behind them
 * are multiplied by m, modulo 4, which leaves an error below 2^-137. No double is nearer to a
 * multiple of pi/2 than 2^-62 of a quarter turn, so the rest has some 75 bits. */
FG_HELPER fg_angle fg_angle_far(double x) {
    uint64_t u = fg_bits(x) & 0x7FFFFFFFFFFFFFFFu, m = (u & 0xFFFFFFFFFFFFFu) | 0x10000000000000u;
    uint64_t limb[6], product[6], carry, scale = 1023 - 30; /* limb[5] is worth 2^-30 quarters */
    int from = (int)(u >> 52) - 1075 - 2 + 64, i, over;     /* the table begins with 64 zeros */
    fg_pair rest = fg_pair_of(0.0, 0.0);
    fg_angle angle;
    if (u >= 0x7FF0000000000000u) { /* inf, nan */
        angle.rest = fg_pair_of(x - x, 0.0), angle.quarters = 0;
        return angle;
    }
    for (i = 0; i < 6; i++) { /* 32 bits each, the lowest first */
        const uint32_t *word = fg_two_over_pi + ((from + 160 - 32 * i) >> 5);
        limb[i] = ((uint64_t)word[0] << 32 | word[1]) >> (32 - (from & 31)) & 0xFFFFFFFFu;
    }
    for (carry = 0, i = 0; i < 6; i++, carry >>= 32) {
        carry += (m & 0xFFFFFFFFu) * limb[i];
        product[i] = carry & 0xFFFFFFFFu;
    }
    for (carry = 0, i = 1; i < 6; i++, carry >>= 32) {
        carry += (m >> 32) * limb[i - 1] + product[i];
        product[i] = carry & 0xFFFFFFFFu;
    }
    over = (int)(product[5] >> 29 & 1); /* half a quarter: the next one, less what is missing */
    angle.quarters = (product[5] >> 30) + (uint64_t)over;
    product[5] &= 0x3FFFFFFFu;
    for (carry = 1, i = 0; over && i < 6; i++, carry >>= 32) {
        carry += product[i] ^ (i < 5 ? 0xFFFFFFFFu : 0x3FFFFFFFu);
        product[i] = carry & 0xFFFFFFFFu;
    }
    for (i = 5; i >= 0; i--, scale -= 32)
        rest = fg_pair_sum(
            rest, fg_pair_of((double)(int64_t)product[i] * fg_from_bits(scale << 52), 0.0));
    rest = fg_pair_product(rest, fg_pair_of(FG_PI_2, FG_PI_2_LO));
    angle.rest = over != (x < 0.0) ? fg_pair_of(-rest.hi, -rest.lo) : rest;
    angle.quarters = x < 0.0 ? 0 - angle.quarters : angle.quarters;
    return angle;
}

FG_HELPER double fg_sin_far(double x) { return fg_sine_of(fg_angle_far(x), 0); }

FG_HELPER double fg_cos_far(double x) { return fg_sine_of(fg_angle_far(x), 1); }

FG_HELPER double fg_tan_far(double x) { return fg_tan_of(fg_angle_far(x)); }

FG_HELPER double fg_tan_slope_far(double x) { return fg_tan_slope_of(fg_angle_far(x)); }

/* Of one number below pi/4 the quarters can be spared: there are none. */
FG_INLINE fg_angle fg_angle_small(double x) {
    fg_angle angle;
    angle.rest = fg_pair_of(x, 0.0), angle.quarters = 0;
    return angle;
}

FG_FUNCTION double fg_sin(double x) {
    double a = fg_size(x);
    if (a < 0.785 && a > 0x1p-27) return fg_sine_of(fg_angle_small(x), 0);
    return fg_is_far(FG_ANGLE_REACH, x) ? fg_sin_far(x) : fg_sin_text(x);
}

FG_FUNCTION double fg_cos(double x) {
    if (fg_size(x) < 0.785) return fg_sine_of(fg_angle_small(x), 1);
    return fg_is_far(FG_ANGLE_REACH, x) ? fg_cos_far(x) : fg_cos_text(x);
}

FG_FUNCTION double fg_tan(double x) {
    double a = fg_size(x);
    if (a < 0.785 && a > 0x1p-27) return fg_tan_of(fg_angle_small(x));
    return fg_is_far(FG_ANGLE_REACH, x) ? fg_tan_far(x) : fg_tan_text(x);
}

FG_FUNCTION double fg_tan_slope(double x) {
    if (fg_size(x) < 0.785) return fg_tan_slope_of(fg_angle_small(x));
    return fg_is_far(FG_ANGLE_REACH, x) ? fg_tan_slope_far(x) : fg_tan_slope_text(x);
}
#endif

#endif
