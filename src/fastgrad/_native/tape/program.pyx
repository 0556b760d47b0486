"""Program: a tape's program as plain arrays, for a file, and a tape from such arrays, checked.

Nothing is believed: `restore` copies and checks the arrays in one pass, before anybody runs them. An
operation may read only slots before its own, lists of operands lie one after the other without a
gap, so that what a tape takes in memory, now and when it is planned, is in proportion to its file.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawCalloc

from fastgrad._native.base.errors cimport error_of
from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_with_gil
from fastgrad._native.memory.arena cimport arena
from fastgrad._native.ops.codes cimport (
    OP_COUNT, OP_CUSTOM, op_has_parameter, op_is_binary, op_is_row, op_listed, op_name, op_on_tape,
)
from fastgrad._native.tape.header cimport Program, TapeOp, program_leaves, program_slots
from fastgrad._native.tape.replay cimport Replay

VALUES_MAX = 0x7fffffff  # slots, and operands in lists

cdef enum:
    NO_CODE = 0xffff


def opcodes():
    """Give the opcode of each operation that a tape can hold, by its name."""
    cdef dict codes = {}
    cdef uint32_t op
    for op in range(OP_COUNT):
        if op_on_tape(op):
            codes[op_name[op].decode()] = op
    return codes


# From a tape --------------------------------------------------------------------------------------

cdef bytes room(size_t n, size_t size):
    return PyBytes_FromStringAndSize(NULL, n * size)


cdef bytes copied(const void *data, size_t n, size_t size):
    return PyBytes_FromStringAndSize(<const char *> data, n * size)


cdef int mark_inputs(const Program *p, uint8_t *read) except -1:
    """Set 1 for each input that an operation or an output reads."""
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef uint32_t i
    for i in range(p.n_inputs):
        read[i] = 0
    for i in range(p.n_ops):
        poll_signals(&poll, 1)
        if op_is_row(p.ops[i].op):
            if p.ops[i].a < p.n_inputs:
                read[p.ops[i].a] = 1
            if p.ops[i].b < p.n_inputs:
                read[p.ops[i].b] = 1
    for i in range(p.n_terms):
        poll_signals(&poll, 1)
        if p.terms[i] < p.n_inputs:
            read[p.terms[i]] = 1
    for i in range(p.n_outputs):
        if p.outputs[i] < p.n_inputs:
            read[p.outputs[i]] = 1
    return 0


def structure(Replay tape not None):
    """Give the structure of a tape's arguments, that of its result, the number of recorded operations."""
    return list(tape.arguments or ()), tape.result, tape.program.n_recorded


def export(Replay tape not None):
    """Give a tape's program as arrays in native byte order, and the opcodes that they number.

    Returns
    -------
    arrays : dict of str to bytes
    codes : list of int
        In the order of their first use.
    """
    cdef const Program *p = &tape.program
    cdef uint16_t place[OP_COUNT]
    cdef list codes = []
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef uint32_t i
    tape.expect_recorded()
    cdef bytes operations = room(p.n_ops, 2)
    cdef bytes a = room(p.n_ops, 4)
    cdef bytes b = room(p.n_ops, 4)
    cdef bytes sources = room(p.n_ops, 4)
    cdef bytes inputs = room(p.n_inputs, 1)
    cdef bytes parameters = room(p.n_parameters, 8)
    cdef uint16_t *to_operations = <uint16_t *> PyBytes_AS_STRING(operations)
    cdef uint32_t *to_a = <uint32_t *> PyBytes_AS_STRING(a)
    cdef uint32_t *to_b = <uint32_t *> PyBytes_AS_STRING(b)
    cdef uint32_t *to_sources = <uint32_t *> PyBytes_AS_STRING(sources)
    cdef double *to_parameters = <double *> PyBytes_AS_STRING(parameters)
    for i in range(OP_COUNT):
        place[i] = NO_CODE
    for i in range(p.n_ops):
        poll_signals(&poll, 1)
        if place[p.ops[i].op] == NO_CODE:
            place[p.ops[i].op] = <uint16_t> len(codes)
            codes.append(p.ops[i].op)
        to_operations[i] = place[p.ops[i].op]
        to_a[i], to_b[i], to_sources[i] = p.ops[i].a, p.ops[i].b, p.sources[i]
    for i in range(p.n_parameters):
        to_parameters[i] = tape.nodes[i].data
    mark_inputs(p, <uint8_t *> PyBytes_AS_STRING(inputs))
    return {
        "constants": copied(p.constants, p.n_constants, 8), "parameters": parameters,
        "a": a, "b": b, "outputs": copied(p.outputs, p.n_outputs, 4), "sources": sources,
        "terms": copied(p.terms, p.n_terms, 4), "operations": operations, "inputs": inputs,
    }, codes


