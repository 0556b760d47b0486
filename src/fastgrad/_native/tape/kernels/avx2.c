/* Batch kernels for AVX2. */
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define KERNELS kernels_avx2
#define LEVEL "avx2"
#define WIDTH 4
#define COLUMNS 1
#define FUSED(a, b, c) _mm256_fmadd_pd(a, b, c)
#define SIGNS(x) (uint64_t)_mm256_movemask_pd((__m256d)(x))
#include "tape/kernels/kernels.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int no_avx2_here; /* ISO C forbids an empty translation unit */
#endif
