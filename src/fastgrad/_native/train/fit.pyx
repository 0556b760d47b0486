"""Fit: the training loop itself, native: batches, gradient, update.

Between two polls nothing here needs the GIL. The parameters live in the frame's
slots while the loop runs, and are written back to their nodes whenever it pauses.
"""

from libc.math cimport isfinite
from libc.stdint cimport uint32_t, uint64_t

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc

from fastgrad._native.base.errors cimport error_of
from fastgrad._native.base.poll cimport Poll, poll_begin, poll_signals, poll_without_gil
from fastgrad._native.tape.frame cimport Frame
from fastgrad._native.tape.header cimport BatchRun, InputColumn, Steps, TAPE_OK
from fastgrad._native.tape.replay cimport CachedPlan, Replay
from fastgrad._native.tape.wrt cimport Want
from fastgrad._native.train.optim cimport Updater


cdef void *room(size_t n, size_t size) except NULL:
    cdef void *memory = NULL
    if n < <size_t> -1 // size:
        memory = PyMem_RawMalloc((n or 1) * size)
    if memory == NULL:
        raise MemoryError()
    return memory


cdef inline uint64_t random_next(uint64_t *state) noexcept nogil:
    """Give the next number of splitmix64 (Steele, Lea, Flood 2014)."""
    cdef uint64_t z
    state[0] += <uint64_t> 0x9e3779b97f4a7c15
    z = state[0]
    z = (z ^ (z >> 30)) * <uint64_t> 0xbf58476d1ce4e5b9
    z = (z ^ (z >> 27)) * <uint64_t> 0x94d049bb133111eb
    return z ^ (z >> 31)


cdef class Group:
    """An optimizer's rule, and where its parameters are in the tape."""

    cdef Updater updater
    cdef Py_ssize_t *slots   # of each of its parameters, -1 for one that the tape does not have
    cdef double *data
    cdef double *grad
    cdef Group next

    def __dealloc__(self):
        PyMem_RawFree(self.slots)
        PyMem_RawFree(self.data)
        PyMem_RawFree(self.grad)

    cdef void update(self, double *data, const double *grad) noexcept nogil:
        """Update this group's parameters, and those of the groups behind it, from the tape's adjoints."""
        cdef Py_ssize_t i
        for i in range(self.updater.n):
            if self.slots[i] >= 0:
                self.grad[i] = grad[self.slots[i]]
        self.updater.update(self.data, self.grad)
        for i in range(self.updater.n):
            if self.slots[i] >= 0:
                data[self.slots[i]] = self.data[i]
        if self.next is not None:
            self.next.update(data, grad)

    cdef int refresh(self) except -1:
        self.updater.refresh()
        return 0 if self.next is None else self.next.refresh()

    cdef int write_back(self) except -1:
        cdef Py_ssize_t i
        for i in range(self.updater.n):
            self.updater.params[i].data = self.data[i]
        return 0 if self.next is None else self.next.write_back()


cdef Group group_new(Updater updater, dict places, Group behind):
    cdef Group group = Group.__new__(Group)
    cdef Py_ssize_t i
    group.updater, group.next = updater, behind
    group.slots = <Py_ssize_t *> room(updater.n, sizeof(Py_ssize_t))
    group.data = <double *> room(updater.n, sizeof(double))
    group.grad = <double *> room(updater.n, sizeof(double))
    for i in range(updater.n):
        group.slots[i] = places.get(id(updater.params[i]), -1)
        group.data[i] = float(updater.params[i].data)
        group.grad[i] = 0.0
    return group


