"""fastgrad's errors: each is also the builtin that a micrograd program would catch."""

import builtins
import re
from pathlib import Path

import pytest

from fastgrad import errors
from fastgrad.errors import FastgradError, explain

OWN = [
    thing
    for name in errors.__all__
    if isinstance(thing := getattr(errors, name), type)
    and thing is not FastgradError
    and not issubclass(thing, Warning)
]


@pytest.mark.parametrize("error", OWN)
def test_errors_are_subclasses_of_builtin_errors(error):
    assert issubclass(error, FastgradError)
    builtin = next(cls for cls in error.__mro__ if cls.__module__ == "builtins")
    assert builtin is not Exception


def test_explain_leaves_out_missing_parts():
    assert explain("a", "b") == "expected a, got b"
    assert explain("a", "b", "c") == "expected a, got b (c)"
    assert explain("a", "b", remedy="d") == "expected a, got b; d"
    assert explain("a", "b", "c", "d") == "expected a, got b (c); d"


# -- native code -----------------------------------------------------------------------------------

NATIVE = Path(__file__).resolve().parents[2] / "src" / "fastgrad" / "_native"
WORDED = NATIVE / "base" / "errors.pyx"
STATEMENT = re.compile(r"^[ \t]*raise\b[ \t]*([^\n]*)", re.MULTILINE)
WITHOUT_WORDS = {
    "": "an error that is under way already",
    "MemoryError()": "there may be no memory for words",
    "Edited()": "caught where the walk begins anew: nobody else sees it",
}
BUILTINS = {
    "ZeroDivisionError": "arithmetic raises what Python floats raise",
    "OverflowError": "as above",
    "ValueError": "as above",
    "MemoryError": "of a size that was asked for: there is memory for words",
    "KeyError": "of the check of second partials, for tests",
    "ImportError": "a FASTGRAD_SIMD that this processor has not: `import fastgrad` fails",
    "SystemError": "a build that cannot work",
}


def own_words(text):
    """Return the raise statements of Cython code that do not go through the one helper."""
    return [
        raised
        for raised in STATEMENT.findall(text)
        if raised not in WITHOUT_WORDS and not raised.startswith("error_of(")
    ]


def native_sources():
    paths = [path for path in NATIVE.rglob("*.p[yx][xdi]") if path != WORDED]
    if not paths:
        pytest.skip("no source tree")
    return {path: path.read_text("utf-8") for path in paths}


def test_no_native_module_words_its_own_errors():
    for path, text in native_sources().items():
        assert own_words(text) == [], path
        assert "explain(" not in text, path


def test_own_words_sees_what_is_forbidden():
    allowed = (
        "try:\n    raise\nraise MemoryError()\nraise error_of(\n  'TypeError')\nraise Edited()\n"
    )
    assert own_words(allowed) == []
    assert own_words(allowed + "    raise TypeError('no')\n") == ["TypeError('no')"]
    assert own_words(allowed + "raise MemoryError") == ["MemoryError"]


def test_native_errors_are_known():
    for path, text in native_sources().items():
        for name in re.findall(r'"(\w+Error)"', text):
            assert name in (BUILTINS if hasattr(builtins, name) else errors.__all__), path


def test_thing_that_cannot_be_shown_is_named_by_what_is_raised():
    pretender = type("int", (), {})()  # shown as its class's name says, which it cannot be
    assert errors.show(pretender) == "one that cannot be shown: AttributeError"
