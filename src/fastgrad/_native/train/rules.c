/* The update rules of the optimisers, over flat arrays.
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

/* A switch becomes a constant, and the loop behind it a loop of its own. */
#define FOR_EACH_CASE(condition, call)                                                             \
    do {                                                                                           \
        if (condition) {                                                                           \
            enum { yes = 1 };                                                                      \
            call;                                                                                  \
        } else {                                                                                   \
            enum { yes = 0 };                                                                      \
            call;                                                                                  \
        }                                                                                          \
    } while (0)

enum { PLAIN, FIRST, MOMENTUM, NESTEROV_FIRST, NESTEROV };

ALWAYS_INLINE double decayed(double grad, double data, const Hyper *hyper, int decay) {
    double g = hyper->sign * grad;
    return decay ? g + hyper->weight_decay * data : g;
}

/* torch.lerp: the form that is exact at the end which is nearer. */
ALWAYS_INLINE double lerp(double from, double to, double weight, int near) {
    return near ? from + weight * (to - from) : to - (to - from) * (1 - weight);
}

ALWAYS_INLINE void sgd_loop(ptrdiff_t n, double *RESTRICT data, const double *RESTRICT grad,
    double *RESTRICT buffer, Hyper hyper, double lr, int kind, int decay) {
    double fresh = 1 - hyper.dampening, minus = -lr;
    for (ptrdiff_t i = 0; i < n; i++) {
        double g = decayed(grad[i], data[i], &hyper, decay);
        if (kind == FIRST || kind == NESTEROV_FIRST) buffer[i] = g;
        if (kind == MOMENTUM || kind == NESTEROV)
            buffer[i] = buffer[i] * hyper.momentum + fresh * g;
        if (kind == FIRST || kind == MOMENTUM) g = buffer[i];
        if (kind == NESTEROV_FIRST || kind == NESTEROV) g = g + hyper.momentum * buffer[i];
        data[i] = data[i] + minus * g;
    }
}

ALWAYS_INLINE void sgd_decay(ptrdiff_t n, double *data, const double *grad, double *buffer,
    const Hyper *hyper, double lr, int kind) {
    FOR_EACH_CASE(hyper->weight_decay != 0, sgd_loop(n, data, grad, buffer, *hyper, lr, kind, yes));
}

ALWAYS_INLINE void sgd_any(ptrdiff_t n, double *data, const double *grad, double *buffer, int first,
    const Hyper *hyper, double lr) {
    if (hyper->momentum == 0) sgd_decay(n, data, grad, buffer, hyper, lr, PLAIN);
    else if (hyper->nesterov && first) sgd_decay(n, data, grad, buffer, hyper, lr, NESTEROV_FIRST);
    else if (hyper->nesterov) sgd_decay(n, data, grad, buffer, hyper, lr, NESTEROV);
    else if (first) sgd_decay(n, data, grad, buffer, hyper, lr, FIRST);
    else sgd_decay(n, data, grad, buffer, hyper, lr, MOMENTUM);
}

ALWAYS_INLINE void adam_loop(ptrdiff_t n, double *RESTRICT data, const double *RESTRICT grad,
    double *RESTRICT mean, double *RESTRICT square, double *RESTRICT largest, Hyper hyper,
    double shrink, double step, double root, int decay, int near, int amsgrad) {
    double minus = -step, new_mean = 1 - hyper.beta1, new_square = 1 - hyper.beta2;
    for (ptrdiff_t i = 0; i < n; i++) {
        double p = data[i] * shrink;
        double g = decayed(grad[i], p, &hyper, decay);
        double m = lerp(mean[i], g, new_mean, near);
        double s = square[i] * hyper.beta2 + new_square * g * g;
        mean[i] = m;
        square[i] = s;
        if (amsgrad) /* nan stays nan, as torch.maximum has it */
            largest[i] = s = largest[i] >= s || largest[i] != largest[i] ? largest[i] : s;
        data[i] = p + minus * m / (sqrt(s) / root + hyper.eps);
    }
}

ALWAYS_INLINE void adam_near(ptrdiff_t n, double *data, const double *grad, double *mean,
    double *square, double *largest, const Hyper *hyper, double shrink, double step, double root,
    int decay, int near) {
    FOR_EACH_CASE(hyper->amsgrad, adam_loop(n, data, grad, mean, square, largest, *hyper, shrink,
                                      step, root, decay, near, yes));
}

