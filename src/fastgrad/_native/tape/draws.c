/* Draws: factors of dropouts, which are inputs that a call fills by itself. */
#include <Python.h>

#include "base/philox.h"
#include "tape/tape.h"

DrawPair draw_pair(const Dropout *dropout, const DrawKey *key, uint64_t sample, uint32_t draw) {
    return (DrawPair){.seed = key->seed,
        .call = key->call,
        .sample = (uint32_t)(key->sample + sample),
        .pair = draw / 2,
        /* u >= p of u = bits / 2^53: an exact product */
        .threshold = (int64_t)ceil(dropout->p * 9007199254740992.0),
        .scale = dropout->p == 1.0 ? 0.0 : 1.0 / (1.0 - dropout->p)};
}

static void draw_factors(const DrawPair *pair, double *factors, uint32_t n) {
    uint32_t words[4] = {
        pair->pair, pair->sample, (uint32_t)pair->call, (uint32_t)(pair->call >> 32)};
    philox(words, pair->seed);
    for (uint32_t i = 0; i < n; i++)
        factors[i] = philox_bits(words[2 * i], words[2 * i + 1]) >= pair->threshold ? pair->scale
                                                                                    : 0.0;
}

int program_draw(
    const Program *p, const DrawKey *key, uint64_t sample, double *values, Poll *poll) {
    double *to = values + program_arguments(p);
    DrawKey own = *key;
    for (uint32_t d = 0; d < p->n_dropouts; d++, own.call++) {
        const Dropout *dropout = &p->dropouts[d];
        for (uint32_t i = 0; i < dropout->n; i += 2) {
            const uint32_t n = dropout->n - i < 2 ? 1 : 2;
            const DrawPair pair = draw_pair(dropout, &own, sample, i);
            if (key->is_on) draw_factors(&pair, to + i, n);
            else
                for (uint32_t j = 0; j < n; j++) to[i + j] = 1.0;
            if (poll_signals(poll, 2)) return TAPE_STOPPED;
        }
        to += dropout->n;
    }
    return TAPE_OK;
}
