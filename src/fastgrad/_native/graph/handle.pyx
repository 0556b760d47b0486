"""Handle: the Python object that stands for a node, its memory, its life.

A handle owns one count of its node. When a handle dies whose node a graph still needs, the node
lives on and a new handle is made when somebody asks; but a handle that carries attributes, weak
references or a subclass's state cannot be remade, so the node keeps it (PINNED) until the handle is
its only owner. The collector is shown a handle's attributes only when nothing else uses the node.
"""

from fastgrad._native.base.errors cimport described, error_of
from fastgrad._native.memory.arena cimport (
    CLOSURE, DEFERRED, FRESH, NUMBER, PINNED, arena_push_leaf, chunks_trim, node_release,
)
from fastgrad._native.ops.codes cimport OP_LEAF
from fastgrad._native.memory.pool cimport pool, pool_give, pool_refill

cdef extern from "Python.h":
    """
    #if defined(Py_GIL_DISABLED)
    #error "fastgrad needs the GIL: its arena has no locks"
    #endif
    static int type_has_length(PyTypeObject *type) {
        return (type->tp_as_sequence && type->tp_as_sequence->sq_length) ||
               (type->tp_as_mapping && type->tp_as_mapping->mp_length);
    }
    static int type_is_real(PyTypeObject *type) {
        return type->tp_as_number && (type->tp_as_number->nb_float || type->tp_as_number->nb_index);
    }
    static int type_is_integral(PyTypeObject *type) {
        return type->tp_as_number && type->tp_as_number->nb_index;
    }
    static void object_revive(PyObject *o) {
    #ifdef Py_REF_DEBUG
        _Py_NewReference(o);
    #else
        Py_SET_REFCNT(o, 1);
    #endif
    }
    /* A class statement wraps the slots of its base in calls of its methods; undo that. Patching an
       operator of Value sets the wrapper again. */
    static void slots_inherit(PyTypeObject *type, PyTypeObject *base) {
        void **to = (void **) type->tp_as_number, **from = (void **) base->tp_as_number;
        for (size_t i = 0; i < sizeof(PyNumberMethods) / sizeof(void *); i++)
            if (from[i]) to[i] = from[i];
        type->tp_repr = base->tp_repr;
        type->tp_hash = base->tp_hash;
        type->tp_richcompare = base->tp_richcompare;
        type->tp_init = base->tp_init;
    }
    static void *type_tp_init(PyTypeObject *type) { return (void *) type->tp_init; }
    static PyObject *type_call(PyObject *type, PyObject *args, PyObject *kwargs) {
        return PyType_Type.tp_call(type, args, kwargs);
    }
    """
    ctypedef int (*visitproc)(PyObject *, void *) noexcept
    bint type_has_length(PyTypeObject *type)
    bint type_is_real(PyTypeObject *type)
    bint type_is_integral(PyTypeObject *type)
    void object_revive(PyObject *o)
    void slots_inherit(PyTypeObject *type, PyTypeObject *base)
    void *type_tp_init(PyTypeObject *type)
    object type_call(PyObject *type, tuple args, object kwargs)
    unsigned long PyThread_get_thread_ident()
    bint PyFloat_Check(object o)
    bint PyFloat_CheckExact(PyObject *o)
    double PyFloat_AS_DOUBLE(PyObject *o)
    bint PyLong_Check(object o)
    bint PyBool_Check(object o)
    double PyLong_AsDouble(object o)
    PyObject *PyErr_Occurred()
    void PyErr_Clear()
    object PyNumber_Float(object o)
    object PyObject_GenericGetDict(object o, void *context)
    int PyObject_GenericSetAttr(PyObject *o, PyObject *name, PyObject *value) except -1
    void PyObject_GC_Track(PyObject *o)
    void PyObject_GC_UnTrack(PyObject *o)
    bint PyObject_GC_IsTracked(PyObject *o)
    void PyObject_ClearWeakRefs(PyObject *o)
    int PyObject_CallFinalizerFromDealloc(PyObject *o)
    Py_ssize_t PyDict_Size(PyObject *o)
    PyObject *PyDict_GetItem(PyObject *o, object key)
    int PyDict_DelItem(PyObject *o, object key) except -1
    bint PyFunction_Check(PyObject *o)
    PyObject *PyFunction_GET_CLOSURE(PyObject *o)
    Py_ssize_t PyTuple_GET_SIZE(PyObject *o)
    PyObject *PyTuple_GET_ITEM(PyObject *o, Py_ssize_t i)
    PyObject *PyCell_GET(PyObject *o)
    bint PyComplex_Check(object o)
    Py_ssize_t Py_REFCNT(PyObject *o)
    void Py_INCREF(PyObject *o)
    void Py_DECREF(PyObject *o)
    void Py_XDECREF(PyObject *o)
    bint PyType_IsSubtype(PyTypeObject *a, PyTypeObject *b)

