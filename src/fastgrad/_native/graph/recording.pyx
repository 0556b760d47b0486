"""Recording: what a thread reports and notes while it records a function.

A recording is what its thread computes between record_enter and record_exit. It can be replayed on
other inputs only as far as it has stayed inside the graph, so a recorded Value that is turned into a
plain number or a decision is reported to the recording's hook, which collects or raises. Recorded
are the results of operations, and leaves marked as inputs. What is read of other leaves goes to a
hook of its own, with their ids: those that the function has captured turn out when it is over. Other
threads notice nothing.

While anybody records, the arena notes of each operation which line of the program made it: the frame
of Python that runs at that moment, or if it belongs to fastgrad, NumPy or the standard library, the
one that called it. Places are kept as code and instruction; only who asks turns them into lines.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memset

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from cpython.object cimport PyObject

from fastgrad._native.base.errors cimport error_of
from fastgrad._native.memory.arena cimport (
    CHUNK_LEAVES, CHUNK_LIMIT, CHUNK_MASK, CHUNK_NODES, CHUNK_SHIFT, INPUT, Node, arena,
    arena_set_note, likely, unlikely,
)
from fastgrad._native.graph.handle cimport handle_slot, node_at
from fastgrad._native.ops.codes cimport OP_LEAF, op_is_comparison

import os
import sys

cdef extern from "Python.h":
    """
    #include <frameobject.h>
    static PyObject *frame_now(void) { return (PyObject *) PyEval_GetFrame(); }
    static PyObject *frame_caller(PyObject *frame) {
        return (PyObject *) PyFrame_GetBack((PyFrameObject *) frame);
    }
    static PyObject *frame_code(PyObject *frame) {  /* borrowed from the frame */
        PyObject *code = (PyObject *) PyFrame_GetCode((PyFrameObject *) frame);
        Py_DECREF(code);
        return code;
    }
    static int frame_instruction(PyObject *frame) {
        return PyFrame_GetLasti((PyFrameObject *) frame);
    }
    static unsigned place_hash(PyObject *code, int instruction) {
        unsigned mixed = (unsigned) ((size_t) code >> 4) * 0x9E3779B1u;
        return (mixed + (unsigned) instruction * 0x85EBCA6Bu) >> 7;
    }
    static int code_line(PyObject *code, int instruction) {
        return PyCode_Addr2Line((PyCodeObject *) code, instruction);
    }
    static PyObject *module_file(const char *name) {  /* borrowed; read without running Python */
        PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), name);
        PyObject *names = module && PyModule_Check(module) ? PyModule_GetDict(module) : NULL;
        PyObject *file = names ? PyDict_GetItemString(names, "__file__") : NULL;
        return file ? file : Py_None;
    }
    #include "config.h"
    static FASTGRAD_PER_THREAD unsigned debug_depth = 0;    /* fastgrad.debug() around this thread */
    static FASTGRAD_PER_THREAD unsigned record_depth = 0;   /* recordings that this thread is in */
    static FASTGRAD_PER_THREAD unsigned unreported_depth = 0; /* of the recording that is told nothing */
    static FASTGRAD_PER_THREAD PyObject *record_hooks = 0;  /* a list of their hooks, the last innermost */
    static FASTGRAD_PER_THREAD size_t graph_reads = 0;  /* of operands, by programs that walk over graphs */
    """
    unsigned debug_depth
    unsigned record_depth
    unsigned unreported_depth
    size_t graph_reads
    PyObject *record_hooks
    PyObject *frame_now()
    PyObject *frame_caller(PyObject *frame)
    PyObject *frame_code(PyObject *frame)
    int frame_instruction(PyObject *frame)
    unsigned place_hash(PyObject *code, int instruction)
    int code_line(PyObject *code, int instruction)
    PyObject *module_file(const char *name)
    int PyGC_Disable()
    int PyGC_Enable()
    void Py_INCREF(PyObject *o)
    void Py_DECREF(PyObject *o)

recording_threads = 0
cdef unsigned debugging_threads = 0  # that only note lines


def debug_enter():
    """Note lines in this thread until debug_exit(), recording or not; may be nested."""
    global debugging_threads, debug_depth
    debug_depth = debug_depth + 1
    if debug_depth == 1:
        debugging_threads += 1
        arena_set_note(operation_note)


def debug_exit():
    """End debug_enter(); the notes end with the last thread that needs them."""
    global debugging_threads, debug_depth
    if debug_depth == 0:  # a generator was left in another thread
        return
    debug_depth = debug_depth - 1
    if not debug_depth:
        debugging_threads -= 1
        if not recording_threads and not debugging_threads:
            notes_clear()


def record_enter(hook, leaf_hook=None):
    """Begin a recording in this thread; may be nested.

    `hook(what)` is called wherever a recorded Value is used for something that a replay cannot
    repeat: "data", "float", "bool", "index" and "format" read it, "data =" sets it, "detach", "copy",
    "deepcopy", "pickle" and "no_grad" make a leaf of it, "backward" makes plain numbers of its
    derivatives, "hash" makes it a key, "==" compares two by identity, "__class__" asks what an input
    is. `leaf_hook(what, id)` is called for other leaves, of which only the data can be frozen. What
    they raise comes out at that place.
    """
    global recording_threads, record_depth, record_hooks
    cdef list hooks
    if record_hooks == NULL:
        hooks = []
        Py_INCREF(<PyObject *> hooks)  # until the thread's last recording ends
        record_hooks = <PyObject *> hooks
    (<list> <object> record_hooks).append((hook, leaf_hook))
    record_depth = record_depth + 1
    if record_depth == 1:
        recording_threads += 1
        arena_set_note(operation_note)


def record_exit():
    """End the recording begun last in this thread; the notes of lines end with the last one."""
    global recording_threads, record_depth, record_hooks
    cdef PyObject *hooks
    if record_depth == 0:  # a generator was left in another thread
        return
    record_depth = record_depth - 1
    if record_depth:
        (<list> <object> record_hooks).pop()
        return
    hooks = record_hooks
    record_hooks = NULL
    recording_threads -= 1
    if not recording_threads and not debugging_threads:
        notes_clear()
    Py_DECREF(hooks)  # a hook's end may run anything


cpdef bint is_recording() noexcept:
    """Tell whether this thread records."""
    return record_depth != 0


cdef void record_after_fork() noexcept:
    """Forget the recordings of threads that the child does not have."""
    global recording_threads, debugging_threads
    recording_threads, debugging_threads = record_depth != 0, debug_depth != 0
    if not recording_threads and not debugging_threads:
        notes_clear()


cdef bint is_recorded(node_id id) noexcept:
    """Tell whether this thread records, and a node is part of what a replay computes anew."""
    cdef Node *node = node_at(id)
    return record_depth != 0 and (node.op != OP_LEAF or node.flags & INPUT != 0)


cdef int recorded_read(node_id id, str what) except -1:
    """Tell a hook when a node is used for something that a replay cannot repeat.

    The caller has seen `recording_threads` and owns the node.
    """
    cdef list hooks
    cdef tuple pair
    if record_depth == unreported_depth:  # 0 where nobody records
        return 0
    hooks = <list> <object> record_hooks
    pair = hooks[len(hooks) - 1]
    if is_recorded(id):
        pair[0](what)
    elif pair[1] is not None:
        pair[1](what, <object> id)
    return 0


cdef int recorded_draw(str what) except -1:
    """Tell the hook of numbers that were drawn, which a replay would keep."""
    cdef list hooks
    if record_depth == unreported_depth:
        return 0
    hooks = <list> <object> record_hooks
    hooks[len(hooks) - 1][0](what)
    return 0


cdef inline bint is_plain_leaf(node_id id) noexcept:
    return node_at(id).op == OP_LEAF and not node_at(id).flags & INPUT


cdef int recorded_truth(node_id id) except -1:
    """Tell a hook that a node is asked for its truth: a comparison of two leaves reads these.

    Any other leaf is true whatever its data.
    """
    cdef Node *node = node_at(id)
    cdef node_id a = node.a
    cdef node_id b = node.b
    if not is_recorded(id):
        return 0
    if not (op_is_comparison(node.op) and is_plain_leaf(a) and is_plain_leaf(b)):
        return recorded_read(id, "bool")
    recorded_read(a, "bool")
    return recorded_read(b, "bool")


cdef int recorded_use(node_id id, str what, bint inputs) except -1:
    """Tell the hook of a use by which no data are read: of recorded nodes, or of inputs only."""
    if is_recorded(id) and not (inputs and node_at(id).op != OP_LEAF):
        recorded_read(id, what)
    return 0


cpdef object call_unreported(object function, tuple arguments):
    """Call a function; nothing is reported of what it does to Values, but to recordings begun by it."""
    global unreported_depth
    cdef unsigned before = unreported_depth
    unreported_depth = record_depth
    try:
        return function(*arguments)
    finally:
        unreported_depth = before


cdef void graph_read() noexcept:
    """Count that the program looks at the operands of a node."""
    global graph_reads
    graph_reads = graph_reads + 1


def graph_reads_now():
    """Count how often this thread has looked at the operands of a node."""
    return graph_reads


def leaf_is_held(size_t id):
    """Tell whether a node that was named to a leaf hook is still a leaf, and a program holds it."""
    cdef size_t chunk = id >> CHUNK_SHIFT
    cdef Node *node
    if chunk >= arena.used or arena.base[chunk] == NULL or arena.chunks[chunk].kind != CHUNK_LEAVES:
        return False
    if (id & CHUNK_MASK) >= arena.chunks[chunk].fresh:
        return False
    node = node_at(<node_id> id)
    return node.count != 0 and handle_slot(<node_id> id)[0] != NULL


cpdef int leaf_mark_input(Handle leaf) except -1:
    """Make a leaf an input of the recording, so that what is read of it is reported."""
    cdef Node *node
    if leaf is None:
        raise error_of("FastgradTypeError", "a leaf", "None", "input of a recording")
    node = node_at(leaf.id)
    if node.op != OP_LEAF:
        raise error_of(
            "FastgradTypeError", "a leaf", "the result of an operation", "input of a recording")
    node.flags |= INPUT
    return 0


# Which line made an operation ---------------------------------------------------------------------

cdef enum:
    FIRST_SLOTS = 64  # a power of two

ctypedef struct Place:   # an instruction of a program
    PyObject *code
    int instruction
    bint is_internal            # code of fastgrad, NumPy, the library: the caller's line counts

cdef str PACKAGE_FOLDER = __file__[:__file__.rindex("_native")]  # the folder of the package
# programs inside the package: their own lines count
cdef tuple PROGRAM_PREFIXES = (PACKAGE_FOLDER + "command/demo.", PACKAGE_FOLDER + "command/bench")
cdef str SEPARATOR = os.sep

# of which no line counts: the standard library, but for what is installed in it
cdef str LIBRARY_FOLDER = os.path.dirname(getattr(os, "__file__", os.devnull)) + os.sep
cdef tuple INSTALLED = (LIBRARY_FOLDER + "site-packages", LIBRARY_FOLDER + "dist-packages")

# and the packages that programs hand Values to
cdef tuple HANDED_NUMBERS = (b"numpy", b"scipy", b"matplotlib")

cdef Place *places = NULL    # 0 stands for "unknown"
cdef uint32_t n_places = 1
cdef uint32_t *slots = NULL  # a hash table of places; half of it stays empty
cdef uint32_t n_slots = 0
cdef Place latest            # the place found last, and its number
cdef uint32_t latest_number = 0
cdef uint32_t **noted = NULL  # chunk: the places of its operations, NULL where none is known
cdef uint32_t n_noted = 0


cdef inline uint32_t place_slot(PyObject *code, int instruction) noexcept:
    """Find the slot of a place: its own, or the empty one where it belongs."""
    cdef uint32_t mask = n_slots - 1
    cdef uint32_t i = place_hash(code, instruction) & mask
    while slots[i] and (
            places[slots[i]].code != code or places[slots[i]].instruction != instruction):
        i = (i + 1) & mask
    return i


cdef bint places_grow() noexcept:
    """Double the table of places; tell whether there was memory for it."""
    global places, slots, n_slots
    cdef uint32_t n = 2 * n_slots if n_slots else FIRST_SLOTS
    cdef void *moved = PyMem_RawRealloc(places, n // 2 * sizeof(Place))
    cdef uint32_t *old = slots
    cdef uint32_t i
    if moved == NULL:
        return False
    places = <Place *> moved
    moved = PyMem_RawCalloc(n, sizeof(uint32_t))
    if moved == NULL:
        return False
    slots, n_slots = <uint32_t *> moved, n
    for i in range(1, n_places):
        slots[place_slot(places[i].code, places[i].instruction)] = i
    PyMem_RawFree(old)
    return True


cdef bint code_is_ours(object code) except -1:
    """Tell whether code is fastgrad's own, and no program of the package."""
    return code.co_filename.startswith(PACKAGE_FOLDER) and not code.co_filename.startswith(PROGRAM_PREFIXES)


