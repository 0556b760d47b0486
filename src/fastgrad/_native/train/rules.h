/* The update rules of the optimisers, over flat arrays.
 * Order and grouping of each rule are PyTorch's for one float64 tensor, so roundings are too. */
#ifndef FASTGRAD_OPTIM_RULES_H
#define FASTGRAD_OPTIM_RULES_H

#include <stddef.h>

typedef struct {
    double weight_decay;
    double sign;      /* -1 to maximize, else 1 */
    double momentum;  /* SGD, RMSprop */
    double dampening; /* SGD */
    double beta1;     /* Adam */
    double beta2;
    double alpha; /* RMSprop */
    double eps;
    int nesterov;  /* SGD */
    int amsgrad;   /* Adam */
    int decoupled; /* AdamW */
    int centered;  /* RMSprop */
} Hyper;

/* Use AVX2 from now on, if allowed and there; tell whether. Without this call: the baseline. */
int rules_widen(int allowed);

/* One step on n parameters, each array n long, none overlapping. first: buffer holds nothing yet.
 * An array that the hyper-parameters do not ask for may be NULL. */
void rule_sgd(ptrdiff_t n, double *data, const double *grad, double *buffer, int first,
    const Hyper *hyper, double lr);
/* t: the number of this step, from 1. */
void rule_adam(ptrdiff_t n, double *data, const double *grad, double *mean, double *square,
    double *largest, double t, const Hyper *hyper, double lr);
void rule_rmsprop(ptrdiff_t n, double *data, const double *grad, double *square, double *buffer,
    double *mean, const Hyper *hyper, double lr);

#endif
