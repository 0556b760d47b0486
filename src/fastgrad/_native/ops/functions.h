/* Functions of the table that C99 lacks, or that its libraries round each in its own way: one text
 * for all machines, of additions, products, quotients, square roots and what C99 rounds exactly.
 * Compile with -ffp-contract=off. tools/ops/expression.py names those that texts may call. */
#ifndef FASTGRAD_FUNCTIONS_H
#define FASTGRAD_FUNCTIONS_H

#include <math.h>
#include <string.h>

/* Never inline: a loop over samples gains nothing, and a module has one copy. A module of several
 * files is compiled with FASTGRAD_FUNCTIONS_DECLARED, which the one that has the functions
 * undefines, and defines FASTGRAD_FUNCTIONS_EXTERN. */
#if defined(__GNUC__)
#define FG_HELPER static __attribute__((noinline, unused))
#define FG_INLINE static inline __attribute__((unused))
#else
#define FG_HELPER static
#define FG_INLINE static inline
#endif
#if defined(FASTGRAD_FUNCTIONS_DECLARED) || defined(FASTGRAD_FUNCTIONS_EXTERN)
#define FG_FUNCTION
#else
#define FG_FUNCTION FG_HELPER
#endif

FG_FUNCTION double fg_exp2(double a);
FG_FUNCTION double fg_log2(double a);
FG_FUNCTION double fg_log10(double a);
FG_FUNCTION double fg_cbrt(double a);
FG_FUNCTION double fg_asinh(double a);
FG_FUNCTION double fg_acosh(double a);
FG_FUNCTION double fg_atanh(double a);
FG_FUNCTION double fg_gauss(double a);
FG_FUNCTION double fg_erfc(double a);
FG_FUNCTION double fg_lgamma(double a);
FG_FUNCTION double fg_digamma(double a);
FG_FUNCTION double fg_trigamma(double a);
FG_FUNCTION double fg_tetragamma(double a);
FG_FUNCTION double fg_pentagamma(double a);
FG_FUNCTION double fg_mod(double a, double b);
FG_FUNCTION double fg_floordiv(double a, double b);
FG_FUNCTION double fg_round(double a, double digits);
FG_FUNCTION double fg_logaddexp(double a, double b);
FG_FUNCTION double fg_share(double a, double b);

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
#include "ops/constants.h"

/* ---- whole numbers ---- */

/* Python's a % b: the remainder has the sign of b; nan where b is 0. */
FG_FUNCTION double fg_mod(double a, double b) {
    double rest = fmod(a, b);
    if (rest == 0.0) return copysign(0.0, b);
    return (b < 0.0) != (rest < 0.0) ? rest + b : rest;
}

