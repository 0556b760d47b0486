"""Value as a Python object: identity, attributes, weak references, subclasses, patches.

Oracle: what an ordinary Python class does.
"""

import copy
import gc
import operator
import weakref

import pytest
from helpers.graphs import all_nodes, chain, live_after_gc

from fastgrad import Value

pytestmark = pytest.mark.usefixtures("sound_arena")


# -- identity ------------------------------------------------------------------------------------


def test_prev_contains_the_operand_objects_themselves():
    a, b = Value(1.0), Value(2.0)
    y = a * b + a
    (product,) = y._prev - {a}
    assert product._prev == {a, b}
    assert next(iter(product._prev & {a})) is a
    assert y._prev - {a} == {product}


def test_value_keeps_its_identity_while_held():
    y = (Value(1.0) * 2 + 3).relu()
    nodes = all_nodes(y)
    ids = {id(v) for v in nodes}
    assert len(nodes) == 6
    for _ in range(3):
        assert {id(v) for v in all_nodes(y)} == ids
    assert {hash(v) for v in all_nodes(y)} == {hash(v) for v in nodes}


def test_prev_is_a_copy_that_cannot_change_the_graph():
    a = Value(3.0)
    y = a * 2
    y._prev.clear()
    y._prev.add(Value(1.0))
    assert len(y._prev) == 2
    y.backward()
    assert a.grad == 2.0
    with pytest.raises(AttributeError):
        y._prev = set()
    assert len(y._prev) == 2


def test_prev_contains_a_repeated_operand_once():
    a = Value(3.0)
    assert (a * a)._prev == (a + a)._prev == {a}
    assert Value(1.0, (a, a, a))._prev == {a}


# -- attributes ----------------------------------------------------------------------------------


def test_attributes_can_be_set_read_and_deleted():
    v = Value(1.0)
    assert not hasattr(v, "m")
    v.m, v.color = 0.5, "red"
    assert (v.m, vars(v)) == (0.5, {"m": 0.5, "color": "red"})
    vars(v)["n"] = 7
    assert v.n == 7
    del v.m
    with pytest.raises(AttributeError, match="'m'"):
        v.m  # noqa: B018
    with pytest.raises(AttributeError):
        del v.m
    setattr(v, "any name", 1)
    assert getattr(v, "any name") == 1
    assert "data" not in vars(v)
    assert {"m", "data", "color", "backward"} & set(dir(v)) == {"data", "color", "backward"}


def test_label_is_empty_until_set():
    v = Value(1.0)
    assert v.label == ""
    v.label = "x"
    assert (v.label, vars(v)) == ("x", {"label": "x"})
    assert Value(1.0).label == (v + 1).label == ""


def test_op_can_be_renamed():
    y = Value(1.0) + 2
    y._op = "plus"
    assert y._op == "plus"
    leaf = Value(1.0)
    leaf._op = "input"
    assert leaf._op == "input"
    y.backward()
    assert [v.grad for v in y._prev] == [1.0, 1.0]


def test_attributes_survive_inside_the_graph():
    x = Value(1.0)
    hidden = x * 2
    hidden.label = "hidden"
    y = hidden + 1
    at = id(hidden)
    del hidden
    gc.collect()
    (kept,) = [v for v in all_nodes(y) if v.label]
    assert (kept.label, id(kept), kept.data) == ("hidden", at, 2.0)
    del kept
    z = chain(5, y)
    del y
    gc.collect()
    assert [v.label for v in all_nodes(z) if v.label] == ["hidden"]


def test_attributes_are_freed_with_the_graph():
    class Thing:
        pass

    thing = Thing()
    ref = weakref.ref(thing)
    hidden = Value(1.0) * 2
    hidden.thing = thing
    y = hidden + 1
    del thing, hidden
    assert ref() is not None
    del y
    assert ref() is None


