"""Arena: opening and recycling chunks, releasing nodes, blocks of operands.

All memory comes from PyMem_Raw*; what fails raises and leaves the arena as it was.
"""

from libc.string cimport memset

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc

cdef extern from "Python.h":
    void Py_INCREF(PyObject *o)

from fastgrad._native.base.errors cimport error_of
from fastgrad._native.ops.codes cimport OP_DOT, OP_LEAF, OP_PYTHON, op_is_row
from fastgrad._native.memory.region cimport Region, region_give, region_take

cdef enum:
    CACHE_LINE = 64
    REGION_BYTES = 2 << 20
    FREE_BYTES = 64 << 20  # free chunks kept for reuse, or as much as is in use at that moment
    SHORT_BYTES = 1 << 20  # the same once memory has run out: others need it as much
    NODE_FETCH_AHEAD = 256          # nodes between fetching one and freeing it, as most die newest first

cdef size_t CHUNK_BYTES = CHUNK_NODES * (sizeof(Node) + sizeof(PyObject *))
cdef bint memory_is_short = False


# Chunks -------------------------------------------------------------------------------------------

cdef int grow_table() except -1:
    """Double the chunk table; each array is valid at its old size until all have grown."""
    cdef uint32_t capacity = min(max(2 * arena.capacity, 16), CHUNK_LIMIT)
    cdef void *moved = PyMem_RawRealloc(arena.base, capacity * sizeof(Node *))
    if moved == NULL:
        raise MemoryError()
    arena.base = <Node **> moved
    moved = PyMem_RawRealloc(arena.chunks, capacity * sizeof(Chunk))
    if moved == NULL:
        raise MemoryError()
    arena.chunks = <Chunk *> moved
    moved = PyMem_RawRealloc(arena.marked, capacity * DEPTH_LIMIT)
    if moved == NULL:
        raise MemoryError()
    arena.marked = <uint8_t *> moved
    arena.capacity = capacity
    return 0


cdef int chunk_obtain(uint32_t *index) except -1:
    """Return a chunk with memory: a free one if there is any."""
    cdef uint32_t c = arena.free
    cdef Region *region = NULL
    cdef void *memory
    if c:
        arena.free = arena.chunks[c].newer
        arena.n_free -= 1
        index[0] = c
        return 0
    c = arena.vacant
    if not c and arena.used == CHUNK_LIMIT:
        raise error_of(
            "FastgradOverflowError",
            f"at most {<unsigned long long> CHUNK_LIMIT * CHUNK_NODES} nodes alive at once", "one more",
            f"{ID_BITS}-bit ids", "drop results that are no longer needed")
    if not c and arena.used == arena.capacity:
        grow_table()
    try:
        memory = region_take(&arena.memory, &region)
    except MemoryError:
        chunks_trim()  # there are none to give back now; those that die later will be
        raise
    if c:
        arena.vacant = arena.chunks[c].newer
    else:
        c = arena.used
        arena.used += 1
    memset(&arena.chunks[c], 0, sizeof(Chunk))
    arena.chunks[c].region = region
    arena.base[c] = <Node *> memory
    arena.n_chunks += 1
    index[0] = c
    return 0


cdef void chunk_vacate(uint32_t c) noexcept:
    """Give a chunk's memory back; its index can be used again."""
    cdef Chunk *chunk = &arena.chunks[c]
    region_give(&arena.memory, chunk.region, arena.base[c])
    chunk.kind = CHUNK_VACANT
    chunk.newer = arena.vacant
    arena.base[c] = NULL
    arena.vacant = c
    arena.n_chunks -= 1


cdef bint chunks_trim() noexcept:
    """Return free chunks to the system when memory is short, and keep few from now on; tell if any were."""
    global memory_is_short
    cdef bint found = arena.free != 0
    cdef uint32_t c
    memory_is_short = True
    while arena.free:
        c = arena.free
        arena.free = arena.chunks[c].newer
        arena.n_free -= 1
        chunk_vacate(c)
    return found