cdef bint code_is_internal(PyObject *borrowed) except -1:
    """Tell whether code is no line of somebody's program.

    No Python runs here: another thread could take its turn in the middle of an operation.
    """
    cdef object code = <object> borrowed
    cdef object package
    cdef bytes name
    cdef str file = code.co_filename
    if code_is_ours(code) or file.startswith(("<frozen ", "<__array_function__")):
        return True
    if code.co_qualname.startswith("__create_fn__."):  # methods of a dataclass
        return True
    if file.startswith(LIBRARY_FOLDER) and not file.startswith(INSTALLED):
        return True
    for name in HANDED_NUMBERS:
        package = <object> module_file(name)
        if type(package) is str and file.startswith((<str> package).rpartition(SEPARATOR)[0] + SEPARATOR):
            return True
    return False


cdef uint32_t place_add(PyObject *code, int instruction) noexcept:
    """Give a new place the next number, 0 if there is no memory; it keeps its code alive."""
    global n_places
    cdef bint is_internal
    try:
        is_internal = code_is_internal(code)
    except MemoryError:
        return 0
    if n_places >= n_slots // 2 and not places_grow():
        return 0
    Py_INCREF(code)
    places[n_places].code, places[n_places].instruction = code, instruction
    places[n_places].is_internal = is_internal
    slots[place_slot(code, instruction)] = n_places
    n_places += 1
    return n_places - 1


