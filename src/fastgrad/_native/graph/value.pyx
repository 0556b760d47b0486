"""Value: the class itself, its operators.

Arithmetic on plain Values, floats and ints has a short path here; all else is the engine's.
"""

from cpython.object cimport Py_EQ, Py_GT, Py_LE, Py_LT, Py_NE, PyObject
from libc.stdint cimport uint16_t

from fastgrad._native.base.errors cimport described, error_of, items_expect
from fastgrad._native.memory.arena cimport (
    CLOSURE, FRESH, NUMBER, Node, SWEPT, arena, arena_has_room, arena_push,
    arena_push_leaf, closures_add, closures_remove, likely, node_id, unlikely,
)
from fastgrad._native.graph.backward cimport Step, step_python, wait_for_turn
from fastgrad._native.graph.engine cimport (
    added, apply_binary, apply_parameter, apply_slowly, apply_unary, basic_version, composite,
    fold_operands, forward_of, is_no_grad, is_reflected, leaf_hidden, multiplied, negative,
    no_grad_blocks, operators_check, operators_remember, power, push_block,
)
from fastgrad._native.graph.dot cimport dot_expand
from fastgrad._native.graph.copy cimport graph_copy, node_copy
from fastgrad._native.graph.shown cimport (
    dot_operands, node_label, node_operands, node_operation, node_partials,
)
from fastgrad._native.graph.handle cimport (
    Handle, HandleLayout, NOT_A_NUMBER, Py_TYPE, attributes_of, handle_adopt, handle_new, handle_of,
    handle_pin, handle_set_attribute, handle_slot, handles_flush, is_handle, is_value, node_at,
    int_read, number_expect, number_read, type_lookup, type_version, types_patch, value_type,
)
from fastgrad._native.ops.codes cimport (
    OP_ABS, OP_ADD, OP_DOT, OP_EQ, OP_FLOORDIV, OP_LE, OP_LEAF, OP_LINEAR, OP_LT, OP_MAX, OP_MIN,
    OP_MOD, OP_MUL, OP_NE, OP_OK, OP_POW_NUMBER, OP_PYTHON, OP_ROUND, op_has_block, op_is_comparison,
    op_is_row,
)
from fastgrad._native.graph.recording cimport (
    graph_read, is_recorded, is_recording, program_level, recorded_read, recorded_truth, recorded_use,
    recording_threads, call_unreported,
)
from fastgrad._native.graph.sweep cimport sweep_reverse, sweep_zero

cdef extern from "Python.h":
    bint PyFloat_CheckExact(object o)
    double PyFloat_AS_DOUBLE(object o)
    bint PyLong_CheckExact(object o)
    object intern "PyUnicode_InternFromString" (const char *text)


# The short path -----------------------------------------------------------------------------------

cdef inline object push_two(int op, object a, object b, double y):
    """Record an operation on two plain Values."""
    cdef node_id id = arena_push(op, (<Handle> a).id, (<Handle> b).id, y)
    node_at((<Handle> a).id).count += 1
    node_at((<Handle> b).id).count += 1
    return handle_new(id)


cdef inline object push_number(int op, object a, double k, double y, int flags):
    """Record an operation on a plain Value and a number; the caller has made sure of room."""
    cdef node_id leaf = leaf_hidden(k)
    cdef node_id id = arena_push(op, (<Handle> a).id, leaf, y)
    node_at((<Handle> a).id).count += 1
    node_at(id).flags = <uint16_t> flags
    return handle_new(id)


cdef inline bint is_simple(object a, object b, double *k) except -1:
    """Tell whether a is a plain Value, b a float or int, no thread is in no_grad and there is room."""
    if not is_value(a) or no_grad_blocks or not arena_has_room(2):
        return False
    if PyFloat_CheckExact(b):
        k[0] = PyFloat_AS_DOUBLE(b)
        return True
    if PyLong_CheckExact(b):
        k[0] = int_read(b)
        return True
    return False


cdef inline bint is_unpatched() noexcept:
    """Tell whether Value's operators are the ones built in, so that others may stand for them."""
    return basic_version == type_version(value_type) and basic_version != 0 or operators_check()


cdef inline object add(object a, object b):
    cdef double k = 0.0
    if likely(is_value(a) and is_value(b) and not no_grad_blocks):
        return push_two(OP_ADD, a, b, node_at((<Handle> a).id).data + node_at((<Handle> b).id).data)
    if is_simple(a, b, &k):
        return push_number(OP_ADD, a, k, node_at((<Handle> a).id).data + k, 0)
    if is_simple(b, a, &k) and likely(is_unpatched()):
        return push_number(OP_ADD, b, k, node_at((<Handle> b).id).data + k, 0)
    return added(a, b)


