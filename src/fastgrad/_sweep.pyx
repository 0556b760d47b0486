"""Sweep: adjoints in reverse creation order.

Layer: above _arena and _fused. Cimports them and _ops.

Operands are older than what uses them, so walking the arena backwards from the root meets each node
after all its users. A node is reached when a user has set its mark; `pending` counts marks that are
set and not yet met, so a sweep ends with the graph and not with the arena. Each sweep in flight (a
callback may start another) has its own bit of the marks.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from cpython.exc cimport PyErr_CheckSignals

from fastgrad._arena cimport (
    BLOCK, Block, CHUNK_MASK, CHUNK_NODES, CHUNK_SHIFT, CLOSURE, EXPANDED, Node, SWEPT,
    arena, hidden_operand, likely, node_at, node_drop, node_id,
    unlikely,
)
from fastgrad._fused cimport affine_expand
from fastgrad._ops cimport (
    OP_ADD, OP_AFFINE, OP_CUSTOM, OP_HIDDEN, OP_LEAF, OP_MUL, OP_OK, OP_PYTHON,
    op_has_parameter, op_partials, op_singular_text,
)

cdef enum:
    DEPTH_LIMIT = 4
    REACHED_HIDDEN = 4      # shift from a sweep's bit to "only hidden nodes of it were reached"
    SIGNAL_INTERVAL = 65536  # nodes between looks at pending signals

ctypedef struct Sweep:
    uint8_t bit
    int64_t pending
    python_step step


cdef inline void reach(Sweep *sweep, node_id id, Node *node) noexcept:
    """Mark an operand; leaves carry all marks for good, so they are never waited for."""
    sweep.pending += not node.mark & sweep.bit
    node.mark |= sweep.bit
    arena.marked[id >> CHUNK_SHIFT] |= sweep.bit


# One node's step --------------------------------------------------------------------------------------

cdef int raise_singular(Node *node) except -1:
    text = op_singular_text(node.op).decode()
    raise ZeroDivisionError(f"{text} (backward of Value(data={node.data!r}))")


cdef inline int table_step(Node *node, Node *a, Node *b) except -1:
    """Add a table operation's partials times its adjoint into its operands."""
    cdef double da = 0.0
    cdef double db = 0.0
    if unlikely(op_partials(node.op, a.data, b.data, node.data, &da, &db) != OP_OK):
        raise_singular(node)
    a.grad += da * node.grad
    if node.b and not op_has_parameter[node.op]:
        b.grad += db * node.grad
    return 0


cdef void affine_step(Sweep *sweep, Node *node) noexcept:
    """Run a fused neuron backwards: last product first, as its hidden nodes would."""
    cdef Block *xs = arena.blocks[node.a]
    cdef Block *ws = arena.blocks[node.b]
    cdef double grad = node.grad
    cdef Node *w
    cdef Node *x
    cdef uint32_t n = xs.size
    cdef uint32_t i = n
    if ws.run != NULL and xs.run != NULL:
        w, x = ws.run + n, xs.run + n
        while w != ws.run:
            w -= 1
            x -= 1
            w.grad += x.data * grad
            x.grad += w.data * grad
    else:
        while i:
            i -= 1
            w, x = node_at(ws.ids[i]), node_at(xs.ids[i])
            w.grad += x.data * grad
            x.grad += w.data * grad
    node_at(ws.ids[n]).grad += grad
    if not xs.leaves:
        for i in range(n):
            reach(sweep, xs.ids[i], node_at(xs.ids[i]))
    if not ws.leaves:
        for i in range(n + 1):
            reach(sweep, ws.ids[i], node_at(ws.ids[i]))


cdef int local_step(node_id id, python_step step) except -1:
    """Run one node backwards without marking anything; fused nodes must be expanded."""
    cdef Node *node = node_at(id)
    cdef Block *hidden
    cdef node_id a = node.a
    cdef node_id b = node.b
    cdef int op = node.op
    if op == OP_PYTHON or op == OP_CUSTOM or node.flags & CLOSURE:
        return step(id)
    if op == OP_LEAF:
        return 0
    if op == OP_AFFINE:
        hidden = arena.blocks[b]
        a = affine_partial_sum(hidden)
        b = hidden.ids[hidden.size - 1]
        op = OP_ADD
    elif op == OP_HIDDEN:
        hidden = arena.blocks[a]
        a, b = hidden_operand(hidden, node.b, 0), hidden_operand(hidden, node.b, 1)
        op = node.flags >> 8
    if op == OP_ADD:
        node_at(a).grad += node.grad
        node_at(b).grad += node.grad
    elif op == OP_MUL:
        node_at(a).grad += node_at(b).data * node.grad
        node_at(b).grad += node_at(a).data * node.grad
    else:
        table_step(node, node_at(a), node_at(b if b else a))
    return 0


