"""Engine: the operations of Value.

Plain numbers become leaves, subclasses are pinned, no_grad() leaves a result without operands. What
is computed first and may fail comes before anything is appended.
"""

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from libc.math cimport fabs
from libc.stdint cimport uint32_t

from fastgrad._native.base.errors cimport described, error_of, items_expect, shown
from fastgrad._native.base.poll cimport Poll, forks, poll_begin, poll_signals, poll_with_gil
from fastgrad._native.memory.arena cimport (
    BLOCK, BLOCK_LIMIT, BOOL, Block, NUMBER, arena, arena_push, arena_push_leaf, block_describe,
    block_give, block_new, unlikely,
)
from fastgrad._native.graph.handle cimport (
    A_BOOL, A_FLOAT, Handle, NOT_A_NUMBER, Node, Py_TYPE, handle_new, handle_pin, handle_slot,
    handles_flush, is_handle, is_value, node_at, node_drop, node_id, number_expect, number_read,
    type_lookup, type_version, value_type,
)
from fastgrad._native.ops.codes cimport (
    OP_ADD, OP_CUSTOM, OP_DOMAIN, OP_MUL, OP_OK, OP_OVERFLOW, OP_POW, OP_POW_NUMBER, OP_TAKE,
    OP_ZERO_DIVISION, op_error_text, op_forward, op_product, op_reads_b, op_symbol,
)
from fastgrad._native.graph.recording cimport recorded_read, recording_threads

from contextvars import ContextVar

cdef extern from "Python.h":
    """
    #ifndef FASTGRAD_VERSION
    #define FASTGRAD_VERSION "0"
    #define FASTGRAD_VARIANT "release"
    #define FASTGRAD_BUILD_FLAGS ""
    #endif
    #if defined(__VERSION__)
    #define FASTGRAD_COMPILER __VERSION__
    #else
    #define FASTGRAD_COMPILER "MSVC"
    #endif
    """
    const char *FASTGRAD_VERSION
    const char *FASTGRAD_VARIANT
    const char *FASTGRAD_BUILD_FLAGS
    const char *FASTGRAD_COMPILER
    int PyContextVar_Get(object var, PyObject *default_value, PyObject **value) except -1
    object PyContextVar_Set(object var, object value)
    void Py_DECREF(PyObject *o)
    object PyNumber_Add(object a, object b)
    object PyNumber_Multiply(object a, object b)
    object PyNumber_Negative(object a)
    object PyNumber_Power(object a, object b, object modulus)

VERSION = FASTGRAD_VERSION.decode()
VARIANT = FASTGRAD_VARIANT.decode()
BUILD_FLAGS = FASTGRAD_BUILD_FLAGS.decode()
COMPILER = FASTGRAD_COMPILER.decode()

custom_operations = [None]  # number 0: not registered


# Graph or no graph ---------------------------------------------------------------------------------

no_grad_blocks = 0


@cython.no_gc  # no object of a program is among what it holds
@cython.freelist(8)
cdef class NoGradBlock:
    """A `with no_grad()`: it holds in the context (contextvars) that entered it, while it is open.

    So it holds in one thread, in one asyncio task and in the tasks that this starts meanwhile, but not
    in others that run while it awaits something.
    """

    cdef NoGradBlock outer  # of the same context, or of the one that this was copied from
    cdef NoGradBlock before  # of the same object of Python
    cdef bint is_open
    cdef unsigned counted   # by this process

    def __dealloc__(self):
        block_close(self)


cdef object current_block = ContextVar("no_grad", default=None)


cdef int block_close(NoGradBlock block) noexcept:
    global no_grad_blocks
    if block.is_open and block.counted == forks:
        no_grad_blocks -= 1
    block.is_open = False
    return 0


