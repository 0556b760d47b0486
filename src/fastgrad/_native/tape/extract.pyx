"""Extract: from the arena's nodes to the list of operations that a tape is built from.

Two walks. Backwards from the outputs, as a sweep goes, every node that they need is marked; then, in
the order of creation, each becomes an operation whose operands name leaves or earlier operations. A
leaf that somebody still holds when the function has returned is a parameter, any other a constant.

Every so often the walks let signal handlers run. Whatever these do, the outputs keep alive what the
walk has marked and is about to; only where a node has been edited does all begin anew.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t

from libc.math cimport isfinite
from libc.string cimport memset

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from cpython.object cimport PyObject

from fastgrad._native.base.errors cimport described, error_of, shown
from fastgrad._native.base.poll cimport (
    POLL_INTERVAL, Poll, poll_begin, poll_is_due, poll_now, poll_with_gil,
)
from fastgrad._native.memory.arena cimport (
    Block, CHUNK_MASK, CHUNK_NODES, CHUNK_SHIFT, CLOSURE, EXPANDED, Node, PINNED, arena,
    chunk_filled, handle_slot, node_at, node_id,
)
from fastgrad._native.graph.handle cimport Handle, is_handle
from fastgrad._native.graph.recording cimport source_of
from fastgrad._native.ops.codes cimport (
    OP_ADD, OP_CUSTOM, OP_DOT, OP_HIDDEN, OP_LEAF, OP_LINEAR, OP_MUL, OP_PYTHON, op_counted,
    op_has_block,
)
from fastgrad._native.tape.header cimport (
    LEAF_CONSTANT, LEAF_INPUT, LEAF_PARAMETER, NO_SLOT, RECORD_LEAF, Recording, TapeOp,
)

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *o)

ctypedef struct Walk:
    uint32_t **place     # per chunk, per slot: 0 not needed; 1 needed; later 1 + number of operation
    uint32_t n_chunks    # length of `place`: signal handlers may open chunks beyond
    uint32_t first       # chunk that has places; the next one stands behind its places
    uint32_t pending     # marked operations not met yet
    uint32_t marked      # operations that are to be emitted
    node_id *leaves
    uint32_t n_leaves
    uint32_t capacity
    uint32_t n_ops
    uint32_t n_terms
    uint32_t n_constants   # of linear and custom operations: leaves of the tape that come after the arena's
    int64_t interval     # between polls: POLL_INTERVAL, and more if it has begun anew
    PyObject *customs    # Recorded.customs
    Poll poll            # by slots, operands and leaves
    uint64_t edits       # of the arena, when the walk began


class Edited(Exception):
    """A signal handler has made something else of a node, perhaps one that is marked."""


cdef inline int poll_walk(Walk *walk, uint32_t done) except -1:
    """Poll signals every so often; handlers may do anything, so reload `base` afterwards."""
    if poll_is_due(&walk.poll, done):
        walk.poll.left = walk.interval
        poll_now(&walk.poll)
        if arena.edits != walk.edits:
            raise Edited()
    return 0


cdef inline bint has_marked(Walk *walk, uint32_t c) noexcept:
    return c < walk.n_chunks and walk.place[c] != NULL


cdef inline uint32_t *place_of(Walk *walk, node_id id) except NULL:
    cdef uint32_t c = id >> CHUNK_SHIFT
    if walk.place[c] == NULL:
        walk.place[c] = <uint32_t *> PyMem_RawCalloc(CHUNK_NODES + 1, sizeof(uint32_t))
        if walk.place[c] == NULL:
            raise MemoryError()
        walk.place[c][CHUNK_NODES] = walk.first
        walk.first = c
    return walk.place[c] + (id & CHUNK_MASK)


cdef int leaf_add(Walk *walk, node_id id) except -1:
    cdef void *moved
    if walk.n_leaves == walk.capacity:
        moved = PyMem_RawRealloc(walk.leaves, (2 * walk.capacity + 64) * sizeof(node_id))
        if moved == NULL:
            raise MemoryError()
        walk.leaves, walk.capacity = <node_id *> moved, 2 * walk.capacity + 64
    walk.leaves[walk.n_leaves] = id
    walk.n_leaves += 1
    return 0


cdef int need(Walk *walk, node_id id) except -1:
    """Mark a node; a hidden one by its owner, which is older than every user of it."""
    cdef Node *node = node_at(id)
    if node.op == OP_HIDDEN:
        id = arena.blocks[node.a].owner
        node = node_at(id)
    cdef uint32_t *place = place_of(walk, id)
    if place[0]:
        return 0
    if node.op == OP_LEAF:
        if node.flags & CLOSURE:
            refuse()
        leaf_add(walk, id)
        place[0] = walk.n_leaves
    else:
        place[0] = 1
        walk.pending += 1
        walk.marked += 1
    return 0


cdef int need_block(Walk *walk, Block *block) except -1:
    cdef uint32_t i
    for i in range(block.size):
        need(walk, block.ids[i])
    return 0


cdef int refuse() except -1:
    """Raise for what has no rule."""
    raise error_of(
        "TapeError", "operations of the table or of fastgrad.custom",
        "a node with a backward step in Python (`_backward`, or `Value(data, operands)`)",
        "function given to record",
        "write it with the operations of fastgrad.functional, or as an operation of fastgrad.custom")


cdef int need_custom(Walk *walk, Node *node) except -1:
    """Note a custom operation: which one of the tape's it is."""
    cdef dict customs = <dict> <object> walk.customs
    customs.setdefault(node.b, len(customs))
    need_block(walk, arena.blocks[node.a])
    walk.n_terms += arena.blocks[node.a].size + 1
    walk.n_constants += 1
    walk.n_ops += 1
    return poll_walk(walk, arena.blocks[node.a].size)


