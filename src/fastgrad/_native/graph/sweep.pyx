"""Sweep: adjoints in reverse creation order.

Operands are older than what uses them, so walking the arena backwards from the root meets each node
after all its users. A node is reached when a user has set its mark; `pending` counts marks that are
set and not yet met, so a sweep ends with the graph and not with the arena. Each sweep in flight (a
callback may start another) has its own bit of the marks.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastgrad._native.base.errors cimport error_of
from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_with_gil
from fastgrad._native.memory.arena cimport (
    BLOCK, Block, CHUNK_MASK, CHUNK_NODES, CHUNK_SHIFT, CLOSURE, DEPTH_LIMIT, EXPANDED,
    Node, SWEPT, arena, chunk_filled, hidden_operand, ids_append, likely, node_at, node_drop, node_id,
    prefetch, unlikely,
)
from fastgrad._native.graph.engine cimport linear_step, take_step
from fastgrad._native.graph.dot cimport dot_expand
from fastgrad._native.graph.recording cimport place_shown, source_of
from fastgrad._native.ops.codes cimport (
    OP_ADD, OP_DOT, OP_HIDDEN, OP_LEAF, OP_LINEAR, OP_MUL, OP_OK, OP_PYTHON, OP_TAKE, op_calls_python,
    op_has_parameter, op_is_odd, op_is_row, op_partials, op_product, op_products,
    op_row_is_add_or_mul, op_singular_text,
)

cdef extern from "config.h" nogil:
    const uint32_t SAMPLES "CHUNK_SAMPLES"

cdef enum:
    REACHED_HIDDEN = 4      # shift from a sweep's bit to "only hidden nodes of it were reached"
    FETCH_AHEAD = 32               # nodes between fetching operands and using them
    NODE_FETCH_AHEAD = 64             # nodes between fetching one and visiting it
    MANY_USERS = 16                # users of an operand that is likely in the cache

ctypedef struct Sweep:
    uint8_t bit          # 1 << depth
    uint32_t depth
    uint64_t number
    uint32_t owners      # length of arena.owners when it began
    int64_t pending
    Poll poll            # by nodes, and operands of dot nodes
    python_step step


cdef inline void reach(Sweep *sweep, node_id id, Node *node) noexcept:
    """Mark an operand; leaves carry all marks for good, so they are never waited for."""
    sweep.pending += not node.mark & (sweep.bit | sweep.bit << REACHED_HIDDEN)
    node.mark |= sweep.bit
    arena.marked[(id >> CHUNK_SHIFT) * DEPTH_LIMIT + sweep.depth] = 1


# One node's step ----------------------------------------------------------------------------------

cdef int raise_singular(Node *node, int op) except -1:
    name, where = op_singular_text(op).decode().split(" has an infinite derivative where ")
    file, line, function = place_shown(source_of(id_of(node)))
    made = f", made at {file}:{line} in {function}" if file else ""
    raise error_of(
        "ZeroDivisionError", f"a finite derivative of {name}", f"an infinite one, where {where}",
        f"backward of Value(data={node.data!r}){made}",
        "" if made else "to see the line, compute it inside `with fastgrad.debug():`")


cdef node_id id_of(Node *node) noexcept:
    """Find the id of a node in use: for errors."""
    cdef uint32_t c = arena.newest
    while c and not arena.base[c] <= node < arena.base[c] + CHUNK_NODES:
        c = arena.chunks[c].older
    return <node_id> (c << CHUNK_SHIFT | (node - arena.base[c])) if c else 0


cdef inline int table_step(Node *node, int op, Node *a, Node *b) except -1:
    """Add a table operation's partials times the adjoint into its operands.

    An adjoint of 0 asks for no partial, so that an infinite one raises nothing.
    """
    cdef double da = 0.0
    cdef double db = 0.0
    if node.grad == 0.0:
        return 0
    if unlikely(op_partials(op, a.data, b.data, node.data, &da, &db) != OP_OK):
        raise_singular(node, op)
    op_products(da, db, node.grad, &da, &db)
    a.grad += da
    if node.b and not op_has_parameter(op):
        b.grad += db
    return 0


cdef void dot_step_odd(Block *xs, Block *ws, double grad) noexcept:
    """Add what an adjoint of 0, inf or nan contributes to the factors of a dot node's products."""
    cdef uint32_t i = xs.size if grad != 0.0 else 0
    cdef Node *w
    cdef Node *x
    while i:
        i -= 1
        w, x = node_at(ws.ids[i]), node_at(xs.ids[i])
        w.grad += op_product(x.data, grad)
        x.grad += op_product(w.data, grad)


