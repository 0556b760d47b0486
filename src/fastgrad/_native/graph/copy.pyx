"""Copy: copies of nodes and of graphs.

A graph is copied leaves first, then in the order of creation. For each of its chunks there is a page
that says what of it is reached and which copy stands for what. A signal handler may run anything, so
originals and copies are counted until all is done.
"""

from libc.stdint cimport uint8_t, uint32_t

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from cpython.object cimport PyObject

from fastgrad._native.base.errors cimport described, error_of
from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_with_gil
from fastgrad._native.memory.arena cimport (
    BLOCK, BOOL, Block, CHUNK_LEAVES, CHUNK_MASK, CHUNK_NODES, CHUNK_SHIFT, CLOSURE, EXPANDED, IdList,
    NUMBER, Node, SWEPT, arena, arena_push, arena_push_leaf, block_describe, block_give, block_new,
    block_take, hidden_operand, ids_append, prefetch,
)
from fastgrad._native.graph.engine cimport operand_keep
from fastgrad._native.graph.dot cimport dot_expand
from fastgrad._native.graph.shown cimport operands_shown, shown_op
from fastgrad._native.graph.handle cimport (
    Handle, HandleLayout, Py_TYPE, attributes_of, handle_new, handle_slot, handles_flush, node_at,
    node_drop, node_id, value_type,
)
from fastgrad._native.ops.codes cimport OP_DOT, OP_HIDDEN, OP_LEAF, OP_PYTHON, op_is_row

cdef enum:
    FETCH_AHEAD = 32  # nodes between fetching operands and using them

cdef enum:       # what a page knows of a node; with any of the first two, the node is counted
    REACHED = 1  # part of the graph
    PLACED = 2   # its turn is that of its place: not a hidden node, which comes with its dot node
    MADE = 4     # its copy is counted

ctypedef struct Page:  # of a chunk
    node_id *copies    # 0: none, so the node itself is shared
    uint8_t *states
    uint32_t first     # slots of which something is known lie from here
    uint32_t end       # to before here

ctypedef struct Copies:
    Page *pages        # by chunk; those without memory are empty
    uint32_t capacity
    Poll poll          # by nodes
    IdList stack       # reached, operands not yet


# Pages --------------------------------------------------------------------------------------------

cdef Page *page_of(Copies *copies, uint32_t c) except NULL:
    """Give the page of a chunk, made if there is none yet."""
    cdef uint32_t i
    cdef void *memory
    if c >= copies.capacity:  # a signal handler has made chunks
        memory = PyMem_RawRealloc(copies.pages, arena.used * sizeof(Page))
        if memory == NULL:
            raise MemoryError()
        copies.pages = <Page *> memory
        for i in range(copies.capacity, arena.used):
            copies.pages[i].copies = NULL
        copies.capacity = arena.used
    if copies.pages[c].copies == NULL:
        memory = PyMem_RawCalloc(CHUNK_NODES, sizeof(node_id) + 1)
        if memory == NULL:
            raise MemoryError()
        copies.pages[c].copies = <node_id *> memory
        copies.pages[c].states = <uint8_t *> (<node_id *> memory + CHUNK_NODES)
        copies.pages[c].first, copies.pages[c].end = CHUNK_NODES, 0
    return &copies.pages[c]


cdef inline void note(Page *page, uint32_t slot, uint8_t how) noexcept:
    page.states[slot] |= how
    page.first, page.end = min(page.first, slot), max(page.end, slot + 1)


cdef inline bint has_page(Copies *copies, uint32_t c) noexcept:
    return c < copies.capacity and copies.pages[c].copies != NULL


cdef inline node_id copy_of(Copies *copies, node_id id) noexcept:
    """Give what stands for a node in the copy: itself where it has none."""
    cdef uint32_t c = id >> CHUNK_SHIFT
    return (has_page(copies, c) and copies.pages[c].copies[id & CHUNK_MASK]) or id


cdef void copies_drop(Copies *copies) noexcept:
    """Uncount copies, newest first, as that is the order of their memory; then originals."""
    cdef uint32_t c = arena.newest
    cdef uint32_t i
    while c:
        if has_page(copies, c):
            made_drop(&copies.pages[c])
        c = arena.chunks[c].older
    for c in range(copies.capacity):
        if copies.pages[c].copies != NULL and arena.chunks[c].kind == CHUNK_LEAVES:
            made_drop(&copies.pages[c])
    for c in range(copies.capacity):
        if copies.pages[c].copies == NULL:
            continue
        for i in range(copies.pages[c].first, copies.pages[c].end):
            if copies.pages[c].states[i] & (REACHED | PLACED):
                node_drop(<node_id> (c << CHUNK_SHIFT | i))
        PyMem_RawFree(copies.pages[c].copies)
    PyMem_RawFree(copies.pages)
    PyMem_RawFree(copies.stack.ids)


