"""Layers and containers: what they compute, on rows, batches and tapes.

Oracle: formulas in NumPy; `fastgrad.functional`, which has tests of its own.
"""

import math

import numpy as np
import pytest

from fastgrad import Value, functional, manual_seed, nn, record
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    ShapeError,
    TapeError,
)

BATCH = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [0.0, 1.0, 1.0]]


def numbers(result):
    if isinstance(result, list | tuple | np.ndarray):
        return [numbers(entry) for entry in result]
    return result.data if isinstance(result, Value) else result


def state(model):
    return {name: np.array(part) for name, part in model.state_dict().items()}


def test_linear_is_weight_times_x_plus_bias():
    manual_seed(2)  # weights of which no sum cancels
    model = nn.Linear(3, 2)
    s = state(model)
    assert max(abs(s["weight"]).max(), abs(s["bias"]).max()) <= 1 / math.sqrt(3)
    expected = np.array(BATCH) @ s["weight"].T + s["bias"]
    np.testing.assert_allclose(numbers(model(BATCH)), expected, rtol=1e-14)
    np.testing.assert_allclose(numbers(model(BATCH[0])), expected[0], rtol=1e-14)
    assert nn.Linear(3, 2, bias=False).num_parameters() == 6


@pytest.mark.parametrize(
    "model",
    [
        nn.Linear(3, 2),
        nn.LayerNorm(3),
        nn.RMSNorm(3),
        nn.BatchNorm1d(3).eval(),
        nn.RNNCell(3, 2),
        nn.RNNCell(3, 2, nonlinearity="relu", bias=False),
        nn.GRUCell(3, 2),
        nn.LSTMCell(3, 2),
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Sigmoid()),
        nn.Sequential(nn.Linear(3, 4), nn.GELU("tanh"), nn.ReLU(), nn.GELU()),
    ],
)
def test_module_on_a_tape_gives_what_it_gives_eagerly(model):
    tape = record(lambda x: functional.sum(model(x)), BATCH[0], strict=True)
    for row in BATCH:
        loss = functional.sum(model(row))
        model.zero_grad()
        loss.backward()
        value, grads = tape.value_and_grad(row)
        assert value == loss.data
        expected = [p.grad for p in tape.parameters]
        np.testing.assert_allclose(grads, expected, rtol=1e-12, atol=1e-15)


def test_block_on_a_tape_gives_what_it_gives_eagerly():
    model = nn.TransformerBlock(4, 2)
    rows = [[0.5, -1.0, 2.0, 0.1], [1.5, 0.25, -0.75, 0.3], [0.0, 1.0, 1.0, -2.0]]
    tape = record(lambda x: functional.sum(model(x)), rows, strict=True)
    other = [[x * 0.5 + 0.1 for x in row] for row in rows]
    loss = functional.sum(model(other))
    loss.backward()
    value, grads = tape.value_and_grad(other)
    assert value == loss.data
    np.testing.assert_allclose(grads, [p.grad for p in tape.parameters], rtol=1e-11, atol=1e-14)


def test_embedding_is_a_row_of_its_weight():
    model = nn.Embedding(5, 3)
    assert model(4) == model.weight[4]
    assert model([0, 4]) == [model.weight[0], model.weight[4]]
    tape = record(model, 0, strict=True)
    assert tape([3, 1]) == numbers([model.weight[3], model.weight[1]])
    assert abs(np.mean(state(nn.Embedding(40, 40))["weight"])) < 0.1


def test_norms_have_weights_of_1_and_biases_of_0():
    x = [3.0, -1.0, 0.5]
    assert numbers(nn.LayerNorm(3)(x)) == functional.layer_norm(x)
    assert numbers(nn.RMSNorm(3, eps=0.1)(x)) == functional.rms_norm(x, eps=0.1)
    assert nn.LayerNorm(3, bias=False).num_parameters() == 3
    assert nn.LayerNorm(3, elementwise_affine=False).num_parameters() == 0
    assert nn.RMSNorm(3, elementwise_affine=False).num_parameters() == 0


def test_batch_norm_in_training_has_mean_0_and_variance_1():
    model = nn.BatchNorm1d(3, eps=0.0)
    found = np.array(numbers(model(BATCH)))
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-15)
    np.testing.assert_allclose(found.var(axis=0), 1.0)
    np.testing.assert_allclose(model.running_mean, 0.1 * np.mean(BATCH, axis=0))
    np.testing.assert_allclose(model.running_var, 0.9 + 0.1 * np.var(BATCH, axis=0, ddof=1))
    assert model.num_batches_tracked == 1


def test_batch_norm_without_momentum_keeps_the_mean_of_all_batches():
    model = nn.BatchNorm1d(3, momentum=None)
    other = (2 * np.array(BATCH) + 1).tolist()
    model(BATCH)
    model(other)
    expected = (np.mean(BATCH, axis=0) + np.mean(other, axis=0)) / 2
    np.testing.assert_allclose(model.running_mean, expected)


def test_batch_norm_after_eval_is_a_scale_and_a_shift():
    model = nn.BatchNorm1d(3, eps=0.0)
    model.load_state_dict({
        "weight": [2.0, 1.0, 1.0], "bias": [1.0, 0.0, 0.0], "num_batches_tracked": 3,
        "running_mean": [0.5, 0.0, 0.0], "running_var": [4.0, 1.0, 1.0],
    })  # fmt: skip
    assert numbers(model.eval()([[1.5, 2.0, 3.0]])) == [[2.0, 2.0, 3.0]]
    assert numbers(model([1.5, 2.0, 3.0])) == [2.0, 2.0, 3.0]
    assert model.running_mean == [0.5, 0.0, 0.0]
    model.train()(BATCH)
    assert model.num_batches_tracked == 4


