"""Cells and attention: what they compute.

Oracle: the formulas in NumPy, as PyTorch documents them.
"""

import numpy as np
import pytest

from fastgrad import Value, manual_seed, nn

X, H, C = [0.5, -1.0], [0.3, -0.2, 0.9], [-0.4, 1.1, 0.2]


def numbers(result):
    if isinstance(result, list | tuple):
        return [numbers(entry) for entry in result]
    return result.data if isinstance(result, Value) else result


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sums(model, x, h):
    s = {name: np.array(part) for name, part in model.state_dict().items()}
    return (
        s["weight_ih"] @ x + s.get("bias_ih", 0.0),
        s["weight_hh"] @ h + s.get("bias_hh", 0.0),
    )


def rnn(model, x, h, c):
    return np.tanh(sum(sums(model, x, h)))


def gru(model, x, h, c):
    (xr, xz, xn), (hr, hz, hn) = (part.reshape(3, -1) for part in sums(model, x, h))
    z = sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * h


def lstm(model, x, h, c):
    i, f, g, o = sum(sums(model, x, h)).reshape(4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


CELLS = {nn.RNNCell: rnn, nn.GRUCell: gru, nn.LSTMCell: lstm}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_cell_computes_its_formula(cell, bias):
    manual_seed(1)  # weights of which no sum cancels
    model = cell(2, 3, bias)
    state = (H, C) if cell is nn.LSTMCell else H
    expected = CELLS[cell](model, np.array(X), np.array(H), np.array(C))
    np.testing.assert_allclose(numbers(model(X, state)), expected, rtol=1e-13)
    zeros = CELLS[cell](model, np.array(X), np.zeros(3), np.zeros(3))
    np.testing.assert_allclose(numbers(model(X)), zeros, rtol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
def test_cell_takes_each_row_of_a_batch_for_itself(cell):
    model = cell(2, 3)
    xs, hs, cs = [X, [2.0, 0.1]], [H, C], [C, H]
    is_lstm = cell is nn.LSTMCell
    found = numbers(model(xs, (hs, cs) if is_lstm else hs))
    alone = [numbers(model(xs[i], (hs[i], cs[i]) if is_lstm else hs[i])) for i in range(2)]
    assert found == ([list(part) for part in zip(*alone, strict=True)] if is_lstm else alone)
    assert numbers(model(xs)) == numbers(
        model(xs, ([[0.0] * 3] * 2,) * 2 if is_lstm else [[0.0] * 3] * 2)
    )
    arrays = model(np.array(xs))
    assert all(isinstance(part, np.ndarray) for part in (arrays if is_lstm else [arrays]))


def attention(model, x):
    s = {name: np.array(part) for name, part in model.state_dict().items()}
    n, d = model.n_embd, model.n_embd // model.n_head
    made = x @ s["c_attn.weight"].T + s["c_attn.bias"]
    out = np.zeros_like(x)
    for begin in range(0, n, d):
        q, k, v = (made[:, part + begin : part + begin + d] for part in (0, n, 2 * n))
        scores = np.where(np.tri(len(x)) > 0, q @ k.T / np.sqrt(d), -np.inf)
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        out[:, begin : begin + d] = shares @ v
    return out @ s["c_proj.weight"].T + s["c_proj.bias"]


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_computes_its_formula(heads):
    manual_seed(1)  # weights of which no sum cancels
    model = nn.CausalSelfAttention(4, heads)
    x = np.linspace(-1.0, 2.0, 12).reshape(3, 4)
    np.testing.assert_allclose(numbers(model(x.tolist())), attention(model, x), rtol=1e-12)
    assert numbers(model([x.tolist()] * 2)) == [numbers(model(x.tolist()))] * 2


def test_attention_sees_no_later_row():
    model = nn.CausalSelfAttention(4, 2)
    rows = [[Value(0.1 * i * k) for k in range(4)] for i in range(3)]
    sum(model(rows)[1]).backward()
    assert [v.grad for v in rows[2]] == [0.0] * 4
    assert all(v.grad for v in rows[0])


def test_block_adds_attention_and_a_network():
    manual_seed(1)  # weights of which no sum cancels
    model = nn.TransformerBlock(4, 2)
    x = np.linspace(-1.0, 2.0, 12).reshape(3, 4)
    s = {name: np.array(part) for name, part in model.state_dict().items()}

    def norm(rows):
        rows = rows - rows.mean(axis=1, keepdims=True)
        return rows / np.sqrt(rows.var(axis=1, keepdims=True) + 1e-5)

    x1 = x + attention(model.attn, norm(x))
    inner = norm(x1) @ s["mlp.c_fc.weight"].T + s["mlp.c_fc.bias"]
    inner = inner * (1 + np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3))) / 2
    expected = x1 + inner @ s["mlp.c_proj.weight"].T + s["mlp.c_proj.bias"]
    np.testing.assert_allclose(numbers(model(x.tolist())), expected, rtol=1e-11)