cdef inline node_id affine_partial_sum(Block *hidden) noexcept:
    """Give the first operand of a fused node as it is shown: a partial sum, or the bias alone."""
    cdef Block *weights = arena.blocks[hidden.under]
    return hidden.ids[hidden.size - 2] if hidden.size > 1 else weights.ids[weights.size - 1]


cdef int sweep_step(node_id id, python_step step) except -1:
    """Run one node backwards, as `v._backward()` does by hand."""
    if node_at(id).op == OP_AFFINE:
        affine_expand(id)
    return local_step(id, step)


# Reaching operands without running --------------------------------------------------------------------

cdef void reach_block(Sweep *sweep, Block *block) noexcept:
    cdef uint32_t i
    for i in range(block.size):
        reach(sweep, block.ids[i], node_at(block.ids[i]))


cdef void reach_operands(Sweep *sweep, Node *node) noexcept:
    """Mark the operands of any node but a hidden one."""
    if node.flags & BLOCK:
        reach_block(sweep, arena.blocks[node.a])
    elif node.op == OP_AFFINE:
        reach_block(sweep, arena.blocks[node.a])
        reach_block(sweep, arena.blocks[arena.blocks[node.b].under if node.flags & EXPANDED else node.b])
    else:
        if node.a:
            reach(sweep, node.a, node_at(node.a))
        if node.b:
            reach(sweep, node.b, node_at(node.b))


cdef void hidden_reach(Sweep *sweep, Node *node) noexcept:
    """Have the owner of a hidden node met in its own turn; the hidden node keeps its mark."""
    cdef node_id owner = arena.blocks[node.a].owner
    cdef Node *fused = node_at(owner)
    cdef uint8_t both = sweep.bit | sweep.bit << REACHED_HIDDEN
    sweep.pending += not fused.mark & both
    fused.mark |= sweep.bit << REACHED_HIDDEN
    arena.marked[owner >> CHUNK_SHIFT] |= sweep.bit


cdef int expanded_step(Sweep *sweep, node_id id, bint reached) except -1:
    """Run a fused node through its hidden nodes, which have their turn here."""
    cdef Node *node = node_at(id)
    cdef Block *hidden = arena.blocks[node.b]
    cdef Node *part
    cdef node_id a
    cdef node_id b
    cdef uint32_t i = hidden.size
    if reached:
        local_step(id, sweep.step)
        a = affine_partial_sum(hidden)
        node_at(hidden.ids[hidden.size - 1]).mark |= sweep.bit
        if hidden.size > 1:
            node_at(a).mark |= sweep.bit
        else:
            reach(sweep, a, node_at(a))
    while i:
        i -= 1
        part = node_at(hidden.ids[i])
        if not part.mark & sweep.bit:
            continue
        part.mark &= ~sweep.bit
        local_step(hidden.ids[i], sweep.step)
        a, b = hidden_operand(hidden, i, 0), hidden_operand(hidden, i, 1)
        if i % 2 == 0:
            reach(sweep, a, node_at(a))
            reach(sweep, b, node_at(b))
            continue
        node_at(b).mark |= sweep.bit
        if i > 1:
            node_at(a).mark |= sweep.bit
        else:
            reach(sweep, a, node_at(a))
    return 0


# The walk ---------------------------------------------------------------------------------------------

cdef void sweep_abandon(Sweep *sweep) noexcept:
    """Clear what marks a sweep has left behind."""
    cdef uint8_t keep = ~(sweep.bit | sweep.bit << REACHED_HIDDEN)
    cdef uint32_t c = arena.newest
    cdef uint32_t i
    while c:
        arena.marked[c] &= keep
        for i in range(CHUNK_NODES):
            arena.base[c][i].mark &= keep
        c = arena.chunks[c].older


