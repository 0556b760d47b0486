"""Neurons: neurons and layers evaluated natively.

What a neuron has before its activation is one dot node. The block of its weights is kept from call to
call and checked against the neuron's list each time, so whatever is edited in Python counts at the
next call. What is not plain (a subclass, a patched operator, inputs of another length) goes through
Python.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memcmp

from cpython.list cimport PyList_GET_ITEM
from cpython.object cimport PyObject, PyTypeObject

from fastgrad._native.base.errors cimport described, error_of, items_expect, shown
from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_with_gil
from fastgrad._native.memory.arena cimport (
    Block, FRESH, arena, arena_push, arena_push_leaf, block_describe, block_disown, block_give,
    block_new,
    node_drop,
)
from fastgrad._native.graph.engine cimport forward_of, is_no_grad, leaf_hidden, no_grad_blocks
from fastgrad._native.graph.dot cimport dot_evaluate, dot_push
from fastgrad._native.graph.handle cimport (
    Handle, NOT_A_NUMBER, Py_TYPE, handle_new, handle_of, handle_slot, handles_flush, is_value,
    node_at, node_id,
    number_read, type_lookup, type_version, value_type,
)
from fastgrad._native.ops.codes cimport (
    OP_COUNT, OP_GELU, OP_LEAF, OP_LEAKY_RELU, OP_RELU, OP_SIGMOID, OP_SOFTPLUS, OP_TANH,
    op_has_parameter,
)
from fastgrad._native.graph.recording cimport recorded_read, recording_threads

cdef extern from *:
    """
    typedef PyTypeObject CallSlots;
    /* Patching or overriding an operator of Value changes its slot, a method its lookup. */
    static int arithmetic_is(PyTypeObject *type, void *add, void *multiply) {
        return (void *) type->tp_as_number->nb_add == add &&
               (void *) type->tp_as_number->nb_multiply == multiply;
    }
    static void arithmetic_set(PyTypeObject *type, void *add, void *multiply) {
        type->tp_as_number->nb_add = (binaryfunc) add;
        type->tp_as_number->nb_multiply = (binaryfunc) multiply;
    }
    static void *slot_of_add(PyTypeObject *type) { return (void *) type->tp_as_number->nb_add; }
    static void *slot_of_multiply(PyTypeObject *type) {
        return (void *) type->tp_as_number->nb_multiply;
    }
    static void *slot_of_call(void *o) { return (void *) Py_TYPE(o)->tp_call; }
    static void *slot_of_call_in(PyTypeObject *type) { return (void *) type->tp_call; }
    static PyObject **list_items(PyObject *list) { return ((PyListObject *) list)->ob_item; }
    static PyObject **tuple_items(PyObject *tuple) { return ((PyTupleObject *) tuple)->ob_item; }
    """
    bint arithmetic_is(PyTypeObject *type, void *add, void *multiply)
    void arithmetic_set(PyTypeObject *type, void *add, void *multiply)
    void *slot_of_add(PyTypeObject *type)
    void *slot_of_multiply(PyTypeObject *type)
    void *slot_of_call(PyObject *o)
    void *slot_of_call_in(PyTypeObject *type)
    PyObject **list_items(PyObject *list)
    PyObject **tuple_items(PyObject *tuple)

cdef extern from "Python.h":
    bint PyList_CheckExact(object o)
    Py_ssize_t PyList_GET_SIZE(object o)
    Py_ssize_t PyTuple_GET_SIZE(object o)

import fastgrad._native.graph.value  # no-cython-lint: value_type is set there

ACTIVATIONS = {  # name: opcode, name in a neuron's repr
    "relu": (OP_RELU, "ReLU"),
    "tanh": (OP_TANH, "Tanh"),
    "sigmoid": (OP_SIGMOID, "Sigmoid"),
    "gelu": (OP_GELU, "GELU"),
    "softplus": (OP_SOFTPLUS, "Softplus"),
    "leaky_relu": (OP_LEAKY_RELU, "LeakyReLU"),
    "linear": (0, "Linear"),
}
cdef double LEAKY_RELU_SLOPE = 0.01


cdef class NeuronCore:
    """What Neuron keeps where native code finds it."""

    cdef public object w
    cdef public object b
    cdef object flag    # nonlin as it was given
    cdef bint has_activation    # an activation is applied
    cdef str name       # of the activation
    cdef int op         # its opcode
    cdef tuple cells    # weights and bias that the block was made of; owns them as long as it is kept
    cdef uint32_t block
    cdef dict __dict__
    cdef object __weakref__

    def __cinit__(self):
        self.flag = self.has_activation = True
        self.name, self.op = "relu", OP_RELU

    def __dealloc__(self):
        if self.block:
            block_disown(self.block)

    @property
    def nonlin(self):
        """Whether the activation is applied."""
        return self.flag

    @nonlin.setter
    def nonlin(self, flag):
        try:
            self.has_activation = bool(flag)
        except (TypeError, ValueError):  # an array
            raise error_of(
                "FastgradTypeError", "True or False", described(flag), "nonlin of Neuron") from None
        self.flag = flag

    @property
    def activation(self):
        """Name of the function applied to the weighted sum; "linear" where nonlin is false."""
        return self.name if self.has_activation else "linear"

    @activation.setter
    def activation(self, name):
        if type(name).__hash__ is None or name not in ACTIVATIONS:
            raise error_of(
                "FastgradValueError" if type(name).__hash__ else "FastgradTypeError",
                f"one of {', '.join(ACTIVATIONS)}", shown(name), "activation of Neuron")
        if name != "linear":  # a linear neuron keeps the function that nonlin = True would apply
            self.name, self.op = name, ACTIVATIONS[name][0]
        self.nonlin = name != "linear"

    def __call__(self, x):
        """Return the activation of ``b + w[0]*x[0] + w[1]*x[1] + ...``, rounded in that order."""
        cdef list inputs = x if PyList_CheckExact(x) else items_expect(x, ONE_SAMPLE, "inputs of a neuron")
        out = call_layer([self], inputs)
        if out is not None:
            return out
        act = self.b
        for wi, xi in zip(self.w, inputs):
            act = act + wi * xi
        if not self.has_activation:
            return act
        if not hasattr(act, self.name):  # an array: `act` has a number for each sample
            raise error_of(
                "FastgradAttributeError", ONE_SAMPLE, described(x), "inputs of a neuron",
                "call it for each sample")
        return getattr(act, self.name)()

    def __getstate__(self):
        return {**vars(self), "w": self.w, "b": self.b, "nonlin": self.nonlin, "activation": self.name}

    def __setstate__(self, state):
        state = dict(state)
        self.activation = state.pop("activation")
        self.w, self.b, self.nonlin = state.pop("w"), state.pop("b"), state.pop("nonlin")
        vars(self).update(state)


cdef str ONE_SAMPLE = "one sample, a sequence of numbers and Values"


# Is Value unpatched? ------------------------------------------------------------------------------

cdef void *value_add = slot_of_add(value_type)
cdef void *value_multiply = slot_of_multiply(value_type)
cdef void *neuron_call = slot_of_call_in(<PyTypeObject *> <PyObject *> NeuronCore)
cdef object activations = {op: name for name, (op, _) in ACTIVATIONS.items() if op}
cdef object methods = {
    op: getattr(<object> <PyObject *> value_type, name) for op, name in activations.items()}
cdef object operators = {
    name: getattr(<object> <PyObject *> value_type, name)
    for name in ("__add__", "__radd__", "__mul__", "__rmul__")}
cdef bint arithmetic_is_unpatched = True
cdef unsigned char unpatched[OP_COUNT]   # of an opcode: the method of its activation is the one built in
cdef unsigned int checked_version = 0       # version of Value at which that was checked


cdef bint value_is_unpatched() except -1:
    """Tell whether Value's arithmetic is the one built in, and find out which activations are."""
    global checked_version, arithmetic_is_unpatched
    if checked_version != type_version(value_type) or not checked_version:
        for op, name in activations.items():
            unpatched[<int> op] = type_lookup(value_type, name) == <PyObject *> methods[op]
        arithmetic_is_unpatched = True
        for name, operator in operators.items():
            if type_lookup(value_type, name) != <PyObject *> operator:
                arithmetic_is_unpatched = False
        if arithmetic_is_unpatched:  # a patch that was undone has left a wrapper in the slot
            arithmetic_set(value_type, value_add, value_multiply)
        checked_version = type_version(value_type)
    return arithmetic_is_unpatched and arithmetic_is(value_type, value_add, value_multiply)


