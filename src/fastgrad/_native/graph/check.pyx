"""Check: statistics of the arena, and a test of every invariant it lives by.

For people and tests; nothing native needs it.
"""

from libc.stdint cimport uint32_t

from cpython.object cimport PyObject

from fastgrad._native.base.errors cimport error_of
from fastgrad._native.memory.arena cimport (
    BLOCK, Block, CHUNK_FREE, CHUNK_LEAVES, CHUNK_MASK, CHUNK_NODES, CHUNK_OPERATIONS, CHUNK_SHIFT,
    CHUNK_VACANT, CLOSURE, Chunk, DEFERRED, DEPTH_LIMIT, EXPANDED, ID_BITS, Node, PINNED, SWEPT,
    arena, chunk_filled, node_at, node_id,
)
from fastgrad._native.graph.engine cimport forward_of
from fastgrad._native.graph.handle cimport GC_HEADER, HandleLayout, handle_slot
from fastgrad._native.graph.shown cimport shown_op
from fastgrad._native.ops.codes cimport (
    OP_COUNT, OP_DOT, OP_HIDDEN, OP_LEAF, OP_LINEAR, OP_OK, op_in_arena, op_is_row, op_name,
    op_second,
)
from fastgrad._native.memory.pool cimport pool_bytes
from fastgrad._native.memory.region cimport Region, region_bytes


def sizes():
    """Give the sizes fixed when fastgrad was built."""
    return {
        "id_bits": ID_BITS,
        "chunk_nodes": CHUNK_NODES,
        "node_bytes": sizeof(Node) + sizeof(PyObject *),
        "handle_bytes": GC_HEADER + sizeof(HandleLayout),
    }


def second_partials(str name, double a, double b=0.0):
    """Give d2y/da2, d2y/dadb, d2y/db2 of a native row of the table; 0 for operands it lacks."""
    cdef double y = 0.0
    cdef double daa = 0.0
    cdef double dab = 0.0
    cdef double dbb = 0.0
    cdef int op
    for op in range(<int> OP_COUNT):
        if op_is_row(op) and op_name[op].decode() == name:
            forward_of(op, a, b, &y)
            if op_second(op, a, b, y, &daa, &dab, &dbb) != OP_OK:
                raise error_of("ZeroDivisionError", "finite partials", f"{a!r} and {b!r}", name)
            return daa, dab, dbb
    raise error_of("KeyError", "a native row of the table", f"{name!r}")


def arena_stats():
    """Count what the arena holds: see `fastgrad.engine.arena_stats`."""
    cdef uint32_t c
    cdef size_t leaves = 0
    cdef size_t operations = 0
    for c in range(1, arena.used):
        if arena.chunks[c].kind == CHUNK_LEAVES:
            leaves += arena.chunks[c].live
        elif arena.chunks[c].kind == CHUNK_OPERATIONS:
            operations += arena.chunks[c].live
    operations -= arena.end - arena.cursor
    return {
        "live_nodes": leaves + operations,
        "live_leaves": leaves,
        "chunks": arena.n_chunks,
        "free_chunks": arena.n_free,
        "blocks": len(live_blocks()),
        "bytes": arena.memory.bytes + arena.capacity * (sizeof(Node *) + sizeof(Chunk) + DEPTH_LIMIT)
        + arena.block_capacity * sizeof(Block *) + arena.block_bytes + pool_bytes(),
    }


cdef list live_blocks():
    cdef bytearray is_vacant = bytearray(arena.block_used)
    cdef char *vacant = is_vacant
    cdef list found = []
    cdef size_t index = arena.vacant_block
    while index:
        vacant[index] = True
        index = <size_t> arena.blocks[index]
    for index in range(1, arena.block_used):
        if not vacant[index]:
            found.append(index)
    return found


cdef list live_ids(uint32_t c):
    """List the ids alive in a chunk: a dead slot has count 0."""
    cdef Chunk *chunk = &arena.chunks[c]
    cdef uint32_t top = chunk.fresh if chunk.kind == CHUNK_LEAVES else chunk_filled(c)
    cdef uint32_t slot
    cdef list found = []
    for slot in range(top):
        if arena.base[c][slot].count:
            found.append((c << CHUNK_SHIFT) + slot)
    return found


cdef list operands(node_id id, dict uses):
    """List the operands that a node counts itself; a block's users are counted in `uses`."""
    cdef Node *node = node_at(id)
    if node.flags & BLOCK:
        uses[node.a] = uses.get(node.a, 0) + 1
        return []
    if node.op == OP_DOT:
        uses[node.a] = uses.get(node.a, 0) + 1
        uses[node.b] = uses.get(node.b, 0) + 1
        if node.flags & EXPANDED:
            uses[arena.blocks[node.b].under] = uses.get(arena.blocks[node.b].under, 0) + 1
        return []
    if node.op == OP_HIDDEN or node.op == OP_LEAF or not node.a:
        return []
    return [node.a, node.b] if node.b else [node.a]


