/* The optimizers over flat arrays: the loops of loops.h, each in two widths, as a table.
 * No branch depends on data: each loop is compiled once for each combination of its switches. */
#include "train/rules.h"

#include <math.h>

#include "functions/functions.h"

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
#define TARGET_AVX2 __attribute__((target("avx2")))
#define HAS_AVX2 __builtin_cpu_supports("avx2")
#else
#define TARGET_AVX2
#define HAS_AVX2 0
#endif

static int use_avx2 = 0;

int rules_set_avx2(int allowed) {
    use_avx2 = allowed && HAS_AVX2;
    return use_avx2;
}

#define RULE_PARAMETERS                                                                            \
    ptrdiff_t n, double *data, const double *grad, double *const *state, unsigned live, double t,  \
        const double *hyper
#define RULE_ARGUMENTS n, data, grad, state, live, t, hyper

#include "train/loops.h"

#define IN_TWO_WIDTHS(name, title)                                                                 \
    TARGET_AVX2 static void name##_avx2(RULE_PARAMETERS) { name##_any(RULE_ARGUMENTS); }           \
    static void name##_step(RULE_PARAMETERS) {                                                     \
        if (use_avx2) name##_avx2(RULE_ARGUMENTS);                                                 \
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
