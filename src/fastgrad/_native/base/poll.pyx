"""Poll: how native loops let signal handlers run, and how tests count and stop them."""

from cpython.object cimport PyObject

cdef extern from "Python.h" nogil:  # with the GIL; their errors stay set for the caller of a poll
    int PyErr_CheckSignals()
    PyObject *PyObject_CallNoArgs(PyObject *function)
    void Py_DECREF(PyObject *o)
    void Py_XDECREF(PyObject *o)
    void Py_INCREF(object o)

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


cdef int poll_with_gil(Poll *poll) noexcept nogil:
    cdef PyObject *result
    if observer != NULL:
        result = PyObject_CallNoArgs(observer)
        if result == NULL:
            return -1
        Py_DECREF(result)
    return PyErr_CheckSignals()


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
