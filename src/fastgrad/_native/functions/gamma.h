/* The gamma function's logarithm and its derivatives. */
#ifndef FASTGRAD_FUNCTIONS_GAMMA_H
#define FASTGRAD_FUNCTIONS_GAMMA_H

#include "functions/logarithm.h"

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
