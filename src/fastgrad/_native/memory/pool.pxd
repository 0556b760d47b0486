"""Pool: memory for handles, 64 KiB slabs with a free list each.

A freed item keeps its contents but for one word, so a handle's type and its empty slots are set
once.
"""

from libc.stdint cimport uint32_t

from fastgrad._native.memory.region cimport Region

cdef extern from "config.h" nogil:
    """
    #ifdef FASTGRAD_SANITIZE  /* one allocation an item, so that the sanitizer sees each */
    #define FASTGRAD_POOL_PLAIN 1
    #else
    #define FASTGRAD_POOL_PLAIN 0
    #endif
    """
    bint POOL_PLAIN "FASTGRAD_POOL_PLAIN"
    bint likely "FASTGRAD_LIKELY" (bint condition)

cdef enum:
    SLAB_BYTES = 1 << 16

ctypedef struct Slab:     # lies at the start of its 64 KiB, aligned to them
    void *free            # linked by the word at LINK of each free item
    Slab *older           # slabs with room, the current one first
    Slab *newer
    Region *region
    uint32_t live
    uint32_t full         # live when it is full

ctypedef struct Pool:
    Slab *current
    size_t item           # bytes of an item
    size_t link           # offset of the word that links free items
    void (*prepare)(void *item) noexcept  # once, on fresh memory that is all zero
    uint32_t empty        # slabs without a live item, but for the current one

cdef Pool pool

cdef int pool_refill() except -1
cdef void pool_return(Slab *slab) noexcept
cdef size_t pool_bytes() noexcept
cdef void plain_give(void *item) noexcept


cdef inline bint pool_has_room() noexcept:
    return pool.current.free != NULL


cdef inline void *pool_take() noexcept:
    """Take an item: ask pool_has_room() first, and call pool_refill() if there is none."""
    cdef void *item = pool.current.free
    pool.current.free = (<void **> (<char *> item + pool.link))[0]
    pool.current.live += 1
    return item


cdef inline void pool_give(void *item) noexcept:
    cdef Slab *slab
    if POOL_PLAIN:
        plain_give(item)
        return
    slab = <Slab *> (<size_t> item & ~<size_t> (SLAB_BYTES - 1))
    (<void **> (<char *> item + pool.link))[0] = slab.free
    slab.free = item
    slab.live -= 1
    if not likely(slab == pool.current):
        pool_return(slab)
