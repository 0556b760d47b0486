/* Operations: opcodes, what is known of each, forward values, partials, reasons for errors.
 * Layer: bottom. Includes <math.h> only. Compile with -ffp-contract=off: the table's rounding.
 * Written by tools/gen_ops.py from fastgrad/ops.py: edit that, then run `make ops`. */
#ifndef FASTGRAD_OPS_H
#define FASTGRAD_OPS_H

#include <math.h>

/* Each module uses its own part of this header; that is no reason for a warning. */
#if defined(__GNUC__)
#define OP_STATIC static __attribute__((unused))
#else
#define OP_STATIC static
#endif
#define OP_INLINE OP_STATIC inline

enum op_error { OP_OK, OP_ZERO_DIVISION, OP_OVERFLOW, OP_DOMAIN };

enum opcode {
    OP_LEAF, OP_PYTHON, OP_CUSTOM, OP_AFFINE, OP_HIDDEN, OP_ADD, OP_MUL, OP_POW, OP_POW_NUMBER,
    OP_RELU, OP_LEAKY_RELU, OP_ABS, OP_MIN, OP_MAX, OP_EXP, OP_EXPM1, OP_LOG, OP_LOG1P,
    OP_SQUARE, OP_SQRT, OP_SIN, OP_COS, OP_TAN, OP_ASIN, OP_ACOS, OP_ATAN, OP_ATAN2, OP_HYPOT,
    OP_SINH, OP_COSH, OP_TANH, OP_SIGMOID, OP_SOFTPLUS, OP_ERF, OP_GELU, OP_COUNT
};

/* Operands that are shown. */
OP_STATIC const unsigned char op_operands[OP_COUNT] = {
    0, 0, 0, 0, 0, 2, 2, 2, 1, 1, 1, 1, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 1, 1, 1,
    1, 1, 1, 1
};

/* 1: b is a hidden leaf that holds the parameter. */
OP_STATIC const unsigned char op_has_parameter[OP_COUNT] = {
    0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0
};

/* Name in the table. */
OP_STATIC const char *const op_name[OP_COUNT] = {
    "leaf", "python", "custom", "affine", "hidden", "add", "mul", "pow", "pow_number", "relu",
    "leaky_relu", "abs", "min", "max", "exp", "expm1", "log", "log1p", "square", "sqrt", "sin",
    "cos", "tan", "asin", "acos", "atan", "atan2", "hypot", "sinh", "cosh", "tanh", "sigmoid",
    "softplus", "erf", "gelu"
};

/* What `_op` shows. */
OP_STATIC const char *const op_symbol[OP_COUNT] = {
    "", "python", "custom", "affine", "hidden", "+", "*", "**", "**", "ReLU", "leaky_relu",
    "abs", "min", "max", "exp", "expm1", "log", "log1p", "square", "sqrt", "sin", "cos", "tan",
    "asin", "acos", "atan", "atan2", "hypot", "sinh", "cosh", "tanh", "sigmoid", "softplus",
    "erf", "gelu"
};

OP_INLINE int op_add_forward(double a, double b, double *out) {
    const double y = a + b;
    *out = y;
    return OP_OK;
}

OP_INLINE int op_add_partials(double a, double b, double y, double *da, double *db) {
    (void)a;
    (void)b;
    (void)y;
    *da = 1.0;
    *db = 1.0;
    return OP_OK;
}

OP_INLINE int op_mul_forward(double a, double b, double *out) {
    const double y = a * b;
    *out = y;
    return OP_OK;
}

OP_INLINE int op_mul_partials(double a, double b, double y, double *da, double *db) {
    (void)y;
    *da = b;
    *db = a;
    return OP_OK;
}

OP_INLINE int op_pow_forward(double a, double b, double *out) {
    const double y = pow(a, b);
    *out = y;
    if ((a == 0.0) && (b < 0.0) && (b > -HUGE_VAL)) return OP_ZERO_DIVISION;
    if ((a < 0.0) && (a > -HUGE_VAL) && (floor(b) < b)) return OP_DOMAIN;
    if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL) && (fabs(b) < HUGE_VAL)) return OP_OVERFLOW;
    return OP_OK;
}

