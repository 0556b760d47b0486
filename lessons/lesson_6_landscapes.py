"""Loss landscapes, partial derivatives, the Jacobian, learning rates."""

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import marimo as mo

    from fastgrad import Value
    from fastgrad.viz import plot_landscape, plot_loss

    return Value, mo, plot_landscape, plot_loss


@app.cell
def _():
    def f(x, y):
        return 0.5 * x**2 + 5 * y**2 + 0.01

    return (f,)


@app.cell
def _(Value, f, mo):
    x, y = Value(-2.0), Value(0.8)
    f(x, y).backward()
    mo.md(f"""
    # 6. Landscapes and learning rates

    A loss of two parameters is a landscape: here f = x²/2 + 5 y² + 0.01, a valley that is steep along y
    and flat along x. At (-2, 0.8) its slope along x is {x.grad:g}, along y {y.grad:g}: the *partial
    derivatives*. Together they are the gradient, which points straight uphill. Descent goes the
    other way, `rate` times as far.
    """)
    return


@app.cell
def _(mo):
    rate = mo.ui.slider(0.01, 0.22, step=0.01, value=0.18, label="rate")
    rate
    return (rate,)


@app.cell
def _(Value, f):
    def descend(rate, steps=25):
        """Return the points on the way down."""
        x, y = Value(-2.0), Value(0.8)
        way = [(x.data, y.data)]
        for _ in range(steps):
            x.grad = y.grad = 0.0
            f(x, y).backward()
            x.data -= rate * x.grad
            y.data -= rate * y.grad
            way.append((x.data, y.data))
        return way

    return (descend,)


@app.cell
def _(descend, f, plot_landscape, rate):
    plot_landscape(f, (-2.5, 2.5), (-1.2, 1.2), path=descend(rate.value))
    return


@app.cell
def _(descend, f, plot_loss):
    plot_loss({f"rate {r:g}": [f(*p) for p in descend(r)] for r in (0.02, 0.1, 0.18)})
    return


@app.cell
def _(descend, f, mo):
    rates = (0.02, 0.1, 0.18, 0.2, 0.22)
    table = "\n".join(f"| {r:g} | {f(*descend(r)[-1]):.4g} |" for r in rates)
    mo.md(f"""
    | rate | loss after 25 steps |
    |---|---|
    {table.replace(chr(10), chr(10) + "    ")}

    Along y a step multiplies y by 1 - 10 rate. At 0.1 that is 0: y is right at once. Beyond 0.2 it is
    below -1: y swings further out each time. The steepest direction decides which rate is too
    large, the flattest how long it takes; that is what optimizers such as Adam are for.
    """)
    return


@app.cell
def _(Value, mo):
    def polar(r, t):
        return r * t.cos(), r * t.sin()

    rows = []
    for which in range(2):
        r, t = Value(2.0), Value(0.5)
        polar(r, t)[which].backward()
        rows.append((r.grad, t.grad))
    determinant = rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]
    mo.md(f"""
    ## Several results: the Jacobian

    A function with several results has a gradient for each: a row of the *Jacobian*. Of
    (r cos t, r sin t) at r = 2, t = 0.5:

    | | by r | by t |
    |---|---|---|
    | r cos t | {rows[0][0]:.4f} | {rows[0][1]:.4f} |
    | r sin t | {rows[1][0]:.4f} | {rows[1][1]:.4f} |

    Its determinant is {determinant:.4f}: the r that stands in every integral in polar coordinates.
    """)
    return


if __name__ == "__main__":
    app.run()
