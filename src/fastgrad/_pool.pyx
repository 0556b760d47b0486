"""Pool: memory for handles, 64 KiB slabs with a free list each.

Layer: bottom. Cimports the C library only.
"""

from libc.string cimport memset

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc

cdef enum:
    REGION_SLABS = 16
    HEADER = 64           # room for struct Slab; items start behind it

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


cdef void slab_fill(Slab *slab) noexcept:
    """Link all items of a fresh slab, first one first."""
    cdef uint32_t n = (SLAB_BYTES - HEADER) // pool.item
    cdef char *item = <char *> slab + HEADER + n * pool.item
    memset(<char *> slab + HEADER, 0, SLAB_BYTES - HEADER)
    while n:
        n -= 1
        item -= pool.item
        pool.prepare(item)
        (<void **> (item + pool.link))[0] = slab.free
        slab.free = item


cdef inline Slab *region_slab(Region *region, uint32_t i) noexcept:
    cdef size_t start = (<size_t> region.memory + SLAB_BYTES - 1) & ~<size_t> (SLAB_BYTES - 1)
    return <Slab *> (start + i * SLAB_BYTES)


cdef int region_new() except -1:
    cdef size_t bytes = (REGION_SLABS + 1) * SLAB_BYTES
    cdef Region *region = <Region *> PyMem_RawMalloc(sizeof(Region))
    cdef Slab *slab
    cdef uint32_t i
    if region == NULL:
        raise MemoryError()
    region.memory = PyMem_RawMalloc(bytes)
    if region.memory == NULL:
        PyMem_RawFree(region)
        raise MemoryError()
    region.slabs = region.empty = REGION_SLABS
    pool.bytes += bytes
    for i in range(region.slabs):
        slab = region_slab(region, i)
        memset(slab, 0, sizeof(Slab))
        slab.region = region
        slab.full = (SLAB_BYTES - HEADER) // <uint32_t> pool.item
        slab_link(slab)
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
        region_new()
    slab = pool.current.older
    pool.current.older = NULL
    slab.newer = NULL
    if slab.live == 0:
        slab.region.empty -= 1
    if slab.free == NULL:  # its memory is touched only now
        slab_fill(slab)
    pool.current = slab
    return 0


cdef void pool_return(Slab *slab) noexcept:
    """Account for an item given back to a slab that is not the current one."""
    cdef Region *region = slab.region
    cdef uint32_t i
    if slab.live + 1 == slab.full:
        slab_link(slab)
    if slab.live:
        return
    region.empty += 1
    if region.empty < region.slabs or pool.bytes <= 2 * (REGION_SLABS + 1) * SLAB_BYTES:
        return
    for i in range(region.slabs):
        slab_unlink(region_slab(region, i))
    PyMem_RawFree(region.memory)
    PyMem_RawFree(region)
    pool.bytes -= (REGION_SLABS + 1) * SLAB_BYTES


cdef void plain_give(void *item) noexcept:
    PyMem_RawFree(item)
