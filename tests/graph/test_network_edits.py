"""Networks that are edited, patched, subclassed or expanded behave as micrograd's.

Oracle: PyPI's micrograd 0.1.0.
"""

import gc
import random
import weakref

import pytest
from helpers.reference import agree, both, count, description, grads

from fastgrad.engine import Value, arena_stats
from fastgrad.nn import Neuron

pytestmark = pytest.mark.usefixtures("sound_arena")

# -- edited models --------------------------------------------------------------------------------


def edit_weight(model, library, V):
    model.layers[0].neurons[0].w[0] = V(5.0)


def edit_bias(model, library, V):
    model.layers[0].neurons[1].b = V(-0.25)


def edit_data(model, library, V):
    model.layers[0].neurons[0].w[1].data = 0.75


def edit_last_weight(model, library, V):
    model.layers[0].neurons[0].w[-1] = V(5.0)


def append_weight(model, library, V):
    model.layers[0].neurons[0].w.append(V(0.5))


def drop_weight(model, library, V):
    model.layers[0].neurons[0].w.pop()


def replace_weights(model, library, V):
    model.layers[0].neurons[0].w = [V(0.5), V(0.25)]


def weights_in_a_tuple(model, library, V):
    model.layers[0].neurons[0].w = tuple(model.layers[0].neurons[0].w)


def swap_weights(model, library, V):
    model.layers[0].neurons[0].w.reverse()


def share_weights(model, library, V):
    model.layers[0].neurons[0].w = model.layers[0].neurons[1].w


def weight_twice(model, library, V):
    w = model.layers[0].neurons[0].w
    w[0] = w[1]


def bias_as_weight(model, library, V):
    neuron = model.layers[0].neurons[0]
    neuron.b = neuron.w[0]


def computed_weight(model, library, V):
    neuron = model.layers[0].neurons[0]
    neuron.w[0] = neuron.w[1] * 2 + 1


def computed_bias(model, library, V):
    neuron = model.layers[0].neurons[0]
    neuron.b = neuron.w[1].relu()


def plain_number_as_weight(model, library, V):
    model.layers[1].neurons[0].w[0] = 0.5


def subclassed_weight(model, library, V):
    class Parameter(V):
        pass

    model.layers[0].neurons[0].w[0] = Parameter(0.5)


def pop_neuron(model, library, V):
    model.layers[0].neurons.pop()


def append_neuron(model, library, V):
    model.layers[0].neurons.append(library.Neuron(2))


def neurons_in_a_tuple(model, library, V):
    model.layers[0].neurons = tuple(model.layers[0].neurons)


def same_neuron_twice(model, library, V):
    neurons = model.layers[0].neurons
    neurons[0] = neurons[1]


def linear_neuron(model, library, V):
    model.layers[0].neurons[0].nonlin = False


def truthy_flag(model, library, V):
    model.layers[1].neurons[0].nonlin = 1


def insert_layer(model, library, V):
    model.layers.insert(1, library.Layer(3, 3))


def function_as_layer(model, library, V):
    model.layers.insert(1, lambda xs: [x * 2 for x in xs])


def own_neuron(model, library, V):
    class Squaring(library.Neuron):
        def __call__(self, x):
            return super().__call__(x) ** 2

    model.layers[0].neurons[1] = Squaring(2)


def own_neuron_without_call(model, library, V):
    class Named(library.Neuron):
        def __init__(self, nin):
            super().__init__(nin)
            self.name = "n"

    model.layers[0].neurons[1] = Named(2)


def own_parameters(model, library, V):
    class Frozen(library.Neuron):
        def parameters(self):
            return [self.b]

    model.layers[0].neurons[1] = Frozen(2)


def own_layer(model, library, V):
    class Doubling(library.Layer):
        def __call__(self, x):
            return [o * 2 for o in super().__call__(x)]

    model.layers[0] = Doubling(2, 3)