OP_INLINE int op_pow_partials(double a, double b, double y, double *da, double *db) {
    if ((a == 0.0) && (b < 1.0) && (b != 0.0)) return OP_ZERO_DIVISION;
    *da = (b == 0.0) ? 0.0 : (((((b - 1.0) + 1.0) == b) || !(fabs(a) < HUGE_VAL)) ? (b * pow(a, b
        - 1.0)) : (b * (pow(a, b) / a)));
    *db = (a == 0.0) ? 0.0 : (y * log(a));
    return OP_OK;
}

OP_INLINE int op_pow_number_forward(double a, double b, double *out) {
    const double y = pow(a, b);
    *out = y;
    if ((a == 0.0) && (b < 0.0) && (b > -HUGE_VAL)) return OP_ZERO_DIVISION;
    if ((a < 0.0) && (a > -HUGE_VAL) && (floor(b) < b)) return OP_DOMAIN;
    if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL) && (fabs(b) < HUGE_VAL)) return OP_OVERFLOW;
    return OP_OK;
}

OP_INLINE int op_pow_number_partials(double a, double b, double y, double *da, double *db) {
    (void)y;
    (void)db;
    if ((a == 0.0) && (b < 1.0) && (b != 0.0)) return OP_ZERO_DIVISION;
    *da = (b == 0.0) ? 0.0 : ((b == 2.0) ? (2.0 * a) : (((((b - 1.0) + 1.0) == b) || !(fabs(a) <
        HUGE_VAL)) ? (b * pow(a, b - 1.0)) : (b * (pow(a, b) / a))));
    return OP_OK;
}

OP_INLINE int op_relu_forward(double a, double b, double *out) {
    (void)b;
    const double y = (a < 0.0) ? 0.0 : a;
    *out = y;
    return OP_OK;
}

OP_INLINE int op_relu_partials(double a, double b, double y, double *da, double *db) {
    (void)a;
    (void)b;
    (void)db;
    *da = (y > 0.0) ? 1.0 : 0.0;
    return OP_OK;
}

OP_INLINE int op_leaky_relu_forward(double a, double b, double *out) {
    const double y = (a < 0.0) ? (b * a) : a;
    *out = y;
    return OP_OK;
}

OP_INLINE int op_leaky_relu_partials(double a, double b, double y, double *da, double *db) {
    (void)y;
    (void)db;
    *da = (a > 0.0) ? 1.0 : b;
    return OP_OK;
}

OP_INLINE int op_abs_forward(double a, double b, double *out) {
    (void)b;
    const double y = fabs(a);
    *out = y;
    return OP_OK;
}

OP_INLINE int op_abs_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = (a > 0.0) ? 1.0 : ((a < 0.0) ? -1.0 : 0.0);
    return OP_OK;
}

OP_INLINE int op_min_forward(double a, double b, double *out) {
    const double y = ((a <= b) || (a != a)) ? a : b;
    *out = y;
    return OP_OK;
}

OP_INLINE int op_min_partials(double a, double b, double y, double *da, double *db) {
    (void)y;
    *da = ((a <= b) || (a != a)) ? 1.0 : 0.0;
    *db = ((a <= b) || (a != a)) ? 0.0 : 1.0;
    return OP_OK;
}

OP_INLINE int op_max_forward(double a, double b, double *out) {
    const double y = ((a >= b) || (a != a)) ? a : b;
    *out = y;
    return OP_OK;
}

OP_INLINE int op_max_partials(double a, double b, double y, double *da, double *db) {
    (void)y;
    *da = ((a >= b) || (a != a)) ? 1.0 : 0.0;
    *db = ((a >= b) || (a != a)) ? 0.0 : 1.0;
    return OP_OK;
}

