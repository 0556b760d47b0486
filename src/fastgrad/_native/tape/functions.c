/* The table's own functions, once for all files that replay tapes. */
#undef FASTGRAD_FUNCTIONS_DECLARED
#define FASTGRAD_FUNCTIONS_EXTERN
#include "tape/tape.h"

double value_of_one(int op, double a) {
#define VALUE(name, code, arity)                                                                   \
    if (op == code) return op_##name##_value(a, 0.0);
    OP_EACH_NEAR(VALUE)
    return NAN;
}

double slope_of_one(int op, double a, double y) {
#define SLOPE(name, code, arity)                                                                   \
    if (op == code) return op_##name##_da(a, 0.0, y);
    OP_EACH_NEAR(SLOPE)
    return NAN;
}
