"""Fit: the training loop itself, native: batches, gradient, update.

Between two polls nothing here needs the GIL. The parameters live in the frame's slots while the
loop runs. Before anybody else's code may run, a schedule or a signal handler, they are written back
to their nodes; afterwards data, hyper-parameters and state are read anew, whatever it has done to
them.
"""

from libc.math cimport isfinite
from libc.stdint cimport uint32_t, uint64_t

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc

from fastgrad._native.base.errors cimport described, error_of, shown
from fastgrad._native.base.poll cimport (
    Poll, PollHook, poll_begin, poll_hook, poll_signals, poll_unhook, poll_with_gil, poll_without_gil,
)
from fastgrad._native.graph.handle cimport Handle, is_value, number_expect
from fastgrad._native.graph.value cimport slots_check
from fastgrad._native.memory.arena cimport FRESH, Node, arena, node_at, node_id
from fastgrad._native.ops.codes cimport OP_LEAF
from fastgrad._native.tape.frame cimport Frame
from fastgrad._native.tape.inspect cimport nonfinite_in_sample
from fastgrad._native.tape.header cimport BatchRun, InputColumn, Steps, TAPE_OK
from fastgrad._native.tape.replay cimport CachedPlan, Replay
from fastgrad._native.tape.wrt cimport Want
from fastgrad._native.train.optim cimport Updater, updater_is_busy, updater_mark

from fastgrad._native.graph.value import Value


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
    cdef Py_ssize_t shared   # those that it has
    cdef Node **nodes        # of each; NULL where `data` is not a Value's own
    cdef double *data
    cdef double *grad
    cdef Group next

    def __dealloc__(self):
        PyMem_RawFree(self.slots)
        PyMem_RawFree(self.nodes)
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

    cdef int write_back(self) except -1:
        """Write the parameters' data: first those that cannot fail."""
        cdef Py_ssize_t i
        for i in range(self.updater.n):
            if self.nodes[i] != NULL:
                self.nodes[i].data = self.data[i]
        arena.writes += 1
        if self.next is not None:
            self.next.write_back()
        for i in range(self.updater.n):
            if self.nodes[i] == NULL:
                self.updater.params[i].data = self.data[i]
        return 0

    cdef int read(self) except -1:
        cdef Py_ssize_t i
        for i in range(self.updater.n):
            if self.nodes[i] != NULL:
                self.data[i] = self.nodes[i].data
            else:
                self.data[i] = number_expect(self.updater.params[i].data, "data of a parameter")
        return 0 if self.next is None else self.next.read()


cdef Node *node_of(object parameter, bint *unpatched) noexcept:
    """Give the node of a leaf whose `data` is what Value calls so; else NULL."""
    cdef Node *node
    if not is_value(parameter):
        if not isinstance(parameter, Handle) or type(parameter).data is not Value.data:
            return NULL
        unpatched[0] = slots_check()  # a metaclass may have run
    if not unpatched[0]:
        return NULL
    node = node_at((<Handle> parameter).id)
    if node.op != OP_LEAF:
        return NULL
    node.flags &= ~FRESH  # no __init__ may give the handle another node
    return node


