"""makemore's models beside PyTorch: same initial numbers, same mini-batches, same losses.

Oracle: the models of `benchmarks.makemore`, written with torch.nn.
"""

import pytest

pytest.importorskip("torch", reason="the extra `nightly`")

from benchmarks.makemore import Theirs
from fastgrad.models.makemore import MODELS, Makemore

pytestmark = [pytest.mark.nightly, pytest.mark.wide]
STEPS = 30


@pytest.mark.parametrize("model", MODELS)
def test_losses_of_training_are_those_of_pytorch(model):
    run = Makemore(model=model, n_embd=8, batch_size=0 if model == "bigram" else 16, seed=2)
    theirs = Theirs(run)
    ours = run.train(STEPS)
    theirs.train(0, STEPS)
    assert [float(loss) for loss in theirs.losses] == pytest.approx(ours, rel=1e-11)
    assert theirs.tested() == pytest.approx(run.loss("test"), rel=1e-11)
    assert ours[-1] < ours[0]
