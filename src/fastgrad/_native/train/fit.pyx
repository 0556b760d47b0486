"""Fit: the training loop itself, native: batches, gradient, update.

It trains with one tape, or with several over the same parameters, each with the samples of its
shape: its Members. A mini-batch is one run for each member that has samples of it, in the order in
which they come in it; their gradients add up.

Between two polls nothing here needs the GIL. The parameters live in the frame's slots while the
loop runs, those of several members in an array of the loop's, from which each member loads them.
Before anybody else's code may run, a schedule or a signal handler, they are written back to their
nodes; afterwards data, hyper-parameters and state are read anew, whatever it has done to them.
"""

from libc.math cimport isfinite
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject

from fastgrad._native.base.errors cimport described, error_of, shown
from fastgrad._native.base.poll cimport (
    Poll, PollHook, poll_begin, poll_hook, poll_signals, poll_unhook, poll_with_gil, poll_without_gil,
)
from fastgrad._native.graph.handle cimport Handle, is_value, number_expect
from fastgrad._native.graph.value cimport slots_check
from fastgrad._native.memory.arena cimport FRESH, Node, arena, node_at, node_id
from fastgrad._native.ops.codes cimport OP_LEAF
from fastgrad._native.graph.recording cimport recording_threads
from fastgrad._native.tape.bind cimport bind_all, expect_numbers, load_sample
from fastgrad._native.tape.frame cimport Frame
from fastgrad._native.tape.inspect cimport nonfinite_in_sample
from fastgrad._native.tape.header cimport BatchRun, DrawKey, InputColumn, Steps, TAPE_OK, program_arguments
from fastgrad._native.tape.replay cimport Replay
from fastgrad._native.tape.wrt cimport Want
from fastgrad._native.train.optim cimport Updater, updater_is_busy, updater_mark

from fastgrad._native.graph.value import Value

cdef extern from "Python.h":
    PyObject **PySequence_Fast_ITEMS(object o)


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
    cdef Py_ssize_t first    # they are a run of the tape's, from here on: updated in place; else -1
    cdef Node **nodes        # of each; NULL where `data` is not a Value's own
    cdef double *data        # of each, unless they are a run
    cdef double *grad
    cdef Group next

    def __dealloc__(self):
        PyMem_RawFree(self.slots)
        PyMem_RawFree(self.nodes)
        PyMem_RawFree(self.data)
        PyMem_RawFree(self.grad)

    cdef void update(self, double *data, const double *grad) noexcept nogil:
        """Update this group's parameters, and those of the groups behind it, from their adjoints."""
        cdef Py_ssize_t i
        if self.first >= 0:
            self.updater.update(data + self.first, grad + self.first)
        else:
            for i in range(self.updater.n):
                if self.slots[i] >= 0:
                    self.grad[i] = grad[self.slots[i]]
            self.updater.update(self.data, self.grad)
            for i in range(self.updater.n):
                if self.slots[i] >= 0:
                    data[self.slots[i]] = self.data[i]
        if self.next is not None:
            self.next.update(data, grad)

    cdef int write_back(self, double *data) except -1:
        """Write the parameters' data: first those that cannot fail."""
        cdef double *own = self.data if self.first < 0 else data + self.first
        cdef Py_ssize_t i
        for i in range(self.updater.n):
            if self.nodes[i] != NULL:
                self.nodes[i].data = own[i]
        arena.writes += 1
        if self.next is not None:
            self.next.write_back(data)
        for i in range(self.updater.n):
            if self.nodes[i] == NULL:
                self.updater.params[i].data = own[i]
        return 0

    cdef int read(self) except -1:
        cdef Py_ssize_t i
        for i in range(self.updater.n if self.first < 0 else 0):
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
    cdef bint is_run = True
    cdef Py_ssize_t i
    group.updater, group.next, group.first = updater, behind, -1
    group.slots = <Py_ssize_t *> room(updater.n, sizeof(Py_ssize_t))
    group.nodes = <Node **> room(updater.n, sizeof(Node *))
    for i in range(updater.n):
        group.slots[i] = places.slot(updater.params[i])
        group.shared += group.slots[i] >= 0
        group.nodes[i] = node_of(updater.params[i], &unpatched)
        is_run = is_run and group.slots[i] == group.slots[0] + i and group.nodes[i] != NULL
    if is_run and updater.n and group.slots[0] >= 0:
        group.first = group.slots[0]
        return group
    group.data = <double *> room(updater.n, sizeof(double))
    group.grad = <double *> room(updater.n, sizeof(double))
    memset(group.grad, 0, updater.n * sizeof(double))
    return group


