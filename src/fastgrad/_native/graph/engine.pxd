"""Engine: the operations of Value."""

from libc.stdint cimport uint32_t

from fastgrad._native.memory.arena cimport Node, node_id
from fastgrad._native.graph.handle cimport Handle

cdef unsigned no_grad_blocks  # number of no_grad() that are open; if any, ask is_no_grad()
cdef list custom_operations  # what OP_CUSTOM nodes number; operations are defined once and stay
cdef unsigned int basic_version  # version of Value at which its operators were those built in

cdef class CustomCore:
    cdef readonly uint32_t number  # 0: no node has it yet

cpdef uint32_t register_custom(CustomCore operation) except 0
cpdef double custom_result(CustomCore operation, object result) except? -1.0
cdef bint is_no_grad() noexcept
cdef int forward_of(int op, double a, double b, double *y) noexcept nogil
cdef void no_grad_after_fork() noexcept
cdef node_id operand_take(object o) except? 0
cdef int operand_keep(object o) except -1
cdef node_id leaf_hidden(double data) except 0
cdef object result_of(node_id id)
cdef int divisor_expect(double divisor) except -1
cdef int operation_raise(int op, int error, double a, double b) except -1
cdef Py_ssize_t take_position(double index, Py_ssize_t n) except -1
cdef int take_step(Node *node) except -1
cdef node_id push_block(int op, tuple operands, str name, node_id b, double y) except 0
cdef int linear_step(Node *node) except -1

cdef node_id negated(node_id taken) except 0
cdef object composite(object a, object b, bint division)
cdef bint is_reflected(object a, object other, bint product) noexcept
cdef object negative(object a)
cdef object added(object a, object b)
cdef object multiplied(object a, object b)
cdef bint operators_check() noexcept
cdef int operators_remember() except -1
cdef object power(object a, object b)
cdef object apply_slowly(object a, object b, int op)

cdef object apply_unary(Handle a, int op)
cdef object apply_parameter(Handle a, object parameter, int op, const char *name)
cdef object apply_binary(object a, object b, int op, const char *name)
cdef object call_unary(object x, int op, const char *name)
cdef object call_parameter(object x, object parameter, int op, const char *name)
cdef object call_inverse(object x, const char *name)
cdef object call_binary(object a, object b, int op, const char *name)
cdef tuple operands_listed(tuple operands, const char *name)
cdef object fold_operands(tuple operands, int op, const char *name)
