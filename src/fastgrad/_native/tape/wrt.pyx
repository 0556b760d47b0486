"""Wrt: what a gradient is of, and what leads from there to the result.

`wrt` names it: "parameters", "inputs", an argument by name or position, a parameter itself, or a list
of these. A Want is that, resolved: the structure of the gradient, and which slots are computed from
what it is of, so that a reverse sweep does no other work.
"""

from libc.stdint cimport uint32_t, uint8_t

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.object cimport PyObject

from fastgrad._native.base.errors cimport described, error_of, shown, whole_expect
from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_with_gil
from fastgrad._native.graph.handle cimport is_handle
from fastgrad._native.ops.codes cimport op_is_row, op_listed
from fastgrad._native.tape.bind cimport Shape, shapes_of
from fastgrad._native.tape.header cimport Program, TapeOp, program_leaves, program_slots

cdef extern from "Python.h":
    Py_ssize_t PySequence_Fast_GET_SIZE(object o)
    PyObject **PySequence_Fast_ITEMS(object o)

cdef enum:
    RECENT_MAX = 16


cdef class Want:
    def __dealloc__(self):
        PyMem_RawFree(self.live)
        PyMem_RawFree(self.steps)


cdef Want want_new(const Program *p, object spec):
    """Resolve the structure of a gradient."""
    cdef Want want = Want.__new__(Want)
    cdef Shape shape
    cdef Py_ssize_t slot
    cdef Poll poll = poll_begin(poll_with_gil)
    want.spec, want.shapes, want.plans, want.plans_each = spec, shapes_of(spec), {}, {}
    want.live = <uint8_t *> PyMem_RawCalloc(program_slots(p) + 1, 1)
    if want.live == NULL:
        raise MemoryError()
    for shape in want.shapes:
        poll_signals(&poll, 1 + shape.size)
        if shape.size and shape.start < <Py_ssize_t> p.n_inputs:
            want.inputs = True
        elif shape.size:
            want.parameters = True
        for slot in range(shape.start, shape.start + shape.size):
            if want.live[slot]:
                raise error_of("FastgradValueError", "each thing once", f"{shape.name} twice", "wrt")
            want.live[slot] = 1
    steps_find(want, p, &poll)
    return want


cdef int steps_find(Want want, const Program *p, Poll *poll) except -1:
    """Mark what is computed from the leaves that are marked, and list it if most is not."""
    cdef uint32_t leaves = program_leaves(p)
    cdef const TapeOp *op
    cdef uint32_t i, t
    cdef uint8_t live
    cdef uint32_t n = 0
    for i in range(p.n_ops):
        op = &p.ops[i]
        poll_signals(poll, 1 + op_listed(op.op, op.b))
        if op_is_row(op.op):
            live = want.live[op.a] | want.live[op.b]
        else:
            live = 0
            for t in range(op.a, op.a + <uint32_t> op_listed(op.op, op.b)):
                live |= want.live[p.terms[t]]
        want.live[leaves + i] = live
        n += live
    if p.python.tape == NULL and n > p.n_ops // 4 * 3:  # a custom operation is not asked in vain
        return 0
    want.steps = <uint32_t *> PyMem_RawCalloc(n + 1, sizeof(uint32_t))
    if want.steps == NULL:
        raise MemoryError()
    for i in range(p.n_ops):
        poll_signals(poll, 1)
        if want.live[leaves + i]:
            want.steps[want.n_steps] = i
            want.n_steps += 1
    return 0


cdef bint same_items(tuple one, object other) noexcept:
    """Tell whether a tuple, and a list or tuple, hold the same objects."""
    cdef Py_ssize_t n = PySequence_Fast_GET_SIZE(one)
    cdef PyObject **items = PySequence_Fast_ITEMS(one)
    cdef PyObject **others = PySequence_Fast_ITEMS(other)
    cdef Py_ssize_t i
    if n != PySequence_Fast_GET_SIZE(other):
        return False
    for i in range(n):
        if items[i] != others[i]:
            return False
    return True


cdef class Wants:
    cdef Want find(self, object wrt, list names):
        """Give what `wrt` means, as found before or anew."""
        cdef Want want
        cdef bint in_list = isinstance(wrt, (list, tuple))
        cdef tuple given
        if type(wrt) is str or type(wrt) is int:
            want = self.named.get(wrt)
            if want is None:
                want = self.named[wrt] = want_new(self.program, self.spec_of(wrt, names))
            return want
        for want in self.recent:
            if want.in_list == in_list and same_items(want.given, wrt if in_list else (wrt,)):
                return want
        given = tuple(wrt) if in_list else (wrt,)
        children = []
        for item in given:
            children.append(self.spec_of(item, names))
        want = want_new(self.program, (tuple, None, children, "tangents") if in_list else children[0])
        want.in_list, want.given = in_list, given
        want.single_values = in_list and len(given) > 0
        for item in given:
            want.single_values = want.single_values and is_handle(item)
        if len(self.recent) >= RECENT_MAX:
            self.recent.pop(0)
        self.recent.append(want)
        return want

    cdef object spec_of(self, object item, list names):
        """Give the structure of the gradient of one thing."""
        known = ", ".join(map(str, names))
        expected = f'"parameters", "inputs", an argument ({known}) by name or position, or a parameter'
        if is_handle(item):
            return self.spec_of_value(item)
        if isinstance(item, str):
            if item == "parameters":
                return Shape((len(self.captured),), self.program.n_inputs, "parameters")
            if item == "inputs":
                return tuple, None, self.arguments, "inputs"
            if item in names[:len(self.arguments)]:
                return self.arguments[names.index(item)]
            raise error_of("FastgradValueError", expected, repr(item), "wrt")
        if isinstance(item, bool):
            raise error_of("FastgradTypeError", expected, described(item), "wrt")
        position = whole_expect(item, expected, "wrt")
        if not 0 <= position < len(self.arguments):
            raise error_of(
                "FastgradValueError", f"a position of 0 to {len(self.arguments) - 1} ({known})",
                shown(position), "wrt")
        return self.arguments[position]

    cdef object spec_of_value(self, object value):
        cdef dict numbers
        cdef Poll poll = poll_begin(poll_with_gil)
        cdef Py_ssize_t i
        if self.numbers is None:
            numbers = {}
            for i in range(len(self.captured)):
                poll_signals(&poll, 1)
                numbers[id(self.captured[i])] = i
            self.numbers = numbers
        number = self.numbers.get(id(value))
        if number is None:
            raise error_of(
                "FastgradValueError", "a Value that the tape has read, one of tape.parameters",
                described(value), "wrt")
        return Shape((), self.program.n_inputs + <Py_ssize_t> number, f"parameter {number}")

    cdef size_t nbytes(self):
        cdef Want want
        cdef size_t total = 0
        for want in list(self.named.values()) + self.recent:
            total += program_slots(self.program) + want.n_steps * sizeof(uint32_t)
        return total


cdef Wants wants_new(const Program *program, list arguments, tuple captured):
    cdef Wants wants = Wants.__new__(Wants)
    wants.program, wants.arguments, wants.captured = program, arguments, captured
    wants.named, wants.recent = {}, []
    return wants
