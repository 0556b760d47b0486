"""Region: large allocations cut into equal pieces, for chunks of nodes and slabs of handles.

One allocation for many pieces: aligning each by itself would waste a page of forty.
"""

from libc.stdint cimport uint32_t

ctypedef struct Region:
    void *memory
    Region *older         # regions with room
    Region *newer
    void *free            # pieces given back, linked by their first word
    char *fresh           # pieces never taken start here
    uint32_t untouched    # their number
    uint32_t taken

ctypedef struct Regions:
    Region *roomy         # the first of those with room
    size_t piece          # bytes
    size_t align
    uint32_t pieces       # in a region
    size_t bytes          # of all regions

cdef void *region_take(Regions *regions, Region **owner) except NULL
cdef void region_give(Regions *regions, Region *region, void *piece) noexcept
cdef size_t region_bytes(Regions *regions) noexcept
