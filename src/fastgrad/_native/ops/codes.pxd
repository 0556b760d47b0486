"""Declarations of ops.h: what each operation is, in C.

Layer: bottom. Cimports nothing.
Written by tools/ops/generate.py from fastgrad/ops.py: edit that, then run `make ops`.
"""

cdef extern from "ops/ops.h" nogil:
    enum opcode:
        OP_LEAF
        OP_PYTHON
        OP_CUSTOM
        OP_AFFINE
        OP_HIDDEN
        OP_ADD
        OP_MUL
        OP_POW
        OP_POW_NUMBER
        OP_RELU
        OP_LEAKY_RELU
        OP_ABS
        OP_MIN
        OP_MAX
        OP_LT
        OP_LE
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
        OP_COUNT

    enum op_error:
        OP_OK
        OP_ZERO_DIVISION
        OP_OVERFLOW
        OP_DOMAIN

    const unsigned char op_operands[]
    const unsigned char op_has_parameter[]
    const char *op_name[]
    const char *op_symbol[]

    int op_forward(int op, double a, double b, double *out)
    int op_partials(int op, double a, double b, double y, double *da, double *db)
    int op_second(int op, double a, double b, double y, double *daa, double *dab, double *dbb)
    const char *op_error_text(int op, int error)
    const char *op_singular_text(int op)

    int op_add_forward(double a, double b, double *out)
    int op_add_partials(double a, double b, double y, double *da, double *db)
    int op_mul_forward(double a, double b, double *out)
    int op_mul_partials(double a, double b, double y, double *da, double *db)
    int op_pow_forward(double a, double b, double *out)
    int op_pow_partials(double a, double b, double y, double *da, double *db)
    int op_pow_number_forward(double a, double b, double *out)
    int op_pow_number_partials(double a, double b, double y, double *da, double *db)
    int op_relu_forward(double a, double b, double *out)
    int op_relu_partials(double a, double b, double y, double *da, double *db)
    int op_leaky_relu_forward(double a, double b, double *out)
    int op_leaky_relu_partials(double a, double b, double y, double *da, double *db)
    int op_abs_forward(double a, double b, double *out)
    int op_abs_partials(double a, double b, double y, double *da, double *db)
    int op_min_forward(double a, double b, double *out)
    int op_min_partials(double a, double b, double y, double *da, double *db)
    int op_max_forward(double a, double b, double *out)
    int op_max_partials(double a, double b, double y, double *da, double *db)
    int op_lt_forward(double a, double b, double *out)
    int op_lt_partials(double a, double b, double y, double *da, double *db)
    int op_le_forward(double a, double b, double *out)
    int op_le_partials(double a, double b, double y, double *da, double *db)
    int op_keep_if_forward(double a, double b, double *out)
    int op_keep_if_partials(double a, double b, double y, double *da, double *db)
    int op_keep_unless_forward(double a, double b, double *out)
    int op_keep_unless_partials(double a, double b, double y, double *da, double *db)
    int op_exp_forward(double a, double b, double *out)
    int op_exp_partials(double a, double b, double y, double *da, double *db)
    int op_expm1_forward(double a, double b, double *out)
    int op_expm1_partials(double a, double b, double y, double *da, double *db)
    int op_log_forward(double a, double b, double *out)
    int op_log_partials(double a, double b, double y, double *da, double *db)
    int op_log1p_forward(double a, double b, double *out)
    int op_log1p_partials(double a, double b, double y, double *da, double *db)
    int op_square_forward(double a, double b, double *out)
    int op_square_partials(double a, double b, double y, double *da, double *db)
    int op_sqrt_forward(double a, double b, double *out)
    int op_sqrt_partials(double a, double b, double y, double *da, double *db)
    int op_sin_forward(double a, double b, double *out)
    int op_sin_partials(double a, double b, double y, double *da, double *db)
    int op_cos_forward(double a, double b, double *out)
    int op_cos_partials(double a, double b, double y, double *da, double *db)
    int op_tan_forward(double a, double b, double *out)
    int op_tan_partials(double a, double b, double y, double *da, double *db)
    int op_asin_forward(double a, double b, double *out)
    int op_asin_partials(double a, double b, double y, double *da, double *db)
    int op_acos_forward(double a, double b, double *out)
    int op_acos_partials(double a, double b, double y, double *da, double *db)
    int op_atan_forward(double a, double b, double *out)
    int op_atan_partials(double a, double b, double y, double *da, double *db)
    int op_atan2_forward(double a, double b, double *out)
    int op_atan2_partials(double a, double b, double y, double *da, double *db)
    int op_hypot_forward(double a, double b, double *out)
    int op_hypot_partials(double a, double b, double y, double *da, double *db)
    int op_sinh_forward(double a, double b, double *out)
    int op_sinh_partials(double a, double b, double y, double *da, double *db)
    int op_cosh_forward(double a, double b, double *out)
    int op_cosh_partials(double a, double b, double y, double *da, double *db)
    int op_tanh_forward(double a, double b, double *out)
    int op_tanh_partials(double a, double b, double y, double *da, double *db)
    int op_sigmoid_forward(double a, double b, double *out)
    int op_sigmoid_partials(double a, double b, double y, double *da, double *db)
    int op_softplus_forward(double a, double b, double *out)
    int op_softplus_partials(double a, double b, double y, double *da, double *db)
    int op_erf_forward(double a, double b, double *out)
    int op_erf_partials(double a, double b, double y, double *da, double *db)
    int op_gelu_forward(double a, double b, double *out)
    int op_gelu_partials(double a, double b, double y, double *da, double *db)