cdef void chunk_retire(uint32_t c) noexcept:
    """Keep a dead chunk for reuse, or release its memory when enough are kept."""
    cdef Chunk *chunk = &arena.chunks[c]
    cdef size_t alive = (arena.n_chunks - arena.n_free) * CHUNK_BYTES
    cdef size_t plenty = SHORT_BYTES if memory_is_short else max(alive, <size_t> FREE_BYTES)
    if arena.n_free * CHUNK_BYTES >= plenty:
        chunk_vacate(c)
        return
    chunk.kind = CHUNK_FREE
    chunk.newer = arena.free
    arena.free = c
    arena.n_free += 1


cdef int chunk_open_operations() except -1:
    cdef uint32_t c = 0
    cdef Chunk *chunk
    chunk_obtain(&c)
    chunk = &arena.chunks[c]
    chunk.kind = CHUNK_OPERATIONS
    chunk.live = CHUNK_NODES
    chunk.born = arena.clock
    chunk.older = arena.newest
    chunk.newer = 0
    arena.clock += 1
    memset(&arena.marked[c * DEPTH_LIMIT], 0, DEPTH_LIMIT)
    if arena.newest:
        arena.chunks[arena.newest].newer = c
    arena.newest = c
    arena.cursor = arena.base[c]
    arena.end = arena.cursor + CHUNK_NODES
    arena.limit = arena.end if arena.note == NULL else arena.cursor
    arena.next_id = <node_id> (c << CHUNK_SHIFT)
    return 0


cdef int arena_extend() except -1:
    """Let a push go on that has come to the limit: open a chunk, note the operation, or both."""
    if arena.cursor == arena.end:
        chunk_open_operations()
    if arena.note != NULL:
        arena.note(arena.next_id)
        arena.limit = arena.cursor + 1
    return 0


cdef void arena_set_note(note_operation note) noexcept:
    """Have each operation noted from now on, or none with NULL."""
    arena.note = note
    arena.limit = arena.end if note == NULL else arena.cursor


cdef void chunk_close_operations(uint32_t c) noexcept:
    cdef Chunk *chunk = &arena.chunks[c]
    if chunk.older:
        arena.chunks[chunk.older].newer = chunk.newer
    if chunk.newer:
        arena.chunks[chunk.newer].older = chunk.older
    else:  # the open chunk, filled to its last slot
        arena.newest = chunk.older
        arena.cursor = arena.limit = arena.end = NULL
    chunk_retire(c)


cdef int chunk_open_leaves() except -1:
    """Make a chunk with room for leaves the current one; those with room follow by `older`."""
    cdef uint32_t c = 0
    cdef Chunk *chunk
    if arena.leaves and arena.chunks[arena.leaves].older:
        c = arena.chunks[arena.leaves].older
        arena.chunks[arena.leaves].older = 0
        arena.chunks[c].newer = 0
        arena.leaves = c
        return 0
    chunk_obtain(&c)
    chunk = &arena.chunks[c]
    chunk.kind = CHUNK_LEAVES
    chunk.live = chunk.fresh = chunk.free_slot = 0
    chunk.older = chunk.newer = 0
    arena.leaves = c
    return 0


cdef inline void leaf_free(node_id id, Node *node) noexcept:
    cdef uint32_t c = id >> CHUNK_SHIFT
    cdef Chunk *chunk = &arena.chunks[c]
    cdef uint32_t next
    cdef bint was_full = not chunk.free_slot and chunk.fresh == CHUNK_NODES
    if unlikely(node.flags & CLOSURE):
        closures_remove(id)
    node.a = <node_id> chunk.free_slot
    chunk.free_slot = (id & CHUNK_MASK) + 1
    chunk.live -= 1
    if c == arena.leaves:
        return
    if was_full:  # join the list right behind the current chunk
        next = arena.chunks[arena.leaves].older
        chunk.older, chunk.newer = next, arena.leaves
        if next:
            arena.chunks[next].newer = c
        arena.chunks[arena.leaves].older = c
    if chunk.live == 0:
        arena.chunks[chunk.newer].older = chunk.older
        if chunk.older:
            arena.chunks[chunk.older].newer = chunk.newer
        chunk_retire(c)


# Release ------------------------------------------------------------------------------------------

cdef void node_defer(node_id id) noexcept:
    """Queue a node whose handle has become its only owner; the engine releases it later.

    A pinned one, or one whose backward function may hold it in a cycle.
    """
    cdef Node *node = node_at(id)
    cdef PyObject *handle = handle_slot(id)[0]
    if node.flags & DEFERRED or handle == NULL:
        return
    if not node.flags & PINNED:
        Py_INCREF(handle)  # it must outlive the queue
    node.flags |= PINNED | DEFERRED
    (<HandleHead *> handle).link = arena.deferred
    arena.deferred = id


