/* The logistic function, and logarithms of sums of exponentials. */
#ifndef FASTGRAD_FUNCTIONS_LOGISTIC_H
#define FASTGRAD_FUNCTIONS_LOGISTIC_H

#include "functions/exponential.h"
#include "functions/logarithm.h"

/* Of x + rest: 1 / (1 + u) or u / (1 + u), u = exp(-|x|) as a pair. */
FG_INLINE double fg_sigmoid_of(double x, double rest) {
    double whole, y;
    fg_pair u = fg_decay(fg_size(x), x < 0.0 ? -rest : rest, &whole), n, q;
    n.hi = x < 0.0 ? u.hi : 1.0, n.lo = x < 0.0 ? u.lo : 0.0;
    q = fg_quotient(x < 0.0 ? whole : 1.0, n, 1.0, u);
    y = x < -40.0 ? whole : q.hi + q.lo;
    y = x > 40.0 ? 1.0 : y;
    return x < -745.14 ? 0.0 : y;
}

#define FG_SIGMOID_REACH 650.0 /* beyond, the rest of the division would be subnormal */
#define FG_SIGMOID_SLOPE_REACH 650.0
#define FG_SOFTPLUS_REACH 600.0

FG_INLINE double fg_sigmoid_text(double x) {
    fg_pair u = fg_decay_near(fg_size(x)), n, q;
    n.hi = x < 0.0 ? u.hi : 1.0, n.lo = x < 0.0 ? u.lo : 0.0;
    q = fg_quotient(n.hi + n.lo, n, 1.0, u);
    return q.hi + q.lo;
}

FG_INLINE double fg_sigmoid_slope_text(double x) { return fg_bell(fg_size(x)); }

/* large + log1p(exp(-(a + rest))), a >= 0. For large = 0 all of the value is log1p(u), which is
 * u - u^2/2 where u is small. */
FG_INLINE double fg_softplus_from(double large, double a, fg_pair u) {
    fg_pair d, p, sum;
    u = fg_fast_sum(u.hi, u.lo);
    d = fg_fast_sum(1.0, u.hi);
    p = fg_log_sum(d.hi, d.lo + u.lo, 0.0);
    p.hi = a > 21.0 ? u.hi : p.hi;
    p.lo = a > 21.0 ? u.lo - 0.5 * (u.hi * u.hi) : p.lo;
    sum = fg_sum(large, p.hi);
    return sum.hi + (sum.lo + p.lo);
}

FG_INLINE double fg_softplus_of(double large, double a, double rest) {
    double whole, y;
    fg_pair u = fg_decay(a, rest, &whole);
    y = fg_softplus_from(large, a, u);
    y = a > 600.0 ? large + whole : y; /* where parts of the pair may be subnormal */
    return a > 745.14 ? large : y;
}

FG_INLINE double fg_softplus_text(double x) {
    return fg_softplus_from(x > 0.0 ? x : 0.0, fg_size(x), fg_decay_near(fg_size(x)));
}

/* log(exp(a) + exp(b)); infinite where the larger is, of equal infinities too. */
FG_INLINE double fg_logaddexp_text(double a, double b) {
    double large = a > b ? a : b, small = a > b ? b : a, y;
    fg_pair d = fg_sum(large, -small);
    y = fg_softplus_of(large, d.hi, d.lo);
    y = fg_size(large) == fg_inf() ? large : y;
    y = d.hi == fg_inf() ? large : y; /* of finite numbers, too */
    y = a == a ? y : a;
    return b == b ? y : b;
}

/* exp(a) / (exp(a) + exp(b)), the derivative of that; 1/2 of equals, infinite ones too. */
FG_INLINE double fg_share_text(double a, double b) {
    fg_pair d = fg_sum(a, -b);
    double y = fg_sigmoid_of(d.hi, fg_size(d.hi) < fg_inf() ? d.lo : 0.0);
    y = a == b ? 0.5 : y;
    y = a == a ? y : a;
    return b == b ? y : b;
}

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
FG_FUNCTION double fg_sigmoid(double x) {
    return fg_size(x) < FG_SIGMOID_REACH ? fg_sigmoid_text(x) : fg_sigmoid_of(x, 0.0);
}

FG_FUNCTION double fg_sigmoid_slope(double x) { return fg_bell_any(fg_size(x), 1.0); }

FG_FUNCTION double fg_softplus(double x) {
    if (fg_size(x) < FG_SOFTPLUS_REACH) return fg_softplus_text(x);
    return x == x ? fg_softplus_of(x > 0.0 ? x : 0.0, fg_size(x), 0.0) : x;
}

FG_FUNCTION double fg_logaddexp(double a, double b) { return fg_logaddexp_text(a, b); }

FG_FUNCTION double fg_share(double a, double b) { return fg_share_text(a, b); }
#endif

#endif
