/* Written by tools/ops/generate.py from fastgrad/rules.py: edit that, then run `make ops`.
 *
 * <rule>_loop: one step over all parameters; its conditions are constant in each call.
 * <rule>_any: what is computed once a step, then the loop for the conditions that hold.
 * <rule>_state: which arrays of state are asked for, and what each holds at first.
 * Included by rules.c alone, which defines the macros that are used here. */

ALWAYS_INLINE void sgd_loop(ptrdiff_t n, double *RESTRICT data, const double *RESTRICT grad,
    double *RESTRICT momentum_buffer, double lr, double momentum, double dampening,
    double weight_decay, double sign, int if_weight_decay_ne_0, int if_momentum_ne_0,
    int if_first, int if_nesterov) {
    for (ptrdiff_t i = 0; i < n; i++) {
        double g;
        g = sign * grad[i];
        if (if_weight_decay_ne_0) {
            g = g + (weight_decay * data[i]);
        }
        if (if_momentum_ne_0) {
            if (if_first) {
                momentum_buffer[i] = g;
            } else {
                momentum_buffer[i] = (momentum_buffer[i] * momentum) + ((1.0 - dampening) * g);
            }
            if (if_nesterov) {
                g = g + (momentum * momentum_buffer[i]);
            } else {
                g = momentum_buffer[i];
            }
        }
        data[i] = data[i] + (-lr * g);
    }
}

#define SGD_LOOP(...) \
    sgd_loop(n, data, grad, state[0], lr, momentum, dampening, weight_decay, sign, __VA_ARGS__)
ALWAYS_INLINE void sgd_any(RULE_PARAMETERS) {
    const double lr = hyper[0];
    const double momentum = hyper[1];
    const double dampening = hyper[2];
    const double weight_decay = hyper[3];
    const double nesterov = hyper[4];
    const double maximize = hyper[5];
    const int first = !live;
    const double sign = maximize ? -1.0 : 1.0;
    if (weight_decay != 0.0) {
        if (momentum != 0.0) {
            if (first) {
                if (nesterov) SGD_LOOP(1, 1, 1, 1);
                else SGD_LOOP(1, 1, 1, 0);
            } else {
                if (nesterov) SGD_LOOP(1, 1, 0, 1);
                else SGD_LOOP(1, 1, 0, 0);
            }
        } else {
            SGD_LOOP(1, 0, 0, 0);
        }
    } else {
        if (momentum != 0.0) {
            if (first) {
                if (nesterov) SGD_LOOP(0, 1, 1, 1);
                else SGD_LOOP(0, 1, 1, 0);
            } else {
                if (nesterov) SGD_LOOP(0, 1, 0, 1);
                else SGD_LOOP(0, 1, 0, 0);
            }
        } else {
            SGD_LOOP(0, 0, 0, 0);
        }
    }
}

static unsigned sgd_state(const double *hyper, double *initial) {
    const double momentum = hyper[1];
    initial[0] = 0.0;
    return (momentum != 0.0 ? 1u : 0u);
}

static const RuleHyper sgd_hyper[] = {{"lr", RULE_NUMBER}, {"momentum", RULE_NUMBER},
    {"dampening", RULE_NUMBER}, {"weight_decay", RULE_NUMBER}, {"nesterov", RULE_FLAG},
    {"maximize", RULE_FLAG}};
enum { sgd_numbers = 6, sgd_states = 1 };

ALWAYS_INLINE void adagrad_loop(ptrdiff_t n, double *RESTRICT data, const double *RESTRICT grad,
    double *RESTRICT sum, double weight_decay, double eps, double sign, double rate,
    int if_weight_decay_ne_0) {
    for (ptrdiff_t i = 0; i < n; i++) {
        double g;
        g = sign * grad[i];
        if (if_weight_decay_ne_0) {
            g = g + (weight_decay * data[i]);
        }
        sum[i] = sum[i] + (g * g);
        data[i] = data[i] + ((-rate * g) / (sqrt(sum[i]) + eps));
    }
}

#define ADAGRAD_LOOP(...) \
    adagrad_loop(n, data, grad, state[0], weight_decay, eps, sign, rate, __VA_ARGS__)