cdef inline object mul(object a, object b):
    cdef double k = 0.0
    if likely(is_value(a) and is_value(b) and not no_grad_blocks):
        return push_two(OP_MUL, a, b, node_at((<Handle> a).id).data * node_at((<Handle> b).id).data)
    if is_simple(a, b, &k):
        return push_number(OP_MUL, a, k, node_at((<Handle> a).id).data * k, 0)
    if is_simple(b, a, &k) and likely(is_unpatched()):
        return push_number(OP_MUL, b, k, node_at((<Handle> b).id).data * k, 0)
    return multiplied(a, b)


cdef inline object sub(object a, object b):
    cdef double k = 0.0
    cdef double minus
    cdef node_id id
    if unlikely(not is_unpatched()):
        return composite(a, b, False)
    if likely(is_value(a) and is_value(b) and not no_grad_blocks and arena_has_room(2)):
        minus = node_at((<Handle> b).id).data * -1.0
        id = leaf_hidden(-1.0)
        id = arena_push(OP_MUL, (<Handle> b).id, id, minus)
        node_at((<Handle> b).id).count += 1
        handle_slot(id)[0] = NULL
        id = arena_push(OP_ADD, (<Handle> a).id, id, node_at((<Handle> a).id).data + minus)
        node_at((<Handle> a).id).count += 1
        return handle_new(id)
    if is_simple(a, b, &k) and k != 0.0:
        return push_number(OP_ADD, a, -k, node_at((<Handle> a).id).data - k, 0)
    return composite(a, b, False)


cdef inline object div(object a, object b):
    cdef double k = 0.0
    cdef double inverse = 0.0
    if is_simple(a, b, &k) and likely(is_unpatched()) and (
            forward_of(OP_POW_NUMBER, k, -1.0, &inverse) == OP_OK):
        return push_number(OP_MUL, a, inverse, node_at((<Handle> a).id).data * inverse, 0)
    return composite(a, b, True)


cdef inline object neg(object a):
    if likely(is_value(a) and not no_grad_blocks and arena_has_room(1) and is_unpatched()):
        return push_number(OP_MUL, a, -1.0, node_at((<Handle> a).id).data * -1.0, 0)
    return negative(a)


cdef inline object pow_of(object a, object b):
    cdef double k = 0.0
    cdef double y = 0.0
    if is_simple(a, b, &k) and forward_of(OP_POW_NUMBER, node_at((<Handle> a).id).data, k, &y) == OP_OK:
        return push_number(OP_POW_NUMBER, a, k, y, NUMBER if PyLong_CheckExact(b) else 0)
    return power(a, b)


# Comparisons --------------------------------------------------------------------------------------

cdef inline bint is_comparison(Node *node) noexcept:
    return op_is_comparison(node.flags >> 8 if node.op == OP_PYTHON else node.op)


cdef bint comparison_records(node_id a, node_id b) except -1:
    """Tell whether a comparison is to be a node, which a replay computes anew, and not a bool.

    b is 0 for a plain number. Under no_grad() there are no nodes: it is a decision, and reported.
    """
    if not is_no_grad():
        return is_recording()
    recorded_read(a, "bool")
    if b:
        recorded_read(b, "bool")
    return False


cdef object equality_recorded(Handle a, object b, bint equal):
    """Compare a Value of a recording with a number by data; NotImplemented for anything else."""
    cdef double y = 0.0
    if isinstance(b, complex):  # which knows no Values, and may be equal
        recorded_read(a.id, "bool")
    try:
        if number_read(b, &y) == NOT_A_NUMBER:
            return NotImplemented
    except Exception:  # an int beyond all floats; a kind of number that this one is not
        return NotImplemented
    if comparison_records(a.id, 0):
        return apply_binary(a, b, OP_EQ if equal else OP_NE, b"==" if equal else b"!=")
    return (node_at(a.id).data == y) == equal


cdef bint is_truth(object o):
    return is_comparison(node_at((<Handle> o).id)) if is_handle(o) else isinstance(o, bool)


