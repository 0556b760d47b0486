"""The playground in Chromium: it trains, pauses, steps, resets, shares, exports.

Oracle: the exported program, run by this fastgrad; a recorded tape with the network's numbers.
`make test-browser` runs this.
"""

import math
import random

import pytest
from helpers.browser import chromium, opened, shown, violations
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value, functional
from fastgrad.pages.playground import playground

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    made = tmp_path_factory.mktemp("playground") / "page.html"
    playground(made)
    return made


def loss_of(page):
    return float(page.locator("[data-field=loss]").inner_text())


def press(page, action):
    page.click(f"[data-action={action}]")


@pytest.mark.parametrize("data", ["moons", "circles", "spirals", "xor", "lines"])
def test_training_runs_until_the_loss_falls(data, browser, path):
    with opened(browser, path, fragment=f"#data={data}&speed=6") as page:
        before = loss_of(page)
        press(page, "run")
        assert page.locator("[data-action=run]").is_disabled()
        falls = f"measured.loss < {0.95 * before} ? done() : requestAnimationFrame(look)"
        page.evaluate(f"new Promise(done => {{ const look = () => {falls}; look(); }})")
        press(page, "pause")
        steps = page.locator("#steps").inner_text()
        page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        assert page.locator("#steps").inner_text() == steps
        assert "Paused after" in page.locator("#say").inner_text()
        press(page, "reset")
        assert loss_of(page) == before
        assert page.locator("#steps").inner_text() == "0"


def test_steps_are_those_of_fit(browser, path):
    fragment = (
        "#layers=3,2&activation=tanh&optimizer=SGD&rate=0.1&batch=10&points=50&penalty=squares"
    )
    with opened(browser, path, fragment=f"{fragment}&strength=0.01") as page:
        parameters = [Value(x) for x in page.evaluate("[...net.loss.parameters]")]
        data = page.evaluate("data")

        def loss(x, y, side, strength):
            values, rest, weights = [x, y], iter(parameters), []
            for n, last in ((3, False), (2, False), (1, True)):
                made = []
                for _ in range(n):
                    total = next(rest)
                    for value in values:
                        weights.append(next(rest))
                        total = total + weights[-1] * value
                    made.append(total if last else functional.tanh(total))
                values = made
            penalty = 0.0
            for w in weights:
                penalty = penalty + w * w
            return functional.softplus(values[0] * side * -1.0) + penalty * strength

        tape = fg.record(loss, 0.1, 0.2, 1.0, 0.01)
        columns = [list(column) for column in zip(*data, strict=True)]
        optimizer = fg.optim.SGD(parameters, lr=0.1)
        fg.fit(tape, *columns, [0.01] * 50, optimizer=optimizer, steps=12, batch_size=10, seed=1)
        for _ in range(12):
            press(page, "step")
        found = page.evaluate("[...net.loss.parameters]")
        assert found == pytest.approx([p.data for p in parameters], rel=1e-12)
        assert page.locator("#steps").inner_text() == "12"


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "gelu", "softplus"])
def test_exported_python_has_the_same_outputs(activation, browser, path):
    with opened(browser, path, fragment=f"#activation={activation}&layers=5,3&data=xor") as page:
        for _ in range(5):
            press(page, "step")
        page.click("#export summary")
        page.wait_for_selector("#export[open] #python")
        page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        program, names = page.locator("#python").input_value(), {"__name__": "exported"}
        exec(program, names)
        rng = random.Random(2)
        points = [(rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.5)) for _ in range(50)]
        scores = page.evaluate(
            "points => points.map(([x, y]) => net.score.call([x, y, 0, 0])[0])", points
        )
        assert [names["score"](*point) for point in points] == scores
        values = [names["score"](Value(x), Value(y)).data for x, y in points]
        assert values == scores
    tally("playground: outputs of exported programs", len(points))