cdef tuple position(node_id id):
    """Give where a node comes in the order of creation; leaves come before everything."""
    cdef uint32_t c = id >> CHUNK_SHIFT
    if arena.chunks[c].kind == CHUNK_LEAVES:
        return (-1, 0)
    return (arena.chunks[c].born, id & CHUNK_MASK)


cdef bint is_marked(uint32_t c) noexcept:
    """Tell whether a sweep in flight says that it has marked something in a chunk."""
    cdef uint32_t i
    for i in range(<uint32_t> DEPTH_LIMIT):
        if arena.marked[c * DEPTH_LIMIT + i]:
            return True
    return False


cdef bint is_registered(node_id id) noexcept:
    """Tell whether sweeps will run the backward function of a leaf."""
    cdef uint32_t i
    for i in range(arena.closures.n):
        if arena.closures.ids[i] == id:
            return True
    return False


cdef list check_chunks():
    """Check the lists of chunks and the number of slots alive in each."""
    cdef list wrong = []
    cdef uint32_t c = arena.newest
    cdef uint32_t newer = 0
    cdef bytearray listed = bytearray(arena.used)  # 0: in no list; otherwise 1 + its kind
    cdef char *seen = listed
    cdef int kind
    cdef bint full
    cdef size_t unfilled
    while c:
        if seen[c]:
            return ["the order of chunks is a cycle"]
        seen[c] = 1 + CHUNK_OPERATIONS
        if arena.chunks[c].newer != newer:
            wrong.append(f"chunk {c}: its newer neighbour is {arena.chunks[c].newer}, expected {newer}")
        if newer and arena.chunks[c].born >= arena.chunks[newer].born:
            wrong.append(f"chunk {c} is born after chunk {newer}, which follows it")
        if not arena.depth and is_marked(c):
            wrong.append(f"chunk {c} is still marked")
        newer, c = c, arena.chunks[c].older
    if arena.limit != (arena.end if arena.note == NULL else arena.cursor):
        wrong.append(f"pushes go {arena.limit - arena.cursor} nodes of {arena.end - arena.cursor} far")
    c, newer = arena.leaves, 0
    while c:
        if seen[c]:
            wrong.append("the list of leaf chunks is a cycle")
            return wrong
        seen[c] = 1 + CHUNK_LEAVES
        if arena.chunks[c].newer != newer:
            wrong.append(f"leaf chunk {c}: its neighbour is {arena.chunks[c].newer}, expected {newer}")
        newer, c = c, arena.chunks[c].older
    for c, kind in ((arena.free, CHUNK_FREE), (arena.vacant, CHUNK_VACANT)):
        while c:
            if seen[c]:
                wrong.append(f"chunk {c} is in two lists, or twice in one")
                return wrong
            seen[c] = 1 + kind
            c = arena.chunks[c].newer
    for c in range(1, arena.used):
        kind = arena.chunks[c].kind
        full = kind == CHUNK_LEAVES and arena.chunks[c].live == CHUNK_NODES  # then in no list
        if seen[c] != 1 + kind and not (full and not seen[c]):
            wrong.append(f"chunk {c} of kind {kind} is in list {seen[c] - 1}")
        if kind == CHUNK_OPERATIONS or kind == CHUNK_LEAVES:
            unfilled = arena.end - arena.cursor if c == arena.newest else 0
            if arena.chunks[c].live != len(live_ids(c)) + unfilled:
                wrong.append(
                    f"chunk {c}: live is {arena.chunks[c].live}, expected {len(live_ids(c))} + {unfilled}")
    return wrong


cdef list check_totals():
    """Check running totals: chunks, and the bytes that statistics report."""
    cdef list wrong = []
    cdef uint32_t c
    cdef size_t n_free = 0
    cdef size_t n_chunks = 0
    cdef size_t bytes = 0
    cdef set regions = set()
    cdef Region *region = arena.memory.roomy
    cdef Region *latest = NULL  # most chunks follow one of their own region
    while region != NULL:
        regions.add(<size_t> region)
        region = region.older
    for c in range(1, arena.used):
        if arena.chunks[c].kind != CHUNK_VACANT:
            n_chunks += 1
            n_free += arena.chunks[c].kind == CHUNK_FREE
            if arena.chunks[c].region != latest:
                latest = arena.chunks[c].region
                regions.add(<size_t> latest)
    if n_chunks != arena.n_chunks or n_free != arena.n_free:
        wrong.append(
            f"{arena.n_chunks} chunks, {arena.n_free} of them free, expected {n_chunks}, {n_free}")
    if arena.memory.bytes != len(regions) * region_bytes(&arena.memory):
        wrong.append(f"{arena.memory.bytes} bytes of regions are counted, {len(regions)} are there")
    for index in live_blocks():
        bytes += sizeof(Block) + arena.blocks[<uint32_t> index].size * sizeof(node_id)
    if arena.block_bytes != bytes:
        wrong.append(f"{arena.block_bytes} bytes of blocks are counted, expected {bytes}")
    return wrong


