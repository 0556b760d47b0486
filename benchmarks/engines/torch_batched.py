"""PyTorch with tensors, float64, eager, one thread: the whole batch at once.

Layer: benchmarks.  May import: torch, arrays, workloads.
"""

from benchmarks.workloads import Case, Unsupported

label = "PyTorch, batched"


def version():
    import torch

    return torch.__version__


def build(workload):
    import torch

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    if workload == "gpt":
        return _gpt(torch)
    if workload == "moons":
        return _network(torch, "moons", 1)
    if workload == "lecture":
        return _network(torch, "lecture", 20)
    raise Unsupported("nothing to batch")


def _network(torch, name, steps):
    from benchmarks import arrays

    X, y, weights = getattr(arrays, f"{name}_arrays")()
    loss_of = getattr(arrays, f"{name}_loss")
    rate = arrays.LEARNING_RATE if name == "moons" else arrays.LECTURE_RATE
    X, y = torch.tensor(X), torch.tensor(y)
    weights = [[torch.tensor(p, requires_grad=True) for p in pair] for pair in weights]
    parameters = [p for pair in weights for p in pair]

    def forward():
        for _ in range(steps):
            loss = loss_of(torch, weights, X, y)
            for p in parameters:
                p.grad = None
            loss.backward()
            with torch.no_grad():
                for p in parameters:
                    p.sub_(rate * p.grad)

    return Case(forward, lambda: arrays.flat([(w.grad, b.grad) for w, b in weights]))


def _gpt(torch):
    from benchmarks import arrays

    w = {name: torch.tensor(m, requires_grad=True) for name, m in arrays.gpt_weights().items()}
    optimizer = torch.optim.Adam(w.values(), lr=0.01, betas=(0.9, 0.99))
    data = []
    for name in arrays.NAMES:
        tokens, targets = map(torch.tensor, arrays.gpt_tokens(name))
        data.append((tokens, targets, torch.tensor(arrays.causal_mask(len(tokens)))))

    def forward():
        for tokens, targets, mask in data:
            loss = arrays.gpt_loss(torch, w, tokens, targets, mask)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def gradients():
        return arrays.flat_matrices({n: optimizer.state[p]["exp_avg"] for n, p in w.items()})

    return Case(forward, gradients)
