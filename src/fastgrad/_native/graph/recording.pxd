"""Recording: what a thread reports and notes while it records a function."""

from libc.stdint cimport uint32_t

from fastgrad._native.memory.arena cimport node_id
from fastgrad._native.graph.handle cimport Handle

cdef unsigned recording_threads  # number of threads that record; if any, ask is_recorded()

cdef bint is_recorded(node_id id) noexcept
cpdef bint is_recording() noexcept
cdef int recorded_read(node_id id, str what) except -1
cdef int recorded_draw(str what) except -1
cdef int recorded_truth(node_id id) except -1
cdef int recorded_use(node_id id, str what, bint inputs) except -1
cpdef int program_level() except -1
cpdef object call_unreported(object function, tuple arguments)
cdef void graph_read() noexcept
cdef void record_after_fork() noexcept
cdef uint32_t source_of(node_id id) noexcept
cdef tuple place_shown(uint32_t number)
cpdef int leaf_mark_input(Handle leaf) except -1
