"""Put the site's sources together: documents as they are, the API, the examples, two pages.

    python docs/sources.py build/docs

Links in documents are those of the repository, so that they work on GitHub too; here all pages lie
in one folder.
"""

import random
import re
import shutil
import sys
from importlib import import_module
from inspect import getdoc, isclass, isroutine
from pathlib import Path

import fastgrad
from fastgrad import MLP, Value, explore
from fastgrad.pages.playground import playground

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
AT_THE_ROOT = ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG", "SECURITY")
FOLDERS = {"examples": "gallery/index.rst", "lessons": "pictures.md#lessons"}
MODULES = (
    "engine", "nn", "functional", "optim", "tape", "training", "family", "operations", "graphs",
    "viz", "pages.explorer", "sklearn", "parallel", "models.makemore", "models.words",
    "command.alias", "nn.init", "errors",
)  # fmt: skip
GALLERY = {  # in which order they are read, and the picture of each
    "gradient_descent_1d": "function.png",
    "line_fit": "fit.gif",
    "house_price": "descent.gif",
    "linear_regression": "landscape.png",
    "micrograd_lecture": "backward.gif",
    "moons": "boundary.png",
    "digits": "inside.png",
    "makemore_mlp": "loss.png",
    "gpt": "loss.png",
    "black_scholes": "surface.png",
    "lotka_volterra": "descent.gif",
}


def gallery_order(name):
    """Sort key of an example's file name."""
    return list(GALLERY).index(name.removesuffix(".py"))


def linked(text):
    """Return a document with links from one folder: `../` and `docs/` go, folders become pages."""
    text = re.sub(r'(\]\(|src(?:set)?=")(?:\.\./|docs/)', r"\1", text)
    return re.sub(r"\]\((\w+)/?\)", lambda m: f"]({FOLDERS.get(m[1], m[1])})", text)


def title(text, underline="="):
    return f"{text}\n{underline * len(text)}\n\n"


def example(text, picture):
    """Return an example with a title, and its numbered comments as text, for sphinx-gallery."""
    first, told, program = re.match(r'"""([^\n]*)\n(.*?)"""\n(.*)', text, re.DOTALL).groups()
    heading, _, lead = first.rstrip(".").partition(": ")
    told = (f"{lead[:1].upper()}{lead[1:]}.\n" if lead else "") + told
    told = re.sub(r"\n\n    (?=\S)", r"\n\n::\n\n    ", told.replace("*", r"\*"))
    program = re.sub(r"^# \d+\. ", "# %%\n# ", program, flags=re.MULTILINE)
    program = re.sub(r"^#    (?=\S)", "# ", program, flags=re.MULTILINE)
    thumbnail = f"# sphinx_gallery_thumbnail_path = 'pictures/{picture}'"
    return f'r"""\n{title(heading)}{told}"""\n{program}\n{thumbnail}\n'


def api(name):
    """Return the page of a module: each name of its `__all__`, by its docstring."""
    module = import_module(f"fastgrad.{name}")
    page = title(f"fastgrad.{name}") + getdoc(module) + "\n\n"
    for public in module.__all__:
        thing = getattr(module, public)
        if thing is Value and name != "engine":
            continue
        if isclass(thing):
            page += f".. autoclass:: fastgrad.{name}.{public}\n   :members:\n\n"
        elif isroutine(thing):
            page += f".. autofunction:: fastgrad.{name}.{public}\n\n"
    return page


def package():
    """Return the page of the names of `fastgrad` itself: links to where they are described."""
    page = title("fastgrad")
    for public in fastgrad.__all__:
        homes = [m for m in MODULES if public in import_module(f"fastgrad.{m}").__all__]
        if homes:
            page += f"- ``fastgrad.{public}``: :py:obj:`fastgrad.{homes[0]}.{public}`\n"
        elif public in MODULES:
            page += f"- ``fastgrad.{public}``: :doc:`{public}`\n"
        else:
            page += f"\n.. autofunction:: fastgrad.{public}\n\n"
    return page


def fill(target):
    """Write everything below the folder `target`, which is emptied."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(DOCS, target, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*DOCS.glob("*.md"), *(ROOT / f"{name}.md" for name in AT_THE_ROOT)]:
        (target / path.name).write_text(linked(path.read_text("utf-8")), "utf-8")
    for folder in ("api", "examples", "whole"):
        (target / folder).mkdir()
    for name in MODULES:
        (target / "api" / f"{name}.rst").write_text(api(name), "utf-8")
    (target / "api" / "fastgrad.rst").write_text(package(), "utf-8")
    (target / "examples" / "GALLERY_HEADER.rst").write_text(
        title("Examples") + "Programs to read like a lecture, with what they print.\n", "utf-8"
    )
    for path in (ROOT / "examples").glob("*.py"):
        text = example(path.read_text("utf-8"), GALLERY[path.stem])
        (target / "examples" / path.name).write_text(text, "utf-8")
    for path in DOCS.glob("*.svg"):  # of README's <picture>, which Sphinx does not read
        shutil.copy(path, target / "whole")
    pages(target / "whole")


def pages(folder):
    """Write the files that explorer.rst and playground.rst show in a frame."""
    random.seed(4)
    model = MLP(2, [3, 1], activation="tanh")
    loss = (model([Value(1.0, label="x0"), Value(-2.0, label="x1")]) - 0.5) ** 2
    explore(loss, folder / "explorer-page.html", parameters=model)
    playground(folder / "playground-page.html")


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