def test_one_sample_shows_each_neurons_number_and_gradient(browser, path):
    with opened(browser, path, fragment="#layers=4&data=circles&points=50") as page:
        page.click("#sample")
        page.click("#following")
        x, y, side = page.evaluate("data[1]")
        weights = iter(page.evaluate("[...net.loss.parameters]"))
        hidden = []
        point = [Value(x), Value(y)]
        for _ in range(4):
            total = Value(next(weights))
            for value in point:
                total = total + next(weights) * value
            hidden.append(total.tanh())
        score = Value(next(weights))
        for value in hidden:
            score = score + next(weights) * value
        functional.softplus(score * float(side) * -1.0).backward()
        for layer, nodes in enumerate((point, hidden, [score])):
            for k, node in enumerate(nodes):
                spot = f"#network [data-layer='{layer}'][data-neuron='{k}']"
                assert page.locator(f"{spot}[data-field=data]").text_content() == shown(node.data)
                assert page.locator(f"{spot}[data-field=grad]").text_content() == shown(node.grad)
        assert "Sample 2" in page.locator("#explained").inner_text()


def test_address_holds_the_settings(browser, path):
    with opened(browser, path, fragment="#layers=3&rate=7&noise=x&optimizer=RMSprop") as page:
        assert page.evaluate("[settings.layers, settings.rate, settings.noise]") == ["3", 0.01, 0.1]
        page.select_option("#activation", "relu")
        page.fill("#layers", "4,4")
        page.keyboard.press("Enter")
        page.locator("#layers").blur()
        address = page.evaluate("location.hash")
        settings = page.evaluate("settings")
        page.fill("#layers", "0")
        page.locator("#layers").blur()
        assert page.evaluate("settings.layers") == "4,4"
    with opened(browser, path, fragment=address) as page:
        assert page.evaluate("settings") == settings


def test_own_points_are_pasted_drawn_and_shared(browser, path):
    with opened(browser, path) as page:
        page.click("summary:has-text('Own data')")
        page.fill("#csv", "0, 1, 1\n1 0 -1\n<img src=x onerror=alert(1)>")
        page.click("#use")
        assert "expected x, y, class" in page.locator("#csv-say").inner_text()
        page.fill("#csv", "0, 1, 1\n1 0 -1\n\n-0.5;0.25;0")
        page.click("#use")
        assert page.evaluate("data") == [[0, 1, 1], [1, 0, -1], [-0.5, 0.25, -1]]
        page.click("#class-2")
        page.locator("#picture").click(position={"x": 60, "y": 60})
        assert page.evaluate("data.length") == 4
        assert page.evaluate("data[3][2]") == -1
        press(page, "step")
        address, data = page.evaluate("location.hash"), page.evaluate("data")
    with opened(browser, path, fragment=address) as page:
        assert page.evaluate("data") == data
        page.click("summary:has-text('Own data')")
        page.click("#clear")
        assert page.evaluate("settings.data") == "moons"


def test_rate_that_is_too_large_stops_with_words(browser, path):
    with opened(
        browser, path, fragment="#optimizer=SGD&activation=relu&layers=8,8,8&batch=1"
    ) as page:
        page.evaluate("net.trainer.setHyper({...hyper(), lr: 1e300})")
        for _ in range(4):
            press(page, "step")
        assert "not finite" in page.locator("#say").inner_text()
        assert math.isfinite(page.evaluate("net.loss.parameters[0]"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_page_fits_and_can_be_read(width, scheme, browser, path):
    with opened(browser, path, width, 900, scheme) as page:
        page.click("#sample")
        page.click("#export summary")
        press(page, "step")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_keyboard_alone_trains(browser, path):
    with opened(browser, path) as page:
        page.keyboard.press("Tab")
        for _ in range(2):  # Run, then Step: Pause is disabled
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.dataset.action") == "step":
                break
        assert page.evaluate("document.activeElement.dataset.action") == "step"
        page.keyboard.press("Enter")
        assert page.locator("#steps").inner_text() == "1"
