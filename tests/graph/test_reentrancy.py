"""Python code called inside a native operation may use the arena in any way.

Oracles: gradients known by hand or computed without the intrusion; `arena_check` afterwards.
"""

import gc
import weakref

import pytest

from fastgrad import Value, arena_stats, custom
from fastgrad._native.graph import check
from fastgrad.nn import Layer, Neuron


@pytest.fixture(autouse=True)
def sound():
    gc.collect()
    yield
    gc.collect()
    assert check.arena_check() == [], "no mark, no count is left behind"


class Special(Value):
    pass


def with_step(operands, step):
    """Make a custom sum whose backward step also does something else."""
    out = Value(sum(v.data for v in operands), tuple(operands), "sum")

    def backward():
        for v in operands:
            v.grad += out.grad
        step()

    out._backward = backward
    return out


def churn():
    """Build, sweep and drop graphs that have nothing to do with anybody else's."""
    x = Value(2.0)
    for _ in range(30):
        y = (x * x + 1).tanh() * x
        y.backward()
    assert y.grad == 1.0


# Backward functions -------------------------------------------------------------------------------


def test_step_may_build_sweep_and_drop():
    a, b = Value(2.0), Value(3.0)
    y = with_step([a * b, a], churn) * a
    y.backward()
    assert (a.grad, b.grad) == (3.0 * 2 + 2.0 + 8.0, 4.0)


def test_step_may_drop_the_last_handle_of_everything():
    held = [Value(2.0)]
    x = held[0]
    held.append(held[0] * 3)
    held.append(with_step([held[1]], held.clear))
    root = held[2] * held[1]
    root.backward()
    assert held == []
    assert x.grad == 2 * 3.0 * 6.0


def test_step_may_drop_the_root():
    x = Value(2.0)
    box = []
    y = with_step([x], box.clear)
    box.append(y * 5)
    box[0].backward()
    assert (box, x.grad) == ([], 5.0)


def test_step_may_drop_the_last_user_of_a_pinned_root():
    """The root's handle is released when its own sweep ends, for its last user has gone before."""
    x = Value(2.0)
    users = []
    inner = with_step([x], users.clear)
    root = inner * 5
    users.append(root + 1)
    assert root in users[0]._prev, "shown, so its node keeps the handle"
    gone = weakref.ref(root)
    root.backward()
    assert x.grad == 5.0
    assert check.arena_check() == []
    del root
    assert gone() is None


def test_step_may_give_a_leaf_a_function():
    """A leaf that the sweep does not reach is not run by it, nor one that it has passed."""
    x, stranger = Value(2.0), Value(3.0)
    ran = []

    def give():
        stranger._backward = lambda: ran.append("stranger")

    root = with_step([x], give) * 2
    root.backward()
    assert ran == []
    (root + stranger).backward()
    assert ran == ["stranger"]


def test_step_may_change_data_that_is_read_later():
    x, w = Value(2.0), Value(3.0)
    inner = x * w
    outer = with_step([inner], lambda: setattr(w, "data", 10.0))
    outer.backward()
    assert x.grad == 10.0, "operands are read when their step runs"


def test_step_may_expand_a_neuron_that_is_being_swept():
    neuron = Neuron(3)
    neuron.w[0].data = neuron.w[1].data = neuron.w[2].data = 0.5
    x = [Value(1.0), Value(2.0), Value(3.0)]
    act = neuron(x)
    seen = []

    def look():
        stack = [act]
        while stack:
            v = stack.pop()
            seen.append(v)
            stack += v._prev

    with_step([act], look).backward()
    assert len(seen) >= 14
    assert [v.grad for v in x] == [0.5, 0.5, 0.5]
    assert [w.grad for w in neuron.w] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_sweeps_of_one_graph_may_nest(depth):
    """Compare with the same calls of backward() made one after another where that is the same."""
    x = Value(3.0)
    inner = x * x
    todo = [inner] * depth

    def again():
        if todo:
            todo.pop()
            again.outer.backward()

    again.outer = with_step([x * 1.0], again)
    again.outer.backward()
    assert todo == []
    # Each call sets the root's grad to 1 and adds it to x * 1.0, whose sum flows on to x.
    reference = Value(3.0)
    plain = reference * 1.0

    def simulate(level):
        plain.grad += 1.0
        if level:
            simulate(level - 1)
        reference.grad += plain.grad

    simulate(depth)
    assert x.grad == reference.grad
    del again.outer