cdef class Places:
    """Where the parameters of a tape are in it.

    Most optimizers have them in the tape's order: then the next is behind the last. Of others an open
    hash of their nodes is made.
    """

    cdef tuple parameters
    cdef Py_ssize_t next      # place behind the one found last
    cdef node_id *ids         # 0: nobody's; NULL until the order is another
    cdef uint32_t *slots
    cdef size_t mask

    def __dealloc__(self):
        PyMem_RawFree(self.ids)
        PyMem_RawFree(self.slots)

    cdef Py_ssize_t slot(self, object parameter) except -2:
        """Give the place of a parameter, -1 for what is none of the tape's."""
        cdef size_t at
        cdef Py_ssize_t place = self.next
        if place >= len(self.parameters) or self.parameters[place] is not parameter:
            if not isinstance(parameter, Handle):
                return -1
            if self.ids == NULL:
                self.list_nodes()
            at = self.entry((<Handle> parameter).id)
            if not self.ids[at]:
                return -1
            place = self.slots[at]
        self.next = place + 1
        return place

    cdef size_t entry(self, node_id id) noexcept:
        """Give where a node is in the hash, or would be: neighbours of 16 lie side by side."""
        cdef size_t at = <size_t> ((id >> 4) * <uint64_t> 0x9e3779b97f4a7c15 >> 28 << 4 ^ id & 15) & self.mask
        while self.ids[at] and self.ids[at] != id:
            at = (at + 1) & self.mask
        return at

    cdef int list_nodes(self) except -1:
        cdef size_t size = 16
        cdef size_t at
        cdef Py_ssize_t i
        while size < 2 * <size_t> len(self.parameters):
            size *= 2
        self.mask = size - 1
        self.slots = <uint32_t *> room(size, sizeof(uint32_t))
        self.ids = <node_id *> PyMem_RawCalloc(size, sizeof(node_id))
        if self.ids == NULL:
            PyMem_RawFree(self.slots)
            self.slots = NULL
            raise MemoryError()
        for i in range(len(self.parameters)):
            at = self.entry((<Handle> self.parameters[i]).id)
            self.ids[at], self.slots[at] = (<Handle> self.parameters[i]).id, <uint32_t> i
        return 0


cdef Places places_of(tuple parameters):
    cdef Places places = Places.__new__(Places)
    places.parameters = parameters
    return places


cdef Group group_new(Updater updater, Places places, Group behind):
    cdef Group group = Group.__new__(Group)
    cdef bint unpatched = slots_check()
    cdef Py_ssize_t i
    group.updater, group.next = updater, behind
    group.slots = <Py_ssize_t *> room(updater.n, sizeof(Py_ssize_t))
    group.nodes = <Node **> room(updater.n, sizeof(Node *))
    group.data = <double *> room(updater.n, sizeof(double))
    group.grad = <double *> room(updater.n, sizeof(double))
    for i in range(updater.n):
        group.slots[i] = places.slot(updater.params[i])
        group.shared += group.slots[i] >= 0
        group.nodes[i] = node_of(updater.params[i], &unpatched)
        group.grad[i] = 0.0
    return group


cdef int before_handlers(void *loop) except -1 with gil:
    return (<Loop> loop).let_go()


cdef void after_handlers(void *loop) noexcept nogil:
    (<Loop> loop).stale = True


