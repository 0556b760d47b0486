/* Operations: opcodes, what is known of each, forward values, partials, reasons for errors.
 * Compile with -ffp-contract=off: the table's rounding.
 * Written by tools/ops/generate.py from fastgrad/ops.py: edit that, then run `make ops`. */
#ifndef FASTGRAD_OPS_H
#define FASTGRAD_OPS_H

#include <math.h>

#include "functions/functions.h"
#include "config.h"

/* Each module uses its own part of this header; that is no reason for a warning. */
#if defined(__GNUC__)
#define OP_STATIC static __attribute__((unused))
#define OP_IS_CONSTANT(x) (__builtin_constant_p(x) && (x) != 0.0)
#else
#define OP_STATIC static
#define OP_IS_CONSTANT(x) 0
#endif
#define OP_INLINE OP_STATIC inline

enum op_error { OP_OK, OP_ZERO_DIVISION, OP_OVERFLOW, OP_DOMAIN };

/* A partial times an adjoint, or a tangent, by the rule of every derivative: what has no influence
 * contributes nothing. So 0 where one of the two is 0, be the other infinite or nan. */
OP_INLINE double op_product(double partial, double adjoint) {
    if (OP_IS_CONSTANT(partial)) return partial * adjoint;
    return (partial != 0.0) & (adjoint != 0.0) ? partial * adjoint : 0.0;
}

/* Two partials times one adjoint, by the same rule. Only where a product is nan it is needed, so
 * elsewhere it costs one comparison. */
OP_INLINE void op_products(double da, double db, double adjoint, double *a, double *b) {
    *a = da * adjoint;
    *b = db * adjoint;
    if (FASTGRAD_UNLIKELY(isunordered(*a, *b))) {
        *a = op_product(da, adjoint);
        *b = op_product(db, adjoint);
    }
}

/* Products with this adjoint need the rule, or are all 0. */
OP_INLINE int op_is_odd(double adjoint) {
    return !(fabs(adjoint) > 0.0 && fabs(adjoint) < HUGE_VAL);
}

/* Structural opcodes, whose rules are written by hand, then the rows of the table.
 * OP_LEAF    A number: no operands.
 * OP_PYTHON  `_backward` was set, or Value(data, operands) made it.
 * OP_CUSTOM  An operation of fastgrad.custom: on tapes its number, operand, ...
 * OP_HIDDEN  A product or partial sum inside a dot that somebody has looked into.
 * OP_DOT     ((s + w*x) + w*x) + ..., a neuron before its activation: s, w, x, w, x, ...
 * OP_TAKE    The entry that the first operand numbers: index, entry, entry, ...
 * OP_LINEAR  Value(data, operands, local_grads): its partials are numbers. */
enum opcode {
    OP_LEAF, OP_PYTHON, OP_CUSTOM, OP_HIDDEN, OP_DOT, OP_TAKE, OP_LINEAR, OP_ADD, OP_MUL,
    OP_POW, OP_POW_NUMBER, OP_RELU, OP_LEAKY_RELU, OP_PRELU, OP_ABS, OP_MIN, OP_MAX, OP_SIGN,
    OP_FLOOR, OP_CEIL, OP_ROUND, OP_MOD, OP_FLOORDIV, OP_LT, OP_LE, OP_EQ, OP_NE, OP_KEEP_IF,
    OP_KEEP_UNLESS, OP_EXP, OP_EXPM1, OP_LOG, OP_LOG1P, OP_SQUARE, OP_SQRT, OP_SIN, OP_COS,
    OP_TAN, OP_ASIN, OP_ACOS, OP_ATAN, OP_ATAN2, OP_HYPOT, OP_SINH, OP_COSH, OP_TANH,
    OP_SIGMOID, OP_SOFTPLUS, OP_ERF, OP_GELU, OP_LOG2, OP_LOG10, OP_EXP2, OP_CBRT, OP_ASINH,
    OP_ACOSH, OP_ATANH, OP_LOGADDEXP, OP_ERFC, OP_LGAMMA, OP_DIGAMMA, OP_TRIGAMMA, OP_PRODUCT,
    OP_QUOTIENT, OP_POW_SLOPE, OP_POWER_SLOPE, OP_LEAKY_SLOPE, OP_ABS_SLOPE, OP_TAN_SLOPE,
    OP_ASIN_SLOPE, OP_ATAN_SLOPE, OP_OVER_SQUARE, OP_HYPOT_SLOPE, OP_TANH_SLOPE,
    OP_SIGMOID_SLOPE, OP_GAUSS, OP_DENSITY, OP_GELU_SLOPE, OP_CBRT_SLOPE, OP_ASINH_SLOPE,
    OP_ACOSH_SLOPE, OP_ATANH_SLOPE, OP_SHARE, OP_TETRAGAMMA, OP_PENTAGAMMA, OP_COUNT
};

/* The rows of the table (name, opcode, operands), for whoever needs each of them. */
#define OP_EACH(X) \
    X(add, OP_ADD, 2) X(mul, OP_MUL, 2) X(pow, OP_POW, 2) X(pow_number, OP_POW_NUMBER, 1) \
    X(relu, OP_RELU, 1) X(leaky_relu, OP_LEAKY_RELU, 1) X(prelu, OP_PRELU, 2) \
    X(abs, OP_ABS, 1) X(min, OP_MIN, 2) X(max, OP_MAX, 2) X(sign, OP_SIGN, 1) \
    X(floor, OP_FLOOR, 1) X(ceil, OP_CEIL, 1) X(round, OP_ROUND, 1) X(mod, OP_MOD, 2) \
    X(floordiv, OP_FLOORDIV, 2) X(lt, OP_LT, 2) X(le, OP_LE, 2) X(eq, OP_EQ, 2) \
    X(ne, OP_NE, 2) X(keep_if, OP_KEEP_IF, 2) X(keep_unless, OP_KEEP_UNLESS, 2) \
    X(exp, OP_EXP, 1) X(expm1, OP_EXPM1, 1) X(log, OP_LOG, 1) X(log1p, OP_LOG1P, 1) \
    X(square, OP_SQUARE, 1) X(sqrt, OP_SQRT, 1) X(sin, OP_SIN, 1) X(cos, OP_COS, 1) \
    X(tan, OP_TAN, 1) X(asin, OP_ASIN, 1) X(acos, OP_ACOS, 1) X(atan, OP_ATAN, 1) \
    X(atan2, OP_ATAN2, 2) X(hypot, OP_HYPOT, 2) X(sinh, OP_SINH, 1) X(cosh, OP_COSH, 1) \
    X(tanh, OP_TANH, 1) X(sigmoid, OP_SIGMOID, 1) X(softplus, OP_SOFTPLUS, 1) \
    X(erf, OP_ERF, 1) X(gelu, OP_GELU, 1) X(log2, OP_LOG2, 1) X(log10, OP_LOG10, 1) \
    X(exp2, OP_EXP2, 1) X(cbrt, OP_CBRT, 1) X(asinh, OP_ASINH, 1) X(acosh, OP_ACOSH, 1) \
    X(atanh, OP_ATANH, 1) X(logaddexp, OP_LOGADDEXP, 2) X(erfc, OP_ERFC, 1) \
    X(lgamma, OP_LGAMMA, 1) X(digamma, OP_DIGAMMA, 1) X(trigamma, OP_TRIGAMMA, 1) \
    X(product, OP_PRODUCT, 2) X(quotient, OP_QUOTIENT, 2) X(pow_slope, OP_POW_SLOPE, 2) \
    X(power_slope, OP_POWER_SLOPE, 1) X(leaky_slope, OP_LEAKY_SLOPE, 2) \
    X(abs_slope, OP_ABS_SLOPE, 1) X(tan_slope, OP_TAN_SLOPE, 1) \
    X(asin_slope, OP_ASIN_SLOPE, 1) X(atan_slope, OP_ATAN_SLOPE, 1) \
    X(over_square, OP_OVER_SQUARE, 2) X(hypot_slope, OP_HYPOT_SLOPE, 2) \
    X(tanh_slope, OP_TANH_SLOPE, 1) X(sigmoid_slope, OP_SIGMOID_SLOPE, 1) \
    X(gauss, OP_GAUSS, 1) X(density, OP_DENSITY, 1) X(gelu_slope, OP_GELU_SLOPE, 1) \
    X(cbrt_slope, OP_CBRT_SLOPE, 1) X(asinh_slope, OP_ASINH_SLOPE, 1) \
    X(acosh_slope, OP_ACOSH_SLOPE, 1) X(atanh_slope, OP_ATANH_SLOPE, 1) \
    X(share, OP_SHARE, 2) X(tetragamma, OP_TETRAGAMMA, 1) X(pentagamma, OP_PENTAGAMMA, 1)

/* Those that have a second operand or a parameter. */
#define OP_EACH_BROADCAST(X) \
    X(add, OP_ADD, 2) X(mul, OP_MUL, 2) X(pow, OP_POW, 2) X(pow_number, OP_POW_NUMBER, 1) \
    X(leaky_relu, OP_LEAKY_RELU, 1) X(prelu, OP_PRELU, 2) X(min, OP_MIN, 2) \
    X(max, OP_MAX, 2) X(round, OP_ROUND, 1) X(mod, OP_MOD, 2) X(floordiv, OP_FLOORDIV, 2) \
    X(lt, OP_LT, 2) X(le, OP_LE, 2) X(eq, OP_EQ, 2) X(ne, OP_NE, 2) X(keep_if, OP_KEEP_IF, 2) \
    X(keep_unless, OP_KEEP_UNLESS, 2) X(atan2, OP_ATAN2, 2) X(hypot, OP_HYPOT, 2) \
    X(logaddexp, OP_LOGADDEXP, 2) X(product, OP_PRODUCT, 2) X(quotient, OP_QUOTIENT, 2) \
    X(pow_slope, OP_POW_SLOPE, 2) X(power_slope, OP_POWER_SLOPE, 1) \
    X(leaky_slope, OP_LEAKY_SLOPE, 2) X(over_square, OP_OVER_SQUARE, 2) \
    X(hypot_slope, OP_HYPOT_SLOPE, 2) X(share, OP_SHARE, 2)

/* Those of one operand whose texts in loops do not reach all operands. */
#define OP_EACH_NEAR(X) \
    X(exp, OP_EXP, 1) X(expm1, OP_EXPM1, 1) X(log, OP_LOG, 1) X(log1p, OP_LOG1P, 1) \
    X(sin, OP_SIN, 1) X(cos, OP_COS, 1) X(tan, OP_TAN, 1) X(sinh, OP_SINH, 1) \
    X(cosh, OP_COSH, 1) X(tanh, OP_TANH, 1) X(sigmoid, OP_SIGMOID, 1) \
    X(softplus, OP_SOFTPLUS, 1) X(erf, OP_ERF, 1) X(gelu, OP_GELU, 1) X(log2, OP_LOG2, 1) \
    X(log10, OP_LOG10, 1) X(exp2, OP_EXP2, 1) X(erfc, OP_ERFC, 1) \
    X(tan_slope, OP_TAN_SLOPE, 1) X(tanh_slope, OP_TANH_SLOPE, 1) \
    X(sigmoid_slope, OP_SIGMOID_SLOPE, 1) X(gauss, OP_GAUSS, 1) \
    X(gelu_slope, OP_GELU_SLOPE, 1)