cdef NoGradBlock block_found():
    """Give the innermost block that is open in this context; one that it was copied with may have ended."""
    cdef PyObject *found = NULL
    cdef NoGradBlock block
    PyContextVar_Get(current_block, NULL, &found)
    block = <NoGradBlock> found
    Py_DECREF(found)
    while block is not None and not block.is_open:
        block = block.outer
    return block


cdef bint is_no_grad() noexcept:
    """Tell whether this context is in no_grad()."""
    return no_grad_blocks and block_found() is not None


def call_with_graph(function, tuple arguments not None):
    """Call a function outside all no_grad blocks, whatever blocks the caller is in."""
    token = current_block.set(None)
    try:
        return function(*arguments)
    finally:
        current_block.reset(token)


cdef class NoGradScope:
    # The signature stands where inspect looks for one.
    """NoGradScope()\n--\n\nWhat `fastgrad.no_grad` inherits: enters a block, which ends with it."""

    cdef NoGradBlock entered  # the last, that holds those before

    def __enter__(self):
        global no_grad_blocks
        cdef NoGradBlock block = NoGradBlock.__new__(NoGradBlock)
        block.outer, block.before = block_found(), self.entered
        PyContextVar_Set(current_block, block)
        block.is_open, block.counted = True, forks
        no_grad_blocks += 1
        self.entered = block

    def __exit__(self, *error):
        """End the block of this context, or if none is the last: a generator may be left in another one."""
        cdef NoGradBlock found = block_found()
        cdef NoGradBlock block = self.entered
        cdef NoGradBlock later = None
        while block is not None and block is not found:
            later, block = block, block.before
        if block is None:
            block, later = self.entered, None
        if block is None:
            return
        block_close(block)  # the context keeps it, until it enters another: to set costs more than to look
        if later is None:
            self.entered = block.before
        else:
            later.before = block.before


cdef void no_grad_after_fork() noexcept:
    """Count only the blocks of the thread that the child has: arithmetic is slower while there are any."""
    global no_grad_blocks
    cdef NoGradBlock block = block_found()
    no_grad_blocks = 0
    while block is not None:
        if block.is_open:
            block.counted = forks
            no_grad_blocks += 1
        block = block.outer


# What an operation gives ---------------------------------------------------------------------------

cdef int forward_of(int op, double a, double b, double *y) noexcept nogil:
    """Compute a row of the table, for modules that need not hold 40 KB of functions themselves."""
    return op_forward(op, a, b, y)


# Operands -----------------------------------------------------------------------------------------

cdef node_id operand_take(object o) except? 0:
    """Count a use of an operand, or make a leaf of a plain number; 0 for anything else."""
    cdef double data = 0.0
    if is_handle(o):
        node_at((<Handle> o).id).count += 1
        return (<Handle> o).id
    if number_read(o, &data) == NOT_A_NUMBER:
        return 0
    return leaf_hidden(data)


cdef int operand_keep(object o) except -1:
    """Have a node that has become an operand keep its handle if that is of a subclass."""
    if not is_value(o) and is_handle(o) and node_at((<Handle> o).id).count > 1:
        handle_pin(<Handle> o)
    return 0


cdef int operand_give(node_id id) except -1:
    """Give up an operand taken, when the operation failed."""
    node_drop(id)
    handles_flush()
    return 0


cdef node_id leaf_hidden(double data) except 0:
    """Make a leaf without a handle, owned by the caller."""
    cdef node_id id = arena_push_leaf(data)
    handle_slot(id)[0] = NULL
    node_at(id).flags = NUMBER
    return id


cdef node_id push_taken(int op, node_id a, node_id b) except 0:
    """Append an operation to operands already counted, which are given up if that fails."""
    cdef double y = 0.0
    cdef Node *first = node_at(a)
    cdef double other = node_at(b).data if b else 0.0
    cdef int error
    cdef node_id id
    try:
        error = op_forward(op, first.data, other, &y)
        if error != OP_OK:
            operation_raise(op, error, first.data, other)
        if unlikely(no_grad_blocks) and is_no_grad():
            if recording_threads:
                recorded_read(a, "no_grad")
                if b:
                    recorded_read(b, "no_grad")
            id = leaf_hidden(y)
            node_at(id).flags = 0
            operand_give(a)
            if b:
                operand_give(b)
            return id
        id = arena_push(op, a, b, y)
    except BaseException:
        operand_give(a)
        if b:
            operand_give(b)
        raise
    handle_slot(id)[0] = NULL
    return id


