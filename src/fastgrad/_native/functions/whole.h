/* Whole numbers: remainders, quotients and rounding as Python's floats have them. */
#ifndef FASTGRAD_FUNCTIONS_WHOLE_H
#define FASTGRAD_FUNCTIONS_WHOLE_H

#include "functions/basic.h"

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
    fg_pair product;
    if (!(size <= 22.0) || floor(size) < size) return NAN; /* replay, where nothing raises */
    power = powers[(int)size];
    scaled = digits < 0.0 ? a / power : a * power;
    if (!(fabs(scaled) < 0x1p53)) return a;
    if (digits < 0.0) { /* the sign of a - scaled power, or of a power - scaled */
        product = fg_product(scaled, power), rest = (a - product.hi) - product.lo;
    } else {
        product = fg_product(a, power), rest = (product.hi - scaled) + product.lo;
    }
    whole = rint(scaled);
    if (fabs(scaled - whole) == 0.5 && rest != 0.0)
        whole = rest > 0.0 ? ceil(scaled) : floor(scaled);
    whole = digits < 0.0 ? whole * power : whole / power;
    return copysign(whole, a);
}

#endif
