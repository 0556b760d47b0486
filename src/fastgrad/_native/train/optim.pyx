"""Optimizers: one update rule over a group of parameters, and its state.

Plain Values are read and written natively. Anything else with `data` and `grad` goes through its
attributes: all is read first, then computed, then written, and undone if a write fails.
"""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.object cimport PyObject
from libc.string cimport memcmp, memcpy

from fastgrad._native.base.errors cimport described, error_of, flag_expect, shown
from fastgrad._native.memory.arena cimport FRESH, Node, arena, node_at
from fastgrad._native.graph.handle cimport Handle, is_value, number_expect
from fastgrad._native.ops.codes cimport OP_LEAF
from fastgrad._native.graph.value cimport slots_check

cdef extern from "Python.h":
    bint PyFloat_CheckExact(PyObject *o)
    double PyFloat_AS_DOUBLE(PyObject *o)
    bint PyList_CheckExact(object o)
    Py_ssize_t PyList_GET_SIZE(object o)
    PyObject **PySequence_Fast_ITEMS(object o)
    object PyUnicode_InternFromString(const char *text)
    PyObject *PyDict_GetItemWithError(object o, object key) except? NULL

cdef extern from "train/rules.h" nogil:
    enum:
        RULE_FLAG
        RULE_PAIR
    const Rule rules[]
    const int rules_count
    bint rules_set_avx2(bint allowed)

cdef dict RULES = {}  # name: place in `rules`, names of its hyper-parameters


cdef int rules_list() except -1:
    cdef int i, k
    cdef list names
    for i in range(rules_count):
        names = []
        for k in range(rules[i].n_hyper):  # interned, as the keys of a group are
            names.append(PyUnicode_InternFromString(rules[i].hyper[k].name))
        RULES[PyUnicode_InternFromString(rules[i].name)] = i, tuple(names)
    return 0


rules_list()


def set_avx2(bint allowed):
    """Let the rules use the widest vectors that this machine has, or none; tell whether they do."""
    return rules_set_avx2(allowed)


set_avx2(True)


# Hyper-parameters ---------------------------------------------------------------------------------

cdef object hyper_of(dict group, str name):
    cdef PyObject *value = PyDict_GetItemWithError(group, name)
    if value == NULL:
        raise error_of(
            "FastgradValueError", f"{name!r} in every parameter group", f"only {sorted(group)}",
            "param_groups")
    return <object> value


cdef double hyper_number(dict group, str name) except? -1.0:
    value = hyper_of(group, name)
    if PyFloat_CheckExact(<PyObject *> value):
        return PyFloat_AS_DOUBLE(<PyObject *> value)
    return number_expect(value, name)


cdef bint flag_of(dict group, str name) except -1:
    return flag_expect(hyper_of(group, name), name)


cdef int pair_read(dict group, str name, double *numbers) except -1:
    pair = hyper_of(group, name)
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise error_of("FastgradTypeError", "a pair of numbers", shown(pair), name)
    first, second = pair
    numbers[0] = number_expect(first, name)
    numbers[1] = number_expect(second, name)
    return 0