cdef inline node_id operand_drop(node_id id, node_id work) noexcept:
    """Give up one use; a node that dies of it goes in front of the list, linked by its count."""
    cdef Node *node = node_at(id)
    node.count -= 1
    if node.count == 0:
        node.count = work
        return id
    if unlikely(node.count == 1 and node.flags & (PINNED | CLOSURE)):
        node_defer(id)
    return work


cdef node_id block_drop(uint32_t index, node_id work) noexcept:
    cdef Block *block = arena.blocks[index]
    cdef uint32_t i
    block.refs -= 1
    if block.refs == 0:
        for i in range(block.size):
            work = operand_drop(block.ids[i], work)
        if not block.owned:
            block_free(index)
    return work


cdef node_id hidden_release(uint32_t index, node_id work) noexcept:
    """Make ordinary nodes of a dying dot node's hidden ones; unused ones die too."""
    cdef Block *hidden = arena.blocks[index]
    cdef Node *node
    cdef uint32_t i
    cdef uint32_t n = (hidden.size + 1) // 2
    arena.edits += 1
    for i in range(2 * n - 1):  # all convert before any is dropped: they are each other's operands
        node = node_at(hidden.ids[i])
        node.op = <uint8_t> (OP_PYTHON if node.flags & CLOSURE else node.flags >> 8)
        node.a = hidden_operand(hidden, i, 0)
        node.b = hidden_operand(hidden, i, 1)
        node_at(node.a).count += 1
        node_at(node.b).count += 1
    work = block_drop(hidden.under, work)
    return block_drop(index, work)


cdef node_id structure_release(Node *node, node_id work) noexcept:
    """Drop the operands of a node that is no row of the table."""
    if node.flags & BLOCK:
        return block_drop(node.a, work)
    if node.op == OP_PYTHON:
        if node.a:
            work = operand_drop(node.a, work)
        return operand_drop(node.b, work) if node.b else work
    if node.op == OP_DOT:
        if node.flags & EXPANDED:
            work = hidden_release(node.b, work)
        else:
            work = block_drop(node.b, work)
            if node.flags & SWEPT:
                arena.swept -= 1
        return block_drop(node.a, work)
    return work


cdef void node_release(node_id id) noexcept:
    """Free a node whose count is zero, and whatever dies of that: no recursion, no allocation."""
    release_all(id)


cdef void release_all(node_id work) noexcept:
    cdef node_id id
    cdef Node *node
    cdef Chunk *chunk
    while work:
        id = work
        node = node_at(id)
        work = <node_id> node.count
        node.count = 0
        prefetch(node - NODE_FETCH_AHEAD)
        if op_is_row(node.op):
            work = operand_drop(node.a, work)
            if node.b:
                work = operand_drop(node.b, work)
        elif node.op == OP_LEAF:
            leaf_free(id, node)
            continue
        else:
            work = structure_release(node, work)
        chunk = &arena.chunks[id >> CHUNK_SHIFT]
        chunk.live -= 1
        if chunk.live == 0:
            chunk_close_operations(id >> CHUNK_SHIFT)


# Blocks -------------------------------------------------------------------------------------------

cdef int grow_blocks() except -1:
    cdef uint32_t capacity = min(max(2 * arena.block_capacity, 16), <uint32_t> BLOCK_LIMIT)
    cdef void *moved
    if arena.block_used == BLOCK_LIMIT:
        raise error_of(
            "FastgradOverflowError", f"at most {BLOCK_LIMIT - 1} blocks of operands alive at once",
            "one more", f"{ID_BITS}-bit ids", "drop results that are no longer needed")
    moved = PyMem_RawRealloc(arena.blocks, capacity * sizeof(Block *))
    if moved == NULL:
        raise MemoryError()
    arena.blocks = <Block **> moved
    arena.block_capacity = capacity
    return 0