cdef object result_of(node_id id):
    """Give the handle of a node just pushed; release what has waited for the operation to end."""
    cdef object value = handle_new(id)
    handles_flush()
    return value


cdef int operation_raise(int op, int error, double a, double b) except -1:
    kinds = {OP_ZERO_DIVISION: "ZeroDivisionError", OP_OVERFLOW: "OverflowError", OP_DOMAIN: "ValueError"}
    got = f"{a!r} and {b!r}" if op_reads_b(op) else repr(a)
    name, expected = op_error_text(op, error).decode().split(" expects ")
    raise error_of(kinds[error], expected, got, name)


cdef double TOO_SMALL = 2.0 ** -1024  # and all below: 1 / x is no float


cdef int divisor_expect(double divisor) except -1:
    """Raise where a divisor has no inverse: the `**-1` of which that is computed nobody wrote."""
    if not fabs(divisor) <= TOO_SMALL:
        return 0
    if divisor == 0.0:
        raise error_of("ZeroDivisionError", "a divisor other than 0", f"{divisor!r}", "division by zero")
    raise error_of("OverflowError", "a divisor whose inverse fits a float", f"{divisor!r}", "division")


cdef object operand_refuse(object o, const char *symbol):
    """Raise for the types whose mistake is common; leave others a chance to know Values themselves."""
    if o is None or isinstance(o, (str, bytes, complex, list, tuple, dict, set)):
        raise error_of(
            "FastgradTypeError", "a Value or a number", described(o), f"operand of {symbol.decode()}",
            "convert it with float(), one number at a time")
    return NotImplemented


# Operations ---------------------------------------------------------------------------------------

cdef object apply_slowly(object a, object b, int op):
    return apply_named(a, b, op, op_symbol[op])


cdef object apply_named(object a, object b, int op, const char *name):
    """Apply an operation to operands of any kind; an error calls it as the program does."""
    cdef node_id ia
    cdef node_id ib
    ia = operand_take(a)
    if not ia:
        return operand_refuse(a, name)
    try:
        ib = operand_take(b)
    except BaseException:
        operand_give(ia)
        raise
    if not ib:
        operand_give(ia)
        return operand_refuse(b, name)
    ia = push_taken(op, ia, ib)
    operand_keep(a)
    operand_keep(b)
    return result_of(ia)


cdef object apply_binary(object a, object b, int op, const char *name):
    """Apply an operation of two operands; NotImplemented becomes a TypeError as this is no operator."""
    result = apply_named(a, b, op, name)
    if result is NotImplemented:
        wrong = a if not is_handle(a) else b
        raise error_of(
            "FastgradTypeError", "a Value or a number", described(wrong),
            f"operand of {name.decode()}")
    return result


cdef object apply_unary(Handle a, int op):
    cdef Node *node = node_at(a.id)
    cdef double y = 0.0
    cdef int error
    cdef node_id id
    if unlikely(no_grad_blocks or not is_value(a)):
        id = push_taken(op, operand_take(a), 0)
        operand_keep(a)
        return result_of(id)
    error = op_forward(op, node.data, 0.0, &y)
    if unlikely(error != OP_OK):
        operation_raise(op, error, node.data, 0.0)
    id = arena_push(op, a.id, 0, y)
    node.count += 1
    return handle_new(id)