def test_batch_norm_without_running_numbers_always_takes_the_batch():
    model = nn.BatchNorm1d(3, affine=False, track_running_stats=False)
    assert model.state_dict() == {}
    assert numbers(model(BATCH)) == numbers(model.eval()(BATCH))


def test_gradient_of_batch_norm_is_that_of_central_differences():
    model = nn.BatchNorm1d(3)

    def loss(rows):
        out = [x for row in model(rows) for x in row]
        return functional.sum([x * (i + 1) ** 2 for i, x in enumerate(out)])

    rows = [[Value(x) for x in row] for row in BATCH]
    loss(rows).backward()
    for i in range(3):
        for k in range(3):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [list(row) for row in BATCH]
                moved[i][k] += step
                ends.append(loss(moved).data)
            assert rows[i][k].grad == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-6)


def test_batch_norm_cannot_be_recorded_in_training():
    with pytest.raises(TapeError, match=r"BatchNorm1d in training.*use LayerNorm"):
        record(nn.BatchNorm1d(3), BATCH)


def test_dropout_is_off_after_eval():
    manual_seed(1)
    model = nn.Dropout(0.25)
    row = [1.0] * 200
    found = model(row)
    assert {*found} == {0.0, 1 / 0.75}
    assert 20 < found.count(0.0) < 80
    assert model.eval()(row) is row


def test_sequential_and_module_list_are_sequences():
    layers = [nn.Linear(1, 2), functional.softmax]
    model = nn.Sequential(*layers)
    assert (len(model), model[0], list(model)) == (2, layers[0], layers)
    assert sum(numbers(model([1.0]))) == pytest.approx(1.0)
    both = nn.ModuleList(layers[:1]).append(nn.Linear(2, 1))
    assert list(both.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert nn.Sequential()([1.0]) == [1.0]


def test_activations_are_those_of_functional():
    x = [[-1.5, 0.0], [0.5, 2.0]]
    for module, function in (
        (nn.ReLU(), functional.relu),
        (nn.Tanh(), functional.tanh),
        (nn.Sigmoid(), functional.sigmoid),
        (nn.GELU(), functional.gelu),
    ):
        assert module(x) == [[function(v) for v in row] for row in x]
    inner = math.sqrt(2 / math.pi) * (2.0 + 0.044715 * 8)
    assert nn.GELU("tanh")(2.0) == pytest.approx(1.0 + math.tanh(inner), rel=1e-14)


def test_modules_show_their_sizes():
    shown = nn.Sequential(nn.Linear(1, 2, bias=False), nn.Tanh(), nn.Dropout(0.1))
    assert repr(shown) == "Sequential(Linear(1, 2, bias=False), Tanh(), Dropout(0.1))"
    assert repr(nn.ModuleList([nn.Embedding(3, 2)])) == "ModuleList(Embedding(3, 2))"
    assert repr(nn.LSTMCell(1, 2)) == "LSTMCell(1, 2)"
    assert repr(nn.TransformerBlock(4, 2)) == "TransformerBlock(4, 2)"
    assert repr(nn.CausalSelfAttention(4, 2)) == "CausalSelfAttention(4, 2)"


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.Linear(0, 1), FastgradValueError, "in_features of Linear"),
        (lambda: nn.Linear(1, 2.0), FastgradTypeError, "out_features of Linear"),
        (lambda: nn.Embedding(0, 1), FastgradValueError, "num_embeddings of Embedding"),
        (lambda: nn.Embedding(1, 0), FastgradValueError, "embedding_dim of Embedding"),
        (lambda: nn.LayerNorm(0), FastgradValueError, "normalized_shape of LayerNorm"),
        (lambda: nn.RMSNorm("a"), FastgradTypeError, "normalized_shape of RMSNorm"),
        (lambda: nn.BatchNorm1d(0), FastgradValueError, "num_features of BatchNorm1d"),
        (lambda: nn.BatchNorm1d(3)(BATCH[:1]), FastgradValueError, "at least two rows"),
        (lambda: nn.BatchNorm1d(2)(BATCH), ShapeError, "2 features, got 3"),
        (lambda: nn.BatchNorm1d(2).eval()(BATCH), ShapeError, "BatchNorm1d"),
        (lambda: nn.Dropout(1.5), FastgradValueError, "p of Dropout"),
        (lambda: nn.GELU("erf"), FastgradValueError, "approximate of GELU"),
        (lambda: nn.Sequential(1), FastgradTypeError, "modules of Sequential"),
        (lambda: nn.RNNCell(0, 1), FastgradValueError, "input_size of RNNCell"),
        (lambda: nn.GRUCell(1, 0), FastgradValueError, "hidden_size of GRUCell"),
        (lambda: nn.RNNCell(1, 1, nonlinearity="elu"), FastgradValueError, "nonlinearity of RNNC"),
        (lambda: nn.RNNCell(2, 1)([1.0]), ShapeError, "2 numbers, got 1 .input of RNNCell"),
        (lambda: nn.RNNCell(1, 2)([1.0], [1.0]), ShapeError, "2 numbers, got 1 .state of RNNCell"),
        (lambda: nn.RNNCell(1, 2)([[1.0]], []), ShapeError, "1 rows.*got 0 .state of RNNCell"),
        (lambda: nn.LSTMCell(1, 1)([1.0], [1.0]), ShapeError, r"a pair .h, c., got list"),
        (lambda: nn.CausalSelfAttention(3, 2), FastgradValueError, "a divisor of n_embd, 3, got 2"),
        (lambda: nn.CausalSelfAttention(2, 0), FastgradValueError, "n_head"),
        (lambda: nn.CausalSelfAttention(2, 1)([[1.0]]), ShapeError, "row 0 of weight of linear"),
    ],
)
def test_argument_that_does_not_fit_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()
