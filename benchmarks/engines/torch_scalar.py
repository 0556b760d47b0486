"""PyTorch with one tensor for each scalar, in float64: micrograd's programs written for torch."""

import random

from benchmarks.workloads import (
    WORKLOADS,
    Case,
    Library,
    Unsupported,
    eager_case,
    moons,
    peers,
    plain,
    workloads,
)  # fmt: skip

label = "PyTorch, scalars"


def version():
    import torch

    return torch.__version__


def build(workload):
    import torch

    library = peers.torch_scalars()
    leaf = library.Value
    if workload == "moons":
        return _moons(torch, leaf)
    if workload.startswith("lecture"):
        return _lecture(torch, leaf)
    if workload in {"gpt", "kalman"} or WORKLOADS[workload].size >= 1_000_000:
        raise Unsupported("minutes a round")
    return eager_case(library, workload)


def _model(MLP, leaf, activations, start=None):
    """Return plain.MLP's loops on torch's scalars, drawn as micrograd draws them."""
    net = MLP(*activations[0], **activations[1])
    if start is not None:
        for p, data in zip(net.parameters(), start, strict=True):
            p.data = data
    net.layers = [
        [([leaf(w.data) for w in ws], leaf(b.data)) for ws, b in layer] for layer in net.layers
    ]
    return net


def _update(torch, parameters, rate):
    with torch.no_grad():
        for p in parameters:
            p.sub_(rate * p.grad)


def _moons(torch, leaf):
    X, y = moons()
    random.seed(1337)
    model = _model(plain.MLP, leaf, ((2, [16, 16, 1]), {}))
    parameters = model.parameters()
    library = Library(label, lambda x: torch.tensor(float(x), dtype=torch.float64))
    X, y = X.tolist(), y.tolist()

    def step():
        loss, _ = workloads.total_loss(library, model, X, y)
        for p in parameters:
            p.grad = None
        loss.backward()
        _update(torch, parameters, workloads.LEARNING_RATE)

    return Case(step, lambda: [float(p.grad) for p in parameters])


def _lecture(torch, leaf):
    options = {"activation": "tanh", "output_activation": "tanh"}
    model = _model(plain.MLP, leaf, ((3, [4, 4, 1]), options), workloads.lecture_start())
    parameters = model.parameters()

    def steps():
        for _ in range(20):
            ypred = [model(x) for x in workloads.LECTURE_XS]
            loss = sum((out - y) ** 2 for y, out in zip(workloads.LECTURE_YS, ypred, strict=True))
            for p in parameters:
                p.grad = None
            loss.backward()
            _update(torch, parameters, workloads.LECTURE_RATE)

    return Case(steps, lambda: [float(p.grad) for p in parameters])