OP_INLINE int op_exp_forward(double a, double b, double *out) {
    (void)b;
    const double y = exp(a);
    *out = y;
    if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL)) return OP_OVERFLOW;
    return OP_OK;
}

OP_INLINE int op_exp_partials(double a, double b, double y, double *da, double *db) {
    (void)a;
    (void)b;
    (void)db;
    *da = y;
    return OP_OK;
}

OP_INLINE int op_expm1_forward(double a, double b, double *out) {
    (void)b;
    const double y = expm1(a);
    *out = y;
    if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL)) return OP_OVERFLOW;
    return OP_OK;
}

OP_INLINE int op_expm1_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = exp(a);
    return OP_OK;
}

OP_INLINE int op_log_forward(double a, double b, double *out) {
    (void)b;
    const double y = log(a);
    *out = y;
    if (a <= 0.0) return OP_DOMAIN;
    return OP_OK;
}

OP_INLINE int op_log_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = 1.0 / a;
    return OP_OK;
}

OP_INLINE int op_log1p_forward(double a, double b, double *out) {
    (void)b;
    const double y = log1p(a);
    *out = y;
    if (a <= -1.0) return OP_DOMAIN;
    return OP_OK;
}

OP_INLINE int op_log1p_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = 1.0 / (1.0 + a);
    return OP_OK;
}

OP_INLINE int op_square_forward(double a, double b, double *out) {
    (void)b;
    const double y = a * a;
    *out = y;
    return OP_OK;
}

OP_INLINE int op_square_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = 2.0 * a;
    return OP_OK;
}

OP_INLINE int op_sqrt_forward(double a, double b, double *out) {
    (void)b;
    const double y = sqrt(a);
    *out = y;
    if (a < 0.0) return OP_DOMAIN;
    return OP_OK;
}

OP_INLINE int op_sqrt_partials(double a, double b, double y, double *da, double *db) {
    (void)a;
    (void)b;
    (void)db;
    if (y == 0.0) return OP_ZERO_DIVISION;
    *da = 0.5 / y;
    return OP_OK;
}

OP_INLINE int op_sin_forward(double a, double b, double *out) {
    (void)b;
    const double y = sin(a);
    *out = y;
    if (fabs(a) == HUGE_VAL) return OP_DOMAIN;
    return OP_OK;
}

OP_INLINE int op_sin_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = cos(a);
    return OP_OK;
}

OP_INLINE int op_cos_forward(double a, double b, double *out) {
    (void)b;
    const double y = cos(a);
    *out = y;
    if (fabs(a) == HUGE_VAL) return OP_DOMAIN;
    return OP_OK;
}

OP_INLINE int op_cos_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = -sin(a);
    return OP_OK;
}

OP_INLINE int op_tan_forward(double a, double b, double *out) {
    (void)b;
    const double y = tan(a);
    *out = y;
    if (fabs(a) == HUGE_VAL) return OP_DOMAIN;
    return OP_OK;
}

OP_INLINE int op_tan_partials(double a, double b, double y, double *da, double *db) {
    (void)a;
    (void)b;
    (void)db;
    *da = 1.0 + (y * y);
    return OP_OK;
}

OP_INLINE int op_asin_forward(double a, double b, double *out) {
    (void)b;
    const double y = asin(a);
    *out = y;
    if (fabs(a) > 1.0) return OP_DOMAIN;
    return OP_OK;
}

OP_INLINE int op_asin_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    if (fabs(a) == 1.0) return OP_ZERO_DIVISION;
    *da = 1.0 / sqrt((1.0 - a) * (1.0 + a));
    return OP_OK;
}

OP_INLINE int op_acos_forward(double a, double b, double *out) {
    (void)b;
    const double y = acos(a);
    *out = y;
    if (fabs(a) > 1.0) return OP_DOMAIN;
    return OP_OK;
}

OP_INLINE int op_acos_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    if (fabs(a) == 1.0) return OP_ZERO_DIVISION;
    *da = -1.0 / sqrt((1.0 - a) * (1.0 + a));
    return OP_OK;
}