cdef extern from *:
    """
    typedef PyTypeObject TypeSlots;
    """
    ctypedef struct TypeSlots:  # the slots set by hand, with the exceptions their functions raise
        void (*tp_dealloc)(PyObject *) noexcept
        int (*tp_traverse)(PyObject *, visitproc, void *) noexcept
        int (*tp_clear)(PyObject *) noexcept
        void (*tp_free)(void *) noexcept
        void (*tp_finalize)(PyObject *) noexcept
        PyObject *(*tp_alloc)(PyTypeObject *, Py_ssize_t) except NULL
        PyObject *(*tp_new)(PyTypeObject *, PyObject *, PyObject *) except NULL
        PyObject *(*tp_vectorcall)(PyObject *, PyObject *const *, size_t, PyObject *) except NULL
        Py_ssize_t tp_dictoffset
        Py_ssize_t tp_basicsize
    void PyType_Modified(TypeSlots *type)

cdef enum:
    DRAIN_IDLE
    DRAIN_BUSY

cdef int drain_state = DRAIN_IDLE
cdef unsigned long drainer = 0  # the thread that drains
cdef void *value_init = NULL  # tp_init as built: a patched __init__ must be called


# Life ---------------------------------------------------------------------------------------------

cdef int handles_make_room(node_id id) except -1:
    """Make room for a handle, or drop the node that it was for and raise."""
    while True:  # a second time if memory comes back from free chunks
        try:
            return pool_refill()
        except MemoryError:
            if not chunks_trim():
                node_drop(id)
                handles_flush()
                raise


cdef object handle_of(node_id id):
    """Give the handle of a node, making one if it has none."""
    cdef PyObject *handle = handle_slot(id)[0]
    if handle != NULL:
        return <object> handle
    node_at(id).count += 1
    if node_at(id).op == OP_LEAF:
        node_at(id).flags &= ~NUMBER  # it is distinguishable from its equals now
    return handle_new(id)


cdef int handle_pin(Handle handle) except -1:
    """Have the node keep its handle as long as a graph uses it."""
    cdef Node *node = node_at(handle.id)
    if not node.flags & PINNED:
        node.flags |= PINNED
        Py_INCREF(<PyObject *> handle)
    return 0


cdef void cycle_break(HandleLayout *handle) noexcept:
    """Drop a backward function that is all that holds its own node, as `out._backward = f` makes it.

    The collector would find that too, but in a chain of such nodes one a pass. The function, its
    closure and its cells must have no other owner, and the references to the handle be those
    of these cells and the caller's.
    """
    cdef PyObject *function
    cdef PyObject *closure
    cdef PyObject *cell
    cdef Py_ssize_t held = 1
    cdef Py_ssize_t i
    if handle.attributes == NULL or Py_REFCNT(handle.attributes) != 1:
        return
    function = PyDict_GetItem(handle.attributes, "_backward")
    if function == NULL or not PyFunction_Check(function) or Py_REFCNT(function) != 1:
        return
    closure = PyFunction_GET_CLOSURE(function)
    if closure == NULL or Py_REFCNT(closure) != 1:
        return
    for i in range(PyTuple_GET_SIZE(closure)):
        cell = PyTuple_GET_ITEM(closure, i)
        if Py_REFCNT(cell) == 1 and PyCell_GET(cell) == <PyObject *> handle:
            held += 1
    if held == Py_REFCNT(<PyObject *> handle):
        PyDict_DelItem(handle.attributes, "_backward")