EDITS = {
    edit.__name__.replace("_", " "): edit
    for edit in (
        edit_weight, edit_last_weight, edit_bias, edit_data, append_weight, drop_weight,
        replace_weights, weights_in_a_tuple, swap_weights, share_weights, weight_twice,
        bias_as_weight, computed_weight, computed_bias, plain_number_as_weight, subclassed_weight,
        pop_neuron, append_neuron, neurons_in_a_tuple, same_neuron_twice, linear_neuron,
        truthy_flag, insert_layer, function_as_layer, own_neuron, own_neuron_without_call,
        own_parameters, own_layer,
    )
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
@pytest.mark.parametrize("called_before", [False, True], ids=["new", "used"])
def test_edited_model_gives_the_values_of_micrograd(edit, called_before):
    def program(library, V):
        model = library.MLP(2, [3, 1])
        x = [V(0.5), V(-1.25)]
        before = model(x) if called_before else V(0.0)
        data = [p for p in model.parameters()]  # noqa: C416
        edit(model, library, V)
        out = model(x)
        again = model(x) * 0.5
        (out + again + before).backward()
        kept = [p for neuron in model.layers[0].neurons for p in (*neuron.w, neuron.b)]
        shown = repr(model) if edit is not function_as_layer else ""
        return (out.data, again.data, shown), grads([*x, *data, *kept, out, before])

    agree(program)


def test_parameters_after_edits_equal_micrograd():
    def program(library, V):
        model = library.MLP(2, [2, 1])
        own_parameters(model, library, V)
        edit_weight(model, library, V)
        pop_neuron(model, library, V)
        return [float(p.data) for p in model.parameters()]

    ours, theirs = both(program)
    assert ours == theirs


def test_data_edited_before_backward_is_used():
    def program(library, V):
        neuron = library.Neuron(2, nonlin=False)
        x = [V(0.5), V(-1.25)]
        y = neuron(x)
        neuron.w[0].data, x[1].data = 10.0, 20.0
        neuron.w[1] = V(7.0)  # y keeps the weight it was computed from
        y.backward()
        return y.data, grads([*x, *neuron.w, neuron.b])

    agree(program)


def test_replaced_weights_are_freed():
    neuron = Neuron(2)
    neuron([1.0, 2.0])
    before = arena_stats()
    gone = []
    for i in range(20):
        gone.append(weakref.ref(neuron.w[i % 2]))
        neuron.w[i % 2] = Value(float(i))
        neuron([1.0, 2.0])
        assert [ref() for ref in gone] == [None] * len(gone)
    after = arena_stats()
    assert after["live_nodes"] == before["live_nodes"]
    assert after["blocks"] == before["blocks"]


def test_weight_in_use_cannot_become_an_operation():
    a, w = Value(1.0), Value.__new__(Value)
    neuron = Neuron(1, nonlin=False)
    neuron.w[0] = w
    assert neuron([3.0]).data == 0.0
    with pytest.raises(TypeError, match="initialised already"):
        w.__init__(2.0, (a,))
    w.__init__(2.0)
    assert neuron([3.0]).data == 6.0


def test_user_defined_modules_equal_micrograd():
    def program(library, V):
        class Residual(library.Module):
            def __init__(self):
                self.inner = [library.Neuron(2) for _ in range(2)]
                self.scale = V(0.5)

            def __call__(self, x):
                return [n(x) * self.scale + xi for n, xi in zip(self.inner, x, strict=True)]

            def parameters(self):
                return [self.scale, *(p for n in self.inner for p in n.parameters())]

        model = Residual()
        first, second = model(model([V(1.0), 0.5]))
        (first * second).backward()
        out = (first.data, second.data), grads(model.parameters())
        model.zero_grad()
        assert set(grads(model.parameters())) == {0}
        return out

    agree(program)


@pytest.mark.parametrize("name", ["__add__", "__mul__", "__rmul__", "relu"])
def test_patched_value_methods_are_called_by_networks(monkeypatch, name):
    def program(library, V):
        model = library.MLP(2, [3, 1])
        x = [V(0.5), 2.0]
        before = model(x).data
        original = getattr(V, name)
        with monkeypatch.context() as patch:
            patch.setattr(V, name, lambda self, *other: original(self, *other) ** 2)
            inside = model(x)
        inside.backward()
        return (before, inside.data, model(x).data), grads(model.parameters())

    agree(program)


@pytest.mark.parametrize("undo", ["put back", "deleted"])
@pytest.mark.parametrize("name", ["__add__", "__radd__", "__mul__", "__rmul__", "relu"])
def test_native_path_returns_after_a_patch_is_undone(name, undo, request):
    """Count nodes: natively a neuron of eight weights makes its inputs, their sum and the ReLU."""

    def made():
        before = arena_stats()["live_nodes"]
        y = neuron([1.0] * 8)
        return arena_stats()["live_nodes"] - before, y

    neuron = Neuron(8)
    original = getattr(Value, name)
    setattr(Value, name, lambda *operands: original(*operands))
    try:
        assert made()[0] > 10
    finally:
        if undo == "put back":
            setattr(Value, name, original)
            request.addfinalizer(lambda: delattr(Value, name))
        else:
            delattr(Value, name)
    assert made()[0] == 10


@pytest.mark.parametrize("cls", ["Neuron", "Layer", "MLP"])
def test_patched_call_methods_are_called_by_networks(monkeypatch, cls):
    def program(library, V):
        model = library.MLP(2, [3, 1])
        before = model([1.0, 2.0]).data
        original = getattr(library, cls).__call__
        with monkeypatch.context() as patch:
            patch.setattr(
                getattr(library, cls), "__call__", lambda self, x: original(self, [0.5, *x])
            )
            inside = model([1.0, 2.0]).data
        return before, inside, model([1.0, 2.0]).data

    ours, theirs = both(program)
    assert ours == theirs


# -- inside dot nodes ---------------------------------------------------------------------------


def inside(node, *path):
    """Walk into a graph: at each step to the operand of that operation."""
    for op in path:
        node = next(v for v in sorted(node._prev, key=lambda v: float(v.data)) if v._op == op)
    return node


def neuron_of(library, V, weights, bias=0.25, nonlin=False):
    neuron = library.Neuron(len(weights), nonlin=nonlin)
    neuron.w, neuron.b = [V(w) for w in weights], V(bias)
    return neuron


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("roots", ["aa", "ab", "ba", "bab", "cab", "aca"])
def test_backward_from_several_roots_equals_micrograd(expand, roots):
    def program(library, V):
        model = library.MLP(2, [3, 2, 1])
        leaf = V(0.5)
        x = [leaf * 2, 0.75]
        a = model(x)
        b = a * a + x[0]
        c = model.layers[0](x)[0] + a
        if expand:
            count(b)
        for root in roots:
            {"a": a, "b": b, "c": c}[root].backward()
        return (a.data, b.data), grads([*model.parameters(), leaf, x[0], a, b, c])

    agree(program)


def test_new_neuron_beside_a_swept_one_equals_micrograd():
    """The sweep first visits what it will meet a second time; that counts for nothing."""

    def program(library, V):
        leaf = V(0.5)
        h = leaf * 3
        first = neuron_of(library, V, [2.0])([h])
        first.backward()
        second = neuron_of(library, V, [4.0])([h])
        second.backward()
        return description(second), grads([leaf, h, first])

    ours, theirs = both(program)
    assert ours == theirs


@pytest.mark.parametrize("grad", [0, 0.0, 0.5, 2])
@pytest.mark.parametrize("before", [False, True], ids=["fresh", "swept"])
@pytest.mark.parametrize("after", [False, True], ids=["shown", "swept again"])
def test_grad_set_by_hand_changes_its_node_only(grad, before, after):
    def program(library, V):
        x = [V(1.0), V(0.5) * 2, 0.25]
        y = neuron_of(library, V, [2.0, 3.0, -1.0])(x)
        z = y * 3
        if before:
            z.backward()
        y.grad = grad
        if after:
            z.backward()
        return description(z)

    ours, theirs = both(program)
    assert ours == theirs


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_computed_bias_gets_its_gradient(expand, n):
    def program(library, V):
        leaf = V(0.5)
        neuron = neuron_of(library, V, [2.0, 3.0, -1.0][:n])
        neuron.b = leaf * 3
        y = neuron([V(1.0), V(-2.0), V(4.0)][:n])
        if expand:
            count(y)
        (y * 2).backward()
        return description(y), grads([leaf])

    ours, theirs = both(program)
    assert ours == theirs


def test_repeated_input_adds_terms_in_a_fixed_order():
    """The same bits, whether a neuron is looked into or not."""

    def gradient(expand):
        random.seed(5)
        found = []
        for _ in range(200):
            x, y = (Value(random.uniform(-1, 1)) for _ in range(2))
            neuron = Neuron(4, nonlin=False)
            out = neuron([x, y, x, x])
            if expand:
                count(out)
            (out * x).backward()
            found += grads([x, y, *neuron.w])
        return found

    assert gradient(expand=False) == gradient(expand=True)


@pytest.mark.parametrize("expand", [False, True])
def test_zero_grad_of_a_graph_clears_neuron_parameters(expand):
    neuron = Neuron(2)
    x = Value(1.0)
    y = neuron([x, 2.0])
    if expand:
        count(y)
    root = y + neuron.w[0] * 0
    root.backward()
    assert neuron.b.grad or not y.data
    neuron.w[1].grad = neuron.b.grad = 7.0
    y.zero_grad(graph=True)
    assert set(grads([*neuron.parameters(), x, y])) == {0.0}
    assert {v.grad for v in y._prev} == {0.0}


def test_hidden_nodes_show_accumulated_gradients():
    def program(library, V):
        neuron = neuron_of(library, V, [2.0, 3.0, 4.0])
        y = neuron([V(1.0), 0.5, V(-1.0)])
        z = y * 3
        z.backward()
        z.backward()
        return description(z)

    ours, theirs = both(program)
    assert ours == theirs


def test_neuron_steps_called_by_hand_equal_micrograd():
    def program(library, V):
        neuron = neuron_of(library, V, [2.0, 3.0], nonlin=True)
        x = [V(1.0), V(0.5)]
        y = neuron(x)
        y.grad = 1.0
        total = inside(y, "+")
        partial, second = inside(total, "+"), inside(total, "*")
        first = inside(partial, "*")
        steps = []
        for v in (y, total, partial, second, first):
            v._backward()
            steps.append(grads([*x, *neuron.w, neuron.b, total, partial, second, first]))
        return steps

    ours, theirs = both(program)
    assert ours == theirs


@pytest.mark.parametrize("before", [False, True], ids=["fresh", "swept"])
@pytest.mark.parametrize("order", ["hidden last", "hidden first"])
def test_hidden_nodes_used_as_operands_equal_micrograd(before, order):
    def program(library, V):
        neuron = neuron_of(library, V, [2.0, 3.0, -1.0])
        x = [V(1.0), V(0.5), 2.0]
        y = neuron(x)
        if before:
            y.backward()
        if order == "hidden last":
            outer = y * 2
        product, partial = inside(y, "*"), inside(y, "+")
        if order == "hidden first":
            z = product * 3 + partial
            outer = y * 2
        else:
            z = product * 3 + partial
        root = outer + z
        root.backward()
        z.backward()
        return description(root), grads([*x[:2], *neuron.w, neuron.b, product, partial, y])

    ours, theirs = both(program)
    assert ours == theirs


def test_hidden_nodes_used_as_roots_equal_micrograd():
    def program(library, V):
        neuron = neuron_of(library, V, [2.0, 3.0, -1.0])
        x = [V(1.0), V(0.5), V(2.0)]
        y = neuron(x)
        partial = inside(y, "+")
        partial.backward()
        first = grads([*x, *neuron.w, neuron.b, y])
        y.backward()
        return first, grads([*x, *neuron.w, neuron.b])

    ours, theirs = both(program)
    assert ours == theirs


def test_hidden_nodes_stay_valid_after_their_neuron_is_gone():
    def program(library, V):
        neuron = neuron_of(library, V, [2.0, 3.0])
        x = [V(1.0), V(0.5)]
        y = neuron(x)
        partial = inside(y, "+")
        partial.label = "kept"
        del y
        gc.collect()
        partial.backward()
        return description(partial), partial.label, grads([*x, *neuron.w, neuron.b])

    ours, theirs = both(program)
    assert ours == theirs


def test_backward_functions_on_fused_and_hidden_nodes_run():
    def program(library, V):
        neuron = neuron_of(library, V, [2.0, 3.0])
        x = [V(1.0), V(0.5)]
        y = neuron(x)
        product, seen = inside(y, "*"), []
        for v in (y, product):
            step = v._backward
            v._backward = lambda v=v, step=step: (seen.append((v._op, float(v.grad))), step())
        (y * 2).backward()
        result = seen, grads([*x, *neuron.w, neuron.b])
        y._backward = product._backward = lambda: None
        return result

    ours, theirs = both(program)
    assert ours == theirs


def test_data_edited_on_hidden_nodes_equals_micrograd():
    def program(library, V):
        neuron = neuron_of(library, V, [2.0, 3.0], nonlin=True)
        x = [V(1.0), V(0.5)]
        y = neuron(x)
        inside(y, "+").data = -5.0  # nobody reads it: relu reads its own
        inside(y, "+", "*").grad = 7.0
        y.backward()
        return description(y), grads([*x, *neuron.w, neuron.b])

    ours, theirs = both(program)
    assert ours == theirs


def test_powers_and_shown_numbers_as_neuron_inputs():
    # Leaves made of plain numbers are shared by a layer until somebody looks; others never are.
    def program(library, V):
        a = V(3.0)
        (k,) = (a * 2)._prev - {a}
        neuron = neuron_of(library, V, [2.0, 3.0, 4.0])
        square = a**2
        y = neuron([square, k, 0.5])
        shown = count(y)
        y.backward()
        y.backward()
        return shown, description(y), grads([a, k, square, *neuron.w])

    ours, theirs = both(program)
    assert ours == theirs