cdef object apply_parameter(Handle a, object parameter, int op, const char *name):
    cdef double k = 0.0
    cdef int kind = number_read(parameter, &k)
    cdef node_id ia
    cdef node_id ik
    cdef node_id id
    if kind == NOT_A_NUMBER:
        raise error_of(
            "FastgradTypeError", "a number", described(parameter), f"parameter of {name.decode()}")
    ia = operand_take(a)
    try:
        ik = leaf_hidden(k)
    except BaseException:
        operand_give(ia)
        raise
    id = push_taken(op, ia, ik)
    if kind != A_FLOAT and node_at(id).op == op:
        node_at(id).flags |= BOOL if kind == A_BOOL else NUMBER
    operand_keep(a)
    return result_of(id)


# Operators derived from others -------------------------------------------------------------------
#
# A subclass, or a patch, that overrides one of these is what the derived operators go through, as
# micrograd's do: `1 + v` is v + 1, `-v` is v * -1, `v - w` is v + (-w), `v / w` is v * w**-1.

cdef enum:         # bits of the operators below
    ADDS = 0b000011
    MULTIPLIES = 0b001100
    POWERS = 0b010000
    NEGATES = 0b100000
    N_BASIC = 6

cdef tuple basic_names = ("__add__", "__radd__", "__mul__", "__rmul__", "__pow__", "__neg__")
cdef PyObject *basic[N_BASIC]      # what Value has of these as built
cdef unsigned int basic_version = 0  # version of Value at which it had them


cdef int operators_remember() except -1:
    """Remember the operators that Value has now, before anybody can patch it."""
    cdef int i
    for i in range(<int> N_BASIC):
        basic[i] = type_lookup(value_type, basic_names[i])
    return 0


cdef bint operators_check() noexcept:
    """Tell whether Value's operators are the ones built in; the short path asks only if it has changed."""
    global basic_version
    if type_overrides(value_type, ADDS | MULTIPLIES | POWERS | NEGATES):
        return False
    basic_version = type_version(value_type)
    return True


cdef bint type_overrides(PyTypeObject *type, int which) noexcept:
    cdef int i
    for i in range(<int> N_BASIC):
        if which >> i & 1 and type_lookup(type, basic_names[i]) != basic[i]:
            return True
    return False


cdef inline bint overrides(object a, int which) noexcept:
    """Tell whether operators of a Value's class are others than those built in."""
    if is_value(a) and basic_version == type_version(value_type) and basic_version != 0:
        return False
    return type_overrides(Py_TYPE(<PyObject *> a), which)


cdef object added(object a, object b):
    """Add what has no short path. A number on the left is `__radd__`: micrograd's is self + other."""
    if is_handle(a):
        return apply_slowly(a, b, OP_ADD)
    return PyNumber_Add(b, a) if overrides(b, ADDS) else apply_slowly(b, a, OP_ADD)


cdef object multiplied(object a, object b):
    """Multiply what has no short path. A number on the left is `__rmul__`: micrograd's is self * other."""
    if is_handle(a):
        return apply_slowly(a, b, OP_MUL)
    return PyNumber_Multiply(b, a) if overrides(b, MULTIPLIES) else apply_slowly(b, a, OP_MUL)


cdef bint is_reflected(object a, object other, bint product) noexcept:
    """Tell whether a Value's own `__radd__` or `__rmul__` has been called for another Value.

    Where its class has no other than the one built in, Python has only asked it first, as that of a
    subclass: then the sum is `other.__add__(a)`.
    """
    return is_handle(other) and overrides(a, 0b001000 if product else 0b000010)


cdef object negative(object a):
    """Negate what has no short path: micrograd's `__neg__` is self * -1."""
    cdef node_id id
    if overrides(a, MULTIPLIES):
        return PyNumber_Multiply(a, -1)
    id = negated(operand_take(a))
    operand_keep(a)
    return result_of(id)


cdef object inverse(object a):
    """Raise a Value to the power -1."""
    cdef node_id id
    if overrides(a, POWERS):
        return PyNumber_Power(a, -1, None)
    id = inverted(operand_take(a))
    operand_keep(a)
    return result_of(id)