cdef uint32_t place_of(PyObject *frame) noexcept:
    """Number the place where a frame is; 0 if that is not possible."""
    global latest, latest_number
    cdef PyObject *code = frame_code(frame)
    cdef int instruction = frame_instruction(frame)
    cdef uint32_t number
    if likely(code == latest.code and instruction == latest.instruction):
        return latest_number
    number = slots[place_slot(code, instruction)] if n_slots else 0
    if not number:
        number = place_add(code, instruction)
    if number:
        latest, latest_number = places[number], number
    return number


cdef uint32_t place_now() noexcept:
    """Number the place in the program that runs now; the innermost one if all of it is fastgrad's."""
    cdef PyObject *frame = frame_now()
    cdef PyObject *caller
    cdef uint32_t innermost, number
    if frame == NULL:
        return 0
    innermost = number = place_of(frame)
    Py_INCREF(frame)
    while number and unlikely(places[number].is_internal):
        caller = frame_caller(frame)
        Py_DECREF(frame)
        if caller == NULL:
            return innermost
        frame = caller
        number = place_of(frame)
    Py_DECREF(frame)
    return number


cdef bint notes_make_room(uint32_t chunk) noexcept:
    """Make an array for the notes of a chunk; tell whether there was memory for it."""
    global noted, n_noted
    cdef uint32_t n = min(max(2 * n_noted, chunk + 1), CHUNK_LIMIT)
    cdef void *moved
    if chunk >= n_noted:
        moved = PyMem_RawRealloc(noted, n * sizeof(uint32_t *))
        if moved == NULL:
            return False
        noted = <uint32_t **> moved
        memset(noted + n_noted, 0, (n - n_noted) * sizeof(uint32_t *))
        n_noted = n
    noted[chunk] = <uint32_t *> PyMem_RawCalloc(CHUNK_NODES, sizeof(uint32_t))
    return noted[chunk] != NULL


