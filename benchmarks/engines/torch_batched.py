"""PyTorch with tensors, float64, eager, one thread: the whole batch at once."""

import functools

from benchmarks.workloads import Case, Unsupported, cases, rosenbrock_point

label = "PyTorch, batched"


def version():
    import torch

    return torch.__version__


def configure(torch):
    """One thread, float64."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)


def build(workload):
    import torch

    configure(torch)
    if workload == "gpt":
        return _gpt(torch)
    if workload in cases.POINTS:
        return _points(torch, workload)
    if workload.startswith("rosenbrock"):
        return _rosenbrock(torch, int(workload.partition("-")[2]))
    if workload.startswith("moons"):
        return network(torch, workload, 1)
    if workload.startswith("lecture"):
        return network(torch, "lecture", 20)
    raise Unsupported("nothing to batch")


def _points(torch, workload):
    from benchmarks import arrays

    function = cases.POINTS[workload][0]
    points = [torch.tensor(x, requires_grad=True) for x in arrays.batch_arrays(workload)]

    def forward():
        for p in points:
            p.grad = None
        function(*points).sum().backward()

    return Case(forward, lambda: [x for p in points for x in p.grad.tolist()])


def _rosenbrock(torch, n):
    from benchmarks import arrays

    x = torch.tensor(rosenbrock_point(n), requires_grad=True)

    def forward():
        x.grad = None
        arrays.rosenbrock(x).backward()

    return Case(forward, lambda: list(map(float, x.grad)))


def network(torch, workload, steps, prepare=lambda loss: loss):
    """Return W3 or W4; `prepare` may compile its loss."""
    from benchmarks import arrays

    (X, y, weights), loss_of, rate = arrays.network(workload)
    loss_of = prepare(functools.partial(loss_of, torch))
    X, y = torch.tensor(X), torch.tensor(y)
    weights = [[torch.tensor(p, requires_grad=True) for p in pair] for pair in weights]
    parameters = [p for pair in weights for p in pair]

    def forward():
        for _ in range(steps):
            loss = loss_of(weights, X, y)
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