cdef object truth_refuse(object o, str sign):
    """Raise where & or its kin is not between comparisons; others may know Values themselves."""
    if not is_handle(o) and not isinstance(o, (int, float)):
        return NotImplemented
    raise error_of(
        "FastgradTypeError", "comparisons", described(o), f"operand of {sign}",
        f"write (x > 1) {sign} (x < 2) with its parentheses" if sign != "~" else "write ~(x > 1)")


cdef object truth_combine(object a, object b, int op, str sign):
    """Combine two comparisons by one of the opposite of a with b; by `!=` of a itself."""
    if not is_truth(a):
        return truth_refuse(a, sign)
    if not is_truth(b):
        return truth_refuse(b, sign)
    if not is_handle(a):
        a, b = b, a
    if op != OP_NE:
        a = apply_binary(a, 0.0, OP_EQ, b"==")
    return apply_binary(a, b, op, sign.encode())


cdef int leave_graph(node_id id, str what) except -1:
    """Report that a number leaves the graph for a plain one, without having been asked as `.data`.

    A recording reports it in its own way. Leaves have no gradient to lose, nor have comparisons.
    """
    cdef Node *node = node_at(id)
    if unlikely(recording_threads) and is_recording():
        recorded_read(id, what)
    elif node.op != OP_LEAF and not is_comparison(node) and not is_no_grad():
        from fastgrad.errors import warn_gradient_lost
        warn_gradient_lost(f"{what}()", program_level())
    return 0


cdef double number_taken(Handle value, str what) except? -1.0:
    """Return data for something that makes a plain number of it."""
    leave_graph(value.id, what)
    return node_at(value.id).data


# NumPy --------------------------------------------------------------------------------------------

cdef object array_protocol = None  # gives the module that says what NumPy's functions do with Values
cdef dict scalar_functions = {}    # NumPy's ufunc: what it is of scalars; np.float64(2) * v asks for one


def set_array_protocol(load):
    """Set what is called for the module with `apply_ufunc` and `apply_function`."""
    global array_protocol
    array_protocol = load


def set_scalar_functions(dict functions):
    """Set the functions by which ufuncs of Values and numbers are computed without that module."""
    global scalar_functions
    scalar_functions = functions


cdef object scalar_operand(object o):
    """Give an operand as Python has it; Ellipsis if it is no scalar."""
    cdef double k = 0.0
    if is_handle(o) or PyFloat_CheckExact(o) or PyLong_CheckExact(o):
        return o
    return ... if number_read(o, &k) == NOT_A_NUMBER else k


cdef object apply_to_scalars(object function, tuple inputs):
    """Call a function with operands as Python has them; Ellipsis if one of them is no scalar."""
    cdef list given
    if len(inputs) == 2:
        a, b = scalar_operand(inputs[0]), scalar_operand(inputs[1])
        return ... if a is ... or b is ... else function(a, b)
    given = []
    for o in inputs:
        o = scalar_operand(o)
        if o is ...:
            return o
        given.append(o)
    return function(*given)


# Value --------------------------------------------------------------------------------------------

include "../ops/methods.pxi"


cdef object DATA = intern("data")
cdef object GRAD = intern("grad")
cdef PyObject *builtin_data = NULL
cdef PyObject *builtin_grad = NULL
cdef unsigned int checked_version = 0  # version of Value at which `data` and `grad` were unpatched


cdef inline bint slots_are_unpatched() noexcept:
    """Tell whether `data` and `grad` of Value are unpatched."""
    return checked_version == type_version(value_type) and checked_version != 0 or slots_check()


cdef bint slots_check() noexcept:
    global checked_version
    if type_lookup(value_type, DATA) != builtin_data or type_lookup(value_type, GRAD) != builtin_grad:
        return False
    checked_version = type_version(value_type)
    return True


cdef tuple operands_of(Handle handle, bint dots=False):
    """Give the operands of a Value. Programs tell nodes apart by id(): from now on these handles stay.

    Those of a dot that is to stay whole are a neuron's bias, weights and inputs.
    """
    cdef Node *node = node_at(handle.id)
    cdef list operands = []
    for id in dot_operands(node) if dots and node.op == OP_DOT else node_operands(handle.id):
        operands.append(handle_of(id))
    handles_flush()
    for operand in operands:
        if node_at((<Handle> operand).id).count > 1:
            handle_pin(<Handle> operand)
    return tuple(operands)


cdef tuple operands_read(Handle handle):
    """Give the operands to a program that walks over the graph; a recording counts that."""
    if unlikely(recording_threads):
        graph_read()
    return operands_of(handle)


