"""Backward: steps of a sweep that are written in Python, and which thread may sweep."""

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t

from fastgrad._native.base.poll cimport poll_after_fork
from fastgrad._native.memory.arena cimport Block, Node, arena, node_at, node_id
from fastgrad._native.graph.engine cimport custom_operations, no_grad_after_fork
from fastgrad._native.graph.handle cimport (
    Handle, HandleLayout, handle_slot, handles_after_fork, handles_flush,
)
from fastgrad._native.ops.codes cimport OP_CUSTOM, op_product
from fastgrad._native.graph.recording cimport record_after_fork
from fastgrad._native.graph.sweep cimport sweep_step, sweeps_after_fork

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident()

cdef unsigned long sweeper = 0  # the thread whose sweeps are in flight


cdef int step_python(node_id id, int op) except -1:
    """Run a backward step that is written in Python."""
    cdef PyObject *o = handle_slot(id)[0]
    if op == OP_CUSTOM:
        return step_custom(node_at(id))
    if o == NULL:  # no handle, no attributes: Value(data, operands) whose function was never set
        return 0
    attributes = <object> (<HandleLayout *> o).attributes if (<HandleLayout *> o).attributes != NULL else {}
    if "_backward" in attributes:
        attributes["_backward"]()
    return 0


cdef int step_custom(Node *node) except -1:
    """Ask a custom operation for its partials, and add them times the adjoint into its operands.

    It is not asked where the adjoint is 0: as in the table, what does not count cannot fail.
    """
    cdef Block *block = arena.blocks[node.a]
    cdef uint32_t n = block.size
    cdef uint32_t i
    cdef double partial = 0.0
    if node.grad == 0.0:
        return 0
    found = custom_partials(node)
    for i in range(n):
        partial = found[i]
        node_at(block.ids[i]).grad += op_product(partial, node.grad)
    return 0


cdef object custom_partials(Node *node):
    """Ask a custom operation for its partials: a sequence of floats."""
    cdef Block *block = arena.blocks[node.a]
    cdef uint32_t i
    cdef list operands = []
    operation = custom_operations[node.b]
    for i in range(block.size):
        operands.append(node_at(block.ids[i]).data)
    return operation.partials_at(operands, node.data)


cdef int wait_for_turn() except -1:
    """Wait until no other thread has a sweep in flight, as long as it takes; Ctrl-C works."""
    global sweeper
    cdef unsigned long me = PyThread_get_thread_ident()
    if arena.depth and sweeper != me:
        from time import sleep
        while arena.depth:
            sleep(0.0001)
    sweeper = me
    return 0


def after_fork():
    """Clean up in a child after what other threads were doing, which the child does not continue."""
    if arena.depth and sweeper != PyThread_get_thread_ident():
        sweeps_after_fork()
    handles_after_fork()
    record_after_fork()
    poll_after_fork()
    no_grad_after_fork()


cdef class Step:
    """The backward step of one node: `v._backward()` adds into the operands' grads."""

    def __cinit__(self, Handle handle not None):
        self.handle = handle

    def __call__(self):
        wait_for_turn()
        try:
            sweep_step(self.handle.id, step_python)
        finally:
            handles_flush()

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        from copy import deepcopy
        return Step(deepcopy(self.handle, memo))
