"""Inspect: what a tape holds, and where its results stop being finite: for people to read."""

from libc.math cimport isfinite, isnan
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy

from cpython.buffer cimport PyBUF_ND, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer

from fastgrad._native.base.errors cimport error_of
from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_with_gil
from fastgrad._native.graph.handle cimport Handle, is_handle, node_at
from fastgrad._native.tape.bind cimport Shape, is_number, load_sample
from fastgrad._native.ops.codes cimport (
    OP_CUSTOM, OP_DOT, OP_KEEP_IF, OP_KEEP_UNLESS, OP_TAKE, op_is_binary, op_is_row, op_listed, op_name,
    op_product, op_reads_b, op_slopes,
)
from fastgrad._native.tape.frame cimport Frame
from fastgrad._native.tape.header cimport (
    DrawKey, GROUP_LAYER, Groups, Plan, Program, TapeOp, program_leaves, program_slots, take_entry,
)
from fastgrad._native.tape.replay cimport CachedPlan, Replay, SAMPLE_STEPS
from fastgrad._native.tape.wrt cimport Want


cdef extern from "Python.h":
    bint PyFloat_CheckExact(object o)
    double PyFloat_AS_DOUBLE(object o)


def sizes(Replay tape not None):
    """Give n_inputs, n_parameters, n_constants, n_ops, n_recorded, n_dots."""
    cdef Program *p = &tape.program
    cdef uint32_t dots = 0
    cdef uint32_t i
    for i in range(p.n_ops):
        dots += p.ops[i].op == OP_DOT
    return p.n_inputs, p.n_parameters, p.n_constants, p.n_ops, p.n_recorded, dots


def operation(Replay tape not None, uint32_t i):
    """Give name, operand slots and source of an operation."""
    cdef const TapeOp *op
    cdef list slots = []
    cdef uint32_t t
    cdef double number
    if i >= tape.program.n_ops:
        raise error_of("FastgradIndexError", f"one of {tape.program.n_ops} operations", f"{i}")
    op = &tape.program.ops[i]
    if op_is_row(op.op):
        slots.append(op.a)
        if op_reads_b(op.op):
            slots.append(op.b)
    else:
        for t in range(op_listed(op.op, op.b)):
            slots.append(tape.program.terms[op.a + t])
    if op.op == OP_CUSTOM:
        number = constant(tape, <uint32_t> slots.pop(0) - tape.program.n_inputs - tape.program.n_parameters)
        return tape.custom_operations[<Py_ssize_t> number].name, slots, tape.program.sources[i]
    return op_name[op.op].decode(), slots, tape.program.sources[i]


def constant(Replay tape not None, uint32_t i):
    if i >= tape.program.n_constants:
        raise error_of("FastgradIndexError", f"one of {tape.program.n_constants} constants", f"{i}")
    return tape.program.constants[i]


def outputs(Replay tape not None):
    """Give the slots of the results."""
    cdef list slots = []
    cdef uint32_t o
    for o in range(tape.program.n_outputs):
        slots.append(tape.program.outputs[o])
    return slots


cdef tuple shape_in(object spec):
    cdef list parts = []
    if type(spec) is Shape:
        return (<Shape> spec).shape
    _, keys, children, _ = spec
    for child in children:
        parts.append(shape_in(child))
    return tuple(parts if keys is None else zip(keys, parts))


def layers_of_one(Replay tape not None):
    """Give the rows of each layer in which a single sample runs: none until that is planned."""
    cdef const Groups *groups = &tape.groups
    cdef list found = []
    cdef size_t i
    for i in range(groups.steps_extent.n):
        if groups.steps[i].form == GROUP_LAYER:
            found.append(groups.steps[i].n)
    return found


def argument_shapes(Replay tape not None):
    """Give the shape of each argument: that of what is no array has those of its parts."""
    cdef list found = []
    tape.expect_recorded()
    for spec in tape.arguments:
        found.append(shape_in(spec))
    return tuple(found)


def dropouts(Replay tape not None):
    """Give of each dropout the probability of 0, and how many factors it draws."""
    cdef list found = []
    cdef uint32_t d
    for d in range(tape.program.n_dropouts):
        found.append((tape.program.dropouts[d].p, tape.program.dropouts[d].n))
    return found


def shapes(Replay tape not None):
    return list(tape.shapes or ())