cdef void handles_drain() noexcept:
    """Release the pinned handles that their nodes no longer need.

    This runs attribute destructors, hence arbitrary code; what that defers is taken up by this loop.
    """
    global drain_state, drainer
    cdef node_id id
    cdef Node *node
    cdef HandleLayout *handle
    if drain_state == DRAIN_BUSY:
        return
    drain_state, drainer = DRAIN_BUSY, PyThread_get_thread_ident()
    while arena.deferred:
        id = arena.deferred
        node = node_at(id)
        handle = <HandleLayout *> handle_slot(id)[0]
        arena.deferred = handle.link
        handle.link = 0
        node.flags &= ~DEFERRED
        if node.count == 1:  # it has not been used again in the meantime
            node.flags &= ~PINNED
            if node.flags & CLOSURE:
                cycle_break(handle)
            Py_DECREF(<PyObject *> handle)
    drain_state = DRAIN_IDLE


cdef void handles_after_fork() noexcept:
    """Forget a drain that was going on in a thread that the child does not have."""
    global drain_state
    if drainer != PyThread_get_thread_ident():
        drain_state = DRAIN_IDLE


cdef void handle_dealloc(PyObject *o) noexcept:
    cdef HandleLayout *handle = <HandleLayout *> o
    cdef node_id id = handle.id
    cdef Node *node = node_at(id)
    if (handle.attributes != NULL or handle.weakrefs != NULL
            or (<void **> (<char *> o - GC_HEADER))[0] != NULL
            or (<TypeSlots *> value_type).tp_finalize != NULL or Py_TYPE(o) != value_type):
        handle_dealloc_slowly(o)
        return
    node.count -= 1
    if node.count:
        handle_slot(id)[0] = NULL
    else:
        node_release(id)
    pool_give(<char *> o - GC_HEADER)
    handles_flush()


cdef void handle_dealloc_slowly(PyObject *o) noexcept:
    cdef HandleLayout *handle = <HandleLayout *> o
    cdef PyTypeObject *type = Py_TYPE(o)
    cdef node_id id = handle.id
    cdef Node *node = node_at(id)
    cdef PyObject *attributes
    if type == value_type and (<TypeSlots *> type).tp_finalize != NULL:
        if not PyObject_GC_IsTracked(o):
            PyObject_GC_Track(o)  # what a finalizer keeps must be tracked
        if PyObject_CallFinalizerFromDealloc(o) < 0:
            return  # __del__ has stored it somewhere
        id, node = handle.id, node_at(handle.id)  # or has called __init__
    if type == value_type and node.count > 1 and (
            handle.weakrefs != NULL or handle.attributes != NULL and PyDict_Size(handle.attributes)):
        object_revive(o)
        node.flags |= PINNED
        return
    if PyObject_GC_IsTracked(o):
        PyObject_GC_UnTrack(o)
    if id:
        handle_slot(id)[0] = NULL  # first: what runs below may look at the graph
    if handle.weakrefs != NULL:
        PyObject_ClearWeakRefs(o)
    attributes = handle.attributes
    handle.attributes = NULL
    Py_XDECREF(attributes)
    if id:
        node_drop(id)
    if type == value_type:
        (<void **> (<char *> o - GC_HEADER))[1] = NULL  # the collector's flags are not the next one's
        pool_give(<char *> o - GC_HEADER)
    else:
        (<TypeSlots *> type).tp_free(o)
        Py_DECREF(<PyObject *> type)
    handles_flush()


cdef int handle_traverse(PyObject *o, visitproc visit, void *arg) noexcept:
    cdef HandleLayout *handle = <HandleLayout *> o
    cdef int result = 0
    if Py_TYPE(o) != value_type:  # plain Values own no reference to their type, which never dies
        result = visit(<PyObject *> Py_TYPE(o), arg)
    if result == 0 and handle.attributes != NULL and (not handle.id or node_at(handle.id).count == 1):
        result = visit(handle.attributes, arg)
    return result


