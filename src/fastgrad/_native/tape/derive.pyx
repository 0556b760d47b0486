"""Derive: tapes that are derivatives of tapes; `fastgrad._derivatives` says which.

The program is made by program_derive.c; here its request is checked, and the new tape given the parameters
and places of the old one.
"""

from libc.stdint cimport uint8_t, uint32_t

from fastgrad._native.base.errors cimport error_of
from fastgrad._native.tape.header cimport DerivePick, DeriveRequest, DeriveSeed, Program, program_arguments
from fastgrad._native.tape.replay cimport Replay
from fastgrad._native.tape.wrt cimport Want

OPERATIONS_MAX = 1 << 24  # of a derivative, before it is simplified: some 2 GB while it is made
SEED_ONE = 0xfffffffe


def sizes(Replay tape not None):
    """Give the numbers of arguments' numbers, of all leaves but constants, and of outputs."""
    tape.expect_recorded()
    cdef const Program *p = &tape.program
    return program_arguments(p), p.n_inputs + p.n_parameters, p.n_outputs


cdef list dropouts_of(const Program *p):
    cdef list found = []
    cdef uint32_t d
    for d in range(p.n_dropouts):
        found.append((p.dropouts[d].p, p.dropouts[d].n))
    return found


def wanted(Replay tape not None, wrt):
    """Give the structure of the gradient by `wrt`, and the Shapes in it, which begin at leaves."""
    cdef Want want = tape.want(wrt)
    return want.spec, list(want.shapes)


cdef int expect_places(const uint32_t *triples, size_t n, int at, uint32_t below, str what) except -1:
    """Check one number of each triple of a request; SEED_ONE is as good."""
    cdef size_t i
    for i in range(n):
        if triples[3 * i + at] >= below and triples[3 * i + at] != SEED_ONE:
            raise error_of("FastgradValueError", f"a number below {below}", f"{triples[3 * i + at]}", what)
    return 0


def derive(Replay made not None, Replay tape not None, bint forward, bint values, Py_ssize_t n_arguments,
           bytes live not None, bytes seeds not None, bytes picks not None, list arguments not None,
           object result, str what not None, uint32_t most=OPERATIONS_MAX):
    """Fill an empty tape with a derivative of another.

    Seeds and picks are uint32: pass, place, input or SEED_ONE; pass, place, output. `live` has a byte
    for each input and parameter. The new one has `n_arguments` numbers as arguments, the tape's the first.
    """
    cdef const Program *p = &tape.program
    cdef DeriveRequest request
    tape.expect_recorded()
    cdef uint32_t leaves = p.n_inputs + p.n_parameters
    request.forward, request.values = forward, values
    request.n_inputs = <uint32_t> n_arguments + p.n_drawn
    request.seeds = <const DeriveSeed *> <const char *> seeds
    request.picks = <const DerivePick *> <const char *> picks
    request.n_seeds, request.n_picks = <uint32_t> (len(seeds) // 12), <uint32_t> (len(picks) // 12)
    request.live, request.most = <const uint8_t *> <const char *> live, most
    if len(live) != leaves or n_arguments < program_arguments(p):
        raise error_of("FastgradValueError", f"{leaves} leaves", f"{len(live)}", "live of derive")
    cdef uint32_t begins = leaves if forward else p.n_outputs
    cdef uint32_t ends = p.n_outputs if forward else leaves
    cdef const uint32_t *numbers = <const uint32_t *> request.seeds
    expect_places(numbers, request.n_seeds, 1, begins, "seeds")
    expect_places(numbers, request.n_seeds, 2, request.n_inputs, "seeds")
    numbers = <const uint32_t *> request.picks
    expect_places(numbers, request.n_picks, 1, ends, "picks")
    expect_places(numbers, request.n_picks, 2, request.n_picks, "picks")
    made.derive(tape, &request, what)
    made.dropouts_set(dropouts_of(p))
    made.adopt(list(tape.captured), arguments, result)
    made.name, made.places, made.decisions = f"{what} of {tape.name}", tape.places, list(tape.decisions)
