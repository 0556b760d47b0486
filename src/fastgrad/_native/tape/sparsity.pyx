"""Sparsity: which results depend on which inputs, and colours: which inputs may change together.

The pattern is that of the program, whatever the numbers: bits of 512 inputs at a time go along its
operations. Columns of a Jacobian of one colour share no row, so one pass tells them apart. Those of a
Hessian, which is symmetric, need less: in a star colouring each path over four vertices has three
colours, and each entry stands alone in one of its two places (Gebremedhin, Manne and Pothen, 2005).
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree

from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_with_gil
from fastgrad._native.ops.codes cimport (
    OP_ABS_SLOPE, OP_CEIL, OP_FLOOR, OP_FLOORDIV, OP_KEEP_IF, OP_KEEP_UNLESS, OP_LEAKY_SLOPE, OP_ROUND,
    OP_SIGN, op_is_comparison, op_is_row, op_listed,
)
from fastgrad._native.tape.header cimport Program, TapeOp, program_leaves, program_slots
from fastgrad._native.tape.replay cimport Replay

from array import array

cdef enum:
    WORDS = 8  # of 64 inputs

cdef uint32_t NONE = 0xffffffff


cdef inline bint is_step(uint32_t op) noexcept:
    """Tell whether the derivatives of a row are 0."""
    return op_is_comparison(op) or op in (
        OP_ABS_SLOPE, OP_SIGN, OP_FLOOR, OP_CEIL, OP_ROUND, OP_FLOORDIV)


cdef inline void join(uint64_t *to, const uint64_t *of) noexcept:
    cdef int w
    for w in range(WORDS):
        to[w] |= of[w]


cdef int spread(const Program *p, uint64_t *bits, Poll *poll) except -1:
    """Give each operation the bits of its operands."""
    cdef uint32_t leaves = program_leaves(p)
    cdef const TapeOp *op
    cdef uint64_t *to
    cdef uint32_t i, t
    for i in range(p.n_ops):
        op, to = &p.ops[i], bits + <size_t> (leaves + i) * WORDS
        memset(to, 0, WORDS * sizeof(uint64_t))
        poll_signals(poll, 1 + op_listed(op.op, op.b))
        if not op_is_row(op.op):
            for t in range(op.a, op.a + <uint32_t> op_listed(op.op, op.b)):
                join(to, bits + <size_t> p.terms[t] * WORDS)
        elif not is_step(op.op):
            join(to, bits + <size_t> op.b * WORDS)
            if op.op not in (OP_KEEP_IF, OP_KEEP_UNLESS, OP_LEAKY_SLOPE):
                join(to, bits + <size_t> op.a * WORDS)
    return 0


def pattern(Replay tape not None, uint32_t first, uint32_t n):
    """Give a list: for each output, an array of those of n leaves, from `first` on, that it depends on."""
    tape.expect_recorded()
    cdef const Program *p = &tape.program
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef size_t slots = program_slots(p)
    cdef uint64_t *bits = <uint64_t *> PyMem_RawCalloc(slots * WORDS + 1, sizeof(uint64_t))
    cdef const uint64_t *of
    cdef uint32_t begin, i, o
    cdef list found = []
    if bits == NULL:
        raise MemoryError()
    try:
        for _ in range(p.n_outputs):
            found.append(array("I"))
        for begin in range(0, n, 64 * WORDS):
            memset(bits, 0, <size_t> program_leaves(p) * WORDS * sizeof(uint64_t))
            for i in range(min(n - begin, <uint32_t> (64 * WORDS))):
                bits[<size_t> (first + begin + i) * WORDS + i // 64] |= <uint64_t> 1 << (i % 64)
            spread(p, bits, &poll)
            for o in range(p.n_outputs):
                of = bits + <size_t> p.outputs[o] * WORDS
                row = found[o]
                for i in range(64 * WORDS):
                    if of[i // 64] == 0:
                        continue
                    if of[i // 64] >> (i % 64) & 1:
                        row.append(begin + i)
                poll_signals(&poll, WORDS)
    finally:
        PyMem_RawFree(bits)
    return found


cdef uint32_t first_free(const uint32_t *taken, uint32_t stamp) noexcept:
    cdef uint32_t colour = 0
    while taken[colour] == stamp:
        colour += 1
    return colour


def colour_columns(
        const uint32_t[::1] row_starts, const uint32_t[::1] columns, const uint32_t[::1] column_starts,
        const uint32_t[::1] rows, const uint32_t[::1] order):
    """Give a colour to each column, in an order: no two of one colour share a row."""
    cdef uint32_t n = <uint32_t> order.shape[0]
    colours = array("I", [NONE]) * n
    taken_by = array("I", [NONE]) * (n + 1)
    cdef uint32_t[::1] colour = colours
    cdef uint32_t[::1] taken = taken_by
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef uint32_t i, k, j, other
    for j in order:
        for k in range(column_starts[j], column_starts[j + 1]):
            poll_signals(&poll, 1 + row_starts[rows[k] + 1] - row_starts[rows[k]])
            for i in range(row_starts[rows[k]], row_starts[rows[k] + 1]):
                other = columns[i]
                if colour[other] != NONE:
                    taken[colour[other]] = j
        colour[j] = first_free(&taken[0], j)
    return colours


cdef bint is_only_neighbour(
        const uint32_t[::1] starts, const uint32_t[::1] edges, const uint32_t[::1] colour, uint32_t x,
        uint32_t w) noexcept:
    """Tell whether no other neighbour of x has the colour of w."""
    cdef uint32_t i
    for i in range(starts[x], starts[x + 1]):
        if edges[i] != w and colour[edges[i]] == colour[w]:
            return False
    return True


def colour_star(
        const uint32_t[::1] starts, const uint32_t[::1] edges, const uint32_t[::1] order):
    """Give a colour to each vertex, in an order: a star colouring."""
    cdef uint32_t n = <uint32_t> order.shape[0]
    colours = array("I", [NONE]) * n
    taken_by = array("I", [NONE]) * (n + 1)
    cdef uint32_t[::1] colour = colours
    cdef uint32_t[::1] taken = taken_by
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef uint32_t v, w, x, i, k
    for v in order:
        for i in range(starts[v], starts[v + 1]):
            w = edges[i]
            if w == v:
                continue
            if colour[w] != NONE:
                taken[colour[w]] = v
            for k in range(starts[w], starts[w + 1]):
                x = edges[k]
                if x == v or x == w or colour[x] == NONE or taken[colour[x]] == v:
                    continue
                poll_signals(&poll, 1)
                if colour[w] == NONE or not is_only_neighbour(starts, edges, colour, x, w):
                    taken[colour[x]] = v
        colour[v] = first_free(&taken[0], v)
    return colours
