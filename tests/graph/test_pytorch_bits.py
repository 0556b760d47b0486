"""Values and leaf gradients of + * relu and neurons have the bits of PyTorch's float64.

Oracle: PyTorch, which also sweeps in reverse order of creation. The sign of a zero is not compared:
PyTorch stores the first term of a gradient, micrograd adds it to 0.0.
"""

import random

import pytest
from helpers.random_graphs import OURS, bits, run
from helpers.reference import THEIRS
from helpers.tally import tally
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.wide,
    pytest.mark.usefixtures("sound_arena"),
]
GRAPHS = 2_000
STEPS = (
    0,
    1,
    4,
    6,
    7,
    8,
    13,
    14,
    15,
)  # of random_graphs.step: + * relu x*x x+k k*x sum leaf neuron


@pytest.fixture(scope="module")
def Torch():
    """Return a class over tensors with what random_graphs.step needs of Value's interface."""
    torch = pytest.importorskip("torch", reason="the extra `nightly` brings PyTorch")

    class Torch:
        def __init__(self, data, tensor=None):
            if tensor is None:
                tensor = torch.tensor(float(data), dtype=torch.float64, requires_grad=True)
            self.tensor, self.leaf = tensor, tensor.is_leaf

        data = property(lambda self: self.tensor.item())
        grad = property(lambda self: 0.0 if (g := self.tensor.grad) is None else g.item())

        def __add__(self, other):
            return Torch(None, self.tensor + getattr(other, "tensor", other))

        def __mul__(self, other):
            return Torch(None, self.tensor * getattr(other, "tensor", other))

        def relu(self):
            return Torch(None, self.tensor.relu())

        def backward(self):
            self.tensor.backward()

        __radd__, __rmul__ = __add__, __mul__

    return Torch


def swept(V, codes, seed):
    """Run a program on numbers that use all their bits; sweep from the sum of its last nodes."""
    rng = random.Random(seed)
    nodes = run(V, codes, [rng.uniform(-2, 2) for _ in range(8)])
    nodes.append(sum(nodes[-12:]))
    nodes[-1].backward()
    return nodes


def unsigned(xs):
    return bits(x + 0.0 for x in xs)  # -0.0 + 0.0 is 0.0, and no other number changes


def agree(ours, theirs):
    leaves = [i for i, v in enumerate(theirs) if v.leaf]
    assert unsigned(v.data for v in ours) == unsigned(v.data for v in theirs)
    assert unsigned(ours[i].grad for i in leaves) == unsigned(theirs[i].grad for i in leaves)


def code(step, rest):
    return step + 20 * rest


CODES = st.one_of([st.integers(5, n) for n in (30, 60, 100, 500)]).flatmap(
    lambda n: st.lists(
        st.builds(code, st.sampled_from(STEPS), st.integers(0, 2**36)), min_size=n, max_size=n
    )
)
SEED = st.integers(0, 2**32)


@settings(max_examples=GRAPHS, suppress_health_check=[HealthCheck.too_slow])
@given(CODES, SEED)
def test_random_graphs_have_the_bits_of_pytorch(Torch, codes, seed):
    agree(swept(OURS, codes, seed), swept(Torch, codes, seed))
    tally("wrong graph: + * relu against PyTorch, bit for bit")


def test_comparison_of_another_summation_order_fails(Torch):
    """Sums in the order of micrograd's sort round otherwise, here and there."""
    rng, failed = random.Random(1), 0
    for seed in range(20):
        codes = [code(rng.choice(STEPS), rng.getrandbits(36)) for _ in range(60)]
        try:
            agree(swept(THEIRS, codes, seed), swept(Torch, codes, seed))
        except AssertionError:
            failed += 1
    assert failed > 0