cdef int handle_clear(PyObject *o) noexcept:
    cdef HandleLayout *handle = <HandleLayout *> o
    cdef PyObject *attributes = handle.attributes
    handle.attributes = NULL
    Py_XDECREF(attributes)
    return 0


cdef void handle_free(void *o) noexcept:
    """Stand in tp_free, so that `__class__` can be set to no type of another allocation."""
    pool_give(<char *> o - GC_HEADER)


cdef PyObject *handle_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) except NULL:
    """Allocate a handle of a leaf 0.0, which __init__ then sets."""
    cdef node_id id
    cdef object value
    if value_type == NULL or not PyType_IsSubtype(type, value_type):
        raise error_of(
            "FastgradTypeError", "Value or a class derived from it",
            f"its base {(<object> <PyObject *> type).__name__}", "class to make an instance of")
    id = arena_push_leaf(0.0)
    handle_slot(id)[0] = NULL
    node_at(id).flags = FRESH
    if type == value_type:
        value = handle_new(id)
    else:
        try:
            value = <object> (<TypeSlots *> type).tp_alloc(type, 0)
        except BaseException:
            node_drop(id)
            raise
        Py_DECREF(<PyObject *> value)  # tp_alloc gave a reference, the cast took another
        (<HandleLayout *> <PyObject *> value).id = id
        handle_slot(id)[0] = <PyObject *> value
    Py_INCREF(<PyObject *> value)
    return <PyObject *> value


cdef PyObject *value_vectorcall(
        PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names) except NULL:
    """Call Value(x) without making a tuple of its argument."""
    cdef size_t n = nargsf & ~(<size_t> 1 << (8 * sizeof(size_t) - 1))
    cdef size_t i
    cdef node_id id
    cdef object value
    cdef list given
    if n == 1 and names == NULL and type_tp_init(<PyTypeObject *> type) == value_init and (
            (<TypeSlots *> type).tp_new == handle_tp_new):
        id = arena_push_leaf(number_expect(<object> args[0], "data of Value"))
        value = handle_new(id)
    else:
        given = []
        for i in range(n):
            given.append(<object> args[i])
        keywords = {} if names == NULL else {
            name: <object> args[n + i] for i, name in enumerate(<object> names)}
        value = type_call(type, tuple(given), keywords)
    Py_INCREF(<PyObject *> value)
    return <PyObject *> value


# Attributes ---------------------------------------------------------------------------------------

cdef int handle_set_attribute(Handle handle, object name, PyObject *value) except -1:
    """Set an attribute, or delete it with NULL."""
    if value == NULL and name in ("data", "grad", "_backward"):
        raise error_of(
            "FastgradAttributeError", f"{name} to stay", "its deletion", "attribute of Value",
            "set it instead")
    PyObject_GenericSetAttr(<PyObject *> handle, <PyObject *> name, value)
    return handle_track(handle)


cdef int handle_track(Handle handle) except -1:
    """Show a handle to the cyclic collector, once it has attributes."""
    cdef PyObject *o = <PyObject *> handle
    if (<HandleLayout *> o).attributes != NULL and not PyObject_GC_IsTracked(o):
        PyObject_GC_Track(o)
    return 0


cdef dict attributes_of(Handle handle):
    """Give the attribute dictionary of a handle, which anybody may then change."""
    cdef dict attributes = PyObject_GenericGetDict(handle, NULL)
    handle_track(handle)
    return attributes


cdef int handle_adopt(Handle handle, node_id id) except -1:
    """Make a handle stand for another node, whose count the caller hands over."""
    cdef node_id before = handle.id
    handle_slot(before)[0] = NULL
    handle.id = id
    arena.edits += 1
    handle_slot(id)[0] = <PyObject *> handle
    node_drop(before)
    return 0


# Numbers ------------------------------------------------------------------------------------------

