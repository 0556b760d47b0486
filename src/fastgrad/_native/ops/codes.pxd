"""Declarations of ops.h: what each operation is, in C.

Written by tools/ops/generate.py from fastgrad/ops.py: edit that, then run `make ops`.
"""

cdef extern from "ops/ops.h" nogil:
    enum opcode:
        OP_LEAF
        OP_PYTHON
        OP_CUSTOM
        OP_HIDDEN
        OP_DOT
        OP_TAKE
        OP_LINEAR
        OP_ADD
        OP_MUL
        OP_POW
        OP_POW_NUMBER
        OP_RELU
        OP_LEAKY_RELU
        OP_PRELU
        OP_ABS
        OP_MIN
        OP_MAX
        OP_SIGN
        OP_FLOOR
        OP_CEIL
        OP_ROUND
        OP_MOD
        OP_FLOORDIV
        OP_LT
        OP_LE
        OP_EQ
        OP_NE
        OP_KEEP_IF
        OP_KEEP_UNLESS
        OP_EXP
        OP_EXPM1
        OP_LOG
        OP_LOG1P
        OP_SQUARE
        OP_SQRT
        OP_SIN
        OP_COS
        OP_TAN
        OP_ASIN
        OP_ACOS
        OP_ATAN
        OP_ATAN2
        OP_HYPOT
        OP_SINH
        OP_COSH
        OP_TANH
        OP_SIGMOID
        OP_SOFTPLUS
        OP_ERF
        OP_GELU
        OP_LOG2
        OP_LOG10
        OP_EXP2
        OP_CBRT
        OP_ASINH
        OP_ACOSH
        OP_ATANH
        OP_LOGADDEXP
        OP_ERFC
        OP_LGAMMA
        OP_DIGAMMA
        OP_TRIGAMMA
        OP_PRODUCT
        OP_QUOTIENT
        OP_POW_SLOPE
        OP_POWER_SLOPE
        OP_LEAKY_SLOPE
        OP_ABS_SLOPE
        OP_TAN_SLOPE
        OP_ASIN_SLOPE
        OP_ATAN_SLOPE
        OP_OVER_SQUARE
        OP_HYPOT_SLOPE
        OP_TANH_SLOPE
        OP_SIGMOID_SLOPE
        OP_GAUSS
        OP_DENSITY
        OP_GELU_SLOPE
        OP_CBRT_SLOPE
        OP_ASINH_SLOPE
        OP_ACOSH_SLOPE
        OP_ATANH_SLOPE
        OP_SHARE
        OP_TETRAGAMMA
        OP_PENTAGAMMA
        OP_COUNT

    enum op_error:
        OP_OK
        OP_ZERO_DIVISION
        OP_OVERFLOW
        OP_DOMAIN

    const char *op_name[]
    const char *op_symbol[]

    double op_product(double partial, double adjoint)
    void op_products(double da, double db, double adjoint, double *a, double *b)
    bint op_is_odd(double adjoint)

    bint op_is_row(int op)
    bint op_row_is_add_or_mul(int op)
    bint op_is_binary(int op)
    bint op_has_parameter(int op)
    bint op_reads_b(int op)
    bint op_in_arena(int op)
    bint op_on_tape(int op)
    bint op_calls_python(int op)
    bint op_has_block(int op)
    bint op_is_comparison(int op)
    bint op_is_tame(int op)
    unsigned long long op_listed(int op, unsigned n)
    unsigned op_counted(int op, unsigned listed)

    int op_forward(int op, double a, double b, double *out)
    int op_partials(int op, double a, double b, double y, double *da, double *db)
    void op_slopes(int op, double a, double b, double y, double *da, double *db)
    int op_second(int op, double a, double b, double y, double *daa, double *dab, double *dbb)
    const char *op_error_text(int op, int error)
    const char *op_singular_text(int op)
