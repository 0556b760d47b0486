"""Dot: a neuron's sum of products as one node, and the nodes it stands for.

OP_DOT is ((b + w[0]*x[0]) + w[1]*x[1]) + ..., rounded as micrograd's loop rounds it. Operand a is
the block of inputs, shared by a whole layer; operand b the block of weights, bias last. When it is
expanded (by `_prev`), its hidden nodes are made: micrograd's products and partial sums. They
come later in the arena than their users, so no sweep visits them in turn: the dot node runs them.
"""

from libc.stdint cimport uint32_t

from fastgrad._native.base.errors cimport error_of
from fastgrad._native.memory.arena cimport (
    Block, BLOCK_LIMIT, EXPANDED, NUMBER, Node, SWEPT, arena, arena_push, arena_push_leaf,
    block_describe, block_give, block_new, block_take, handle_slot,
    node_at, node_id,
)
from fastgrad._native.ops.codes cimport OP_ADD, OP_DOT, OP_HIDDEN, OP_LEAF, OP_MUL


cdef node_id dot_push(uint32_t inputs, uint32_t weights) except 0:
    """Append a dot with one owner, the caller; dot_evaluate then gives it its data."""
    cdef node_id id = arena_push(OP_DOT, <node_id> inputs, <node_id> weights, 0.0)
    handle_slot(id)[0] = NULL
    block_take(inputs)
    block_take(weights)
    return id


cdef double dot_value(Block *xs, Block *ws) noexcept:
    cdef uint32_t i
    cdef double y = node_at(ws.ids[xs.size]).data
    if xs.run != NULL and ws.run != NULL:
        for i in range(xs.size):
            y += ws.run[i].data * xs.run[i].data
    else:
        for i in range(xs.size):
            y += node_at(ws.ids[i]).data * node_at(xs.ids[i]).data
    return y


cdef void dot_evaluate(const node_id *ids, uint32_t n) noexcept:
    """Compute dots of the same inputs.

    Each sum waits for its own last addition; so where weights lie side by side, four run abreast.
    """
    cdef Block *xs = arena.blocks[node_at(ids[0]).a]
    cdef Block *ws[4]
    cdef double y0, y1, y2, y3, x
    cdef uint32_t i
    cdef uint32_t k = 0
    cdef uint32_t j
    while k < n:
        for j in range(min(<uint32_t> 4, n - k)):
            ws[j] = arena.blocks[node_at(ids[k + j]).b]
        if n - k < 4 or xs.run == NULL or not (ws[0].run and ws[1].run and ws[2].run and ws[3].run):
            node_at(ids[k]).data = dot_value(xs, ws[0])
            k += 1
            continue
        y0, y1 = ws[0].run[xs.size].data, ws[1].run[xs.size].data
        y2, y3 = ws[2].run[xs.size].data, ws[3].run[xs.size].data
        for i in range(xs.size):
            x = xs.run[i].data
            y0 += ws[0].run[i].data * x
            y1 += ws[1].run[i].data * x
            y2 += ws[2].run[i].data * x
            y3 += ws[3].run[i].data * x
        node_at(ids[k]).data, node_at(ids[k + 1]).data = y0, y1
        node_at(ids[k + 2]).data, node_at(ids[k + 3]).data = y2, y3
        k += 4


cdef inline bint is_number(Node *node) noexcept:
    """Tell whether a leaf was made from a plain number and has never been seen from Python."""
    return node.op == OP_LEAF and node.flags & NUMBER


cdef uint32_t inputs_separate(Node *node) except 0:
    """Give a dot node inputs where each plain number is a leaf of its own, as micrograd has it.

    A layer makes one leaf per number and shares it among its neurons; nobody can tell until they
    are shown. Returns a block that no node uses yet, or the old one if nothing was shared.
    """
    cdef Block *xs = arena.blocks[node.a]
    cdef Block *ws = arena.blocks[node.b]
    cdef Block *own
    cdef uint32_t index = 0
    cdef uint32_t i
    cdef node_id id
    cdef bint shared = False
    for i in range(xs.size):
        if is_number(node_at(xs.ids[i])):
            shared = True
    if not shared:
        return node.a
    index = block_new(xs.size)
    own = arena.blocks[index]
    for i in range(xs.size):
        own.ids[i] = xs.ids[i]
    own.refs = 1  # counts its ids one by one below, so that `block_give` undoes exactly that
    own.size = 0
    try:
        for i in range(xs.size):
            id = xs.ids[i]
            if is_number(node_at(id)):
                id = arena_push_leaf(node_at(id).data)
                handle_slot(id)[0] = NULL
                node_at(id).flags |= NUMBER
                if node.flags & SWEPT:
                    node_at(id).grad = node_at(ws.ids[i]).data * node.grad
            else:
                node_at(id).count += 1
            own.ids[i] = id
            own.size = i + 1
    except BaseException:
        arena.block_bytes -= (xs.size - own.size) * sizeof(node_id)
        block_give(index)
        raise
    block_describe(own)
    return index


cdef int dot_expand(node_id id) except -1:
    """Make the hidden nodes of a dot node; their adjoints are its own if it was swept before."""
    cdef Node *node = node_at(id)
    cdef Block *xs
    cdef Block *ws
    cdef Block *hidden
    cdef double grad, product, total
    cdef uint32_t n, i, index, inputs
    cdef node_id made
    if node.flags & EXPANDED:
        return 0
    inputs = inputs_separate(node)
    xs, ws = arena.blocks[inputs], arena.blocks[node.b]
    n = xs.size
    try:
        if 2 * n > BLOCK_LIMIT:
            raise error_of(
                "FastgradOverflowError", f"a neuron of at most {BLOCK_LIMIT // 2} inputs", f"{n}",
                "what is looked into, or swept twice")
        index = block_new(2 * n - 1)
    except BaseException:
        if inputs != node.a:
            block_give(inputs)
        raise
    hidden = arena.blocks[index]
    hidden.refs, hidden.size = 1, 0
    grad = node.grad if node.flags & SWEPT else 0.0
    total = node_at(ws.ids[n]).data
    try:
        for i in range(2 * n - 1):
            if i % 2 == 0:
                product = node_at(ws.ids[i // 2]).data * node_at(xs.ids[i // 2]).data
                made = arena_push(OP_HIDDEN, <node_id> index, <node_id> i, product)
            else:
                total += node_at(hidden.ids[i - 1]).data
                made = arena_push(OP_HIDDEN, <node_id> index, <node_id> i, total)
            handle_slot(made)[0] = NULL
            node_at(made).grad = grad
            node_at(made).flags = (OP_ADD if i % 2 else OP_MUL) << 8
            hidden.ids[i] = made
            hidden.size = i + 1
    except BaseException:
        arena.block_bytes -= (2 * n - 1 - hidden.size) * sizeof(node_id)
        block_give(index)
        if inputs != node.a:
            block_give(inputs)
        raise
    hidden.owner, hidden.under = id, node.b
    if inputs != node.a:  # the new block already counts this node as its user
        block_give(node.a)
        node.a = <node_id> inputs
    node.b = <node_id> index
    if node.flags & SWEPT:
        node.flags &= ~SWEPT
        arena.swept -= 1
    node.flags |= EXPANDED
    arena.edits += 1
    return 0