# Members: tapes and their samples -----------------------------------------------------------------

cdef bint is_same_order(tuple one, tuple other) noexcept:
    """Tell whether two tuples hold the same objects."""
    return len(one) == len(other) and not memcmp(
        PySequence_Fast_ITEMS(one), PySequence_Fast_ITEMS(other), len(one) * sizeof(PyObject *))


cdef tuple parameters_of(tuple members):
    """Give the parameters of all members, in the order of their first use."""
    cdef Member member
    cdef tuple first = (<Member> members[0]).tape.captured
    cdef dict found = {}
    for member in members:
        if not is_same_order(member.tape.captured, first):
            break
    else:
        return first
    for member in members:
        for value in member.tape.captured:
            found[id(value)] = value
    return tuple(found.values())


cdef class Member:
    """A tape, its samples, and which of them are in the mini-batch at hand."""

    cdef Replay tape
    cdef Want want             # the parameters
    cdef Frame frame           # None once it is closed
    cdef BatchRun run
    cdef Steps uniform
    cdef size_t n              # samples; 0: no argument has a batch axis
    cdef double *rows          # of tapes for unlike shapes: the numbers of each sample, side by side
    cdef uint64_t *numbers     # and how the data numbers them
    cdef InputColumn *columns  # of the mini-batch; NULL: it is all samples, and the frame has them
    cdef double *gathered
    cdef uint64_t *picked      # the samples in the mini-batch, as the data numbers them
    cdef uint64_t *places      # where they are in the frame
    cdef size_t n_picked
    cdef size_t most           # of them
    cdef Py_ssize_t *slots     # of its parameters in the loop's array; NULL: they are in that order
    cdef double weight         # of its gradient in the mini-batch's

    def __dealloc__(self):
        PyMem_RawFree(self.rows)
        PyMem_RawFree(self.numbers)
        PyMem_RawFree(self.columns)
        PyMem_RawFree(self.gathered)
        PyMem_RawFree(self.picked)
        PyMem_RawFree(self.places)
        PyMem_RawFree(self.slots)

    cdef int take(self) except -1:
        self.tape.expect_scalar()
        self.want = self.tape.want("parameters")
        self.frame = self.tape.frame_take()
        return 0

    cdef int rows_make(self, size_t n) except -1:
        """Make room for so many samples, which are bound one by one."""
        cdef size_t n_inputs = program_arguments(&self.tape.program)
        self.rows = <double *> room(n, n_inputs * sizeof(double) or 1)
        self.numbers = <uint64_t *> room(n, sizeof(uint64_t))
        return 0

    cdef int row_add(self, tuple sample, size_t number) except -1:
        """Read one sample."""
        cdef size_t n_inputs = program_arguments(&self.tape.program)
        self.frame.reading = <Py_ssize_t> number  # for messages
        bind_all(self.frame, self.tape.arguments, sample)
        expect_numbers(self.frame, self.tape.shapes)
        if self.frame.n >= 0:
            raise error_of(
                "ShapeError", "one sample", f"a batch of {self.frame.n}", f"sample {number} of fit",
                "give each sample by itself")
        self.frame.reading = -1
        memcpy(self.rows + self.n * n_inputs, self.frame.values, n_inputs * sizeof(double))
        self.numbers[self.n] = number
        self.n += 1
        return 0

    cdef void rows_bind(self) noexcept:
        """Have the rows as a batch whose samples differ in each argument."""
        cdef uint32_t e
        cdef uint32_t n_inputs = program_arguments(&self.tape.program)
        for e in range(n_inputs):
            self.frame.columns[e].data, self.frame.columns[e].stride = self.rows + e, n_inputs
            self.frame.batched[e] = 1
        self.frame.n, self.frame.numbers = <Py_ssize_t> self.n, self.numbers

    cdef int plan(self, size_t batch, size_t all_samples, Py_ssize_t steps, int threads) except -1:
        """Say how samples run, one and many, and make room for those of a mini-batch."""
        cdef double each = 1.0
        if self.n:
            each = <double> batch * <double> self.n / <double> all_samples
        self.tape.plan_single(
            self.frame, self.want, <int> min(<double> steps * each, 3.0) if each < 2.0 else 0)
        if not self.n:
            return 0
        self.most = min(batch, self.n)
        if self.most > 1:
            self.tape.prepare(
                self.frame, &self.run, &self.uniform, self.tape.plan_for(self.frame, self.want), True,
                threads)
            self.run.numbers = self.numbers
        if batch == all_samples:
            self.n_picked = self.n
            return 0
        self.columns = <InputColumn *> room(self.tape.program.n_inputs, sizeof(InputColumn))
        self.gathered = <double *> room(self.tape.program.n_inputs * self.most, sizeof(double))
        self.picked = <uint64_t *> room(self.most, sizeof(uint64_t))
        self.places = <uint64_t *> room(self.most, sizeof(uint64_t))
        self.run.inputs, self.run.numbers = self.columns, self.picked
        return 0

    cdef int parameters_find(self, Places places, tuple parameters) except -1:
        cdef Py_ssize_t i
        if is_same_order(self.tape.captured, parameters):
            return 0
        self.slots = <Py_ssize_t *> room(self.tape.program.n_parameters, sizeof(Py_ssize_t))
        for i in range(len(self.tape.captured)):
            self.slots[i] = places.slot(self.tape.captured[i])
        return 0

    cdef void parameters_load(self, const double *data) noexcept nogil:
        """Copy the parameters from the loop's array into the frame."""
        cdef double *to = self.data()
        cdef uint32_t i
        if self.slots == NULL:
            memcpy(to, data, self.tape.program.n_parameters * sizeof(double))
            return
        for i in range(self.tape.program.n_parameters):
            to[i] = data[self.slots[i]]

    cdef double *data(self) noexcept nogil:
        return self.frame.values + self.tape.program.n_inputs

    cdef const double *gradient(self) noexcept nogil:
        return self.frame.adjoints + self.tape.program.n_inputs

    cdef void gradient_add(self, double *to) noexcept nogil:
        """Add the parameters' adjoints to those of the loop's array."""
        cdef const double *adjoints = self.gradient()
        cdef uint32_t i
        for i in range(self.tape.program.n_parameters):
            to[self.slots[i] if self.slots != NULL else i] += self.weight * adjoints[i]

    cdef void pick(self, uint64_t sample, uint64_t place) noexcept nogil:
        self.picked[self.n_picked], self.places[self.n_picked] = sample, place
        self.n_picked += 1

    cdef void gather(self) noexcept nogil:
        """Bring the samples of the mini-batch together."""
        cdef size_t s
        cdef uint32_t e
        cdef const InputColumn *column
        cdef double *to = self.gathered
        for e in range(self.tape.program.n_inputs):
            if not self.frame.batched[e]:
                continue
            column = &self.frame.columns[e]
            if column.data == NULL:  # a run draws it
                self.columns[e].data = NULL
                continue
            for s in range(self.n_picked):
                to[s] = column.data[<Py_ssize_t> self.places[s] * column.stride]
            self.columns[e].data, self.columns[e].stride = to, 1
            to += self.most

    cdef void draws_set(self, uint64_t call, size_t sample) noexcept nogil:
        """Say by which numbers dropouts draw: of a call, and of the first sample in the mini-batch."""
        self.frame.draws.call, self.frame.draws.sample = call, sample
        self.run.draws = self.frame.draws

    cdef int compute_one(self) noexcept nogil:
        cdef Poll poll
        cdef int result = TAPE_OK
        if self.n:
            load_sample(self.frame, <Py_ssize_t> self.places[0] if self.places != NULL else 0)
        if self.tape.program.n_drawn:
            poll = poll_begin(poll_without_gil)
            result = self.tape.perform_draw(self.frame, 0, &poll)
        return self.tape.perform_single(self.frame, self.want) if result == TAPE_OK else result

    cdef int compute(self, double scale, double *total) noexcept nogil:
        """Compute the sum of the losses of the samples picked, and the gradient of their part."""
        cdef int result
        self.weight = scale
        if not self.n or self.n_picked == 1:
            result = self.compute_one()
            total[0] = self.frame.values[self.tape.program.outputs[0]]
            return result
        if self.columns != NULL:
            self.gather()
        self.weight = 1.0
        self.run.n, self.run.seed = self.n_picked, scale
        result = self.tape.perform(self.frame, &self.run, &self.uniform)
        total[0] = self.run.total
        return result

    cdef int close(self) except -1:
        cdef Frame frame = self.frame
        if frame is not None:
            self.frame = None
            frame.numbers = NULL
            self.tape.frame_give(frame)
        return 0