cdef void operation_note(node_id id) noexcept:
    """Note which line of the program makes an operation; unknown in other threads, or for want of memory."""
    cdef uint32_t chunk = id >> CHUNK_SHIFT
    cdef uint32_t number = 0
    cdef int collecting
    if unlikely(chunk >= n_noted or noted[chunk] == NULL) and not notes_make_room(chunk):
        return
    if record_depth or debug_depth:
        collecting = PyGC_Disable()  # frames become objects here, and a collection would run Python
        number = place_now()
        if collecting:
            PyGC_Enable()
    noted[chunk][id & CHUNK_MASK] = number


cdef uint32_t source_of(node_id id) noexcept:
    """Give the place that made an operation, an index of `sources()`; 0 if it is unknown.

    It holds until the recording ends.
    """
    cdef uint32_t chunk = id >> CHUNK_SHIFT
    if chunk >= n_noted or noted[chunk] == NULL:
        return 0
    return noted[chunk][id & CHUNK_MASK]


cdef tuple place_shown(uint32_t number):
    """Give a place as file, line and function."""
    if not 0 < number < n_places:
        return "", 0, ""
    code = <object> places[number].code
    line = code_line(places[number].code, places[number].instruction)
    return code.co_filename, line, code.co_qualname


def sources():
    """List the places noted so far, as file, line and function; the first stands for "unknown"."""
    cdef list found = []
    cdef uint32_t i = 0
    while i < n_places:  # what runs in between may note more
        found.append(place_shown(i))
        i += 1
    return found