cdef inline bint block_is_current(NeuronCore neuron, Py_ssize_t width) noexcept:
    """Tell whether a neuron's block is that of its weights and bias as they are now."""
    return (PyList_CheckExact(neuron.w) and PyList_GET_SIZE(neuron.w) == width
            and neuron.block != 0 and PyTuple_GET_SIZE(neuron.cells) == width + 1
            and tuple_items(<PyObject *> neuron.cells)[width] == <PyObject *> neuron.b
            and memcmp(list_items(<PyObject *> neuron.w), tuple_items(<PyObject *> neuron.cells),
                       width * sizeof(PyObject *)) == 0)


cdef list retired = []  # replaced weights, released when no list of neurons is being read


cdef uint32_t weights_block(NeuronCore neuron, Py_ssize_t inputs) except? 0:
    """Give the block of a neuron's weights, or 0 if they are not plain Values, one for each input."""
    cdef Py_ssize_t n
    cdef Py_ssize_t i
    cdef Block *block
    cdef uint32_t index
    if not PyList_CheckExact(neuron.w):
        return 0
    n = PyList_GET_SIZE(neuron.w)
    if n != inputs:
        return 0
    found = []  # not (*w, b), which leaks w if it fails; the collector may run: look at cells only
    for cell in <list> neuron.w:
        found.append(cell)
    found.append(neuron.b)
    cells = tuple(found)
    if len(cells) != n + 1:
        return 0
    for cell in cells:
        if not is_value(cell):
            return 0
    retired.append(neuron.cells)
    index = block_new(<uint32_t> n + 1)
    block = arena.blocks[index]
    for i in range(n + 1):
        block.ids[i] = (<Handle> cells[i]).id
        if node_at(block.ids[i]).op == OP_LEAF:
            node_at(block.ids[i]).flags &= ~FRESH  # no __init__ may give the handle another node
    block_describe(block)
    block.owned = 1
    if neuron.block:
        block_disown(neuron.block)
    neuron.block, neuron.cells = index, cells
    return index