cdef class Loop:
    """A training loop over one tape and one data set, run some steps at a time."""

    cdef Replay tape
    cdef Frame frame           # None once it is closed
    cdef Want want             # the parameters
    cdef object source         # gives the optimizer's rules as they stand
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
    cdef bint shuffled         # each epoch has an order of its own
    cdef bint advancing
    cdef bint running          # advancing, and nobody else's code is: the optimizer's rules are busy
    cdef bint held             # the slots have what no node has yet
    cdef bint stale            # handlers have run: they may have set or loaded anything
    cdef double *losses
    cdef readonly Py_ssize_t done
    cdef readonly Py_ssize_t steps
    cdef readonly double stopped_at  # the loss that is not finite, or that of a gradient that is not

    def __init__(self, Replay tape not None, tuple args not None, source, Py_ssize_t steps, batch_size,
                 uint64_t seed, bint mean, int threads, bint shuffled=True):
        cdef CachedPlan cached
        cdef size_t i
        if self.tape is not None:
            raise error_of("FastgradTypeError", "a new loop", "one that is set up already")
        if steps < 0 or threads < 1 or batch_size is not None and not 0 < batch_size:
            raise error_of(
                "FastgradValueError", "steps of at least 0, threads and batch size of at least 1",
                f"{steps}, {threads} and {shown(batch_size)}", "fit")
        tape.expect_scalar()
        self.want = tape.want("parameters")
        self.frame = tape.frame_take()
        self.tape, self.steps, self.mean, self.random = tape, steps, mean, seed
        self.shuffled = shuffled
        tape.frame_bind(self.frame, args)
        self.n = <size_t> self.frame.n if self.frame.n > 0 else 0
        self.batch = self.n if batch_size is None else <size_t> min(<object> self.n, batch_size)
        try:
            self.losses = <double *> room(steps, sizeof(double))
        except MemoryError:
            raise error_of(
                "MemoryError", "memory for the losses, 8 bytes a step", f"{steps} steps", "steps of fit",
                "train in several calls") from None
        self.source = source
        self.follow()
        if not self.n:
            tape.plan_single(self.frame, self.want, <int> min(steps, 3))
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

    cdef int expect_open(self) except -1:
        if self.frame is None:
            raise error_of("FastgradRuntimeError", "a loop that is open", "one that is closed", "fit")
        return 0

    # The parameters: in slots while it runs, in their nodes whenever anybody else does -----------------

    cdef int follow(self) except -1:
        """Take over the optimizer's rules, if they are others than before."""
        cdef list updaters = self.source()
        cdef Group group = self.groups
        cdef Places places
        cdef Py_ssize_t i
        if not updaters:
            raise error_of("FastgradValueError", "at least one Updater", "none", "fit")
        for i in range(len(updaters)):
            if group is None or group.updater is not updaters[i]:
                break
            group = group.next
        else:
            if group is None:
                return 0
        places = places_of(self.tape.captured)
        group = None
        for given in reversed(updaters):
            if not isinstance(given, Updater):
                raise error_of("FastgradTypeError", "an Updater", described(given), "fit")
            group = group_new(<Updater> given, places, group)
        self.groups = group
        return 0

    cdef int take_over(self) except -1:
        """Read all that others may have set, and keep their hands off the optimizer's state."""
        cdef Group group
        self.stale = False
        self.follow()
        group = self.groups
        while group is not None:
            group.updater.refresh()
            group = group.next
        if self.groups is not None:
            self.groups.read()
        self.tape.parameters_load(self.frame)
        group = self.groups
        while group is not None:
            if updater_is_busy(group.updater):
                raise error_of(
                    "FastgradRuntimeError", "one step of an optimizer at a time",
                    "fit while another thread trains with it", "optimizer of fit", "wait for the other")
            group = group.next
        self.mark_busy(True)
        return 0

    cdef int resume(self) except -1 with gil:
        return self.take_over()

    cdef int let_go(self) except -1:
        """Give back what this loop holds, so that anybody may read and set it."""
        self.mark_busy(False)
        if self.held:
            self.held = False
            self.groups.write_back()
        return 0

    cdef void mark_busy(self, bint busy) noexcept:
        """Say whether others must not make a step: only this loop may unsay it."""
        cdef Group group = self.groups if self.running != busy else None
        self.running = busy
        while group is not None:
            updater_mark(group.updater, busy)
            group = group.next

    def shared(self):
        """Give how many of the optimizer's parameters the tape has, and how many there are."""
        cdef Group group = self.groups
        cdef Py_ssize_t found = 0
        cdef Py_ssize_t n = 0
        while group is not None:
            found, n = found + group.shared, n + group.updater.n
            group = group.next
        return found, n

    # Steps -------------------------------------------------------------------------------------------

    cdef void shuffle(self) noexcept nogil:
        """Draw the order of an epoch (Fisher and Yates)."""
        cdef size_t i, j
        for i in range(self.n - 1 if self.shuffled else 0, 0, -1):
            j = <size_t> (random_next(&self.random) % (i + 1))
            self.order[i], self.order[j] = self.order[j], self.order[i]
        self.next = 0

    cdef size_t next_count(self) noexcept nogil:
        """Give the size of the mini-batch that begins at `next`; the last of an epoch may be smaller."""
        if self.next == self.n:
            self.shuffle()
        return min(self.batch, self.n - self.next)

    def skip(self, Py_ssize_t count):
        """Pass over the mini-batches of as many steps, as if they had been made."""
        cdef Poll poll = poll_begin(poll_with_gil)
        cdef size_t passed
        self.expect_open()
        while count > 0 and self.batch < self.n:
            passed = self.next_count()  # it may begin an epoch, at place 0
            self.next += passed
            count -= 1
            poll_signals(&poll, <Py_ssize_t> passed)

    cdef void draw(self) noexcept nogil:
        """Gather the next mini-batch."""
        cdef size_t count = self.next_count()
        cdef size_t s
        cdef uint32_t e
        cdef const InputColumn *column
        cdef double *to = self.gathered
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
        """Make up to `count` steps; returns False where a loss or its gradient is not finite.

        That comes before the update: parameters and optimizer are as after the step before.
        """
        cdef double *data
        cdef const double *grad
        cdef double loss = 0.0
        cdef int result = TAPE_OK
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef Py_ssize_t each = (<Py_ssize_t> self.batch + 1)
        cdef PollHook hook
        cdef bint hooked
        self.expect_open()
        if self.advancing:
            raise error_of("FastgradRuntimeError", "one advance at a time", "a second one inside it", "fit")
        data = self.frame.values + self.tape.program.n_inputs
        grad = self.frame.adjoints + self.tape.program.n_inputs
        each *= <Py_ssize_t> self.tape.program.n_ops + 1
        count = min(count, self.steps - self.done)
        hook.before, hook.after = <int (*)(void *) noexcept nogil> before_handlers, after_handlers
        hook.context = <void *> self
        hooked = False
        self.advancing = True
        try:
            hooked = poll_hook(&hook)
            self.take_over()
            with nogil:
                while count > 0:
                    if self.tape.program.python.tape != NULL:  # it may read and set anything, too
                        before_handlers(<void *> self)
                        self.stale = True
                    result = self.one_step(&loss)
                    if result != TAPE_OK or not isfinite(loss) or not self.has_finite(grad):
                        count = -1
                        break
                    if self.stale:
                        self.resume()
                    self.groups.update(data, grad)
                    self.held = True
                    self.losses[self.done] = loss
                    self.done += 1
                    count -= 1
                    poll_signals(&poll, each)
                    if self.stale:
                        self.resume()
            if result != TAPE_OK:
                self.tape.fail(self.frame, result)
            if count < 0:
                self.stopped_at = loss
                return False
        finally:
            if hooked:
                poll_unhook(&hook)
            self.advancing = False
            self.let_go()
        return True

    cdef bint has_finite(self, const double *grad) noexcept nogil:
        """Tell whether the parameters' adjoints are finite; a finite sum of them says so quickly."""
        cdef uint32_t i
        if isfinite(self.tape.kernels.sum(self.tape.program.n_parameters, grad)):
            return True
        for i in range(self.tape.program.n_parameters):
            if not isfinite(grad[i]):
                return False
        return True

    def found(self):
        """Find the operation that made nan or inf in the step that has stopped the loop.

        Returns
        -------
        tuple or None
            The fields of `fastgrad.tape.NonFinite`, the sample as numbered in the data; None if it
            was only the sum over the samples, or the loop runs or is closed.
        """
        cdef Poll poll = poll_begin(poll_with_gil)
        cdef size_t first = self.next - self.run.n if self.batch < self.n else 0
        cdef size_t s
        if self.frame is None or self.advancing:
            return None
        if not self.n:
            return nonfinite_in_sample(self.tape, self.frame, 0, [self.want], &poll)
        for s in range(first, first + self.run.n):
            at = self.order[s] if self.batch < self.n else s
            found = nonfinite_in_sample(self.tape, self.frame, at, [self.want], &poll)
            if found is not None:
                return found
        return None

    def close(self):
        """Give the frame back to the tape."""
        cdef Frame frame = self.frame
        if frame is not None and not self.advancing:
            self.frame = None
            self.tape.frame_give(frame)

    def history(self, Py_ssize_t first=0):
        """Give the losses so far, from that of step `first` on."""
        cdef list made = []
        cdef Py_ssize_t i
        for i in range(max(first, 0), self.done):
            made.append(self.losses[i])
        return made

    def last(self):
        return self.losses[self.done - 1] if self.done else None