@pytest.mark.parametrize("dot", [True, False])
def test_nested_sweep_of_a_shared_neuron(dot):
    neuron = Neuron(2, nonlin=False)
    neuron.w[0].data, neuron.w[1].data = 2.0, 3.0
    a, b = Value(1.0), Value(1.0)
    y = neuron([a, b]) if dot else neuron.b + neuron.w[0] * a + neuron.w[1] * b

    def inner():
        z = y * 1.0
        z.backward()

    root = with_step([y], inner)
    root.backward()
    # Both sweeps run y with grad 2; b + w[0]*a gets 2, then 4; w[0]*a gets 2, then 6.
    assert (y.grad, a.grad, b.grad) == (2.0, 2 * (2.0 + 6.0), 3 * (2.0 + 4.0))


def test_sweeps_nested_too_deep_raise_and_leave_no_marks():
    x = Value(1.0)
    depth = []

    def deeper():
        depth.append(len(depth))
        deeper.root.backward()

    deeper.root = with_step([x], deeper)
    with pytest.raises(RecursionError, match="inside each other"):
        deeper.root.backward()
    assert len(depth) == 4, "each sweep in flight has a bit of its own in the marks, of four"
    assert check.arena_check() == []
    del deeper.root
    y = x * 2
    x.grad = 0.0
    y.backward()
    assert x.grad == 2.0


def test_exception_in_a_step_leaves_no_marks():
    class Stop(Exception):
        pass

    def stop():
        raise Stop

    x = Value(2.0)
    shared = x * x
    bad = with_step([shared], stop)
    root = bad + shared * 3 + with_step([shared], churn)
    for _ in range(3):
        with pytest.raises(Stop):
            root.backward()
        assert check.arena_check() == []
    good = shared * 5
    x.grad = shared.grad = 0.0
    good.backward()
    assert x.grad == 20.0


def test_exception_from_an_inner_sweep_passes_through_the_outer_one():
    x = Value(0.0)
    singular = x**0.5
    root = with_step([x * 1.0], singular.backward)
    with pytest.raises(ZeroDivisionError):
        root.backward()
    assert check.arena_check() == []


def test_step_may_replace_steps():
    x = Value(2.0)
    first = x * 3
    ran = []

    def replace():
        inner = first._backward
        first._backward = lambda: (ran.append("hook"), inner())

    root = with_step([first], replace)
    root.backward()
    assert ran == ["hook"], "first is older, so its step had not run yet"
    assert x.grad == 3.0


def test_step_kept_and_wrapped_runs_the_native_rule():
    x = Value(3.0)
    y = x * x
    inner = y._backward
    y._backward = inner
    y._backward = lambda: inner()
    y.backward()
    assert x.grad == 6.0


def test_leaf_function_runs_below_a_fused_neuron():
    ran = []
    x = Value(1.0)
    x._backward = lambda: ran.append("x")
    neuron = Neuron(1, nonlin=False)
    neuron.w[0]._backward = lambda: ran.append("w")
    neuron([x]).backward()
    assert sorted(ran) == ["w", "x"]


def test_leaf_functions_may_make_and_drop_leaf_functions():
    leaves = [Value(float(i)) for i in range(8)]
    ran = []

    def step(i):
        def run():
            ran.append(i)
            if i + 1 < len(leaves) and leaves[i + 1] is not None:
                fresh = Value(1.0)
                fresh._backward = lambda: ran.append("never")
                leaves[i] = None

        return run

    for i, leaf in enumerate(leaves):
        leaf._backward = step(i)
    total = sum(leaves)
    del leaf
    total.backward()
    assert sorted(ran) == list(range(8))


# Hidden nodes of neurons --------------------------------------------------------------------------


def products(neuron_output):
    """Find the products inside a linear neuron."""
    found, stack = [], [neuron_output]
    while stack:
        v = stack.pop()
        if v._op == "*":
            found.append(v)
        elif v._op == "+":
            stack += v._prev
    return sorted(found, key=lambda v: v.data)