def plan(Replay tape not None, bytes batched not None):
    """Describe the plan for a mask of batched inputs."""
    cdef Frame frame
    cdef CachedPlan cached
    cdef const Plan *p
    if len(batched) != <Py_ssize_t> tape.program.n_inputs:
        raise error_of(
            "ShapeError", f"a mask of {tape.program.n_inputs} inputs", f"{len(batched)}", "batched")
    frame = tape.frame_take()
    memcpy(frame.batched, <const char *> batched, tape.program.n_inputs)
    cached = tape.plan_for(frame, tape.want("parameters"))
    tape.frame_give(frame)
    p = &cached.plan
    return {"uniform": p.n_uniform, "steps": p.n_steps, "layers": p.n_layers, "rows": p.n_rows,
            "broadcasts": p.n_broadcasts, "block": p.block, "adjoints": p.n_adjoints}


# One sample in full -------------------------------------------------------------------------------

def replay_in_full(Replay tape not None, tuple args not None):
    """Run one sample: give the values of all slots, their adjoints, and the partials of each operation.

    An adjoint is None where no parameter or input leads to the result through that slot, and all are
    unless the result is one number. Partials stand in the order of the operands of `operation`. Dropouts
    draw what they will in the next call.
    """
    cdef Frame frame = tape.frame_take()
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef uint32_t n = program_slots(&tape.program)
    cdef Want want
    cdef list values = []
    cdef list adjoints = [None] * n
    cdef list partials = []
    cdef list wants = []
    cdef uint32_t i
    try:
        for wrt in ("parameters", "inputs") if is_number(tape.result) else ():
            wants.append(tape.want(wrt))
        tape.frame_bind_values(frame, args)
        if frame.n >= 0:
            raise error_of(
                "ShapeError", "one sample", f"a batch of {frame.n}", f"tape of {tape.name}",
                "give the arguments of one call")
        load_sample(frame, 0)
        tape.draws_begin(frame, NULL, False)
        for want in wants or [None]:
            tape.run_scalar(frame, want)
            for i in range(n if want is not None else 0):
                poll_signals(&poll, 1)
                if want.live[i]:
                    adjoints[i] = frame.adjoints[i]
        for i in range(n):
            values.append(frame.values[i])
        for i in range(tape.program.n_ops):
            poll_signals(&poll, 1)
            partials.append(partials_of(tape, frame, i))
        return values, adjoints, partials
    finally:
        tape.frame_give(frame)


cdef list partials_of(Replay tape, Frame frame, uint32_t i):
    """List the partials of an operation of a frame that has run, one for each operand that it lists."""
    cdef const TapeOp *op = &tape.program.ops[i]
    cdef double da = 0.0
    cdef double db = 0.0
    cdef list found = []
    cdef const uint32_t *terms = tape.program.terms + op.a
    if op_is_row(op.op):
        op_slopes(
            op.op, frame.values[op.a], frame.values[op.b],
            frame.values[program_leaves(&tape.program) + i], &da, &db)
        found.append(da)
        if op_reads_b(op.op):
            found.append(db if op_is_binary(op.op) else 0.0)
        return found
    if op.op == OP_TAKE:
        found = [0.0] * (1 + op.b)
        found[1 + take_entry(frame.values[terms[0]], op.b)] = 1.0  # another index was refused
        return found
    for _, partial in slopes_of(tape, frame, i, True):
        found.append(partial)
    return found


# Results that are not finite ----------------------------------------------------------------------
#
# An operation may well give inf or nan that nothing shows: where() leaves it out. So the search begins
# at a result, or at a derivative that was asked for, and goes back to what made it.

def first_nonfinite(Replay tape not None, tuple args not None, *gradients):
    """Find the first sample with a result that is nan or inf, or a gradient, and the operation behind it.

    Parameters
    ----------
    *gradients
        What they are of, as `wrt` says it; none are looked at where there is no one result.

    Returns
    -------
    tuple or None
        The fields of `fastgrad.tape.NonFinite`.

    Notes
    -----
    Dropouts draw what they will in the next call.
    """
    return first_nonfinite_drawn(tape, args, NULL, gradients)


cdef tuple first_nonfinite_drawn(Replay tape, tuple args, const DrawKey *drawn, tuple gradients):
    """The same with what a call has drawn."""
    cdef Frame frame = tape.frame_take()
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef Py_ssize_t s
    cdef list wants = []
    try:
        for wrt in gradients if is_number(tape.result) else ():
            wants.append(tape.want(wrt))
        tape.frame_bind_values(frame, args)
        tape.draws_begin(frame, drawn, False)
        for s in range(max(frame.n, 1)):
            found = nonfinite_in_sample(tape, frame, s, s, wants or [None], &poll)
            if found is not None:
                return found
        return None
    finally:
        tape.frame_give(frame)