# Evaluation ---------------------------------------------------------------------------------------

cdef uint32_t inputs_block(list inputs) except? 0:
    """Make a block of inputs, used once, by the caller; 0 if one is neither a plain Value nor a number."""
    cdef uint32_t n = <uint32_t> len(inputs)
    cdef uint32_t index
    cdef uint32_t i
    cdef double data = 0.0
    cdef node_id id
    cdef Block *block
    cdef bint usable = False
    if not n:
        return 0
    index = block_new(n)
    block = arena.blocks[index]
    block.refs, block.size = 1, 0
    try:
        for i in range(n):
            if i >= <uint32_t> PyList_GET_SIZE(inputs):  # __float__ of an earlier one has done that
                return 0
            x = inputs[i]
            if is_value(x):
                id = (<Handle> x).id
                node_at(id).count += 1
            elif not isinstance(x, Handle) and number_read(x, &data) != NOT_A_NUMBER:
                id = leaf_hidden(data)
            else:
                return 0
            block.ids[i] = id
            block.size = i + 1
        usable = True
    finally:
        if not usable:
            arena.block_bytes -= (n - block.size) * sizeof(node_id)
            block_give(index)
    block_describe(block)
    return index


cdef node_id activation_push(int op, node_id act) except 0:
    """Append an activation, owned by the caller, to a sum whose count it takes over."""
    cdef node_id slope = leaf_hidden(LEAKY_RELU_SLOPE) if op_has_parameter(op) else 0
    cdef node_id out = 0
    cdef double y = 0.0
    forward_of(op, node_at(act).data, LEAKY_RELU_SLOPE, &y)  # no activation can fail
    try:
        out = arena_push(op, act, slope, y)
    finally:
        if not out and slope:
            node_drop(slope)
    handle_slot(out)[0] = NULL
    return out


cdef bint layer_is_plain(list neurons, Py_ssize_t width) except -1:
    """Tell whether calling these would do what native code does, and bring their blocks up to date."""
    cdef PyObject *o
    cdef Py_ssize_t i
    cdef int _
    cdef bint changed
    for _ in range(4):  # making a block may run anything; so look again until none was made
        changed = False
        i = 0
        while i < PyList_GET_SIZE(neurons):
            o = <PyObject *> PyList_GET_ITEM(neurons, i)
            if slot_of_call(o) != neuron_call:
                return False
            if (<NeuronCore> o).has_activation and not unpatched[(<NeuronCore> o).op]:
                return False
            if not block_is_current(<NeuronCore> o, width):
                if not weights_block(<NeuronCore> o, width):
                    return False
                changed = True
            i += 1
        if not changed:
            return i > 0
    return False