/* Name in the table. */
OP_STATIC const char *const op_name[OP_COUNT] = {
    "leaf", "python", "custom", "hidden", "dot", "take", "linear", "add", "mul", "pow",
    "pow_number", "relu", "leaky_relu", "prelu", "abs", "min", "max", "sign", "floor", "ceil",
    "round", "mod", "floordiv", "lt", "le", "eq", "ne", "keep_if", "keep_unless", "exp",
    "expm1", "log", "log1p", "square", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan",
    "atan2", "hypot", "sinh", "cosh", "tanh", "sigmoid", "softplus", "erf", "gelu", "log2",
    "log10", "exp2", "cbrt", "asinh", "acosh", "atanh", "logaddexp", "erfc", "lgamma",
    "digamma", "trigamma", "product", "quotient", "pow_slope", "power_slope", "leaky_slope",
    "abs_slope", "tan_slope", "asin_slope", "atan_slope", "over_square", "hypot_slope",
    "tanh_slope", "sigmoid_slope", "gauss", "density", "gelu_slope", "cbrt_slope",
    "asinh_slope", "acosh_slope", "atanh_slope", "share", "tetragamma", "pentagamma"
};

/* What `_op` shows. */
OP_STATIC const char *const op_symbol[OP_COUNT] = {
    "", "python", "custom", "hidden", "dot", "take", "linear", "+", "*", "**", "**", "ReLU",
    "leaky_relu", "prelu", "abs", "min", "max", "sign", "floor", "ceil", "round", "%", "//",
    "<", "<=", "==", "!=", "keep_if", "keep_unless", "exp", "expm1", "log", "log1p", "square",
    "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "hypot", "sinh", "cosh",
    "tanh", "sigmoid", "softplus", "erf", "gelu", "log2", "log10", "exp2", "cbrt", "asinh",
    "acosh", "atanh", "logaddexp", "erfc", "lgamma", "digamma", "trigamma", "product",
    "quotient", "pow_slope", "power_slope", "leaky_slope", "abs_slope", "tan_slope",
    "asin_slope", "atan_slope", "over_square", "hypot_slope", "tanh_slope", "sigmoid_slope",
    "gauss", "density", "gelu_slope", "cbrt_slope", "asinh_slope", "acosh_slope", "atanh_slope",
    "share", "tetragamma", "pentagamma"
};

/* What the functions below tell, a bit for each. */
OP_STATIC const unsigned short op_answers[OP_COUNT] = {
    8, 40, 120, 8, 24, 88, 72, 285, 285, 29, 30, 280, 286, 285, 280, 285, 285, 280, 280, 280,
    30, 29, 29, 413, 413, 413, 413, 285, 285, 24, 24, 24, 24, 280, 24, 280, 280, 280, 24, 24,
    280, 29, 285, 24, 24, 280, 280, 280, 280, 280, 24, 24, 24, 24, 280, 24, 24, 285, 280, 24,
    24, 24, 285, 29, 29, 30, 285, 280, 280, 24, 280, 29, 285, 280, 280, 280, 280, 280, 24, 280,
    24, 24, 285, 24, 24
};

/* Operands that a tape lists: at the start, and for each of what b counts. */
OP_STATIC const unsigned char op_lists[OP_COUNT][2] = {
    {0, 0}, {0, 0}, {1, 1}, {0, 0}, {1, 2}, {1, 1}, {0, 0}
};

/* A row of the table: a and b are its operands. They come after all that are none. */
OP_INLINE int op_is_row(int op) {
    return op >= OP_ADD;
}

OP_INLINE int op_is_add_or_mul(int op) {
    return op == OP_ADD || op == OP_MUL;
}

/* The same of what is known to be a row, in one comparison: they are the first two. */
OP_INLINE int op_row_is_add_or_mul(int op) {
    return op <= OP_MUL;
}

/* It has two operands, so b gets an adjoint. */
OP_INLINE int op_is_binary(int op) {
    return (op_answers[op] & 1) != 0;
}

/* b is a hidden leaf, or a constant, that holds the parameter. */
OP_INLINE int op_has_parameter(int op) {
    return (op_answers[op] & 2) != 0;
}

/* It has a second operand or a parameter. */
OP_INLINE int op_reads_b(int op) {
    return (op_answers[op] & 4) != 0;
}

/* A node may have it. */
OP_INLINE int op_in_arena(int op) {
    return (op_answers[op] & 8) != 0;
}

/* An operation of a tape may have it. */
OP_INLINE int op_on_tape(int op) {
    return (op_answers[op] & 16) != 0;
}

/* Its backward step is a Python function. */
OP_INLINE int op_calls_python(int op) {
    return (op_answers[op] & 32) != 0;
}

/* A node of it has its operands in a block. */
OP_INLINE int op_has_block(int op) {
    return (op_answers[op] & 64) != 0;
}

/* It gives 1 where the comparison holds, else 0. */
OP_INLINE int op_is_comparison(int op) {
    return (op_answers[op] & 128) != 0;
}

/* Finite operands give a finite value, unless a sum or product is too large. */
OP_INLINE int op_is_tame(int op) {
    return (op_answers[op] & 256) != 0;
}

/* How many operands an operation of a tape lists, n being its b; 0 for a row. */
OP_INLINE unsigned long long op_listed(int op, unsigned n) {
    return op_lists[op][0] + op_lists[op][1] * (unsigned long long)n;
}

/* The n of an operation that lists so many operands. */
OP_INLINE unsigned op_counted(int op, unsigned listed) {
    return (listed - op_lists[op][0]) / op_lists[op][1];
}

OP_INLINE double op_add_value(double a, double b) {
    return a + b;
}

enum { op_add_is_light = 1 };
#define op_add_reach FG_ANYWHERE
#define op_add_slope_reach FG_ANYWHERE

OP_INLINE double op_add_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 1.0;
}

OP_INLINE double op_add_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 1.0;
}

OP_INLINE double op_mul_value(double a, double b) {
    return a * b;
}

enum { op_mul_is_light = 1 };
#define op_mul_reach FG_ANYWHERE
#define op_mul_slope_reach FG_ANYWHERE

OP_INLINE double op_mul_da(double a, double b, double y) {
    (void)a, (void)y;
    return b;
}

OP_INLINE double op_mul_db(double a, double b, double y) {
    (void)b, (void)y;
    return a;
}

OP_INLINE double op_pow_value(double a, double b) {
    return fg_pow(a, b);
}

enum { op_pow_is_light = 0 };
#define op_pow_reach FG_ANYWHERE
#define op_pow_slope_reach FG_ANYWHERE

OP_INLINE double op_pow_da(double a, double b, double y) {
    return (b == 0.0) ? 0.0 : (((((b - 1.0) + 1.0) == b) || !(fabs(a) < HUGE_VAL)) ? (b *
        fg_pow(a, b - 1.0)) : (b * (y / a)));
}

OP_INLINE double op_pow_db(double a, double b, double y) {
    (void)b;
    return (a == 0.0) ? 0.0 : (y * fg_log_any(a));
}

OP_INLINE double op_pow_number_value(double a, double b) {
    return fg_power(a, b);
}

enum { op_pow_number_is_light = 0 };
#define op_pow_number_reach FG_ANYWHERE
#define op_pow_number_slope_reach FG_ANYWHERE

OP_INLINE double op_pow_number_da(double a, double b, double y) {
    return (b == 0.0) ? 0.0 : ((b == 2.0) ? (2.0 * a) : (((((b - 1.0) + 1.0) == b) || !(fabs(a) <
        HUGE_VAL)) ? (b * fg_power(a, b - 1.0)) : (b * (y / a))));
}

OP_INLINE double op_pow_number_da_given(double a, double b, double y, double power) {
    return (b == 0.0) ? 0.0 : ((b == 2.0) ? (2.0 * a) : (((((b - 1.0) + 1.0) == b) || !(fabs(a) <
        HUGE_VAL)) ? (b * power) : (b * (y / a))));
}

OP_INLINE double op_pow_number_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_relu_value(double a, double b) {
    (void)b;
    return (a < 0.0) ? 0.0 : a;
}

enum { op_relu_is_light = 1 };
#define op_relu_reach FG_ANYWHERE
#define op_relu_slope_reach FG_ANYWHERE

OP_INLINE double op_relu_da(double a, double b, double y) {
    (void)a, (void)b;
    return (y > 0.0) ? 1.0 : 0.0;
}

OP_INLINE double op_relu_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_leaky_relu_value(double a, double b) {
    return (a < 0.0) ? (b * a) : a;
}

enum { op_leaky_relu_is_light = 1 };
#define op_leaky_relu_reach FG_ANYWHERE
#define op_leaky_relu_slope_reach FG_ANYWHERE

OP_INLINE double op_leaky_relu_da(double a, double b, double y) {
    (void)y;
    return (a > 0.0) ? 1.0 : b;
}

OP_INLINE double op_leaky_relu_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_prelu_value(double a, double b) {
    return (a < 0.0) ? (b * a) : a;
}

enum { op_prelu_is_light = 1 };
#define op_prelu_reach FG_ANYWHERE
#define op_prelu_slope_reach FG_ANYWHERE

OP_INLINE double op_prelu_da(double a, double b, double y) {
    (void)y;
    return (a > 0.0) ? 1.0 : b;
}

OP_INLINE double op_prelu_db(double a, double b, double y) {
    (void)b, (void)y;
    return (a < 0.0) ? a : 0.0;
}

OP_INLINE double op_abs_value(double a, double b) {
    (void)b;
    return fabs(a);
}

enum { op_abs_is_light = 1 };
#define op_abs_reach FG_ANYWHERE
#define op_abs_slope_reach FG_ANYWHERE

OP_INLINE double op_abs_da(double a, double b, double y) {
    (void)b, (void)y;
    return (a > 0.0) ? 1.0 : ((a < 0.0) ? -1.0 : 0.0);
}

OP_INLINE double op_abs_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_min_value(double a, double b) {
    return ((a <= b) || (a != a)) ? a : b;
}

enum { op_min_is_light = 1 };
#define op_min_reach FG_ANYWHERE
#define op_min_slope_reach FG_ANYWHERE

OP_INLINE double op_min_da(double a, double b, double y) {
    (void)y;
    return ((a <= b) || (a != a)) ? 1.0 : 0.0;
}

OP_INLINE double op_min_db(double a, double b, double y) {
    (void)y;
    return ((a <= b) || (a != a)) ? 0.0 : 1.0;
}

OP_INLINE double op_max_value(double a, double b) {
    return ((a >= b) || (a != a)) ? a : b;
}

enum { op_max_is_light = 1 };
#define op_max_reach FG_ANYWHERE
#define op_max_slope_reach FG_ANYWHERE

OP_INLINE double op_max_da(double a, double b, double y) {
    (void)y;
    return ((a >= b) || (a != a)) ? 1.0 : 0.0;
}

OP_INLINE double op_max_db(double a, double b, double y) {
    (void)y;
    return ((a >= b) || (a != a)) ? 0.0 : 1.0;
}

OP_INLINE double op_sign_value(double a, double b) {
    (void)b;
    return (a > 0.0) ? 1.0 : ((a < 0.0) ? -1.0 : ((a == 0.0) ? 0.0 : a));
}

enum { op_sign_is_light = 1 };
#define op_sign_reach FG_ANYWHERE
#define op_sign_slope_reach FG_ANYWHERE

OP_INLINE double op_sign_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_sign_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_floor_value(double a, double b) {
    (void)b;
    return floor(a);
}

enum { op_floor_is_light = 0 };
#define op_floor_reach FG_ANYWHERE
#define op_floor_slope_reach FG_ANYWHERE

OP_INLINE double op_floor_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_floor_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_ceil_value(double a, double b) {
    (void)b;
    return ceil(a);
}

enum { op_ceil_is_light = 0 };
#define op_ceil_reach FG_ANYWHERE
#define op_ceil_slope_reach FG_ANYWHERE

OP_INLINE double op_ceil_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_ceil_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_round_value(double a, double b) {
    return fg_round(a, b);
}

enum { op_round_is_light = 0 };
#define op_round_reach FG_ANYWHERE
#define op_round_slope_reach FG_ANYWHERE

OP_INLINE double op_round_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_round_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_mod_value(double a, double b) {
    return fg_mod(a, b);
}