def test_attribute_that_holds_its_own_graph_is_not_collected():
    # The collector sees the attributes of a node only once no graph uses it: this cycle goes
    # through the graph, so somebody has to cut it. micrograd's would be collected.
    before = live_after_gc()
    x = Value(1.0)
    hidden = x * 2
    ref = weakref.ref(hidden)
    y = hidden + 1
    hidden.root = y
    del hidden, y
    gc.collect()
    assert ref().root.data == 3.0
    del ref().root
    gc.collect()
    assert ref() is None
    del x
    assert live_after_gc() == before


def set_attribute(v, x):
    v.x = x


HOLDS = {
    "v.x = x": set_attribute,
    "setattr": lambda v, x: setattr(v, "x", x),
    "vars": lambda v, x: vars(v).update(x=x),
    "_backward": lambda v, x: setattr(v, "_backward", lambda: x),
    "copied": lambda v, x: vars(copy.copy(v)).update(x=x) or setattr(v, "x", x),
}


@pytest.mark.parametrize("hold", HOLDS.values(), ids=HOLDS.keys())
@pytest.mark.parametrize("result", [False, True], ids=["leaf", "result"])
def test_value_that_holds_itself_is_collected(hold, result):
    gc.collect()
    v = Value(1.0)
    if result:
        v = v + 1
    assert not gc.is_tracked(v)
    hold(v, [v])
    assert gc.is_tracked(v)
    ref = weakref.ref(v)
    del v
    gc.collect()
    assert ref() is None


# -- weak references -----------------------------------------------------------------------------


def test_weak_references_live_as_long_as_the_node():
    v = Value(1.0)
    dead = []
    ref = weakref.ref(v, dead.append)
    proxy = weakref.proxy(v)
    table = weakref.WeakKeyDictionary({v: "v"})
    assert (ref(), proxy.data, table[v]) == (v, 1.0, "v")
    y = v * 2
    del v
    assert ref() in y._prev
    assert len(table) == 1
    del y
    assert ref() is None
    assert dead == [ref]
    assert len(table) == 0
    with pytest.raises(ReferenceError):
        proxy.data  # noqa: B018


def test_weak_reference_to_an_inner_node_stays_valid():
    x = Value(1.0)
    hidden = x * 2
    ref = weakref.ref(hidden)
    y = hidden + 1
    del hidden
    gc.collect()
    assert ref() in y._prev
    del y
    assert ref() is None


def test_finalizer_of_an_attribute_may_build_and_sweep():
    seen = []
    x = Value(3.0)

    class Thing:
        def __del__(self):
            y = x * x
            y.backward()
            seen.append(y.data)

    hidden = x * 2
    hidden.thing = Thing()
    y = hidden + 1
    weakref.finalize(hidden, lambda: seen.append((x * 5).data))
    del hidden
    y.backward()
    del y
    gc.collect()
    assert sorted(seen) == [9.0, 15.0]
    assert x.grad == 2.0 + 6.0


def test_value_can_be_revived_by_its_finalizer():
    kept = []

    class Reviving(Value):
        def __del__(self):
            kept.append(self)

    v = Reviving(2.0)
    y = v * 3
    del v
    del y
    gc.collect()
    assert [v.data for v in kept] == [2.0]
    (kept[0] * 2).backward()
    assert kept[0].grad == 2.0


# -- subclasses ----------------------------------------------------------------------------------


class Parameter(Value):
    def __init__(self, data, name="p"):
        super().__init__(data)
        self.name = name

    def twice(self):
        return self * 2


class Slotted(Value):
    __slots__ = ("extra",)


class Overriding(Value):
    def __add__(self, other):
        return "sum"

    def __mul__(self, other):
        return super().__mul__(other) + 100.0

    def relu(self):
        return super().relu() * 2


