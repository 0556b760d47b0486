"""Extract: from the arena's nodes to the list of operations that a tape is built from."""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint8_t

cdef extern from "tape/tape.h" nogil:
    enum:
        RECORD_LEAF
        NO_SLOT
        LEAF_INPUT
        LEAF_PARAMETER
        LEAF_CONSTANT
    ctypedef struct TapeOp:
        uint32_t a
        uint32_t b
        uint32_t op
    ctypedef struct Recording:
        uint32_t n_ops
        uint32_t n_leaves
        uint32_t n_terms
        uint32_t n_outputs
        TapeOp *ops
        uint32_t *sources
        uint8_t *leaf_kind
        double *leaf_value
        uint32_t *leaf_slot
        uint32_t *terms
        uint32_t *outputs

cdef class Recorded:
    cdef Recording raw
    cdef list parameters  # the handles of the leaves that are

cdef Recorded record_graph(list inputs, list outputs)
