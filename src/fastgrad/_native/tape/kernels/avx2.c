/* Batch kernels for AVX2. */
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
#include "tape/kernels/kernels.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int no_avx2_here; /* ISO C forbids an empty translation unit */
#endif