cdef void made_drop(Page *page) noexcept:
    cdef uint32_t i = page.end
    cdef Node *ahead
    while i > page.first:
        i -= 1
        if i >= page.first + FETCH_AHEAD:
            ahead = node_at(page.copies[i - FETCH_AHEAD])
            if page.copies[i - FETCH_AHEAD] and op_is_row(ahead.op):
                prefetch(node_at(ahead.a))
                prefetch(node_at(ahead.b))
        if page.states[i] & MADE:
            node_drop(page.copies[i])


# What a graph consists of -------------------------------------------------------------------------

cdef int place(Copies *copies, node_id id, uint8_t how) except -1:
    """Note what is known of a node, and count it unless it is."""
    cdef Page *page = page_of(copies, id >> CHUNK_SHIFT)
    if not page.states[id & CHUNK_MASK] & (REACHED | PLACED):
        node_at(id).count += 1
    note(page, id & CHUNK_MASK, how)
    return 0


cdef int reach(Copies *copies, node_id id) except -1:
    """Note a node of the graph; its operands come later."""
    cdef Page *page = page_of(copies, id >> CHUNK_SHIFT)
    cdef Node *node = node_at(id)
    if page.states[id & CHUNK_MASK] & REACHED:
        return 0
    if node.op == OP_LEAF:
        return place(copies, id, REACHED | PLACED)
    ids_append(&copies.stack, id)
    if node.op == OP_HIDDEN:
        place(copies, id, REACHED)
        return place(copies, arena.blocks[node.a].owner, PLACED)
    return place(copies, id, REACHED | PLACED)


cdef int reach_block(Copies *copies, uint32_t index) except -1:
    cdef uint32_t i
    block_take(index)  # a handler may look into a dot node, which gives it other inputs
    try:
        for i in range(arena.blocks[index].size):
            poll_signals(&copies.poll, 1)
            reach(copies, arena.blocks[index].ids[i])
    finally:
        block_give(index)
    return 0


cdef int reach_all(Copies *copies, node_id root) except -1:
    """Note all that a root depends on."""
    cdef IdList *stack = &copies.stack
    cdef Node *node
    cdef node_id a = 0
    cdef node_id b = 0
    reach(copies, root)
    while stack.n:
        poll_signals(&copies.poll, 1)
        stack.n -= 1
        node = node_at(stack.ids[stack.n])
        if node.flags & BLOCK:
            reach_block(copies, node.a)
        elif node.op == OP_DOT and not node.flags & EXPANDED:  # not expanded
            a, b = node.a, node.b
            reach_block(copies, a)
            reach_block(copies, b)
        else:
            operands_shown(node, &a, &b)
            if a:
                reach(copies, a)
            if b:
                reach(copies, b)
    return 0


# Making the copy ----------------------------------------------------------------------------------

cdef uint32_t block_copy(Copies *copies, uint32_t index) except 0:
    """Copy a block of operands for one user; operands without a copy are shared."""
    cdef Block *old = arena.blocks[index]
    cdef uint32_t new = block_new(old.size)
    cdef Block *block = arena.blocks[new]
    cdef uint32_t i
    for i in range(old.size):
        block.ids[i] = copy_of(copies, old.ids[i])
    block_describe(block)
    block_take(new)
    return new


cdef node_id copy_one(Copies *copies, node_id id) except 0:
    """Append a copy of one node, owned by the caller, on the copies of its operands.

    An expanded dot node and its hidden nodes become ordinary nodes.
    """
    cdef Node *node = node_at(id)
    cdef node_id a = 0
    cdef node_id b = 0
    cdef node_id made = 0
    cdef bint hidden = node.op == OP_HIDDEN or node.op == OP_DOT and node.flags & EXPANDED
    cdef int op = shown_op(node) if hidden else node.op
    if op == OP_LEAF:
        made = arena_push_leaf(node.data)
    elif node.flags & BLOCK or op == OP_DOT:
        a = <node_id> block_copy(copies, node.a)
        b = node.b
        try:
            if op == OP_DOT:
                b = <node_id> block_copy(copies, node.b)
            made = arena_push(op, a, b, node.data)
        except BaseException:
            block_give(a)
            if op == OP_DOT and b != node.b:
                block_give(b)
            raise
    else:
        operands_shown(node, &a, &b)
        a, b = copy_of(copies, a), copy_of(copies, b)
        made = arena_push(op, a, b, node.data)
        node_at(a).count += 1
        if b:
            node_at(b).count += 1
    handle_slot(made)[0] = NULL
    node_at(made).grad = node.grad
    node_at(made).flags = node.flags & (BLOCK | NUMBER | BOOL)
    if node.op == OP_PYTHON:
        node_at(made).flags |= node.flags & 0xFF00
    if op == OP_DOT and node.flags & SWEPT:  # so its hidden nodes, once made, have its adjoint
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


