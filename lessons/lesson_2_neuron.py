"""One neuron and gradient descent: prices of houses, y = m x + b."""

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import marimo as mo

    from fastgrad import Value
    from fastgrad.viz import plot_fit, plot_landscape, plot_loss

    return Value, mo, plot_fit, plot_landscape, plot_loss


@app.cell
def _(mo):
    mo.md("""
    # 2. One neuron and gradient descent

    What is a house worth, by its size? Here are eight of them, in hundreds of square metres and
    hundreds of thousands. The simplest guess is a line, `price = m * size + b`. That is a neuron with
    one input, its weight `m` and its bias `b`.
    """)
    return


@app.cell
def _():
    sizes = [0.5, 0.7, 0.8, 1.0, 1.2, 1.5, 1.8, 2.1]
    prices = [1.4, 1.9, 1.8, 2.4, 2.7, 3.2, 4.1, 4.4]
    return prices, sizes


@app.cell
def _(prices, sizes):
    def loss_of(m, b):
        """The mean of the squared errors: 0 where every guess is right."""
        errors = [m * size + b - price for size, price in zip(sizes, prices, strict=True)]
        return sum(error**2 for error in errors) / len(errors)

    return (loss_of,)


@app.cell
def _(Value, loss_of, mo, prices, sizes):
    m0, b0 = Value(0.0), Value(0.0)
    first = loss_of(m0, b0)
    first.backward()
    n = len(sizes)
    by_m = sum(2 / n * (0.0 - price) * size for size, price in zip(sizes, prices, strict=True))
    by_b = sum(2 / n * (0.0 - price) for price in prices)
    mo.md(f"""
    Begin with any line, m = 0 and b = 0. The loss is **{first.data:.4f}**. `backward()` says in which
    direction each number makes it worse:

    | | by hand | by backward |
    |---|---|---|
    | slope by m | {by_m:.6f} | {m0.grad:.6f} |
    | slope by b | {by_b:.6f} | {b0.grad:.6f} |

    Both are negative: a larger m and a larger b would help. So go a little the other way:
    `m -= rate * m.grad`, and the same for b. Then again.
    """)
    return


@app.cell
def _(mo):
    rate = mo.ui.slider(0.01, 0.4, step=0.01, value=0.1, label="rate")
    steps = mo.ui.slider(0, 200, step=5, value=40, label="steps")
    mo.hstack([rate, steps])
    return rate, steps


@app.cell
def _(Value, loss_of, rate, steps):
    m, b = Value(0.0), Value(0.0)
    way, history = [(m.data, b.data)], []
    for _ in range(steps.value):
        loss = loss_of(m, b)
        m.grad = b.grad = 0.0
        loss.backward()
        m.data -= rate.value * m.grad
        b.data -= rate.value * b.grad
        history.append(loss.data)
        way.append((m.data, b.data))
    history.append(loss_of(m, b).data)
    return b, history, m, way


@app.cell
def _(b, m, plot_fit, prices, sizes):
    plot_fit(lambda size: m * size + b, sizes, prices)
    return


@app.cell
def _(history, plot_loss):
    plot_loss(history)
    return


@app.cell
def _(loss_of, plot_landscape, way):
    plot_landscape(loss_of, (-0.5, 3.5), (-1.5, 3.0), path=way)
    return


@app.cell
def _(b, history, m, mo):
    mo.md(f"""
    After {len(history) - 1} steps: price = {m.data:.3f} size + {b.data:.3f}, loss {history[-1]:.5f}. A house
    of 130 square metres would be worth {100 * (1.3 * m.data + b.data):.0f} thousand. Try other rates: with a
    small one the way is long, with one that is too large every step makes it worse.
    """)
    return


if __name__ == "__main__":
    app.run()