enum { op_mod_is_light = 0 };
#define op_mod_reach FG_ANYWHERE
#define op_mod_slope_reach FG_ANYWHERE

OP_INLINE double op_mod_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 1.0;
}

OP_INLINE double op_mod_db(double a, double b, double y) {
    (void)y;
    return -fg_floordiv(a, b);
}

OP_INLINE double op_floordiv_value(double a, double b) {
    return fg_floordiv(a, b);
}

enum { op_floordiv_is_light = 0 };
#define op_floordiv_reach FG_ANYWHERE
#define op_floordiv_slope_reach FG_ANYWHERE

OP_INLINE double op_floordiv_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_floordiv_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_lt_value(double a, double b) {
    return (a < b) ? 1.0 : 0.0;
}

enum { op_lt_is_light = 1 };
#define op_lt_reach FG_ANYWHERE
#define op_lt_slope_reach FG_ANYWHERE

OP_INLINE double op_lt_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_lt_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_le_value(double a, double b) {
    return (a <= b) ? 1.0 : 0.0;
}

enum { op_le_is_light = 1 };
#define op_le_reach FG_ANYWHERE
#define op_le_slope_reach FG_ANYWHERE

OP_INLINE double op_le_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_le_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_eq_value(double a, double b) {
    return (a == b) ? 1.0 : 0.0;
}

enum { op_eq_is_light = 1 };
#define op_eq_reach FG_ANYWHERE
#define op_eq_slope_reach FG_ANYWHERE

OP_INLINE double op_eq_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_eq_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_ne_value(double a, double b) {
    return (a != b) ? 1.0 : 0.0;
}

enum { op_ne_is_light = 1 };
#define op_ne_reach FG_ANYWHERE
#define op_ne_slope_reach FG_ANYWHERE

OP_INLINE double op_ne_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_ne_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_keep_if_value(double a, double b) {
    return (a != 0.0) ? b : -0.0;
}

enum { op_keep_if_is_light = 1 };
#define op_keep_if_reach FG_ANYWHERE
#define op_keep_if_slope_reach FG_ANYWHERE

OP_INLINE double op_keep_if_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_keep_if_db(double a, double b, double y) {
    (void)b, (void)y;
    return (a != 0.0) ? 1.0 : 0.0;
}

OP_INLINE double op_keep_unless_value(double a, double b) {
    return (a != 0.0) ? -0.0 : b;
}

enum { op_keep_unless_is_light = 1 };
#define op_keep_unless_reach FG_ANYWHERE
#define op_keep_unless_slope_reach FG_ANYWHERE

OP_INLINE double op_keep_unless_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_keep_unless_db(double a, double b, double y) {
    (void)b, (void)y;
    return (a != 0.0) ? 0.0 : 1.0;
}

OP_INLINE double op_exp_value(double a, double b) {
    (void)b;
    return fg_exp(a);
}

enum { op_exp_is_light = 0 };
#define op_exp_reach FG_EXP_REACH
#define op_exp_slope_reach FG_ANYWHERE

OP_INLINE double op_exp_da(double a, double b, double y) {
    (void)a, (void)b;
    return y;
}

OP_INLINE double op_exp_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_expm1_value(double a, double b) {
    (void)b;
    return fg_expm1(a);
}

enum { op_expm1_is_light = 0 };
#define op_expm1_reach FG_EXP_REACH
#define op_expm1_slope_reach FG_EXP_REACH

OP_INLINE double op_expm1_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_exp(a);
}

OP_INLINE double op_expm1_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_log_value(double a, double b) {
    (void)b;
    return fg_log(a);
}

enum { op_log_is_light = 0 };
#define op_log_reach FG_NORMAL
#define op_log_slope_reach FG_ANYWHERE

OP_INLINE double op_log_da(double a, double b, double y) {
    (void)b, (void)y;
    return 1.0 / a;
}

OP_INLINE double op_log_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_log1p_value(double a, double b) {
    (void)b;
    return fg_log1p(a);
}

enum { op_log1p_is_light = 0 };
#define op_log1p_reach FG_NORMAL_BEHIND_1
#define op_log1p_slope_reach FG_ANYWHERE

OP_INLINE double op_log1p_da(double a, double b, double y) {
    (void)b, (void)y;
    return 1.0 / (1.0 + a);
}

OP_INLINE double op_log1p_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_square_value(double a, double b) {
    (void)b;
    return a * a;
}

enum { op_square_is_light = 1 };
#define op_square_reach FG_ANYWHERE
#define op_square_slope_reach FG_ANYWHERE

OP_INLINE double op_square_da(double a, double b, double y) {
    (void)b, (void)y;
    return 2.0 * a;
}

OP_INLINE double op_square_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_sqrt_value(double a, double b) {
    (void)b;
    return sqrt(a);
}

enum { op_sqrt_is_light = 0 };
#define op_sqrt_reach FG_ANYWHERE
#define op_sqrt_slope_reach FG_ANYWHERE

OP_INLINE double op_sqrt_da(double a, double b, double y) {
    (void)a, (void)b;
    return 0.5 / y;
}

OP_INLINE double op_sqrt_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_sin_value(double a, double b) {
    (void)b;
    return fg_sin(a);
}

enum { op_sin_is_light = 0 };
#define op_sin_reach FG_ANGLE_REACH
#define op_sin_slope_reach FG_ANGLE_REACH

OP_INLINE double op_sin_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_cos(a);
}

OP_INLINE double op_sin_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_cos_value(double a, double b) {
    (void)b;
    return fg_cos(a);
}

enum { op_cos_is_light = 0 };
#define op_cos_reach FG_ANGLE_REACH
#define op_cos_slope_reach FG_ANGLE_REACH

OP_INLINE double op_cos_da(double a, double b, double y) {
    (void)b, (void)y;
    return -fg_sin(a);
}

OP_INLINE double op_cos_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_tan_value(double a, double b) {
    (void)b;
    return fg_tan(a);
}

enum { op_tan_is_light = 0 };
#define op_tan_reach FG_ANGLE_REACH
#define op_tan_slope_reach FG_ANGLE_REACH

OP_INLINE double op_tan_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_tan_slope(a);
}

OP_INLINE double op_tan_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_asin_value(double a, double b) {
    (void)b;
    return fg_asin(a);
}

enum { op_asin_is_light = 0 };
#define op_asin_reach FG_ANYWHERE
#define op_asin_slope_reach FG_ANYWHERE

OP_INLINE double op_asin_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_asin_slope(a);
}

OP_INLINE double op_asin_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_acos_value(double a, double b) {
    (void)b;
    return fg_acos(a);
}

enum { op_acos_is_light = 0 };
#define op_acos_reach FG_ANYWHERE
#define op_acos_slope_reach FG_ANYWHERE

OP_INLINE double op_acos_da(double a, double b, double y) {
    (void)b, (void)y;
    return -fg_asin_slope(a);
}

OP_INLINE double op_acos_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_atan_value(double a, double b) {
    (void)b;
    return fg_atan(a);
}

enum { op_atan_is_light = 0 };
#define op_atan_reach FG_ANYWHERE
#define op_atan_slope_reach FG_ANYWHERE

OP_INLINE double op_atan_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_atan_slope(a);
}

OP_INLINE double op_atan_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_atan2_value(double a, double b) {
    return fg_atan2(a, b);
}

enum { op_atan2_is_light = 0 };
#define op_atan2_reach FG_ANYWHERE
#define op_atan2_slope_reach FG_ANYWHERE

OP_INLINE double op_atan2_da(double a, double b, double y) {
    (void)y;
    return fg_over_square(b, a);
}

OP_INLINE double op_atan2_db(double a, double b, double y) {
    (void)y;
    return -fg_over_square(a, b);
}

OP_INLINE double op_hypot_value(double a, double b) {
    return fg_hypot(a, b);
}

enum { op_hypot_is_light = 0 };
#define op_hypot_reach FG_ANYWHERE
#define op_hypot_slope_reach FG_ANYWHERE

OP_INLINE double op_hypot_da(double a, double b, double y) {
    (void)y;
    return fg_hypot_slope(a, b);
}

OP_INLINE double op_hypot_db(double a, double b, double y) {
    (void)y;
    return fg_hypot_slope(b, a);
}

OP_INLINE double op_sinh_value(double a, double b) {
    (void)b;
    return fg_sinh(a);
}

enum { op_sinh_is_light = 0 };
#define op_sinh_reach FG_SINH_REACH
#define op_sinh_slope_reach FG_SINH_REACH

OP_INLINE double op_sinh_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_cosh(a);
}

OP_INLINE double op_sinh_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_cosh_value(double a, double b) {
    (void)b;
    return fg_cosh(a);
}

enum { op_cosh_is_light = 0 };
#define op_cosh_reach FG_SINH_REACH
#define op_cosh_slope_reach FG_SINH_REACH

OP_INLINE double op_cosh_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_sinh(a);
}

OP_INLINE double op_cosh_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_tanh_value(double a, double b) {
    (void)b;
    return fg_tanh(a);
}

enum { op_tanh_is_light = 0 };
#define op_tanh_reach FG_TANH_REACH
#define op_tanh_slope_reach FG_TANH_SLOPE_REACH

OP_INLINE double op_tanh_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_tanh_slope(a);
}

OP_INLINE double op_tanh_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_sigmoid_value(double a, double b) {
    (void)b;
    return fg_sigmoid(a);
}

enum { op_sigmoid_is_light = 0 };
#define op_sigmoid_reach FG_SIGMOID_REACH
#define op_sigmoid_slope_reach FG_SIGMOID_SLOPE_REACH

OP_INLINE double op_sigmoid_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_sigmoid_slope(a);
}

OP_INLINE double op_sigmoid_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_softplus_value(double a, double b) {
    (void)b;
    return fg_softplus(a);
}

enum { op_softplus_is_light = 0 };
#define op_softplus_reach FG_SOFTPLUS_REACH
#define op_softplus_slope_reach FG_SIGMOID_REACH

OP_INLINE double op_softplus_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_sigmoid(a);
}

OP_INLINE double op_softplus_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_erf_value(double a, double b) {
    (void)b;
    return fg_erf(a);
}

enum { op_erf_is_light = 0 };
#define op_erf_reach FG_ERF_REACH
#define op_erf_slope_reach FG_ERF_REACH

OP_INLINE double op_erf_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_gauss(a);
}

OP_INLINE double op_erf_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_gelu_value(double a, double b) {
    (void)b;
    return fg_gelu(a);
}

enum { op_gelu_is_light = 0 };
#define op_gelu_reach FG_GELU_REACH
#define op_gelu_slope_reach FG_GELU_REACH

OP_INLINE double op_gelu_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_gelu_slope(a);
}

OP_INLINE double op_gelu_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_log2_value(double a, double b) {
    (void)b;
    return fg_log2(a);
}

enum { op_log2_is_light = 0 };
#define op_log2_reach FG_NORMAL
#define op_log2_slope_reach FG_ANYWHERE

OP_INLINE double op_log2_da(double a, double b, double y) {
    (void)b, (void)y;
    return 1.4426950408889634 / a;
}

OP_INLINE double op_log2_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_log10_value(double a, double b) {
    (void)b;
    return fg_log10(a);
}

enum { op_log10_is_light = 0 };
#define op_log10_reach FG_NORMAL
#define op_log10_slope_reach FG_ANYWHERE

OP_INLINE double op_log10_da(double a, double b, double y) {
    (void)b, (void)y;
    return 0.4342944819032518 / a;
}

OP_INLINE double op_log10_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_exp2_value(double a, double b) {
    (void)b;
    return fg_exp2(a);
}

enum { op_exp2_is_light = 0 };
#define op_exp2_reach FG_EXP_REACH
#define op_exp2_slope_reach FG_ANYWHERE