@cython.final
@cython.no_gc_clear  # `nodes` is good only as long as `params` is
cdef class Updater:
    """The rule of one parameter group, and its state."""

    def __cinit__(self, str rule not None, dict group not None):
        cdef Py_ssize_t i
        cdef Node *node
        place, self.names = RULES[rule]
        self.rule = rules + <int> place
        self.group = group
        self.params = tuple(group["params"])
        self.n = len(self.params)
        self.data = <double *> PyMem_RawCalloc(self.n, 2 * sizeof(double))
        if self.data == NULL:
            raise MemoryError()
        self.grad = self.data + self.n
        for p in self.params:
            if not is_value(p) or node_at((<Handle> p).id).op != OP_LEAF:
                return
        self.nodes = <Node **> PyMem_RawCalloc(self.n, sizeof(Node *))
        if self.nodes == NULL:
            raise MemoryError()
        for i in range(self.n):
            node = node_at((<Handle> self.params[i]).id)
            node.flags &= ~FRESH  # no __init__ may give the handle another node
            self.nodes[i] = node

    def __dealloc__(self):
        cdef int i
        for i in range(RULE_STATES):
            PyMem_RawFree(self.arrays[i])
        PyMem_RawFree(self.nodes)
        PyMem_RawFree(self.data)
        PyMem_RawFree(self.kept)

    cpdef int refresh(self) except -1:
        """Read the hyper-parameters from the group, and make room for the state that they ask for."""
        cdef dict group = self.group
        cdef double hyper[RULE_NUMBERS]
        cdef double initial[RULE_STATES]
        cdef double *number = hyper
        cdef unsigned asked
        cdef str name
        cdef int i
        for i in range(self.rule.n_hyper):
            name = <str> self.names[i]
            if self.rule.hyper[i].kind == RULE_PAIR:
                pair_read(group, name, number)
                number += 1
            elif self.rule.hyper[i].kind == RULE_FLAG:
                number[0] = flag_of(group, name)
            else:
                number[0] = hyper_number(group, name)
            number += 1
        asked = self.rule.state(hyper, initial)
        for i in range(self.rule.n_states):
            if asked >> i & 1:
                self.array_make(i, initial[i])
        self.params_check()
        memcpy(self.hyper, hyper, sizeof(hyper))
        self.asked = asked
        return 0

    cdef int array_make(self, int which, double initial) except -1:
        cdef Py_ssize_t i
        if self.arrays[which] == NULL:
            self.arrays[which] = <double *> PyMem_RawCalloc(self.n, sizeof(double))
            if self.arrays[which] == NULL:
                raise MemoryError()
        if not self.live >> which & 1:
            for i in range(self.n):
                self.arrays[which][i] = initial
        return 0

    cdef int params_check(self) except -1:
        """Refuse a group whose list of parameters has been edited: its state would be another's."""
        params = hyper_of(self.group, "params")
        if not PyList_CheckExact(params) or PyList_GET_SIZE(params) != self.n or memcmp(
                PySequence_Fast_ITEMS(params), PySequence_Fast_ITEMS(self.params),
                self.n * sizeof(PyObject *)) != 0:
            raise error_of(
                "FastgradRuntimeError", "the parameters that the group was made with", "others",
                "param_groups", "use add_param_group(), or make another optimizer")
        return 0

    cdef void update(self, double *data, const double *grad) noexcept nogil:
        """Make one step on n parameters. `refresh` comes before the first."""
        self.t += 1
        self.rule.step(self.n, data, grad, self.arrays, self.live, <double> self.t, self.hyper)
        self.live |= self.asked

    cdef void gather(self, double *data, double *grad) noexcept:
        """Read data and grad of plain Values."""
        cdef Py_ssize_t i
        for i in range(self.n):
            data[i] = self.nodes[i].data
            grad[i] = self.nodes[i].grad

    cdef void scatter(self, const double *data) noexcept:
        """Write data of plain Values."""
        cdef Py_ssize_t i
        for i in range(self.n):
            self.nodes[i].data = data[i]
        arena.writes += 1

    cdef list read(self):
        """Read data and grad of any objects; give their data as they are."""
        cdef Py_ssize_t i
        cdef list before = []
        for i in range(self.n):
            p = self.params[i]
            data = p.data
            self.data[i] = number_expect(data, "data of a parameter")
            self.grad[i] = number_expect(p.grad, "grad of a parameter")
            before.append(data)
        if self.kept == NULL:
            self.kept = <double *> PyMem_RawCalloc(self.n, self.rule.n_states * sizeof(double))
            if self.kept == NULL:
                raise MemoryError()
        return before

    cdef int write(self, list done) except -1:
        """Write data of any objects; note each in done."""
        cdef Py_ssize_t i
        for i in range(self.n):
            p = self.params[i]
            done.append(p)
            p.data = self.data[i]
        return 0

    cdef void state_keep(self) noexcept:
        cdef int i
        for i in range(self.rule.n_states):
            if self.arrays[i] != NULL:
                memcpy(self.kept + i * self.n, self.arrays[i], self.n * sizeof(double))
        self.kept_live = self.live

    cdef void state_restore(self) noexcept:
        cdef int i
        for i in range(self.rule.n_states):
            if self.arrays[i] != NULL:
                memcpy(self.arrays[i], self.kept + i * self.n, self.n * sizeof(double))
        self.live = self.kept_live
        self.t -= 1

    def read_state(self):
        """Return the number of steps, and a list for each array of state, None where there is none."""
        cdef int i
        cdef Py_ssize_t j
        cdef list arrays = []
        cdef list array
        for i in range(self.rule.n_states):
            array = None
            if self.live >> i & 1:
                array = []
                for j in range(self.n):
                    array.append(self.arrays[i][j])
            arrays.append(array)
        return self.t, arrays

    def write_state(self, int64_t t, list arrays not None):
        """Set what `read_state` returns: a number for each parameter in a list, or None."""
        cdef int i
        cdef Py_ssize_t j
        cdef tuple given = tuple(arrays)  # reading a number may run anything
        cdef tuple array
        for i in range(min(self.rule.n_states, <int> len(given))):
            if given[i] is None:
                continue
            array = tuple(given[i])
            if len(array) != self.n:
                raise error_of(
                    "FastgradValueError", f"{self.n} numbers, one for each parameter", f"{len(array)}",
                    "state")
            self.array_make(i, 0.0)
            for j in range(self.n):
                self.arrays[i][j] = number_expect(array[j], "state")
            self.live |= 1 << i
        self.t = t