# To a tape ----------------------------------------------------------------------------------------

cdef void *copy_of(const void *data, size_t n, size_t size) except NULL:
    """Copy an array; never NULL, and never empty, as program_build has it."""
    cdef void *made = PyMem_RawCalloc(n or 1, size)
    if made == NULL:
        raise MemoryError()
    if n:
        memcpy(made, data, n * size)
    return made


cdef const void *data_of(bytes array) noexcept:
    return PyBytes_AS_STRING(array)


cdef tuple operand_fault(uint32_t slot, uint32_t below, str array, uint64_t at):
    return f"a slot below {below}", f"{slot}", f"{array}[{at}]"


cdef tuple check_number(const Program *p, uint32_t i, Py_ssize_t n_custom):
    """Check which one of the tape's custom operations an operation is."""
    cdef uint32_t first = p.n_inputs + p.n_parameters
    cdef uint32_t slot = p.terms[p.ops[i].a]
    cdef double number
    if not first <= slot < program_leaves(p):
        return "the slot of a constant, for custom", f"{slot}", f"terms[{p.ops[i].a}]"
    number = p.constants[slot - first]
    if not (0.0 <= number < n_custom and number == <double> <uint32_t> number):
        expected = f"the number of one of {n_custom} custom operations"
        return expected, f"{number!r}", f"constants[{slot - first}]"
    return None


cdef tuple check_list(const Program *p, uint32_t i, uint32_t terms, Py_ssize_t n_custom):
    """Check an operation whose operands are listed, from `terms` on."""
    cdef const TapeOp *op = &p.ops[i]
    cdef uint32_t slot = program_leaves(p) + i
    cdef uint64_t t
    if op.b < 1:
        return "at least 1 pair or entry", "0", f"b[{i}]"
    if op.a != terms:
        return f"{terms}, where the list before ends", f"{op.a}", f"a[{i}]"
    if op_listed(op.op, op.b) > p.n_terms - terms:
        return f"a list within {p.n_terms} terms", f"{op.b} pairs or entries from {terms} on", f"b[{i}]"
    for t in range(terms, terms + op_listed(op.op, op.b)):
        if p.terms[t] >= slot:
            return operand_fault(p.terms[t], slot, "terms", t)
    return check_number(p, i, n_custom) if op.op == OP_CUSTOM else None


cdef tuple check_map(const Program *p, uint32_t i):
    """Check an operation of the table."""
    cdef const TapeOp *op = &p.ops[i]
    cdef uint32_t leaves = program_leaves(p)
    if op.a >= leaves + i:
        return operand_fault(op.a, leaves + i, "a", i)
    if op.b >= leaves + i:
        return operand_fault(op.b, leaves + i, "b", i)
    if op_has_parameter(op.op):
        if not leaves - p.n_constants <= op.b < leaves:
            return f"the slot of a constant, for {op_name[op.op].decode()}", f"{op.b}", f"b[{i}]"
    elif not op_is_binary(op.op) and op.b != op.a:
        return f"{op.a} as in a, for {op_name[op.op].decode()} of one operand", f"{op.b}", f"b[{i}]"
    return None


cdef tuple check(const Program *p, const uint8_t *inputs, Py_ssize_t n_custom):
    """Give what was expected, what is there, and where; None for a program that is sound."""
    cdef uint32_t i
    cdef uint32_t terms = 0
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef tuple fault
    cdef bytes read
    cdef uint8_t *marks
    for i in range(p.n_ops):
        poll_signals(&poll, 1 + op_listed(p.ops[i].op, p.ops[i].b))
        if not op_is_row(p.ops[i].op):
            fault = check_list(p, i, terms, n_custom)
            terms += <uint32_t> op_listed(p.ops[i].op, p.ops[i].b)
        else:
            fault = check_map(p, i)
        if fault is not None:
            return fault
    if terms != p.n_terms:
        return f"{terms} terms, as operations have", f"{p.n_terms}", "terms"
    for i in range(p.n_outputs):
        if p.outputs[i] >= program_slots(p):
            return operand_fault(p.outputs[i], program_slots(p), "outputs", i)
    read = room(p.n_inputs, 1)
    marks = <uint8_t *> PyBytes_AS_STRING(read)
    mark_inputs(p, marks)
    for i in range(p.n_inputs):
        if inputs[i] != marks[i]:
            return f"{marks[i]}, for an input that is {'read' if marks[i] else 'not read'}", f"{inputs[i]}", \
                f"inputs[{i}]"
    return None