cdef void dot_step(Sweep *sweep, Node *node) noexcept:
    """Run a dot node backwards: last product first, as its hidden nodes would."""
    cdef Block *xs = arena.blocks[node.a]
    cdef Block *ws = arena.blocks[node.b]
    cdef double grad = node.grad
    cdef Node *w
    cdef Node *x
    cdef uint32_t n = xs.size
    cdef uint32_t i = n
    if op_is_odd(grad):
        dot_step_odd(xs, ws, grad)
    elif ws.run != NULL and xs.run != NULL:
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
    if not xs.leaves or arena.closures.n:
        reach_block(sweep, xs)
    if not ws.leaves or arena.closures.n:
        reach_block(sweep, ws)


cdef inline int rule_of(Node *node) noexcept:
    """Give the opcode whose rule a sweep follows at a node."""
    return OP_PYTHON if node.flags & CLOSURE else node.op


cdef int local_step(node_id id, int op, python_step step) except -1:
    """Run one node backwards by a given rule without marking anything; dot nodes must be expanded."""
    cdef Node *node = node_at(id)
    cdef Block *hidden
    cdef node_id a = node.a
    cdef node_id b = node.b
    cdef double grad_a, grad_b
    if op_calls_python(op):
        return step(id, op)
    if op == OP_TAKE:
        return take_step(node)
    if op == OP_LINEAR:
        return linear_step(node)
    if op == OP_LEAF:
        return 0
    if op == OP_DOT:
        hidden = arena.blocks[b]
        a = dot_partial_sum(hidden)
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
        op_products(node_at(b).data, node_at(a).data, node.grad, &grad_a, &grad_b)
        node_at(a).grad += grad_a
        node_at(b).grad += grad_b
    else:
        table_step(node, op, node_at(a), node_at(b if b else a))
    return 0


cdef inline node_id dot_partial_sum(Block *hidden) noexcept:
    """Give the first operand of a dot node as it is shown: a partial sum, or the bias alone."""
    cdef Block *weights = arena.blocks[hidden.under]
    return hidden.ids[hidden.size - 2] if hidden.size > 1 else weights.ids[weights.size - 1]


cdef int sweep_step(node_id id, python_step step) except -1:
    """Run one node backwards by its own rule, whatever function has been set in its place."""
    cdef Node *node = node_at(id)
    if node.op == OP_DOT:
        dot_expand(id)
    return local_step(id, node.flags >> 8 if node.op == OP_PYTHON else node.op, step)


# Reaching operands without running ----------------------------------------------------------------

cdef void reach_block(Sweep *sweep, Block *block) noexcept:
    """Mark all nodes of a block, unless this sweep has: a layer's neurons share their inputs."""
    cdef uint32_t i
    if block.sweep == sweep.number:
        return
    block.sweep = sweep.number
    for i in range(block.size):
        reach(sweep, block.ids[i], node_at(block.ids[i]))


cdef void reach_operands(Sweep *sweep, Node *node) noexcept:
    cdef Block *hidden
    cdef node_id a
    cdef node_id b
    if node.op == OP_HIDDEN:
        hidden = arena.blocks[node.a]
        a, b = hidden_operand(hidden, node.b, 0), hidden_operand(hidden, node.b, 1)
        reach(sweep, a, node_at(a))
        reach(sweep, b, node_at(b))
    elif node.flags & BLOCK:
        reach_block(sweep, arena.blocks[node.a])
    elif node.op == OP_DOT:
        reach_block(sweep, arena.blocks[node.a])
        reach_block(sweep, arena.blocks[arena.blocks[node.b].under if node.flags & EXPANDED else node.b])
    else:
        if node.a:
            reach(sweep, node.a, node_at(node.a))
        if node.b:
            reach(sweep, node.b, node_at(node.b))