cdef Handle memo_get(object memo, Handle original):
    """Give the copy that a memo has of a Value, or None."""
    if original is None or id_of(original) not in memo:
        return None
    known = memo[id_of(original)]
    if not isinstance(known, Handle):
        raise error_of(
            "FastgradTypeError", "a Value as the memo's copy of a Value", described(known),
            "memo of deepcopy", "give it a memo of copies, or none")
    return known


cdef int make_one(Copies *copies, node_id id, object memo, list handles) except -1:
    """Copy a reached node unless the memo has it, and its handle if it has one."""
    cdef Page *page = page_of(copies, id >> CHUNK_SHIFT)
    cdef PyObject *o = handle_slot(id)[0]
    cdef Handle original = <Handle> <object> o if o != NULL else None
    cdef Handle known = memo_get(memo, original)
    cdef node_id new
    if known is None:
        new = copy_one(copies, id)
    else:
        new = known.id
        node_at(new).count += 1
    page.copies[id & CHUNK_MASK] = new
    note(page, id & CHUNK_MASK, MADE)
    if original is not None and known is None:
        node_at(new).count += 1
        result = instance_of(original, new)
        handles.append((original, result))
        memo[id_of(original)] = result
    return 0


cdef int make_chunk(Copies *copies, uint32_t c, object memo, list handles) except -1:
    """Copy what is reached of a chunk; hidden nodes, younger than users of their dot node, with it."""
    cdef uint32_t i
    cdef uint32_t h
    cdef node_id id
    cdef node_id x
    cdef Node *node
    cdef Block *hidden
    cdef uint8_t state
    if not has_page(copies, c):
        return 0
    for i in range(copies.pages[c].first, copies.pages[c].end):
        state = copies.pages[c].states[i]
        if not state & PLACED:
            continue
        poll_signals(&copies.poll, 1)  # here: a handler may look into the node
        id = <node_id> (c << CHUNK_SHIFT | i)
        node = node_at(id)
        if node.op == OP_DOT and node.flags & EXPANDED:
            hidden = arena.blocks[node.b]
            for h in range(hidden.size):
                poll_signals(&copies.poll, 1)
                if not state & REACHED and not is_reached(copies, hidden.ids[h]):
                    continue
                x = hidden_operand(hidden, h, 1)
                if node_at(x).op == OP_LEAF and copy_of(copies, x) == x:
                    make_one(copies, x, memo, handles)  # made since its dot node was reached
                make_one(copies, hidden.ids[h], memo, handles)
        if state & REACHED:
            make_one(copies, id, memo, handles)
    return 0


cdef bint is_reached(Copies *copies, node_id id) noexcept:
    cdef uint32_t c = id >> CHUNK_SHIFT
    return has_page(copies, c) and copies.pages[c].states[id & CHUNK_MASK] & REACHED != 0


cdef int make_all(Copies *copies, object memo, list handles) except -1:
    cdef uint32_t c
    for c in range(copies.capacity):
        if arena.chunks[c].kind == CHUNK_LEAVES:
            make_chunk(copies, c, memo, handles)
    c = arena.newest
    while arena.chunks[c].older:
        c = arena.chunks[c].older
    while c:
        make_chunk(copies, c, memo, handles)
        c = arena.chunks[c].newer
    return 0


cdef Handle one_copy(Handle handle):
    """Copy a node on the same operands, without its attributes."""
    cdef Copies none
    none.pages, none.capacity = NULL, 0
    return instance_of(handle, copy_one(&none, handle.id))


cdef Handle node_copy(Handle handle):
    """Copy a node on the same operands, with the same attributes."""
    if node_at(handle.id).op == OP_DOT:
        dot_expand(handle.id)  # the copy has the same operands, and they will be seen
    result = one_copy(handle)
    attributes_copy(handle, result, None)
    return result


cdef Handle graph_copy(Handle handle, object memo):
    """Copy all that a node depends on, and the attributes of what has a handle.

    Handles in the memo, by address, have been copied already; those copied here join them.
    """
    cdef Handle original
    cdef Handle result
    cdef list handles = []
    cdef Copies copies
    result = memo_get(memo, handle)
    if result is not None:
        return result
    if node_at(handle.id).op == OP_LEAF:
        result = memo[id_of(handle)] = one_copy(handle)
        attributes_copy(handle, result, memo)
        operand_keep(result)
        return result
    copies.pages, copies.capacity, copies.poll = NULL, 0, poll_begin(poll_with_gil)
    copies.stack.ids, copies.stack.n, copies.stack.capacity = NULL, 0, 0
    try:
        reach_all(&copies, handle.id)
        make_all(&copies, memo, handles)
    finally:
        copies_drop(&copies)  # counted by their users now, or not wanted
        handles_flush()
    for original, result in handles:
        attributes_copy(original, result, memo)
        operand_keep(result)
    return memo[id_of(handle)]


cdef object id_of(Handle handle):
    return <size_t> <PyObject *> handle