cdef tuple copy_operations(Program *p, dict arrays, list codes, uint32_t places):
    """Fill in the operations, which are numbers of codes; places are those that sources number."""
    cdef const uint16_t *operations = <const uint16_t *> data_of(arrays["operations"])
    cdef const uint32_t *a = <const uint32_t *> data_of(arrays["a"])
    cdef const uint32_t *b = <const uint32_t *> data_of(arrays["b"])
    cdef const uint32_t *sources = NULL
    cdef uint16_t code[OP_COUNT]
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef uint32_t i
    cdef uint32_t n = 0
    if "sources" in arrays:
        sources = <const uint32_t *> data_of(arrays["sources"])
    for one in codes:
        code[n] = one
        n += 1
    for i in range(p.n_ops):
        poll_signals(&poll, 1)
        if operations[i] >= n:
            return f"one of {n} operations", f"number {operations[i]}", f"operations[{i}]"
        p.ops[i].op, p.ops[i].a, p.ops[i].b = code[operations[i]], a[i], b[i]
        if sources == NULL:
            continue
        if sources[i] > places:
            return f"one of {places} places, or 0", f"{sources[i]}", f"sources[{i}]"
        p.sources[i] = sources[i]
    return None


def restore(Replay tape not None, dict arrays not None, list codes not None, uint32_t recorded,
            uint32_t places, tuple custom_operations not None=(), list dropouts=None):
    """Make an empty tape's program out of arrays like those of `export`.

    The caller vouches for the sizes: those of operations, a, b, sources agree, and those of inputs
    with the arguments and dropouts; opcodes come from
    `opcodes` and differ, and there are at most VALUES_MAX slots and terms.

    Returns
    -------
    None, or a tuple (expected, got, where) for arrays that are no program
    """
    cdef Program *p = &tape.program
    cdef tuple fault
    if p.ops != NULL or tape.nodes != NULL:
        raise error_of("FastgradTypeError", "a new tape", "one that has a program already")
    if len(codes) > OP_COUNT:
        raise error_of("FastgradValueError", f"at most {OP_COUNT} opcodes", f"{len(codes)}", "codes")
    tape.custom_operations = custom_operations
    arrays = dict(arrays)  # a copy, which signal handlers cannot change
    p.n_recorded = recorded
    p.n_ops = <uint32_t> (len(arrays["operations"]) // 2)
    p.ops = <TapeOp *> PyMem_RawCalloc(p.n_ops + 1, sizeof(TapeOp))
    p.sources = <uint32_t *> PyMem_RawCalloc(p.n_ops + 1, sizeof(uint32_t))
    if p.ops == NULL or p.sources == NULL:
        raise MemoryError()
    p.n_inputs = <uint32_t> len(arrays["inputs"])
    tape.dropouts_set(dropouts)
    p.n_parameters = <uint32_t> (len(arrays["parameters"]) // 8)
    p.n_constants = <uint32_t> (len(arrays["constants"]) // 8)
    p.constants = <double *> copy_of(data_of(arrays["constants"]), p.n_constants, 8)
    p.n_terms = <uint32_t> (len(arrays["terms"]) // 4)
    p.terms = <uint32_t *> copy_of(data_of(arrays["terms"]), p.n_terms, 4)
    p.n_outputs = <uint32_t> (len(arrays["outputs"]) // 4)
    p.outputs = <uint32_t *> copy_of(data_of(arrays["outputs"]), p.n_outputs, 4)
    fault = copy_operations(p, arrays, codes, places)
    if fault is None:
        fault = check(p, <const uint8_t *> data_of(arrays["inputs"]), len(custom_operations))
    return fault


def bind(Replay tape not None, list parameters not None, bytes data not None, list arguments not None,
         object result):
    """Give a restored tape its parameters, their data, and the structure of arguments and result."""
    cdef const double *numbers = <const double *> data_of(data)
    cdef uint32_t i
    if tape.nodes != NULL or <size_t> len(parameters) != tape.program.n_parameters:
        raise error_of(
            "FastgradTypeError", f"a restored tape, and its {tape.program.n_parameters} parameters",
            "one that is bound already" if tape.nodes != NULL else f"{len(parameters)} parameters")
    tape.adopt(parameters, arguments, result)
    for i in range(tape.program.n_parameters):
        tape.nodes[i].data = numbers[i]
    arena.writes += 1
