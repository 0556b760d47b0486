"""A headless Chromium that opens pages as files, and notes all that they must not do."""

import contextlib
import shutil

import pytest

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


@contextlib.contextmanager
def chromium():
    """Yield a browser; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium on PATH")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser, path, width=1280, height=900, scheme="light", fragment=""):
    """Yield a page that is ready; it must neither ask for anything nor complain of anything."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri() + fragment)
    page.wait_for_selector("html[data-ready=true]", state="attached")
    yield page
    assert said == []
    assert [url for url in asked if not url.startswith(("data:", path.as_uri()))] == []
    context.close()


def shown(x):
    """Return a number as pages show it: JavaScript's toPrecision(4)."""
    if x != x or x in (float("inf"), float("-inf")):
        return {float("inf"): "inf", float("-inf"): "-inf"}.get(x, "nan")
    if x == 0:
        return "0.000"
    mantissa, exponent = f"{x:.3e}".split("e")
    power = int(exponent)
    if -7 < power < 4:
        return f"{x:.{3 - power}f}"
    return f"{mantissa}e{power:+d}"


def violations(page):
    """Return what axe-core finds: contrast, names, roles (WCAG 2.1 AA)."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tags = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
    found = axe.Axe().run(page, options=tags).response["violations"]
    return [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found]
