"""The documentation's site: what is made for Sphinx, and the check of what its pages load.

Oracle: pages with a planted request or a broken link, which the check must name; the examples and
documents themselves. `make docs` builds the site and runs the check on it.
"""

import ast
import importlib.util
from pathlib import Path

import pytest

import fastgrad

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / "docs" / "sources.py").is_file(), reason="no source tree"
)


def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sources():
    return load("docs/sources.py")


@pytest.fixture
def faults(tmp_path):
    check = load("tools/checks/site.py")

    def faults_of(text, name="page.html"):
        (tmp_path / name).write_text(text)
        return list(check.faults(tmp_path))

    return faults_of


# The check ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example/mathjax.js"></script>',
        '<script async src="//cdn.example/mathjax.js"></script>',
        '<link rel="stylesheet" href="HTTP://fonts.example/css">',
        '<img src="https://example/a.png">',
        '<img srcset="a.png 1x, https://example/b.png 2x" src="page.html">',
        '<iframe src="https://example/"></iframe>',
        '<p style="background: url(https://example/a.png)"></p>',
        '<style>@import "https://example/a.css";</style>',
        "<style>@font-face { src: url('https://example/a.woff2') }</style>",
        '<script>fetch("https://example/data.json")</script>',
    ],
)
def test_check_of_a_page_that_loads_from_elsewhere_names_the_request(text, faults):
    assert any("page.html: loads" in fault for fault in faults(text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.css", "@font-face { src: url(https://example/a.woff2) }"),
        ("a.js", 'import("https://example/a.js")'),
    ],
)
def test_check_of_a_style_or_script_that_loads_from_elsewhere_names_it(name, text, faults):
    assert [fault.partition(":")[0] for fault in faults(text, name)] == [name]


@pytest.mark.parametrize("link", ["none.html", "page.html#none", "#none"])
def test_check_of_a_link_to_nothing_names_it(link, faults):
    (fault,) = faults(f'<a href="{link}">a</a>')
    assert fault.endswith(f" {link}")


def test_check_of_a_page_whose_links_hold_finds_nothing(faults):
    text = '<p id="a"></p><a href="#a">a</a><a href="page.html?q#a">b</a><a href="https://example/">c</a>'
    assert faults(text + '<img src="data:image/png;base64,AAAA"><a href="mailto:a@b">d</a>') == []


# What is made for Sphinx --------------------------------------------------------------------------


def test_site_shows_each_example_as_the_program_that_it_is(sources):
    paths = sorted((ROOT / "examples").glob("*.py"))
    assert sorted(sources.GALLERY) == [path.stem for path in paths]
    for path in paths:
        text = path.read_text("utf-8")
        made = sources.example(text, sources.GALLERY[path.stem])
        before, after = (ast.dump(ast.Module(ast.parse(t).body[1:], [])) for t in (text, made))
        assert before == after
        assert made.count("# %%\n") > 1
        assert (ROOT / "docs" / "pictures" / sources.GALLERY[path.stem]).is_file()


def test_site_has_each_document_in_its_contents():
    contents = (ROOT / "docs" / "index.rst").read_text("utf-8").split()
    documents = [path.stem for path in (ROOT / "docs").glob("*.md")]
    assert set(documents) <= set(contents)


def test_site_has_each_public_name_of_its_modules(sources):
    for name in sources.MODULES:
        page = sources.api(name)
        assert page.startswith(f"fastgrad.{name}\n")
        assert ".. auto" in page, name


def test_site_has_each_name_of_the_package(sources):
    page = sources.package()
    assert [name for name in fastgrad.__all__ if f"fastgrad.{name}" not in page] == []
    assert ".. autofunction:: fastgrad.manual_seed\n" in page


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](docs/tapes.md#decisions)", "[a](tapes.md#decisions)"),
        ("[a](../ARCHITECTURE.md)", "[a](ARCHITECTURE.md)"),
        ("[a](../lessons)", "[a](pictures.md#lessons)"),
        ("[a](examples)", "[a](gallery/index.rst)"),
        ('srcset="docs/a.svg"', 'srcset="a.svg"'),
        ("[a](https://example.org/docs/)", "[a](https://example.org/docs/)"),
    ],
)
def test_links_of_documents_lead_to_pages_of_the_site(text, expected, sources):
    assert sources.linked(text) == expected
