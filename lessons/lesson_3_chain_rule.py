"""The chain rule, and the graph it walks through."""

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import marimo as mo

    from fastgrad import Value, trace
    from fastgrad.viz import draw_dot

    return Value, draw_dot, mo, trace


@app.cell
def _(mo):
    mo.md("""
    # 3. The chain rule and the graph

    A program of a few operations is a graph: each number is made of others. `draw_dot` shows it. The
    boxes are numbers, the ovals operations.
    """)
    return


@app.cell
def _(Value):
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    c, f = Value(10.0, label="c"), Value(-2.0, label="f")
    e = a * b
    e.label = "e"
    d = e + c
    d.label = "d"
    L = d * f
    L.label = "L"
    L.backward()
    return L, a, b, c, d, e, f


@app.cell
def _(L, draw_dot):
    draw_dot(L)
    return


@app.cell
def _(L, a, b, c, d, e, f, mo):
    mo.md(f"""
    Read it from the right. `L = d * f`, so if d grows by a little, L grows by f times that: the
    gradient of d is f = **{d.grad:g}**. `d = e + c`: a sum passes on what it gets, so e and c get
    {e.grad:g} and {c.grad:g} too. `e = a * b`: a moves e by b, and e moves L by {e.grad:g}. *Multiply
    along the way*: that is the chain rule.

    | | by the rule | by backward |
    |---|---|---|
    | a | b times f = {b.data * f.data:g} | {a.grad:g} |
    | b | a times f = {a.data * f.data:g} | {b.grad:g} |
    | f | d = {d.data:g} | {f.grad:g} |
    | L | 1 | {L.grad:g} |
    """)
    return


@app.cell
def _(Value, mo):
    h = 1e-6

    def program(a):
        return (a * -3.0 + 10.0) * -2.0

    slope = (program(2.0 + h) - program(2.0)) / h
    x = Value(3.0, label="x")
    y = x * x + x
    y.backward()
    mo.md(f"""
    Is that so? Move a by h = {h:g} and look: L changes by {slope:.4f} times h.

    ## When a number is used twice

    In `y = x * x + x` there are three ways from x to y, and *the ways add up*: x + x + 1 =
    {3.0 + 3.0 + 1:g}, and `x.grad` is {x.grad:g}.
    """)
    return (y,)


@app.cell
def _(mo, trace, y):
    graph = trace(y)
    rows = []
    for node, users in zip(graph.nodes, graph.users(), strict=True):
        parts = [
            f"{graph.nodes[user].grad:g} times {graph.nodes[user].partials[position]:g}"
            for user, position in users
        ]
        rows.append(f"| {node.label or node.symbol} | {' + '.join(parts) or 1} | {node.grad:g} |")
    table = "\n".join(rows)
    mo.md(
        "`trace(y)` has the graph as data. Each gradient is the sum, over all users, of the user's "
        f"gradient times its local derivative:\n\n| node | sum | grad |\n|---|---|---|\n{table}"
    )
    return


if __name__ == "__main__":
    app.run()
