"""Fused nodes: one node for a neuron's weighted sum, and the nodes it stands for."""

from fastgrad._native.memory.arena cimport node_id

cdef node_id affine_push(unsigned int inputs, unsigned int weights) except 0
cdef void affine_evaluate(const node_id *ids, unsigned int n) noexcept
cdef int affine_expand(node_id id) except -1
