/* Formats: numbers in memory, of any format that struct and PEP 3118 name, become doubles.
 * Each is converted as a cast of C does it: exactly, or rounded to the nearest double. */
#ifndef FASTGRAD_FORMATS_H
#define FASTGRAD_FORMATS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Copies n numbers, `stride` bytes apart and anywhere in memory, side by side. */
typedef void (*FormatReader)(double *to, const char *from, ptrdiff_t stride, size_t n);

static inline uint8_t format_turned8(uint8_t x) { return x; }
static inline uint16_t format_turned16(uint16_t x) { return (uint16_t)(x >> 8 | x << 8); }
static inline uint32_t format_turned32(uint32_t x) {
    return (uint32_t)format_turned16((uint16_t)x) << 16 | format_turned16((uint16_t)(x >> 16));
}
static inline uint64_t format_turned64(uint64_t x) {
    return (uint64_t)format_turned32((uint32_t)x) << 32 | format_turned32((uint32_t)(x >> 32));
}

#define FORMAT_LOOP(size, load)                                                                    \
    if (stride == (size))                                                                          \
        for (size_t i = 0; i < n; i++, from += (size)) load;                                       \
    else                                                                                           \
        for (size_t i = 0; i < n; i++, from += stride) load

/* A reader of a type whose bits are those of a word, and one that turns the order of its bytes. */
#define FORMAT_READERS(name, type, bits, value)                                                    \
    static inline double name##_value(uint##bits##_t word) {                                       \
        type x;                                                                                    \
        memcpy(&x, &word, sizeof x);                                                               \
        return value;                                                                              \
    }                                                                                              \
    static inline uint##bits##_t name##_word(const char *from) {                                   \
        uint##bits##_t word;                                                                       \
        memcpy(&word, from, sizeof word);                                                          \
        return word;                                                                               \
    }                                                                                              \
    static void name##_read(double *to, const char *from, ptrdiff_t stride, size_t n) {            \
        FORMAT_LOOP(bits / 8, to[i] = name##_value(name##_word(from)));                            \
    }                                                                                              \
    static void name##_read_turned(double *to, const char *from, ptrdiff_t stride, size_t n) {     \
        FORMAT_LOOP(bits / 8, to[i] = name##_value(format_turned##bits(name##_word(from))));       \
    }

/* Half a float: its exponent and fraction in a double's places, 1008 binary orders too small. */
static inline double format_half(uint16_t half) {
    const uint64_t inf = (half & 0x7c00) == 0x7c00 ? (uint64_t)0x7ff << 52 : 0;
    const uint64_t size = (uint64_t)(half & 0x7fff) << 42;
    double x;
    memcpy(&x, &size, sizeof x);
    x *= 0x1p1008;
    uint64_t word;
    memcpy(&word, &x, sizeof word);
    word |= inf | (uint64_t)(half & 0x8000) << 48;
    memcpy(&x, &word, sizeof x);
    return x;
}

FORMAT_READERS(format_i8, int8_t, 8, (double)x)
FORMAT_READERS(format_i16, int16_t, 16, (double)x)
FORMAT_READERS(format_i32, int32_t, 32, (double)x)
FORMAT_READERS(format_i64, int64_t, 64, (double)x)
FORMAT_READERS(format_u8, uint8_t, 8, (double)x)
FORMAT_READERS(format_u16, uint16_t, 16, (double)x)
FORMAT_READERS(format_u32, uint32_t, 32, (double)x)
FORMAT_READERS(format_u64, uint64_t, 64, (double)x)
FORMAT_READERS(format_f16, uint16_t, 16, format_half(x))
FORMAT_READERS(format_f32, float, 32, (double)x)
FORMAT_READERS(format_f64, double, 64, x)
FORMAT_READERS(format_bool, uint8_t, 8, (double)(x != 0))

static void format_long_double_read(double *to, const char *from, ptrdiff_t stride, size_t n) {
    long double x;
    FORMAT_LOOP((ptrdiff_t)sizeof x, (memcpy(&x, from, sizeof x), to[i] = (double)x));
}

/* The reader of a format and the bytes of an item; NULL if these are no plain numbers. A size tells
 * more than a letter: ctypes calls a long of 8 bytes `<l`. */