cdef int hidden_reach(Sweep *sweep, Node *node) except -1:
    """Reach the owner of a hidden node, to be swept in its own place; the hidden node keeps its mark."""
    cdef node_id owner = arena.blocks[node.a].owner
    cdef Node *dot = node_at(owner)
    cdef uint8_t both = sweep.bit | sweep.bit << REACHED_HIDDEN
    sweep.pending += not dot.mark & both
    if not dot.mark & sweep.bit << REACHED_HIDDEN:
        ids_append(&arena.owners, owner)  # no part of the graph: it must live until its turn
        dot.count += 1
    dot.mark |= sweep.bit << REACHED_HIDDEN
    arena.marked[(owner >> CHUNK_SHIFT) * DEPTH_LIMIT + sweep.depth] = 1


cdef int expanded_step(Sweep *sweep, node_id id, bint reached) except -1:
    """Sweep an expanded dot node: its hidden nodes are run here."""
    cdef Node *node = node_at(id)
    cdef Block *hidden = arena.blocks[node.b]
    cdef Node *part
    cdef node_id a
    cdef node_id b
    cdef uint32_t i = hidden.size
    if reached:
        local_step(id, rule_of(node), sweep.step)
        a = dot_partial_sum(hidden)
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
        local_step(hidden.ids[i], rule_of(part), sweep.step)
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


# The walk -----------------------------------------------------------------------------------------

cdef void sweep_abandon(Sweep *sweep) noexcept:
    """Clear what marks a sweep has left behind.

    It polls no signals: 10^7 nodes take 16 to 34 ms, less than the sweep that they end.
    """
    cdef uint8_t keep = ~(sweep.bit | sweep.bit << REACHED_HIDDEN)
    cdef uint32_t c = arena.newest
    cdef uint32_t i
    while c:
        arena.marked[c * DEPTH_LIMIT + sweep.depth] = 0
        for i in range(chunk_filled(c)):
            arena.base[c][i].mark &= keep
        c = arena.chunks[c].older


cdef inline int structure_visit(Sweep *sweep, node_id id, Node *node, bint reached) except -1:
    """Run a node that is no row of the table."""
    if node.op == OP_HIDDEN:
        node.mark |= sweep.bit
        hidden_reach(sweep, node)
        return 0
    if node.op != OP_DOT:
        local_step(id, node.op, sweep.step)
        reach_operands(sweep, node)
        return 0
    if node.flags & EXPANDED:
        expanded_step(sweep, id, reached)
    else:
        if not node.flags & SWEPT:
            node.flags |= SWEPT
            arena.swept += 1
        dot_step(sweep, node)
    return poll_signals(&sweep.poll, arena.blocks[node.a].size)


cdef inline bint adds_product(Node *node, node_id id, uint8_t either) noexcept:
    """Tell whether a node sums the two before it, the later one a product, neither reached yet."""
    return (
        node.b == id - 1 and node.a == id - 2 and node.op == OP_ADD and (id & CHUNK_MASK) >= 2
        and (node - 1).op == OP_MUL and op_is_row((node - 2).op)
        and not ((node - 1).mark | (node - 2).mark) & either
    )


cdef inline Node *walk_products(
        Node **base, Node *node, node_id id, uint8_t bit, double *adjoint) noexcept:
    """Go down a dot in single nodes, `... + w*x`, two at a time; return the node that is next.

    Each comes next anyhow, so none needs a mark. It ends at a product with an operand to be marked.
    """
    cdef double grad = adjoint[0]
    cdef double grad_product, grad_w, grad_x
    cdef Node *product
    cdef Node *w
    cdef Node *x
    while adds_product(node, id, bit | bit << REACHED_HIDDEN):
        product = node - 1
        w = base[product.a >> CHUNK_SHIFT] + (product.a & CHUNK_MASK)
        x = base[product.b >> CHUNK_SHIFT] + (product.b & CHUNK_MASK)
        if unlikely(not w.mark & x.mark & bit):
            break
        prefetch(node - NODE_FETCH_AHEAD)
        prefetch(w - NODE_FETCH_AHEAD)  # weights lie in the order of their use
        product.grad = grad_product = product.grad + grad
        node -= 2
        id -= 2
        node.grad = grad = node.grad + grad
        op_products(x.data, w.data, grad_product, &grad_w, &grad_x)
        x.grad += grad_x
        w.grad += grad_w
    adjoint[0] = grad
    return node