cdef bint is_derived(object a, object b, bint division) noexcept:
    """Tell whether a difference or a quotient goes through operators that somebody has overridden."""
    cdef int outer = MULTIPLIES if division else ADDS
    cdef int inner = POWERS if division else MULTIPLIES | NEGATES
    if is_handle(a) and overrides(a, outer):
        return True
    return is_handle(b) and overrides(b, inner if is_handle(a) else inner | outer)


cdef object derived(object a, object b, bint division, double k):
    """Subtract or divide by the operators of the operands' classes; k stands for a number on the right."""
    if division:
        return PyNumber_Multiply(a, inverse(b) if is_handle(b) else k)
    if is_handle(b):
        return PyNumber_Add(a, PyNumber_Negative(b))
    return PyNumber_Add(a, PyNumber_Negative(b) if isinstance(b, (int, float)) else k)


cdef node_id negated(node_id taken) except 0:
    """Append `* -1` to an operand already counted."""
    cdef node_id minus
    try:
        minus = leaf_hidden(-1.0)
    except BaseException:
        operand_give(taken)
        raise
    return push_taken(OP_MUL, taken, minus)


cdef node_id inverted(node_id taken) except 0:
    """Append `**-1` to an operand already counted."""
    cdef node_id minus
    cdef node_id id
    try:
        divisor_expect(node_at(taken).data)
        minus = leaf_hidden(-1.0)
    except BaseException:
        operand_give(taken)
        raise
    id = push_taken(OP_POW_NUMBER, taken, minus)
    node_at(id).flags |= NUMBER
    return id


cdef object composite(object a, object b, bint division):
    """Subtract or divide as micrograd does: a + b*-1, a * b**-1, a number folded into its leaf."""
    cdef const char *symbol = b"/" if division else b"-"
    cdef double k = 0.0
    cdef double inverse = 0.0
    cdef bint left = is_handle(a)
    cdef object number = b if left else a
    cdef int kind = NOT_A_NUMBER
    cdef node_id first = 0
    cdef node_id second = 0
    if not (left and is_handle(b)):
        kind = number_read(number, &k)
        if kind == NOT_A_NUMBER:
            return operand_refuse(number, symbol)
        if left and division:
            divisor_expect(k)
            op_forward(OP_POW_NUMBER, k, -1.0, &inverse)
            k = inverse
        elif left:
            k = -k if k != 0.0 or kind == A_FLOAT else 0.0
    if is_derived(a, b, division):
        return derived(a, b, division, k)
    # first is the operand shown on the left: the negated or inverted Value if the number was there
    if left:
        first = operand_take(a)
    else:
        first = inverted(operand_take(b)) if division else negated(operand_take(b))
    try:
        if kind != NOT_A_NUMBER:
            second = leaf_hidden(k)
        else:
            second = inverted(operand_take(b)) if division else negated(operand_take(b))
    except BaseException:
        operand_give(first)
        raise
    first = push_taken(OP_MUL if division else OP_ADD, first, second)
    operand_keep(a)
    operand_keep(b)
    return result_of(first)


cdef object power(object a, object b):
    if not is_handle(a) or is_handle(b):
        return apply_slowly(a, b, OP_POW)
    cdef double k = 0.0
    if number_read(b, &k) == NOT_A_NUMBER:
        return operand_refuse(b, op_symbol[<int> OP_POW])
    return apply_parameter(<Handle> a, b, OP_POW_NUMBER, op_symbol[<int> OP_POW])


# Functions of numbers or Values -------------------------------------------------------------------

cdef double plain(int op, object a, object b, const char *name) except? -1.0:
    """Apply an operation to plain numbers, as the functions of math do."""
    cdef str where = f"operand of {name.decode()}"
    cdef double x = number_expect(a, where)
    cdef double other = 0.0 if b is None else number_expect(b, where)
    cdef double y = 0.0
    cdef int error = op_forward(op, x, other, &y)
    if error != OP_OK:
        operation_raise(op, error, x, other)
    return y