def linear_neuron():
    neuron = Neuron(3, nonlin=False)
    for w in neuron.w:
        w.data = 2.0
    x = [Value(1.0), Value(2.0), Value(3.0)]
    return neuron, x, [neuron(x)]


def test_owner_of_a_hidden_node_may_die_before_its_turn():
    _, x, held = linear_neuron()
    between = with_step([x[0]], held.clear)
    hidden = products(held[0])[0]
    (hidden + between).backward()
    assert held == []
    assert [v.grad for v in x] == [3.0, 0.0, 0.0]


def test_owner_of_a_hidden_node_may_die_in_its_step():
    _, x, held = linear_neuron()
    nodes = products(held[0])
    nodes[2]._backward = held.clear
    root = sum(nodes)
    del nodes
    root.backward()
    assert held == []
    assert [v.grad for v in x] == [2.0, 2.0, 0.0], "its own function replaced the last one's step"


def test_cycle_of_a_hidden_node_owner_is_freed_after_the_sweep():
    """Its last user goes while a sweep, which came through a hidden node, waits for its turn."""
    _, x, held = linear_neuron()
    users = []
    between = with_step([x[0]], users.clear)
    hidden = products(held[0])[0]

    def cycle():
        out = held.pop()
        out._backward = lambda: out.data
        users.append(out + 1)
        return weakref.ref(out)

    gone = cycle()
    gc.disable()
    try:
        (hidden + between).backward()
        assert (users, gone()) == ([], None)
    finally:
        gc.enable()


def test_function_of_a_hidden_node_outlives_its_owner():
    _, x, held = linear_neuron()
    ran = []
    nodes = products(held[0])
    nodes[0]._backward = lambda: ran.append(True)
    root = nodes[0] * 2
    del nodes
    root.backward()
    held.clear()
    root.backward()
    assert len(ran) == 2
    assert x[0].grad == 0.0


def test_step_may_free_a_layer_during_its_sweep():
    layers = [Layer(2, 3), Layer(3, 2)]
    x = [Value(1.0), Value(2.0)]
    h = layers[0](x)
    h = [with_step([v], layers.clear) for v in h]
    out = layers[1](h)
    root = out[0] + out[1]
    del h, out
    root.backward()
    assert layers == []


# Conversions and destructors ----------------------------------------------------------------------


class Number:
    """A number whose conversion runs something."""

    def __init__(self, action, data=1.0):
        self.action = action
        self.number = data

    def __float__(self):
        self.action()
        return self.number


def test_float_may_use_the_arena():
    x = Value(2.0)
    noisy = Number(churn, 3.0)
    results = [x + noisy, noisy * x, x - noisy, noisy / x, Value(noisy), Neuron(2)([noisy, x])]
    assert [v.data for v in results[:5]] == [5.0, 6.0, -1.0, 1.5, 3.0]
    x.data = noisy
    assert x.data == 3.0


def test_float_may_drop_operands():
    held = [Special(2.0)]
    result = held[0] + Number(held.clear)
    assert result.data == 3.0
    assert len(result._prev) == 2


def test_inputs_may_change_size_while_they_are_read():
    inputs = []
    inputs += [Number(inputs.clear) for _ in range(64)]
    neuron = Neuron(64)
    neuron.b.data = 0.25
    assert neuron(inputs) is not None
    inputs += [Number(lambda: inputs.append(1.0)) for _ in range(64)]
    assert neuron(inputs) is not None


def test_weights_may_be_edited_while_inputs_are_read():
    neuron = Neuron(4)

    def edit():
        neuron.w = [Value(1.0)] * 2
        gc.collect()

    assert neuron([Number(edit), 1, Value(2.0), 3]) is not None


def test_operands_may_reinitialise_the_value_under_construction():
    kept = []
    a, b = Value(1.0), Value(2.0)
    s = Special.__new__(Special)

    def operands():
        Value.__init__(s, 1.0, (a,))
        kept.append(s + a)
        yield b

    with pytest.raises(TypeError):
        Value.__init__(s, 2.0, operands())
    assert (kept[0].data, s._prev) == (2.0, {a})
    again = Special.__new__(Special)
    with pytest.raises(TypeError):
        Value.__init__(again, 1.0, (again,))