OP_INLINE int op_atan_forward(double a, double b, double *out) {
    (void)b;
    const double y = atan(a);
    *out = y;
    return OP_OK;
}

OP_INLINE int op_atan_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = (fabs(a) < 1000000000.0) ? (1.0 / (1.0 + (a * a))) : ((1.0 / a) / a);
    return OP_OK;
}

OP_INLINE int op_atan2_forward(double a, double b, double *out) {
    const double y = atan2(a, b);
    *out = y;
    return OP_OK;
}

OP_INLINE int op_atan2_partials(double a, double b, double y, double *da, double *db) {
    (void)y;
    if ((a == 0.0) && (b == 0.0)) return OP_ZERO_DIVISION;
    *da = ((((a * a) + (b * b)) > 1e-280) && (((a * a) + (b * b)) < 1e+300)) ? (b / ((a * a) + (b
        * b))) : (((fabs(a) + fabs(b)) > 1.0) ? (((b * 2.409919865102884e-181) / (((a *
        2.409919865102884e-181) * (a * 2.409919865102884e-181)) + ((b * 2.409919865102884e-181) *
        (b * 2.409919865102884e-181)))) * 2.409919865102884e-181) : (((b * 4.149515568880993e+180)
        / (((a * 4.149515568880993e+180) * (a * 4.149515568880993e+180)) + ((b *
        4.149515568880993e+180) * (b * 4.149515568880993e+180)))) * 4.149515568880993e+180));
    *db = ((((a * a) + (b * b)) > 1e-280) && (((a * a) + (b * b)) < 1e+300)) ? (-a / ((a * a) + (b
        * b))) : (((fabs(a) + fabs(b)) > 1.0) ? (((-a * 2.409919865102884e-181) / (((a *
        2.409919865102884e-181) * (a * 2.409919865102884e-181)) + ((b * 2.409919865102884e-181) *
        (b * 2.409919865102884e-181)))) * 2.409919865102884e-181) : (((-a *
        4.149515568880993e+180) / (((a * 4.149515568880993e+180) * (a * 4.149515568880993e+180)) +
        ((b * 4.149515568880993e+180) * (b * 4.149515568880993e+180)))) *
        4.149515568880993e+180));
    return OP_OK;
}

OP_INLINE int op_hypot_forward(double a, double b, double *out) {
    const double y = hypot(a, b);
    *out = y;
    return OP_OK;
}

OP_INLINE int op_hypot_partials(double a, double b, double y, double *da, double *db) {
    *da = ((y > 1e-290) && (y < 1e+300)) ? (a / y) : ((y == 0.0) ? 0.0 : ((y > 1.0) ? ((a *
        2.409919865102884e-181) / hypot(a * 2.409919865102884e-181, b * 2.409919865102884e-181)) :
        ((a * 4.149515568880993e+180) / hypot(a * 4.149515568880993e+180, b *
        4.149515568880993e+180))));
    *db = ((y > 1e-290) && (y < 1e+300)) ? (b / y) : ((y == 0.0) ? 0.0 : ((y > 1.0) ? ((b *
        2.409919865102884e-181) / hypot(a * 2.409919865102884e-181, b * 2.409919865102884e-181)) :
        ((b * 4.149515568880993e+180) / hypot(a * 4.149515568880993e+180, b *
        4.149515568880993e+180))));
    return OP_OK;
}

OP_INLINE int op_sinh_forward(double a, double b, double *out) {
    (void)b;
    const double y = sinh(a);
    *out = y;
    if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL)) return OP_OVERFLOW;
    return OP_OK;
}

OP_INLINE int op_sinh_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = cosh(a);
    return OP_OK;
}

OP_INLINE int op_cosh_forward(double a, double b, double *out) {
    (void)b;
    const double y = cosh(a);
    *out = y;
    if ((fabs(y) == HUGE_VAL) && (fabs(a) < HUGE_VAL)) return OP_OVERFLOW;
    return OP_OK;
}

