"""Inspect: what a tape holds, and where its results stop being finite: for people to read."""

from libc.math cimport isfinite
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from fastgrad._native.base.errors cimport error_of
from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_with_gil
from fastgrad._native.tape.bind cimport load_sample
from fastgrad._native.ops.codes cimport (
    OP_CUSTOM, OP_DOT, op_is_row, op_listed, op_name, op_reads_b,
)
from fastgrad._native.tape.frame cimport Frame
from fastgrad._native.tape.header cimport Plan, Program, TapeOp, program_leaves
from fastgrad._native.tape.replay cimport CachedPlan, Replay, SAMPLE_STEPS


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


def shapes(Replay tape not None):
    return tape.shapes


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
            "broadcasts": p.n_broadcasts, "block": p.block}


# Results that are not finite ----------------------------------------------------------------------

def first_nonfinite(Replay tape not None, tuple args not None):
    """Find the first sample and operation whose result is nan or inf; None if all are finite.

    Returns
    -------
    tuple or None
        The fields of `fastgrad.tape.NonFinite`.
    """
    cdef Frame frame = tape.frame_take()
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef Py_ssize_t s
    cdef uint32_t i
    try:
        tape.frame_bind_values(frame, args)
        for s in range(max(frame.n, 1)):
            load_sample(frame, s)
            tape.run_single(frame, None)
            poll_signals(&poll, tape.program.n_ops + SAMPLE_STEPS)
            for i in range(tape.program.n_ops):
                if not isfinite(frame.values[program_leaves(&tape.program) + i]):
                    return nonfinite(tape, frame, s if frame.n >= 0 else None, i)
        return None
    finally:
        tape.frame_give(frame)


cdef tuple nonfinite(Replay tape, Frame frame, object sample, uint32_t i):
    """Describe an operation and its result in a frame."""
    cdef list operands = []
    name, slots, source = operation(tape, i)
    for slot in slots:
        operands.append(frame.values[<uint32_t> slot])
    place = tape.places[source - 1] if source and tape.places else None
    return sample, name, tuple(operands), frame.values[program_leaves(&tape.program) + i], place


cdef int expect_finite(Replay tape, tuple args) except -1:
    """Raise where an operation gives nan or inf."""
    found = first_nonfinite(tape, args)
    if found is not None:
        from fastgrad.errors import word_result
        raise error_of("NonFiniteError", "finite results", word_result(*found), f"tape of {tape.name}")
    return 0