cdef int need_linear(Walk *walk, Node *node) except -1:
    """Mark the operands of a node of given partials, and count what it is on a tape."""
    cdef Block *block = arena.blocks[node.a]
    cdef uint32_t n = block.size // 2
    cdef uint32_t i
    cdef double x, partial
    for i in range(n):
        x, partial = node_at(block.ids[i]).data, node_at(block.ids[n + i]).data
        if not (isfinite(x) and isfinite(partial)):
            raise error_of(
                "TapeError", "finite operands and derivatives", f"derivative {partial!r} at {x!r}",
                "Value(data, operands, local_grads) in the function given to record",
                "write it with the operations of fastgrad.functional")
        need(walk, block.ids[i])
    walk.n_ops += 3 * n + 1
    walk.n_constants += 2 * n + 2
    poll_walk(walk, n)
    return 0


cdef int need_operands(Walk *walk, Node *node) except -1:
    """Mark the operands of a node, which may be many: let signal handlers run then."""
    cdef Block *weights
    if node.flags & CLOSURE or node.op == OP_PYTHON:
        refuse()
    if node.op == OP_LINEAR:
        need_linear(walk, node)
    elif node.op == OP_CUSTOM:
        need_custom(walk, node)
    elif op_has_block(node.op):
        need_block(walk, arena.blocks[node.a])
        walk.n_terms += arena.blocks[node.a].size
        walk.n_ops += 1
        poll_walk(walk, arena.blocks[node.a].size)
    elif node.op == OP_DOT:
        weights = arena.blocks[arena.blocks[node.b].under if node.flags & EXPANDED else node.b]
        need_block(walk, arena.blocks[node.a])
        need_block(walk, weights)
        walk.n_terms += 0 if node.flags & EXPANDED else 2 * weights.size - 1
        walk.n_ops += 2 * weights.size - 2 if node.flags & EXPANDED else 1
        poll_walk(walk, 2 * weights.size)
    else:
        need(walk, node.a)
        if node.b:
            need(walk, node.b)
        walk.n_ops += 1
    return 0


cdef uint32_t walk_back(Walk *walk) except? 0:
    """Mark all that marked operations need, and give the oldest chunk that holds one."""
    cdef uint32_t c = arena.newest
    cdef uint32_t oldest = c
    cdef uint32_t slot
    while walk.pending and c:
        oldest = c
        if has_marked(walk, c):
            slot = chunk_filled(c)
            while slot and walk.pending:
                slot -= 1
                if walk.place[c][slot]:
                    walk.pending -= 1
                    need_operands(walk, arena.base[c] + slot)
                poll_walk(walk, 1)
        c = arena.chunks[c].older
    return oldest


# Emission -----------------------------------------------------------------------------------------

