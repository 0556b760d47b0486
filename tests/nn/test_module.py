"""Module: calls, names, modes, state; micrograd's networks among them.

Oracle: what the attributes hold, named by hand as PyTorch would.
"""

import copy
import pickle
import random

import numpy as np
import pytest
from helpers.processes import python

from fastgrad import MLP, Value, nn
from fastgrad.errors import FastgradTypeError, FastgradValueError, ShapeError


class ByForward(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(2, 1)

    def forward(self, x, factor=1.0):
        return self.layer(x)[0] * factor


class ByCall(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(2, 1)

    def __call__(self, x, factor=1.0):
        return self.layer(x)[0] * factor


@pytest.mark.parametrize("kind", [ByForward, ByCall])
def test_module_is_called_whichever_method_it_writes(kind):
    model = kind()
    expected = model.layer([1.0, 2.0])[0].data * 3
    assert model([1.0, 2.0], factor=3).data == model.forward([1.0, 2.0], 3).data == expected


def test_module_without_either_method_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(FastgradTypeError, match=r"forward or __call__, got neither .call of Empty"):
        Empty()(1.0)


@pytest.mark.parametrize(("kind", "args"), [(nn.Neuron, (2,)), (nn.Layer, (2, 1)), (MLP, (2, [1]))])
def test_subclass_of_micrograds_networks_may_write_either_method(kind, args):
    class Doubled(kind):
        def forward(self, x):
            return super().__call__(x) * 2

    class Tripled(kind):
        def __call__(self, x):
            return super().__call__(x) * 3

    class Kept(kind):
        pass

    random.seed(1)
    plain = kind(*args)
    for made, factor in ((Doubled, 2), (Tripled, 3), (Kept, 1)):
        random.seed(1)
        model = made(*args)
        x = [1.0, -2.0]
        assert model(x).data == model.forward(x).data == plain(x).data * factor
    assert plain.forward(x).data == plain(x).data


def test_base_class_may_call_forward_from_its_own_call():
    class Base(nn.Module):
        def __call__(self, x):
            return self.forward(x) + 1

    class Net(Base):
        def forward(self, x):
            return x * 2

    assert Net()(Value(3.0)).data == 7.0


def test_parameters_of_an_mlp_are_named_as_pytorch_would():
    model = MLP(3, [4, 2])
    names = {name: np.shape(item) for name, item in model.named_parameters()}
    assert names == {
        "layers.0.weight": (4, 3), "layers.0.bias": (4,),
        "layers.1.weight": (2, 4), "layers.1.bias": (2,),
    }  # fmt: skip
    weights = dict(model.named_parameters("net"))["net.layers.1.weight"]
    assert weights[1] == model.layers[1].neurons[1].w
    assert [name for name, _ in model.named_modules()] == ["", "layers.0", "layers.1"]
    assert model.num_parameters() == len(model.parameters()) == 26


def test_parameters_of_a_neuron_are_a_weight_and_a_bias():
    neuron = nn.Neuron(2)
    neuron.extra = Value(1.0)
    shapes = {name: np.shape(part) for name, part in neuron.state_dict().items()}
    assert shapes == {"weight": (2,), "bias": (), "extra": ()}


def test_neurons_that_are_not_alike_are_named_one_by_one():
    class Own(nn.Neuron):
        pass

    wider = nn.Layer(2, 2)
    wider.neurons[1] = nn.Neuron(3)
    other = nn.Layer(2, 2)
    other.neurons[0] = Own(2)
    for layer in (wider, other):
        assert list(layer.state_dict()) == [
            "neurons.0.weight", "neurons.0.bias", "neurons.1.weight", "neurons.1.bias",
        ]  # fmt: skip


def test_layers_keep_their_names_after_train():
    model = MLP(2, [1]).train()
    model.layers[0].neurons[0].training = True
    assert list(model.state_dict()) == ["layers.0.weight", "layers.0.bias"]


class Everything(nn.Module):
    buffers = ("mean", "none")

    def __init__(self):
        self.w = Value(1.0)
        self.rows = [[Value(2.0), Value(3.0)], [Value(4.0), Value(5.0)]]
        self.ragged = [[Value(6.0)], [Value(7.0), Value(8.0)]]
        self.array = np.array([Value(9.0), Value(10.0)])
        self.parts = {"a": nn.Linear(1, 1), "b": (Value(11.0), 12.0)}
        self.computed = self.w * 2
        self.tied = self.rows
        self.number, self.text, self.empty = 3.0, "abc", []
        self.mean, self.none = [0.5, 0.25], None
        self.itself = self
        self.scalar = np.array(Value(13.0), dtype=object)


def test_state_has_all_that_attributes_hold():
    state = Everything().state_dict()
    linear = {"parts.a.weight": state["parts.a.weight"], "parts.a.bias": state["parts.a.bias"]}
    assert state == {
        "w": 1.0, "rows": [[2.0, 3.0], [4.0, 5.0]],
        "ragged.0": [6.0], "ragged.1": [7.0, 8.0],
        "array": [9.0, 10.0], "parts.b.0": 11.0, "tied": [[2.0, 3.0], [4.0, 5.0]],
        "mean": [0.5, 0.25], "parameters.13": 13.0, **linear,
    }  # fmt: skip
    names = [name for name, _ in Everything().named_parameters()]
    assert "rows" in names
    assert "tied" not in names
    assert "mean" not in names


def test_state_loads_into_another_model_and_nothing_is_shared():
    one, two = Everything(), Everything()
    two.w.data, two.mean = -1.0, [7.0, 8.0]
    state = two.state_dict()
    assert one.load_state_dict(state) == ([], [])
    assert one.state_dict() == state
    state["mean"][0] = 99.0
    assert one.mean == [7.0, 8.0]


def test_parameters_that_only_a_method_knows_are_in_the_state():
    hidden = [Value(1.0), Value(2.0)]

    class Own(nn.Module):
        def parameters(self):
            return hidden

    class Outer(nn.Module):
        def __init__(self):
            self.inner = Own()

    assert Own().state_dict() == {"parameters.0": 1.0, "parameters.1": 2.0}
    assert Outer().state_dict() == {"parameters.0": 1.0, "parameters.1": 2.0}
    assert [name for name, _ in Outer().named_parameters("x")] == [
        "x.parameters.0",
        "x.parameters.1",
    ]


def test_state_takes_arrays_and_what_has_tolist():
    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": np.array([[1, 2]], dtype=np.float32), "bias": (3,)})
    assert model([1.0, 1.0])[0].data == 6.0


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"other": 1.0}, FastgradValueError, r"got unknown other .state_dict of Linear.*strict=F"),
        ({"bias": None}, FastgradTypeError, "expected numbers, got NoneType None .bias in"),
        ({"bias": "ab"}, FastgradTypeError, "got str 'ab'"),
        ({"bias": [1.0, 2.0]}, ShapeError, r"shape \(1,\), got \(2,\) .bias in state_dict of Lin"),
        ({"weight": [[1.0], [1.0, 2.0]]}, ShapeError, "rows of one length"),
        ({"weight": []}, ShapeError, r"shape \(1, 2\), got \(0,\)"),
    ],
)
def test_state_that_does_not_fit_is_refused_and_changes_nothing(change, error, text):
    model = nn.Linear(2, 1)
    before = model.state_dict()
    with pytest.raises(error, match=text):
        model.load_state_dict({"weight": [[5.0, 5.0]], "bias": [5.0], **change})
    assert model.state_dict() == before