cdef list check_node(node_id id):
    """Check what a node says about itself, but for its count."""
    cdef Node *node = node_at(id)
    cdef PyObject *handle = handle_slot(id)[0]
    cdef bint leaf = arena.chunks[id >> CHUNK_SHIFT].kind == CHUNK_LEAVES
    cdef list wrong = []
    if node.op >= OP_COUNT or not op_in_arena(node.op) or leaf != (node.op == OP_LEAF):
        wrong.append(f"node {id}: opcode {node.op} in a chunk of {'leaves' if leaf else 'operations'}")
    if not arena.depth and node.mark != (0xFF if leaf else 0):
        wrong.append(f"node {id}: mark {node.mark} is left over")
    if handle != NULL and (<HandleLayout *> handle).id != id:
        wrong.append(f"node {id}: its handle stands for {(<HandleLayout *> handle).id}")
    if node.flags & PINNED and handle == NULL:
        wrong.append(f"node {id}: pinned without a handle")
    if node.flags & PINNED and node.count == 1 and not node.flags & DEFERRED:
        wrong.append(f"node {id}: pinned and unused, yet not deferred")
    if leaf and node.flags & CLOSURE and not is_registered(id):
        wrong.append(f"leaf {id}: its backward function is not registered")
    if node.flags & BLOCK and shown_op(node) == OP_LINEAR:
        wrong += check_linear(id, arena.blocks[node.a])
    return wrong


cdef list check_linear(node_id id, Block *block):
    """Check that a node of given partials has a leaf for each operand's."""
    cdef list wrong = []
    cdef uint32_t i
    if block.size % 2:
        wrong.append(f"node {id}: {block.size} operands and partials, an odd number")
    for i in range(block.size // 2, block.size):
        if node_at(block.ids[i]).op != OP_LEAF:
            wrong.append(f"node {id}: its partial {block.ids[i]} is no leaf")
    return wrong


cdef list check_blocks(dict uses, dict counts):
    """Check the users of blocks and count the uses that blocks make of nodes."""
    cdef list wrong = []
    cdef Block *block
    cdef uint32_t i
    for index in live_blocks():
        block = arena.blocks[index]
        if block.refs != uses.pop(index, 0):
            wrong.append(f"block {index}: refs {block.refs} is not the number of its users")
        if not block.refs and not block.owned:
            wrong.append(f"block {index}: has no owner")
        for i in range(block.size if block.refs else 0):
            counts[block.ids[i]] = counts.get(block.ids[i], 0) + 1
        if block.under:
            for i in range(block.size):
                if node_at(block.ids[i]).op != OP_HIDDEN or node_at(block.ids[i]).b != i:
                    wrong.append(f"block {index}: hidden node {block.ids[i]} does not say so")
    for index in uses:
        wrong.append(f"block {index} is used and not alive")
    return wrong


def arena_check():
    """Return a list of what is wrong with the arena: empty if all is well.

    Every count is recomputed from handles, operands and blocks. Cost: Python objects for each live
    node, so this is for tests.
    """
    cdef list wrong = check_chunks() + check_totals()
    cdef dict uses = {}
    cdef dict counts = {}
    cdef uint32_t c
    cdef size_t swept = 0
    cdef list ids = []
    for c in range(1, arena.used):
        if arena.chunks[c].kind == CHUNK_OPERATIONS or arena.chunks[c].kind == CHUNK_LEAVES:
            ids += live_ids(c)
    for id in ids:
        wrong += check_node(id)
        if handle_slot(id)[0] != NULL:
            counts[id] = counts.get(id, 0) + 1
        if node_at(id).op == OP_DOT and node_at(id).flags & SWEPT:
            swept += 1
        for operand in operands(id, uses):
            counts[operand] = counts.get(operand, 0) + 1
            if not position(operand) < position(id):
                wrong.append(f"node {id}: its operand {operand} is younger")
    wrong += check_blocks(uses, counts)
    for id in ids:
        if node_at(id).count != counts.pop(id, 0):
            wrong.append(f"node {id}: count {node_at(id).count} is not the number of its users")
    for id in counts:
        wrong.append(f"node {id} is used and not alive")
    if swept != arena.swept:
        wrong.append(f"{arena.swept} dot nodes are said to be swept, expected {swept}")
    if arena.deferred:
        wrong.append(f"node {arena.deferred} waits to be unpinned")
    return wrong