def operation_of(Handle value not None, bint dots):
    """Give the operands of a Value, the name of the operation that made it, and its parameter or None.

    The name is the one in the table, that of a custom operation, or what `_op` says of a Value made by
    hand; "" for a leaf. With `dots` the sum of a neuron's products is one operation, as it is on tapes.
    """
    if unlikely(recording_threads):
        graph_read()
    name, parameter = node_operation(value.id, dots)
    return operands_of(value, dots), name, parameter


def is_operand(object o):
    """Tell a Value, for a map over what may be none."""
    return is_handle(o)


cdef int operands_expect(Handle handle, object given, str where, str remedy) except -1:
    """Raise where operands are set that a Value has not; a subclass may set what its base was given."""
    if not isinstance(given, (tuple, list, set, frozenset)) or not all(map(is_operand, given)) or \
            call_unreported(set, (tuple(given),)) != call_unreported(set, (operands_of(handle),)):
        raise error_of(
            "FastgradAttributeError", "operands to be given when a Value is made", "others afterwards",
            where, remedy)
    return 0


cdef double plain_number(object value, str where) except? -1.0:
    """Read a number that is no Value, whose gradient would be lost."""
    if is_handle(value):
        raise error_of("FastgradTypeError", "a plain number", described(value), where, "write v.data")
    return number_expect(value, where)


cdef tuple linear_arguments(object operands, object partials):
    """Check the operands and partials of Value(data, operands, local_grads); both may be any sequence."""
    cdef list numbers = []
    for given, what in ((operands, "operands"), (partials, "derivatives")):
        if given is not None and (
                isinstance(given, (str, bytes, dict, set, frozenset)) or not hasattr(given, "__iter__")
                or getattr(given, "ndim", 1) == 0):
            raise error_of(
                "FastgradTypeError", f"a tuple of {what}", described(given),
                "second argument of Value" if given is operands else "third argument of Value",
                "write Value(data, (a, b), (dy_da, dy_db)), or the operation's name as third")
    operands = () if operands is None else tuple(operands)
    for operand in operands:
        if not is_handle(operand):
            raise error_of(
                "FastgradTypeError", "Values as operands", described(operand), "second argument of Value",
                "wrap numbers: Value(2.0)")
    for partial in partials:
        numbers.append(plain_number(partial, "local_grads of Value"))
    if len(numbers) != len(operands):
        raise error_of(
            "FastgradValueError", f"a derivative for each of {len(operands)} operands", f"{len(numbers)}",
            "local_grads of Value")
    if unlikely(recording_threads):
        for operand in operands:
            if is_recorded((<Handle> operand).id):
                recorded_read((<Handle> operand).id, "no_grad" if is_no_grad() else "local_grads")
                break
    return operands, tuple(numbers)


