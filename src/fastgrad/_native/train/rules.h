/* The optimizers: one step each, over flat arrays. */
#ifndef FASTGRAD_TRAIN_RULES_H
#define FASTGRAD_TRAIN_RULES_H

#include <stddef.h>

enum { RULE_STATES = 4, RULE_NUMBERS = 16 }; /* no rule has more arrays, more hyper-parameters */

/* What a hyper-parameter is; a pair is two numbers. */
enum { RULE_NUMBER, RULE_FLAG, RULE_PAIR };

typedef struct {
    const char *name;
    int kind;
} RuleHyper;

typedef struct {
    const char *name;
    const RuleHyper *hyper;
    int n_hyper;
    int n_states;
    /* Which arrays of state these hyper-parameters ask for, a bit each; in `initial`, what an array
     * holds before its first step. */
    unsigned (*state)(const double *hyper, double *initial);
    /* One step on n parameters, each array n long, none overlapping. live: which arrays of state
     * hold something, a bit each; one that is not asked for may be NULL. t: the number of this
     * step, from 1. */
    void (*step)(ptrdiff_t n, double *data, const double *grad, double *const *state, unsigned live,
        double t, const double *hyper);
} Rule;

extern const Rule rules[];
extern const int rules_count;

/* Use AVX2 from now on, if allowed and there; tell whether. Without this call: the baseline. */
int rules_set_avx2(int allowed);

#endif
