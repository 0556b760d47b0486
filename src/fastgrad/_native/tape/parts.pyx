"""Parts: some groups of a batch, run anywhere, and what becomes of all of them: one call's bits.

A part gives what its groups add up to, not a gradient: sums of gradients made in another order, or
through what is done once a call, would have other bits. Dropouts draw by the state that the tape's
generator is in, the same in all parts of a call; `finish` makes the call count.
"""

from libc.string cimport memcpy, memset

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc

from fastgrad._native.base.errors cimport error_of
from fastgrad._native.tape.bind cimport Shape, floats_of, out_from, rebuild
from fastgrad._native.tape.frame cimport Frame
from fastgrad._native.tape.header cimport BatchPart, DrawKey
from fastgrad._native.tape.replay cimport CachedPlan, Replay
from fastgrad._native.tape.tape cimport TapeCore, expect_threads
from fastgrad._native.tape.wrt cimport Want


cdef int load(Replay tape, Frame frame, tuple args, object data, bint take) except -1:
    """Bind the arguments of a call, and what else it depends on: as `state_of` gives it, or None for now."""
    cdef DrawKey key
    cdef bytes given
    cdef size_t size = tape.program.n_parameters * sizeof(double)
    tape.frame_bind(frame, args)
    if data is None:
        return tape.draws_begin(frame, NULL, take)
    given, draws = data
    key.seed, key.call, key.sample, key.is_on = draws
    tape.draws_begin(frame, &key, False)
    if <size_t> len(given) != size:
        raise error_of("ShapeError", f"{size} bytes", f"{len(given)}", "data of the parameters")
    memcpy(frame.values + tape.program.n_inputs, PyBytes_AS_STRING(given), size)
    frame.read_at = 0
    return 0


cdef int expect_batch(Replay tape, Frame frame) except -1:
    if frame.n < 0:
        raise error_of("ShapeError", "an argument with a batch axis", "one sample", "parts of a batch")
    if tape.custom_operations:
        raise error_of(
            "TapeError", "operations that run without Python",
            f"the custom operation {tape.custom_operations[0].name!r}", "parts of a batch",
            "write it with fastgrad.functional and without partials")
    return 0


cdef CachedPlan plan_of(Replay tape, Frame frame, object wrt):
    cdef Want want = tape.want(wrt)
    tape.expect_scalar()
    expect_batch(tape, frame)
    return tape.plan_for(frame, want)


def state_of(Replay tape not None, draws=None):
    """Give what a call depends on besides its arguments: the same wherever its parts run.

    Parameters
    ----------
    draws : tuple of int, optional
        What dropouts draw by: seed, number of the call, of the first sample, whether they do. Those of
        the tape's next call unless given, which are taken.

    Returns
    -------
    data : bytes
        Of the parameters, 8 each.
    draws : tuple of int
    """
    cdef Frame frame = tape.frame_take()
    try:
        tape.parameters_load(frame)
        data = PyBytes_FromStringAndSize(
            <const char *> (frame.values + tape.program.n_inputs),
            tape.program.n_parameters * sizeof(double))
        if draws is None and tape.program.n_dropouts and tape.training:
            draws = tape.generator.take(tape.program.n_dropouts) + (1,)
        return data, draws or (0, 0, 0, 0)
    finally:
        tape.frame_give(frame)


def dropouts_of(Replay tape not None):
    """Give the number of dropouts."""
    return tape.program.n_dropouts


def batch_of(Replay tape not None, tuple args not None):
    """Give the number of samples, -1 for no batch, and of each input a byte: whether it has one a sample."""
    cdef Frame frame = tape.frame_take()
    try:
        tape.frame_bind(frame, args)
        tape.draws_begin(frame, NULL, False)
        return frame.n, <bytes> (<char *> frame.batched)[:tape.program.n_inputs]
    finally:
        tape.frame_give(frame)


def starts(Replay tape not None, tuple args not None, Py_ssize_t of, object wrt):
    """Give the first sample of each group of a batch of so many, and their number at the end.

    The arguments may have any number of samples.
    """
    cdef Frame frame = tape.frame_take()
    cdef CachedPlan cached
    cdef list found = []
    cdef size_t g
    try:
        load(tape, frame, args, None, False)
        cached = plan_of(tape, frame, wrt)
        for g in range(tape.group_count(cached, of) + 1):
            found.append(tape.group_begin(cached, of, g))
        return found
    finally:
        tape.frame_give(frame)