cdef class Loop:
    """A training loop over one tape and one data set, run some steps at a time."""

    cdef Replay tape
    cdef Frame frame
    cdef Want want             # the parameters
    cdef Group groups          # the first
    cdef BatchRun run
    cdef Steps uniform
    cdef InputColumn *columns  # of the batch at hand; the frame has those of all samples
    cdef double *gathered
    cdef uint64_t *order
    cdef uint64_t random
    cdef size_t n              # samples; 0: no argument has a batch axis
    cdef size_t batch
    cdef size_t next           # place in the order
    cdef bint mean
    cdef double *losses
    cdef readonly Py_ssize_t done
    cdef readonly Py_ssize_t steps
    cdef readonly double stopped_at  # the loss that is not finite

    def __init__(self, Replay tape not None, tuple args, list updaters, Py_ssize_t steps, batch_size,
                 uint64_t seed, bint mean, int threads):
        cdef Updater updater
        cdef CachedPlan cached
        cdef size_t i
        if self.tape is not None:
            raise error_of("FastgradTypeError", "a new loop", "one that is set up already")
        tape.expect_scalar()
        self.want = tape.want("parameters")
        self.frame = tape.frame_take()
        self.tape, self.steps, self.mean, self.random = tape, steps, mean, seed
        tape.frame_bind(self.frame, args)
        self.n = <size_t> self.frame.n if self.frame.n > 0 else 0
        self.batch = min(self.n, <size_t> batch_size) if batch_size is not None else self.n
        self.losses = <double *> room(steps, sizeof(double))
        places = {}
        for index, value in enumerate(tape.parameters):
            places[id(value)] = index
        for updater in reversed(updaters):
            self.groups = group_new(updater, places, self.groups)
        if not self.n:
            return
        cached = tape.plan_for(self.frame, self.want)
        tape.prepare(self.frame, &self.run, &self.uniform, cached, True, threads)
        if self.batch < self.n:
            self.columns = <InputColumn *> room(tape.program.n_inputs, sizeof(InputColumn))
            self.gathered = <double *> room(tape.program.n_inputs * self.batch, sizeof(double))
            self.order = <uint64_t *> room(self.n, sizeof(uint64_t))
            for i in range(self.n):
                self.order[i] = i
            self.next = self.n
            self.run.inputs = self.columns

    def __dealloc__(self):
        PyMem_RawFree(self.columns)
        PyMem_RawFree(self.gathered)
        PyMem_RawFree(self.order)
        PyMem_RawFree(self.losses)

    cdef void shuffle(self) noexcept nogil:
        """Draw the order of an epoch (Fisher and Yates)."""
        cdef size_t i, j
        for i in range(self.n - 1, 0, -1):
            j = <size_t> (random_next(&self.random) % (i + 1))
            self.order[i], self.order[j] = self.order[j], self.order[i]
        self.next = 0

    cdef void draw(self) noexcept nogil:
        """Gather the next mini-batch; the last of an epoch may be smaller."""
        cdef size_t count, s
        cdef uint32_t e
        cdef const InputColumn *column
        cdef double *to = self.gathered
        if self.next == self.n:
            self.shuffle()
        count = min(self.batch, self.n - self.next)
        for e in range(self.tape.program.n_inputs):
            if not self.frame.batched[e]:
                continue
            column = &self.frame.columns[e]
            for s in range(count):
                to[s] = column.data[<Py_ssize_t> self.order[self.next + s] * column.stride]
            self.columns[e].data, self.columns[e].stride = to, 1
            to += self.batch
        self.run.n, self.run.numbers = count, self.order + self.next
        self.next += count

    cdef int one_step(self, double *loss) noexcept nogil:
        """Compute a loss and its gradient."""
        cdef double scale
        cdef int result
        if not self.n:
            result = self.tape.perform_single(self.frame, self.want)
            loss[0] = self.frame.values[self.tape.program.outputs[0]]
            return result
        if self.batch < self.n:
            self.draw()
        scale = 1.0 / <double> self.run.n if self.mean else 1.0
        self.run.seed = scale
        result = self.tape.perform(self.frame, &self.run, &self.uniform)
        loss[0] = self.run.total * scale
        return result

    def advance(self, Py_ssize_t count):
        """Make up to `count` steps; returns False where a loss is not finite, before its update."""
        cdef double *data = self.frame.values + self.tape.program.n_inputs
        cdef const double *grad = self.frame.adjoints + self.tape.program.n_inputs
        cdef double loss = 0.0
        cdef int result = TAPE_OK
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef Py_ssize_t each = (<Py_ssize_t> self.tape.program.n_ops + 1) * (<Py_ssize_t> self.batch + 1)
        count = min(count, self.steps - self.done)
        self.groups.refresh()
        try:
            with nogil:
                while count > 0:
                    result = self.one_step(&loss)
                    if result != TAPE_OK or not isfinite(loss):
                        break
                    self.groups.update(data, grad)
                    self.losses[self.done] = loss
                    self.done += 1
                    count -= 1
                    poll_signals(&poll, each)
            if result != TAPE_OK:
                self.tape.fail(self.frame, result)
            if not isfinite(loss):
                self.stopped_at = loss
                return False
        finally:
            self.groups.write_back()
        return True

    def close(self):
        """Give the frame back to the tape."""
        self.tape.frame_give(self.frame)

    def history(self):
        """Give the losses so far."""
        cdef list made = []
        cdef Py_ssize_t i
        for i in range(self.done):
            made.append(self.losses[i])
        return made

    def last(self):
        return self.losses[self.done - 1] if self.done else None
