"""Dot: a neuron's sum of products as one node, and the nodes it stands for."""

from fastgrad._native.memory.arena cimport node_id

cdef node_id dot_push(unsigned int inputs, unsigned int weights) except 0
cdef void dot_evaluate(const node_id *ids, unsigned int n) noexcept
cdef int dot_expand(node_id id) except -1