cdef object call_unary(object x, int op, const char *name):
    return apply_unary(<Handle> x, op) if is_handle(x) else plain(op, x, None, name)


cdef object call_parameter(object x, object parameter, int op, const char *name):
    if is_handle(x):
        return apply_parameter(<Handle> x, parameter, op, name)
    number_expect(parameter, f"parameter of {name.decode()}")
    return plain(op, x, parameter, name)


cdef object call_inverse(object x, const char *name):
    """Invert a divisor."""
    divisor_expect(operand_number(x, f"operand of {name.decode()}"))
    return call_parameter(x, -1, OP_POW_NUMBER, name)


cdef object call_binary(object a, object b, int op, const char *name):
    if is_handle(a) or is_handle(b):
        return apply_binary(a, b, op, name)
    number_expect(b, f"operand of {name.decode()}")
    return plain(op, a, b, name)


cdef tuple operands_listed(tuple operands, const char *name):
    """Return the operands of a function that takes several, or one iterable of them."""
    if len(operands) != 1:
        return operands
    return tuple(items_expect(
        operands[0], "two operands or more, or an iterable of them", name.decode()))


cdef object fold_operands(tuple operands, int op, const char *name):
    """Apply an operation of two operands to the first two, then to the result and the next, ..."""
    cdef Py_ssize_t i
    cdef Poll poll = poll_begin(poll_with_gil)
    operands = operands_listed(operands, name)
    if not operands:
        raise error_of("FastgradValueError", "an operand at least", "none", name.decode())
    result = operands[0]
    if len(operands) == 1 and not is_handle(result):
        return number_expect(result, f"operand of {name.decode()}")
    for i in range(1, len(operands)):
        poll_signals(&poll, 1)
        result = call_binary(result, operands[i], op, name)
    return result


cdef class CustomCore:
    """What `CustomOperation` inherits: the number that its nodes carry, which counts in this process only."""


cpdef uint32_t register_custom(CustomCore operation) except 0:
    """Give an operation its number, if it has none; it stays for the life of the process."""
    if operation is None:
        raise error_of("FastgradTypeError", "a custom operation", "None")
    if not operation.number:
        if len(custom_operations) > <Py_ssize_t> BLOCK_LIMIT:
            raise error_of(
                "FastgradOverflowError", f"at most {BLOCK_LIMIT} custom operations", "more",
                "fastgrad.custom", "define each once, at the top of a module")
        custom_operations.append(operation)
        operation.number = <uint32_t> len(custom_operations) - 1
    return operation.number


def numbers_of(tuple operands):
    """Read the numbers of operands for a recorded operation, which is no reading by the program."""
    cdef list numbers = []
    for operand in operands:
        numbers.append(operand_number(operand, "operand"))
    return numbers


cdef double operand_number(object operand, str where) except? -1.0:
    cdef double number = 0.0
    if is_handle(operand):
        return node_at((<Handle> operand).id).data
    if number_read(operand, &number) == NOT_A_NUMBER:
        raise error_of("FastgradTypeError", "a Value or a number", described(operand), where)
    return number


cpdef double custom_result(CustomCore operation, object result) except? -1.0:
    """Read what an operation's function has returned."""
    cdef double y = 0.0
    if number_read(result, &y) == NOT_A_NUMBER:
        number_expect(result, f"what {operation} returned")  # raises
    return y


def apply_custom(CustomCore operation not None, tuple operands, object result):
    """Record a result of an operation (`fastgrad.custom`) on its operands."""
    cdef double y = custom_result(operation, result)
    return push_listed(OP_CUSTOM, operands, <node_id> register_custom(operation), y, operation.name)