ALWAYS_INLINE void adam_decay(ptrdiff_t n, double *data, const double *grad, double *mean,
    double *square, double *largest, const Hyper *hyper, double shrink, double step, double root,
    int decay) {
    FOR_EACH_CASE(1 - hyper->beta1 < 0.5,
        adam_near(n, data, grad, mean, square, largest, hyper, shrink, step, root, decay, yes));
}

ALWAYS_INLINE void adam_any(ptrdiff_t n, double *data, const double *grad, double *mean,
    double *square, double *largest, double t, const Hyper *hyper, double lr) {
    double step = lr / (1 - pow(hyper->beta1, t));
    double root = pow(1 - pow(hyper->beta2, t), 0.5); /* Python's ** as PyTorch has it, not sqrt */
    double shrink = hyper->decoupled ? 1 - lr * hyper->weight_decay : 1;
    FOR_EACH_CASE(hyper->weight_decay != 0 && !hyper->decoupled,
        adam_decay(n, data, grad, mean, square, largest, hyper, shrink, step, root, yes));
}

ALWAYS_INLINE void rmsprop_loop(ptrdiff_t n, double *RESTRICT data, const double *RESTRICT grad,
    double *RESTRICT square, double *RESTRICT buffer, double *RESTRICT mean, Hyper hyper, double lr,
    int decay, int momentum, int centered, int near) {
    double minus = -lr, fresh = 1 - hyper.alpha;
    for (ptrdiff_t i = 0; i < n; i++) {
        double g = decayed(grad[i], data[i], &hyper, decay);
        double s = square[i] * hyper.alpha + fresh * g * g;
        square[i] = s;
        if (centered) {
            mean[i] = lerp(mean[i], g, fresh, near);
            s = s - mean[i] * mean[i];
        }
        s = sqrt(s) + hyper.eps;
        if (momentum) {
            buffer[i] = buffer[i] * hyper.momentum + g / s;
            data[i] = data[i] + minus * buffer[i];
        } else {
            data[i] = data[i] + minus * g / s;
        }
    }
}

ALWAYS_INLINE void rmsprop_centered(ptrdiff_t n, double *data, const double *grad, double *square,
    double *buffer, double *mean, const Hyper *hyper, double lr, int decay, int momentum) {
    if (!hyper->centered)
        rmsprop_loop(n, data, grad, square, buffer, mean, *hyper, lr, decay, momentum, 0, 0);
    else
        FOR_EACH_CASE(1 - hyper->alpha < 0.5,
            rmsprop_loop(n, data, grad, square, buffer, mean, *hyper, lr, decay, momentum, 1, yes));
}

ALWAYS_INLINE void rmsprop_momentum(ptrdiff_t n, double *data, const double *grad, double *square,
    double *buffer, double *mean, const Hyper *hyper, double lr, int decay) {
    FOR_EACH_CASE(hyper->momentum > 0,
        rmsprop_centered(n, data, grad, square, buffer, mean, hyper, lr, decay, yes));
}

ALWAYS_INLINE void rmsprop_any(ptrdiff_t n, double *data, const double *grad, double *square,
    double *buffer, double *mean, const Hyper *hyper, double lr) {
    FOR_EACH_CASE(hyper->weight_decay != 0,
        rmsprop_momentum(n, data, grad, square, buffer, mean, hyper, lr, yes));
}

/* The public functions: each rule in two widths. */
#define RULE(name, parameters, arguments)                                                          \
    WIDE static void name##_wide parameters { name##_any arguments; }                              \
    void rule_##name parameters {                                                                  \
        if (wide) name##_wide arguments;                                                           \
        else name##_any arguments;                                                                 \
    }

RULE(sgd,
    (ptrdiff_t n, double *data, const double *grad, double *buffer, int first, const Hyper *hyper,
        double lr),
    (n, data, grad, buffer, first, hyper, lr))
RULE(adam,
    (ptrdiff_t n, double *data, const double *grad, double *mean, double *square, double *largest,
        double t, const Hyper *hyper, double lr),
    (n, data, grad, mean, square, largest, t, hyper, lr))
RULE(rmsprop,
    (ptrdiff_t n, double *data, const double *grad, double *square, double *buffer, double *mean,
        const Hyper *hyper, double lr),
    (n, data, grad, square, buffer, mean, hyper, lr))
