"""Neuron, layer, multi-layer perceptron."""

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import math
    import random

    import marimo as mo

    from fastgrad import Value, fit, nn, optim, record
    from fastgrad.viz import draw_dot, plot_activations, plot_boundary

    return (
        Value,
        draw_dot,
        fit,
        math,
        mo,
        nn,
        optim,
        plot_activations,
        plot_boundary,
        random,
        record,
    )


@app.cell
def _(mo):
    mo.md("""
    # 4. Neuron, layer, MLP

    A neuron multiplies each input by a weight, adds a bias, and bends the sum: `tanh` presses it
    between -1 and 1, `relu` cuts off what is negative. Without the bend, any number of neurons
    would be one line.
    """)
    return


@app.cell
def _(Value, mo, nn, random):
    random.seed(2)
    neuron = nn.Neuron(2, activation="tanh")
    x = [Value(1.0, label="x0"), Value(-2.0, label="x1")]
    out = neuron(x)
    by_hand = (neuron.b + neuron.w[0] * x[0] + neuron.w[1] * x[1]).tanh()
    out.backward()
    mo.md(f"""
    `Neuron(2)` has {len(neuron.parameters())} parameters. It gives **{out.data:.6f}**, and the same sum written
    out gives {by_hand.data:.6f}.
    """)
    return (out,)


@app.cell
def _(draw_dot, out):
    draw_dot(out)
    return


@app.cell
def _(mo, nn, random):
    random.seed(1337)
    model = nn.MLP(2, [16, 16, 1])
    parts = [len(layer.parameters()) for layer in model.layers]
    mo.md(f"""
    A layer is several neurons that see the same inputs; an MLP is layers in a row. `MLP(2, [16, 16, 1])` has
    {parts[0]} + {parts[1]} + {parts[2]} = **{len(model.parameters())}** parameters. Blue weights are positive, red
    ones negative:
    """)
    return (model,)


@app.cell
def _(model):
    model
    return


@app.cell
def _(math, random):
    rng = random.Random(1337)
    X, Y = [], []
    for i in range(100):
        upper, angle = i < 50, math.pi * (i % 50) / 49
        u, v = math.cos(angle), math.sin(angle)
        u, v = (u, v) if upper else (1 - u, 0.5 - v)
        X.append([u + rng.gauss(0, 0.1), v + rng.gauss(0, 0.1)])
        Y.append(1.0 if upper else -1.0)
    return X, Y


@app.cell
def _(mo):
    steps = mo.ui.slider(0, 200, step=10, value=100, label="steps")
    steps
    return (steps,)


@app.cell
def _(X, Y, fit, model, nn, optim, random, record, steps):
    random.seed(1337)
    trained = nn.MLP(2, [16, 16, 1])
    parameters = trained.parameters()

    def loss_of(x, y):
        return (1 - y * trained(x)).relu() + 1e-4 * sum(p * p for p in parameters)

    tape = record(loss_of, [0.0, 0.0], 1.0)
    if steps.value:
        fit(tape, X, Y, optimizer=optim.SGD(parameters, lr=0.5), steps=steps.value)
    right = sum((trained(x).data > 0) == (y > 0) for x, y in zip(X, Y, strict=True))
    untrained = sum((model(x).data > 0) == (y > 0) for x, y in zip(X, Y, strict=True))
    return right, trained, untrained


@app.cell
def _(X, Y, mo, right, steps, untrained):
    mo.md(f"""
    Two moons of {len(X)} points, which no line separates. Of {len(Y)} the network has {untrained} right before
    training, and **{right}** after {steps.value} steps:
    """)
    return


@app.cell
def _(X, Y, plot_boundary, trained):
    plot_boundary(trained, X, Y)
    return


@app.cell
def _(X, plot_activations, trained):
    plot_activations(trained, X)
    return


if __name__ == "__main__":
    app.run()
