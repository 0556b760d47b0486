"""Backward: steps of a sweep that are written in Python, and whose turn it is to sweep.

Layer: above _sweep, _engine. Cimports the arena and the handle.
"""

from fastgrad._arena cimport node_id
from fastgrad._handle cimport Handle

cdef class Step:
    cdef Handle handle

cdef int step_python(node_id id, int op) except -1
cdef int wait_for_turn() except -1