cdef class Core(Methods):
    """Core(data, _children=(), _op="", label=None, **dialect)\n--\n\nWhat Value inherits: see there."""

    def __init__(self, data, _children=(), _op="", label=None, **dialect):
        cdef double y = number_expect(data, "data of Value")
        cdef double grad = 0.0
        cdef Node *node
        cdef node_id id
        partials = None
        if not isinstance(_op, str):  # microgpt's third argument
            partials, _op = _op, ""
        for name in dialect:  # what other micrograds and microgpts call their arguments
            if name in ("children", "_prev", "operands"):
                _children = dialect[name]
            elif name == "op":
                _op = dialect[name]
            elif name in ("local_grads", "_local_grads"):
                partials = dialect[name]
            elif name == "grad":
                grad = number_expect(dialect[name], "grad of Value")
            else:
                raise error_of(
                    "FastgradTypeError", "data, _children, _op, label, local_grads, grad", f"{name!r}",
                    "keyword of Value")
        if _op is not None and not isinstance(_op, str):
            raise error_of("FastgradTypeError", "a str", described(_op), "_op of Value")
        if partials is not None:
            _children, partials = linear_arguments(_children, partials)
        else:
            where = "second argument of Value"
            _children = () if _children is None else items_expect(_children, "Values as operands", where)
            for child in _children:
                if not is_handle(child):
                    raise error_of(
                        "FastgradTypeError", "Values as operands", described(child), where,
                        "wrap numbers: Value(2.0)")
            _children = tuple(call_unreported(dict.fromkeys, (_children,)))
        for child in _children:
            if child is self:
                raise error_of(
                    "FastgradTypeError", "other Values as operands", "the new Value itself",
                    "second argument of Value")
        node = node_at(self.id)  # only now: reading the arguments may have run anything
        if not node.flags & FRESH and (node.op != OP_LEAF or _children):
            raise error_of(
                "FastgradTypeError", "a new Value", "one that is initialised already", "__init__ of Value",
                "make another Value instead")
        if _children and node.count > 1:
            raise error_of(
                "FastgradTypeError", "a new Value", "one that a graph uses already", "__init__ of Value",
                "give it its operands first")
        if _children and not is_no_grad():
            if partials is None:
                id = push_block(OP_PYTHON, _children, None, 0, y)
            else:
                id = push_block(
                    OP_LINEAR, _children + partials, "Value(data, operands, partials)", 0, y)
            handle_adopt(self, id)
            handles_flush()
        else:
            node.flags &= ~FRESH
        node = node_at(self.id)
        node.data, node.grad = y, grad
        arena.writes += 1
        if _op:
            attributes_of(self)["_op"] = _op
        if label is not None:
            attributes_of(self)["label"] = label

    def __setattr__(self, name, value):
        cdef Node *node = node_at((<Handle> self).id)
        if PyFloat_CheckExact(value) and is_value(self) and slots_are_unpatched():
            # an interned name is found by its address
            if <PyObject *> name == <PyObject *> DATA and not recording_threads:
                node.data = PyFloat_AS_DOUBLE(value)
                arena.writes += 1
                return
            if <PyObject *> name == <PyObject *> GRAD and node.op != OP_DOT:
                node.grad = PyFloat_AS_DOUBLE(value)
                return
        handle_set_attribute(self, name, <PyObject *> value)

    def __delattr__(self, name):
        handle_set_attribute(self, name, NULL)

    @property
    def data(self):
        """The number itself, a float; may be set."""
        if unlikely(recording_threads):
            recorded_read(self.id, "data")
        return node_at(self.id).data

    @data.setter
    def data(self, value):
        cdef double data = number_expect(value, "data of Value")
        if unlikely(recording_threads):
            recorded_read(self.id, "data =")
        node_at(self.id).data = data
        arena.writes += 1

    @property
    def grad(self):
        """The derivative of the last root by this node, a float; backward() adds to it."""
        if unlikely(recording_threads) and not is_recorded(self.id):
            recorded_read(self.id, "grad")
        return node_at(self.id).grad

    @grad.setter
    def grad(self, value):
        cdef double grad = number_expect(value, "grad of Value")
        if node_at(self.id).flags & SWEPT and node_at(self.id).op == OP_DOT:
            dot_expand(self.id)  # its hidden nodes keep the adjoints they have
            handles_flush()
        node_at(self.id).grad = grad

    @property
    def _prev(self):
        """The operands, a new set of Values."""
        return call_unreported(set, (operands_read(self),))

    @_prev.setter
    def _prev(self, operands):
        operands_expect(self, operands, "_prev of Value", "write Value(data, operands, 'name')")

    @property
    def operands(self):
        """The operands, a tuple of Values in their order, with repeats: of ``v * v`` it is (v, v)."""
        cdef PyObject *attributes = (<HandleLayout *> <PyObject *> self).attributes
        if attributes != NULL and "operands" in <object> attributes:  # the program's own
            return (<object> attributes)["operands"]
        return operands_read(self)

    @operands.setter
    def operands(self, value):
        attributes_of(self)["operands"] = value

    @property
    def _children(self):
        """The same as `operands`; what microgpt calls it."""
        return operands_read(self)

    @_children.setter
    def _children(self, operands):
        operands_expect(
            self, operands, "_children of Value", "write Value(data, operands, local_grads)")

    @property
    def _local_grads(self):
        """The derivatives by each of the operands, a tuple of floats; of the operands' data as they are now.

        Raises
        ------
        FastgradAttributeError
            If the backward step is a Python function.
        ZeroDivisionError
            Where a derivative is infinite, as in backward.
        """
        if unlikely(recording_threads):
            recorded_read(self.id, "local_grads")
        partials = node_partials(self.id)
        handles_flush()
        return partials

    @_local_grads.setter
    def _local_grads(self, partials):
        if not isinstance(partials, (tuple, list)) or tuple(partials) != self._local_grads:
            raise error_of(
                "FastgradAttributeError", "derivatives to be given when a Value is made",
                "others afterwards", "_local_grads of Value", "write Value(data, operands, local_grads)")

    @property
    def _op(self):
        """What made this node: '+', '*', '**2', 'ReLU', ...; '' for a leaf."""
        return node_label(self.id)

    @_op.setter
    def _op(self, name):
        if not isinstance(name, str):
            raise error_of("FastgradTypeError", "a str", described(name), "_op of Value")
        attributes_of(self)["_op"] = name

    @property
    def _backward(self):
        """A function that adds this node's share into its operands' grads; may be replaced."""
        cdef PyObject *attributes = (<HandleLayout *> <PyObject *> self).attributes
        if attributes != NULL and "_backward" in <object> attributes:
            return (<object> attributes)["_backward"]
        return Step(self)

    @_backward.setter
    def _backward(self, function):
        cdef Node *node = node_at(self.id)
        if not callable(function):
            raise error_of(
                "FastgradTypeError", "a function of no arguments", described(function), "_backward of Value")
        if node.op == OP_DOT:
            dot_expand(self.id)
        if node.op == OP_LEAF and not node.flags & CLOSURE:
            closures_add(self.id)
            try:
                attributes_of(self)["_backward"] = function
            except BaseException:
                closures_remove(self.id)
                node.flags &= ~CLOSURE
                raise
        else:
            attributes_of(self)["_backward"] = function
        if op_is_row(node.op) or op_has_block(node.op):  # its own rule stays on record
            node.flags = (node.flags & 0xFF) | node.op << 8
            node.op = OP_PYTHON
        node.flags |= CLOSURE
        arena.edits += 1

    def backward(self, gradient=None, *, grad=None):
        """Add the derivative of this node by each node it depends on into that node's grad.

        The grad of this node itself is set to `gradient`, 1 unless given, which multiplies all
        others. A second call accumulates, through the nodes between too, as micrograd's does.

        Parameters
        ----------
        gradient, grad : float, optional
            The derivative of something else by this node; two names for the same.

        Raises
        ------
        FastgradTypeError
            If gradient is no plain number, or grad is given too.
        ZeroDivisionError
            Where a derivative is infinite, such as that of ``x**0.5`` at 0.
        Exception
            Whatever a custom ``_backward`` raises; the graph can be used further.

        Notes
        -----
        Cost: one visit of each node that the root depends on, 2 to 6 ns each; no recursion, no
        sort, no allocation. Operands' data are read now, not when the operation was done.
        Calls from several threads take turns.
        """
        cdef double seed = 1.0
        if gradient is None:
            gradient = grad
        elif grad is not None:
            raise error_of("FastgradTypeError", "gradient or grad", "both", "backward")
        if gradient is not None:
            seed = plain_number(gradient, "gradient of backward")
        if unlikely(recording_threads):
            recorded_read(self.id, "backward")
        wait_for_turn()
        try:
            sweep_reverse(self.id, seed, step_python)
        finally:
            handles_flush()

    def zero_grad(self, graph=False):
        """Set grad to 0: this node's, or with ``graph=True`` that of all it depends on too."""
        wait_for_turn()
        try:
            if graph:
                sweep_zero(self.id)
            else:
                self.grad = 0.0
        finally:
            handles_flush()

    def max(self, *others, axis=None, out=None):
        """Return the largest of this and other Values or numbers, the first of equals: `maximum` of each.

        axis and out are what NumPy's functions pass, and do nothing.
        """
        return fold_operands((self,) + others, OP_MAX, b"max") if others else self

    def min(self, *others, axis=None, out=None):
        """Return the smallest of this and other Values or numbers, the first of equals: `minimum` of each.

        axis and out are what NumPy's functions pass, and do nothing.
        """
        return fold_operands((self,) + others, OP_MIN, b"min") if others else self

    def max_with(self, *others):
        """Alias of `max`."""
        return self.max(*others)

    def min_with(self, *others):
        """Alias of `min`."""
        return self.min(*others)

    def clip(self, min=None, max=None, out=None):
        """Return this Value where it lies between two bounds, else the bound that it passes.

        Recorded as ``v.maximum(min).minimum(max)``: the derivative is 1 between the bounds and on
        them, 0 outside. None means no bound. out is what NumPy passes, and does nothing.
        """
        clipped = self if min is None else apply_binary(self, min, OP_MAX, b"clip")
        return clipped if max is None else apply_binary(clipped, max, OP_MIN, b"clip")

    def detach(self):
        """Return a new leaf with the same data, which no backward() passes through."""
        if unlikely(recording_threads):
            recorded_read(self.id, "detach")
        return handle_new(arena_push_leaf(node_at(self.id).data))

    def __add__(a, b):
        return add(a, b)

    def __radd__(self, other):
        """Return self + other, as micrograd's does; a slot alone would not know that it is this one."""
        return self + other if is_reflected(self, other, False) else add(other, self)

    def __rmul__(self, other):
        """Return self * other."""
        return self * other if is_reflected(self, other, True) else mul(other, self)

    def __sub__(a, b):
        return sub(a, b)

    def __mul__(a, b):
        return mul(a, b)

    def __truediv__(a, b):
        return div(a, b)

    def __pow__(a, b, modulus):
        if modulus is not None:
            raise error_of("FastgradTypeError", "two arguments", "a modulus", "pow of a Value")
        return pow_of(a, b)

    def __neg__(self):
        return neg(self)

    def __pos__(self):
        return self

    def __and__(a, b):
        return truth_combine(a, b, OP_LT, "&")

    def __or__(a, b):
        return truth_combine(a, b, OP_LE, "|")

    def __xor__(a, b):
        return truth_combine(a, b, OP_NE, "^")

    def __invert__(self):
        return apply_binary(self, 0.0, OP_EQ, b"~") if is_truth(self) else truth_refuse(self, "~")

    def __mod__(a, b):
        return apply_slowly(a, b, OP_MOD)

    def __floordiv__(a, b):
        return apply_slowly(a, b, OP_FLOORDIV)

    def __divmod__(a, b):
        quotient = apply_slowly(a, b, OP_FLOORDIV)
        return quotient if quotient is NotImplemented else (quotient, apply_slowly(a, b, OP_MOD))

    def __abs__(self):
        return apply_unary(self, OP_ABS)

    def item(self):
        """Return the number itself, a float: as `data`, under the name that arrays and tensors have."""
        if unlikely(recording_threads):
            recorded_read(self.id, "item")
        return node_at(self.id).data

    def __float__(self):
        return number_taken(self, "float")

    def __int__(self):
        return int(<object> number_taken(self, "int"))

    def __trunc__(self):
        return int(<object> number_taken(self, "trunc"))

    def __floor__(self):
        return (<object> number_taken(self, "floor")).__floor__()

    def __ceil__(self):
        return (<object> number_taken(self, "ceil")).__ceil__()

    def __round__(self, digits=None, /):
        """Return an int, which has no gradient; with digits a Value, whose derivative is 0."""
        if digits is None:
            return round(<object> number_taken(self, "round"))
        return apply_parameter(self, digits, OP_ROUND, b"round")

    def as_integer_ratio(self):
        """Return data as a fraction of two ints, as float has it; it has no gradient."""
        return (<object> number_taken(self, "as_integer_ratio")).as_integer_ratio()

    def conjugate(self):
        """Return self: it is real. NumPy's variance asks for it."""
        return self

    def __bool__(self):
        """Return True, but for a comparison: its result."""
        cdef Node *node = node_at(self.id)
        if unlikely(recording_threads):
            recorded_truth(self.id)
        if is_comparison(node):
            return node.data != 0.0
        if type_lookup(Py_TYPE(<PyObject *> self), "__len__") != NULL:  # a subclass is a container
            return len(self) != 0
        return True

    def __format__(self, str spec not None):
        if unlikely(recording_threads) and spec:
            recorded_read(self.id, "format")
        return format(node_at(self.id).data, spec) if spec else repr(self)

    def __repr__(self):
        cdef Node *node = node_at(self.id)
        return f"Value(data={node.data!r}, grad={node.grad!r})"

    def __index__(self):
        """Refuse: a Value is no index, on a tape least of all."""
        if unlikely(recording_threads):
            recorded_use(self.id, "index", False)
        raise error_of(
            "FastgradTypeError", "an int", f"{self!r}", "index", "for a table of Values or numbers "
            "write fastgrad.take(table, v), which a tape does anew for each sample; else int(v.data)")

    @property
    def __class__(self):
        if unlikely(recording_threads):
            recorded_use(self.id, "__class__", True)
        return type(self)

    @__class__.setter
    def __class__(self, cls):
        object.__dict__["__class__"].__set__(self, cls)

    def __hash__(self):
        if unlikely(recording_threads):
            recorded_use(self.id, "hash", False)
        return <Py_hash_t> (<size_t> <PyObject *> self >> 4)

    def __richcmp__(self, other, int op):
        cdef double y = 0.0
        cdef node_id b = 0
        if op == Py_EQ or op == Py_NE:
            if isinstance(other, Handle):
                if unlikely(recording_threads) and self is not other:
                    b = self.id if is_recorded(self.id) else (<Handle> other).id
                    recorded_use(b, "==", False)
                return (self is other) == (op == Py_EQ)
            if unlikely(recording_threads) and is_recording():
                return equality_recorded(self, other, op == Py_EQ)
            return NotImplemented
        if isinstance(other, Handle):
            b = (<Handle> other).id
            y = node_at(b).data
        elif number_read(other, &y) == NOT_A_NUMBER:
            return NotImplemented
        if unlikely(recording_threads) and comparison_records(self.id, b):
            if op == Py_LT or op == Py_LE:
                return apply_binary(self, other, OP_LT if op == Py_LT else OP_LE, b"<")
            return apply_binary(other, self, OP_LT if op == Py_GT else OP_LE, b">")
        cdef double x = node_at(self.id).data
        if op == Py_LT:
            return x < y
        if op == Py_LE:
            return x <= y
        if op == Py_GT:
            return x > y
        return x >= y

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        function = scalar_functions.get(ufunc) if method == "__call__" and not kwargs else None
        if function is not None:
            result = apply_to_scalars(function, inputs)
            if result is not ...:
                return result
        return array_protocol().apply_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func, types, args, kwargs):
        return array_protocol().apply_function(func, args, kwargs)

    def __copy__(self):
        if unlikely(recording_threads) and node_at(self.id).op == OP_LEAF:
            recorded_read(self.id, "copy")
        return node_copy(self)

    def __deepcopy__(self, memo):
        if unlikely(recording_threads):
            recorded_read(self.id, "deepcopy")
        return graph_copy(self, memo)

    def __reduce__(self):
        from copyreg import __newobj__
        if node_at(self.id).op != OP_LEAF:
            raise error_of(
                "FastgradTypeError", "a leaf to pickle", "the result of an operation", "",
                "pickle v.detach(), or the Values it was computed from")
        if unlikely(recording_threads):
            recorded_read(self.id, "pickle")
        return __newobj__, (type(self),), (
            node_at(self.id).data, node_at(self.id).grad, dict(attributes_of(self)))

    def __setstate__(self, state):
        data, grad, attributes = state
        node_at(self.id).flags &= ~FRESH
        node_at(self.id).data = number_expect(data, "data of a pickled Value")
        arena.writes += 1
        node_at(self.id).grad = number_expect(grad, "grad of a pickled Value")
        attributes_of(self).update(attributes)


