/* The functions that the table's texts call, fg_<name>: fastgrad's own, for every machine the same
 * bits. Compile with -ffp-contract=off. tools/ops/expression.py names those that texts may call.
 *
 * In the loops over samples (FASTGRAD_FUNCTIONS_IN_LOOPS) a function that has a text is that text,
 * inlined; elsewhere each is a function that is called, and may branch where that is quicker. */
#ifndef FASTGRAD_FUNCTIONS_H
#define FASTGRAD_FUNCTIONS_H

#include "functions/basic.h"

/* Those that have a text, of one number and of two. A list of X is broken anew at each run. */
/* clang-format off */
#define FG_EACH_TEXT(X) \
    X(exp) X(exp2) X(expm1) X(log) X(log1p) X(log2) X(log10) \
    X(sinh) X(cosh) X(tanh) X(tanh_slope) X(sigmoid) X(sigmoid_slope) X(softplus) \
    X(erf) X(erfc) X(gauss) X(gelu) X(gelu_slope) \
    X(asin) X(acos) X(asin_slope) X(atan) X(atan_slope) X(cbrt) X(cbrt_slope) \
    X(asinh_slope) X(acosh_slope) X(atanh_slope) X(sin) X(cos) X(tan) X(tan_slope)
/* clang-format on */
#define FG_EACH_TEXT_OF_TWO(X) X(logaddexp) X(pow) X(share)

#if defined(FASTGRAD_FUNCTIONS_IN_LOOPS)
#include "functions/exponential.h"
#include "functions/hyperbolic.h"
#include "functions/inverse_hyperbolic.h"
#include "functions/inverse_trigonometric.h"
#include "functions/logarithm.h"
#include "functions/logistic.h"
#include "functions/normal.h"
#include "functions/power.h"
#include "functions/root.h"
#include "functions/trigonometric.h"
#endif
#if defined(FASTGRAD_FUNCTIONS_IN_LOOPS) &&                                                        \
    !defined(__wasi__) /* which is small before it is fast */
#define FG_OF_TEXT(name)                                                                           \
    FG_INLINE double fg_##name(double a) { return fg_##name##_text(a); }
#define FG_OF_TEXT_OF_TWO(name)                                                                    \
    FG_INLINE double fg_##name(double a, double b) { return fg_##name##_text(a, b); }
#else
#define FG_OF_TEXT(name) FG_FUNCTION double fg_##name(double a);
#define FG_OF_TEXT_OF_TWO(name) FG_FUNCTION double fg_##name(double a, double b);
#endif
FG_EACH_TEXT(FG_OF_TEXT)
FG_EACH_TEXT_OF_TWO(FG_OF_TEXT_OF_TWO)
/* For texts of two operands, which no loop asks for their reach. */
#if defined(FASTGRAD_FUNCTIONS_IN_LOOPS)
FG_INLINE double fg_log_any(double a) { return fg_log_any_text(a); }
#else
#define fg_log_any fg_log
#endif
FG_FUNCTION double fg_power(double x, double k); /* pow, of a few k exact or quicker */

FG_FUNCTION double fg_asinh(double a);
FG_FUNCTION double fg_acosh(double a);
FG_FUNCTION double fg_atanh(double a);
FG_FUNCTION double fg_atan2(double a, double b);
FG_FUNCTION double fg_over_square(double a, double b);
FG_FUNCTION double fg_hypot(double a, double b);
FG_FUNCTION double fg_hypot_slope(double a, double b);
FG_FUNCTION double fg_density(double a);
FG_FUNCTION double fg_lgamma(double a);
FG_FUNCTION double fg_digamma(double a);
FG_FUNCTION double fg_trigamma(double a);
FG_FUNCTION double fg_tetragamma(double a);
FG_FUNCTION double fg_pentagamma(double a);
FG_FUNCTION double fg_mod(double a, double b);
FG_FUNCTION double fg_floordiv(double a, double b);
FG_FUNCTION double fg_round(double a, double digits);

#if !defined(FASTGRAD_FUNCTIONS_DECLARED)
#include "functions/exponential.h"
#include "functions/gamma.h"
#include "functions/hyperbolic.h"
#include "functions/inverse_hyperbolic.h"
#include "functions/inverse_trigonometric.h"
#include "functions/logarithm.h"
#include "functions/logistic.h"
#include "functions/normal.h"
#include "functions/power.h"
#include "functions/root.h"
#include "functions/trigonometric.h"
#include "functions/whole.h"
#endif

#endif