cdef inline uint32_t reference(Walk *walk, node_id id) noexcept:
    """Name an operand, a leaf or an operation emitted before."""
    cdef uint32_t place = walk.place[id >> CHUNK_SHIFT][id & CHUNK_MASK] - 1
    return place | RECORD_LEAF if node_at(id).op == OP_LEAF else place


cdef inline void emit(Recording *raw, int op, uint32_t a, uint32_t b, uint32_t source) noexcept:
    cdef TapeOp *made = &raw.ops[raw.n_ops]
    made.op, made.a, made.b = op, a, b
    raw.sources[raw.n_ops] = source
    raw.n_ops += 1


cdef void emit_terms(Walk *walk, Recording *raw, Block *block) noexcept:
    cdef uint32_t i
    for i in range(block.size):
        raw.terms[raw.n_terms] = reference(walk, block.ids[i])
        raw.n_terms += 1


cdef int emit_expanded(Walk *walk, Recording *raw, node_id id, uint32_t source) except -1:
    """Emit a neuron whose hidden nodes exist, so that they can be operands; its own sum comes last."""
    cdef Node *node = node_at(id)
    cdef Block *hidden = arena.blocks[node.b]
    cdef Block *xs = arena.blocks[node.a]
    cdef Block *ws = arena.blocks[hidden.under]
    cdef uint32_t n = xs.size
    cdef uint32_t total = reference(walk, ws.ids[n])
    cdef uint32_t i
    for i in range(n):
        emit(raw, OP_MUL, reference(walk, ws.ids[i]), reference(walk, xs.ids[i]), source)
        if 2 * i < hidden.size:
            place_of(walk, hidden.ids[2 * i])[0] = raw.n_ops
        emit(raw, OP_ADD, total, raw.n_ops - 1, source)
        if 2 * i + 1 < hidden.size:
            place_of(walk, hidden.ids[2 * i + 1])[0] = raw.n_ops
        total = raw.n_ops - 1
    return 0


cdef uint32_t constant(Walk *walk, Recording *raw, double value) noexcept:
    """Add a constant that no node of the arena holds; give its name as an operand."""
    cdef uint32_t leaf = raw.n_leaves
    raw.leaf_kind[leaf], raw.leaf_value[leaf] = LEAF_CONSTANT, value
    raw.n_leaves += 1
    return leaf | RECORD_LEAF


cdef void emit_linear(Walk *walk, Recording *raw, Node *node, uint32_t source) noexcept:
    """Emit a node of given partials as what they are the derivatives of: y + da * (a - a0) + ...

    At the example that is y exactly, and of a sum it is the sum; of all else, its tangent there.
    """
    cdef Block *block = arena.blocks[node.a]
    cdef uint32_t n = block.size // 2
    cdef uint32_t total = constant(walk, raw, node.data)
    cdef uint32_t i
    emit(raw, OP_ADD, total, constant(walk, raw, -0.0), source)
    for i in range(n):
        total = raw.n_ops - 1
        emit(raw, OP_ADD, reference(walk, block.ids[i]),
             constant(walk, raw, -node_at(block.ids[i]).data), source)
        emit(raw, OP_MUL, constant(walk, raw, node_at(block.ids[n + i]).data), raw.n_ops - 1, source)
        emit(raw, OP_ADD, total, raw.n_ops - 1, source)


cdef int emit_node(Walk *walk, Recording *raw, node_id id) except -1:
    cdef Node *node = node_at(id)
    cdef uint32_t source = source_of(id)
    cdef uint32_t start = raw.n_terms
    cdef Block *xs
    cdef Block *ws
    cdef uint32_t i
    if node.op == OP_DOT:
        if node.flags & EXPANDED:
            return emit_expanded(walk, raw, id, source)
        xs, ws = arena.blocks[node.a], arena.blocks[node.b]
        raw.terms[start] = reference(walk, ws.ids[xs.size])
        for i in range(xs.size):
            raw.terms[start + 1 + 2 * i] = reference(walk, ws.ids[i])
            raw.terms[start + 2 + 2 * i] = reference(walk, xs.ids[i])
        raw.n_terms += 1 + 2 * xs.size
        emit(raw, OP_DOT, start, xs.size, source)
    elif node.op == OP_LINEAR:
        emit_linear(walk, raw, node, source)
    elif node.op == OP_CUSTOM:
        raw.terms[start] = constant(walk, raw, (<dict> <object> walk.customs)[node.b])
        raw.n_terms += 1
        emit_terms(walk, raw, arena.blocks[node.a])
        emit(raw, OP_CUSTOM, start, arena.blocks[node.a].size, source)
    elif op_has_block(node.op):
        emit_terms(walk, raw, arena.blocks[node.a])
        emit(raw, node.op, start, op_counted(node.op, arena.blocks[node.a].size), source)
    else:
        emit(raw, node.op, reference(walk, node.a), reference(walk, node.b if node.b else node.a), source)
    return 0