cdef Member member_of(Replay tape):
    cdef Member member = Member.__new__(Member)
    member.tape = tape
    return member


cdef int before_handlers(void *loop) except -1 with gil:
    return (<Loop> loop).let_go()


cdef void after_handlers(void *loop) noexcept nogil:
    (<Loop> loop).stale = True


cdef class Loop:
    """A training loop over one data set, with one tape or some for unlike shapes, some steps at a time."""

    cdef tuple members         # None: not set up
    cdef PyObject **each       # the same, Members
    cdef bint closed
    cdef tuple parameters      # of all of them
    cdef size_t n_parameters
    cdef object source         # gives the optimizer's rules as they stand
    cdef Group groups          # the first
    cdef Node **nodes          # of the parameters; this and what follows, of several members
    cdef double *own_data      # their data and their gradient
    cdef double *own_grad
    cdef uint32_t *member      # of each sample
    cdef uint64_t *places      # and where it is there
    cdef uint32_t *touched     # members that have samples in the mini-batch
    cdef size_t n_touched
    cdef Py_ssize_t failed     # the member that could not compute
    cdef bint has_python       # custom operations
    cdef uint32_t n_ops        # of the longest tape
    cdef uint64_t *order
    cdef uint64_t random
    cdef size_t n              # samples; 0: no argument has a batch axis
    cdef size_t batch
    cdef size_t count          # samples in the mini-batch
    cdef size_t next           # place in the order
    cdef uint64_t skipped      # steps before the first
    cdef uint32_t n_dropouts   # of the tape that has the most
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

    def __init__(self, tuple tapes not None, data, source, Py_ssize_t steps, batch_size,
                 uint64_t seed, bint mean, int threads, bint shuffled=True, chosen=None):
        if self.members is not None:
            raise error_of("FastgradTypeError", "a new loop", "one that is set up already")
        if steps < 0 or threads < 1 or batch_size is not None and not 0 < batch_size:
            raise error_of(
                "FastgradValueError", "steps of at least 0, threads and batch size of at least 1",
                f"{steps}, {threads} and {shown(batch_size)}", "fit")
        self.steps, self.mean, self.random, self.shuffled = steps, mean, seed, shuffled
        self.members_make(tapes)
        if chosen is None:
            self.bind(data)
        else:
            self.read(data, list(chosen))
        self.draws_begin(seed)
        self.batch = self.n if batch_size is None else <size_t> min(<object> self.n, batch_size)
        try:
            self.losses = <double *> room(steps, sizeof(double))
        except MemoryError:
            raise error_of(
                "MemoryError", "memory for the losses, 8 bytes a step", f"{steps} steps", "steps of fit",
                "train in several calls") from None
        self.source = source
        self.follow()
        self.plan(threads)

    cdef int draws_begin(self, uint64_t seed) except -1:
        """Draw for dropouts by the seed, other numbers than orders and new modules have."""
        cdef Member member
        cdef DrawKey key
        cdef uint64_t state = ~seed
        key.seed, key.call, key.sample, key.is_on = random_next(&state), 0, 0, True
        for member in self.members:
            member.tape.draws_begin(member.frame, &key, False)
            self.n_dropouts = max(self.n_dropouts, member.tape.program.n_dropouts)
        return 0

    cdef int members_make(self, tuple tapes) except -1:
        """Take a frame of each tape."""
        cdef list members = []
        cdef Member member
        cdef Py_ssize_t i
        for tape in tapes:
            if not isinstance(tape, Replay):
                raise error_of("FastgradTypeError", "tapes", described(tape), "fit")
            member = member_of(<Replay> tape)
            member.take()
            self.has_python = self.has_python or member.tape.program.python.tape != NULL
            self.n_ops = max(self.n_ops, member.tape.program.n_ops)
            members.append(member)
        if not members:
            raise error_of("FastgradTypeError", "a tape", "none", "fit")
        self.each = <PyObject **> room(len(members), sizeof(PyObject *))
        self.touched = <uint32_t *> room(len(members), sizeof(uint32_t))
        for i in range(len(members)):
            self.each[i] = <PyObject *> members[i]
            self.touched[i] = <uint32_t> i
        self.members = tuple(members)
        self.n_touched = len(members)
        self.parameters = parameters_of(self.members)
        self.n_parameters = len(self.parameters)
        return 0

    cdef int bind(self, tuple args) except -1:
        """Take the data as the arguments of a call of the one tape."""
        cdef Member member = self.members[0]
        member.tape.frame_bind(member.frame, args)
        member.n = self.n = <size_t> member.frame.n if member.frame.n > 0 else 0
        return 0

    cdef int read(self, object data, list chosen) except -1:
        """Take the data as samples, each for the tape whose number is given."""
        cdef list samples = list(data)
        cdef Poll poll = poll_begin(poll_with_gil)
        cdef Member member
        cdef size_t i
        if not samples or len(samples) != len(chosen):
            raise error_of(
                "FastgradValueError", "some samples, and for each the number of a tape",
                f"{len(samples)} and {len(chosen)}", "data of fit")
        self.n = len(samples)
        self.member = <uint32_t *> room(self.n, sizeof(uint32_t))
        self.places = <uint64_t *> room(self.n, sizeof(uint64_t))
        for i in range(self.n):
            self.member[i] = chosen[i]
            if self.member[i] >= <uint32_t> len(self.members):
                raise error_of(
                    "FastgradIndexError", f"a number below {len(self.members)}", f"{self.member[i]}",
                    "tape of a sample of fit")
            member = self.members[self.member[i]]
            member.most += 1
        for member in self.members:
            if not member.most:
                raise error_of("FastgradValueError", "a sample for each tape", "none", "data of fit")
            member.rows_make(member.most)
        for i in range(self.n):
            member = self.members[self.member[i]]
            self.places[i] = member.n
            member.row_add(samples[i], i)
            poll_signals(&poll, <Py_ssize_t> member.tape.program.n_inputs + 1)
        for member in self.members:
            member.rows_bind()
        return 0

    cdef int plan(self, int threads) except -1:
        """Say how all members run, and where the parameters are."""
        cdef size_t n = self.n_parameters
        cdef Places places = places_of(self.parameters)
        cdef Member member
        cdef size_t i
        for member in self.members:
            member.plan(self.batch, self.n, self.steps, threads)
            member.parameters_find(places, self.parameters)
        if len(self.members) > 1:
            self.nodes = <Node **> room(n, sizeof(Node *))
            self.own_data = <double *> room(n, sizeof(double))
            self.own_grad = <double *> room(n, sizeof(double))
            for i in range(n):
                self.nodes[i] = node_at((<Handle> self.parameters[i]).id)
        if self.batch < self.n:
            self.order = <uint64_t *> room(self.n, sizeof(uint64_t))
            for i in range(self.n):
                self.order[i] = i
            self.next = self.n
            self.n_touched = 0
        return 0

    def __dealloc__(self):
        PyMem_RawFree(self.each)
        PyMem_RawFree(self.nodes)
        PyMem_RawFree(self.own_data)
        PyMem_RawFree(self.own_grad)
        PyMem_RawFree(self.member)
        PyMem_RawFree(self.places)
        PyMem_RawFree(self.touched)
        PyMem_RawFree(self.order)
        PyMem_RawFree(self.losses)

    cdef int expect_open(self) except -1:
        if self.members is None or self.closed:
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
        places = places_of(self.parameters)
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
        self.parameters_load()
        group = self.groups
        while group is not None:
            if updater_is_busy(group.updater):
                raise error_of(
                    "FastgradRuntimeError", "one step of an optimizer at a time",
                    "fit while another thread trains with it", "optimizer of fit", "wait for the other")
            group = group.next
        self.mark_busy(True)
        return 0

    cdef int parameters_load(self) except -1:
        """Read the parameters' data: into the slots of the one member, or into the loop's array."""
        cdef Member member
        cdef size_t i
        if self.own_data == NULL:
            member = self.members[0]
            return member.tape.parameters_load(member.frame)
        for member in self.members if recording_threads else ():
            member.tape.parameters_report()
        for i in range(self.n_parameters):
            self.own_data[i] = self.nodes[i].data
        return 0

    cdef double *data(self) noexcept nogil:
        """Give where the parameters are while this loop runs."""
        if self.own_data != NULL:
            return self.own_data
        return (<Member> self.each[0]).data()

    cdef int resume(self) except -1 with gil:
        return self.take_over()

    cdef int let_go(self) except -1:
        """Give back what this loop holds, so that anybody may read and set it."""
        self.mark_busy(False)
        if self.held:
            self.held = False
            self.groups.write_back(self.data())
        return 0

    cdef void mark_busy(self, bint busy) noexcept:
        """Say whether others must not make a step: only this loop may unsay it."""
        cdef Group group = self.groups if self.running != busy else None
        self.running = busy
        while group is not None:
            updater_mark(group.updater, busy)
            group = group.next

    def shared(self):
        """Give how many parameters the tapes have, those of the optimizer among them, and all of its."""
        cdef Group group = self.groups
        cdef Py_ssize_t found = 0
        cdef Py_ssize_t n = 0
        while group is not None:
            found, n = found + group.shared, n + group.updater.n
            group = group.next
        return self.n_parameters, found, n

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
        self.skipped += <uint64_t> count
        while count > 0 and self.batch < self.n:
            passed = self.next_count()  # it may begin an epoch, at place 0
            self.next += passed
            count -= 1
            poll_signals(&poll, <Py_ssize_t> passed)

    cdef void draw(self) noexcept nogil:
        """Draw the next mini-batch: which members have samples in it, in the order of the first."""
        cdef size_t s
        self.count = self.next_count()
        for s in range(self.n_touched):
            (<Member> self.each[self.touched[s]]).n_picked = 0
        self.n_touched = 0
        for s in range(self.next, self.next + self.count):
            self.pick(self.order[s])
        self.next += self.count

    cdef void pick(self, uint64_t sample) noexcept nogil:
        cdef uint32_t which = self.member[sample] if self.member != NULL else 0
        if not (<Member> self.each[which]).n_picked:
            self.touched[self.n_touched] = which
            self.n_touched += 1
        (<Member> self.each[which]).pick(sample, self.places[sample] if self.places != NULL else sample)

    cdef int one_step(self, double *loss, const double **grad) noexcept nogil:
        """Compute a loss and its gradient."""
        cdef double scale
        cdef double part = 0.0
        cdef double total = 0.0
        cdef uint64_t call = (self.skipped + <uint64_t> self.done) * self.n_dropouts
        cdef size_t before = 0
        cdef size_t i
        cdef int result
        if self.batch < self.n:
            self.draw()
        else:
            self.count = self.n or 1
        scale = 1.0 / <double> self.count if self.mean else 1.0
        for i in range(self.n_touched):
            self.failed = self.touched[i]
            (<Member> self.each[self.touched[i]]).draws_set(call, before)
            before += (<Member> self.each[self.touched[i]]).n_picked
            if self.own_data != NULL:
                (<Member> self.each[self.touched[i]]).parameters_load(self.own_data)
            result = (<Member> self.each[self.touched[i]]).compute(scale, &part)
            if result != TAPE_OK:
                return result
            total += part
        loss[0] = total * scale
        if self.n_touched == 1 and (<Member> self.each[self.touched[0]]).slots == NULL:
            grad[0] = (<Member> self.each[self.touched[0]]).gradient()
            return TAPE_OK
        memset(self.own_grad, 0, self.n_parameters * sizeof(double))
        for i in range(self.n_touched):
            (<Member> self.each[self.touched[i]]).gradient_add(self.own_grad)
        grad[0] = self.own_grad
        return TAPE_OK

    def advance(self, Py_ssize_t count):
        """Make up to `count` steps; returns False where a loss or its gradient is not finite.

        That comes before the update: parameters and optimizer are as after the step before.
        """
        cdef double *data
        cdef const double *grad = NULL
        cdef double loss = 0.0
        cdef int result = TAPE_OK
        cdef Poll poll = poll_begin(poll_without_gil)
        cdef Py_ssize_t each = (<Py_ssize_t> self.batch + 1)
        cdef PollHook hook
        cdef bint hooked
        cdef Member failed
        self.expect_open()
        if self.advancing:
            raise error_of("FastgradRuntimeError", "one advance at a time", "a second one inside it", "fit")
        data = self.data()
        each *= <Py_ssize_t> self.n_ops + 1
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
                    if self.has_python:  # custom operations may read and set anything, too
                        before_handlers(<void *> self)
                        self.stale = True
                    result = self.one_step(&loss, &grad)
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
                failed = self.members[self.failed]
                failed.tape.fail(failed.frame, result)
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
        cdef size_t i
        if isfinite((<Member> self.each[0]).tape.kernels.sum(self.n_parameters, grad)):
            return True
        for i in range(self.n_parameters):
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
        cdef size_t first = self.next - self.count if self.batch < self.n else 0
        cdef size_t s
        cdef Member member
        cdef dict drawn = {}
        if self.members is None or self.closed or self.advancing:
            return None
        for s in range(first, first + self.count):
            at = self.order[s] if self.batch < self.n else s
            member = self.members[self.member[at] if self.member != NULL else 0]
            if self.own_data != NULL:
                member.parameters_load(self.own_data)
            number = drawn[id(member)] = drawn.get(id(member), -1) + 1
            found = nonfinite_in_sample(
                member.tape, member.frame, self.places[at] if self.places != NULL else at, number,
                [member.want], &poll)
            if found is not None:
                return found
        return None

    def close(self):
        """Give the frames back to the tapes."""
        cdef Member member
        if self.members is None or self.advancing:
            return
        self.closed = True
        for member in self.members:
            member.close()

    def history(self, Py_ssize_t first=0):
        """Give the losses so far, from that of step `first` on."""
        cdef list made = []
        cdef Py_ssize_t i
        for i in range(max(first, 0), self.done):
            made.append(self.losses[i])
        return made

    def last(self):
        return self.losses[self.done - 1] if self.done else None