static FormatReader format_reader(const char *format, ptrdiff_t size) {
    static const struct {
        const char *letters;
        ptrdiff_t size;
        FormatReader read, read_turned;
    } all[] = {
        {"d", 8, format_f64_read, format_f64_read_turned},
        {"f", 4, format_f32_read, format_f32_read_turned},
        {"e", 2, format_f16_read, format_f16_read_turned},
        {"?", 1, format_bool_read, format_bool_read},
        {"b", 1, format_i8_read, format_i8_read},
        {"h", 2, format_i16_read, format_i16_read_turned},
        {"ilqn", 4, format_i32_read, format_i32_read_turned},
        {"ilqn", 8, format_i64_read, format_i64_read_turned},
        {"B", 1, format_u8_read, format_u8_read},
        {"H", 2, format_u16_read, format_u16_read_turned},
        {"ILQN", 4, format_u32_read, format_u32_read_turned},
        {"ILQN", 8, format_u64_read, format_u64_read_turned},
        {"g", sizeof(long double), format_long_double_read, NULL},
    };
    const int one = 1, here_is_little = *(const char *)&one == 1;
    int is_turned = 0;
    if (*format && strchr("@=<>!", *format)) {
        is_turned = *format == '<' ? !here_is_little : strchr(">!", *format) ? here_is_little : 0;
        format++;
    }
    if (!format[0] || format[1]) return NULL;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strchr(all[i].letters, format[0]) && all[i].size == size)
            return is_turned ? all[i].read_turned : all[i].read;
    return NULL;
}

/* ---- arrays ---- */

enum { FORMAT_AXES_MAX = 64, SHORT_LOOP = 8 };

/* How an array is copied: loops over its axes, neighbours in memory joined, and where each axis
 * goes. */
typedef struct {
    int n;                              /* loops, the last one innermost */
    ptrdiff_t counts[FORMAT_AXES_MAX];  /* of each loop */
    ptrdiff_t strides[FORMAT_AXES_MAX]; /* bytes, in the array */
    ptrdiff_t steps[FORMAT_AXES_MAX];   /* of each axis: doubles, in the copy */
} FormatCopy;

/* Plans a copy that reads memory in its order, or one in C's order. */
static void format_plan(FormatCopy *c, int ndim, const ptrdiff_t *shape, const ptrdiff_t *strides,
    int in_memory_order) {
    int axes[FORMAT_AXES_MAX];
    for (int d = 0; d < ndim; d++) { /* sorted: the largest stride first */
        int at = d;
        for (; in_memory_order && at > 0 &&
               llabs((long long)strides[axes[at - 1]]) < llabs((long long)strides[d]);
            at--)
            axes[at] = axes[at - 1];
        axes[at] = d;
    }
    if (in_memory_order && ndim > 1 && shape[axes[ndim - 1]] < SHORT_LOOP &&
        strides[axes[ndim - 2]] != strides[axes[ndim - 1]] * shape[axes[ndim - 1]]) {
        const int last = axes[ndim - 1]; /* a short innermost loop would cost more than it gains */
        memmove(axes + 1, axes, (size_t)(ndim - 1) * sizeof *axes);
        axes[0] = last;
    }
    c->n = 0;
    for (int i = 0; i < ndim; i++) {
        const ptrdiff_t count = shape[axes[i]], stride = strides[axes[i]];
        if (c->n && c->strides[c->n - 1] == stride * count) {
            c->counts[c->n - 1] *= count;
            c->strides[c->n - 1] = stride;
        } else {
            c->counts[c->n] = count;
            c->strides[c->n++] = stride;
        }
    }
    ptrdiff_t step = 1;
    for (int i = ndim; i-- > 0;) {
        c->steps[axes[i]] = step;
        step *= shape[axes[i]];
    }
    if (!c->n) { /* one number */
        c->counts[0] = 1;
        c->strides[0] = 0;
        c->n = 1;
    }
}

/* Where the copy goes on after `done` of its innermost loops. */
static const char *format_row(const FormatCopy *c, const char *from, size_t done) {
    for (int i = c->n - 1; i-- > 0;) {
        from += (ptrdiff_t)(done % (size_t)c->counts[i]) * c->strides[i];
        done /= (size_t)c->counts[i];
    }
    return from;
}

#endif