types_patch(Core, None, True)


class Value(Core):
    """A number that remembers how it was computed.

    Parameters
    ----------
    data : float
        The number: an int, a float, or anything with ``__float__`` or ``__index__``.
    _children : iterable of Value, optional
        The operands of a custom operation; its gradient is then ``out._backward = function``.
    _op : str, or tuple of float, optional
        The name of that operation, for pictures; or its derivatives by each operand, as
        ``local_grads`` has them.
    label : str, optional
        Kept as the attribute ``label``.
    local_grads : tuple of float, by keyword, optional
        The derivatives by each operand: a native operation, whose ``backward`` needs no function.
        An operand may occur several times. A tape keeps them, and data, as they were, and says so.
    grad : float, by keyword, optional
        What ``grad`` is to begin with.

    Raises
    ------
    FastgradTypeError
        If data is no number, an operand no Value, or a derivative no plain number.
    FastgradValueError
        If there are more or fewer derivatives than operands.

    Notes
    -----
    Memory: 40 bytes a node, 56 more while Python holds it. Comparison by ``<`` and its kin is by
    data; ``==`` and ``hash`` are identity, but while recording ``==`` with a number is by data. A
    Value may be used by any thread that holds the GIL.

    Examples
    --------
    >>> from fastgrad import Value
    >>> a, b = Value(-4.0), Value(2.0)
    >>> c = (a * b + b**3).relu()
    >>> d = c + a * a
    >>> d.backward()
    >>> d, a.grad
    (Value(data=16.0, grad=1.0), -8.0)
    """

    __slots__ = ()
    label = ""

    @property
    def __dict__(self):
        return attributes_of(self)


Value.__module__ = "fastgrad.engine"
types_patch(Core, Value, False)
operators_remember()
builtin_data, builtin_grad = type_lookup(value_type, DATA), type_lookup(value_type, GRAD)
