"""The explorer in Chromium: each number that it shows is the engine's, by keyboard and by mouse.

Oracle: trace() of the same graph after backward(). `make test-browser` runs this.
"""

import random

import pytest
from helpers.browser import chromium, opened, shown, violations
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value, functional, nn

pytestmark = pytest.mark.browser

HOSTILE = "</script><script>alert(1)</script> \"'|{}<!-- \n\u202e & <img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


def mixed():
    """Return the leaves and the result of a graph with rows of many kinds."""
    a, b, c = Value(0.7, label="a"), Value(-1.3, label="b"), Value(2.0, label="c")
    d = (a * b + c**3).tanh() + functional.leaky_relu(b, 0.2) * functional.max(a, b)
    out = functional.atan2(d, c) + fg.take([a, b, c], 2.0 + 0 * c) * a + functional.sigmoid(a * a)
    return [a, b, c], out


def network():
    random.seed(3)
    model = nn.MLP(2, [3, 2, 1])
    loss = (model([Value(1.0, label="x"), Value(-2.0, label="y")]) - 1.0) ** 2
    return model, loss


def swept(root):
    """Return the graph of a result with gradients of this result alone."""
    for node in fg.trace(root).nodes:
        node.value.grad = 0.0
    root.backward()
    return fg.trace(root).nodes


def walk(page, key):
    """Press a key as often as it changes the place; yield what is current after each."""
    where = page.locator("#where")
    while True:
        yield int(page.locator(".node.current").get_attribute("data-node"))
        before = where.inner_text()
        page.keyboard.press(key)
        if where.inner_text() == before:  # at the end the walk stays
            return


def texts(page):
    """Return all numbers in the graph, by node and field."""
    read = "els => els.map(e => [+e.dataset.node, e.dataset.field, e.textContent])"
    found = page.eval_on_selector_all("#nodes [data-field]", read)
    return {(node, name): text for node, name, text in found}