cdef uint32_t block_new(uint32_t size) except 0:
    """Make a block, used by no node yet and with its ids unset; `block_free` undoes it."""
    cdef size_t bytes = sizeof(Block) + size * sizeof(node_id)
    cdef uint32_t index = arena.vacant_block
    cdef Block *block
    if not index and arena.block_used == arena.block_capacity:
        grow_blocks()
    block = <Block *> PyMem_RawMalloc(bytes)
    if block == NULL:
        raise MemoryError()
    if index:  # a vacant entry holds the index of the next one
        arena.vacant_block = <uint32_t> <size_t> arena.blocks[index]
    else:
        index = arena.block_used
        arena.block_used += 1
    arena.blocks[index] = block
    arena.block_bytes += bytes
    memset(block, 0, sizeof(Block))
    block.size = size
    return index


cdef void block_free(uint32_t index) noexcept:
    cdef Block *block = arena.blocks[index]
    arena.block_bytes -= sizeof(Block) + block.size * sizeof(node_id)
    PyMem_RawFree(block)
    arena.blocks[index] = <Block *> <size_t> arena.vacant_block
    arena.vacant_block = index


cdef void block_describe(Block *block) noexcept:
    """Set what follows from the ids: do they lie side by side, are they all leaves."""
    cdef node_id first = block.ids[0]
    cdef bint together = (first & CHUNK_MASK) + block.size <= CHUNK_NODES
    cdef uint32_t i
    block.leaves = 1
    for i in range(block.size):
        together = together and block.ids[i] == first + i
        if node_at(block.ids[i]).op != OP_LEAF:
            block.leaves = 0
    block.run = node_at(first) if together else NULL


cdef void block_hold(uint32_t index) noexcept:
    """Count the uses that a block makes of its ids, now that it has a user."""
    cdef Block *block = arena.blocks[index]
    cdef uint32_t i
    for i in range(block.size):
        node_at(block.ids[i]).count += 1


cdef void block_give(uint32_t index) noexcept:
    """Count one node fewer that uses a block."""
    cdef node_id work = block_drop(index, 0)
    if work:
        release_all(work)


cdef void block_disown(uint32_t index) noexcept:
    """Release a block that is held from outside the arena."""
    cdef Block *block = arena.blocks[index]
    block.owned = 0
    if block.refs == 0:
        block_free(index)


cdef node_id hidden_operand(Block *hidden, uint32_t position, int which) noexcept:
    """Give an operand of a hidden node: products w[i]*x[i] lie at 2i, partial sums at 2i + 1."""
    cdef uint32_t i = position // 2
    cdef Block *weights = arena.blocks[hidden.under]
    if position % 2 == 0:
        return arena.blocks[node_at(hidden.owner).a].ids[i] if which else weights.ids[i]
    if which:
        return hidden.ids[position - 1]
    return hidden.ids[position - 2] if i else weights.ids[weights.size - 1]


# Leaves with a backward function of their own -----------------------------------------------------

cdef int ids_append(IdList *list, node_id id) except -1:
    cdef uint32_t capacity = max(2 * list.capacity, 8)
    cdef void *moved
    if list.n == list.capacity:
        moved = PyMem_RawRealloc(list.ids, capacity * sizeof(node_id))
        if moved == NULL:
            raise MemoryError()
        list.ids = <node_id *> moved
        list.capacity = capacity
    list.ids[list.n] = id
    list.n += 1
    return 0


cdef int closures_add(node_id id) except -1:
    """Register a leaf: having no operands, its function may run at the end of any sweep."""
    ids_append(&arena.closures, id)
    node_at(id).flags |= CLOSURE
    node_at(id).mark &= ~(0x11 * ((1 << arena.depth) - 1))  # sweeps in flight have not reached it
    return 0


cdef void closures_remove(node_id id) noexcept:
    cdef IdList *list = &arena.closures
    cdef uint32_t i = list.n - 1
    while list.ids[i] != id:
        i -= 1
    list.n -= 1
    list.ids[i] = list.ids[list.n]


arena.memory.piece, arena.memory.align = CHUNK_BYTES, CACHE_LINE
arena.memory.pieces = <uint32_t> max(<size_t> 1, <size_t> REGION_BYTES // CHUNK_BYTES)

arena.writes = 1

# Chunk 0 and block 0 stand for "none".
grow_table()
memset(&arena.chunks[0], 0, sizeof(Chunk))
arena.base[0] = NULL
arena.used = 1
grow_blocks()
arena.blocks[0] = NULL
arena.block_used = 1
chunk_open_leaves()
