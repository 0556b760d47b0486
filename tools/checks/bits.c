/* Writes the values and partials of every row of the table at fixed arguments: those of
 * tests/helpers/bits.py, for compilers and processors that run no Python here. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ops/ops.h"

enum { COUNT = 4096, SPECIALS = 23, ALL = COUNT + SPECIALS + SPECIALS * SPECIALS };

static const double parameters[] = {-2.0, -1.0, 0.5, 2.0, 3.0};
static const double specials[SPECIALS] = {0.0, -0.0, HUGE_VAL, -HUGE_VAL, NAN, 5e-324, -5e-324,
    1e-310, -1e-310, 1.0, -1.0, 0.5, 2.0, 3.0, -3.0, 10.0, 709.75, -745.1, 131072.0, -131072.0,
    1e22, 1.7e308, -1.7e308};
static double a[ALL], b[ALL], y[ALL], da[ALL], db[ALL];

static double from_bits(uint64_t u) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static double argument(uint64_t i, int kind) {
    uint64_t z = i * 0x9E3779B97F4A7C15u;
    double share, wide;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    share = (double)(int64_t)(z >> 11) * 0x1p-53, wide = from_bits(z & 0xBFFFFFFFFFFFFFFFu);
    if (kind == 0) return z >> 62 & 1 ? 1.0 / wide : wide;
    return kind == 1   ? 2.0 * share - 1.0
           : kind == 2 ? 64.0 * share - 32.0
                       : 1.0 + (share - 0.5) * 0x1p-10;
}

static void put(const double *x, int n) {
    for (int i = 0; i < n; i++) {
        double one = x[i] != x[i] ? from_bits(0x7FF8000000000000u) : x[i];
        fwrite(&one, sizeof one, 1, stdout);
    }
}

int main(void) {
    for (int i = 0; i < ALL; i++) {
        int pair = i - COUNT - SPECIALS;
        a[i] = i < COUNT ? argument(1 + (uint64_t)i, i % 4)
                         : specials[pair < 0 ? i - COUNT : pair / SPECIALS];
        b[i] = i < COUNT ? argument((1u << 20) + (uint64_t)i, i % 4)
                         : specials[pair < 0 ? i - COUNT : pair % SPECIALS];
    }
    for (int op = 0; op < OP_COUNT; op++) {
        const int rounds = op_has_parameter(op) ? (int)(sizeof parameters / sizeof *parameters) : 1;
        const int n = op_is_binary(op) ? ALL : COUNT + SPECIALS;
        if (!op_is_row(op)) continue;
        for (int round = 0; round < rounds; round++) {
            if (op == OP_ROUND && parameters[round] != 2.0) continue; /* it takes whole digits */
            for (int i = 0; i < n; i++) {
                double second = op_has_parameter(op) ? parameters[round] : b[i];
                db[i] = 0.0;
                op_forward(op, a[i], second, y + i);
                op_slopes(op, a[i], second, y[i], da + i, db + i);
            }
            put(y, n), put(da, n);
            if (op_is_binary(op)) put(db, n);
        }
    }
    return 0;
}
