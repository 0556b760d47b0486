/* The cube root. */
#ifndef FASTGRAD_FUNCTIONS_ROOT_H
#define FASTGRAD_FUNCTIONS_ROOT_H

#include "functions/basic.h"

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

#endif
