"""Wrt: what a gradient is of, and what leads from there to the result."""

from libc.stdint cimport uint32_t, uint8_t

from fastgrad._native.tape.header cimport Program

cdef class Want:              # what a gradient is of
    cdef object spec          # the structure of the gradient
    cdef list shapes          # the Shapes in it
    cdef bint inputs          # arguments are among it
    cdef bint parameters      # parameters are
    cdef uint8_t *live        # per slot: it is among it, or computed from it
    cdef uint32_t *steps      # the live operations, if they are few; NULL: all are worth running
    cdef uint32_t n_steps
    cdef bint single_values   # it is a list of Values: their gradients are a tuple of floats
    cdef bint in_list         # a list or tuple was given, of `given`
    cdef tuple given
    cdef object pulls         # how a single sample's adjoints run; None: not planned
    cdef int singles          # calls with one sample so far, up to that which plans
    cdef dict plans           # mask of batched inputs: plan
    cdef dict plans_each      # mask of leaves: plan for the gradient of each sample

cdef class Wants:             # of one tape
    cdef const Program *program
    cdef list arguments       # Shapes, or (kind, keys, children)
    cdef tuple captured       # the parameters
    cdef dict named           # by text or position: Want
    cdef list recent          # of Values and lists
    cdef dict numbers         # id of a parameter: its number; None: not needed so far

    cdef Want find(self, object wrt, list names)
    cdef object spec_of(self, object item, list names)
    cdef object spec_of_value(self, object value)
    cdef size_t nbytes(self)

cdef Wants wants_new(const Program *program, list arguments, tuple captured)
