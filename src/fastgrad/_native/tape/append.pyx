"""Append: the operations of a tape that is called with Values become nodes of the graph.

The sample is replayed first, so what may fail comes before anything is appended. Then each operation
is pushed with the value that it has, behind its operands: the Values given, the parameters
themselves, hidden leaves for numbers and constants. A node that is made here is owned once, by its
slot, until the call is over.
"""

from libc.math cimport isfinite
from libc.stdint cimport uint32_t

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree

from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_with_gil
from fastgrad._native.graph.dot cimport dot_push
from fastgrad._native.graph.engine cimport (
    divisor_expect, forward_of, is_no_grad, leaf_hidden, no_grad_blocks, operand_keep, operation_raise,
    register_custom,
)
from fastgrad._native.graph.handle cimport Handle, HandleLayout, handle_new, handle_of, handles_flush
from fastgrad._native.graph.recording cimport recorded_read, recording_threads
from fastgrad._native.memory.arena cimport (
    BLOCK, Block, FRESH, NUMBER, arena, arena_push, arena_push_leaf, block_describe, block_disown, block_new,
    block_take, handle_slot, node_at, node_drop, node_id, unlikely,
)
from fastgrad._native.ops.codes cimport (
    OP_ADD, OP_CUSTOM, OP_DOT, OP_MUL, OP_OK, OP_POW_NUMBER, op_has_parameter, op_is_row, op_listed,
    op_reads_b,
)
from fastgrad._native.tape.bind cimport Shape, nest_values, rebuild, shapes_of
from fastgrad._native.tape.frame cimport Frame
from fastgrad._native.tape.header cimport Program, TapeOp, program_leaves, program_slots
from fastgrad._native.tape.replay cimport Replay

cdef extern from "Python.h":
    void *PyTuple_GET_ITEM(tuple o, Py_ssize_t i)

cdef enum:
    SHORT_DOT = 4  # pairs: fewer are products and sums, which take less than two blocks of operands

ctypedef struct Call:
    const Program *program
    const double *values  # of all slots
    node_id *ids          # of all slots; 0 where no operation has asked yet
    uint32_t inputs       # the block of inputs made last, of a dot that is there
    const uint32_t *inputs_of   # its terms
    uint32_t width        # and pairs


# Operands -----------------------------------------------------------------------------------------

cdef node_id operand_make(Replay tape, Call *call, uint32_t slot) except 0:
    """Own the node of a leaf's slot: the parameter, or a new leaf for a number."""
    cdef const Program *p = call.program
    cdef node_id id
    if p.n_inputs <= slot < p.n_inputs + p.n_parameters:
        id = (<HandleLayout *> PyTuple_GET_ITEM(tape.captured, slot - p.n_inputs)).id
        node_at(id).count += 1
    else:
        id = leaf_hidden(call.values[slot])
    call.ids[slot] = id
    return id


cdef inline node_id operand(Replay tape, Call *call, uint32_t slot) except 0:
    cdef node_id id = call.ids[slot]
    return operand_make(tape, call, slot) if unlikely(id == 0) else id


cdef int values_take(Call *call, list given) except -1:
    """Own the nodes of the Values among the arguments."""
    cdef Py_ssize_t i
    for i in range(len(given)):
        if given[i] is not None:
            call.ids[i] = (<Handle> given[i]).id
            node_at(call.ids[i]).count += 1
    return 0


cdef int call_end(Replay tape, Call *call, list given) except -1:
    """Give up what the slots own; operands of a subclass are kept by their nodes."""
    cdef uint32_t slot
    for value in given:
        if value is not None:
            operand_keep(value)
    for value in tape.kinds:
        operand_keep(value)
    for slot in range(program_slots(call.program)):
        if call.ids[slot]:
            node_drop(call.ids[slot])
    PyMem_RawFree(call.ids)
    handles_flush()
    return 0


# Operations ---------------------------------------------------------------------------------------

cdef inline node_id push(int op, node_id a, node_id b, double y) except 0:
    cdef node_id id = arena_push(op, a, b, y)
    handle_slot(id)[0] = NULL
    node_at(a).count += 1
    if b:
        node_at(b).count += 1
    return id


cdef node_id push_parameter(int op, node_id a, double k, double y) except 0:
    """Push an operation whose second operand is a number of its own."""
    cdef node_id leaf = leaf_hidden(k)
    cdef node_id id
    try:
        id = push(op, a, leaf, y)
    finally:
        node_drop(leaf)
    if k == <double> <long> k:
        node_at(id).flags |= NUMBER  # shown as **2, as it is most often written
    return id