OP_INLINE double op_exp2_da(double a, double b, double y) {
    (void)a, (void)b;
    return 0.6931471805599453 * y;
}

OP_INLINE double op_exp2_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_cbrt_value(double a, double b) {
    (void)b;
    return fg_cbrt(a);
}

enum { op_cbrt_is_light = 0 };
#define op_cbrt_reach FG_ANYWHERE
#define op_cbrt_slope_reach FG_ANYWHERE

OP_INLINE double op_cbrt_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_cbrt_slope(a);
}

OP_INLINE double op_cbrt_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_asinh_value(double a, double b) {
    (void)b;
    return fg_asinh(a);
}

enum { op_asinh_is_light = 0 };
#define op_asinh_reach FG_ANYWHERE
#define op_asinh_slope_reach FG_ANYWHERE

OP_INLINE double op_asinh_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_asinh_slope(a);
}

OP_INLINE double op_asinh_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_acosh_value(double a, double b) {
    (void)b;
    return fg_acosh(a);
}

enum { op_acosh_is_light = 0 };
#define op_acosh_reach FG_ANYWHERE
#define op_acosh_slope_reach FG_ANYWHERE

OP_INLINE double op_acosh_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_acosh_slope(a);
}

OP_INLINE double op_acosh_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_atanh_value(double a, double b) {
    (void)b;
    return fg_atanh(a);
}

enum { op_atanh_is_light = 0 };
#define op_atanh_reach FG_ANYWHERE
#define op_atanh_slope_reach FG_ANYWHERE

OP_INLINE double op_atanh_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_atanh_slope(a);
}

OP_INLINE double op_atanh_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_logaddexp_value(double a, double b) {
    return fg_logaddexp(a, b);
}

enum { op_logaddexp_is_light = 0 };
#define op_logaddexp_reach FG_ANYWHERE
#define op_logaddexp_slope_reach FG_ANYWHERE

OP_INLINE double op_logaddexp_da(double a, double b, double y) {
    (void)y;
    return fg_share(a, b);
}

OP_INLINE double op_logaddexp_db(double a, double b, double y) {
    (void)y;
    return fg_share(b, a);
}

OP_INLINE double op_erfc_value(double a, double b) {
    (void)b;
    return fg_erfc(a);
}

enum { op_erfc_is_light = 0 };
#define op_erfc_reach FG_ERF_REACH
#define op_erfc_slope_reach FG_ERF_REACH

OP_INLINE double op_erfc_da(double a, double b, double y) {
    (void)b, (void)y;
    return -fg_gauss(a);
}

OP_INLINE double op_erfc_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_lgamma_value(double a, double b) {
    (void)b;
    return fg_lgamma(a);
}

enum { op_lgamma_is_light = 0 };
#define op_lgamma_reach FG_ANYWHERE
#define op_lgamma_slope_reach FG_ANYWHERE

OP_INLINE double op_lgamma_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_digamma(a);
}

OP_INLINE double op_lgamma_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_digamma_value(double a, double b) {
    (void)b;
    return fg_digamma(a);
}

enum { op_digamma_is_light = 0 };
#define op_digamma_reach FG_ANYWHERE
#define op_digamma_slope_reach FG_ANYWHERE

OP_INLINE double op_digamma_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_trigamma(a);
}

OP_INLINE double op_digamma_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_trigamma_value(double a, double b) {
    (void)b;
    return fg_trigamma(a);
}

enum { op_trigamma_is_light = 0 };
#define op_trigamma_reach FG_ANYWHERE
#define op_trigamma_slope_reach FG_ANYWHERE

OP_INLINE double op_trigamma_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_tetragamma(a);
}

OP_INLINE double op_trigamma_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_product_value(double a, double b) {
    return ((a != 0.0) && (b != 0.0)) ? (a * b) : 0.0;
}

enum { op_product_is_light = 1 };
#define op_product_reach FG_ANYWHERE
#define op_product_slope_reach FG_ANYWHERE

OP_INLINE double op_product_da(double a, double b, double y) {
    (void)a, (void)y;
    return b;
}

OP_INLINE double op_product_db(double a, double b, double y) {
    (void)b, (void)y;
    return a;
}

OP_INLINE double op_quotient_value(double a, double b) {
    return a / b;
}

enum { op_quotient_is_light = 0 };
#define op_quotient_reach FG_ANYWHERE
#define op_quotient_slope_reach FG_ANYWHERE

OP_INLINE double op_quotient_da(double a, double b, double y) {
    (void)a, (void)y;
    return 1.0 / b;
}

OP_INLINE double op_quotient_db(double a, double b, double y) {
    (void)a;
    return -(y / b);
}

OP_INLINE double op_pow_slope_value(double a, double b) {
    return (b == 0.0) ? 0.0 : (((((b - 1.0) + 1.0) == b) || !(fabs(a) < HUGE_VAL)) ? (b *
        fg_pow(a, b - 1.0)) : (b * (fg_pow(a, b) / a)));
}

enum { op_pow_slope_is_light = 0 };
#define op_pow_slope_reach FG_ANYWHERE
#define op_pow_slope_slope_reach FG_ANYWHERE

OP_INLINE double op_pow_slope_da(double a, double b, double y) {
    (void)y;
    return ((b * (b - 1.0)) != 0.0) ? ((b * (b - 1.0)) * fg_pow(a, b - 2.0)) : 0.0;
}

OP_INLINE double op_pow_slope_db(double a, double b, double y) {
    (void)y;
    return (a != 0.0) ? (fg_pow(a, b - 1.0) * (1.0 + (b * fg_log_any(a)))) : 0.0;
}

OP_INLINE double op_power_slope_value(double a, double b) {
    return (b == 0.0) ? 0.0 : ((b == 2.0) ? (2.0 * a) : (((((b - 1.0) + 1.0) == b) || !(fabs(a) <
        HUGE_VAL)) ? (b * fg_power(a, b - 1.0)) : (b * (fg_power(a, b) / a))));
}

enum { op_power_slope_is_light = 0 };
#define op_power_slope_reach FG_ANYWHERE
#define op_power_slope_slope_reach FG_ANYWHERE

OP_INLINE double op_power_slope_da(double a, double b, double y) {
    (void)y;
    return ((b * (b - 1.0)) != 0.0) ? ((b * (b - 1.0)) * fg_power(a, b - 2.0)) : 0.0;
}

OP_INLINE double op_power_slope_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_leaky_slope_value(double a, double b) {
    return (a > 0.0) ? 1.0 : b;
}

enum { op_leaky_slope_is_light = 1 };
#define op_leaky_slope_reach FG_ANYWHERE
#define op_leaky_slope_slope_reach FG_ANYWHERE

OP_INLINE double op_leaky_slope_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_leaky_slope_db(double a, double b, double y) {
    (void)b, (void)y;
    return (a > 0.0) ? 0.0 : 1.0;
}

OP_INLINE double op_abs_slope_value(double a, double b) {
    (void)b;
    return (a > 0.0) ? 1.0 : ((a < 0.0) ? -1.0 : 0.0);
}

enum { op_abs_slope_is_light = 1 };
#define op_abs_slope_reach FG_ANYWHERE
#define op_abs_slope_slope_reach FG_ANYWHERE

OP_INLINE double op_abs_slope_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_abs_slope_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_tan_slope_value(double a, double b) {
    (void)b;
    return fg_tan_slope(a);
}

enum { op_tan_slope_is_light = 0 };
#define op_tan_slope_reach FG_ANGLE_REACH
#define op_tan_slope_slope_reach FG_ANGLE_REACH

OP_INLINE double op_tan_slope_da(double a, double b, double y) {
    (void)b;
    return (2.0 * fg_tan(a)) * y;
}

OP_INLINE double op_tan_slope_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_asin_slope_value(double a, double b) {
    (void)b;
    return fg_asin_slope(a);
}

enum { op_asin_slope_is_light = 0 };
#define op_asin_slope_reach FG_ANYWHERE
#define op_asin_slope_slope_reach FG_ANYWHERE

OP_INLINE double op_asin_slope_da(double a, double b, double y) {
    (void)b;
    return ((a * y) * y) * y;
}

OP_INLINE double op_asin_slope_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_atan_slope_value(double a, double b) {
    (void)b;
    return fg_atan_slope(a);
}

enum { op_atan_slope_is_light = 0 };
#define op_atan_slope_reach FG_ANYWHERE
#define op_atan_slope_slope_reach FG_ANYWHERE

OP_INLINE double op_atan_slope_da(double a, double b, double y) {
    (void)b;
    return ((-2.0 * a) * y) * y;
}

OP_INLINE double op_atan_slope_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_over_square_value(double a, double b) {
    return fg_over_square(a, b);
}

enum { op_over_square_is_light = 0 };
#define op_over_square_reach FG_ANYWHERE
#define op_over_square_slope_reach FG_ANYWHERE

OP_INLINE double op_over_square_da(double a, double b, double y) {
    return (fg_over_square(b, a) - y) * (fg_over_square(b, a) + y);
}

OP_INLINE double op_over_square_db(double a, double b, double y) {
    return (-2.0 * y) * fg_over_square(b, a);
}

OP_INLINE double op_hypot_slope_value(double a, double b) {
    return fg_hypot_slope(a, b);
}

enum { op_hypot_slope_is_light = 0 };
#define op_hypot_slope_reach FG_ANYWHERE
#define op_hypot_slope_slope_reach FG_ANYWHERE

OP_INLINE double op_hypot_slope_da(double a, double b, double y) {
    (void)y;
    return (fg_hypot(a, b) != 0.0) ? ((fg_hypot_slope(b, a) * fg_hypot_slope(b, a)) / fg_hypot(a,
        b)) : 0.0;
}

OP_INLINE double op_hypot_slope_db(double a, double b, double y) {
    return (fg_hypot(a, b) != 0.0) ? -((y * fg_hypot_slope(b, a)) / fg_hypot(a, b)) : 0.0;
}

OP_INLINE double op_tanh_slope_value(double a, double b) {
    (void)b;
    return fg_tanh_slope(a);
}

enum { op_tanh_slope_is_light = 0 };
#define op_tanh_slope_reach FG_TANH_SLOPE_REACH
#define op_tanh_slope_slope_reach FG_TANH_REACH

OP_INLINE double op_tanh_slope_da(double a, double b, double y) {
    (void)b;
    return (-2.0 * fg_tanh(a)) * y;
}

OP_INLINE double op_tanh_slope_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_sigmoid_slope_value(double a, double b) {
    (void)b;
    return fg_sigmoid_slope(a);
}

enum { op_sigmoid_slope_is_light = 0 };
#define op_sigmoid_slope_reach FG_SIGMOID_SLOPE_REACH
#define op_sigmoid_slope_slope_reach FG_SIGMOID_REACH

OP_INLINE double op_sigmoid_slope_da(double a, double b, double y) {
    (void)b;
    return y * (1.0 - (2.0 * fg_sigmoid(a)));
}

OP_INLINE double op_sigmoid_slope_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_gauss_value(double a, double b) {
    (void)b;
    return fg_gauss(a);
}

enum { op_gauss_is_light = 0 };
#define op_gauss_reach FG_ERF_REACH
#define op_gauss_slope_reach FG_ANYWHERE

OP_INLINE double op_gauss_da(double a, double b, double y) {
    (void)b;
    return (-2.0 * a) * y;
}

OP_INLINE double op_gauss_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_density_value(double a, double b) {
    (void)b;
    return fg_density(a);
}

enum { op_density_is_light = 0 };
#define op_density_reach FG_ANYWHERE
#define op_density_slope_reach FG_ANYWHERE

OP_INLINE double op_density_da(double a, double b, double y) {
    (void)b;
    return -a * y;
}

OP_INLINE double op_density_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_gelu_slope_value(double a, double b) {
    (void)b;
    return fg_gelu_slope(a);
}