OP_INLINE int op_cosh_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = sinh(a);
    return OP_OK;
}

OP_INLINE int op_tanh_forward(double a, double b, double *out) {
    (void)b;
    const double y = tanh(a);
    *out = y;
    return OP_OK;
}

OP_INLINE int op_tanh_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)db;
    *da = (fabs(y) < 0.5) ? (1.0 - (y * y)) : ((fabs(a) < 300.0) ? (2.0 / (1.0 + cosh(2.0 * a))) :
        (4.0 * exp(-2.0 * fabs(a))));
    return OP_OK;
}

OP_INLINE int op_sigmoid_forward(double a, double b, double *out) {
    (void)b;
    const double y = (a > -700.0) ? (1.0 / (1.0 + exp(-a))) : exp(a);
    *out = y;
    return OP_OK;
}

OP_INLINE int op_sigmoid_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = (fabs(a) < 700.0) ? (0.5 / (1.0 + cosh(a))) : exp(-fabs(a));
    return OP_OK;
}

OP_INLINE int op_softplus_forward(double a, double b, double *out) {
    (void)b;
    const double y = (a > 0.0) ? (a + log1p(exp(-a))) : log1p(exp(a));
    *out = y;
    return OP_OK;
}

OP_INLINE int op_softplus_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = (a > -700.0) ? (1.0 / (1.0 + exp(-a))) : exp(a);
    return OP_OK;
}

OP_INLINE int op_erf_forward(double a, double b, double *out) {
    (void)b;
    const double y = erf(a);
    *out = y;
    return OP_OK;
}

OP_INLINE int op_erf_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = (fabs(a) < 28.0) ? (exp(-(a * a)) * (1.1283791670955126 - (1.1283791670955126 * fma(a,
        a, -(a * a))))) : ((a == a) ? 0.0 : a);
    return OP_OK;
}

OP_INLINE int op_gelu_forward(double a, double b, double *out) {
    (void)b;
    const double y = (a > 9.0) ? a : ((a < -40.0) ? 0.0 : (a * ((0.5 * erfc(-0.7071067811865476 *
        a)) - ((0.5641895835477563 * exp((-0.5 * a) * a)) * (fma(-0.7071067811865476, a,
        0.7071067811865476 * a) + (4.833646656726457e-17 * a))))));
    *out = y;
    return OP_OK;
}

OP_INLINE int op_gelu_partials(double a, double b, double y, double *da, double *db) {
    (void)b;
    (void)y;
    (void)db;
    *da = (a > 9.0) ? 1.0 : ((a < -40.0) ? 0.0 : (((0.5 * erfc(-0.7071067811865476 * a)) -
        ((0.5641895835477563 * exp((-0.5 * a) * a)) * (fma(-0.7071067811865476, a,
        0.7071067811865476 * a) + (4.833646656726457e-17 * a)))) + ((a * exp((-0.5 * a) * a)) *
        (0.3989422804014327 - (0.3989422804014327 * fma(0.5 * a, a, -((0.5 * a) * a)))))));
    return OP_OK;
}

