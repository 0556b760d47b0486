"""What README, docs/ and the other documents say is so: programs, commands, links, paths.

Oracle: the texts themselves. Their programs print what stands behind them, their commands name
targets, subcommands and files that exist, and the README is as short as it promises.
"""

import doctest
import json
import re
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from helpers.processes import python

from fastgrad.command import cli

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r'\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"')
END_OF_BLOCK = "\0"

repository = pytest.mark.skipif(
    not (README.is_file() and (ROOT / "fastgrad").is_dir()), reason="no source tree"
)


def read(path):
    return path.read_text("utf-8")


def programs(path):
    """Return each Python block of a document, and what stands behind it in a fence of its own."""
    text, found, end = read(path), [], None
    for match in FENCE.finditer(text):
        if match[1] == "python":
            found.append([match[2], ""])
            end = match.end()
        elif found and not match[1] and not text[end : match.start()].strip():
            found[-1][1] = match[2]
    return found


def run(program, folder):
    process = python("-W", "error", "-c", program, cwd=folder)
    assert (process.returncode, process.stderr) == (0, ""), program
    return process.stdout


def commands(text):
    """Yield every shell command: lines of plain fences, and code in running text."""
    for language, block in FENCE.findall(text):
        if not language:
            yield from (line.split("  #")[0].strip() for line in block.splitlines())
    yield from CODE.findall(FENCE.sub("", text))


def commands_of(path, program):
    pattern = re.compile(rf"(?:^|[\s=]){program} (.+)")
    return [match[1].split() for c in commands(read(path)) if (match := pattern.search(c))]


def headings(path):
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", read(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# Programs -----------------------------------------------------------------------------------------


@pytest.mark.wide
@pytest.mark.parametrize("name", [p.name for p in DOCUMENTS if p != README and programs(p)])
def test_document_programs_print_the_shown_output(name, tmp_path):
    """The blocks of a document build on each other: one process runs them all."""
    blocks = programs(ROOT / "docs" / name)
    program = "".join(f"{block}\nprint({END_OF_BLOCK!r})\n" for block, _ in blocks)
    outputs = run(program, tmp_path).split(f"{END_OF_BLOCK}\n")[:-1]
    assert outputs == [output for _, output in blocks]


def printed(program):
    """Return what the README's programs announce: a comment behind each print."""
    return re.findall(r"^print\(.*\)  # (.*)$", program, re.MULTILINE)


@repository
@pytest.mark.wide
def test_programs_of_the_readme_print_what_their_comments_say(tmp_path):
    for program, _ in programs(README):
        assert len(printed(program)) == len(re.findall(r"^ *print\(", program, re.MULTILINE)) > 0
        assert run(program, tmp_path).splitlines() == printed(program)


@repository
@pytest.mark.wide
def test_first_program_of_the_readme_is_one_of_micrograd_s(tmp_path):
    program = programs(README)[0][0]
    before = re.sub(r"^from fastgrad.*  # was: (.*)$", r"\1", program, flags=re.MULTILINE)
    assert "fastgrad" not in before
    assert before.count("from micrograd") == 2
    assert run(before, tmp_path).splitlines() == printed(program)


# The README's form --------------------------------------------------------------------------------


@repository
def test_readme_is_short_and_opens_with_its_picture():
    text = read(README)
    assert len(text.split()) <= 800
    assert text.splitlines()[2] == "<picture>"
    assert "(prefers-color-scheme: dark)" in text
    assert [language for language, _ in FENCE.findall(text)] == ["python", "python", "python", ""]
    assert {"make demo", "make test"} <= set(CODE.findall(text))