cdef node_id push_products(Replay tape, Call *call, const uint32_t *terms, uint32_t n) except 0:
    """Push a short dot as the products and sums that it stands for."""
    cdef node_id total = operand(tape, call, terms[0])
    cdef node_id product, longer, w, x
    cdef uint32_t i
    cdef double y = call.values[terms[0]]
    cdef double z
    node_at(total).count += 1
    try:
        for i in range(n):
            w, x = operand(tape, call, terms[1 + 2 * i]), operand(tape, call, terms[2 + 2 * i])
            z = call.values[terms[1 + 2 * i]] * call.values[terms[2 + 2 * i]]
            product = push(OP_MUL, w, x, z)
            try:
                y += z
                longer = push(OP_ADD, total, product, y)
            finally:
                node_drop(product)
            node_drop(total)
            total = longer
    except BaseException:
        node_drop(total)
        raise
    return total


cdef bint start_is_factor(const uint32_t *terms, uint32_t n) noexcept:
    """Tell whether a dot's initial value is a factor, too, of another product than the last.

    Its adjoint then depends on the order: a replay adds the initial value's part last, a sweep
    over sums adds it before that of the products further left.
    """
    cdef uint32_t i
    for i in range(1, 2 * n - 1):
        if terms[i] == terms[0]:
            return True
    return False


cdef bint has_same_inputs(const Call *call, const uint32_t *terms, uint32_t n) noexcept:
    """Tell whether the inputs of a dot are those of the dot before, as in a layer."""
    cdef uint32_t i
    if not call.inputs or call.width != n:
        return False
    for i in range(n):
        if call.inputs_of[2 + 2 * i] != terms[2 + 2 * i]:
            return False
    return True


cdef uint32_t block_make(
        Replay tape, Call *call, const uint32_t *terms, uint32_t n, int stride,
        const uint32_t *last) except 0:
    """Make a block of the nodes of n slots, `stride` terms apart, and of one more unless that is NULL."""
    cdef Block *block
    cdef uint32_t index, i
    for i in range(n):
        operand(tape, call, terms[i * stride])
    if last != NULL:
        operand(tape, call, last[0])
    index = block_new(n + (last != NULL))
    block = arena.blocks[index]
    for i in range(n):
        block.ids[i] = call.ids[terms[i * stride]]
    if last != NULL:
        block.ids[n] = call.ids[last[0]]
    block_describe(block)
    return index


cdef bint is_kept(const Program *p, const uint32_t *terms, uint32_t n) noexcept:
    """Tell whether the weights of a dot, and its initial value, are parameters."""
    cdef uint32_t i
    for i in range(n):
        if not p.n_inputs <= terms[1 + 2 * i] < p.n_inputs + p.n_parameters:
            return False
    return p.n_inputs <= terms[0] < p.n_inputs + p.n_parameters


cdef uint32_t weights_of(Replay tape, Call *call, const TapeOp *op) except 0:
    """Give the block of a dot's weights: of parameters the same for all calls, as a neuron has it."""
    cdef const Program *p = call.program
    cdef const uint32_t *terms = p.terms + op.a
    cdef Py_ssize_t at = op - p.ops
    cdef uint32_t index, i
    cdef Block *block
    if tape.blocks != NULL and tape.blocks[at]:
        return tape.blocks[at]
    index = block_make(tape, call, terms + 1, op.b, 2, terms)
    if not is_kept(p, terms, op.b):
        return index
    if tape.blocks == NULL:
        tape.blocks = <uint32_t *> PyMem_RawCalloc(p.n_ops, sizeof(uint32_t))
        if tape.blocks == NULL:
            return index
    block = arena.blocks[index]
    for i in range(op.b + 1):
        node_at(block.ids[i]).flags &= ~FRESH  # no __init__ may give the handle another node
    block.owned = 1
    tape.blocks[at] = index
    return index


cdef node_id push_dot(Replay tape, Call *call, const TapeOp *op, double y) except 0:
    cdef const uint32_t *terms = call.program.terms + op.a
    cdef uint32_t inputs = call.inputs
    cdef uint32_t weights
    cdef node_id id
    if op.b < SHORT_DOT and not start_is_factor(terms, op.b):
        return push_products(tape, call, terms, op.b)
    if not has_same_inputs(call, terms, op.b):
        inputs = block_make(tape, call, terms + 2, op.b, 2, NULL)
    try:
        weights = weights_of(tape, call, op)
        try:
            id = dot_push(inputs, weights)
        except BaseException:
            if not arena.blocks[weights].owned:
                block_disown(weights)
            raise
    except BaseException:
        if inputs != call.inputs:
            block_disown(inputs)
        raise
    call.inputs, call.inputs_of, call.width = inputs, terms, op.b
    node_at(id).data = y
    return id