cdef inline int walk_chunk(Sweep *sweep, uint32_t c, uint32_t slot, bint scattered) except -1:
    """Visit the reached operations of a chunk, newest first, from a slot downwards.

    An operand that comes next anyhow needs no mark, and its adjoint stays in a register; dots
    in single nodes take a shorter way still.
    `scattered`, known at compile time: operands lie far apart, so fetch them ahead and set marks
    without branches, which would be mispredicted and wait for memory. Otherwise a branch is quicker.
    """
    cdef uint8_t bit = sweep.bit
    cdef uint8_t either = bit | bit << REACHED_HIDDEN
    cdef Node **base = arena.base
    cdef uint8_t *marked = arena.marked + sweep.depth
    cdef int64_t pending = sweep.pending
    cdef Node *nodes = base[c]
    cdef Node *node = nodes + slot
    cdef Node *below
    cdef Node *rest
    cdef node_id first = <node_id> (c << CHUNK_SHIFT)
    cdef double one = 1.0
    cdef double grad, grad_a, grad_b
    cdef double *da
    cdef double *db
    cdef size_t is_mul
    cdef Node *a
    cdef Node *b
    cdef node_id ia
    cdef node_id ib
    cdef node_id id
    cdef uint8_t mark
    while pending and node >= nodes:
        mark = node.mark
        if not mark & either:
            node -= 1
            continue
        node.mark = mark & ~either
        pending -= 1
        if unlikely(not op_is_row(node.op)):
            sweep.pending = pending
            id = <node_id> (c << CHUNK_SHIFT | (node - nodes))
            structure_visit(sweep, id, node, mark & bit)
            pending = sweep.pending
            base = arena.base  # a callback may have moved them
            marked = arena.marked + sweep.depth
            node -= 1
            continue
        grad = node.grad
        while True:
            below = node - 1 if likely(node > nodes) and op_is_row((node - 1).op) else NULL
            ia, ib = node.a, node.b
            prefetch(node - NODE_FETCH_AHEAD)
            if scattered and node - nodes >= FETCH_AHEAD and op_is_row((node - FETCH_AHEAD).op):
                prefetch(base[(node - FETCH_AHEAD).a >> CHUNK_SHIFT] + ((node - FETCH_AHEAD).a & CHUNK_MASK))
                prefetch(base[(node - FETCH_AHEAD).b >> CHUNK_SHIFT] + ((node - FETCH_AHEAD).b & CHUNK_MASK))
            a = base[ia >> CHUNK_SHIFT] + (ia & CHUNK_MASK)
            b = base[ib >> CHUNK_SHIFT] + (ib & CHUNK_MASK) if likely(ib != 0) else a
            if not scattered and b == below and a == below - 1:
                rest = walk_products(base, node, first + <node_id> (node - nodes), bit, &grad)
                if rest != node:
                    node = rest
                    continue
            if a != below and (scattered or not a.mark & bit):
                pending += not a.mark & either
                a.mark |= bit
                marked[(ia >> CHUNK_SHIFT) * DEPTH_LIMIT] = 1
            if likely(ib != 0) and b != below and (scattered or not b.mark & bit):
                pending += not b.mark & either
                b.mark |= bit
                marked[(ib >> CHUNK_SHIFT) * DEPTH_LIMIT] = 1
            # b first: where both are one node, the last sum is the one to go on with
            if scattered and op_row_is_add_or_mul(node.op):  # equally likely: select, do not branch
                is_mul = <size_t> 0 - (node.op == OP_MUL)
                da = <double *> (<size_t> &b.data & is_mul | <size_t> &one & ~is_mul)
                db = <double *> (<size_t> &a.data & is_mul | <size_t> &one & ~is_mul)
                op_products(da[0], db[0], grad, &grad_a, &grad_b)
                b.grad = grad_b = b.grad + grad_b
                a.grad = grad_a = a.grad + grad_a
            elif node.op == OP_ADD:
                b.grad = grad_b = b.grad + grad
                a.grad = grad_a = a.grad + grad
            elif node.op == OP_MUL:
                op_products(b.data, a.data, grad, &grad_a, &grad_b)
                b.grad = grad_b = b.grad + grad_b
                a.grad = grad_a = a.grad + grad_a
            else:
                table_step(node, node.op, a, b)
                grad_a, grad_b = a.grad, b.grad
            node -= 1
            if a == below:
                grad = grad_a
            elif b == below:
                grad = grad_b
            else:
                break
            mark = node.mark  # another user may have set it
            pending -= (mark & either) != 0
            node.mark = mark & ~either
    sweep.pending = pending
    return 0