cdef int walk_forth(Walk *walk, Recording *raw, uint32_t oldest) except -1:
    """Emit the marked operations in the order of creation."""
    cdef uint32_t c = oldest
    cdef uint32_t slot, terms
    while walk.marked and c:
        slot = 0
        while has_marked(walk, c) and slot < CHUNK_NODES:
            if walk.place[c][slot] == 1 and arena.base[c][slot].op != OP_HIDDEN:
                terms = raw.n_terms
                emit_node(walk, raw, <node_id> (c << CHUNK_SHIFT | slot))
                walk.place[c][slot] = raw.n_ops  # 1 + the number of its (last) operation
                walk.marked -= 1
                poll_walk(walk, raw.n_terms - terms)
            poll_walk(walk, 1)
            slot += 1
        c = arena.chunks[c].newer
    return 0


cdef bint is_held(node_id id, Py_ssize_t own_references) noexcept:
    """Tell whether the handle of a leaf has references besides the graph's and our own."""
    cdef PyObject *handle = handle_slot(id)[0]
    return handle != NULL and Py_REFCNT(handle) > own_references + (1 if node_at(id).flags & PINNED else 0)


cdef class Recorded:
    """A recording, and the Values that are its parameters."""

    def __dealloc__(self):
        PyMem_RawFree(self.raw.ops)
        PyMem_RawFree(self.raw.sources)
        PyMem_RawFree(self.raw.leaf_kind)
        PyMem_RawFree(self.raw.leaf_value)
        PyMem_RawFree(self.raw.leaf_slot)
        PyMem_RawFree(self.raw.terms)
        PyMem_RawFree(self.raw.outputs)


cdef int take_memory(Recorded recorded, Walk *walk, Py_ssize_t n_outputs) except -1:
    cdef Recording *raw = &recorded.raw
    raw.ops = <TapeOp *> PyMem_RawCalloc(walk.n_ops + 1, sizeof(TapeOp))
    raw.sources = <uint32_t *> PyMem_RawCalloc(walk.n_ops + 1, sizeof(uint32_t))
    raw.n_leaves = walk.n_leaves
    raw.leaf_kind = <uint8_t *> PyMem_RawCalloc(walk.n_leaves + walk.n_constants + 1, 1)
    raw.leaf_value = <double *> PyMem_RawCalloc(
        walk.n_leaves + walk.n_constants + 1, sizeof(double))
    raw.leaf_slot = <uint32_t *> PyMem_RawCalloc(
        walk.n_leaves + walk.n_constants + 1, sizeof(uint32_t))
    raw.terms = <uint32_t *> PyMem_RawCalloc(walk.n_terms + 1, sizeof(uint32_t))
    raw.outputs = <uint32_t *> PyMem_RawCalloc(n_outputs + 1, sizeof(uint32_t))
    if (raw.ops == NULL or raw.sources == NULL or raw.leaf_kind == NULL or raw.leaf_value == NULL
            or raw.leaf_slot == NULL or raw.terms == NULL or raw.outputs == NULL):
        raise MemoryError()
    return 0


cdef int need_fixed(Walk *walk, object value) except -1:
    """Mark a parameter that the caller has named: a leaf that is no input, once."""
    cdef uint32_t before = walk.n_leaves
    where, remedy = "parameters of record", "give those of a model, model.parameters()"
    if not is_handle(value):
        raise error_of("FastgradTypeError", "Values", described(value), where, remedy)
    if node_at((<Handle> value).id).op != OP_LEAF:
        raise error_of(
            "FastgradTypeError", "leaves, made of numbers", f"{shown(value)}, the result of an operation",
            where, remedy)
    need(walk, (<Handle> value).id)
    if walk.n_leaves == before:
        raise error_of("FastgradValueError", "each Value once", f"{shown(value)} twice", where)
    return 0