def test_subclass_instances_give_plain_value_results():
    p = Parameter(3.0, name="w")
    y = p.twice() + p
    y.backward()
    assert (p.data, p.grad, p.name, type(p)) == (3.0, 3.0, "w", Parameter)
    assert type(y) is type(p + 1) is type(1 + p) is type(-p) is type(p.relu()) is Value
    assert isinstance(p, Value)
    assert p in all_nodes(y)
    assert repr(p) == "Value(data=3.0, grad=3.0)"


@pytest.mark.parametrize(
    "use",
    [
        lambda p: p * 2, lambda p: 2 * p, lambda p: Value(2.0) * p, lambda p: Value(2.0) + p,
        lambda p: Value(2.0) - p, lambda p: p - 2, lambda p: p / 2, lambda p: Value(2.0) ** p,
        lambda p: -p, lambda p: p.relu(), lambda p: p.leaky_relu(), lambda p: p**2,
    ],
)  # fmt: skip
def test_subclass_instance_survives_in_its_graph(use):
    y = use(Parameter(3.0, name="w"))
    gc.collect()
    (p,) = [v for v in all_nodes(y) if type(v) is Parameter]
    assert (p.name, p.data) == ("w", 3.0)
    ref = weakref.ref(p)
    del p
    assert ref() is not None
    del y
    gc.collect()
    assert ref() is None


def test_subclass_is_freed_after_its_last_instance():
    class Local(Value):
        pass

    gone = weakref.ref(Local)
    for _ in range(5):
        p = Local(1.0)
        (p * 2).backward()
        del p  # by its count: the collector would find a class and its instances together
    del Local
    gc.collect()
    assert gone() is None


def test_subclass_may_override_methods():
    v = Overriding(-3.0)
    assert v + 1 == "sum"
    y = v * 2
    assert (y.data, v.relu().data) == (94.0, 0.0)
    y.backward()
    assert v.grad == 2.0
    with pytest.raises(TypeError):
        Overriding("a")


def test_subclass_may_have_slots_and_mixins():
    s = Slotted(1.0)
    s.extra = [1]
    y = s * 2
    del s
    gc.collect()
    assert [v.extra for v in y._prev if type(v) is Slotted] == [[1]]

    class Mixin:
        def hello(self):
            return self.data

    class Mixed(Mixin, Value):
        pass

    assert Mixed(4.0).hello() == 4.0
    (Mixed(4.0) + s_times(2.0)).backward()


def s_times(k):
    return Slotted(1.0) * k


def test_subclass_instance_may_be_an_operand_of_a_custom_node():
    p = Parameter(3.0)
    out = Value(9.0, (p,), "square")

    def step():
        p.grad += 2 * p.data * out.grad

    out._backward = step
    (out * 2).backward()
    assert (p.grad, out._prev) == (12.0, {p})
    out._backward = lambda: None


def test_subclass_without_super_init_is_a_leaf_of_zero():
    class Forgetful(Value):
        def __init__(self):
            pass

    assert (Forgetful().data, (Forgetful() + 1).data) == (0.0, 1.0)


def test_native_base_classes_cannot_be_instantiated():
    for cls in Value.__mro__[1:-1]:
        with pytest.raises(TypeError):
            cls()
        with pytest.raises(TypeError):
            cls.__new__(cls)
        with pytest.raises(TypeError):
            type("Sub", (cls,), {})()
    assert Value.__new__(Value).data == 0.0
    with pytest.raises(TypeError):
        object.__new__(Value)


def test_class_assignment_to_another_layout_is_refused():
    v = Value(1.0)
    for cls in (object, int, Slotted):
        with pytest.raises(TypeError):
            v.__class__ = cls
    assert type(v) is Value


# -- the class is open ---------------------------------------------------------------------------


@pytest.fixture
def patched(monkeypatch):
    def patch(**methods):
        for name, method in methods.items():
            monkeypatch.setattr(Value, name, method, raising=False)

    yield patch
    monkeypatch.undo()
    y = Value(2.0) * 3 + 4 - 1
    assert (y.data, repr(y), y.relu().data) == (9.0, "Value(data=9.0, grad=0.0)", 9.0)


