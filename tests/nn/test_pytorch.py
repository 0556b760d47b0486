"""States of models in PyTorch's modules of the same names, and the results there.

Oracle: PyTorch, in float64. Skipped where it is not installed.
"""

import math
import random

import pytest

from fastgrad import Value, functional, manual_seed, nn

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

pytestmark = pytest.mark.nightly

PAIRS = {
    "Linear": (nn.Linear(3, 2), lambda: torch.nn.Linear(3, 2), (3,)),
    "Linear without bias": (nn.Linear(3, 2, False), lambda: torch.nn.Linear(3, 2, False), (4, 3)),
    "LayerNorm": (nn.LayerNorm(4), lambda: torch.nn.LayerNorm(4), (2, 4)),
    "RMSNorm": (nn.RMSNorm(4), lambda: torch.nn.RMSNorm(4), (2, 4)),
    "BatchNorm1d": (nn.BatchNorm1d(3), lambda: torch.nn.BatchNorm1d(3), (5, 3)),
    "RNNCell": (nn.RNNCell(3, 4), lambda: torch.nn.RNNCell(3, 4), (2, 3)),
    "GRUCell": (nn.GRUCell(3, 4), lambda: torch.nn.GRUCell(3, 4), (2, 3)),
    "LSTMCell": (nn.LSTMCell(3, 4), lambda: torch.nn.LSTMCell(3, 4), (3,)),
    "Sequential": (
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.GELU("tanh"), nn.GELU()),
        lambda: torch.nn.Sequential(
            torch.nn.Linear(3, 4),
            torch.nn.Tanh(),
            torch.nn.Linear(4, 2),
            torch.nn.GELU("tanh"),
            torch.nn.GELU(),
        ),
        (2, 3),
    ),
}


def example(shape, seed):
    source = random.Random(seed)
    flat = [source.uniform(-1, 1) for _ in range(math.prod(shape))]
    return torch.tensor(flat, dtype=torch.float64).reshape(shape)


def numbers(result):
    if isinstance(result, Value):
        return result.data
    return [numbers(entry) for entry in result] if isinstance(result, list | tuple) else result


def doubles(nested):
    return torch.tensor(nested, dtype=torch.float64)


def close(ours, theirs):
    theirs = torch.stack(theirs) if isinstance(theirs, tuple) else theirs
    torch.testing.assert_close(doubles(numbers(ours)), theirs.detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", PAIRS)
def test_state_loads_into_a_pytorch_module_that_gives_the_same(name, tmp_path):
    ours, make, shape = PAIRS[name]
    random_state(ours)
    nn.save(ours, tmp_path / "model.safetensors")
    theirs = make().double()
    theirs.load_state_dict(safetensors.load_file(tmp_path / "model.safetensors"))
    x = example(shape, 1)
    close(ours(x.tolist()), theirs(x))
    close(ours.eval()(x.tolist()), theirs.eval()(x))
    ours.train()


def random_state(model):
    source = random.Random(2)
    for value in model.parameters():
        value.data = source.uniform(-1, 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_file_of_pytorch_loads(dtype, tmp_path):
    theirs = torch.nn.BatchNorm1d(3).to(dtype)
    theirs.weight.data = example((3,), 3).to(dtype)
    safetensors.save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    ours = nn.BatchNorm1d(3)
    nn.load(ours, tmp_path / "model.safetensors")
    assert [v.data for v in ours.weight] == theirs.weight.double().tolist()


def test_state_of_a_pytorch_module_loads():
    theirs = torch.nn.LSTMCell(3, 4).double()
    ours = nn.LSTMCell(3, 4)
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    x, h, c = example((2, 3), 4), example((2, 4), 5), example((2, 4), 6)
    close(ours(x.tolist(), (h.tolist(), c.tolist())), theirs(x, (h, c)))


def test_attention_is_that_of_pytorch():
    block = nn.CausalSelfAttention(6, 2)
    x = example((4, 6), 7)
    state = {name: doubles(part) for name, part in block.state_dict().items()}
    made = torch.nn.functional.linear(x, state["c_attn.weight"], state["c_attn.bias"])
    q, k, v = (part.reshape(4, 2, 3).transpose(0, 1) for part in made.split(6, dim=1))
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    mixed = mixed.transpose(0, 1).reshape(4, 6)
    out = torch.nn.functional.linear(mixed, state["c_proj.weight"], state["c_proj.bias"])
    close(block(x.tolist()), out)


TF = torch.nn.functional
CLASS, SHARES = [2, -100, 0], [[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [1.0, 0.0, 0.0]]
WEIGHT = [0.5, 2.0, 1.5]
CALLS = {
    "cross_entropy": [
        dict(zip(("target", "weight", "reduction", "label_smoothing"), row, strict=True))
        for row in (
            (CLASS, None, "mean", 0.0),
            (CLASS, WEIGHT, "mean", 0.1),
            (CLASS, WEIGHT, "none", 0.2),
            (CLASS, None, "sum", 0.3),
            (SHARES, WEIGHT, "mean", 0.0),
            (SHARES, WEIGHT, "none", 0.1),
            (SHARES, None, "sum", 0.2),
        )
    ],
    "nll_loss": [{"target": CLASS, "weight": w} for w in (None, WEIGHT)],
    "mse_loss": [{"target": SHARES}],
    "l1_loss": [{"target": SHARES, "reduction": "sum"}],
    "huber_loss": [{"target": SHARES, "reduction": "none", "delta": 0.5}],
    "binary_cross_entropy_with_logits": [
        {"target": SHARES, "weight": WEIGHT, "pos_weight": WEIGHT},
        {"target": SHARES, "reduction": "none"},
    ],
    "cosine_similarity": [{"x2": SHARES}],
}


@pytest.mark.parametrize(("name", "i"), [(n, i) for n in CALLS for i in range(len(CALLS[n]))])
def test_function_and_its_gradient_are_those_of_pytorch(name, i):
    keywords = CALLS[name][i]
    x = example((3, 3), 8).requires_grad_()
    tensors = {
        key: part
        if not isinstance(part, list)
        else torch.tensor(part)
        if part is CLASS
        else doubles(part)
        for key, part in keywords.items()
    }
    theirs = getattr(TF, name)(x, **tensors)
    theirs.sum().backward()
    rows = [[Value(number) for number in row] for row in x.tolist()]
    ours = getattr(functional, name)(rows, **keywords)
    close(ours, theirs)
    (functional.sum(ours) if isinstance(ours, list) else ours).backward()
    close([[v.grad for v in row] for row in rows], x.grad)


def test_initialisers_have_the_spread_of_pytorchs():
    manual_seed(5)
    for name, keywords in (
        ("kaiming_uniform_", {"a": math.sqrt(5)}),
        ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
    ):
        ours = nn.Linear(60, 40).weight
        getattr(nn.init, name)(ours, **keywords)
        theirs = getattr(torch.nn.init, name)(torch.empty(40, 60), **keywords)
        spread = torch.tensor(numbers(ours)).std()
        assert math.isclose(spread, theirs.std(), rel_tol=0.1), name
