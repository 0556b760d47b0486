"""Shown: what Python sees of a node: `operands`, `_local_grads`, `_op`."""

from libc.stdint cimport uint32_t

from cpython.object cimport PyObject

from fastgrad._native.memory.arena cimport (
    BLOCK, BOOL, Block, CLOSURE, EXPANDED, NUMBER, Node, arena, hidden_operand,
)
from fastgrad._native.base.errors cimport error_of
from fastgrad._native.graph.backward cimport custom_partials
from fastgrad._native.graph.engine cimport custom_operations, take_position
from fastgrad._native.graph.dot cimport dot_expand
from fastgrad._native.graph.handle cimport HandleLayout, handle_slot, node_at, node_id
from fastgrad._native.ops.codes cimport (
    OP_ADD, OP_CUSTOM, OP_DOT, OP_HIDDEN, OP_LEAF, OP_LINEAR, OP_OK, OP_POW_NUMBER, OP_PYTHON, OP_TAKE,
    op_has_parameter, op_name, op_partials, op_symbol,
)
from fastgrad._native.graph.sweep cimport raise_singular


cdef int shown_op(Node *node) noexcept:
    """Give the opcode of a node as it is shown."""
    if node.op == OP_DOT:
        return OP_ADD
    if node.op == OP_HIDDEN or node.op == OP_PYTHON and node.flags >> 8:
        return node.flags >> 8
    return node.op


cdef list block_list(Block *block, uint32_t n):
    """List the first ids of a block."""
    cdef uint32_t i
    cdef list ids = []  # no comprehension: Cython 3.3 drops an item twice if its list cannot grow
    for i in range(n):
        ids.append(block.ids[i])
    return ids


cdef void operands_shown(Node *node, node_id *a, node_id *b) noexcept:
    """Give the operands of a node that has no block of them: two, an exponent's too, 0 for none.

    A dot node has its hidden nodes as operands once it is expanded.
    """
    cdef Block *hidden
    cdef uint32_t position
    a[0], b[0] = node.a, node.b
    if node.op == OP_HIDDEN:
        hidden, position = arena.blocks[node.a], node.b
    elif node.op == OP_DOT:
        hidden = arena.blocks[node.b]
        position = 2 * ((hidden.size + 1) // 2) - 1
    else:
        return
    a[0], b[0] = hidden_operand(hidden, position, 0), hidden_operand(hidden, position, 1)


cdef list node_operands(node_id id):
    """Give the ids of a node's operands, in their order, making the hidden ones of a dot node."""
    cdef Node *node = node_at(id)
    cdef node_id a = 0
    cdef node_id b = 0
    if node.flags & BLOCK:
        return block_list(arena.blocks[node.a], operands_counted(node))
    if node.op == OP_DOT:
        dot_expand(id)
    operands_shown(node, &a, &b)
    if not a:
        return []
    return [a] if not b or op_has_parameter(shown_op(node)) else [a, b]


cdef list dot_operands(Node *node):
    """Give the ids of a dot's operands as tapes list them: bias, weight, input, weight, input, ..."""
    cdef Block *xs = arena.blocks[node.a]
    cdef Block *ws = arena.blocks[node.b]
    cdef list ids = []
    cdef uint32_t i
    if node.flags & EXPANDED:
        ws = arena.blocks[ws.under]
    ids.append(ws.ids[xs.size])
    for i in range(xs.size):
        ids.append(ws.ids[i])
        ids.append(xs.ids[i])
    return ids


cdef tuple node_operation(node_id id, bint dots):
    """Give the name of what made a node, and its parameter or None; a dot's own name if asked."""
    cdef Node *node = node_at(id)
    cdef int op = OP_DOT if dots and node.op == OP_DOT else shown_op(node)
    if op == OP_LEAF:
        return "", None
    if op == OP_CUSTOM:
        return custom_operations[node.b].name, None
    if op == OP_PYTHON:
        return node_label(id) or "python", None
    return op_name[op].decode(), node_at(node.b).data if op_has_parameter(op) else None


cdef uint32_t operands_counted(Node *node) noexcept:
    """Give the number of operands of a node that has them in a block: not of the partials behind them."""
    cdef uint32_t size = arena.blocks[node.a].size
    return size // 2 if shown_op(node) == OP_LINEAR else size


cdef tuple node_partials(node_id id):
    """Give the derivatives of a node by its operands, by its own rule."""
    cdef Node *node = node_at(id)
    cdef int op = shown_op(node)
    cdef node_id a = 0
    cdef node_id b = 0
    cdef double da = 0.0
    cdef double db = 0.0
    cdef list found = []
    cdef Block *block
    cdef uint32_t i
    if op == OP_LEAF:
        return ()
    if node.op == OP_PYTHON or node.flags & CLOSURE:
        raise error_of(
            "FastgradAttributeError", "an operation that knows its derivatives",
            "one whose backward step is a Python function", "_local_grads of Value",
            "give them to the constructor: Value(data, operands, local_grads)")
    if op == OP_CUSTOM:
        return tuple(custom_partials(node))
    if node.flags & BLOCK:
        block = arena.blocks[node.a]
        if op == OP_TAKE:
            i = <uint32_t> take_position(node_at(block.ids[0]).data, block.size - 1) + 1
            found = [0.0] * block.size
            found[i] = 1.0
        else:
            for i in range(block.size // 2, block.size):
                found.append(node_at(block.ids[i]).data)
        return tuple(found)
    if node.op == OP_DOT:
        dot_expand(id)
    operands_shown(node, &a, &b)
    if op_partials(op, node_at(a).data, node_at(b if b else a).data, node.data, &da, &db) != OP_OK:
        raise_singular(node, op)
    found.append(da)
    if b and not op_has_parameter(op):
        found.append(db)
    return tuple(found)


cdef object node_label(node_id id):
    """Give the symbol that made a node."""
    cdef Node *node = node_at(id)
    cdef PyObject *handle = handle_slot(id)[0]
    cdef int op = shown_op(node)
    cdef double k
    if handle != NULL and (<HandleLayout *> handle).attributes != NULL:
        attributes = <dict> <object> (<HandleLayout *> handle).attributes
        if "_op" in attributes:
            return attributes["_op"]
    if op == OP_POW_NUMBER:
        k = node_at(node.b).data
        if node.flags & BOOL:
            return f"**{k != 0.0}"
        if node.flags & NUMBER:
            return f"**{int(k)}"
        return f"**{k!r}"
    if op == OP_CUSTOM:
        return custom_operations[node.b].name
    return "" if op == OP_PYTHON or op == OP_LINEAR else op_symbol[op].decode()