cdef uint32_t layer_push(list neurons, uint32_t inputs) except? 0:
    """Append a layer; give the block of its outputs, used once, by the caller; 0 if it is not plain.

    Nothing has been appended when it is not plain. The inputs' block is the caller's to give up.
    """
    cdef uint32_t n
    cdef uint32_t i
    cdef uint32_t index
    cdef PyObject *o
    cdef Block *block
    if not layer_is_plain(neurons, arena.blocks[inputs].size):
        return 0
    n = <uint32_t> PyList_GET_SIZE(neurons)
    index = block_new(n)
    block = arena.blocks[index]
    block.refs, block.size = 1, 0
    try:
        for i in range(n):
            block.ids[i] = dot_push(inputs, (<NeuronCore> PyList_GET_ITEM(neurons, i)).block)
            block.size = i + 1
        dot_evaluate(block.ids, n)
        for i in range(n):
            o = <PyObject *> PyList_GET_ITEM(neurons, i)
            if (<NeuronCore> o).has_activation:
                block.ids[i] = activation_push((<NeuronCore> o).op, block.ids[i])
    except BaseException:
        arena.block_bytes -= (n - block.size) * sizeof(node_id)
        block_give(index)
        raise
    block_describe(block)
    return index


cdef object output(node_id id):
    """Give an output as Python sees it: under no_grad() a leaf."""
    if no_grad_blocks and is_no_grad():
        if recording_threads:
            recorded_read(id, "no_grad")
        return handle_new(arena_push_leaf(node_at(id).data))
    return handle_of(id)


cdef list outputs_listed(uint32_t index):
    """Make the handles of a layer's outputs."""
    cdef Block *block = arena.blocks[index]
    cdef uint32_t i
    cdef list out = []
    for i in range(block.size):
        out.append(output(block.ids[i]))
    return out


cdef object outputs_of(uint32_t index):
    """Make the handles of a layer's outputs: a list, or the only one."""
    if arena.blocks[index].size == 1:
        return output(arena.blocks[index].ids[0])
    return outputs_listed(index)


cdef int layer_next(object neurons, uint32_t *index) except -1:
    """Append a layer to the outputs of the one before; exchange their blocks, 0 if it is not plain."""
    cdef uint32_t made = layer_push(<list> neurons, index[0]) if PyList_CheckExact(neurons) else 0
    block_give(index[0])
    index[0] = made
    return 0


cdef int layers_end(uint32_t index) except -1:
    """Release the last block and the retired weights."""
    if index:
        block_give(index)
    handles_flush()
    if retired:
        retired.clear()
    return 0


def call_layer(neurons, list inputs):
    """Evaluate a layer, given as a list of neurons.

    Returns its outputs (the only one bare), or None where something is not plain: then nothing has
    happened, and Python has to do it.
    """
    cdef uint32_t index = 0
    try:
        index = inputs_block(inputs) if value_is_unpatched() else 0
        if index:
            layer_next(neurons, &index)
        return outputs_of(index) if index else None
    finally:
        layers_end(index)


def call_layers(layers, list inputs):
    """Evaluate layers, given as Layers, one after another: see `call_layer`."""
    cdef uint32_t index = 0
    try:
        index = inputs_block(inputs) if value_is_unpatched() else 0
        for layer in layers:
            if not index:
                break
            neurons = None
            if type_lookup(Py_TYPE(<PyObject *> layer), "__call__") == <PyObject *> layer_call:
                neurons = layer.neurons
            layer_next(neurons, &index)
        return outputs_of(index) if index else None
    finally:
        layers_end(index)


cdef bint has_value(list row) noexcept:
    cdef Py_ssize_t i = 0
    while i < PyList_GET_SIZE(row):
        if is_value(<object> PyList_GET_ITEM(row, i)):
            return True
        i += 1
    return False