@repository
def test_pictures_and_table_are_those_of_the_stored_times(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.picture import pictures
    from benchmarks.report import MARKERS, headline, page

    result = json.loads(read(ROOT / "benchmarks" / "results" / "latest.json"))
    for name, text in pictures(result["rows"]).items():
        assert read(ROOT / "docs" / name) == text, "make pictures"
    (table,) = (match[0] for match in MARKERS.finditer(read(README)))
    assert headline(result) in table
    assert read(ROOT / "docs" / "benchmarks.md") == page(result)


# Commands, links, paths ---------------------------------------------------------------------------


@repository
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_in_a_document_exist(path):
    rules = re.findall(r"^([\w%.-]+):", read(ROOT / "Makefile"), re.MULTILINE)
    known = re.compile("|".join(rule.replace("%", ".+") for rule in rules))
    for words in commands_of(path, "make"):
        targets = [word for word in words if "=" not in word and word != "#"]
        assert known.fullmatch(targets[0]), words


@repository
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_of_fastgrad_in_a_document_are_understood(path, capsys):
    for command, *rest in commands_of(path, "python -m fastgrad"):
        options = cli._split_program(rest)[0] if command == "run" else rest
        with pytest.raises(SystemExit) as left:
            cli.main([command, "--help"] if command != "--help" else ["--help"])
        assert left.value.code == 0
        shown = capsys.readouterr().out
        for option in options:
            assert not option.startswith("-") or option in shown, (command, option)


@repository
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_modules_that_a_document_runs_exist(path):
    for name, *_ in commands_of(path, "python -m"):
        parts = name.split(".")
        if parts[0] in ("benchmarks", "tests", "tools"):
            assert ROOT.joinpath(*parts).with_suffix(".py").is_file(), name


@repository
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_document_installs_only_existing_packages(path):
    """The name is not on the index: what is installed is the checkout, or a wheel made of it."""
    extras = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    for words in commands_of(path, "pip install"):
        what = next(word for word in words if not word.startswith("-")).strip("'\"")
        extra = re.fullmatch(r"(?:\.|dist/\*\.whl)(?:\[([\w,]+)\])?", what)
        assert extra, what
        assert set((extra[1] or "numpy").split(",")) <= extras.keys()


@repository
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_document_links_have_targets(path):
    for match in LINK.finditer(FENCE.sub("", read(path))):
        target = match[1] or match[2]
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        assert not anchor or anchor in headings(linked), target


@repository
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_paths_in_a_document_exist(path):
    start = re.compile(r"(?:docs|tests|tools|benchmarks|src|fastgrad|\.ci)/[\w./-]+")
    for code in CODE.findall(FENCE.sub("", read(path))):
        if start.fullmatch(code):
            assert (ROOT / code).exists(), code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a `make demo` b", [["demo"]]),
        ("```\nmake test  # all\n```\n", [["test"]]),
        ("```python\nmake = 1\n```\n", []),
        ("`remake x`", []),
    ],
)
def test_commands_are_found_in_code_and_nowhere_else(text, expected, tmp_path):
    (tmp_path / "a.md").write_text(text)
    assert commands_of(tmp_path / "a.md", "make") == expected


@repository
def test_examples_of_commits_have_the_form_and_exist():
    commits = re.findall(r"^- `(\w+)` (.*)$", read(ROOT / "CONTRIBUTING.md"), re.MULTILINE)
    assert len(commits) == 3
    for commit, subject in commits:
        assert re.fullmatch(r"[a-z]+: [a-z].*[^.]", subject)
        assert len(subject) <= 72
        git = ["git", "log", "-1", "--format=%h %s", commit]
        try:
            found = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
        except OSError:
            pytest.skip("no git")
        if found.returncode:
            pytest.skip("no history that reaches back to the example")
        assert found.stdout.split(maxsplit=1)[1].strip() == subject


# Docstrings ---------------------------------------------------------------------------------------

FORMULAS = [f"formulas.{name}" for name in ("sums", "softmax", "tables", "losses", "chance")]
NETWORKS = [f"nn.{name}" for name in ("module", "neurons", "layers", "init", "state")]
OTHERS = ("engine", "operations", "errors", "functional", "optim", "tape", "training", "_random")


@pytest.mark.parametrize("name", [*OTHERS, *FORMULAS, *NETWORKS])
def test_examples_in_docstrings_hold(name):
    module = import_module(f"fastgrad.{name}")
    failed, _ = doctest.testmod(module)
    assert failed == 0


def test_example_of_value_holds():
    value = import_module("fastgrad.engine").Value
    test = doctest.DocTestParser().get_doctest(value.__doc__, {}, "Value", None, None)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