cdef inline int structure_visit(Sweep *sweep, node_id id, Node *node, bint reached) except -1:
    """Run a node that is no row of the table."""
    if node.op == OP_HIDDEN:
        node.mark |= sweep.bit
        hidden_reach(sweep, node)
    elif node.op != OP_AFFINE:
        sweep.step(id)
        reach_operands(sweep, node)
    elif node.flags & EXPANDED:
        expanded_step(sweep, id, reached)
    else:
        if not node.flags & SWEPT:
            node.flags |= SWEPT
            arena.swept += 1
        affine_step(sweep, node)
    return 0


cdef int walk(Sweep *sweep, node_id root) except -1:
    """Visit every reached operation, newest first."""
    cdef uint8_t bit = sweep.bit
    cdef uint8_t hidden_bit = bit << REACHED_HIDDEN
    cdef uint32_t c = root >> CHUNK_SHIFT
    cdef int64_t budget = SIGNAL_INTERVAL
    cdef Node **base = arena.base
    cdef uint8_t *marked = arena.marked
    cdef int64_t pending = 1
    cdef Node *nodes
    cdef Node *node = node_at(root)
    cdef Node *a
    cdef Node *b
    cdef double grad
    cdef uint8_t mark
    node.mark |= bit
    marked[c] |= bit
    while True:
        if marked[c] & bit:
            nodes = base[c]
            while pending and node >= nodes:
                mark = node.mark
                if not mark & (bit | hidden_bit):
                    node -= 1
                    continue
                node.mark = mark & ~(bit | hidden_bit)
                pending -= 1
                if likely(node.op > OP_HIDDEN):
                    a = base[node.a >> CHUNK_SHIFT] + (node.a & CHUNK_MASK)
                    grad = node.grad
                    pending += not a.mark & bit
                    a.mark |= bit
                    marked[node.a >> CHUNK_SHIFT] |= bit
                    if node.op == OP_ADD or node.op == OP_MUL:
                        b = base[node.b >> CHUNK_SHIFT] + (node.b & CHUNK_MASK)
                        pending += not b.mark & bit
                        b.mark |= bit
                        marked[node.b >> CHUNK_SHIFT] |= bit
                        if node.op == OP_ADD:
                            a.grad += grad
                            b.grad += grad
                        else:
                            a.grad += b.data * grad
                            b.grad += a.data * grad
                    else:
                        b = a
                        if node.b:
                            b = base[node.b >> CHUNK_SHIFT] + (node.b & CHUNK_MASK)
                            pending += not b.mark & bit
                            b.mark |= bit
                            marked[node.b >> CHUNK_SHIFT] |= bit
                        table_step(node, a, b)
                else:
                    sweep.pending = pending
                    structure_visit(sweep, <node_id> (c << CHUNK_SHIFT | (node - nodes)), node, mark & bit)
                    pending = sweep.pending
                    base, marked = arena.base, arena.marked  # a callback may have moved them
                node -= 1
            marked[c] &= ~bit
            budget -= CHUNK_NODES
        if not pending:
            return 0
        if budget <= 0:
            budget = SIGNAL_INTERVAL
            PyErr_CheckSignals()
            base, marked = arena.base, arena.marked
        c = arena.chunks[c].older
        if not c:  # what still is pending are leaves with a backward function
            return 0
        node = base[c] + CHUNK_MASK


cdef void zero_block(Block *block) noexcept:
    cdef uint32_t i
    for i in range(block.size):
        node_at(block.ids[i]).grad = 0.0


cdef void zero(Node *node) noexcept:
    """Clear the adjoints of a node and of its operands, which may be leaves and get no visit."""
    node.grad = 0.0
    if node.flags & BLOCK:
        zero_block(arena.blocks[node.a])
    elif node.op == OP_AFFINE:
        zero_block(arena.blocks[node.a])
        zero_block(arena.blocks[node.b])
        if node.flags & EXPANDED:
            zero_block(arena.blocks[arena.blocks[node.b].under])
        elif node.flags & SWEPT:
            node.flags &= ~SWEPT
            arena.swept -= 1
    else:
        if node.a:
            node_at(node.a).grad = 0.0
        if node.b:
            node_at(node.b).grad = 0.0