cdef node_id push_block(int op, tuple operands, str name, node_id b, double y) except 0:
    """Append a node whose operands are listed in a block, owned by the caller.

    Those of OP_LINEAR are followed by a leaf for each partial. For `name` see `operands_block`.
    """
    cdef uint32_t index = operands_block(operands, name)
    cdef node_id id
    try:
        id = arena_push(op, <node_id> index, b, y)
    except BaseException:
        operands_give(index)
        raise
    node_at(id).flags = BLOCK
    handle_slot(id)[0] = NULL
    return id


cdef object push_listed(int op, tuple operands, node_id b, double y, str name):
    """Record an operation whose operands are listed in a block."""
    if no_grad_blocks and is_no_grad():
        for operand in operands:
            if recording_threads and is_handle(operand):
                recorded_read((<Handle> operand).id, "no_grad")
        return handle_new(arena_push_leaf(y))
    return result_of(push_block(op, operands, name, b, y))


cdef Py_ssize_t take_position(double index, Py_ssize_t n) except -1:
    """Read an index that is the data of a Value, a negative one from the end; raise if it names none."""
    cdef Py_ssize_t position
    if -n <= index < n and index == <Py_ssize_t> index:
        position = <Py_ssize_t> index
        return position + n if position < 0 else position
    got = repr(index).removesuffix(".0")
    raise error_of(
        "FastgradIndexError", f"an index of {-n} to {n - 1}", got, f"index of take, {n} entries")


def apply_take(tuple operands):
    """Record the choice of one of the operands after the first, a Value that says which."""
    cdef Py_ssize_t position
    if len(operands) < 2 or not is_handle(operands[0]):
        raise error_of("FastgradTypeError", "a Value and what it chooses from", shown(operands), "take")
    position = take_position(node_at((<Handle> operands[0]).id).data, len(operands) - 1)
    y = operand_number(operands[position + 1], "operand of take")
    return push_listed(OP_TAKE, operands, 0, y, "take")


cdef int take_step(Node *node) except -1:
    """Pass the adjoint to the chosen operand only: 0 * inf must not reach the others."""
    cdef Block *block = arena.blocks[node.a]
    cdef uint32_t i = <uint32_t> take_position(node_at(block.ids[0]).data, block.size - 1) + 1
    node_at(block.ids[i]).grad += node.grad
    return 0


cdef int linear_step(Node *node) except -1:
    """Add the partials that a node was given, times its adjoint, in the order of its operands."""
    cdef Block *block = arena.blocks[node.a]
    cdef uint32_t n = block.size // 2
    cdef uint32_t i
    for i in range(n):
        node_at(block.ids[i]).grad += op_product(node_at(block.ids[n + i]).data, node.grad)
    return 0


cdef int operands_give(uint32_t index) except -1:
    """Give up a block of operands whose user was not made."""
    block_give(index)
    handles_flush()
    return 0


cdef uint32_t operands_block(tuple taken, str name) except 0:
    """Make a block of operands that counts one node as its user, the caller's.

    Those of an operation, whose name errors tell, may be plain numbers; with None there is none.

    They are a tuple already: CPython 3.11 and 3.12 leak one where list() of it fails.
    """
    cdef uint32_t n = <uint32_t> len(taken)
    cdef uint32_t index = block_new(n)
    cdef Block *block = arena.blocks[index]
    cdef uint32_t i
    cdef node_id id
    block.refs = 1
    block.size = 0
    try:
        for i in range(n):
            if name is None and not is_handle(taken[i]):
                raise error_of(
                    "FastgradTypeError", "Values as operands", described(taken[i]),
                    "second argument of Value", "wrap numbers: Value(2.0)")
            id = operand_take(taken[i])
            if not id:
                raise error_of(
                    "FastgradTypeError", "a Value or a number", described(taken[i]), f"operand of {name}")
            block.ids[i] = id
            block.size = i + 1
    except BaseException:
        arena.block_bytes -= (n - block.size) * sizeof(node_id)
        operands_give(index)
        raise
    for operand in taken:
        operand_keep(operand)
    block_describe(block)
    return index
