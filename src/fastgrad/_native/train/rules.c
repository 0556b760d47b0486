/* The optimizers over flat arrays: the loops of loops.h, each in two widths, as a table.
 * No branch depends on data: each loop is compiled once for each combination of its switches. */
#include "train/rules.h"

#include <math.h>

#if defined(_MSC_VER)
#define RESTRICT __restrict
#define ALWAYS_INLINE static __forceinline
#else
#define RESTRICT restrict
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#endif

/* Square roots and quotients are what a step waits for; AVX2 has twice as many at a time. The bits
 * are those of the baseline: no element depends on another, and nothing is fused. */
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define WIDE __attribute__((target("avx2")))
#define WIDE_WORKS __builtin_cpu_supports("avx2")
#else
#define WIDE
#define WIDE_WORKS 0
#endif

static int wide = 0;

int rules_widen(int allowed) {
    wide = allowed && WIDE_WORKS;
    return wide;
}

#define RULE_PARAMETERS                                                                            \
    ptrdiff_t n, double *data, const double *grad, double *const *state, unsigned live, double t,  \
        const double *hyper
#define RULE_ARGUMENTS n, data, grad, state, live, t, hyper

#include "train/loops.h"

#define IN_TWO_WIDTHS(name, title)                                                                 \
    WIDE static void name##_wide(RULE_PARAMETERS) { name##_any(RULE_ARGUMENTS); }                  \
    static void name##_step(RULE_PARAMETERS) {                                                     \
        if (wide) name##_wide(RULE_ARGUMENTS);                                                     \
        else name##_any(RULE_ARGUMENTS);                                                           \
    }                                                                                              \
    _Static_assert((int)name##_numbers <= (int)RULE_NUMBERS, #title ": raise RULE_NUMBERS");       \
    _Static_assert((int)name##_states <= (int)RULE_STATES, #title ": raise RULE_STATES");
RULE_EACH(IN_TWO_WIDTHS)

#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))
#define ROW(name, title)                                                                           \
    {#title, name##_hyper, LENGTH(name##_hyper), name##_states, name##_state, name##_step},
const Rule rules[] = {RULE_EACH(ROW)};
const int rules_count = LENGTH(rules);
