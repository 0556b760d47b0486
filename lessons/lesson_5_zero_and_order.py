"""Why gradients are set to zero, and why a backward pass has an order."""

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import marimo as mo

    from fastgrad import Value, trace
    from fastgrad.viz import draw_dot, plot_loss

    return Value, draw_dot, mo, plot_loss, trace


@app.cell
def _(Value, mo):
    x = Value(3.0)
    seen = []
    for _ in range(3):
        (x * x).backward()
        seen.append(x.grad)
    mo.md(f"""
    # 5. Why zero the gradients, and why an order

    `backward()` *adds* to `grad`. It has to: a number that is used twice gets two shares. But it adds
    to what the last step has left there, too. Three times `(x * x).backward()` at x = 3, where
    the slope is 6: **{seen[0]:g}, {seen[1]:g}, {seen[2]:g}**.
    """)
    return


@app.cell
def _(Value):
    def descend(forgetful, rate=0.05, steps=60):
        """Minimise (x - 2)**2, and return the losses."""
        x, losses = Value(-1.0), []
        for _ in range(steps):
            loss = (x - 2) ** 2
            if not forgetful:
                x.grad = 0.0
            loss.backward()
            x.data -= rate * x.grad
            losses.append(loss.data)
        return losses

    return (descend,)


@app.cell
def _(descend, mo):
    good, bad = descend(forgetful=False), descend(forgetful=True)
    late = max(bad[len(bad) // 2 :])
    mo.md(f"""
    What that does to a descent: with zeroed gradients the loss of `(x - 2)**2` falls from {good[0]:g} to
    {good[-1]:.2g}. With those of all steps before, x has the momentum of a ball without friction, runs past
    the minimum and back again: in the second half of the run the loss is still as high as
    **{late:.2f}**.
    """)
    return bad, good


@app.cell
def _(bad, good, plot_loss):
    plot_loss({"zeroed": good, "never zeroed": bad})
    return


@app.cell
def _(Value, draw_dot, mo):
    a = Value(2.0, label="a")
    b = a * 3
    b.label = "b"
    y = b + b * b
    y.label = "y"
    y.backward()
    mo.vstack(
        [
            mo.md("""
    ## The order

    A node may pass on its gradient only when it has all of it: when every user has been there.
    Here b has two users."""),
            draw_dot(y),
        ]
    )
    return a, b, y


@app.cell
def _(trace, y):
    graph = trace(y)

    def sweep(order):
        """Let nodes pass on their gradients in some order; return all gradients by label."""
        grads = [0.0] * len(graph.nodes)
        grads[graph.roots[0]] = 1.0
        for node in order:
            for operand, partial in zip(node.operands, node.partials, strict=True):
                grads[operand] += partial * grads[node.id]
        return {node.label: grads[node.id] for node in graph.nodes if node.label}

    return graph, sweep


@app.cell
def _(a, b, graph, mo, sweep):
    backwards = sweep(reversed(graph.nodes))
    newest_first = list(reversed(graph.nodes))
    wrong = sweep(sorted(newest_first, key=lambda node: node.label not in ("y", "b")))
    mo.md(f"""
    Newest first, as `backward()` does it: the gradient of b is {backwards["b"]:g}, that of a **{backwards["a"]:g}**
    (`backward()` says {b.grad:g} and {a.grad:g}). If b has its turn too early, before `b * b` has, it passes on
    what it has by then: a gets **{wrong["a"]:g}**, although b itself ends with {wrong["b"]:g}.

    fastgrad needs no sort for this: nodes are made after their operands, so walking back through
    memory is such an order.
    """)
    return


if __name__ == "__main__":
    app.run()