ALWAYS_INLINE void adagrad_any(RULE_PARAMETERS) {
    const double lr = hyper[0];
    const double lr_decay = hyper[1];
    const double weight_decay = hyper[2];
    const double eps = hyper[4];
    const double maximize = hyper[5];
    const double sign = maximize ? -1.0 : 1.0;
    const double rate = lr / (1.0 + ((t - 1.0) * lr_decay));
    if (weight_decay != 0.0) ADAGRAD_LOOP(1);
    else ADAGRAD_LOOP(0);
}

static unsigned adagrad_state(const double *hyper, double *initial) {
    const double initial_accumulator_value = hyper[3];
    initial[0] = initial_accumulator_value;
    return 1u;
}

static const RuleHyper adagrad_hyper[] = {{"lr", RULE_NUMBER}, {"lr_decay", RULE_NUMBER},
    {"weight_decay", RULE_NUMBER}, {"initial_accumulator_value", RULE_NUMBER}, {"eps",
    RULE_NUMBER}, {"maximize", RULE_FLAG}};
enum { adagrad_numbers = 6, adagrad_states = 1 };

ALWAYS_INLINE void adam_loop(ptrdiff_t n, double *RESTRICT data, const double *RESTRICT grad,
    double *RESTRICT exp_avg, double *RESTRICT exp_avg_sq, double *RESTRICT max_exp_avg_sq,
    double beta2, double eps, double weight_decay, double sign, double new_mean,
    double new_square, double step_size, double root, int if_weight_decay_ne_0,
    int if_new_mean_lt_0_5, int if_amsgrad) {
    for (ptrdiff_t i = 0; i < n; i++) {
        double g, square;
        g = sign * grad[i];
        if (if_weight_decay_ne_0) {
            g = g + (weight_decay * data[i]);
        }
        if (if_new_mean_lt_0_5) {
            exp_avg[i] = exp_avg[i] + (new_mean * (g - exp_avg[i]));
        } else {
            exp_avg[i] = g - ((g - exp_avg[i]) * (1.0 - new_mean));
        }
        exp_avg_sq[i] = (exp_avg_sq[i] * beta2) + ((new_square * g) * g);
        square = exp_avg_sq[i];
        if (if_amsgrad) {
            max_exp_avg_sq[i] = ((max_exp_avg_sq[i] >= square) || (max_exp_avg_sq[i] !=
                max_exp_avg_sq[i])) ? max_exp_avg_sq[i] : square;
            square = max_exp_avg_sq[i];
        }
        data[i] = data[i] + ((-step_size * exp_avg[i]) / ((sqrt(square) / root) + eps));
    }
}

#define ADAM_LOOP(...) \
    adam_loop(n, data, grad, state[0], state[1], state[2], beta2, eps, weight_decay, sign, \
        new_mean, new_square, step_size, root, __VA_ARGS__)
ALWAYS_INLINE void adam_any(RULE_PARAMETERS) {
    const double lr = hyper[0];
    const double beta1 = hyper[1];
    const double beta2 = hyper[2];
    const double eps = hyper[3];
    const double weight_decay = hyper[4];
    const double amsgrad = hyper[5];
    const double maximize = hyper[6];
    const double sign = maximize ? -1.0 : 1.0;
    const double new_mean = 1.0 - beta1;
    const double new_square = 1.0 - beta2;
    const double step_size = lr / (1.0 - fg_power(beta1, t));
    const double root = sqrt(1.0 - fg_power(beta2, t));
    if (weight_decay != 0.0) {
        if (new_mean < 0.5) {
            if (amsgrad) ADAM_LOOP(1, 1, 1);
            else ADAM_LOOP(1, 1, 0);
        } else {
            if (amsgrad) ADAM_LOOP(1, 0, 1);
            else ADAM_LOOP(1, 0, 0);
        }
    } else {
        if (new_mean < 0.5) {
            if (amsgrad) ADAM_LOOP(0, 1, 1);
            else ADAM_LOOP(0, 1, 0);
        } else {
            if (amsgrad) ADAM_LOOP(0, 0, 1);
            else ADAM_LOOP(0, 0, 0);
        }
    }
}