cdef uint32_t dots_push(uint32_t inputs, tuple rows, tuple biases) except? 0:
    """Append dots of the same inputs; give their block as `layer_push` does; 0 if one is not plain."""
    cdef uint32_t n = <uint32_t> len(rows)
    cdef uint32_t width = arena.blocks[inputs].size
    cdef uint32_t index = block_new(n)
    cdef uint32_t weights
    cdef uint32_t i
    cdef Block *block = arena.blocks[index]
    cdef Poll poll = poll_begin(poll_with_gil)
    cdef bint usable = False
    block.refs, block.size = 1, 0
    try:
        for i in range(n):
            poll_signals(&poll, width)
            weights = inputs_block(<list> rows[i] + [biases[i]])
            if not weights:
                return 0
            try:
                if arena.blocks[weights].size != width + 1:
                    return 0
                block.ids[i] = dot_push(inputs, weights)
                block.size = i + 1
            finally:
                block_give(weights)
        dot_evaluate(block.ids, n)
        usable = True
    finally:
        if not usable:
            arena.block_bytes -= (n - block.size) * sizeof(node_id)
            block_give(index)
    block_describe(block)
    return index


def call_linear(list inputs, list rows, list biases):
    """Return ``biases[i] + rows[i][0]*inputs[0] + rows[i][1]*inputs[1] + ...`` for each row.

    None where something is not plain, or nothing is a Value: then nothing has happened, and Python
    has to do it.
    """
    cdef uint32_t xs = 0
    cdef uint32_t made = 0
    cdef bint some = has_value(inputs) or has_value(biases)
    cdef tuple fixed = tuple(rows)  # __float__ of something may change the lists
    cdef tuple starts = tuple(biases)
    if not fixed or len(starts) != len(fixed):
        return None
    for row in fixed:
        if not PyList_CheckExact(row):
            return None
        some = some or has_value(row)
    try:
        xs = inputs_block(inputs) if some and value_is_unpatched() else 0
        if xs:
            made = dots_push(xs, fixed, starts)
        return outputs_listed(made) if made else None
    finally:
        if xs:
            block_give(xs)
        layers_end(made)


cdef class KeptRows:
    """Blocks of weights, kept from call to call for whoever calls with the same rows."""

    cdef list neurons  # linear ones, of the rows and biases of the last call; none is ever changed

    def __reduce__(self):
        return KeptRows, ()  # a copy keeps its own


cdef bint has_kept(list neurons, list rows, list biases) noexcept:
    """Tell whether neurons are those of some rows and biases, the same objects."""
    cdef Py_ssize_t n = PyList_GET_SIZE(rows)
    cdef Py_ssize_t i
    cdef NeuronCore neuron
    if neurons is None or PyList_GET_SIZE(neurons) != n or PyList_GET_SIZE(biases) != n:
        return False
    for i in range(n):
        neuron = <NeuronCore> PyList_GET_ITEM(neurons, i)
        if <PyObject *> neuron.w != <PyObject *> PyList_GET_ITEM(rows, i) or \
                <PyObject *> neuron.b != <PyObject *> PyList_GET_ITEM(biases, i):
            return False
    return True


cdef list rows_kept(KeptRows kept, list rows, list biases):
    """Give linear neurons of some rows and biases: those kept, or new ones."""
    cdef list made
    cdef NeuronCore neuron
    if not has_kept(kept.neurons, rows, biases):
        made = []
        for row, bias in zip(rows, biases):
            neuron = NeuronCore.__new__(NeuronCore)
            neuron.w, neuron.b, neuron.flag, neuron.has_activation = row, bias, False, False
            made.append(neuron)
        kept.neurons = made
    return kept.neurons


def call_kept_rows(KeptRows kept not None, inputs, rows, biases):
    """Return ``biases[i] + rows[i][0]*inputs[0] + ...`` for each row, as `call_linear` does.

    None where something is not plain: rows of Values in lists, each as long as the inputs.
    """
    cdef uint32_t xs = 0
    cdef uint32_t made = 0
    cdef list neurons
    if not PyList_CheckExact(inputs) or not PyList_CheckExact(rows) or not PyList_CheckExact(biases):
        return None
    try:
        xs = inputs_block(<list> inputs) if value_is_unpatched() else 0
        if xs and PyList_GET_SIZE(rows) == PyList_GET_SIZE(biases):
            neurons = rows_kept(kept, <list> rows, <list> biases)
            made = layer_push(neurons, xs)
        return outputs_listed(made) if made else None
    finally:
        if xs:
            block_give(xs)
        layers_end(made)


def set_layer_call(function):
    """Register the method `Layer.__call__`, so that an override is recognised."""
    global layer_call
    layer_call = function


cdef object layer_call = None


# Parameters ---------------------------------------------------------------------------------------

def zero_grads(parameters):
    """Set the grad of each parameter to 0."""
    for p in parameters:
        if is_value(p):
            node_at((<Handle> p).id).grad = 0.0
        else:
            p.grad = 0