enum { op_gelu_slope_is_light = 0 };
#define op_gelu_slope_reach FG_GELU_REACH
#define op_gelu_slope_slope_reach FG_ANYWHERE

OP_INLINE double op_gelu_slope_da(double a, double b, double y) {
    (void)b, (void)y;
    return (2.0 * fg_density(a)) - ((fg_density(a) * a) * a);
}

OP_INLINE double op_gelu_slope_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_cbrt_slope_value(double a, double b) {
    (void)b;
    return fg_cbrt_slope(a);
}

enum { op_cbrt_slope_is_light = 0 };
#define op_cbrt_slope_reach FG_ANYWHERE
#define op_cbrt_slope_slope_reach FG_ANYWHERE

OP_INLINE double op_cbrt_slope_da(double a, double b, double y) {
    (void)b;
    return (-2.0 * y) / (3.0 * a);
}

OP_INLINE double op_cbrt_slope_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_asinh_slope_value(double a, double b) {
    (void)b;
    return fg_asinh_slope(a);
}

enum { op_asinh_slope_is_light = 0 };
#define op_asinh_slope_reach FG_ANYWHERE
#define op_asinh_slope_slope_reach FG_ANYWHERE

OP_INLINE double op_asinh_slope_da(double a, double b, double y) {
    (void)b;
    return ((-a * y) * y) * y;
}

OP_INLINE double op_asinh_slope_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_acosh_slope_value(double a, double b) {
    (void)b;
    return fg_acosh_slope(a);
}

enum { op_acosh_slope_is_light = 0 };
#define op_acosh_slope_reach FG_ANYWHERE
#define op_acosh_slope_slope_reach FG_ANYWHERE

OP_INLINE double op_acosh_slope_da(double a, double b, double y) {
    (void)b;
    return ((-a * y) * y) * y;
}

OP_INLINE double op_acosh_slope_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_atanh_slope_value(double a, double b) {
    (void)b;
    return fg_atanh_slope(a);
}

enum { op_atanh_slope_is_light = 0 };
#define op_atanh_slope_reach FG_ANYWHERE
#define op_atanh_slope_slope_reach FG_ANYWHERE

OP_INLINE double op_atanh_slope_da(double a, double b, double y) {
    (void)b;
    return ((2.0 * a) * y) * y;
}

OP_INLINE double op_atanh_slope_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_share_value(double a, double b) {
    return fg_share(a, b);
}

enum { op_share_is_light = 0 };
#define op_share_reach FG_ANYWHERE
#define op_share_slope_reach FG_ANYWHERE

OP_INLINE double op_share_da(double a, double b, double y) {
    return y * fg_share(b, a);
}

OP_INLINE double op_share_db(double a, double b, double y) {
    return -(y * fg_share(b, a));
}

OP_INLINE double op_tetragamma_value(double a, double b) {
    (void)b;
    return fg_tetragamma(a);
}

enum { op_tetragamma_is_light = 0 };
#define op_tetragamma_reach FG_ANYWHERE
#define op_tetragamma_slope_reach FG_ANYWHERE

OP_INLINE double op_tetragamma_da(double a, double b, double y) {
    (void)b, (void)y;
    return fg_pentagamma(a);
}

OP_INLINE double op_tetragamma_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

OP_INLINE double op_pentagamma_value(double a, double b) {
    (void)b;
    return fg_pentagamma(a);
}

enum { op_pentagamma_is_light = 0 };
#define op_pentagamma_reach FG_ANYWHERE
#define op_pentagamma_slope_reach FG_ANYWHERE

OP_INLINE double op_pentagamma_da(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return HUGE_VAL - HUGE_VAL;
}

OP_INLINE double op_pentagamma_db(double a, double b, double y) {
    (void)a, (void)b, (void)y;
    return 0.0;
}

/* The value; returns an enum op_error. Operations of one operand ignore b. */
OP_INLINE int op_forward(int op, double a, double b, double *out) {
    double y;
    switch (op) {
    case OP_ADD:
        *out = y = op_add_value(a, b);
        return OP_OK;
    case OP_MUL:
        *out = y = op_mul_value(a, b);
        return OP_OK;
    case OP_POW:
        *out = y = op_pow_value(a, b);
        if ((a == 0.0) && (b < 0.0) && (b > -HUGE_VAL)) return OP_ZERO_DIVISION;
        if ((a < 0.0) && (a > -HUGE_VAL) && (floor(b) < b)) return OP_DOMAIN;
        if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL) && (fabs(b) < HUGE_VAL)) return
        OP_OVERFLOW;
        return OP_OK;
    case OP_POW_NUMBER:
        *out = y = op_pow_number_value(a, b);
        if ((a == 0.0) && (b < 0.0) && (b > -HUGE_VAL)) return OP_ZERO_DIVISION;
        if ((a < 0.0) && (a > -HUGE_VAL) && (floor(b) < b)) return OP_DOMAIN;
        if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL) && (fabs(b) < HUGE_VAL)) return
        OP_OVERFLOW;
        return OP_OK;
    case OP_RELU:
        *out = y = op_relu_value(a, b);
        return OP_OK;
    case OP_LEAKY_RELU:
        *out = y = op_leaky_relu_value(a, b);
        return OP_OK;
    case OP_PRELU:
        *out = y = op_prelu_value(a, b);
        return OP_OK;
    case OP_ABS:
        *out = y = op_abs_value(a, b);
        return OP_OK;
    case OP_MIN:
        *out = y = op_min_value(a, b);
        return OP_OK;
    case OP_MAX:
        *out = y = op_max_value(a, b);
        return OP_OK;
    case OP_SIGN:
        *out = y = op_sign_value(a, b);
        return OP_OK;
    case OP_FLOOR:
        *out = y = op_floor_value(a, b);
        return OP_OK;
    case OP_CEIL:
        *out = y = op_ceil_value(a, b);
        return OP_OK;
    case OP_ROUND:
        *out = y = op_round_value(a, b);
        if (!(fabs(b) <= 22.0) || (floor(b) < b)) return OP_DOMAIN;
        return OP_OK;
    case OP_MOD:
        *out = y = op_mod_value(a, b);
        if (b == 0.0) return OP_ZERO_DIVISION;
        return OP_OK;
    case OP_FLOORDIV:
        *out = y = op_floordiv_value(a, b);
        if (b == 0.0) return OP_ZERO_DIVISION;
        return OP_OK;
    case OP_LT:
        *out = y = op_lt_value(a, b);
        return OP_OK;
    case OP_LE:
        *out = y = op_le_value(a, b);
        return OP_OK;
    case OP_EQ:
        *out = y = op_eq_value(a, b);
        return OP_OK;
    case OP_NE:
        *out = y = op_ne_value(a, b);
        return OP_OK;
    case OP_KEEP_IF:
        *out = y = op_keep_if_value(a, b);
        return OP_OK;
    case OP_KEEP_UNLESS:
        *out = y = op_keep_unless_value(a, b);
        return OP_OK;
    case OP_EXP:
        *out = y = op_exp_value(a, b);
        if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL)) return OP_OVERFLOW;
        return OP_OK;
    case OP_EXPM1:
        *out = y = op_expm1_value(a, b);
        if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL)) return OP_OVERFLOW;
        return OP_OK;
    case OP_LOG:
        *out = y = op_log_value(a, b);
        if (a <= 0.0) return OP_DOMAIN;
        return OP_OK;
    case OP_LOG1P:
        *out = y = op_log1p_value(a, b);
        if (a <= -1.0) return OP_DOMAIN;
        return OP_OK;
    case OP_SQUARE:
        *out = y = op_square_value(a, b);
        return OP_OK;
    case OP_SQRT:
        *out = y = op_sqrt_value(a, b);
        if (a < 0.0) return OP_DOMAIN;
        return OP_OK;
    case OP_SIN:
        *out = y = op_sin_value(a, b);
        if (fabs(a) == HUGE_VAL) return OP_DOMAIN;
        return OP_OK;
    case OP_COS:
        *out = y = op_cos_value(a, b);
        if (fabs(a) == HUGE_VAL) return OP_DOMAIN;
        return OP_OK;
    case OP_TAN:
        *out = y = op_tan_value(a, b);
        if (fabs(a) == HUGE_VAL) return OP_DOMAIN;
        return OP_OK;
    case OP_ASIN:
        *out = y = op_asin_value(a, b);
        if (fabs(a) > 1.0) return OP_DOMAIN;
        return OP_OK;
    case OP_ACOS:
        *out = y = op_acos_value(a, b);
        if (fabs(a) > 1.0) return OP_DOMAIN;
        return OP_OK;
    case OP_ATAN:
        *out = y = op_atan_value(a, b);
        return OP_OK;
    case OP_ATAN2:
        *out = y = op_atan2_value(a, b);
        return OP_OK;
    case OP_HYPOT:
        *out = y = op_hypot_value(a, b);
        return OP_OK;
    case OP_SINH:
        *out = y = op_sinh_value(a, b);
        if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL)) return OP_OVERFLOW;
        return OP_OK;
    case OP_COSH:
        *out = y = op_cosh_value(a, b);
        if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL)) return OP_OVERFLOW;
        return OP_OK;
    case OP_TANH:
        *out = y = op_tanh_value(a, b);
        return OP_OK;
    case OP_SIGMOID:
        *out = y = op_sigmoid_value(a, b);
        return OP_OK;
    case OP_SOFTPLUS:
        *out = y = op_softplus_value(a, b);
        return OP_OK;
    case OP_ERF:
        *out = y = op_erf_value(a, b);
        return OP_OK;
    case OP_GELU:
        *out = y = op_gelu_value(a, b);
        return OP_OK;
    case OP_LOG2:
        *out = y = op_log2_value(a, b);
        if (a <= 0.0) return OP_DOMAIN;
        return OP_OK;
    case OP_LOG10:
        *out = y = op_log10_value(a, b);
        if (a <= 0.0) return OP_DOMAIN;
        return OP_OK;
    case OP_EXP2:
        *out = y = op_exp2_value(a, b);
        if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL)) return OP_OVERFLOW;
        return OP_OK;
    case OP_CBRT:
        *out = y = op_cbrt_value(a, b);
        return OP_OK;
    case OP_ASINH:
        *out = y = op_asinh_value(a, b);
        return OP_OK;
    case OP_ACOSH:
        *out = y = op_acosh_value(a, b);
        if (a < 1.0) return OP_DOMAIN;
        return OP_OK;
    case OP_ATANH:
        *out = y = op_atanh_value(a, b);
        if (fabs(a) >= 1.0) return OP_DOMAIN;
        return OP_OK;
    case OP_LOGADDEXP:
        *out = y = op_logaddexp_value(a, b);
        return OP_OK;
    case OP_ERFC:
        *out = y = op_erfc_value(a, b);
        return OP_OK;
    case OP_LGAMMA:
        *out = y = op_lgamma_value(a, b);
        if ((a <= 0.0) && (floor(a) == a) && (a > -HUGE_VAL)) return OP_DOMAIN;
        if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL)) return OP_OVERFLOW;
        return OP_OK;
    case OP_DIGAMMA:
        *out = y = op_digamma_value(a, b);
        if ((a <= 0.0) && (floor(a) == a) && (a > -HUGE_VAL)) return OP_DOMAIN;
        if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL)) return OP_OVERFLOW;
        return OP_OK;
    case OP_TRIGAMMA:
        *out = y = op_trigamma_value(a, b);
        if ((a <= 0.0) && (floor(a) == a) && (a > -HUGE_VAL)) return OP_DOMAIN;
        if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL)) return OP_OVERFLOW;
        return OP_OK;
    case OP_PRODUCT:
        *out = y = op_product_value(a, b);
        return OP_OK;
    case OP_QUOTIENT:
        *out = y = op_quotient_value(a, b);
        return OP_OK;
    case OP_POW_SLOPE:
        *out = y = op_pow_slope_value(a, b);
        return OP_OK;
    case OP_POWER_SLOPE:
        *out = y = op_power_slope_value(a, b);
        return OP_OK;
    case OP_LEAKY_SLOPE:
        *out = y = op_leaky_slope_value(a, b);
        return OP_OK;
    case OP_ABS_SLOPE:
        *out = y = op_abs_slope_value(a, b);
        return OP_OK;
    case OP_TAN_SLOPE:
        *out = y = op_tan_slope_value(a, b);
        return OP_OK;
    case OP_ASIN_SLOPE:
        *out = y = op_asin_slope_value(a, b);
        return OP_OK;
    case OP_ATAN_SLOPE:
        *out = y = op_atan_slope_value(a, b);
        return OP_OK;
    case OP_OVER_SQUARE:
        *out = y = op_over_square_value(a, b);
        return OP_OK;
    case OP_HYPOT_SLOPE:
        *out = y = op_hypot_slope_value(a, b);
        return OP_OK;
    case OP_TANH_SLOPE:
        *out = y = op_tanh_slope_value(a, b);
        return OP_OK;
    case OP_SIGMOID_SLOPE:
        *out = y = op_sigmoid_slope_value(a, b);
        return OP_OK;
    case OP_GAUSS:
        *out = y = op_gauss_value(a, b);
        return OP_OK;
    case OP_DENSITY:
        *out = y = op_density_value(a, b);
        return OP_OK;
    case OP_GELU_SLOPE:
        *out = y = op_gelu_slope_value(a, b);
        return OP_OK;
    case OP_CBRT_SLOPE:
        *out = y = op_cbrt_slope_value(a, b);
        return OP_OK;
    case OP_ASINH_SLOPE:
        *out = y = op_asinh_slope_value(a, b);
        return OP_OK;
    case OP_ACOSH_SLOPE:
        *out = y = op_acosh_slope_value(a, b);
        return OP_OK;
    case OP_ATANH_SLOPE:
        *out = y = op_atanh_slope_value(a, b);
        return OP_OK;
    case OP_SHARE:
        *out = y = op_share_value(a, b);
        return OP_OK;
    case OP_TETRAGAMMA:
        *out = y = op_tetragamma_value(a, b);
        return OP_OK;
    case OP_PENTAGAMMA:
        *out = y = op_pentagamma_value(a, b);
        return OP_OK;
    default: *out = 0.0; return OP_OK;
    }
}
/* The partials; returns OP_OK, or OP_ZERO_DIVISION where one is infinite. Operations of
 * one operand leave *db alone. */