static unsigned adam_state(const double *hyper, double *initial) {
    const double amsgrad = hyper[5];
    initial[0] = 0.0;
    initial[1] = 0.0;
    initial[2] = 0.0;
    return 1u | 2u | (amsgrad ? 4u : 0u);
}

static const RuleHyper adam_hyper[] = {{"lr", RULE_NUMBER}, {"betas", RULE_PAIR}, {"eps",
    RULE_NUMBER}, {"weight_decay", RULE_NUMBER}, {"amsgrad", RULE_FLAG}, {"maximize",
    RULE_FLAG}};
enum { adam_numbers = 7, adam_states = 3 };

ALWAYS_INLINE void adamw_loop(ptrdiff_t n, double *RESTRICT data, const double *RESTRICT grad,
    double *RESTRICT exp_avg, double *RESTRICT exp_avg_sq, double *RESTRICT max_exp_avg_sq,
    double beta2, double eps, double sign, double shrink, double new_mean, double new_square,
    double step_size, double root, int if_new_mean_lt_0_5, int if_amsgrad) {
    for (ptrdiff_t i = 0; i < n; i++) {
        double g, square;
        data[i] = data[i] * shrink;
        g = sign * grad[i];
        if (if_new_mean_lt_0_5) {
            exp_avg[i] = exp_avg[i] + (new_mean * (g - exp_avg[i]));
        } else {
            exp_avg[i] = g - ((g - exp_avg[i]) * (1.0 - new_mean));
        }
        exp_avg_sq[i] = (exp_avg_sq[i] * beta2) + ((new_square * g) * g);
        square = exp_avg_sq[i];
        if (if_amsgrad) {
            max_exp_avg_sq[i] = ((max_exp_avg_sq[i] >= square) || (max_exp_avg_sq[i] !=
                max_exp_avg_sq[i])) ? max_exp_avg_sq[i] : square;
            square = max_exp_avg_sq[i];
        }
        data[i] = data[i] + ((-step_size * exp_avg[i]) / ((sqrt(square) / root) + eps));
    }
}

#define ADAMW_LOOP(...) \
    adamw_loop(n, data, grad, state[0], state[1], state[2], beta2, eps, sign, shrink, new_mean, \
        new_square, step_size, root, __VA_ARGS__)
ALWAYS_INLINE void adamw_any(RULE_PARAMETERS) {
    const double lr = hyper[0];
    const double beta1 = hyper[1];
    const double beta2 = hyper[2];
    const double eps = hyper[3];
    const double weight_decay = hyper[4];
    const double amsgrad = hyper[5];
    const double maximize = hyper[6];
    const double sign = maximize ? -1.0 : 1.0;
    const double shrink = 1.0 - (lr * weight_decay);
    const double new_mean = 1.0 - beta1;
    const double new_square = 1.0 - beta2;
    const double step_size = lr / (1.0 - fg_power(beta1, t));
    const double root = sqrt(1.0 - fg_power(beta2, t));
    if (new_mean < 0.5) {
        if (amsgrad) ADAMW_LOOP(1, 1);
        else ADAMW_LOOP(1, 0);
    } else {
        if (amsgrad) ADAMW_LOOP(0, 1);
        else ADAMW_LOOP(0, 0);
    }
}

static unsigned adamw_state(const double *hyper, double *initial) {
    const double amsgrad = hyper[5];
    initial[0] = 0.0;
    initial[1] = 0.0;
    initial[2] = 0.0;
    return 1u | 2u | (amsgrad ? 4u : 0u);
}

static const RuleHyper adamw_hyper[] = {{"lr", RULE_NUMBER}, {"betas", RULE_PAIR}, {"eps",
    RULE_NUMBER}, {"weight_decay", RULE_NUMBER}, {"amsgrad", RULE_FLAG}, {"maximize",
    RULE_FLAG}};
enum { adamw_numbers = 7, adamw_states = 3 };

