"""Graph: what a node looks like from Python, and copies of graphs.

Layer: above _engine, _fused. Cimports them.
"""

from libc.stdint cimport uint32_t

from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawFree
from cpython.object cimport PyObject

from fastgrad._arena cimport (
    BLOCK, BOOL, Block, CHUNK_SHIFT, CLOSURE, EXPANDED, IdList, NUMBER, Node, SWEPT, arena, arena_push,
    arena_push_leaf, block_describe, block_disown, block_give, block_new, block_take, hidden_operand,
    ids_append,
)
from fastgrad._engine cimport custom_operations, operand_keep
from fastgrad._fused cimport affine_expand
from fastgrad._handle cimport (
    Handle, HandleLayout, Py_TYPE, attributes_of, handle_new, handle_slot, handles_settle, node_at,
    node_drop, node_id, value_type,
)
from fastgrad._ops cimport (
    OP_ADD, OP_AFFINE, OP_CUSTOM, OP_HIDDEN, OP_LEAF, OP_POW_NUMBER, OP_PYTHON, op_has_parameter,
    op_symbol,
)


cdef int shown_op(Node *node) noexcept:
    """Give the opcode of a node as it is shown."""
    if node.op == OP_AFFINE:
        return OP_ADD
    if node.op == OP_HIDDEN or node.op == OP_PYTHON and node.flags >> 8:
        return node.flags >> 8
    return node.op


cdef list block_list(Block *block):
    cdef uint32_t i
    cdef list ids = []  # no comprehension: Cython 3.3 drops an item twice if its list cannot grow
    for i in range(block.size):
        ids.append(block.ids[i])
    return ids


cdef list node_operands(node_id id):
    """Give the ids of a node's operands, making the hidden ones of a fused node."""
    cdef Node *node = node_at(id)
    cdef Block *block
    if node.flags & BLOCK:
        return block_list(arena.blocks[node.a])
    if node.op == OP_AFFINE:
        affine_expand(id)
        block = arena.blocks[node.b]
        if block.size == 1:
            return [hidden_operand(block, 1, 0), block.ids[0]]
        return [block.ids[block.size - 2], block.ids[block.size - 1]]
    if node.op == OP_HIDDEN:
        block = arena.blocks[node.a]
        return [hidden_operand(block, node.b, 0), hidden_operand(block, node.b, 1)]
    if not node.a:
        return []
    if not node.b or op_has_parameter[shown_op(node)]:
        return [node.a]
    return [node.a, node.b]


cdef object node_label(node_id id):
    """Give the symbol that made a node."""
    cdef Node *node = node_at(id)
    cdef PyObject *handle = handle_slot(id)[0]
    cdef int op = shown_op(node)
    cdef double k
    if handle != NULL and (<HandleLayout *> handle).attributes != NULL:
        attributes = <dict> <object> (<HandleLayout *> handle).attributes
        if "_op" in attributes:
            return attributes["_op"]
    if op == OP_POW_NUMBER:
        k = node_at(node.b).data
        if node.flags & BOOL:
            return f"**{k != 0.0}"
        if node.flags & NUMBER:
            return f"**{int(k)}"
        return f"**{k!r}"
    if op == OP_CUSTOM:
        return custom_operations[node.b].name
    return "" if op == OP_PYTHON else op_symbol[op].decode()


# Copies -------------------------------------------------------------------------------------------

cdef enum:
    SIGNAL_INTERVAL = 65536  # nodes between looks at pending signals: some 30 ms of copying


cdef list operands_below(node_id id):
    """List the ids that a copy of a node needs first: a fused node that nobody has looked into has
    no hidden ones, a parameter is an operand."""
    cdef Node *node = node_at(id)
    if node.op == OP_AFFINE and not node.flags & EXPANDED:
        return block_list(arena.blocks[node.a]) + block_list(arena.blocks[node.b])
    if node.flags & BLOCK or node.op == OP_AFFINE or node.op == OP_HIDDEN:
        return node_operands(id)
    if not node.a:
        return []
    return [node.a, node.b] if node.b else [node.a]


cdef list reachable(node_id root, IdList *held):
    """List a root and all it depends on, leaves first, then in the order of creation.

    Hidden nodes, younger than the users of their fused node, come right before it. Each node is
    counted once more and noted in `held`: a signal handler may run anything.
    """
    cdef set seen = {root}
    cdef list stack = [root]
    cdef list found = []
    cdef dict leaves = {}  # ids by chunk
    cdef dict chunks = {}
    cdef dict hidden = {}  # ids by fused node
    cdef node_id place
    cdef Node *node
    while stack:
        id = stack.pop()
        ids_append(held, <node_id> id)
        node = node_at(<node_id> id)
        node.count += 1
        if held.n % SIGNAL_INTERVAL == 0:
            PyErr_CheckSignals()
        place = id
        if node.op == OP_HIDDEN:
            place = arena.blocks[node.a].owner
            hidden.setdefault(place, []).append(id)
        (leaves if node.op == OP_LEAF else chunks).setdefault(place >> CHUNK_SHIFT, set()).add(place)
        for operand in operands_below(<node_id> id):
            if operand not in seen:
                seen.add(operand)
                stack.append(operand)
    for chunk in sorted(leaves) + sorted(chunks, key=born):
        PyErr_CheckSignals()
        for id in sorted(leaves[chunk] if chunk in leaves else chunks[chunk]):
            found.extend(sorted(hidden.get(id, ()), key=position))
            if id in seen:
                found.append(id)
    return found


def born(chunk):
    """Sort chunks of operations by creation."""
    return arena.chunks[<uint32_t> chunk].born


def position(hidden):
    """Sort the hidden nodes of a fused node by what they depend on."""
    return node_at(<node_id> hidden).b