def test_state_of_another_model_is_refused_with_the_names():
    state = {f"layers.{i}.weight": [[1.0]] for i in range(6)}
    text = "none for weight, bias; unknown layers.0.weight, .*layers.3.weight and 2 more"
    with pytest.raises(FastgradValueError, match=text):
        nn.Linear(2, 1).load_state_dict(state)
    with pytest.raises(FastgradTypeError, match="a mapping of names to numbers, got list"):
        nn.Linear(2, 1).load_state_dict([1.0])


def test_state_that_is_not_strict_loads_what_fits():
    model = nn.Linear(2, 1)
    found = model.load_state_dict({"bias": [4.0], "other": 1.0}, strict=False)
    assert found == (["weight"], ["other"])
    assert found.missing_keys == ["weight"]
    assert model.bias[0].data == 4.0


def test_train_and_eval_reach_every_module():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout()), MLP(1, [1]))
    assert all(module.training for module in model.modules())
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    assert len(list(model.modules())) == 6
    assert model.train().training


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_of_models_are_independent(copied):
    model = nn.TransformerBlock(2, 1)
    other = copied(model)
    x = [[0.5, -1.0], [2.0, 0.25]]
    assert str(other(x)) == str(model(x))
    other.parameters()[0].data = 9.0
    assert model.parameters()[0].data == 1.0


@pytest.mark.parametrize("name", ["init", "state", "Linear"])
def test_room_of_nn_is_there_after_one_import(name, tmp_path):
    process = python("-c", f"import fastgrad; print(fastgrad.nn.{name}.__name__)", cwd=tmp_path)
    assert process.stdout.split(".")[-1].strip() == name, process.stderr


def test_names_of_nn_are_all_there():
    namespace = {}
    exec("from fastgrad.nn import *", namespace)
    assert set(nn.__all__) <= namespace.keys()
    assert set(nn.__all__) <= set(dir(nn))
    with pytest.raises(AttributeError, match=r"'fastgrad.nn' has no attribute 'Nothing'"):
        nn.Nothing  # noqa: B018