cdef int describe_leaves(Recorded recorded, Walk *walk, Py_ssize_t n_inputs, tuple fixed) except -1:
    cdef uint32_t i
    cdef node_id id
    cdef uint32_t *own_references = recorded.raw.leaf_slot  # to a leaf, by the outputs' list and tuple
    for i in range(recorded.raw.n_outputs):
        if recorded.raw.outputs[i] & RECORD_LEAF:
            own_references[recorded.raw.outputs[i] & ~(<uint32_t> RECORD_LEAF)] += 2
    for i in range(walk.n_leaves):
        poll_walk(walk, 1)
        if arena.edits != walk.edits:  # by a finaliser: objects are made here
            raise Edited()
        id = walk.leaves[i]
        recorded.raw.leaf_value[i] = node_at(id).data
        if i < n_inputs:
            recorded.raw.leaf_kind[i], recorded.raw.leaf_slot[i] = LEAF_INPUT, i
        elif i < n_inputs + len(fixed):
            recorded.raw.leaf_kind[i], recorded.raw.leaf_slot[i] = LEAF_PARAMETER, i - n_inputs
            recorded.parameters.append(fixed[i - n_inputs])
        elif is_held(id, own_references[i]):
            recorded.raw.leaf_kind[i], recorded.raw.leaf_slot[i] = LEAF_PARAMETER, NO_SLOT
            recorded.parameters.append(<object> handle_slot(id)[0])
        else:
            recorded.raw.leaf_kind[i] = LEAF_CONSTANT
    return 0


cdef int expect_node(Handle handle) except -1:
    if handle is None:
        raise error_of("FastgradTypeError", "Values", "None", "inputs and outputs of a tape")
    return 0


cdef Recorded extract(tuple inputs, tuple outputs, tuple fixed, int64_t interval):
    """Walk back and forth once; raises Edited if a signal handler has edited the graph."""
    cdef Recorded recorded = Recorded.__new__(Recorded)
    cdef Walk walk
    cdef Handle handle
    cdef uint32_t oldest, c
    recorded.parameters, recorded.customs = [], {}
    recorded.raw.n_fixed = <uint32_t> len(fixed)
    memset(&walk, 0, sizeof(walk))
    walk.customs = <PyObject *> recorded.customs
    walk.poll, walk.edits = poll_begin(poll_with_gil), arena.edits
    walk.poll.left = walk.interval = interval
    walk.n_chunks = arena.capacity
    walk.place = <uint32_t **> PyMem_RawCalloc(walk.n_chunks, sizeof(uint32_t *))
    if walk.place == NULL:
        raise MemoryError()
    try:
        for handle in inputs:
            expect_node(handle)
            need(&walk, handle.id)
            poll_walk(&walk, 1)
        for value in fixed:
            need_fixed(&walk, value)
            poll_walk(&walk, 1)
        for handle in outputs:
            expect_node(handle)
            need(&walk, handle.id)
            poll_walk(&walk, 1)
        oldest = walk_back(&walk)
        take_memory(recorded, &walk, len(outputs))
        walk_forth(&walk, &recorded.raw, oldest)
        for handle in outputs:
            recorded.raw.outputs[recorded.raw.n_outputs] = reference(&walk, handle.id)
            recorded.raw.n_outputs += 1
            poll_walk(&walk, 1)
        handle = None
        describe_leaves(recorded, &walk, len(inputs), fixed)
    finally:
        while walk.first:
            c = walk.first
            walk.first = walk.place[c][CHUNK_NODES]
            PyMem_RawFree(walk.place[c])
        PyMem_RawFree(walk.place)
        PyMem_RawFree(walk.leaves)
    return recorded


cdef Recorded record_graph(list inputs, list outputs, tuple fixed):
    """Extract what some nodes need; inputs are leaves, in the order of their slots.

    So are `fixed`, the first of the parameters, needed or not.
    """
    cdef tuple first = tuple(inputs)  # copies, which signal handlers cannot change
    cdef tuple last = tuple(outputs)
    cdef int64_t interval = POLL_INTERVAL
    while True:
        try:
            return extract(first, last, fixed, interval)
        except Edited:
            interval *= 2  # so that it comes to an end, whatever the handlers do