def is_internal(code):
    """Tell whether code is no line of somebody's program: fastgrad's, NumPy's, the library's."""
    return code_is_internal(<PyObject *> code)


cpdef int program_level() except -1:
    """Give the stacklevel by which a caller of `warnings.warn` names the program's line."""
    cdef int level = 1
    frame = sys._getframe()
    while frame.f_back is not None and is_internal(frame.f_code):
        frame = frame.f_back
        level += 1
    return level


def is_ours(code):
    """Tell whether code is fastgrad's own."""
    return code_is_ours(code)


def source_of_value(Handle value):
    """Give the place that made a Value, as file, line and function."""
    return place_shown(source_of(value.id))


cdef void notes_clear() noexcept:
    """Release all places and stop noting lines."""
    global places, n_places, slots, n_slots, noted, n_noted, latest_number
    cdef Place *old = places
    cdef uint32_t n = n_places
    cdef uint32_t i
    arena_set_note(NULL)
    PyMem_RawFree(slots)
    for i in range(n_noted):
        PyMem_RawFree(noted[i])
    PyMem_RawFree(noted)
    places, slots, noted = NULL, NULL, NULL
    n_places, n_slots, n_noted, latest_number = 1, 0, 0, 0
    latest.code = NULL
    for i in range(1, n):  # last: code that dies may run anything
        Py_DECREF(old[i].code)
    PyMem_RawFree(old)