def test_collector_may_edit_a_neuron_that_is_being_called():
    neuron = Neuron(20)

    def edit(phase, info):
        neuron.w[:] = neuron.w[:3]

    threshold = gc.get_threshold()
    gc.collect()
    for _ in range(30):
        neuron.w = [Value(1.0) for _ in range(20)]
        gc.callbacks.append(edit)
        gc.set_threshold(1)
        try:
            neuron([1.0] * 20)
        finally:
            gc.set_threshold(*threshold)
            gc.callbacks.remove(edit)


def test_destructors_of_attributes_may_use_the_arena():
    ran = []

    class Noisy:
        def __del__(self):
            churn()
            ran.append(True)

    x = Value(1.0)
    for _ in range(5):
        y = x * 2
        y.noisy = Noisy()
        z = y + 1
        del y
        z.backward()
        del z
    assert len(ran) == 5


@pytest.mark.parametrize("cls", [Value, Special])
def test_destructor_may_use_a_node_waiting_to_be_freed(cls):
    """Two nodes of one graph are let go of; the first one's attribute uses the second meanwhile."""

    class Using:
        def __init__(self, other, keep):
            self.other, self.keep = weakref.ref(other), keep

        def __del__(self):
            if self.other() is not None:
                y = self.other() * 2
                if self.keep is not None:
                    self.keep.append(y)

    for keep in (None, []):
        x = Value(3.0)
        first, second = (x * 2, x * 3) if cls is Value else (cls(6.0), cls(9.0))
        for one, other in ((first, second), (second, first)):  # whichever goes first
            one.note, one.using = "kept", Using(other, keep)
        refs = weakref.ref(first), weakref.ref(second)
        z = first + second
        del first, second, one, other, z
        assert check.arena_check() == []
        if keep is None:
            assert [ref() for ref in refs] == [None, None]
            continue
        (y,) = keep  # the other one was used again before its turn came, and lives on
        (kept,) = [ref() for ref in refs if ref() is not None]
        assert kept in y._prev
        assert (kept.note, y.data) == ("kept", kept.data * 2)
        y.backward()
        assert kept.grad == 2.0
        assert x.grad == (kept.data / 3.0 * 2 if cls is Value else 0.0)
        keep.clear()  # y, its operand, that one's attribute: a cycle that no collector sees


def test_destructor_may_revive_its_value():
    revived = []

    class Phoenix(Value):
        def __del__(self):
            revived.append(self)

    v = Phoenix(3.0)
    y = v * 2
    del v, y
    assert [p.data for p in revived] == [3.0]
    z = revived[0] * 4
    z.backward()
    assert revived[0].grad == 4.0


def test_destructor_patched_into_value_is_called():
    ran = []
    Value.__del__ = lambda self: ran.append(self.data)
    try:
        x = Value(1.5)
        y = x * 2
        del y
        del x
    finally:
        del Value.__del__
    assert sorted(ran) == [1.5, 3.0]


def test_weakref_callbacks_may_use_the_graph():
    x = Value(1.0)
    y = x * 2
    seen = []
    ref = weakref.ref(y, lambda r: (churn(), seen.append(x.grad)))
    z = y + 1
    z.backward()
    del y
    assert ref() is not None
    del z
    assert seen == [2.0]
    assert ref() is None


def test_destructor_may_sweep_a_graph_that_is_being_freed():
    """A graph dies node by node; an attribute's destructor asks for gradients meanwhile."""
    x = Value(2.0)
    square = x * x
    grads = []

    class Asking:
        def __del__(self):
            (square * 1.0).backward()
            grads.append(x.grad)

    y = square
    for _ in range(20):
        y = y + 1
        y.asking = Asking()
    del y
    assert len(grads) == 20
    assert x.grad > 0


def test_custom_operation_may_sweep_in_its_partials():
    @custom("busy")
    def busy(x):
        return 2 * x

    @busy.partials
    def busy(x, y):
        churn()
        return 2.0

    a = Value(1.0)
    busy(a * 3).backward()
    assert a.grad == 6.0


def test_reentrant_steps_leave_no_live_nodes():
    before = arena_stats()["live_nodes"]
    churn()
    x = Value(1.0)
    with_step([x * 2], churn).backward()
    del x
    gc.collect()
    assert arena_stats()["live_nodes"] == before