cdef uint32_t block_copy(uint32_t index, dict copies) except 0:
    """Copy a block of operands for one user; operands without a copy are shared."""
    cdef Block *old = arena.blocks[index]
    cdef uint32_t new = block_new(old.size)
    cdef Block *block = arena.blocks[new]
    cdef uint32_t i
    block.owned = 1  # until it is complete
    try:
        for i in range(old.size):
            block.ids[i] = <node_id> copies.get(old.ids[i], old.ids[i])
    except BaseException:
        block_disown(new)
        raise
    block_describe(block)
    block_take(new)
    block.owned = 0
    return new


cdef node_id copy_one(node_id id, dict copies) except 0:
    """Append a copy of one node, owned by the caller, on the copies of its operands.

    What somebody has looked into, a fused node and its hidden ones, becomes ordinary nodes.
    """
    cdef Node *node = node_at(id)
    cdef node_id a = 0
    cdef node_id b = 0
    cdef node_id made = 0
    cdef bint hidden = node.op == OP_HIDDEN or node.op == OP_AFFINE and node.flags & EXPANDED
    cdef int op = shown_op(node) if hidden else node.op
    if op == OP_LEAF:
        made = arena_push_leaf(node.data)
    elif node.flags & BLOCK or op == OP_AFFINE:
        a = <node_id> block_copy(node.a, copies)
        b = node.b
        try:
            if op == OP_AFFINE:
                b = <node_id> block_copy(node.b, copies)
            made = arena_push(op, a, b, node.data)
        except BaseException:
            block_give(a)
            if op == OP_AFFINE and b != node.b:
                block_give(b)
            raise
    else:
        operands = node_operands(id) if hidden else [node.a, node.b]
        a, b = copies.get(operands[0], operands[0]), copies.get(operands[1], operands[1])
        made = arena_push(op, a, b, node.data)
        node_at(a).count += 1
        if b:
            node_at(b).count += 1
    handle_slot(made)[0] = NULL
    node_at(made).grad = node.grad
    node_at(made).flags = node.flags & (BLOCK | NUMBER | BOOL)
    if node.op == OP_PYTHON:
        node_at(made).flags |= node.flags & 0xFF00
    if op == OP_AFFINE and node.flags & SWEPT:  # so its hidden nodes, once made, have its adjoint
        node_at(made).flags |= SWEPT
        arena.swept += 1
    return made


cdef int attributes_copy(Handle handle, Handle copy, object memo) except -1:
    """Give a copy the attributes of its original: copies of them, or with no memo the same."""
    if (<HandleLayout *> <PyObject *> handle).attributes == NULL:
        return 0
    cdef dict attributes = <dict> <object> (<HandleLayout *> <PyObject *> handle).attributes
    cdef dict copied = attributes_of(copy)
    if memo is None:
        copied.update(attributes)
    else:  # not deepcopy(attributes): if memory runs out, CPython 3.11 crashes in dict.items()
        from copy import deepcopy
        for name, value in attributes.items():
            copied[name] = deepcopy(value, memo)
    if node_at(handle.id).flags & CLOSURE and "_backward" in attributes:
        copy._backward = copied["_backward"]  # the setter knows what each kind of node needs
    return 0


cdef Handle instance_of(Handle original, node_id id):
    """Make the handle of a copy, of its original's class, taking over the caller's count."""
    cdef Handle made
    if Py_TYPE(<void *> original) == value_type:
        return handle_new(id)
    cls = type(original)
    try:
        made = cls.__new__(cls)
    except BaseException:
        node_drop(id)
        raise
    handle_slot(made.id)[0] = NULL
    node_drop(made.id)
    made.id = id
    handle_slot(id)[0] = <PyObject *> made
    return made


cdef void ids_drop(IdList *list) noexcept:
    """Give up one use of each node of a list, and the list."""
    while list.n:
        list.n -= 1
        if list.ids[list.n]:
            node_drop(list.ids[list.n])
    PyMem_RawFree(list.ids)


cdef Handle node_copy(Handle handle, object memo):
    """Copy a node: with a memo its whole graph, without one it alone, on the same operands."""
    cdef Handle original
    cdef dict copies = {}
    cdef list handles = []
    cdef IdList made
    cdef IdList held
    cdef node_id new
    if memo is None:
        if node_at(handle.id).op == OP_AFFINE:
            affine_expand(handle.id)  # the copy has the same operands, and they will be seen
        result = instance_of(handle, copy_one(handle.id, copies))
        attributes_copy(handle, result, None)
        return result
    made.ids, made.n, made.capacity = NULL, 0, 0
    held.ids, held.n, held.capacity = NULL, 0, 0
    try:
        for id in reachable(handle.id, &held):
            if made.n % SIGNAL_INTERVAL == 0:
                PyErr_CheckSignals()
            o = handle_slot(<node_id> id)[0]
            original = <Handle> <object> o if o != NULL else None
            if original is not None and id_of(original) in memo:
                copies[id] = (<Handle> memo[id_of(original)]).id
                continue
            ids_append(&made, 0)  # first, so that no failure leaves a copy that nobody owns
            new = copy_one(<node_id> id, copies)
            made.ids[made.n - 1] = new
            copies[id] = new
            if original is None:
                continue
            node_at(new).count += 1
            result = instance_of(original, new)
            handles.append((original, result))
            memo[id_of(original)] = result
    finally:
        ids_drop(&made)  # counted by their users now, or not wanted
        ids_drop(&held)
        handles_settle()
    for original, result in handles:
        attributes_copy(original, result, memo)
        operand_keep(result)
    return memo[id_of(handle)]


cdef object id_of(Handle handle):
    return <size_t> <PyObject *> handle