OP_INLINE int op_partials(int op, double a, double b, double y, double *da, double *db) {
    switch (op) {
    case OP_ADD:
        *da = op_add_da(a, b, y);
        *db = op_add_db(a, b, y);
        return OP_OK;
    case OP_MUL:
        *da = op_mul_da(a, b, y);
        *db = op_mul_db(a, b, y);
        return OP_OK;
    case OP_POW:
        if ((a == 0.0) && (b < 1.0) && (b != 0.0)) return OP_ZERO_DIVISION;
        *da = op_pow_da(a, b, y);
        *db = op_pow_db(a, b, y);
        return OP_OK;
    case OP_POW_NUMBER:
        if ((a == 0.0) && (b < 1.0) && (b != 0.0)) return OP_ZERO_DIVISION;
        *da = op_pow_number_da(a, b, y);
        return OP_OK;
    case OP_RELU:
        *da = op_relu_da(a, b, y);
        return OP_OK;
    case OP_LEAKY_RELU:
        *da = op_leaky_relu_da(a, b, y);
        return OP_OK;
    case OP_PRELU:
        *da = op_prelu_da(a, b, y);
        *db = op_prelu_db(a, b, y);
        return OP_OK;
    case OP_ABS:
        *da = op_abs_da(a, b, y);
        return OP_OK;
    case OP_MIN:
        *da = op_min_da(a, b, y);
        *db = op_min_db(a, b, y);
        return OP_OK;
    case OP_MAX:
        *da = op_max_da(a, b, y);
        *db = op_max_db(a, b, y);
        return OP_OK;
    case OP_SIGN:
        *da = op_sign_da(a, b, y);
        return OP_OK;
    case OP_FLOOR:
        *da = op_floor_da(a, b, y);
        return OP_OK;
    case OP_CEIL:
        *da = op_ceil_da(a, b, y);
        return OP_OK;
    case OP_ROUND:
        *da = op_round_da(a, b, y);
        return OP_OK;
    case OP_MOD:
        *da = op_mod_da(a, b, y);
        *db = op_mod_db(a, b, y);
        return OP_OK;
    case OP_FLOORDIV:
        *da = op_floordiv_da(a, b, y);
        *db = op_floordiv_db(a, b, y);
        return OP_OK;
    case OP_LT:
        *da = op_lt_da(a, b, y);
        *db = op_lt_db(a, b, y);
        return OP_OK;
    case OP_LE:
        *da = op_le_da(a, b, y);
        *db = op_le_db(a, b, y);
        return OP_OK;
    case OP_EQ:
        *da = op_eq_da(a, b, y);
        *db = op_eq_db(a, b, y);
        return OP_OK;
    case OP_NE:
        *da = op_ne_da(a, b, y);
        *db = op_ne_db(a, b, y);
        return OP_OK;
    case OP_KEEP_IF:
        *da = op_keep_if_da(a, b, y);
        *db = op_keep_if_db(a, b, y);
        return OP_OK;
    case OP_KEEP_UNLESS:
        *da = op_keep_unless_da(a, b, y);
        *db = op_keep_unless_db(a, b, y);
        return OP_OK;
    case OP_EXP:
        *da = op_exp_da(a, b, y);
        return OP_OK;
    case OP_EXPM1:
        *da = op_expm1_da(a, b, y);
        return OP_OK;
    case OP_LOG:
        *da = op_log_da(a, b, y);
        return OP_OK;
    case OP_LOG1P:
        *da = op_log1p_da(a, b, y);
        return OP_OK;
    case OP_SQUARE:
        *da = op_square_da(a, b, y);
        return OP_OK;
    case OP_SQRT:
        if (y == 0.0) return OP_ZERO_DIVISION;
        *da = op_sqrt_da(a, b, y);
        return OP_OK;
    case OP_SIN:
        *da = op_sin_da(a, b, y);
        return OP_OK;
    case OP_COS:
        *da = op_cos_da(a, b, y);
        return OP_OK;
    case OP_TAN:
        *da = op_tan_da(a, b, y);
        return OP_OK;
    case OP_ASIN:
        if (fabs(a) == 1.0) return OP_ZERO_DIVISION;
        *da = op_asin_da(a, b, y);
        return OP_OK;
    case OP_ACOS:
        if (fabs(a) == 1.0) return OP_ZERO_DIVISION;
        *da = op_acos_da(a, b, y);
        return OP_OK;
    case OP_ATAN:
        *da = op_atan_da(a, b, y);
        return OP_OK;
    case OP_ATAN2:
        if ((a == 0.0) && (b == 0.0)) return OP_ZERO_DIVISION;
        *da = op_atan2_da(a, b, y);
        *db = op_atan2_db(a, b, y);
        return OP_OK;
    case OP_HYPOT:
        *da = op_hypot_da(a, b, y);
        *db = op_hypot_db(a, b, y);
        return OP_OK;
    case OP_SINH:
        *da = op_sinh_da(a, b, y);
        return OP_OK;
    case OP_COSH:
        *da = op_cosh_da(a, b, y);
        return OP_OK;
    case OP_TANH:
        *da = op_tanh_da(a, b, y);
        return OP_OK;
    case OP_SIGMOID:
        *da = op_sigmoid_da(a, b, y);
        return OP_OK;
    case OP_SOFTPLUS:
        *da = op_softplus_da(a, b, y);
        return OP_OK;
    case OP_ERF:
        *da = op_erf_da(a, b, y);
        return OP_OK;
    case OP_GELU:
        *da = op_gelu_da(a, b, y);
        return OP_OK;
    case OP_LOG2:
        *da = op_log2_da(a, b, y);
        return OP_OK;
    case OP_LOG10:
        *da = op_log10_da(a, b, y);
        return OP_OK;
    case OP_EXP2:
        *da = op_exp2_da(a, b, y);
        return OP_OK;
    case OP_CBRT:
        if (a == 0.0) return OP_ZERO_DIVISION;
        *da = op_cbrt_da(a, b, y);
        return OP_OK;
    case OP_ASINH:
        *da = op_asinh_da(a, b, y);
        return OP_OK;
    case OP_ACOSH:
        if (a == 1.0) return OP_ZERO_DIVISION;
        *da = op_acosh_da(a, b, y);
        return OP_OK;
    case OP_ATANH:
        *da = op_atanh_da(a, b, y);
        return OP_OK;
    case OP_LOGADDEXP:
        *da = op_logaddexp_da(a, b, y);
        *db = op_logaddexp_db(a, b, y);
        return OP_OK;
    case OP_ERFC:
        *da = op_erfc_da(a, b, y);
        return OP_OK;
    case OP_LGAMMA:
        *da = op_lgamma_da(a, b, y);
        return OP_OK;
    case OP_DIGAMMA:
        *da = op_digamma_da(a, b, y);
        return OP_OK;
    case OP_TRIGAMMA:
        *da = op_trigamma_da(a, b, y);
        return OP_OK;
    case OP_PRODUCT:
        *da = op_product_da(a, b, y);
        *db = op_product_db(a, b, y);
        return OP_OK;
    case OP_QUOTIENT:
        *da = op_quotient_da(a, b, y);
        *db = op_quotient_db(a, b, y);
        return OP_OK;
    case OP_POW_SLOPE:
        *da = op_pow_slope_da(a, b, y);
        *db = op_pow_slope_db(a, b, y);
        return OP_OK;
    case OP_POWER_SLOPE:
        *da = op_power_slope_da(a, b, y);
        return OP_OK;
    case OP_LEAKY_SLOPE:
        *da = op_leaky_slope_da(a, b, y);
        *db = op_leaky_slope_db(a, b, y);
        return OP_OK;
    case OP_ABS_SLOPE:
        *da = op_abs_slope_da(a, b, y);
        return OP_OK;
    case OP_TAN_SLOPE:
        *da = op_tan_slope_da(a, b, y);
        return OP_OK;
    case OP_ASIN_SLOPE:
        if (fabs(a) == 1.0) return OP_ZERO_DIVISION;
        *da = op_asin_slope_da(a, b, y);
        return OP_OK;
    case OP_ATAN_SLOPE:
        *da = op_atan_slope_da(a, b, y);
        return OP_OK;
    case OP_OVER_SQUARE:
        if ((a == 0.0) && (b == 0.0)) return OP_ZERO_DIVISION;
        *da = op_over_square_da(a, b, y);
        *db = op_over_square_db(a, b, y);
        return OP_OK;
    case OP_HYPOT_SLOPE:
        *da = op_hypot_slope_da(a, b, y);
        *db = op_hypot_slope_db(a, b, y);
        return OP_OK;
    case OP_TANH_SLOPE:
        *da = op_tanh_slope_da(a, b, y);
        return OP_OK;
    case OP_SIGMOID_SLOPE:
        *da = op_sigmoid_slope_da(a, b, y);
        return OP_OK;
    case OP_GAUSS:
        *da = op_gauss_da(a, b, y);
        return OP_OK;
    case OP_DENSITY:
        *da = op_density_da(a, b, y);
        return OP_OK;
    case OP_GELU_SLOPE:
        *da = op_gelu_slope_da(a, b, y);
        return OP_OK;
    case OP_CBRT_SLOPE:
        if (a == 0.0) return OP_ZERO_DIVISION;
        *da = op_cbrt_slope_da(a, b, y);
        return OP_OK;
    case OP_ASINH_SLOPE:
        *da = op_asinh_slope_da(a, b, y);
        return OP_OK;
    case OP_ACOSH_SLOPE:
        if (a == 1.0) return OP_ZERO_DIVISION;
        *da = op_acosh_slope_da(a, b, y);
        return OP_OK;
    case OP_ATANH_SLOPE:
        if (fabs(a) == 1.0) return OP_ZERO_DIVISION;
        *da = op_atanh_slope_da(a, b, y);
        return OP_OK;
    case OP_SHARE:
        *da = op_share_da(a, b, y);
        *db = op_share_db(a, b, y);
        return OP_OK;
    case OP_TETRAGAMMA:
        *da = op_tetragamma_da(a, b, y);
        return OP_OK;
    case OP_PENTAGAMMA:
        *da = op_pentagamma_da(a, b, y);
        return OP_OK;
    default: *da = 0.0; return OP_OK;
    }
}
/* The partials as IEEE has them: infinite where the derivative is. For replay. */
OP_INLINE void op_slopes(int op, double a, double b, double y, double *da, double *db) {
    switch (op) {
    case OP_ADD:
        *da = op_add_da(a, b, y);
        *db = op_add_db(a, b, y);
        break;
    case OP_MUL:
        *da = op_mul_da(a, b, y);
        *db = op_mul_db(a, b, y);
        break;
    case OP_POW:
        *da = op_pow_da(a, b, y);
        *db = op_pow_db(a, b, y);
        break;
    case OP_POW_NUMBER:
        *da = op_pow_number_da(a, b, y);
        break;
    case OP_RELU:
        *da = op_relu_da(a, b, y);
        break;
    case OP_LEAKY_RELU:
        *da = op_leaky_relu_da(a, b, y);
        break;
    case OP_PRELU:
        *da = op_prelu_da(a, b, y);
        *db = op_prelu_db(a, b, y);
        break;
    case OP_ABS:
        *da = op_abs_da(a, b, y);
        break;
    case OP_MIN:
        *da = op_min_da(a, b, y);
        *db = op_min_db(a, b, y);
        break;
    case OP_MAX:
        *da = op_max_da(a, b, y);
        *db = op_max_db(a, b, y);
        break;
    case OP_SIGN:
        *da = op_sign_da(a, b, y);
        break;
    case OP_FLOOR:
        *da = op_floor_da(a, b, y);
        break;
    case OP_CEIL:
        *da = op_ceil_da(a, b, y);
        break;
    case OP_ROUND:
        *da = op_round_da(a, b, y);
        break;
    case OP_MOD:
        *da = op_mod_da(a, b, y);
        *db = op_mod_db(a, b, y);
        break;
    case OP_FLOORDIV:
        *da = op_floordiv_da(a, b, y);
        *db = op_floordiv_db(a, b, y);
        break;
    case OP_LT:
        *da = op_lt_da(a, b, y);
        *db = op_lt_db(a, b, y);
        break;
    case OP_LE:
        *da = op_le_da(a, b, y);
        *db = op_le_db(a, b, y);
        break;
    case OP_EQ:
        *da = op_eq_da(a, b, y);
        *db = op_eq_db(a, b, y);
        break;
    case OP_NE:
        *da = op_ne_da(a, b, y);
        *db = op_ne_db(a, b, y);
        break;
    case OP_KEEP_IF:
        *da = op_keep_if_da(a, b, y);
        *db = op_keep_if_db(a, b, y);
        break;
    case OP_KEEP_UNLESS:
        *da = op_keep_unless_da(a, b, y);
        *db = op_keep_unless_db(a, b, y);
        break;
    case OP_EXP:
        *da = op_exp_da(a, b, y);
        break;
    case OP_EXPM1:
        *da = op_expm1_da(a, b, y);
        break;
    case OP_LOG:
        *da = op_log_da(a, b, y);
        break;
    case OP_LOG1P:
        *da = op_log1p_da(a, b, y);
        break;
    case OP_SQUARE:
        *da = op_square_da(a, b, y);
        break;
    case OP_SQRT:
        *da = op_sqrt_da(a, b, y);
        break;
    case OP_SIN:
        *da = op_sin_da(a, b, y);
        break;
    case OP_COS:
        *da = op_cos_da(a, b, y);
        break;
    case OP_TAN:
        *da = op_tan_da(a, b, y);
        break;
    case OP_ASIN:
        *da = op_asin_da(a, b, y);
        break;
    case OP_ACOS:
        *da = op_acos_da(a, b, y);
        break;
    case OP_ATAN:
        *da = op_atan_da(a, b, y);
        break;
    case OP_ATAN2:
        *da = op_atan2_da(a, b, y);
        *db = op_atan2_db(a, b, y);
        break;
    case OP_HYPOT:
        *da = op_hypot_da(a, b, y);
        *db = op_hypot_db(a, b, y);
        break;
    case OP_SINH:
        *da = op_sinh_da(a, b, y);
        break;
    case OP_COSH:
        *da = op_cosh_da(a, b, y);
        break;
    case OP_TANH:
        *da = op_tanh_da(a, b, y);
        break;
    case OP_SIGMOID:
        *da = op_sigmoid_da(a, b, y);
        break;
    case OP_SOFTPLUS:
        *da = op_softplus_da(a, b, y);
        break;
    case OP_ERF:
        *da = op_erf_da(a, b, y);
        break;
    case OP_GELU:
        *da = op_gelu_da(a, b, y);
        break;
    case OP_LOG2:
        *da = op_log2_da(a, b, y);
        break;
    case OP_LOG10:
        *da = op_log10_da(a, b, y);
        break;
    case OP_EXP2:
        *da = op_exp2_da(a, b, y);
        break;
    case OP_CBRT:
        *da = op_cbrt_da(a, b, y);
        break;
    case OP_ASINH:
        *da = op_asinh_da(a, b, y);
        break;
    case OP_ACOSH:
        *da = op_acosh_da(a, b, y);
        break;
    case OP_ATANH:
        *da = op_atanh_da(a, b, y);
        break;
    case OP_LOGADDEXP:
        *da = op_logaddexp_da(a, b, y);
        *db = op_logaddexp_db(a, b, y);
        break;
    case OP_ERFC:
        *da = op_erfc_da(a, b, y);
        break;
    case OP_LGAMMA:
        *da = op_lgamma_da(a, b, y);
        break;
    case OP_DIGAMMA:
        *da = op_digamma_da(a, b, y);
        break;
    case OP_TRIGAMMA:
        *da = op_trigamma_da(a, b, y);
        break;
    case OP_PRODUCT:
        *da = op_product_da(a, b, y);
        *db = op_product_db(a, b, y);
        break;
    case OP_QUOTIENT:
        *da = op_quotient_da(a, b, y);
        *db = op_quotient_db(a, b, y);
        break;
    case OP_POW_SLOPE:
        *da = op_pow_slope_da(a, b, y);
        *db = op_pow_slope_db(a, b, y);
        break;
    case OP_POWER_SLOPE:
        *da = op_power_slope_da(a, b, y);
        break;
    case OP_LEAKY_SLOPE:
        *da = op_leaky_slope_da(a, b, y);
        *db = op_leaky_slope_db(a, b, y);
        break;
    case OP_ABS_SLOPE:
        *da = op_abs_slope_da(a, b, y);
        break;
    case OP_TAN_SLOPE:
        *da = op_tan_slope_da(a, b, y);
        break;
    case OP_ASIN_SLOPE:
        *da = op_asin_slope_da(a, b, y);
        break;
    case OP_ATAN_SLOPE:
        *da = op_atan_slope_da(a, b, y);
        break;
    case OP_OVER_SQUARE:
        *da = op_over_square_da(a, b, y);
        *db = op_over_square_db(a, b, y);
        break;
    case OP_HYPOT_SLOPE:
        *da = op_hypot_slope_da(a, b, y);
        *db = op_hypot_slope_db(a, b, y);
        break;
    case OP_TANH_SLOPE:
        *da = op_tanh_slope_da(a, b, y);
        break;
    case OP_SIGMOID_SLOPE:
        *da = op_sigmoid_slope_da(a, b, y);
        break;
    case OP_GAUSS:
        *da = op_gauss_da(a, b, y);
        break;
    case OP_DENSITY:
        *da = op_density_da(a, b, y);
        break;
    case OP_GELU_SLOPE:
        *da = op_gelu_slope_da(a, b, y);
        break;
    case OP_CBRT_SLOPE:
        *da = op_cbrt_slope_da(a, b, y);
        break;
    case OP_ASINH_SLOPE:
        *da = op_asinh_slope_da(a, b, y);
        break;
    case OP_ACOSH_SLOPE:
        *da = op_acosh_slope_da(a, b, y);
        break;
    case OP_ATANH_SLOPE:
        *da = op_atanh_slope_da(a, b, y);
        break;
    case OP_SHARE:
        *da = op_share_da(a, b, y);
        *db = op_share_db(a, b, y);
        break;
    case OP_TETRAGAMMA:
        *da = op_tetragamma_da(a, b, y);
        break;
    case OP_PENTAGAMMA:
        *da = op_pentagamma_da(a, b, y);
        break;
    default: *da = 0.0;
    }
}
/* The second partials, of the branch taken at a kink; returns as op_partials does.
 * Operations of one operand leave *dab and *dbb alone; slopes have none here. */
