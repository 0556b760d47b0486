"""makemore in ten minutes: a model that invents words."""

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import math

    import marimo as mo

    from fastgrad.models.makemore import Makemore
    from fastgrad.viz import plot_loss

    return Makemore, math, mo, plot_loss


@app.cell
def _(Makemore, math, mo):
    names = Makemore(model="mlp", seed=3)
    before = names.loss()
    guess = math.log(27)
    mo.md(f"""
    # 8. makemore in ten minutes

    Given the last letters of a word, which one comes next? There are 27 answers: 26 letters, and the
    end. Who knows nothing gives each the same chance, and is surprised by ln 27 = {guess:.3f} per
    letter. That surprise is the loss. The network knows as little yet: **{before:.3f}**.
    """)
    return before, guess, names


@app.cell
def _(mo):
    steps = mo.ui.slider(20, 1000, step=20, value=100, label="steps")
    steps
    return (steps,)


@app.cell
def _(Makemore, names, steps):
    del names  # training goes on from where it is; this begins anew at every change
    model = Makemore(model="mlp", seed=3)
    curve = []
    for _ in range(10):
        model.train(steps.value // 10)
        curve.append(model.loss())
    words = model.sample(8)
    return curve, model, words


@app.cell
def _(curve, plot_loss):
    plot_loss({"loss of all training words": curve})
    return


@app.cell
def _(before, curve, guess, mo, model, steps, words):
    mo.md(f"""
    After {steps.value} steps the loss is {curve[-1]:.3f}, down from {before:.3f} (and {guess:.3f} for who knows
    nothing); on words it has never seen {model.loss("test"):.3f}. In other words: it picks among
    {2.718281828 ** curve[-1]:.1f} letters, on average, where there were 27. What it makes up:

    **{", ".join(words)}**

    `python -m fastgrad makemore FILE --model gru` does so with a list of your own, and with seven other
    models, up to a Transformer.
    """)
    return


if __name__ == "__main__":
    app.run()
