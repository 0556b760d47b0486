"""Shown: the operands and the operation of a node as Python sees them, `_prev` and `_op`."""

from fastgrad._native.memory.arena cimport Node, node_id

cdef int shown_op(Node *node) noexcept
cdef void operands_shown(Node *node, node_id *a, node_id *b) noexcept
cdef list node_operands(node_id id)
cdef object node_label(node_id id)