OP_INLINE int op_second(int op, double a, double b, double y, double *daa, double *dab, double
        *dbb) {
    switch (op) {
    case OP_ADD:
        *daa = 0.0;
        *dab = 0.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_MUL:
        *daa = 0.0;
        *dab = 1.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_POW:
        if ((a == 0.0) && (b < 1.0) && (b != 0.0)) return OP_ZERO_DIVISION;
        *daa = (b == 0.0) ? 0.0 : (((((b - 1.0) + 1.0) == b) || !(fabs(a) < HUGE_VAL)) ? (b * (((b
        - 1.0) != 0.0) ? ((b - 1.0) * fg_pow(a, (b - 1.0) - 1.0)) : 0.0)) : (b * ((((b == 0.0) ?
        0.0 : (((((b - 1.0) + 1.0) == b) || !(fabs(a) < HUGE_VAL)) ? (b * fg_pow(a, b - 1.0)) : (b
        * (y / a)))) - (y / a)) / a)));
        *dab = (a == 0.0) ? 0.0 : ((((b == 0.0) ? 0.0 : (((((b - 1.0) + 1.0) == b) || !(fabs(a) <
        HUGE_VAL)) ? (b * fg_pow(a, b - 1.0)) : (b * (y / a)))) * fg_log(a)) + (y * (1.0 / a)));
        *dbb = (a == 0.0) ? 0.0 : (((a == 0.0) ? 0.0 : (y * fg_log(a))) * fg_log(a));
        return OP_OK;
    case OP_POW_NUMBER:
        if ((a == 0.0) && (b < 1.0) && (b != 0.0)) return OP_ZERO_DIVISION;
        *daa = (b == 0.0) ? 0.0 : ((b == 2.0) ? 2.0 : (((((b - 1.0) + 1.0) == b) || !(fabs(a) <
        HUGE_VAL)) ? (b * (((b - 1.0) != 0.0) ? ((b - 1.0) * fg_power(a, (b - 1.0) - 1.0)) : 0.0))
        : (b * ((((b == 0.0) ? 0.0 : ((b == 2.0) ? (2.0 * a) : (((((b - 1.0) + 1.0) == b) ||
        !(fabs(a) < HUGE_VAL)) ? (b * fg_power(a, b - 1.0)) : (b * (y / a))))) - (y / a)) / a))));
        return OP_OK;
    case OP_RELU:
        *daa = 0.0;
        return OP_OK;
    case OP_LEAKY_RELU:
        *daa = 0.0;
        return OP_OK;
    case OP_PRELU:
        *daa = 0.0;
        *dab = (a < 0.0) ? 1.0 : 0.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_ABS:
        *daa = 0.0;
        return OP_OK;
    case OP_MIN:
        *daa = 0.0;
        *dab = 0.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_MAX:
        *daa = 0.0;
        *dab = 0.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_SIGN:
        *daa = 0.0;
        return OP_OK;
    case OP_FLOOR:
        *daa = 0.0;
        return OP_OK;
    case OP_CEIL:
        *daa = 0.0;
        return OP_OK;
    case OP_ROUND:
        *daa = 0.0;
        return OP_OK;
    case OP_MOD:
        *daa = 0.0;
        *dab = 0.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_FLOORDIV:
        *daa = 0.0;
        *dab = 0.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_LT:
        *daa = 0.0;
        *dab = 0.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_LE:
        *daa = 0.0;
        *dab = 0.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_EQ:
        *daa = 0.0;
        *dab = 0.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_NE:
        *daa = 0.0;
        *dab = 0.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_KEEP_IF:
        *daa = 0.0;
        *dab = 0.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_KEEP_UNLESS:
        *daa = 0.0;
        *dab = 0.0;
        *dbb = 0.0;
        return OP_OK;
    case OP_EXP:
        *daa = y;
        return OP_OK;
    case OP_EXPM1:
        *daa = fg_exp(a);
        return OP_OK;
    case OP_LOG:
        *daa = (0.0 - (1.0 / a)) / a;
        return OP_OK;
    case OP_LOG1P:
        *daa = (0.0 - (1.0 / (1.0 + a))) / (1.0 + a);
        return OP_OK;
    case OP_SQUARE:
        *daa = 2.0;
        return OP_OK;
    case OP_SQRT:
        if (y == 0.0) return OP_ZERO_DIVISION;
        *daa = (0.0 - ((0.5 / y) * (0.5 / y))) / y;
        return OP_OK;
    case OP_SIN:
        *daa = -fg_sin(a);
        return OP_OK;
    case OP_COS:
        *daa = -1.0 * fg_cos(a);
        return OP_OK;
    case OP_TAN:
        *daa = (2.0 * fg_tan(a)) * fg_tan_slope(a);
        return OP_OK;
    case OP_ASIN:
        if (fabs(a) == 1.0) return OP_ZERO_DIVISION;
        *daa = ((a * fg_asin_slope(a)) * fg_asin_slope(a)) * fg_asin_slope(a);
        return OP_OK;
    case OP_ACOS:
        if (fabs(a) == 1.0) return OP_ZERO_DIVISION;
        *daa = -1.0 * (((a * fg_asin_slope(a)) * fg_asin_slope(a)) * fg_asin_slope(a));
        return OP_OK;
    case OP_ATAN:
        *daa = ((-2.0 * a) * fg_atan_slope(a)) * fg_atan_slope(a);
        return OP_OK;
    case OP_ATAN2:
        if ((a == 0.0) && (b == 0.0)) return OP_ZERO_DIVISION;
        *daa = (-2.0 * fg_over_square(b, a)) * fg_over_square(a, b);
        *dab = -1.0 * ((fg_over_square(b, a) - fg_over_square(a, b)) * (fg_over_square(b, a) +
        fg_over_square(a, b)));
        *dbb = -1.0 * ((-2.0 * fg_over_square(a, b)) * fg_over_square(b, a));
        return OP_OK;
    case OP_HYPOT:
        *daa = (fg_hypot(a, b) > 0.0) ? ((fg_hypot_slope(b, a) * fg_hypot_slope(b, a)) /
        fg_hypot(a, b)) : 0.0;
        *dab = (fg_hypot(b, a) > 0.0) ? -((fg_hypot_slope(b, a) * fg_hypot_slope(a, b)) /
        fg_hypot(b, a)) : 0.0;
        *dbb = (fg_hypot(b, a) > 0.0) ? ((fg_hypot_slope(a, b) * fg_hypot_slope(a, b)) /
        fg_hypot(b, a)) : 0.0;
        return OP_OK;
    case OP_SINH:
        *daa = fg_sinh(a);
        return OP_OK;
    case OP_COSH:
        *daa = fg_cosh(a);
        return OP_OK;
    case OP_TANH:
        *daa = (-2.0 * fg_tanh(a)) * fg_tanh_slope(a);
        return OP_OK;
    case OP_SIGMOID:
        *daa = -fg_tanh(0.5 * a) * fg_sigmoid_slope(a);
        return OP_OK;
    case OP_SOFTPLUS:
        *daa = fg_sigmoid_slope(a);
        return OP_OK;
    case OP_ERF:
        *daa = (-2.0 * a) * fg_gauss(a);
        return OP_OK;
    case OP_GELU:
        *daa = fg_density(a) * (2.0 - (a * a));
        return OP_OK;
    case OP_LOG2:
        *daa = (0.0 - (1.4426950408889634 / a)) / a;
        return OP_OK;
    case OP_LOG10:
        *daa = (0.0 - (0.4342944819032518 / a)) / a;
        return OP_OK;
    case OP_EXP2:
        *daa = 0.6931471805599453 * (0.6931471805599453 * y);
        return OP_OK;
    case OP_CBRT:
        if (a == 0.0) return OP_ZERO_DIVISION;
        *daa = (-2.0 * fg_cbrt_slope(a)) / (3.0 * a);
        return OP_OK;
    case OP_ASINH:
        *daa = ((-a * fg_asinh_slope(a)) * fg_asinh_slope(a)) * fg_asinh_slope(a);
        return OP_OK;
    case OP_ACOSH:
        if (a == 1.0) return OP_ZERO_DIVISION;
        *daa = ((-a * fg_acosh_slope(a)) * fg_acosh_slope(a)) * fg_acosh_slope(a);
        return OP_OK;
    case OP_ATANH:
        *daa = ((2.0 * a) * fg_atanh_slope(a)) * fg_atanh_slope(a);
        return OP_OK;
    case OP_LOGADDEXP:
        *daa = fg_share(a, b) * fg_share(b, a);
        *dab = -(fg_share(b, a) * fg_share(a, b));
        *dbb = fg_share(b, a) * fg_share(a, b);
        return OP_OK;
    case OP_ERFC:
        *daa = -1.0 * ((-2.0 * a) * fg_gauss(a));
        return OP_OK;
    case OP_LGAMMA:
        *daa = fg_trigamma(a);
        return OP_OK;
    case OP_DIGAMMA:
        *daa = fg_tetragamma(a);
        return OP_OK;
    case OP_TRIGAMMA:
        *daa = fg_pentagamma(a);
        return OP_OK;
    default: *daa = 0.0; return OP_OK;
    }
}
/* What a forward that failed expected: the text of the Python error. */
OP_INLINE const char *op_error_text(int op, int error) {
    if (op == OP_POW && error == OP_ZERO_DIVISION)
        return "pow expects a != 0 where the exponent is negative";
    if (op == OP_POW && error == OP_DOMAIN)
        return "pow expects a >= 0 where the exponent is no integer";
    if (op == OP_POW && error == OP_OVERFLOW)
        return "pow expects a result that fits a float";
    if (op == OP_POW_NUMBER && error == OP_ZERO_DIVISION)
        return "pow expects a != 0 where the exponent is negative";
    if (op == OP_POW_NUMBER && error == OP_DOMAIN)
        return "pow expects a >= 0 where the exponent is no integer";
    if (op == OP_POW_NUMBER && error == OP_OVERFLOW)
        return "pow expects a result that fits a float";
    if (op == OP_ROUND && error == OP_DOMAIN)
        return "round expects whole digits from -22 to 22";
    if (op == OP_MOD && error == OP_ZERO_DIVISION)
        return "modulo expects a divisor other than 0";
    if (op == OP_FLOORDIV && error == OP_ZERO_DIVISION)
        return "floor division expects a divisor other than 0";
    if (op == OP_EXP && error == OP_OVERFLOW)
        return "exp expects a result that fits a float";
    if (op == OP_EXPM1 && error == OP_OVERFLOW)
        return "expm1 expects a result that fits a float";
    if (op == OP_LOG && error == OP_DOMAIN)
        return "log expects a > 0";
    if (op == OP_LOG1P && error == OP_DOMAIN)
        return "log1p expects a > -1";
    if (op == OP_SQRT && error == OP_DOMAIN)
        return "sqrt expects a >= 0";
    if (op == OP_SIN && error == OP_DOMAIN)
        return "sin expects a finite number";
    if (op == OP_COS && error == OP_DOMAIN)
        return "cos expects a finite number";
    if (op == OP_TAN && error == OP_DOMAIN)
        return "tan expects a finite number";
    if (op == OP_ASIN && error == OP_DOMAIN)
        return "asin expects -1 <= a <= 1";
    if (op == OP_ACOS && error == OP_DOMAIN)
        return "acos expects -1 <= a <= 1";
    if (op == OP_SINH && error == OP_OVERFLOW)
        return "sinh expects a result that fits a float";
    if (op == OP_COSH && error == OP_OVERFLOW)
        return "cosh expects a result that fits a float";
    if (op == OP_LOG2 && error == OP_DOMAIN)
        return "log2 expects a > 0";
    if (op == OP_LOG10 && error == OP_DOMAIN)
        return "log10 expects a > 0";
    if (op == OP_EXP2 && error == OP_OVERFLOW)
        return "exp2 expects a result that fits a float";
    if (op == OP_ACOSH && error == OP_DOMAIN)
        return "acosh expects a >= 1";
    if (op == OP_ATANH && error == OP_DOMAIN)
        return "atanh expects -1 < a < 1";
    if (op == OP_LGAMMA && error == OP_DOMAIN)
        return "lgamma expects a number other than 0, -1, -2, ...";
    if (op == OP_LGAMMA && error == OP_OVERFLOW)
        return "lgamma expects a result that fits a float";
    if (op == OP_DIGAMMA && error == OP_DOMAIN)
        return "digamma expects a number other than 0, -1, -2, ...";
    if (op == OP_DIGAMMA && error == OP_OVERFLOW)
        return "digamma expects a result that fits a float";
    if (op == OP_TRIGAMMA && error == OP_DOMAIN)
        return "trigamma expects a number other than 0, -1, -2, ...";
    if (op == OP_TRIGAMMA && error == OP_OVERFLOW)
        return "trigamma expects a result that fits a float";
    return "operation expects a result that is a number";
}

