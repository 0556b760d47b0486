/* Batch kernels for any processor, and the choice among the levels. */
#define KERNELS kernels_baseline
#define LEVEL "baseline"
#define WIDTH 2
#define COLUMNS 1
#include "tape/kernels/kernels.h"

#if defined(__x86_64__)
static const Kernels *const levels[] = {&kernels_avx512, &kernels_avx2, &kernels_baseline};

static int is_here(const Kernels *kernels) {
    __builtin_cpu_init();
    if (kernels == &kernels_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
    if (kernels == &kernels_avx2) return __builtin_cpu_supports("avx2");
    return 1;
}
#else
static const Kernels *const levels[] = {&kernels_baseline};

static int is_here(const Kernels *kernels) { return kernels != NULL; }
#endif

const Kernels *kernels_named(const char *name) {
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if ((!name || !strcmp(name, levels[i]->name)) && is_here(levels[i])) return levels[i];
    return NULL;
}