cdef enum Purpose:
    EXPAND_SWEPT  # fused nodes that the sweep will meet again: their hidden adjoints are not zero
    EXPAND_ALL    # and those met the first time, since a sweep in flight may come to them afterwards
    ZERO          # set the adjoints to zero


cdef int visit_reached(Sweep *sweep, node_id root, Purpose purpose) except -1:
    """Do something about each node a root depends on, in the manner of `walk`, running nothing."""
    cdef uint8_t bit = sweep.bit
    cdef uint32_t c = root >> CHUNK_SHIFT
    cdef Node *node = node_at(root)
    cdef node_id id
    cdef uint8_t mark
    sweep.pending = 1
    node.mark |= bit
    arena.marked[c] |= bit
    while True:
        if arena.marked[c] & bit:
            while sweep.pending and node >= arena.base[c]:
                mark = node.mark
                node.mark = mark & ~(bit | bit << REACHED_HIDDEN)
                if mark & (bit | bit << REACHED_HIDDEN):
                    sweep.pending -= 1
                    if node.op == OP_HIDDEN:
                        hidden_reach(sweep, node)
                    elif purpose == ZERO:
                        zero(node)
                        reach_operands(sweep, node)
                    else:
                        id = <node_id> (c << CHUNK_SHIFT | (node - arena.base[c]))
                        if node.op == OP_AFFINE and (purpose == EXPAND_ALL or node.flags & SWEPT):
                            affine_expand(id)
                        reach_operands(sweep, node)
                node -= 1
            arena.marked[c] &= ~bit
        if not sweep.pending:
            return 0
        c = arena.chunks[c].older
        if not c:
            return 0
        node = arena.base[c] + CHUNK_MASK


cdef uint8_t sweep_bit() except 0:
    """Give the bit of the marks that is free for one more sweep."""
    if arena.depth == DEPTH_LIMIT:
        raise RecursionError(
            f"expected at most {DEPTH_LIMIT} calls of backward() inside each other, got another one; "
            "call backward() after the outer one has returned")
    return 1 << arena.depth


cdef int run_closures(Sweep *sweep) except -1:
    """Run the reached leaves that have a backward function: nothing depends on when."""
    cdef uint32_t i = arena.n_closures
    cdef node_id id
    while i:
        i -= 1
        if i >= arena.n_closures:  # a function has dropped some
            continue
        id = arena.closures[i]
        if node_at(id).mark & sweep.bit:
            node_at(id).mark &= ~sweep.bit
            sweep.step(id)
    return 0


cdef int sweep_reverse(node_id root, python_step step) except -1:
    """Seed the root with 1 and add into the adjoint of all that it depends on.

    Raises what a Python step raises, ZeroDivisionError where a derivative is infinite,
    KeyboardInterrupt; no mark is left behind. The caller sees to it that all sweeps in flight are
    of one thread.
    """
    cdef Sweep sweep
    cdef uint32_t i
    cdef Node *node = node_at(root)
    cdef bint leaf = node.op == OP_LEAF
    sweep.bit = sweep_bit()
    sweep.pending = 0
    sweep.step = step
    arena.depth += 1
    node.count += 1  # whatever a callback does, the graph outlives its sweep
    try:
        if not leaf and (arena.swept or arena.depth > 1):
            visit_reached(&sweep, root, EXPAND_ALL if arena.depth > 1 else EXPAND_SWEPT)
        for i in range(arena.n_closures):
            node_at(arena.closures[i]).mark &= ~sweep.bit
        node.grad = 1.0
        if leaf:
            node.mark |= sweep.bit
        else:
            walk(&sweep, root)
        if arena.n_closures:
            run_closures(&sweep)
    except BaseException:
        sweep_abandon(&sweep)
        raise
    finally:
        for i in range(arena.n_closures):
            node_at(arena.closures[i]).mark |= sweep.bit
        arena.depth -= 1
        node_drop(root)
    return 0


cdef int sweep_zero(node_id root) except -1:
    """Set the adjoints of a root and of all it depends on to zero."""
    cdef Sweep sweep
    sweep.bit = sweep_bit()
    sweep.pending = 0
    node_at(root).grad = 0.0
    if node_at(root).op != OP_LEAF:
        visit_reached(&sweep, root, ZERO)
    return 0