ALWAYS_INLINE void rmsprop_loop(ptrdiff_t n, double *RESTRICT data, const double *RESTRICT grad,
    double *RESTRICT square_avg, double *RESTRICT momentum_buffer, double *RESTRICT grad_avg,
    double lr, double alpha, double eps, double weight_decay, double momentum, double sign,
    double new_square, int if_weight_decay_ne_0, int if_centered, int if_new_square_lt_0_5,
    int if_momentum_gt_0) {
    for (ptrdiff_t i = 0; i < n; i++) {
        double g, spread;
        g = sign * grad[i];
        if (if_weight_decay_ne_0) {
            g = g + (weight_decay * data[i]);
        }
        square_avg[i] = (square_avg[i] * alpha) + ((new_square * g) * g);
        spread = square_avg[i];
        if (if_centered) {
            if (if_new_square_lt_0_5) {
                grad_avg[i] = grad_avg[i] + (new_square * (g - grad_avg[i]));
            } else {
                grad_avg[i] = g - ((g - grad_avg[i]) * (1.0 - new_square));
            }
            spread = spread - (grad_avg[i] * grad_avg[i]);
        }
        spread = sqrt(spread) + eps;
        if (if_momentum_gt_0) {
            momentum_buffer[i] = (momentum_buffer[i] * momentum) + (g / spread);
            data[i] = data[i] + (-lr * momentum_buffer[i]);
        } else {
            data[i] = data[i] + ((-lr * g) / spread);
        }
    }
}

#define RMSPROP_LOOP(...) \
    rmsprop_loop(n, data, grad, state[0], state[1], state[2], lr, alpha, eps, weight_decay, \
        momentum, sign, new_square, __VA_ARGS__)
ALWAYS_INLINE void rmsprop_any(RULE_PARAMETERS) {
    const double lr = hyper[0];
    const double alpha = hyper[1];
    const double eps = hyper[2];
    const double weight_decay = hyper[3];
    const double momentum = hyper[4];
    const double centered = hyper[5];
    const double maximize = hyper[6];
    const double sign = maximize ? -1.0 : 1.0;
    const double new_square = 1.0 - alpha;
    if (weight_decay != 0.0) {
        if (centered) {
            if (new_square < 0.5) {
                if (momentum > 0.0) RMSPROP_LOOP(1, 1, 1, 1);
                else RMSPROP_LOOP(1, 1, 1, 0);
            } else {
                if (momentum > 0.0) RMSPROP_LOOP(1, 1, 0, 1);
                else RMSPROP_LOOP(1, 1, 0, 0);
            }
        } else {
            if (momentum > 0.0) RMSPROP_LOOP(1, 0, 0, 1);
            else RMSPROP_LOOP(1, 0, 0, 0);
        }
    } else {
        if (centered) {
            if (new_square < 0.5) {
                if (momentum > 0.0) RMSPROP_LOOP(0, 1, 1, 1);
                else RMSPROP_LOOP(0, 1, 1, 0);
            } else {
                if (momentum > 0.0) RMSPROP_LOOP(0, 1, 0, 1);
                else RMSPROP_LOOP(0, 1, 0, 0);
            }
        } else {
            if (momentum > 0.0) RMSPROP_LOOP(0, 0, 0, 1);
            else RMSPROP_LOOP(0, 0, 0, 0);
        }
    }
}

static unsigned rmsprop_state(const double *hyper, double *initial) {
    const double momentum = hyper[4];
    const double centered = hyper[5];
    initial[0] = 0.0;
    initial[1] = 0.0;
    initial[2] = 0.0;
    return 1u | (momentum > 0.0 ? 2u : 0u) | (centered ? 4u : 0u);
}

static const RuleHyper rmsprop_hyper[] = {{"lr", RULE_NUMBER}, {"alpha", RULE_NUMBER}, {"eps",
    RULE_NUMBER}, {"weight_decay", RULE_NUMBER}, {"momentum", RULE_NUMBER}, {"centered",
    RULE_FLAG}, {"maximize", RULE_FLAG}};
enum { rmsprop_numbers = 7, rmsprop_states = 3 };

/* name in C, name of the class */
#define RULE_EACH(X) \
    X(sgd, SGD) \
    X(adagrad, Adagrad) \
    X(adam, Adam) \
    X(adamw, AdamW) \
    X(rmsprop, RMSprop)