/* Why the partials failed. */
OP_INLINE const char *op_singular_text(int op) {
    switch (op) {
    case OP_POW:
        return "pow has an infinite derivative where a == 0 and b < 1 and b != 0";
    case OP_POW_NUMBER:
        return "pow has an infinite derivative where a == 0 and b < 1 and b != 0";
    case OP_SQRT:
        return "sqrt has an infinite derivative where y == 0";
    case OP_ASIN:
        return "asin has an infinite derivative where |a| == 1";
    case OP_ACOS:
        return "acos has an infinite derivative where |a| == 1";
    case OP_ATAN2:
        return "atan2 has an infinite derivative where a == 0 and b == 0";
    case OP_CBRT:
        return "cbrt has an infinite derivative where a == 0";
    case OP_ACOSH:
        return "acosh has an infinite derivative where a == 1";
    case OP_ASIN_SLOPE:
        return "asin_slope has an infinite derivative where |a| == 1";
    case OP_OVER_SQUARE:
        return "over_square has an infinite derivative where a == 0 and b == 0";
    case OP_CBRT_SLOPE:
        return "cbrt_slope has an infinite derivative where a == 0";
    case OP_ACOSH_SLOPE:
        return "acosh_slope has an infinite derivative where a == 1";
    case OP_ATANH_SLOPE:
        return "atanh_slope has an infinite derivative where |a| == 1";
    default: return "operation has an infinite derivative where it is singular";
    }
}

#endif