# Steps over all groups ----------------------------------------------------------------------------

cdef int undo(list params, list before, str name) except -1:
    """Set an attribute back, as far as that is possible: another error is under way already."""
    cdef Py_ssize_t i
    for i in range(len(params)):
        try:
            setattr(params[i], name, before[i])
        except BaseException:
            pass
    return 0


cdef int step_attributes(list updaters) except -1:
    """Make a step on objects of any kind, on all of them or none."""
    cdef Updater updater
    cdef list before = []
    cdef list done = []
    for updater in updaters:
        before += updater.read()
    for updater in updaters:
        updater.state_keep()
        updater.update(updater.data, updater.grad)
    try:
        for updater in updaters:
            updater.write(done)
    except BaseException:
        for updater in updaters:
            updater.state_restore()
        undo(done, before, "data")
        raise
    return 0


cdef int expect_updaters(list updaters) except -1:
    for updater in updaters:
        if not isinstance(updater, Updater):
            raise error_of("FastgradTypeError", "an Updater", described(updater), "step of an optimizer")
    return 0


def adopt(list updaters not None, list groups not None):
    """Take over dicts that were put in place of a group's."""
    cdef Py_ssize_t i
    cdef tuple now = tuple(groups)  # letting go of a dict may run anything
    if len(now) != len(updaters):
        raise error_of(
            "FastgradRuntimeError", f"{len(updaters)} parameter groups", f"{len(now)}", "param_groups",
            "use add_param_group() to add one")
    expect_updaters(updaters)
    for i in range(len(now)):
        (<Updater> updaters[i]).group = now[i]


def step(list updaters not None, list groups not None):
    """Make a step: all parameters of all groups, or none if it fails."""
    cdef Updater updater
    cdef list others = []
    adopt(updaters, groups)
    for updater in updaters:
        updater.refresh()
    for updater in updaters:
        if updater_is_busy(updater):
            raise error_of(
                "FastgradRuntimeError", "one step of an optimizer at a time",
                "a second one inside it or in another thread", "", "wait for the first to return")
    for updater in updaters:
        updater.native = updater.nodes != NULL and slots_check()
        if not updater.native:
            others.append(updater)
    if others:
        try:
            for updater in others:
                updater_mark(updater, True)
            step_attributes(others)
        finally:
            for updater in others:
                updater_mark(updater, False)
    for updater in updaters:  # these cannot fail, so they come last
        if updater.native:
            updater.gather(updater.data, updater.grad)
            updater.update(updater.data, updater.grad)
            updater.scatter(updater.data)


def step_along(list updaters not None, list groups not None, dict gradient not None):
    """Make a step by a gradient that was computed elsewhere: `grad` is as before, afterwards.

    Parameters
    ----------
    gradient : dict of int to float
        By the id() of a parameter; 0 for others.
    """
    cdef list kept = []
    expect_updaters(updaters)
    try:
        for updater in updaters:
            for p in (<Updater> updater).params:
                kept.append((p, p.grad))
                p.grad = gradient.get(id(p), 0.0)
        step(updaters, groups)
    finally:
        for p, grad in kept:
            p.grad = grad


def zero_grad(list updaters not None):
    """Set every grad to 0: all of them, or none if it fails."""
    cdef Updater updater
    cdef Py_ssize_t i
    cdef list others = []
    cdef list before = []
    cdef list done = []
    expect_updaters(updaters)
    for updater in updaters:
        if updater.nodes == NULL or not slots_check():
            for p in updater.params:
                others.append(p)
                before.append(p.grad)
    try:
        for p in others:
            done.append(p)
            p.grad = 0.0
    except BaseException:
        undo(done, before, "grad")
        raise
    for updater in updaters:
        if updater.nodes != NULL and slots_check():
            for i in range(updater.n):
                updater.nodes[i].grad = 0.0