/* The value; returns an enum op_error. Operations of one operand ignore b. */
OP_INLINE int op_forward(int op, double a, double b, double *out) {
    switch (op) {
    case OP_ADD: return op_add_forward(a, b, out);
    case OP_MUL: return op_mul_forward(a, b, out);
    case OP_POW: return op_pow_forward(a, b, out);
    case OP_POW_NUMBER: return op_pow_number_forward(a, b, out);
    case OP_RELU: return op_relu_forward(a, b, out);
    case OP_LEAKY_RELU: return op_leaky_relu_forward(a, b, out);
    case OP_ABS: return op_abs_forward(a, b, out);
    case OP_MIN: return op_min_forward(a, b, out);
    case OP_MAX: return op_max_forward(a, b, out);
    case OP_EXP: return op_exp_forward(a, b, out);
    case OP_EXPM1: return op_expm1_forward(a, b, out);
    case OP_LOG: return op_log_forward(a, b, out);
    case OP_LOG1P: return op_log1p_forward(a, b, out);
    case OP_SQUARE: return op_square_forward(a, b, out);
    case OP_SQRT: return op_sqrt_forward(a, b, out);
    case OP_SIN: return op_sin_forward(a, b, out);
    case OP_COS: return op_cos_forward(a, b, out);
    case OP_TAN: return op_tan_forward(a, b, out);
    case OP_ASIN: return op_asin_forward(a, b, out);
    case OP_ACOS: return op_acos_forward(a, b, out);
    case OP_ATAN: return op_atan_forward(a, b, out);
    case OP_ATAN2: return op_atan2_forward(a, b, out);
    case OP_HYPOT: return op_hypot_forward(a, b, out);
    case OP_SINH: return op_sinh_forward(a, b, out);
    case OP_COSH: return op_cosh_forward(a, b, out);
    case OP_TANH: return op_tanh_forward(a, b, out);
    case OP_SIGMOID: return op_sigmoid_forward(a, b, out);
    case OP_SOFTPLUS: return op_softplus_forward(a, b, out);
    case OP_ERF: return op_erf_forward(a, b, out);
    case OP_GELU: return op_gelu_forward(a, b, out);
    default: *out = 0.0; return OP_OK;
    }
}

/* The partials; returns OP_OK, or OP_ZERO_DIVISION where one is infinite. Operations of
 * one operand leave *db alone. */
OP_INLINE int op_partials(int op, double a, double b, double y, double *da, double *db) {
    switch (op) {
    case OP_ADD: return op_add_partials(a, b, y, da, db);
    case OP_MUL: return op_mul_partials(a, b, y, da, db);
    case OP_POW: return op_pow_partials(a, b, y, da, db);
    case OP_POW_NUMBER: return op_pow_number_partials(a, b, y, da, db);
    case OP_RELU: return op_relu_partials(a, b, y, da, db);
    case OP_LEAKY_RELU: return op_leaky_relu_partials(a, b, y, da, db);
    case OP_ABS: return op_abs_partials(a, b, y, da, db);
    case OP_MIN: return op_min_partials(a, b, y, da, db);
    case OP_MAX: return op_max_partials(a, b, y, da, db);
    case OP_EXP: return op_exp_partials(a, b, y, da, db);
    case OP_EXPM1: return op_expm1_partials(a, b, y, da, db);
    case OP_LOG: return op_log_partials(a, b, y, da, db);
    case OP_LOG1P: return op_log1p_partials(a, b, y, da, db);
    case OP_SQUARE: return op_square_partials(a, b, y, da, db);
    case OP_SQRT: return op_sqrt_partials(a, b, y, da, db);
    case OP_SIN: return op_sin_partials(a, b, y, da, db);
    case OP_COS: return op_cos_partials(a, b, y, da, db);
    case OP_TAN: return op_tan_partials(a, b, y, da, db);
    case OP_ASIN: return op_asin_partials(a, b, y, da, db);
    case OP_ACOS: return op_acos_partials(a, b, y, da, db);
    case OP_ATAN: return op_atan_partials(a, b, y, da, db);
    case OP_ATAN2: return op_atan2_partials(a, b, y, da, db);
    case OP_HYPOT: return op_hypot_partials(a, b, y, da, db);
    case OP_SINH: return op_sinh_partials(a, b, y, da, db);
    case OP_COSH: return op_cosh_partials(a, b, y, da, db);
    case OP_TANH: return op_tanh_partials(a, b, y, da, db);
    case OP_SIGMOID: return op_sigmoid_partials(a, b, y, da, db);
    case OP_SOFTPLUS: return op_softplus_partials(a, b, y, da, db);
    case OP_ERF: return op_erf_partials(a, b, y, da, db);
    case OP_GELU: return op_gelu_partials(a, b, y, da, db);
    default: *da = 0.0; return OP_OK;
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
    return "expected a result that is a number";
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
    default: return "expected a finite derivative";
    }
}

#endif