cdef double int_read(object value) except? -1.0:
    """Read an int."""
    cdef double number = PyLong_AsDouble(value)
    if number == -1.0 and PyErr_Occurred() != NULL:
        PyErr_Clear()
        raise error_of(
            "FastgradOverflowError", "a number that fits a float", described(value), "",
            "scale it, or take its logarithm, while it is an int")
    return number


cdef int number_read(object value, double *out) except -1:
    """Read a plain number: a float, an int, or a scalar that converts to one."""
    cdef PyTypeObject *type = Py_TYPE(<PyObject *> value)
    if PyFloat_CheckExact(<PyObject *> value):
        out[0] = PyFloat_AS_DOUBLE(<PyObject *> value)
        return A_FLOAT
    if PyLong_Check(value):
        out[0] = int_read(value)
        return A_BOOL if PyBool_Check(value) else AN_INT
    if PyFloat_Check(value):
        out[0] = PyFloat_AS_DOUBLE(<PyObject *> value)
        return A_FLOAT
    if not type_is_real(type) or PyComplex_Check(value):
        return NOT_A_NUMBER
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    # It would lose its imaginary part; its gradient, if that is a Value; dates, texts, records are none.
    if kind == "c" or kind == "O" or kind == "M" or kind == "m" or kind == "S" or kind == "U" or kind == "V":
        return NOT_A_NUMBER
    if type_has_length(type):  # an array; one without dimensions passes
        try:
            len(value)
            return NOT_A_NUMBER
        except TypeError:
            pass
    cdef object number = PyNumber_Float(value)
    out[0] = PyFloat_AS_DOUBLE(<PyObject *> number)
    return AN_INT if type_is_integral(type) else A_FLOAT


cdef double number_expect(object value, str where) except? -1.0:
    """Read a plain number or raise."""
    cdef double out = 0.0
    if number_read(value, &out) == NOT_A_NUMBER:
        raise error_of(
            "FastgradTypeError", "a number", described(value), where,
            "pass an int, a float or what float() accepts, one number at a time")
    return out


# Types --------------------------------------------------------------------------------------------

cdef void handle_prepare(void *item) noexcept:
    """Set what a handle keeps when it is freed and taken again."""
    (<PyTypeObject **> (<char *> item + GC_HEADER))[1] = value_type


cdef int types_patch(object base, object value, bint first) except -1:
    """Set the slots for which Cython's own functions are too slow or track each instance.

    Called before the class Value is made (it inherits from its base what must be equal in both),
    and after.
    """
    global value_type, value_init
    cdef TypeSlots *slots = <TypeSlots *> <PyObject *> base
    if first:
        for cls in base.__mro__:
            if cls is not object:
                slots = <TypeSlots *> <PyObject *> cls
                slots.tp_new = handle_tp_new
                slots.tp_vectorcall = NULL  # Cython's calls its own tp_new
                PyType_Modified(slots)
        return 0
    slots = <TypeSlots *> <PyObject *> value
    if slots.tp_basicsize != sizeof(HandleLayout) or slots.tp_dictoffset != ATTRIBUTES_OFFSET:
        raise error_of(
            "SystemError", f"handles of {sizeof(HandleLayout)} bytes, as the C code assumes",
            f"{slots.tp_basicsize}", "build of fastgrad", "report it, with python -m fastgrad info")
    slots.tp_dealloc = handle_dealloc
    slots.tp_traverse = handle_traverse
    slots.tp_clear = handle_clear
    slots.tp_free = handle_free
    slots.tp_vectorcall = value_vectorcall
    slots_inherit(<PyTypeObject *> <PyObject *> value, <PyTypeObject *> <PyObject *> base)
    PyType_Modified(slots)
    Py_INCREF(<PyObject *> value)  # instances count on it
    value_type = <PyTypeObject *> <PyObject *> value
    value_init = type_tp_init(value_type)
    pool.item = GC_HEADER + sizeof(HandleLayout)
    pool.link = GC_HEADER
    pool.prepare = handle_prepare
    return 0