cdef bint is_scattered(uint32_t c) noexcept:
    """Tell by a few samples whether operands lie in other chunks than their users.

    One with many users, as inputs of a layer have, stays in the cache wherever it lies.
    """
    cdef Node *node = arena.base[c]
    cdef Node *b
    cdef uint32_t far = 0
    for _ in range(SAMPLES):
        if node.count and op_is_row(node.op) and node.b and node.b >> CHUNK_SHIFT != c:
            b = node_at(node.b)
            far += b.op != OP_LEAF and b.count < MANY_USERS
        node += CHUNK_NODES // SAMPLES
    return far > SAMPLES // 8


cdef int walk(Sweep *sweep, node_id root) except -1:
    """Visit every reached operation, newest first."""
    cdef uint32_t c = root >> CHUNK_SHIFT
    cdef uint32_t slot = root & CHUNK_MASK
    sweep.pending = 1
    node_at(root).mark |= sweep.bit
    arena.marked[c * DEPTH_LIMIT + sweep.depth] = 1
    while True:
        if arena.marked[c * DEPTH_LIMIT + sweep.depth]:
            if slot == CHUNK_MASK and is_scattered(c):
                walk_chunk(sweep, c, slot, True)
            else:
                walk_chunk(sweep, c, slot, False)
            arena.marked[c * DEPTH_LIMIT + sweep.depth] = 0
            if sweep.pending:
                poll_signals(&sweep.poll, CHUNK_NODES)
        if not sweep.pending:
            return 0
        c, slot = arena.chunks[c].older, CHUNK_MASK
        if not c:  # what still is pending are leaves with a backward function
            return 0


cdef void zero_block(Block *block) noexcept:
    cdef uint32_t i
    for i in range(block.size):
        node_at(block.ids[i]).grad = 0.0


cdef void zero(Node *node) noexcept:
    """Clear the adjoints of a node and of its operands, which may be leaves and get no visit."""
    cdef Block *hidden
    node.grad = 0.0
    if node.op == OP_HIDDEN:
        hidden = arena.blocks[node.a]
        node_at(hidden_operand(hidden, node.b, 0)).grad = 0.0
        node_at(hidden_operand(hidden, node.b, 1)).grad = 0.0
    elif node.flags & BLOCK:
        zero_block(arena.blocks[node.a])
    elif node.op == OP_DOT:
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
    EXPAND_SWEPT  # dot nodes that the sweep will meet again: their hidden adjoints are not zero
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
    arena.marked[c * DEPTH_LIMIT + sweep.depth] = 1
    while True:
        if arena.marked[c * DEPTH_LIMIT + sweep.depth]:
            while sweep.pending and node >= arena.base[c]:
                mark = node.mark
                node.mark = mark & ~(bit | bit << REACHED_HIDDEN)
                if mark & (bit | bit << REACHED_HIDDEN):
                    sweep.pending -= 1
                    id = <node_id> (c << CHUNK_SHIFT | (node - arena.base[c]))
                    if purpose == ZERO:
                        zero(node)
                    elif node.op == OP_DOT and (purpose == EXPAND_ALL or node.flags & SWEPT):
                        dot_expand(id)
                    reach_operands(sweep, node)
                    if node.op == OP_DOT:
                        poll_signals(&sweep.poll, arena.blocks[node.a].size)
                node -= 1
            arena.marked[c * DEPTH_LIMIT + sweep.depth] = 0
            poll_signals(&sweep.poll, CHUNK_NODES)
        if not sweep.pending:
            return 0
        c = arena.chunks[c].older
        if not c:
            return 0
        node = arena.base[c] + CHUNK_MASK


