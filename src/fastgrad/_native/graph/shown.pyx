"""Shown: the operands and the operation of a node as Python sees them, `_prev` and `_op`."""

from libc.stdint cimport uint32_t

from cpython.object cimport PyObject

from fastgrad._native.memory.arena cimport BLOCK, BOOL, Block, NUMBER, Node, arena, hidden_operand
from fastgrad._native.graph.engine cimport custom_operations
from fastgrad._native.graph.dot cimport dot_expand
from fastgrad._native.graph.handle cimport HandleLayout, handle_slot, node_at, node_id
from fastgrad._native.ops.codes cimport (
    OP_ADD, OP_CUSTOM, OP_DOT, OP_HIDDEN, OP_POW_NUMBER, OP_PYTHON, op_has_parameter, op_symbol,
)


cdef int shown_op(Node *node) noexcept:
    """Give the opcode of a node as it is shown."""
    if node.op == OP_DOT:
        return OP_ADD
    if node.op == OP_HIDDEN or node.op == OP_PYTHON and node.flags >> 8:
        return node.flags >> 8
    return node.op


cdef list block_list(Block *block):
    cdef uint32_t i
    cdef list ids = []  # no comprehension: Cython 3.3 drops an item twice if its list cannot grow
    for i in range(block.size):
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
    """Give the ids of a node's operands, making the hidden ones of a dot node."""
    cdef Node *node = node_at(id)
    cdef node_id a = 0
    cdef node_id b = 0
    if node.flags & BLOCK:
        return block_list(arena.blocks[node.a])
    if node.op == OP_DOT:
        dot_expand(id)
    operands_shown(node, &a, &b)
    if not a:
        return []
    return [a] if not b or op_has_parameter(shown_op(node)) else [a, b]


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
    return "" if op == OP_PYTHON else op_symbol[op].decode()