def sums(
        Replay tape not None, tuple args not None, Py_ssize_t first, Py_ssize_t end, Py_ssize_t of,
        bint mean, object wrt, object threads, object data, bint added, Py_ssize_t start=0):
    """Run the samples of some groups of a batch.

    Parameters
    ----------
    first, end : int
        The groups; the arguments have their samples, and no others.
    of : int
        Samples of the whole batch.
    data : tuple or None
        What `state_of` gave, to be used instead of what is so now.
    added : bool
        Give a row for each subtree of groups that is whole here, not for each group.
    start : int
        Number of the first sample, for what is said of numbers that cannot be read.

    Returns
    -------
    rows : bytes
        Of float64: the total, then the adjoints that the groups add up.
    width : int
        Numbers in a row.
    arrays : bool
        Whether an argument was an array.
    """
    cdef Frame frame = tape.frame_take()
    cdef CachedPlan cached
    cdef BatchPart part
    cdef size_t begin, n
    cdef size_t n_rows = 0
    cdef bytes rows
    try:
        frame.first = start
        load(tape, frame, args, data, False)
        cached = plan_of(tape, frame, wrt)
        n = tape.group_count(cached, of)
        if not 0 <= first < end <= <Py_ssize_t> n:
            raise error_of("FastgradValueError", f"groups within 0 to {n}", f"{first} to {end}", "groups")
        begin = tape.group_begin(cached, of, first)
        if <size_t> frame.n != tape.group_begin(cached, of, end) - begin:
            raise error_of(
                "ShapeError", f"samples {begin} to {tape.group_begin(cached, of, end)}", f"{frame.n} samples",
                f"groups {first} to {end} of {of} samples", "tape.group_starts says where they begin")
        frame.first = <Py_ssize_t> begin
        frame.draws.sample += begin
        part.of, part.first, part.end, part.is_added = of, first, end, added
        begin = first
        while begin < <size_t> end:
            begin += tape.subtree(begin, end, n) if added else 1
            n_rows += 1
        rows = PyBytes_FromStringAndSize(NULL, n_rows * (cached.plan.n_broadcasts + 1) * sizeof(double))
        part.rows = <double *> PyBytes_AS_STRING(rows)
        tape.run_part(frame, cached, &part, 1.0 / <double> of if mean else 1.0, expect_threads(threads))
        return rows, cached.plan.n_broadcasts + 1, frame.arrays
    finally:
        tape.frame_give(frame)


cdef int place(Replay tape, CachedPlan cached, list parts, size_t n, double *rows, size_t *sizes) except -1:
    """Put the rows of parts, which are all of them, where their groups are."""
    cdef size_t width = cached.plan.n_broadcasts + 1
    cdef size_t at, end, size, left
    cdef size_t covered = 0
    cdef const double *row
    cdef bytes given
    cdef bint added
    for first, last, given, added in sorted(parts):
        at, end = first, last
        if at != covered or end > n:
            covered = n + 1
            break
        row, left = <const double *> PyBytes_AS_STRING(given), <size_t> len(given) // sizeof(double)
        while at < end and left >= width:
            size = tape.subtree(at, end, n) if added else 1
            memcpy(rows + at * width, row, width * sizeof(double))
            sizes[at] = size
            at, row, left = at + size, row + width, left - width
        if at < end or left:
            raise error_of(
                "ShapeError", f"{width} numbers in each row, of groups {first} to {last}",
                f"{len(given) // sizeof(double)} numbers", "parts of finish", "give what partial_sums gave")
        covered = end
    if covered != n:
        raise error_of(
            "ShapeError", f"all {n} groups, each once", "others",
            "parts of finish")
    return 0


def finish(
        TapeCore tape not None, tuple args not None, list parts not None, Py_ssize_t of, bint mean,
        object wrt, object data, bint added_to_grad):
    """Make the value and the gradient of a batch from what its parts gave.

    Parameters
    ----------
    args : tuple
        As for the whole, with any number of samples: only what they share is read.
    parts : list of (int, int, bytes, bool)
        Groups from the first to the second, what `sums` gave of them, and how.
    added_to_grad : bool
        Add the gradient to the parameters' grad, and give only the value.
    """
    cdef Frame frame = tape.frame_take()
    cdef Want want = tape.want(wrt)
    cdef CachedPlan cached
    cdef Shape shape
    cdef list outs = []
    cdef double *rows = NULL
    cdef size_t *sizes
    cdef size_t n
    cdef double scale = 1.0 / <double> of if mean else 1.0
    cdef object value
    try:
        load(tape, frame, args, data, True)
        cached = plan_of(tape, frame, wrt)
        for shape in want.shapes:
            if shape.size and shape.start < tape.program.n_inputs and frame.batched[shape.start]:
                raise error_of(
                    "FastgradValueError", "what all samples share", f"{shape.name}, which has a batch axis",
                    "wrt of parts", "use reduce=None")
        n = tape.group_count(cached, of)
        rows = <double *> PyMem_RawMalloc(
            n * ((cached.plan.n_broadcasts + 1) * sizeof(double) + sizeof(size_t)))
        if rows == NULL:
            raise MemoryError()
        sizes = <size_t *> (rows + n * (cached.plan.n_broadcasts + 1))
        memset(sizes, 0, n * sizeof(size_t))
        place(tape, cached, parts, n, rows, sizes)
        value = tape.run_finish(frame, cached, of, rows, sizes, scale) * scale
        if added_to_grad:
            tape.gradient_add(frame)
            return value
        if want.single_values:
            return value, floats_of(frame.adjoints, want.shapes)
        for shape in want.shapes:
            outs.append(out_from(frame.adjoints + shape.start, shape.shape, frame.arrays))
        return value, rebuild(want.spec, outs)
    finally:
        PyMem_RawFree(rows)
        tape.frame_give(frame)


def call(TapeCore tape not None, tuple args not None, Py_ssize_t first, int threads, object data):
    """Give the results of some samples of a batch, `first` the number of their first."""
    cdef Frame frame = tape.frame_take()
    try:
        frame.first = first
        load(tape, frame, args, data, False)
        frame.draws.sample += <size_t> first
        return tape.results(frame, threads)
    finally:
        tape.frame_give(frame)


def call_each(
        TapeCore tape not None, tuple args not None, Py_ssize_t first, object wrt, int threads, object data):
    """Give the value of each of some samples of a batch, and its own gradient."""
    cdef Frame frame = tape.frame_take()
    try:
        frame.first = first
        tape.expect_scalar()
        load(tape, frame, args, data, False)
        frame.draws.sample += <size_t> first
        return tape.gradient_of_each(frame, tape.want(wrt), threads)
    finally:
        tape.frame_give(frame)
