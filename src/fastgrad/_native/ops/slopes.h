/* Slopes: what an operand's derivative gets of a result's, as operations, in the order of the text.
 * Who includes this defines emit(to, op, a, b), which gives the reference of an operation,
 * number(to, x) that of a constant, and times(to, partial, g), by the rule of op_product().
 * Written by tools/ops/generate.py from fastgrad/ops.py: edit that, then run `make ops`. */
#ifndef FASTGRAD_SLOPES_H
#define FASTGRAD_SLOPES_H

enum { SLOPE_NONE = 0xffffffff, SLOPE_UNKNOWN = 0xfffffffe }; /* 0 always; none is known */

static uint32_t slope_times(Derivation *to, uint32_t op, int operand, uint32_t a, uint32_t b,
    uint32_t y, uint32_t g) {
    (void)b, (void)y;
    switch (2 * op + (uint32_t)operand) {
    case 2 * OP_ADD + 0:
        return g;
    case 2 * OP_ADD + 1:
        return g;
    case 2 * OP_MUL + 0: {
        return times(to, b, g);
    }
    case 2 * OP_MUL + 1: {
        return times(to, a, g);
    }
    case 2 * OP_POW + 0: {
        const uint32_t t0 = emit(to, OP_POW_SLOPE, a, b);
        return times(to, t0, g);
    }
    case 2 * OP_POW + 1: {
        const uint32_t t0 = emit(to, OP_LOG, a, a);
        const uint32_t t1 = emit(to, OP_MUL, y, t0);
        const uint32_t t2 = emit(to, OP_KEEP_IF, a, t1);
        return times(to, t2, g);
    }
    case 2 * OP_POW_NUMBER + 0: {
        const uint32_t t0 = emit(to, OP_POWER_SLOPE, a, b);
        return times(to, t0, g);
    }
    case 2 * OP_RELU + 0: {
        const uint32_t t0 = number(to, 0.0);
        const uint32_t t1 = emit(to, OP_LT, t0, y);
        const uint32_t t2 = emit(to, OP_KEEP_IF, t1, g);
        return t2;
    }
    case 2 * OP_LEAKY_RELU + 0: {
        const uint32_t t0 = emit(to, OP_LEAKY_SLOPE, a, b);
        return times(to, t0, g);
    }
    case 2 * OP_PRELU + 0: {
        const uint32_t t0 = emit(to, OP_LEAKY_SLOPE, a, b);
        return times(to, t0, g);
    }
    case 2 * OP_PRELU + 1: {
        const uint32_t t0 = number(to, 0.0);
        const uint32_t t1 = emit(to, OP_LT, a, t0);
        const uint32_t t2 = emit(to, OP_KEEP_IF, t1, a);
        return times(to, t2, g);
    }
    case 2 * OP_ABS + 0: {
        const uint32_t t0 = emit(to, OP_ABS_SLOPE, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_MIN + 0: {
        const uint32_t t0 = emit(to, OP_LE, a, b);
        const uint32_t t1 = emit(to, OP_NE, a, a);
        const uint32_t t2 = emit(to, OP_ADD, t0, t1);
        const uint32_t t3 = emit(to, OP_KEEP_IF, t2, g);
        return t3;
    }
    case 2 * OP_MIN + 1: {
        const uint32_t t0 = emit(to, OP_LE, a, b);
        const uint32_t t1 = emit(to, OP_NE, a, a);
        const uint32_t t2 = emit(to, OP_ADD, t0, t1);
        const uint32_t t3 = emit(to, OP_KEEP_UNLESS, t2, g);
        return t3;
    }
    case 2 * OP_MAX + 0: {
        const uint32_t t0 = emit(to, OP_LE, b, a);
        const uint32_t t1 = emit(to, OP_NE, a, a);
        const uint32_t t2 = emit(to, OP_ADD, t0, t1);
        const uint32_t t3 = emit(to, OP_KEEP_IF, t2, g);
        return t3;
    }
    case 2 * OP_MAX + 1: {
        const uint32_t t0 = emit(to, OP_LE, b, a);
        const uint32_t t1 = emit(to, OP_NE, a, a);
        const uint32_t t2 = emit(to, OP_ADD, t0, t1);
        const uint32_t t3 = emit(to, OP_KEEP_UNLESS, t2, g);
        return t3;
    }
    case 2 * OP_MOD + 0:
        return g;
    case 2 * OP_MOD + 1: {
        const uint32_t t0 = emit(to, OP_FLOORDIV, a, b);
        const uint32_t t1 = number(to, -1.0);
        const uint32_t t2 = emit(to, OP_MUL, t0, t1);
        return times(to, t2, g);
    }
    case 2 * OP_KEEP_IF + 1: {
        const uint32_t t0 = emit(to, OP_KEEP_IF, a, g);
        return t0;
    }
    case 2 * OP_KEEP_UNLESS + 1: {
        const uint32_t t0 = emit(to, OP_KEEP_UNLESS, a, g);
        return t0;
    }
    case 2 * OP_EXP + 0: {
        return times(to, y, g);
    }
    case 2 * OP_EXPM1 + 0: {
        const uint32_t t0 = emit(to, OP_EXP, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_LOG + 0: {
        const uint32_t t0 = number(to, 1.0);
        const uint32_t t1 = emit(to, OP_QUOTIENT, t0, a);
        return times(to, t1, g);
    }
    case 2 * OP_LOG1P + 0: {
        const uint32_t t0 = number(to, 1.0);
        const uint32_t t1 = number(to, 1.0);
        const uint32_t t2 = emit(to, OP_ADD, t1, a);
        const uint32_t t3 = emit(to, OP_QUOTIENT, t0, t2);
        return times(to, t3, g);
    }
    case 2 * OP_SQUARE + 0: {
        const uint32_t t0 = number(to, 2.0);
        const uint32_t t1 = emit(to, OP_MUL, t0, a);
        return times(to, t1, g);
    }
    case 2 * OP_SQRT + 0: {
        const uint32_t t0 = number(to, 0.5);
        const uint32_t t1 = emit(to, OP_QUOTIENT, t0, y);
        return times(to, t1, g);
    }
    case 2 * OP_SIN + 0: {
        const uint32_t t0 = emit(to, OP_COS, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_COS + 0: {
        const uint32_t t0 = emit(to, OP_SIN, a, a);
        const uint32_t t1 = number(to, -1.0);
        const uint32_t t2 = emit(to, OP_MUL, t0, t1);
        return times(to, t2, g);
    }
    case 2 * OP_TAN + 0: {
        const uint32_t t0 = emit(to, OP_TAN_SLOPE, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_ASIN + 0: {
        const uint32_t t0 = emit(to, OP_ASIN_SLOPE, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_ACOS + 0: {
        const uint32_t t0 = emit(to, OP_ASIN_SLOPE, a, a);
        const uint32_t t1 = number(to, -1.0);
        const uint32_t t2 = emit(to, OP_MUL, t0, t1);
        return times(to, t2, g);
    }
    case 2 * OP_ATAN + 0: {
        const uint32_t t0 = emit(to, OP_ATAN_SLOPE, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_ATAN2 + 0: {
        const uint32_t t0 = emit(to, OP_OVER_SQUARE, b, a);
        return times(to, t0, g);
    }
    case 2 * OP_ATAN2 + 1: {
        const uint32_t t0 = emit(to, OP_OVER_SQUARE, a, b);
        const uint32_t t1 = number(to, -1.0);
        const uint32_t t2 = emit(to, OP_MUL, t0, t1);
        return times(to, t2, g);
    }
    case 2 * OP_HYPOT + 0: {
        const uint32_t t0 = emit(to, OP_HYPOT_SLOPE, a, b);
        return times(to, t0, g);
    }
    case 2 * OP_HYPOT + 1: {
        const uint32_t t0 = emit(to, OP_HYPOT_SLOPE, b, a);
        return times(to, t0, g);
    }
    case 2 * OP_SINH + 0: {
        const uint32_t t0 = emit(to, OP_COSH, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_COSH + 0: {
        const uint32_t t0 = emit(to, OP_SINH, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_TANH + 0: {
        const uint32_t t0 = emit(to, OP_TANH_SLOPE, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_SIGMOID + 0: {
        const uint32_t t0 = emit(to, OP_SIGMOID_SLOPE, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_SOFTPLUS + 0: {
        const uint32_t t0 = emit(to, OP_SIGMOID, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_ERF + 0: {
        const uint32_t t0 = emit(to, OP_GAUSS, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_GELU + 0: {
        const uint32_t t0 = emit(to, OP_GELU_SLOPE, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_LOG2 + 0: {
        const uint32_t t0 = number(to, 1.4426950408889634);
        const uint32_t t1 = emit(to, OP_QUOTIENT, t0, a);
        return times(to, t1, g);
    }
    case 2 * OP_LOG10 + 0: {
        const uint32_t t0 = number(to, 0.4342944819032518);
        const uint32_t t1 = emit(to, OP_QUOTIENT, t0, a);
        return times(to, t1, g);
    }
    case 2 * OP_EXP2 + 0: {
        const uint32_t t0 = number(to, 0.6931471805599453);
        const uint32_t t1 = emit(to, OP_MUL, t0, y);
        return times(to, t1, g);
    }
    case 2 * OP_CBRT + 0: {
        const uint32_t t0 = emit(to, OP_CBRT_SLOPE, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_ASINH + 0: {
        const uint32_t t0 = emit(to, OP_ASINH_SLOPE, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_ACOSH + 0: {
        const uint32_t t0 = emit(to, OP_ACOSH_SLOPE, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_ATANH + 0: {
        const uint32_t t0 = emit(to, OP_ATANH_SLOPE, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_LOGADDEXP + 0: {
        const uint32_t t0 = emit(to, OP_SHARE, a, b);
        return times(to, t0, g);
    }
    case 2 * OP_LOGADDEXP + 1: {
        const uint32_t t0 = emit(to, OP_SHARE, b, a);
        return times(to, t0, g);
    }
    case 2 * OP_ERFC + 0: {
        const uint32_t t0 = emit(to, OP_GAUSS, a, a);
        const uint32_t t1 = number(to, -1.0);
        const uint32_t t2 = emit(to, OP_MUL, t0, t1);
        return times(to, t2, g);
    }
    case 2 * OP_LGAMMA + 0: {
        const uint32_t t0 = emit(to, OP_DIGAMMA, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_DIGAMMA + 0: {
        const uint32_t t0 = emit(to, OP_TRIGAMMA, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_TRIGAMMA + 0: {
        const uint32_t t0 = emit(to, OP_TETRAGAMMA, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_PRODUCT + 0: {
        return times(to, b, g);
    }
    case 2 * OP_PRODUCT + 1: {
        return times(to, a, g);
    }
    case 2 * OP_QUOTIENT + 0: {
        const uint32_t t0 = number(to, 1.0);
        const uint32_t t1 = emit(to, OP_QUOTIENT, t0, b);
        return times(to, t1, g);
    }
    case 2 * OP_QUOTIENT + 1: {
        const uint32_t t0 = emit(to, OP_QUOTIENT, y, b);
        const uint32_t t1 = number(to, -1.0);
        const uint32_t t2 = emit(to, OP_MUL, t0, t1);
        return times(to, t2, g);
    }
    case 2 * OP_POW_SLOPE + 0: {
        const uint32_t t0 = number(to, -1.0);
        const uint32_t t1 = emit(to, OP_ADD, b, t0);
        const uint32_t t2 = emit(to, OP_MUL, b, t1);
        const uint32_t t3 = number(to, -1.0);
        const uint32_t t4 = emit(to, OP_ADD, b, t3);
        const uint32_t t5 = emit(to, OP_MUL, b, t4);
        const uint32_t t6 = number(to, -2.0);
        const uint32_t t7 = emit(to, OP_ADD, b, t6);
        const uint32_t t8 = emit(to, OP_POW, a, t7);
        const uint32_t t9 = emit(to, OP_MUL, t5, t8);
        const uint32_t t10 = emit(to, OP_KEEP_IF, t2, t9);
        return times(to, t10, g);
    }
    case 2 * OP_POW_SLOPE + 1: {
        const uint32_t t0 = number(to, -1.0);
        const uint32_t t1 = emit(to, OP_ADD, b, t0);
        const uint32_t t2 = emit(to, OP_POW, a, t1);
        const uint32_t t3 = number(to, 1.0);
        const uint32_t t4 = emit(to, OP_LOG, a, a);
        const uint32_t t5 = emit(to, OP_MUL, b, t4);
        const uint32_t t6 = emit(to, OP_ADD, t3, t5);
        const uint32_t t7 = emit(to, OP_MUL, t2, t6);
        const uint32_t t8 = emit(to, OP_KEEP_IF, a, t7);
        return times(to, t8, g);
    }
    case 2 * OP_POWER_SLOPE + 0: {
        const uint32_t t0 = number(to, -1.0);
        const uint32_t t1 = emit(to, OP_ADD, b, t0);
        const uint32_t t2 = emit(to, OP_MUL, b, t1);
        const uint32_t t3 = number(to, -1.0);
        const uint32_t t4 = emit(to, OP_ADD, b, t3);
        const uint32_t t5 = emit(to, OP_MUL, b, t4);
        const uint32_t t6 = number(to, -2.0);
        const uint32_t t7 = emit(to, OP_ADD, b, t6);
        const uint32_t t8 = emit(to, OP_POW_NUMBER, a, t7);
        const uint32_t t9 = emit(to, OP_MUL, t5, t8);
        const uint32_t t10 = emit(to, OP_KEEP_IF, t2, t9);
        return times(to, t10, g);
    }
    case 2 * OP_LEAKY_SLOPE + 1: {
        const uint32_t t0 = number(to, 0.0);
        const uint32_t t1 = emit(to, OP_LT, t0, a);
        const uint32_t t2 = emit(to, OP_KEEP_UNLESS, t1, g);
        return t2;
    }
    case 2 * OP_TAN_SLOPE + 0: {
        const uint32_t t0 = number(to, 2.0);
        const uint32_t t1 = emit(to, OP_TAN, a, a);
        const uint32_t t2 = emit(to, OP_MUL, t0, t1);
        const uint32_t t3 = emit(to, OP_MUL, t2, y);
        return times(to, t3, g);
    }
    case 2 * OP_ASIN_SLOPE + 0: {
        const uint32_t t0 = emit(to, OP_MUL, a, y);
        const uint32_t t1 = emit(to, OP_MUL, t0, y);
        const uint32_t t2 = emit(to, OP_MUL, t1, y);
        return times(to, t2, g);
    }
    case 2 * OP_ATAN_SLOPE + 0: {
        const uint32_t t0 = number(to, -2.0);
        const uint32_t t1 = emit(to, OP_MUL, t0, a);
        const uint32_t t2 = emit(to, OP_MUL, t1, y);
        const uint32_t t3 = emit(to, OP_MUL, t2, y);
        return times(to, t3, g);
    }
    case 2 * OP_OVER_SQUARE + 0: {
        const uint32_t t0 = emit(to, OP_OVER_SQUARE, b, a);
        const uint32_t t1 = number(to, -1.0);
        const uint32_t t2 = emit(to, OP_MUL, y, t1);
        const uint32_t t3 = emit(to, OP_ADD, t0, t2);
        const uint32_t t4 = emit(to, OP_OVER_SQUARE, b, a);
        const uint32_t t5 = emit(to, OP_ADD, t4, y);
        const uint32_t t6 = emit(to, OP_MUL, t3, t5);
        return times(to, t6, g);
    }
    case 2 * OP_OVER_SQUARE + 1: {
        const uint32_t t0 = number(to, -2.0);
        const uint32_t t1 = emit(to, OP_MUL, t0, y);
        const uint32_t t2 = emit(to, OP_OVER_SQUARE, b, a);
        const uint32_t t3 = emit(to, OP_MUL, t1, t2);
        return times(to, t3, g);
    }
    case 2 * OP_HYPOT_SLOPE + 0: {
        const uint32_t t0 = emit(to, OP_HYPOT, a, b);
        const uint32_t t1 = emit(to, OP_HYPOT_SLOPE, b, a);
        const uint32_t t2 = emit(to, OP_HYPOT_SLOPE, b, a);
        const uint32_t t3 = emit(to, OP_MUL, t1, t2);
        const uint32_t t4 = emit(to, OP_HYPOT, a, b);
        const uint32_t t5 = emit(to, OP_QUOTIENT, t3, t4);
        const uint32_t t6 = emit(to, OP_KEEP_IF, t0, t5);
        return times(to, t6, g);
    }
    case 2 * OP_HYPOT_SLOPE + 1: {
        const uint32_t t0 = emit(to, OP_HYPOT, a, b);
        const uint32_t t1 = emit(to, OP_HYPOT_SLOPE, b, a);
        const uint32_t t2 = emit(to, OP_MUL, y, t1);
        const uint32_t t3 = emit(to, OP_HYPOT, a, b);
        const uint32_t t4 = emit(to, OP_QUOTIENT, t2, t3);
        const uint32_t t5 = number(to, -1.0);
        const uint32_t t6 = emit(to, OP_MUL, t4, t5);
        const uint32_t t7 = emit(to, OP_KEEP_IF, t0, t6);
        return times(to, t7, g);
    }
    case 2 * OP_TANH_SLOPE + 0: {
        const uint32_t t0 = number(to, -2.0);
        const uint32_t t1 = emit(to, OP_TANH, a, a);
        const uint32_t t2 = emit(to, OP_MUL, t0, t1);
        const uint32_t t3 = emit(to, OP_MUL, t2, y);
        return times(to, t3, g);
    }
    case 2 * OP_SIGMOID_SLOPE + 0: {
        const uint32_t t0 = number(to, 1.0);
        const uint32_t t1 = number(to, 2.0);
        const uint32_t t2 = emit(to, OP_SIGMOID, a, a);
        const uint32_t t3 = emit(to, OP_MUL, t1, t2);
        const uint32_t t4 = number(to, -1.0);
        const uint32_t t5 = emit(to, OP_MUL, t3, t4);
        const uint32_t t6 = emit(to, OP_ADD, t0, t5);
        const uint32_t t7 = emit(to, OP_MUL, y, t6);
        return times(to, t7, g);
    }
    case 2 * OP_GAUSS + 0: {
        const uint32_t t0 = number(to, -2.0);
        const uint32_t t1 = emit(to, OP_MUL, t0, a);
        const uint32_t t2 = emit(to, OP_MUL, t1, y);
        return times(to, t2, g);
    }
    case 2 * OP_DENSITY + 0: {
        const uint32_t t0 = number(to, -1.0);
        const uint32_t t1 = emit(to, OP_MUL, a, t0);
        const uint32_t t2 = emit(to, OP_MUL, t1, y);
        return times(to, t2, g);
    }
    case 2 * OP_GELU_SLOPE + 0: {
        const uint32_t t0 = number(to, 2.0);
        const uint32_t t1 = emit(to, OP_DENSITY, a, a);
        const uint32_t t2 = emit(to, OP_MUL, t0, t1);
        const uint32_t t3 = emit(to, OP_DENSITY, a, a);
        const uint32_t t4 = emit(to, OP_MUL, t3, a);
        const uint32_t t5 = emit(to, OP_MUL, t4, a);
        const uint32_t t6 = number(to, -1.0);
        const uint32_t t7 = emit(to, OP_MUL, t5, t6);
        const uint32_t t8 = emit(to, OP_ADD, t2, t7);
        return times(to, t8, g);
    }
    case 2 * OP_CBRT_SLOPE + 0: {
        const uint32_t t0 = number(to, -2.0);
        const uint32_t t1 = emit(to, OP_MUL, t0, y);
        const uint32_t t2 = number(to, 3.0);
        const uint32_t t3 = emit(to, OP_MUL, t2, a);
        const uint32_t t4 = emit(to, OP_QUOTIENT, t1, t3);
        return times(to, t4, g);
    }
    case 2 * OP_ASINH_SLOPE + 0: {
        const uint32_t t0 = number(to, -1.0);
        const uint32_t t1 = emit(to, OP_MUL, a, t0);
        const uint32_t t2 = emit(to, OP_MUL, t1, y);
        const uint32_t t3 = emit(to, OP_MUL, t2, y);
        const uint32_t t4 = emit(to, OP_MUL, t3, y);
        return times(to, t4, g);
    }
    case 2 * OP_ACOSH_SLOPE + 0: {
        const uint32_t t0 = number(to, -1.0);
        const uint32_t t1 = emit(to, OP_MUL, a, t0);
        const uint32_t t2 = emit(to, OP_MUL, t1, y);
        const uint32_t t3 = emit(to, OP_MUL, t2, y);
        const uint32_t t4 = emit(to, OP_MUL, t3, y);
        return times(to, t4, g);
    }
    case 2 * OP_ATANH_SLOPE + 0: {
        const uint32_t t0 = number(to, 2.0);
        const uint32_t t1 = emit(to, OP_MUL, t0, a);
        const uint32_t t2 = emit(to, OP_MUL, t1, y);
        const uint32_t t3 = emit(to, OP_MUL, t2, y);
        return times(to, t3, g);
    }
    case 2 * OP_SHARE + 0: {
        const uint32_t t0 = emit(to, OP_SHARE, b, a);
        const uint32_t t1 = emit(to, OP_MUL, y, t0);
        return times(to, t1, g);
    }
    case 2 * OP_SHARE + 1: {
        const uint32_t t0 = emit(to, OP_SHARE, b, a);
        const uint32_t t1 = emit(to, OP_MUL, y, t0);
        const uint32_t t2 = number(to, -1.0);
        const uint32_t t3 = emit(to, OP_MUL, t1, t2);
        return times(to, t3, g);
    }
    case 2 * OP_TETRAGAMMA + 0: {
        const uint32_t t0 = emit(to, OP_PENTAGAMMA, a, a);
        return times(to, t0, g);
    }
    case 2 * OP_PENTAGAMMA + 0:
        return SLOPE_UNKNOWN;
    default: return SLOPE_NONE;
    }
}

#endif
