"""Optimizers: one update rule over a group of parameters, and its state."""

cimport cython
from libc.stdint cimport int64_t

from fastgrad._native.base.poll cimport forks
from fastgrad._native.memory.arena cimport Node

cdef extern from "train/rules.h" nogil:
    enum:
        RULE_STATES
        RULE_NUMBERS

    ctypedef struct RuleHyper:
        const char *name
        int kind

    ctypedef struct Rule:
        const char *name
        const RuleHyper *hyper
        int n_hyper
        int n_states
        unsigned (*state)(const double *hyper, double *initial) noexcept nogil
        void (*step)(Py_ssize_t n, double *data, const double *grad, double **state, unsigned live,
                     double t, const double *hyper) noexcept nogil


@cython.final
cdef class Updater:
    """The rule of one parameter group. A native loop calls `refresh` once, then `update` each step.

    `update` reads what `refresh` has read from the group, and changes only `data` and the state in
    `arrays`, `live` and `t`; the order is that of `params`.
    """

    cdef readonly tuple params
    cdef readonly Py_ssize_t n
    cdef public dict group  # hyper-parameters, and "params" itself
    cdef const Rule *rule
    cdef tuple names                # of the rule's hyper-parameters
    cdef double hyper[RULE_NUMBERS]
    cdef int64_t t                      # steps made
    cdef double *arrays[RULE_STATES]    # state, n each; NULL as long as it is not asked for
    cdef unsigned asked                 # bit i: the hyper-parameters ask for arrays[i]
    cdef unsigned live                  # bit i: arrays[i] holds what earlier steps have left
    cdef Node **nodes               # of params, if all are leaves and plain Values; else NULL
    cdef double *data               # room for n of each, for steps over Values
    cdef double *grad
    cdef double *kept               # state before a step that may fail
    cdef unsigned kept_live
    cdef bint native                # in this step: `data` and `grad` of Value are unpatched
    cdef unsigned busy              # a step over Python objects, or a native loop: see `updater_mark`

    cpdef int refresh(self) except -1
    cdef void update(self, double *data, const double *grad) noexcept nogil
    cdef void gather(self, double *data, double *grad) noexcept
    cdef void scatter(self, const double *data) noexcept
    cdef int array_make(self, int which, double initial) except -1
    cdef int params_check(self) except -1
    cdef void state_keep(self) noexcept
    cdef void state_restore(self) noexcept
    cdef list read(self)
    cdef int write(self, list done) except -1


cdef inline void updater_mark(Updater updater, bint busy) noexcept:
    """Say whether a step is going on: in this process, a fork of which another thread does not go on."""
    updater.busy = 1 + forks if busy else 0


cdef inline bint updater_is_busy(Updater updater) noexcept:
    return updater.busy == 1 + forks