cdef int sweep_open(Sweep *sweep, node_id root) except -1:
    """Choose the marks for one more sweep; its graph will outlive it whatever a callback does."""
    if arena.depth == DEPTH_LIMIT:
        raise error_of(
            "FastgradRecursionError", f"at most {DEPTH_LIMIT} calls of backward() inside each other",
            "another one", "", "call backward() after the outer one has returned")
    sweep.bit = <uint8_t> (1 << arena.depth)
    sweep.depth = arena.depth
    arena.sweeps += 1
    sweep.number = arena.sweeps
    sweep.owners = arena.owners.n
    sweep.pending, sweep.poll = 0, poll_begin(poll_with_gil)
    arena.depth += 1
    node_at(root).count += 1
    return 0


cdef void sweep_close(Sweep *sweep, node_id root) noexcept:
    arena.depth -= 1
    while arena.owners.n > sweep.owners:
        arena.owners.n -= 1
        node_drop(arena.owners.ids[arena.owners.n])
    node_drop(root)


cdef int run_closures(Sweep *sweep) except -1:
    """Run the reached leaves that have a backward function: nothing depends on when."""
    cdef uint32_t i = arena.closures.n
    cdef node_id id
    while i:
        i -= 1
        if i >= arena.closures.n:  # a function has dropped some
            continue
        id = arena.closures.ids[i]
        if node_at(id).mark & sweep.bit:
            node_at(id).mark &= ~sweep.bit
            sweep.step(id, OP_PYTHON)
    return 0


cdef int sweep_reverse(node_id root, double seed, python_step step) except -1:
    """Seed the root and add into the adjoint of all that it depends on.

    Raises what a Python step raises, ZeroDivisionError where a derivative is infinite,
    KeyboardInterrupt; no mark is left behind. The caller sees to it that all sweeps in flight are
    of one thread.
    """
    cdef Sweep sweep
    cdef uint32_t i
    cdef Node *node = node_at(root)
    cdef bint leaf = node.op == OP_LEAF
    sweep_open(&sweep, root)
    sweep.step = step
    try:
        if not leaf and (arena.swept or sweep.depth):
            visit_reached(&sweep, root, EXPAND_ALL if sweep.depth else EXPAND_SWEPT)
            arena.sweeps += 1  # the walk marks blocks again
            sweep.number = arena.sweeps
        for i in range(arena.closures.n):
            node_at(arena.closures.ids[i]).mark &= ~(sweep.bit | sweep.bit << REACHED_HIDDEN)
        node.grad = seed
        if leaf:
            node.mark |= sweep.bit
        else:
            walk(&sweep, root)
        if arena.closures.n:
            run_closures(&sweep)
    except BaseException:
        sweep_abandon(&sweep)
        raise
    finally:
        for i in range(arena.closures.n):
            node_at(arena.closures.ids[i]).mark |= sweep.bit | sweep.bit << REACHED_HIDDEN
        sweep_close(&sweep, root)
    return 0


cdef int sweep_zero(node_id root) except -1:
    """Set the adjoints of a root and of all it depends on to zero."""
    cdef Sweep sweep
    node_at(root).grad = 0.0
    if node_at(root).op == OP_LEAF:
        return 0
    sweep_open(&sweep, root)
    try:
        visit_reached(&sweep, root, ZERO)
    except BaseException:
        sweep_abandon(&sweep)
        raise
    finally:
        sweep_close(&sweep, root)
    return 0


cdef void sweeps_after_fork() noexcept:
    """Abandon all sweeps in flight in the child of a fork; their roots stay alive for good."""
    cdef Sweep sweep
    cdef uint32_t i
    while arena.depth:
        sweep.depth = arena.depth - 1
        sweep.bit = <uint8_t> (1 << sweep.depth)
        sweep_abandon(&sweep)
        for i in range(arena.closures.n):
            node_at(arena.closures.ids[i]).mark |= sweep.bit | sweep.bit << REACHED_HIDDEN
        arena.depth -= 1
    arena.owners.n = 0
