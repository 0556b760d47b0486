"""Record: what is different while a function is being recorded.

Layer: above _handle. Cimports _arena, _handle.

A recording is what its thread computes between record_enter and record_exit. It can be replayed on
other inputs only as far as it has stayed inside the graph, so a recorded Value that is turned into a
plain number or a decision is reported to the recording's hook, which warns or raises. Recorded are
the results of operations, and leaves marked as inputs. Other threads notice nothing.
"""

from fastgrad._arena cimport INPUT, Node
from fastgrad._handle cimport node_at
from fastgrad._ops cimport OP_LEAF

cdef extern from "Python.h":
    """
    #if defined(_MSC_VER)
    static __declspec(thread) unsigned record_depth = 0;
    #else
    static _Thread_local unsigned record_depth = 0;  /* recordings that this thread is in */
    #endif
    """
    unsigned record_depth
    unsigned long PyThread_get_thread_ident()

cdef dict hooks = {}  # thread: the hooks of its recordings, the innermost last

somewhere_recording = 0


def record_enter(hook):
    """Begin a recording in this thread; may be nested.

    `hook(what)` is called wherever a recorded Value is used for something that a replay cannot
    repeat: "data", "float", "bool" and "format" read it, "data =" sets it, "detach", "copy",
    "deepcopy", "pickle" and "no_grad" make a leaf of it, "backward" makes plain numbers of its
    derivatives. What it raises comes out at that place.
    """
    global somewhere_recording, record_depth
    hooks.setdefault(PyThread_get_thread_ident(), []).append(hook)
    record_depth = record_depth + 1
    if record_depth == 1:
        somewhere_recording += 1


def record_exit():
    """End the recording begun last in this thread."""
    global somewhere_recording, record_depth
    if record_depth == 0:  # a generator was left in another thread
        return
    hooks[PyThread_get_thread_ident()].pop()
    record_depth = record_depth - 1
    if record_depth == 0:
        somewhere_recording -= 1
        del hooks[PyThread_get_thread_ident()]


cdef void record_after_fork() noexcept:
    """Forget the recordings of threads that the child does not have."""
    global somewhere_recording
    somewhere_recording = record_depth != 0


cdef bint is_recorded(node_id id) noexcept:
    """Tell whether this thread records, and a node is part of what a replay computes anew."""
    cdef Node *node = node_at(id)
    return record_depth != 0 and (node.op != OP_LEAF or node.flags & INPUT != 0)


cdef int recorded_read(node_id id, str what) except -1:
    """Tell the hook when a recorded node is used for something that a replay cannot repeat.

    The caller has seen `somewhere_recording` and owns the node.
    """
    cdef list mine
    if is_recorded(id):
        mine = hooks[PyThread_get_thread_ident()]
        mine[len(mine) - 1](what)
    return 0


cpdef int leaf_mark_input(Handle leaf) except -1:
    """Make a leaf an input of the recording, so that what is read of it is reported."""
    cdef Node *node = node_at(leaf.id)
    if node.op != OP_LEAF:
        raise TypeError("expected a leaf as the input of a recording, got the result of an operation")
    node.flags |= INPUT
    return 0
