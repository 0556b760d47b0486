"""Backward: steps of a sweep that are written in Python, and which thread may sweep."""

from fastgrad._native.memory.arena cimport Node, node_id
from fastgrad._native.graph.handle cimport Handle

cdef class Step:
    cdef Handle handle

cdef int step_python(node_id id, int op) except -1
cdef object custom_partials(Node *node)
cdef int wait_for_turn() except -1
