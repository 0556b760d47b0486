"""Arena: nodes in fixed chunks, exact reference counts, blocks of operands.

Ids are stable, and so are addresses while a node lives; `base` moves whenever the arena grows, so
reload it after anything that pushes a node or runs Python.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cpython.object cimport PyObject

from fastgrad._native.ops.codes cimport OP_LEAF
from fastgrad._native.memory.region cimport Region, Regions

cdef extern from "config.h" nogil:
    ctypedef unsigned int node_id
    enum:
        CHUNK_SHIFT
        CHUNK_MASK
        ID_BITS
    const unsigned int CHUNK_NODES
    const unsigned int CHUNK_LIMIT
    const unsigned int BLOCK_LIMIT
    bint likely "FASTGRAD_LIKELY" (bint condition)
    bint unlikely "FASTGRAD_UNLIKELY" (bint condition)
    void prefetch "FASTGRAD_PREFETCH" (void *address)  # a function that does nothing else is dropped by gcc

cdef enum:  # Node.flags, low byte; the high byte is the opcode shown by OP_PYTHON and OP_HIDDEN
    PINNED = 1      # the node holds a reference to its own handle
    DEFERRED = 2    # that reference waits to be dropped
    BLOCK = 4       # operand a is the index of a block of operands
    SWEPT = 8       # dot: the hidden adjoints are no longer zero
    FRESH = 8       # leaf: made by __new__, not yet set by __init__
    EXPANDED = 16   # dot: operand b is the block of its hidden nodes
    CLOSURE = 32    # a Python function stands for its backward step
    NUMBER = 64     # leaf: made from a plain number; parameter: k was an int
    BOOL = 128      # parameter: k was a bool
    INPUT = 256     # leaf: an input of a recording (a leaf shows no opcode)

cdef enum:
    DEPTH_LIMIT = 4  # sweeps inside each other

cdef enum:  # Chunk.kind
    CHUNK_VACANT
    CHUNK_FREE
    CHUNK_OPERATIONS
    CHUNK_LEAVES

ctypedef struct Node:    # 32 bytes with 32-bit ids; its handle's address lies behind the chunk's nodes
    double data          # primal
    double grad          # adjoint
    node_id a            # operands, 0 where there is none
    node_id b
    uint32_t count       # its handle, and each use as an operand; 0: the slot is dead
    uint8_t op
    uint8_t mark         # reached by the sweep of bit's depth; leaves: all bits
    uint16_t flags

ctypedef struct HandleHead:  # what the arena needs to know of a Value
    PyObject head
    node_id id
    node_id link         # next deferred node

ctypedef struct Chunk:
    Region *region       # what its memory is a piece of
    uint64_t born        # order of creation among chunks of operations
    uint32_t live        # slots that are alive or were never filled
    uint32_t older       # towards older chunks of operations; leaves: with room
    uint32_t newer
    uint32_t free_slot   # leaves: 1 + the slot freed last, linked by Node.a
    uint32_t fresh       # leaves: slots handed out so far
    uint8_t kind

ctypedef struct Block:   # operands of a node that has more than two
    uint32_t refs        # nodes that use it; with one or more it counts as a use of each of its ids
    uint32_t size
    uint32_t under       # block of hidden nodes: the block of weights that it replaced
    node_id owner        # block of hidden nodes: their dot node
    uint8_t owned        # held from outside the arena too (a neuron keeps its weights' block)
    uint8_t leaves       # holds nothing but leaves, so a sweep need not mark it
    uint64_t sweep       # the last one that has marked all of it
    Node *run            # the first node if all lie side by side in one chunk
    node_id ids[1]

ctypedef struct IdList:
    node_id *ids
    uint32_t n
    uint32_t capacity

ctypedef void (*note_operation)(node_id id) noexcept  # runs no Python, not even the collector

ctypedef struct Arena:
    Node *cursor         # where the next operation goes
    Node *limit          # a push goes on by itself up to here: `end`, or with a note the cursor
    Node *end            # of the open chunk
    note_operation note  # called before each operation is pushed, while any thread records
    node_id next_id
    node_id deferred     # pinned nodes whose handle is their only owner, linked by Handle.link
    Node **base          # base[id >> CHUNK_SHIFT] + (id & CHUNK_MASK)
    Chunk *chunks
    uint8_t *marked      # chunk holds a marked operation: a byte for each sweep in flight
    Block **blocks
    uint32_t newest      # chunk of operations at the end of the order
    uint32_t leaves      # chunk that the next leaf comes from
    uint32_t free        # free chunks kept for reuse, linked by newer
    uint32_t vacant      # indices without memory, linked by newer
    uint32_t capacity    # of base, chunks, marked
    uint32_t used        # chunk indices ever used
    uint32_t n_free
    uint32_t n_chunks    # with memory
    uint32_t vacant_block
    uint32_t block_capacity
    uint32_t block_used
    uint32_t depth       # sweeps in flight
    uint64_t clock
    uint64_t sweeps      # begun so far
    uint64_t swept       # live dot nodes flagged SWEPT
    uint64_t edits       # times that a node became another, or had other operands, while it lived
    uint64_t writes      # to the data of leaves that somebody else could have read before; from 1 on
    size_t block_bytes
    Regions memory       # of chunks
    IdList closures      # leaves flagged CLOSURE
    IdList owners        # dot nodes that sweeps in flight have reached through hidden nodes only

cdef Arena arena

cdef int arena_extend() except -1
cdef void arena_set_note(note_operation note) noexcept
cdef int chunk_open_leaves() except -1
cdef bint chunks_trim() noexcept
cdef void node_release(node_id id) noexcept
cdef void node_defer(node_id id) noexcept
cdef uint32_t block_new(uint32_t size) except 0
cdef void block_describe(Block *block) noexcept
cdef void block_hold(uint32_t index) noexcept
cdef void block_give(uint32_t index) noexcept
cdef void block_disown(uint32_t index) noexcept
cdef node_id hidden_operand(Block *hidden, uint32_t position, int which) noexcept
cdef int ids_append(IdList *list, node_id id) except -1
cdef int closures_add(node_id id) except -1
cdef void closures_remove(node_id id) noexcept


cdef inline Node *node_at(node_id id) noexcept:
    return arena.base[id >> CHUNK_SHIFT] + (id & CHUNK_MASK)


cdef inline PyObject **handle_slot(node_id id) noexcept:
    return (<PyObject **> (arena.base[id >> CHUNK_SHIFT] + CHUNK_NODES)) + (id & CHUNK_MASK)


cdef inline void node_init(Node *node, int op, node_id a, node_id b, double data) noexcept:
    node.data = data
    node.grad = 0.0
    node.a = a
    node.b = b
    node.count = 1
    node.op = <uint8_t> op
    node.mark = 0
    node.flags = 0


cdef inline uint32_t chunk_filled(uint32_t c) noexcept:
    """Give the number of slots of a chunk of operations that have ever held a node."""
    if c == arena.newest and arena.cursor != NULL:
        return <uint32_t> (arena.cursor - arena.base[c])
    return CHUNK_NODES


cdef inline void block_take(uint32_t index) noexcept:
    """Count one more node that uses a block."""
    if arena.blocks[index].refs == 0:
        block_hold(index)
    arena.blocks[index].refs += 1


cdef inline bint arena_has_room(Py_ssize_t n) noexcept:
    """Tell whether n operations can be pushed without opening a chunk, hence without failing."""
    return arena.end - arena.cursor >= n


cdef inline node_id arena_push(int op, node_id a, node_id b, double data) except 0:
    """Append an operation with one owner, the caller; its operands' counts are the caller's task.

    The caller also fills the handle slot.
    """
    if unlikely(arena.cursor == arena.limit):
        arena_extend()
    cdef Node *node = arena.cursor
    cdef node_id id = arena.next_id
    arena.cursor += 1
    arena.next_id += 1
    node_init(node, op, a, b, data)
    return id


cdef inline node_id arena_push_leaf(double data) except 0:
    """Take a slot for a leaf with one owner, the caller, who also fills the handle slot."""
    cdef Chunk *chunk = &arena.chunks[arena.leaves]
    cdef uint32_t slot
    if unlikely(not chunk.free_slot and chunk.fresh == CHUNK_NODES):
        chunk_open_leaves()
        chunk = &arena.chunks[arena.leaves]
    cdef Node *nodes = arena.base[arena.leaves]
    if chunk.free_slot:
        slot = chunk.free_slot - 1
        chunk.free_slot = nodes[slot].a
    else:
        slot = chunk.fresh
        chunk.fresh += 1
    chunk.live += 1
    node_init(&nodes[slot], OP_LEAF, 0, 0, data)
    nodes[slot].mark = 0xFF  # counts as visited already: no sweep needs to stop here
    return <node_id> (arena.leaves << CHUNK_SHIFT | slot)


cdef inline void node_drop(node_id id) noexcept:
    """Give up one use of a node."""
    cdef Node *node = node_at(id)
    node.count -= 1
    if node.count == 0:
        node_release(id)
    elif node.count == 1 and node.flags & (PINNED | CLOSURE):
        node_defer(id)