cdef tuple nonfinite_in_sample(
        Replay tape, Frame frame, Py_ssize_t s, Py_ssize_t number, list wants, Poll *poll):
    """Run one sample of a bound frame, and find what its result or gradients come from.

    It draws as the sample of this number.
    """
    cdef Want want
    cdef uint32_t n_leaves = tape.program.n_inputs + tape.program.n_parameters
    cdef uint32_t i
    load_sample(frame, s)
    sample = frame.sample if frame.n >= 0 else None
    tape.draw(frame, number)
    for want in wants:
        tape.run_scalar(frame, want)
        poll_signals(poll, 2 * tape.program.n_ops + SAMPLE_STEPS)
        for i in range(tape.program.n_outputs):
            if not isfinite(frame.values[tape.program.outputs[i]]):
                return nonfinite_result(tape, frame, sample, poll)
        if want is None:
            continue
        for i in range(n_leaves):
            if want.live[i] and not isfinite(frame.adjoints[i]):
                return nonfinite_derivative(tape, frame, sample, want, poll)
    return None


cdef tuple nonfinite_result(Replay tape, Frame frame, object sample, Poll *poll):
    """Find the first operation behind the results that made nan of what is none; of no nan, inf."""
    cdef uint32_t leaves = program_leaves(&tape.program)
    cdef bytearray marks = bytearray(leaves + tape.program.n_ops)
    cdef const double *values = frame.values
    cdef bint seeks_nan = False
    cdef bint is_made
    cdef uint32_t i, o, slot
    cdef uint32_t found = tape.program.n_ops
    for o in range(tape.program.n_outputs):
        seeks_nan = seeks_nan or isnan(values[tape.program.outputs[o]])
    for o in range(tape.program.n_outputs):
        marks[tape.program.outputs[o]] = is_sought(values[tape.program.outputs[o]], seeks_nan)
    for i in reversed(range(tape.program.n_ops)):
        poll_signals(poll, 1)
        if not marks[leaves + i]:
            continue
        is_made = True
        for slot, _ in slopes_of(tape, frame, i, False):
            if slot >= leaves and is_sought(values[slot], seeks_nan):
                marks[slot], is_made = 1, False
        if is_made:
            found = i
    if found == tape.program.n_ops:  # an argument or a parameter is returned as it is
        o = 0
        while not is_sought(values[tape.program.outputs[o]], seeks_nan):
            o += 1
        return sample, "", (), values[tape.program.outputs[o]], None, False
    return described_operation(tape, frame, sample, found, values[leaves + found], False)


cdef tuple nonfinite_derivative(Replay tape, Frame frame, object sample, Want want, Poll *poll):
    """Find the operation whose partial, times an adjoint that is finite, gave nan or inf to what is wanted.

    The first of them in the order of a reverse sweep. Where only a sum was too large: what began it.
    """
    cdef uint32_t leaves = program_leaves(&tape.program)
    cdef bytearray marks = bytearray(leaves + tape.program.n_ops)
    cdef uint32_t i, slot
    cdef uint32_t found = 0
    cdef double part
    cdef double made = 0.0
    for i in range(tape.program.n_inputs + tape.program.n_parameters):
        marks[i] = want.live[i] and not isfinite(frame.adjoints[i])
    for i in range(tape.program.n_ops):
        poll_signals(poll, 1)
        if frame.adjoints[leaves + i] == 0.0:
            continue
        for slot, partial in slopes_of(tape, frame, i, True):
            if not marks[slot]:
                continue
            part = op_product(partial, frame.adjoints[leaves + i])
            if not isfinite(frame.adjoints[leaves + i]) and not isfinite(part):
                marks[leaves + i] = 1
            elif not isfinite(part) or isfinite(made) and part != 0.0:
                found, made = i, frame.adjoints[slot] if isfinite(part) else part
    return described_operation(tape, frame, sample, found, made, True)


cdef inline bint is_sought(double x, bint seeks_nan) noexcept:
    return isnan(x) if seeks_nan else not isfinite(x)


