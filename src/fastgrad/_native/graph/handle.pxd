"""Handle: the Python object that stands for a node, its memory, its life.

A node has at most one handle at a time, so identity of handles is identity of nodes.
"""

from cpython.object cimport PyObject, PyTypeObject

from fastgrad._native.memory.arena cimport (
    HandleHead, Node, arena, handle_slot, node_at, node_drop, node_id, unlikely,
)
from fastgrad._native.memory.pool cimport pool_has_room, pool_take

cdef extern from *:
    """
    /* Tracked by the cyclic collector only once it has attributes; this header lies before it. */
    enum { GC_HEADER = 2 * sizeof(void *) };
    typedef struct {
        PyObject_HEAD
        node_id id;
        node_id link;
        PyObject *attributes;
        PyObject *weakrefs;
    } HandleLayout;
    /* Changes whenever a type does; 0: not known. */
    static unsigned type_version(PyTypeObject *type) { return type->tp_version_tag; }
    #define ATTRIBUTES_OFFSET ((Py_ssize_t) offsetof(HandleLayout, attributes))
    """
    enum:
        GC_HEADER
    unsigned type_version(PyTypeObject *type)
    Py_ssize_t ATTRIBUTES_OFFSET
    ctypedef struct HandleLayout:
        node_id id
        node_id link
        PyObject *attributes
        PyObject *weakrefs

cdef extern from "Python.h":
    PyTypeObject *Py_TYPE(void *o)
    PyObject *type_lookup "_PyType_Lookup" (PyTypeObject *type, object name)

cdef class Handle:
    cdef node_id id
    cdef node_id link
    cdef dict __dict__
    cdef object __weakref__

cdef enum Number:  # what a plain operand was
    NOT_A_NUMBER
    A_FLOAT
    AN_INT
    A_BOOL

cdef PyTypeObject *value_type

cdef int handles_make_room(node_id id) except -1
cdef object handle_of(node_id id)
cdef int handle_pin(Handle handle) except -1
cdef void handles_drain() noexcept
cdef void handles_after_fork() noexcept
cdef int handle_set_attribute(Handle handle, object name, PyObject *value) except -1
cdef double int_read(object value) except? -1.0
cdef int number_read(object value, double *out) except -1
cdef double number_expect(object value, str where) except? -1.0
cdef dict attributes_of(Handle handle)
cdef int handle_adopt(Handle handle, node_id id) except -1
cdef int types_patch(object base, object value, bint first) except -1


cdef inline void handles_flush() noexcept:
    """Release what an operation or a sweep has deferred to its end."""
    if unlikely(arena.deferred != 0):
        handles_drain()


cdef inline bint is_value(object o) noexcept:
    """Tell a plain Value, the case worth a path of its own."""
    return Py_TYPE(<void *> o) == value_type


cdef inline bint is_handle(object o) noexcept:
    """Tell a Value or an instance of a subclass."""
    return Py_TYPE(<void *> o) == value_type or isinstance(o, Handle)


cdef inline object handle_new(node_id id):
    """Make the handle of a node that has none, taking over the caller's count of it."""
    if unlikely(not pool_has_room()):
        handles_make_room(id)
    cdef HandleLayout *handle = <HandleLayout *> (<char *> pool_take() + GC_HEADER)
    (<Py_ssize_t *> handle)[0] = 0  # the cast to object below counts the first reference
    handle.id = id
    handle_slot(id)[0] = <PyObject *> handle
    return <object> <PyObject *> handle
