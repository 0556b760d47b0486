"""From eager to tape: the same numbers, without Python in between."""

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import random
    from time import perf_counter

    import marimo as mo

    from fastgrad import fit, nn, optim, record
    from fastgrad.viz import plot_loss

    return fit, mo, nn, optim, perf_counter, plot_loss, random, record


@app.cell
def _(mo):
    mo.md("""
    # 7. From eager to tape

    A training loop builds the same graph at every step, and only the numbers in it change. `record`
    runs a function once and keeps what it did. The tape repeats it, without Python.
    """)
    return


@app.cell
def _(nn, random, record):
    random.seed(5)
    model = nn.MLP(3, [4, 4, 1], activation="tanh")
    xs = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
    ys = [1.0, -1.0, -1.0, 1.0]

    def loss_of(x, y):
        return (model(x) - y) ** 2

    tape = record(loss_of, xs[0], ys[0])
    return loss_of, model, tape, xs, ys


@app.cell
def _(mo, tape):
    mo.md(f"What it holds, operation by operation:\n\n```\n{tape}\n```")
    return


@app.cell
def _(loss_of, mo, model, tape, xs, ys):
    eager = [loss_of(x, y) for x, y in zip(xs, ys, strict=True)]
    model.zero_grad()
    (sum(eager) / len(eager)).backward()
    slow = [p.grad for p in model.parameters()]
    model.zero_grad()
    mean = tape.backward(xs, ys)
    fast = [p.grad for p in model.parameters()]
    same = [one.data for one in eager] == tape(xs, ys)
    mo.md(f"""
    Called with lists of samples, it computes all of them: the losses are the same to the last bit
    (**{same}**), their mean is {mean:.6f}, and the largest difference between the two gradients is
    {max(abs(one - other) for one, other in zip(slow, fast, strict=True)):.1e}.
    """)
    return


@app.cell
def _(loss_of, mo, model, perf_counter, tape, xs, ys):
    def seconds(step, repeats=200):
        """Return the shortest time of several: what others do on this machine only adds."""
        times = []
        for _ in range(repeats):
            start = perf_counter()
            step()
            times.append(perf_counter() - start)
        return min(times)

    def eager_step():
        model.zero_grad()
        sum(loss_of(x, y) for x, y in zip(xs, ys, strict=True)).backward()

    slow_time, fast_time = seconds(eager_step), seconds(lambda: tape.backward(xs, ys))
    mo.md(f"""
    Here, just now: {1e6 * slow_time:.1f} µs for a forward and backward pass of {len(xs)} samples built anew,
    {1e6 * fast_time:.1f} µs on the tape.
    """)
    return


@app.cell
def _(fit, mo, model, nn, optim, plot_loss, random, record, tape, xs, ys):
    history = fit(tape, xs, ys, optimizer=optim.SGD(model.parameters(), lr=0.1), steps=200)
    random.seed(5)
    fresh = nn.MLP(3, [4, 4, 1], activation="tanh")
    other = record(lambda x, y: (fresh(x) - y) ** 2, xs[0], ys[0])
    adam = fit(other, xs, ys, optimizer=optim.Adam(fresh.parameters(), lr=0.03), steps=200)
    mo.vstack(
        [
            mo.md(f"""
    `fit` is the whole loop: 200 steps from {history[0]:.3f} to {history[-1]:.2g} with SGD, to {adam[-1]:.2g} with
    Adam."""),
            plot_loss({"SGD": history, "Adam": adam}),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