@pytest.mark.parametrize("make", [mixed, network])
def test_every_number_of_a_walk_is_the_engines(make, browser, tmp_path):
    _, root = make()
    nodes, path = swept(root), tmp_path / "page.html"
    fg.explore(root, path)
    compared = 0
    with opened(browser, path) as page:
        page.keyboard.press("Home")
        there = list(walk(page, "ArrowRight"))
        data = page.evaluate("[values, grads]")
        assert there == [*range(len(there) // 2), *reversed(range(len(there) // 2))]
        # Nodes of the page and of trace() differ in order, not in what they hold.
        assert sorted(map(shown, data[0])) == sorted(shown(n.data) for n in nodes)
        assert sorted(map(shown, data[1])) == sorted(shown(n.grad) for n in nodes)
        all_texts = texts(page)
        for i, (x, g) in enumerate(zip(*data, strict=True)):
            assert all_texts[i, "data"] == shown(x)
            assert all_texts[i, "grad"] == shown(g)
            compared += 2
        for current in walk(page, "ArrowLeft"):
            field = page.locator("#panel [data-field]").all()
            for one in field:
                node, name = int(one.get_attribute("data-node")), one.get_attribute("data-field")
                if name == "partial":
                    k = int(one.get_attribute("data-operand"))
                    expected = page.evaluate(f"partialsOf({node})[{k}]")
                else:
                    expected = data[name == "grad"][node]
                assert one.inner_text() == shown(expected), (current, node, name)
                compared += 1
        assert page.locator("#where").inner_text().startswith("1 / ")
    tally("explorer: numbers compared", compared)


def test_data_shown_is_exact_to_the_bit(browser, tmp_path):
    leaves, root = mixed()
    swept(root)
    fg.explore(root, tmp_path / "page.html")
    with opened(browser, tmp_path / "page.html") as page:
        labels = page.evaluate("nodes.map(n => n.label)")
        values, grads = page.evaluate("[values, grads]")
        for leaf in leaves:
            assert values[labels.index(leaf.label)] == leaf.data
            assert grads[labels.index(leaf.label)] == leaf.grad
        assert values[page.evaluate("data.root")] == root.data


def test_partials_are_the_tables(browser, tmp_path):
    _, root = mixed()
    fg.explore(root, tmp_path / "page.html")
    traced = [n for n in fg.trace(root).nodes if n.operation]
    with opened(browser, tmp_path / "page.html") as page:
        of_page = page.evaluate(
            "nodes.flatMap((n, i) => n.op ? [[n.op, values[i], partialsOf(i)]] : [])"
        )
    expected = [(n.operation, n.data, [p + 0.0 for p in n.partials]) for n in traced]
    assert sorted((o, v, [p + 0.0 for p in ps]) for o, v, ps in of_page) == sorted(expected)


def test_edited_leaf_changes_what_depends_on_it(browser, tmp_path):
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    out = (a * b + 10.0).tanh()
    fg.explore(out, tmp_path / "page.html")
    with opened(browser, tmp_path / "page.html") as page:
        page.locator("g.node[data-node='1']").click()
        page.fill("#leaf", "-4.9")
        page.keyboard.press("Enter")
        page.locator("#leaf").blur()
        page.keyboard.press("End")
        c, d = Value(2.0), Value(-4.9)
        expected = (c * d + 10.0).tanh()
        expected.backward()
        assert texts(page)[0, "grad"] == shown(c.grad)
        assert page.evaluate("values[data.root]") == expected.data
        assert page.evaluate("grads[1]") == d.grad


def test_gradient_steps_are_those_of_sgd(browser, tmp_path):
    model, root = network()
    fg.explore(root, tmp_path / "page.html", parameters=model)
    with opened(browser, tmp_path / "page.html") as page:
        page.fill("#rate", "0.02")
        page.click("[data-action=step]")
        page.click("#steps")
        optimizer = fg.optim.SGD(model.parameters(), lr=0.02)
        for _ in range(11):
            loss = (model([Value(1.0), Value(-2.0)]) - 1.0) ** 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss = (model([Value(1.0), Value(-2.0)]) - 1.0) ** 2
        assert page.evaluate("values[data.root]") == loss.data
        assert page.locator("[data-field=loss]").inner_text() == shown(loss.data)
        assert loss.data < root.data
        page.click("[data-action=reset]")
        assert page.evaluate("values[data.root]") == root.data


def test_closed_neurons_show_their_sum_and_its_partials(browser, tmp_path):
    _, root = network()
    fg.explore(root, tmp_path / "page.html")
    with opened(browser, tmp_path / "page.html") as page:
        everything = page.locator("#nodes .node").count()
        before = page.evaluate("[values, grads]")
        page.keyboard.press("c")
        sums = page.evaluate("data.sums")
        inside = sum(len(one["operands"]) - 2 for one in sums)
        assert page.locator("#nodes .node").count() == everything - inside
        assert page.evaluate("[values, grads]") == before
        for one in sums:
            partials = page.evaluate(f"partialsOf({one['node']})")
            data = [before[0][operand] for operand in one["operands"]]
            assert partials == [
                1,
                *(x for k in range(1, len(data), 2) for x in (data[k + 1], data[k])),
            ]
        list(walk(page, "ArrowRight"))
        page.keyboard.press("t")
        page.keyboard.press("c")
        assert page.locator("#nodes .node").count() == everything


def test_keyboard_alone_reaches_everything(browser, tmp_path):
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    fg.explore(a * b + 1.0, tmp_path / "page.html")
    with opened(browser, tmp_path / "page.html") as page:
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            active = "document.activeElement"
            reached.add(page.evaluate(f"{active}.id || {active}.getAttribute('class') || ''"))
        wanted = {"next", "last", "direction", "in", "out", "fit", "rate", "step", "reset", "leaf"}
        assert wanted <= reached
        page.keyboard.press("End")
        assert "backward" in page.locator("#where").inner_text()
        assert "gradient" in page.locator("#say").inner_text()
        page.keyboard.press("ArrowRight")
        assert "10 / 10" in page.locator("#where").inner_text()
        page.keyboard.press("+")
        page.keyboard.press("-")
        page.keyboard.press("0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280, 2000])
def test_page_fits_and_can_be_read(width, scheme, browser, tmp_path):
    model, root = network()
    fg.explore(root, tmp_path / "page.html", parameters=model)
    with opened(browser, tmp_path / "page.html", width, 900, scheme) as page:
        for key in ("Home", "ArrowRight", "End"):
            page.keyboard.press(key)
            box = page.locator(".node.current rect").bounding_box()
            stage = page.locator("#graph").bounding_box()
            assert stage["x"] <= box["x"] <= stage["x"] + stage["width"] - box["width"] + 1
            assert stage["y"] <= box["y"] <= stage["y"] + stage["height"] - box["height"] + 1
            assert box["width"] >= 60
            assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_tape_and_hostile_labels_are_drawn_and_execute_nothing(browser, tmp_path):
    w = Value(0.5, label=HOSTILE)
    out = (w * 2.0).tanh()
    out.label = HOSTILE
    fg.explore(out, tmp_path / "page.html")
    with opened(browser, tmp_path / "page.html") as page:
        list(walk(page, "ArrowRight"))
        assert page.evaluate("nodes[0].label") == HOSTILE
        assert page.title().startswith("</script>")
    fg.explore(fg.record(lambda x: w * x, 1.0), tmp_path / "page.html", args=(3.0,))
    with opened(browser, tmp_path / "page.html") as page:
        assert page.evaluate("values[data.root]") == 1.5
