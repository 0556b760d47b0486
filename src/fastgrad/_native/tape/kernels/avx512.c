/* Batch kernels for AVX-512. */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512dq,avx512vl"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512vl,prefer-vector-width=512")
#endif
#define KERNELS kernels_avx512
#define LEVEL "avx512"
#define WIDTH 8
#define COLUMNS 4
#include "tape/kernels/kernels.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int no_avx512_here; /* ISO C forbids an empty translation unit */
#endif