/* Python's a // b: the quotient is a whole number but for rounding; a / b where b is 0. */
FG_FUNCTION double fg_floordiv(double a, double b) {
    double rest = fmod(a, b), quotient = (a - rest) / b, whole;
    if (b == 0.0) return a / b;
    if (rest != 0.0 && (b < 0.0) != (rest < 0.0)) quotient -= 1.0;
    if (quotient == 0.0) return copysign(0.0, a / b);
    whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

/* Python's round(a, digits), -22 <= digits <= 22: 10^|digits| is exact. What rounding took from
 * the product or quotient with it decides where that lies halfway; beyond 2^53 the last digit is
 * less than half a unit of a. */
FG_FUNCTION double fg_round(double a, double digits) {
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double size = fabs(digits), power, scaled, rest, whole;
    if (!(size <= 22.0) || floor(size) < size) return NAN; /* replay, where nothing raises */
    power = powers[(int)size];
    scaled = digits < 0.0 ? a / power : a * power;
    if (!(fabs(scaled) < 0x1p53)) return a;
    rest = digits < 0.0 ? fma(-scaled, power, a) : fma(a, power, -scaled);
    whole = rint(scaled);
    if (fabs(scaled - whole) == 0.5 && rest != 0.0)
        whole = rest > 0.0 ? ceil(scaled) : floor(scaled);
    whole = digits < 0.0 ? whole * power : whole / power;
    return copysign(whole, a);
}

/* ---- sums and products of two doubles, without rounding ---- */

typedef struct {
    double hi, lo;
} fg_pair; /* hi + lo, lo about a unit of hi at most */

FG_INLINE fg_pair fg_pair_of(double hi, double lo) {
    fg_pair p;
    p.hi = hi, p.lo = lo;
    return p;
}

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

/* ---- exp and log, of pairs and as pairs ---- */

#define FG_MAGIC 0x1.8p52 /* with it added, |x| < 2^51 is a whole number in the low bits */

typedef struct {
    double hi, lo;     /* their sum times both factors is the value */
    double half, rest; /* powers of two: the value may be denormal */
} fg_scaled;

/* 2^(k/128) e^r, k a whole number in the low bits of t = MAGIC + k. */
FG_INLINE fg_scaled fg_exp_parts(double t, double r) {
    const uint64_t *row = fg_exp_table[fg_bits(t) & 127], k = fg_bits(t) + 64;
    double hi = fg_from_bits(row[0]);
    double q = r * r * (((fg_exp[0] * r + fg_exp[1]) * r + fg_exp[2]) * r + fg_exp[3]);
    fg_scaled e;
    e.hi = hi, e.lo = fg_from_bits(row[1]) + hi * (r + q);
    e.half = fg_from_bits(((k >> 8) + 1023) << 52);
    e.rest = fg_from_bits(((k >> 7) - (k >> 8) + 1023) << 52);
    return e;
}

/* exp(x + rest), |x| < 800 */
FG_INLINE fg_scaled fg_exp_of(double x, double rest) {
    double t = x * FG_LOG2E_N + FG_MAGIC, k = t - FG_MAGIC;
    return fg_exp_parts(t, (x - k * FG_LN2_N_A) - (k * FG_LN2_N_B - rest));
}

FG_INLINE double fg_scaled_value(fg_scaled e, double by) {
    return (e.hi + e.lo) * by * e.half * e.rest;
}

FG_FUNCTION double fg_exp2(double a) {
    double t = a * 128.0 + FG_MAGIC, r;
    if (!(fabs(a) < 1100.0)) return a < 0.0 ? 0.0 : a > 0.0 ? HUGE_VAL : a;
    r = (a - (t - FG_MAGIC) / 128.0) * FG_LN2;
    return fg_scaled_value(fg_exp_parts(t, r), 1.0);
}

typedef struct {
    double k;
    fg_pair m;
} fg_log_parts; /* k log(2) + m */

/* The parts of log(x + rest), x > 0, rest about a unit of x at most. */
FG_HELPER fg_log_parts fg_log_of(double x, double rest) {
    double down = 0.0, c, l, m, mh, ml, rl, square, p;
    uint64_t u, e, *bits = &u;
    fg_pair r, sum;
    fg_log_parts parts;
    const uint64_t *row;
    if (x < 0x1p-1022) x *= 0x1p54, rest *= 0x1p54, down = 54.0;
    *bits = fg_bits(x) - FG_LOG_START;
    e = u & 0xFFF0000000000000u;
    row = fg_log_table[u >> 45 & 127];
    /* e >> 52 has a sign: adding 2048 takes it away, and 2^52 + that is a double by its bits */
    parts.k = fg_from_bits(((e ^ 0x8000000000000000u) >> 52) | 0x4330000000000000u);
    parts.k -= 0x1p52 + 2048.0 + down;
    m = fg_from_bits(fg_bits(x) - e), c = fg_from_bits(row[0]), l = fg_from_bits(row[1]);
    mh = fg_top(m), ml = m - mh; /* c has 24 bits: both products are exact */
    r = fg_fast_sum(mh * c - 1.0, ml * c);
    rl = r.lo + 0.5 * rest * fg_from_bits(0x4000000000000000u - e) * c;
    square = r.hi * r.hi;
    p = (((fg_log[0] * r.hi + fg_log[1]) * r.hi + fg_log[2]) * r.hi + fg_log[3]) * r.hi + fg_log[4];
    p = square * r.hi * p - 0.5 * square;
    sum = fg_fast_sum(l, r.hi);
    parts.m = fg_pair_of(sum.hi, sum.lo + (p + (rl - rl * r.hi)));
    return parts;
}

/* log(x + rest) + shift log(2) */
FG_INLINE fg_pair fg_log_pair(double x, double rest, double shift) {
    fg_log_parts parts = fg_log_of(x, rest);
    double k = parts.k + shift;
    fg_pair sum = fg_sum(k * FG_LN2_A, parts.m.hi);
    return fg_fast_sum(sum.hi, sum.lo + (k * FG_LN2_B + parts.m.lo));
}

/* What logarithms give but for 0 < a < inf. */
FG_INLINE double fg_log_end(double a) {
    return a == 0.0 ? -HUGE_VAL : a > 0.0 ? a : a < 0.0 ? NAN : a;
}

FG_FUNCTION double fg_log2(double a) {
    fg_log_parts parts;
    fg_pair p;
    if (!(a > 0.0 && a < HUGE_VAL)) return fg_log_end(a);
    parts = fg_log_of(a, 0.0);
    p = fg_pair_product(parts.m, fg_pair_of(FG_LOG2E, FG_LOG2E_LO));
    p = fg_pair_sum(fg_pair_of(parts.k, 0.0), p);
    return p.hi + p.lo;
}

FG_FUNCTION double fg_log10(double a) {
    fg_log_parts parts;
    fg_pair p;
    if (!(a > 0.0 && a < HUGE_VAL)) return fg_log_end(a);
    parts = fg_log_of(a, 0.0);
    p = fg_pair_product(parts.m, fg_pair_of(FG_LOG10E, FG_LOG10E_LO));
    p = fg_pair_sum(fg_pair_of(parts.k * FG_LOG10_2_A, parts.k * FG_LOG10_2_B), p);
    return p.hi + p.lo;
}

/* ---- the cube root ---- */

/* Halley's step triples the digits; the last is from 26 bits, whose cube has no error in a pair. */
FG_FUNCTION double fg_cbrt(double a) {
    int e, third, i;
    double m = frexp(fabs(a), &e), t, cube;
    fg_pair p;
    if (!(m > 0.0 && m < 1.0)) return a; /* 0, inf, nan */
    third = (e + 3000) / 3 - 1000;
    m = ldexp(m, e - 3 * third); /* 1/2 <= m < 4 */
    t = 0.6 + 0.3 * m;
    for (i = 0; i < 3; i++) cube = t * t * t, t += t * (m - cube) / (2.0 * cube + m);
    t = fg_top(t);
    p = fg_product(t * t, t);
    t += t * ((m - p.hi) - p.lo) / (2.0 * p.hi + m);
    return copysign(ldexp(t, third), a);
}

/* ---- inverse hyperbolic functions: logarithms of pairs ---- */

FG_FUNCTION double fg_asinh(double a) {
    double x = fabs(a), z = a * a;
    fg_pair s, y;
    if (!(x < HUGE_VAL) || x < 0x1p-30) return a;
    if (x < 0x1p-9) return a + a * z * (((-5.0 / 112.0 * z + 3.0 / 40.0) * z) - 1.0 / 6.0);
    if (x > 0x1p30) {
        y = fg_log_pair(x, 0.0, 1.0);
    } else {
        s = fg_product(x, x);
        s = fg_pair_root(fg_pair_sum(fg_pair_of(1.0, 0.0), s));
        s = fg_pair_sum(fg_pair_of(x, 0.0), s);
        y = fg_log_pair(s.hi, s.lo, 0.0);
    }
    return copysign(y.hi + y.lo, a);
}

FG_FUNCTION double fg_acosh(double a) {
    fg_pair s, y;
    if (!(a > 1.0)) return a == 1.0 ? 0.0 : NAN;
    if (!(a < HUGE_VAL)) return a;
    if (a > 0x1p30) {
        y = fg_log_pair(a, 0.0, 1.0);
    } else {
        s = fg_pair_root(fg_pair_product(fg_sum(a, -1.0), fg_sum(a, 1.0)));
        s = fg_pair_sum(fg_pair_of(a, 0.0), s);
        y = fg_log_pair(s.hi, s.lo, 0.0);
    }
    return y.hi + y.lo;
}

FG_FUNCTION double fg_atanh(double a) {
    double x = fabs(a);
    fg_pair p, q;
    if (!(x < 1.0)) return x == 1.0 ? copysign(HUGE_VAL, a) : NAN;
    if (x < 0x1p-9) return a + a * (a * a) * ((a * a / 7.0 + 1.0 / 5.0) * (a * a) + 1.0 / 3.0);
    p = fg_sum(1.0, x), q = fg_sum(1.0, -x);
    p = fg_log_pair(p.hi, p.lo, 0.0), q = fg_log_pair(q.hi, q.lo, 0.0);
    p = fg_pair_sum(p, fg_pair_of(-q.hi, -q.lo));
    return copysign(0.5 * (p.hi + p.lo), a);
}

/* ---- sums of exponentials ---- */

/* log(exp(a) + exp(b)) */
FG_FUNCTION double fg_logaddexp(double a, double b) {
    double large = a > b ? a : b, small = a > b ? b : a, u;
    fg_pair d, s, l;
    fg_scaled e;
    if (a != a || b != b) return a + b;
    if (fabs(large) == HUGE_VAL || small - large < -746.0) return large; /* small is -inf, too */
    d = fg_sum(small, -large);
    e = fg_exp_of(d.hi, d.lo);
    u = fg_scaled_value(e, 1.0);
    if (u < 0x1p-27) {
        l = fg_fast_sum(e.hi * e.half * e.rest, e.lo * e.half * e.rest - 0.5 * (u * u));
    } else {
        s = fg_sum(1.0, e.hi * e.half * e.rest);
        s = fg_fast_sum(s.hi, s.lo + e.lo * e.half * e.rest);
        l = fg_log_pair(s.hi, s.lo, 0.0);
    }
    s = fg_sum(large, l.hi);
    return s.hi + (s.lo + l.lo);
}

/* exp(a) / (exp(a) + exp(b)); 1/2 of equals, infinite ones too */
FG_FUNCTION double fg_share(double a, double b) {
    double u;
    fg_pair d, p;
    fg_scaled e;
    if (a != a || b != b) return a + b;
    if (a == b) return 0.5;
    d = a > b ? fg_sum(b, -a) : fg_sum(a, -b);
    if (!(d.hi > -746.0)) return a > b ? 1.0 : 0.0;
    e = fg_exp_of(d.hi, d.lo);
    u = fg_scaled_value(e, 1.0);
    if (u < 0x1p-60) return a > b ? 1.0 : u;
    p = fg_pair_of(e.hi * e.half * e.rest, e.lo * e.half * e.rest);
    p = fg_pair_quotient(a > b ? fg_pair_of(1.0, 0.0) : p, fg_pair_sum(fg_pair_of(1.0, 0.0), p));
    return p.hi + p.lo;
}

/* ---- the normal distribution's tail ---- */

/* exp(-a a), from the square without rounding, |a| < 38 */
FG_INLINE fg_scaled fg_exp_of_square(double a) {
    double x = fabs(a), high = fg_top(x), low = x - high;
    return fg_exp_of(-(high * high), -(low * (x + high)));
}

/* 2 / sqrt(pi) exp(-a a) */
FG_FUNCTION double fg_gauss(double a) {
    if (!(fabs(a) < 28.0)) return a == a ? 0.0 : a;
    return fg_scaled_value(fg_exp_of_square(a), FG_GAUSS);
}

FG_FUNCTION double fg_erfc(double a) {
    double x = fabs(a), y;
    fg_pair t, q, s;
    fg_scaled e;
    if (!(x < 28.0)) return a > 0.0 ? 0.0 : a < 0.0 ? 2.0 : a;
    t = fg_product(x, FG_SQRT2);
    t.lo += x * FG_SQRT2_LO;
    q = fg_pair_quotient(fg_pair_of(1.0, 0.0), fg_pair_sum(fg_pair_of(2.0, 0.0), t));
    s = fg_pair_sum(fg_pair_of(1.0, 0.0), fg_pair_of(-4.0 * q.hi, -4.0 * q.lo));
    s = fg_pair_product(FG_POLYNOMIAL_PAIR(fg_normal, s), q);
    e = fg_exp_of_square(x);
    t = fg_fast_sum(e.hi, e.lo);
    s = fg_pair_product(s, t);
    if (a < 0.0) {
        t = fg_sum(2.0, -2.0 * s.hi * e.half * e.rest);
        return t.hi + (t.lo - 2.0 * s.lo * e.half * e.rest);
    }
    y = (s.hi + s.lo) * 2.0;
    return y * e.half * e.rest;
}

/* ---- the gamma function's logarithm and its derivatives ---- */

typedef struct {
    fg_pair sine, cosine;
} fg_point;

FG_INLINE fg_pair fg_scale(fg_pair a, double by) { /* a power of two, or its negative */
    return fg_pair_of(a.hi * by, a.lo * by);
}

/* sin(pi x) and cos(pi x), |x| < 2^52 */
FG_HELPER fg_point fg_half_turns(double x) {
    double n, f;
    fg_pair z, sine, cosine;
    fg_point p;
    x -= 2.0 * rint(0.5 * x);
    n = rint(2.0 * x), f = x - 0.5 * n, z = fg_product(f, f);
    sine = fg_pair_product(FG_POLYNOMIAL_PAIR(fg_sinpi, z), fg_pair_of(f, 0.0));
    cosine = FG_POLYNOMIAL_PAIR(fg_cospi, z);
    if (n == 0.0) {
        p.sine = sine, p.cosine = cosine;
    } else if (fabs(n) == 1.0) {
        p.sine = fg_scale(cosine, n), p.cosine = fg_scale(sine, -n);
    } else {
        p.sine = fg_scale(sine, -1.0), p.cosine = fg_scale(cosine, -1.0);
    }
    return p;
}

FG_INLINE int fg_is_pole(double a) { return a <= 0.0 && floor(a) == a; }

/* log Gamma(x), x > 0, and for -1/2 < x < 0 too, log|Gamma(x)|; not overflowing */
FG_HELPER fg_pair fg_lgamma_pair(double x) {
    double t, y;
    fg_pair p, q;
    if (x < 0.5) { /* that of 1 + x, less log|x| */
        t = x;
        q = fg_log_pair(fabs(x), 0.0, 0.0);
        p = t < 0.0 ? FG_POLYNOMIAL_PAIR(fg_lgamma_below_1, fg_pair_of(t, 0.0))
                    : FG_POLYNOMIAL_PAIR(fg_lgamma_above_1, fg_pair_of(t, 0.0));
        p = fg_pair_product(p, fg_pair_of(t, 0.0));
        return fg_pair_sum(p, fg_pair_of(-q.hi, -q.lo));
    }
    if (x < 1.5) {
        t = x - 1.0;
        p = t < 0.0 ? FG_POLYNOMIAL_PAIR(fg_lgamma_below_1, fg_pair_of(t, 0.0))
                    : FG_POLYNOMIAL_PAIR(fg_lgamma_above_1, fg_pair_of(t, 0.0));
        return fg_pair_product(p, fg_pair_of(t, 0.0));
    }
    if (x < 8.0) { /* Gamma(x) = (x - 1) (x - 2) ... Gamma(y) */
        q = fg_pair_of(1.0, 0.0);
        for (y = x; y > 2.5; q = fg_pair_product(q, fg_pair_of(y, 0.0))) y -= 1.0;
        t = y - 2.0;
        p = FG_POLYNOMIAL_PAIR(fg_lgamma_at_2, fg_pair_of(t, 0.0));
        p = fg_pair_product(p, fg_pair_of(t, 0.0));
        return q.hi == 1.0 ? p : fg_pair_sum(fg_log_pair(q.hi, q.lo, 0.0), p);
    }
    q = fg_log_pair(x, 0.0, 0.0);
    if (x > 0x1p60) /* x (log(x) - 1): what else there is, is less than half a unit */
        return fg_pair_product(fg_pair_of(x, 0.0), fg_pair_sum(q, fg_pair_of(-1.0, 0.0)));
    p = fg_pair_product(fg_sum(x, -0.5), q);
    p = fg_pair_sum(p, fg_pair_of(-x, 0.0));
    y = FG_POLYNOMIAL(fg_lgamma_tail, 1.0 / x / x) / x;
    q = fg_sum(FG_LGAMMA_STIRLING, y);
    return fg_pair_sum(p, fg_pair_of(q.hi, q.lo + FG_LGAMMA_STIRLING_LO));
}

FG_FUNCTION double fg_lgamma(double a) {
    fg_pair p, q;
    if (a != a) return a;
    if (fabs(a) > 2.6e305 || fg_is_pole(a)) return HUGE_VAL;
    if (a <= -0.5) { /* Gamma(x) Gamma(-x) = -pi / (x sin(pi x)) */
        p = fg_pair_product(fg_half_turns(a).sine, fg_pair_of(a, 0.0));
        p = fg_scale(p, p.hi < 0.0 ? -1.0 : 1.0);
        p = fg_log_pair(p.hi, p.lo, 0.0);
        q = fg_lgamma_pair(-a);
        p = fg_pair_sum(p, q);
        p = fg_pair_sum(fg_pair_of(FG_LNPI, FG_LNPI_LO), fg_pair_of(-p.hi, -p.lo));
    } else {
        p = fg_lgamma_pair(a);
    }
    return p.hi + p.lo;
}

/* 1 / x as a pair */
FG_INLINE fg_pair fg_inverse(double x) {
    return fg_pair_quotient(fg_pair_of(1.0, 0.0), fg_pair_of(x, 0.0));
}

/* digamma(x), x > 0 */
FG_HELPER fg_pair fg_digamma_pair(double x) {
    double y = x;
    fg_pair p, q = fg_pair_of(0.0, 0.0), d;
    if (x >= 8.0) {
        p = fg_log_pair(x, 0.0, 0.0);
        y = 1.0 / x;
        y = -0.5 * y - FG_POLYNOMIAL(fg_digamma_tail, y * y) * (y * y);
        return fg_pair_sum(p, fg_pair_of(y, 0.0));
    }
    if (x < 1.0) { /* digamma(1 + x) - 1 / x, and 1 + x is not rounded */
        q = fg_inverse(-x);
        d = fg_sum(x, 1.0 - FG_DIGAMMA_ROOT);
        y = x - 0.5;
    } else {
        for (; y > 2.0; q = fg_pair_sum(q, fg_inverse(y))) y -= 1.0;
        d = fg_pair_of(y - FG_DIGAMMA_ROOT, 0.0);
        y -= 1.5;
    }
    d.lo -= FG_DIGAMMA_ROOT_LO;
    p = FG_POLYNOMIAL_PAIR(fg_digamma_slope, fg_pair_of(y, 0.0));
    return fg_pair_sum(fg_pair_product(p, d), q);
}

FG_FUNCTION double fg_digamma(double a) {
    fg_pair p;
    fg_point turn;
    if (fg_is_pole(a) || a < -0x1p52) return NAN;
    if (!(a < HUGE_VAL)) return a;
    if (fabs(a) < 0x1p-60) return -1.0 / a;
    if (a > 0.0) {
        p = fg_digamma_pair(a);
    } else if (a > -0.5) { /* digamma(1 + a) - 1 / a; 1 + a is a pair */
        double y = 1.0 + a;
        p = fg_digamma_pair(y);
        p.lo += (1.0 / (y * y) + 0.65) * (a - (y - 1.0)); /* about its derivative */
        p = fg_pair_sum(p, fg_inverse(-a));
    } else { /* digamma(-a) - 1 / a - pi cot(pi a) */
        turn = fg_half_turns(a);
        p = fg_pair_product(turn.cosine, fg_pair_of(-FG_PI, -FG_PI_LO));
        p = fg_pair_quotient(p, turn.sine);
        p = fg_pair_sum(p, fg_pair_sum(fg_digamma_pair(-a), fg_inverse(-a)));
    }
    return p.hi + p.lo;
}

/* |polygamma(n, x)|, x > 0, 1 <= n <= 3: n! / (x + i)^(n + 1), summed over i from `first` on. */
FG_HELPER double fg_polygamma_sum(int n, double x, int first) {
    static const double factorials[] = {1.0, 1.0, 2.0, 6.0};
    double rest;
    fg_pair z, q, power, sum = fg_pair_of(0.0, 0.0);
    int i = first, k;
    if (x > 0x1p200) return n == 1 ? 1.0 / x : factorials[n - 1] / x / x / (n == 2 ? 1.0 : x);
    for (;; i++) {
        z = fg_sum(x, i);
        q = fg_pair_quotient(fg_pair_of(1.0, 0.0), z);
        for (power = q, k = 1; k < n; k++) power = fg_pair_product(power, q);
        if (z.hi >= 8.0) break;
        power = fg_pair_product(power, q);
        power.hi *= factorials[n], power.lo *= factorials[n];
        sum = fg_pair_sum(sum, power);
    }
    z.hi = q.hi * q.hi;
    rest = n == 1   ? FG_POLYNOMIAL(fg_trigamma_tail, z.hi)
           : n == 2 ? FG_POLYNOMIAL(fg_tetragamma_tail, z.hi)
                    : FG_POLYNOMIAL(fg_pentagamma_tail, z.hi);
    rest = power.hi * (0.5 * factorials[n] * q.hi + rest * z.hi);
    power.hi *= factorials[n - 1], power.lo *= factorials[n - 1];
    sum = fg_pair_sum(sum, fg_pair_sum(power, fg_pair_of(rest, 0.0)));
    return sum.hi + sum.lo;
}

/* polygamma(n, a), 1 <= n <= 3: the derivative of digamma, and the next two. Where a < 0, that of
 * 1 - a and the derivative of pi cot(pi a), with s = sin(pi a) / pi and c = cos(pi a). */
FG_INLINE double fg_polygamma(int n, double a) {
    fg_pair s, c, p;
    fg_point turn;
    if (!(fabs(a) < HUGE_VAL)) return a > 0.0 ? 0.0 : NAN;
    if (fg_is_pole(a)) return n == 2 ? NAN : HUGE_VAL;
    if (fabs(a) < 0x1p-60)
        return n == 1 ? 1.0 / a / a : n == 2 ? -2.0 / a / a / a : 6.0 / a / a / a / a;
    if (a > 0.0) return fg_polygamma_sum(n, a, 0) * (n == 2 ? -1.0 : 1.0);
    turn = fg_half_turns(a), c = turn.cosine;
    s = fg_pair_quotient(turn.sine, fg_pair_of(FG_PI, FG_PI_LO));
    p = fg_pair_product(s, s);
    if (n == 1) {
        p = fg_pair_quotient(fg_pair_of(1.0, 0.0), p);
    } else if (n == 2) { /* -2 c / s^3 */
        p = fg_pair_quotient(fg_scale(c, -2.0), fg_pair_product(p, s));
    } else { /* (2 + 4 c^2) / s^4 */
        c = fg_pair_sum(fg_pair_of(2.0, 0.0), fg_scale(fg_pair_product(c, c), 4.0));
        p = fg_pair_quotient(c, fg_pair_product(p, p));
    }
    p = fg_pair_sum(p, fg_pair_of(-fg_polygamma_sum(n, -a, 1), 0.0));
    return p.hi + p.lo;
}

FG_FUNCTION double fg_trigamma(double a) { return fg_polygamma(1, a); }

FG_FUNCTION double fg_tetragamma(double a) { return fg_polygamma(2, a); }

FG_FUNCTION double fg_pentagamma(double a) { return fg_polygamma(3, a); }

#endif
#endif