cdef node_id push_listed(Replay tape, Call *call, const TapeOp *op, double y) except 0:
    """Push an operation whose operands are in a block."""
    cdef const uint32_t *terms = call.program.terms + op.a
    cdef uint32_t n = <uint32_t> op_listed(op.op, op.b)
    cdef uint32_t number = 0
    cdef uint32_t index
    cdef node_id id
    if op.op == OP_CUSTOM:
        number = register_custom(tape.custom_operations[<Py_ssize_t> call.values[terms[0]]])
        terms += 1
        n -= 1
    index = block_make(tape, call, terms, n, 1, NULL)
    try:
        id = arena_push(op.op, <node_id> index, <node_id> number, y)
    except BaseException:
        block_disown(index)
        raise
    block_take(index)
    node_at(id).flags = BLOCK
    handle_slot(id)[0] = NULL
    return id


cdef node_id push_operation(Replay tape, Call *call, const TapeOp *op, double y) except 0:
    cdef node_id a
    if op_is_row(op.op):
        a = operand(tape, call, op.a)
        if op_has_parameter(op.op):
            return push_parameter(op.op, a, call.values[op.b], y)
        return push(op.op, a, operand(tape, call, op.b) if op_reads_b(op.op) else 0, y)
    if op.op == OP_DOT:
        return push_dot(tape, call, op, y)
    return push_listed(tape, call, op, y)


cdef int expect_defined(const Program *p, const double *values) except -1:
    """Raise where the eager engine does: a replay has gone on with inf or nan."""
    cdef const TapeOp *op
    cdef double y
    cdef int error
    cdef uint32_t i
    for i in range(p.n_ops):
        if isfinite(values[program_leaves(p) + i]) or not op_is_row(p.ops[i].op):
            continue
        op = &p.ops[i]
        error = forward_of(op.op, values[op.a], values[op.b], &y)
        if op.op == OP_POW_NUMBER and values[op.b] == -1.0:  # of a quotient, nearly always
            divisor_expect(values[op.a])
        if error != OP_OK:
            operation_raise(op.op, error, values[op.a], values[op.b])
    return 0


# The call -----------------------------------------------------------------------------------------

cdef list values_new(Replay tape, Frame frame):
    """Give the outputs of a call under no_grad: leaves, but for what is given back as it came."""
    cdef const Program *p = &tape.program
    cdef list made = []
    cdef uint32_t o, slot
    for value in frame.given:
        if recording_threads and value is not None:
            recorded_read((<Handle> value).id, "no_grad")
    for o in range(p.n_outputs):
        slot = p.outputs[o]
        if slot < p.n_inputs and frame.given[slot] is not None:
            made.append(frame.given[slot])
        elif p.n_inputs <= slot < p.n_inputs + p.n_parameters:
            made.append(tape.captured[slot - p.n_inputs])
        else:
            made.append(handle_new(arena_push_leaf(frame.values[slot])))
    return made


cdef list values_push(Replay tape, Frame frame):
    """Push the operations of a call, and give its outputs."""
    cdef const Program *p = &tape.program
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef list made = []
    cdef Call call
    cdef uint32_t i
    call.program, call.values, call.inputs = p, frame.values, 0
    call.ids = <node_id *> PyMem_RawCalloc(<size_t> program_slots(p) + 1, sizeof(node_id))
    if call.ids == NULL:
        raise MemoryError()
    try:
        values_take(&call, frame.given)
        for i in range(p.n_ops):
            call.ids[program_leaves(p) + i] = push_operation(
                tape, &call, &p.ops[i], frame.values[program_leaves(p) + i])
            poll_signals(&poll, 1 + op_listed(p.ops[i].op, p.ops[i].b))
        for i in range(p.n_outputs):
            made.append(handle_of(operand(tape, &call, p.outputs[i])))
    finally:
        call_end(tape, &call, frame.given)
    return made


cdef object append(Replay tape, Frame frame):
    """Run a bound frame on one sample, and give its result as Values, in the graph."""
    cdef list made
    cdef list outs = []
    cdef Shape shape
    tape.run_scalar(frame, None)
    expect_defined(&tape.program, frame.values)
    if no_grad_blocks and is_no_grad():
        made = values_new(tape, frame)
    else:
        made = values_push(tape, frame)
    for shape in shapes_of(tape.result):
        outs.append(nest_values(shape, made, frame.arrays))
    return rebuild(tape.result, outs)
