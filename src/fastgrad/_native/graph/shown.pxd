"""Shown: what Python sees of a node: `operands`, `_local_grads`, `_op`."""

from libc.stdint cimport uint32_t

from fastgrad._native.memory.arena cimport Node, node_id

cdef int shown_op(Node *node) noexcept
cdef void operands_shown(Node *node, node_id *a, node_id *b) noexcept
cdef list node_operands(node_id id)
cdef list dot_operands(Node *node)
cdef tuple node_operation(node_id id, bint dots)
cdef uint32_t operands_counted(Node *node) noexcept
cdef tuple node_partials(node_id id)
cdef object node_label(node_id id)