def test_methods_can_be_added_to_value(patched):
    old = Value(4.0)
    patched(
        swish=lambda self: self * self.sigmoid(), version=2, half=property(lambda v: v.data / 2)
    )
    assert old.swish().data == pytest.approx(3.928055160151634)
    assert (old.version, old.half) == (2, 2.0)


def test_methods_of_value_can_be_replaced(patched):
    patched(relu=lambda self: self * 10, __repr__=lambda self: "V")
    assert Value(2.0).relu().data == 20.0
    assert repr(Value(2.0)) == "V"


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow"])
def test_operators_of_value_can_be_replaced(patched, name):
    apply = getattr(operator, name)
    patched(
        **{
            f"__{name}__": lambda self, other, *_: "left",
            f"__r{name}__": lambda self, other, *_: "right",
        }
    )
    assert apply(Value(2.0), 1) == apply(Value(2.0), Value(1.0)) == "left"
    assert apply(1, Value(2.0)) == "right"


def test_operators_of_value_can_be_wrapped(patched):
    add, seen = Value.__add__, []

    def counting(self, other):
        seen.append(other)
        return add(self, other)

    patched(__add__=counting, __radd__=counting)
    assert sum([Value(1.0), Value(2.0)]).data == 3.0
    assert len(seen) == 2


def test_operators_can_be_added_to_value(patched):
    patched(
        __matmul__=lambda self, other: self * other,
        __len__=lambda self: 0,
        __getitem__=lambda self, i: i,
        __call__=lambda self: self.data,
    )
    v = Value(2.0)
    assert ((v @ v).data, len(v), v[5], v()) == (4.0, 0, 5, 2.0)
    assert not v


def test_equality_of_value_can_be_replaced(patched):
    patched(__eq__=lambda self, other: self.data == float(other), __hash__=lambda self: 1)
    assert Value(2.0) == Value(2.0)
    assert Value(2.0) == 2
    assert hash(Value(3.0)) == 1


def test_constructor_of_value_can_be_replaced(patched):
    init = Value.__init__

    def labelled(self, data, *args, **kwargs):
        init(self, data, *args, **kwargs)
        self.label = f"v{data}"

    patched(__init__=labelled)
    assert Value(3).label == "v3"
    assert (Value(3) + 1).data == 4.0


def test_finalizer_can_be_added_to_value(patched):
    dead = []
    patched(__del__=lambda self: dead.append(self.data))
    Value(3.0)
    assert dead == [3.0]
    (Value(1.0) + 0.5).backward()
    assert 1.5 in dead


def test_finalizer_runs_for_each_value_in_reused_memory(patched):
    dead = []
    patched(__del__=lambda self: dead.append(self.data))
    for i in range(20):
        v = Value(float(i))
        if i % 2:
            v.note = "tracked by the collector, and finalized"
        del v
    assert dead == [float(i) for i in range(20)]


def test_finalizer_added_to_value_may_keep_the_value(patched):
    kept = []
    patched(__del__=lambda self: kept.append(self))
    v = Value(3.0)
    place = id(v)
    del v
    assert (id(kept[0]), kept[0].data) == (place, 3.0)
    y = kept[0] * 2
    y.backward()
    assert kept[0].grad == 2.0


def test_value_in_use_cannot_become_an_operation():
    a, v = Value(1.0), Value.__new__(Value)
    y = v + 1
    with pytest.raises(TypeError, match="expected a new Value, got one that a graph uses already"):
        v.__init__(3.0, (a,))
    v.__init__(3.0)
    y.backward()
    assert (v.data, v.grad) == (3.0, 1.0)


def test_data_can_be_replaced_by_a_property(patched):
    written = []
    descriptor = Value.data
    patched(data=property(descriptor.__get__, lambda self, x: written.append(x)))
    v = Value(2.0)
    v.data = 5.0
    assert (v.data, written) == (2.0, [5.0])
