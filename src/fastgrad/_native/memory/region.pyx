"""Region: large allocations cut into equal pieces, for chunks of nodes and slabs of handles."""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc


cdef void region_link(Regions *regions, Region *region) noexcept:
    region.newer, region.older = NULL, regions.roomy
    if regions.roomy != NULL:
        regions.roomy.newer = region
    regions.roomy = region


cdef void region_unlink(Regions *regions, Region *region) noexcept:
    if region.newer != NULL:
        region.newer.older = region.older
    else:
        regions.roomy = region.older
    if region.older != NULL:
        region.older.newer = region.newer


cdef size_t region_bytes(Regions *regions) noexcept:
    return regions.pieces * regions.piece + regions.align


cdef int region_new(Regions *regions) except -1:
    cdef Region *region = <Region *> PyMem_RawMalloc(sizeof(Region))
    if region == NULL:
        raise MemoryError()
    region.memory = PyMem_RawMalloc(region_bytes(regions))
    if region.memory == NULL:
        PyMem_RawFree(region)
        raise MemoryError()
    region.fresh = <char *> ((<size_t> region.memory + regions.align - 1) & ~(regions.align - 1))
    region.untouched, region.taken, region.free = regions.pieces, 0, NULL
    regions.bytes += region_bytes(regions)
    region_link(regions, region)
    return 0


cdef void *region_take(Regions *regions, Region **owner) except NULL:
    """Take a piece; what is in it is undefined."""
    cdef Region *region
    cdef void *piece
    if regions.roomy == NULL:
        region_new(regions)
    region = regions.roomy
    if region.free != NULL:
        piece = region.free
        region.free = (<void **> piece)[0]
    else:
        piece = region.fresh
        region.fresh += regions.piece
        region.untouched -= 1
    region.taken += 1
    if region.free == NULL and not region.untouched:
        region_unlink(regions, region)
    owner[0] = region
    return piece


cdef void region_give(Regions *regions, Region *region, void *piece) noexcept:
    """Give a piece back, and its region with it unless that is the only one with room."""
    if region.free == NULL and not region.untouched:
        region_link(regions, region)
    (<void **> piece)[0] = region.free
    region.free = piece
    region.taken -= 1
    if region.taken == 0 and (region.older != NULL or region.newer != NULL):
        region_unlink(regions, region)
        regions.bytes -= region_bytes(regions)
        PyMem_RawFree(region.memory)
        PyMem_RawFree(region)
