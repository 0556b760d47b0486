"""Poll: how native loops let signal handlers run, and how tests count and stop them."""

from cpython.object cimport PyObject

cdef extern from "Python.h" nogil:  # with the GIL; their errors stay set for the caller of a poll
    int PyErr_CheckSignals()
    PyObject *PyObject_CallNoArgs(PyObject *function)
    void Py_DECREF(PyObject *o)
    void Py_XDECREF(PyObject *o)
    void Py_INCREF(object o)
    unsigned long PyThread_get_thread_ident()

cdef extern from * nogil:
    """
    #include <time.h>
    static int64_t milliseconds(void) {
        struct timespec now;
        timespec_get(&now, TIME_UTC);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    }
    """
    int64_t milliseconds()

STEPS = POLL_INTERVAL  # that a loop makes between two polls
cdef PyObject *observer = NULL
cdef PollHook *hooks = NULL  # the innermost
forks = 0
cdef unsigned long main_thread = 0  # 0: not asked for yet


cdef bint is_main_thread() except -1:
    """Tell whether this thread is the one that runs signal handlers."""
    global main_thread
    if not main_thread:
        import threading
        main_thread = threading.main_thread().ident
    return PyThread_get_thread_ident() == main_thread


cdef void poll_after_fork() noexcept:
    """The thread that forked is the main thread of the child."""
    global main_thread, hooks, forks
    forks += 1
    if PyThread_get_thread_ident() != main_thread:  # the loops of a thread that the child does not have
        hooks = NULL
    main_thread = PyThread_get_thread_ident()


cdef bint poll_hook(PollHook *hook) except -1:
    """Have a loop told of handlers that run; in other threads than the main one none do."""
    global hooks
    if not is_main_thread():
        return False
    hook.outer = hooks
    hooks = hook
    return True


cdef void poll_unhook(PollHook *hook) noexcept:
    global hooks
    hooks = hook.outer


def observe(function):
    """Call a function, or with None no longer one, at each poll; what it raises stops the loop.

    For tests. While there is one, loops without the GIL poll as often as the others, whatever the
    time, so that the number of polls depends on the work alone.
    """
    global observer
    cdef PyObject *before = observer
    if function is None:
        observer = NULL
    else:
        Py_INCREF(function)
        observer = <PyObject *> function
    Py_XDECREF(before)


cdef int handlers_run() noexcept nogil:
    cdef PyObject *result
    if observer != NULL:
        result = PyObject_CallNoArgs(observer)
        if result == NULL:
            return -1
        Py_DECREF(result)
    return PyErr_CheckSignals()


cdef int poll_with_gil(Poll *poll) noexcept nogil:
    cdef PollHook *hook = hooks
    cdef int result
    if hook == NULL or PyThread_get_thread_ident() != main_thread:
        return handlers_run()
    if hook.before(hook.context) != 0:
        return -1
    result = handlers_run()
    hook.after(hook.context)
    return result


cdef int poll_taking_gil(Poll *poll) noexcept with gil:
    return poll_with_gil(poll)


cdef int poll_without_gil(Poll *poll) noexcept nogil:
    """Take the GIL only every so often: another thread may keep it for some milliseconds."""
    cdef int64_t now
    if observer == NULL:
        now = milliseconds()
        if not poll.checked:
            poll.checked = now
        if poll.checked <= now < poll.checked + POLL_MILLISECONDS:
            return 0
        poll.checked = now
    return poll_taking_gil(poll)
