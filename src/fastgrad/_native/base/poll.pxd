"""Poll: how native loops let signal handlers run."""

from libc.stdint cimport int64_t

cdef extern from "base/poll.h" nogil:
    ctypedef struct Poll:
        int64_t left
        int64_t checked
    ctypedef struct PollHook:
        int (*before)(void *) noexcept nogil
        void (*after)(void *) noexcept nogil
        void *context
        PollHook *outer
    enum:
        POLL_INTERVAL
        POLL_MILLISECONDS
    Poll poll_begin(int (*check)(Poll *) noexcept nogil)
    bint poll_is_due(Poll *poll, int64_t steps)
    int poll_now(Poll *poll) except -1
    int poll_signals(Poll *poll, int64_t steps) except -1

cdef int poll_with_gil(Poll *poll) noexcept nogil     # for loops that hold it
cdef int poll_without_gil(Poll *poll) noexcept nogil  # for those that have given it up

cdef unsigned forks  # between the process that loaded this and the one that runs it

cdef bint is_main_thread() except -1
cdef bint poll_hook(PollHook *hook) except -1   # False, and nothing done, in a thread without handlers
cdef void poll_after_fork() noexcept
cdef void poll_unhook(PollHook *hook) noexcept