cdef list slopes_of(Replay tape, Frame frame, uint32_t i, bint partials):
    """List the operands of an operation that count for its result, and its partials in them.

    A custom operation is asked for its partials only if they are wanted.
    """
    cdef const TapeOp *op = &tape.program.ops[i]
    cdef const uint32_t *terms = tape.program.terms + op.a
    cdef const double *values = frame.values
    cdef double da = 0.0
    cdef double db = 0.0
    cdef int64_t entry
    cdef list found
    cdef uint32_t t
    if op_is_row(op.op):
        op_slopes(op.op, values[op.a], values[op.b], values[program_leaves(&tape.program) + i], &da, &db)
        found = [] if op.op in (OP_KEEP_IF, OP_KEEP_UNLESS) else [(op.a, da)]
        if op_is_binary(op.op):
            found.append((op.b, db))
        return found
    if op.op == OP_TAKE:
        entry = take_entry(values[terms[0]], op.b)
        return [(terms[1 + entry], 1.0)] if entry >= 0 else [(terms[0], 0.0)]
    if op.op == OP_CUSTOM:
        return custom_slopes(tape, frame, i, partials)
    found = [(terms[0], 1.0)]
    for t in range(1, 2 * op.b, 2):
        found.append((terms[t], values[terms[t + 1]]))
        found.append((terms[t + 1], values[terms[t]]))
    return found


cdef list custom_slopes(Replay tape, Frame frame, uint32_t i, bint partials):
    cdef const TapeOp *op = &tape.program.ops[i]
    cdef const uint32_t *terms = tape.program.terms + op.a
    cdef list operands = []
    cdef list found = []
    cdef uint32_t t
    for t in range(1, op.b + 1):
        operands.append(frame.values[terms[t]])
    operation = tape.custom_operations[<Py_ssize_t> frame.values[terms[0]]]
    slopes = [0.0] * op.b
    if partials:
        slopes = operation.partials_at(operands, frame.values[program_leaves(&tape.program) + i])
    for t in range(op.b):
        found.append((terms[t + 1], float(slopes[t])))
    return found


cdef tuple described_operation(
        Replay tape, Frame frame, object sample, uint32_t i, double result, bint in_derivative):
    """Give the fields of `fastgrad.tape.NonFinite`."""
    cdef list operands = []
    name, slots, source = operation(tape, i)
    for slot in slots:
        operands.append(frame.values[<uint32_t> slot])
    place = tape.places[source - 1] if source and tape.places else None
    return sample, name, tuple(operands), result, place, in_derivative


cdef int expect_finite(Replay tape, tuple args, object wrt) except -1:
    """Raise where a result is nan or inf, or the gradient; of results alone if wrt is None."""
    found = first_nonfinite(tape, args) if wrt is None else first_nonfinite(tape, args, wrt)
    if found is not None:
        from fastgrad.errors import word_result
        expected = "a finite gradient" if found[5] else "finite results"
        raise error_of("NonFiniteError", expected, word_result(*found), f"tape of {tape.name}")
    return 0


cdef bint is_finite(object result) except -1:
    """Tell whether all numbers of a result are finite: a number, an array of doubles, a structure of them."""
    if PyFloat_CheckExact(result):
        return isfinite(PyFloat_AS_DOUBLE(result))
    if is_handle(result):
        return isfinite(node_at((<Handle> result).id).data)
    if PyObject_CheckBuffer(result):
        return is_finite_array(result)
    for part in result.values() if isinstance(result, dict) else result:
        if not (isfinite(PyFloat_AS_DOUBLE(part)) if PyFloat_CheckExact(part) else is_finite(part)):
            return False
    return True


cdef bint is_finite_array(object array) except -1:
    cdef Py_buffer view
    cdef const double *x
    cdef Py_ssize_t n
    PyObject_GetBuffer(array, &view, PyBUF_ND)
    x, n = <const double *> view.buf, view.len // <Py_ssize_t> sizeof(double)
    while n and isfinite(x[n - 1]):
        n -= 1
    PyBuffer_Release(&view)
    return not n


cdef object expect_decided(Replay tape, tuple args, const DrawKey *drawn, object result):
    """Give a result, or raise if it is not finite: the decisions that the tape keeps may be wrong for it."""
    if is_finite(result):
        return result
    from fastgrad.errors import word_result
    found = first_nonfinite_drawn(tape, args, drawn, ())
    got = f"{result!r} as their sum" if found is None else word_result(*found)
    frozen = "".join(map("\n  {}".format, tape.decisions))
    raise error_of(
        "NonFiniteError", "finite results", got, f"tape of {tape.name}",
        f"it keeps what came out for its example, which may not hold here:{frozen}")
