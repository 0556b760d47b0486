/* Rows of x ** k for a few whole k, with the bits of libm's pow but mostly without it.
 * Without these, or another libm: no rows.
 *
 * A power is computed in two parts, exact to some 100 bits (FUSED gives what a product or a
 * quotient leaves out: Dekker 1971), and rounded once; `rest` is what that left out. glibc's pow
 * rounds once, too, a value that is off by at most 0.011 + |k log2(x)| ln(2) 1.5 * 2^-15 units in
 * the last place (its e_pow.c, at ulperr_exp and relerr_log): by less than 0.0155 within the range
 * here. So where the rest is under 0.484 units both round to the same; elsewhere, for 3 % of all x
 * and whatever is odd, pow itself is called. A glibc before 2.28, or one to come, that rounds
 * correctly is nearer still. */
#if defined(FUSED) && defined(__GLIBC__)

enum { POWER_ROW = 64 }; /* samples at a time: the bits of a mask */

/* Exponents that have code of their own. For the bound, |k| and |k - 1| are at most 4. */
#define POWER_EACH(X) X(-2) X(-1) X(2) X(3) X(4)

/* y[i] = x[i] ** k for a part; returns a bit for each i that is left to pow. */
INLINE uint64_t power_part(const double *from, int k, double *y) {
    const part x = load(from), size = (part)((part_mask)x & INT64_MAX);
    part high = x, low = all(0.0);
    for (int i = 1; i < (k < 0 ? -k : k); i++) {
        const part product = high * x;
        low = FUSED(low, x, FUSED(high, x, -product));
        high = product;
    }
    if (k < 0) {
        const part quotient = 1.0 / high;
        low = FUSED(-quotient, low, FUSED(-quotient, high, all(1.0))) * quotient;
        high = quotient;
    }
    const part sum = high + low, rest = (high - sum) + low;
    store(y, sum);
    /* From 0.484 units on this rounds to a neighbour; of a power of two, those below are nearer. */
    const part_mask sure = (sum + rest * (0.5 / 0.484) == sum) & (size > 0x1p-32) & (size < 0x1p32);
    return SIGNS(~sure);
}

/* y[i] = x[i] ** k, i < n: at most POWER_ROW, a multiple of LANES. */
INLINE void power_row(size_t n, const double *x, int k, double *y) {
    uint64_t left = 0;
    if (k == 1) {
        memcpy(y, x, n * sizeof *y);
        return;
    }
    for (size_t i = 0; i < n; i += WIDTH) left |= power_part(x + i, k, y + i) << i;
    for (; left; left &= left - 1) {
        const int i = __builtin_ctzll(left);
        y[i] = pow(x[i], k);
    }
}

INLINE void power_forward(size_t n, const double *a, int k, double *y) {
    for (size_t at = 0; at < n; at += POWER_ROW)
        power_row(n - at < POWER_ROW ? n - at : POWER_ROW, a + at, k, y + at);
}

INLINE void power_reverse(
    size_t n, const double *a, int k, const double *y, const double *g, double *da) {
    for (size_t at = 0; at < n; at += POWER_ROW) {
        const size_t end = n - at < POWER_ROW ? n : at + POWER_ROW;
        double power[POWER_ROW];
        power_row(end - at, a + at, k - 1, power);
        for (size_t i = at; i < end; i++)
            da[i] += op_product(op_pow_number_da_given(a[i], k, y[i], power[i - at]), g[i]);
    }
}

INLINE void power_tangent(
    size_t n, const double *a, int k, const double *y, const double *ta, double *t) {
    for (size_t at = 0; at < n; at += POWER_ROW) {
        const size_t end = n - at < POWER_ROW ? n : at + POWER_ROW;
        double power[POWER_ROW];
        power_row(end - at, a + at, k - 1, power);
        for (size_t i = at; i < end; i++)
            t[i] = tangent_term(op_pow_number_da_given(a[i], k, y[i], power[i - at]), ta[i]);
    }
}

/* As the kernels of OP_POW_NUMBER; return 0 where b is no exponent that has code here. */
static int powers_forward(size_t n, const double *a, double b, double *y) {
#define POWER_FORWARD(k)                                                                           \
    if (b == (k)) {                                                                                \
        power_forward(n, a, k, y);                                                                 \
        return 1;                                                                                  \
    }
    POWER_EACH(POWER_FORWARD)
    return 0;
}

static int powers_reverse(
    size_t n, const double *a, double b, const double *y, const double *g, double *da) {
#define POWER_REVERSE(k)                                                                           \
    if (b == (k)) {                                                                                \
        power_reverse(n, a, k, y, g, da);                                                          \
        return 1;                                                                                  \
    }
    POWER_EACH(POWER_REVERSE)
    return 0;
}

static int powers_tangent(
    size_t n, const double *a, double b, const double *y, const double *ta, double *t) {
#define POWER_TANGENT(k)                                                                           \
    if (b == (k)) {                                                                                \
        power_tangent(n, a, k, y, ta, t);                                                          \
        return 1;                                                                                  \
    }
    POWER_EACH(POWER_TANGENT)
    return 0;
}

#else
#define powers_tangent(n, a, b, y, ta, t) 0
#define powers_forward(n, a, b, y) 0
#define powers_reverse(n, a, b, y, g, da) 0
#endif
