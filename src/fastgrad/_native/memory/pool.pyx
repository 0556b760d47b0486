"""Pool: memory for handles, 64 KiB slabs with a free list each."""

from libc.string cimport memset

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree

from fastgrad._native.memory.region cimport Region, Regions, region_give, region_take

cdef enum:
    HEADER = 64           # room for struct Slab; items start behind it
    SPARE_SLABS = 16      # empty ones kept, so that a program that fills and empties some is quick

cdef Regions slabs
slabs.piece = slabs.align = SLAB_BYTES
slabs.pieces = 16

cdef Slab nothing         # the current slab before there is any: no room
pool.current = &nothing


cdef void slab_link(Slab *slab) noexcept:
    """Put a slab with room behind the current one."""
    cdef Slab *next = pool.current.older
    slab.newer, slab.older = pool.current, next
    if next != NULL:
        next.newer = slab
    pool.current.older = slab


cdef void slab_unlink(Slab *slab) noexcept:
    slab.newer.older = slab.older
    if slab.older != NULL:
        slab.older.newer = slab.newer
    slab.newer = slab.older = NULL


cdef int slab_new() except -1:
    """Link a slab whose items are all free, first one first."""
    cdef Region *region = NULL
    cdef Slab *slab = <Slab *> region_take(&slabs, &region)
    cdef uint32_t n = (SLAB_BYTES - HEADER) // <uint32_t> pool.item
    cdef char *item = <char *> slab + HEADER + n * pool.item
    memset(slab, 0, SLAB_BYTES)
    slab.region, slab.full = region, n
    while n:
        n -= 1
        item -= pool.item
        pool.prepare(item)
        (<void **> (item + pool.link))[0] = slab.free
        slab.free = item
    slab_link(slab)
    pool.empty += 1
    return 0


cdef int plain_refill() except -1:
    """Make one item the free one: for builds in which each has an allocation of its own."""
    cdef void *item = PyMem_RawCalloc(1, pool.item)
    if item == NULL:
        raise MemoryError()
    pool.prepare(item)
    pool.current.free = item
    return 0


cdef int pool_refill() except -1:
    """Make a slab with room the current one."""
    cdef Slab *slab
    if POOL_PLAIN:
        return plain_refill()
    if pool.current.older == NULL:
        slab_new()
    slab = pool.current.older
    pool.current.older = NULL
    slab.newer = NULL
    if slab.live == 0:
        pool.empty -= 1
    pool.current = slab
    return 0


cdef void pool_return(Slab *slab) noexcept:
    """Account for an item given back to a slab that is not the current one."""
    if slab.live + 1 == slab.full:
        slab_link(slab)
    if slab.live:
        return
    if pool.empty < SPARE_SLABS:
        pool.empty += 1
        return
    slab_unlink(slab)
    region_give(&slabs, slab.region, slab)


cdef size_t pool_bytes() noexcept:
    return slabs.bytes


cdef void plain_give(void *item) noexcept:
    PyMem_RawFree(item)
