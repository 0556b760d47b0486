/* Rows of x ** k for one k: a few exponents have texts of their own, the others that of pow. */

enum { POWER_ROW = 64 }; /* samples at a time */

RARE void power_far(size_t n, const double *x, double k, double *y) {
    for (size_t i = 0; i < n; i++) {
        uint64_t far = 0;
        (void)fg_pow_near(x[i], k, &far);
        if (far >> 63) y[i] = fg_pow_text(x[i], k);
    }
}

static void power_row(size_t n, const double *restrict x, double k, double *restrict y) {
#define POWER_OF(c)                                                                                \
    if (k == (c)) {                                                                                \
        EACH_SAMPLE(i, n) y[i] = fg_power_text(x[i], c);                                           \
        return;                                                                                    \
    }
    FG_EACH_POWER(POWER_OF)
    uint64_t far = 0;
    EACH_SAMPLE(i, n) y[i] = fg_pow_near(x[i], k, &far);
    if (far >> 63) power_far(n, x, k, y);
}

/* As the kernels of OP_POW_NUMBER. */
static void powers_reverse(size_t n, const double *restrict a, double k, const double *restrict y,
    const double *restrict g, double *restrict da) {
    double power[POWER_ROW];
    for (size_t at = 0, size; at < n; at += size) {
        size = n - at < POWER_ROW ? n - at : POWER_ROW;
        power_row(size, a + at, k - 1.0, power);
        EACH_SAMPLE(i, size)
        da[at + i] += op_product(
            op_pow_number_da_given(a[at + i], k, y[at + i], power[i]), g[at + i]);
    }
}

static void powers_tangent(size_t n, const double *restrict a, double k, const double *restrict y,
    const double *restrict ta, double *restrict t) {
    double power[POWER_ROW];
    for (size_t at = 0, size; at < n; at += size) {
        size = n - at < POWER_ROW ? n - at : POWER_ROW;
        power_row(size, a + at, k - 1.0, power);
        EACH_SAMPLE(i, size)
        t[at + i] = tangent_term(
            op_pow_number_da_given(a[at + i], k, y[at + i], power[i]), ta[at + i]);
    }
}
