/* Batch kernels for AVX2.
 * Layer: companion of _tape.pyx. May include kernels.h. */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#define KERNELS kernels_avx2
#define LEVEL "avx2"
#define WIDTH 4
#define COLUMNS 1
#include "kernels.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int no_avx2_here; /* ISO C wants something */
#endif
