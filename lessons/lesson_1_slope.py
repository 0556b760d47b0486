"""A derivative is a slope: h goes to 0."""

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import marimo as mo

    from fastgrad import Value
    from fastgrad.viz import plot_function

    return Value, mo, plot_function


@app.cell
def _(mo):
    mo.md("""
    # 1. A derivative is a slope

    How much does `f(x)` change when `x` changes a little? Go from `x` to `x + h`, see how far `f` has
    risen, and divide by `h`. That is the slope of a line through two points, a *secant*. As `h`
    gets smaller, the two points become one, and the secant becomes the *tangent*.
    """)
    return


@app.cell
def _():
    def f(x):
        return 3 * x**2 - 4 * x + 5

    return (f,)


@app.cell
def _(mo):
    x = mo.ui.slider(-2.0, 4.0, step=0.1, value=3.0, label="x")
    h = mo.ui.slider(0.05, 2.0, step=0.05, value=1.0, label="h")
    mo.hstack([x, h])
    return h, x


@app.cell
def _(f, h, plot_function, x):
    plot_function(f, x.value, h=h.value)
    return


@app.cell
def _(f, mo, x):
    steps = [10.0**-k for k in range(8)]
    secants = [(step, (f(x.value + step) - f(x.value)) / step) for step in steps]
    table = "\n".join(f"| {step:g} | {slope:.8f} |" for step, slope in secants)
    mo.md(f"At x = {x.value:g}:\n\n| h | slope of the secant |\n|---|---|\n{table}")
    return (secants,)


@app.cell
def _(Value, f, mo, secants, x):
    point = Value(x.value)
    f(point).backward()
    by_hand = 6 * x.value - 4  # 2 * 3 x - 4
    mo.md(f"""
    The table runs towards **{point.grad:g}**. A `Value` finds that number at once, without any `h`: it
    remembers how it was computed, and `backward()` applies the rules of calculus. By these
    f'(x) = 6 x - 4 = {by_hand:g}. The best secant of the table is off by
    {min(abs(slope - point.grad) for _, slope in secants):.1e}.
    """)
    return (point,)


@app.cell
def _(f, mo, point, x):
    tiny = 1e-15
    rough = (f(x.value + tiny) - f(x.value)) / tiny
    mo.md(f"""
    ## Why not a tiny h?

    A float has some 16 digits. With h = {tiny:g} nearly all of them are used up by `f(x)` itself, and what
    is left of the difference is noise: the secant has slope **{rough:.3f}**, where the derivative is
    {point.grad:g}. `backward()` subtracts nothing, and so loses nothing.
    """)
    return


if __name__ == "__main__":
    app.run()
