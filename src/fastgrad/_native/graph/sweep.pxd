"""Sweep: adjoints in reverse creation order."""

from fastgrad._native.memory.arena cimport Node, node_id

ctypedef int (*python_step)(node_id id, int op) except -1  # op: OP_PYTHON or OP_CUSTOM

cdef int raise_singular(Node *node, int op) except -1
cdef int sweep_reverse(node_id root, double seed, python_step step) except -1
cdef int sweep_step(node_id id, python_step step) except -1
cdef int sweep_zero(node_id root) except -1
cdef void sweeps_after_fork() noexcept
