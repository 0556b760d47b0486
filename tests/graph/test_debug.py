"""fastgrad.debug: errors of backward name the line that made the operation."""

import threading

import pytest

import fastgrad as fg
from fastgrad import Value


def made(x):
    return x.sqrt() + 1.0


HERE = f"made at {__file__}:{made.__code__.co_firstlineno + 1} in made"


def error_of(function):
    with pytest.raises(ZeroDivisionError) as raised:
        function()
    return str(raised.value)


def failing():
    made(Value(0.0)).backward()


def test_error_of_backward_without_debug_says_how_to_see_the_line():
    assert "compute it inside `with fastgrad.debug():`" in error_of(failing)


def test_error_of_backward_inside_debug_names_the_line():
    with fg.debug():
        assert HERE in error_of(failing)
        with fg.debug():
            assert HERE in error_of(failing)
        assert HERE in error_of(failing)
    assert HERE not in error_of(failing)


def test_debug_decorates_functions_and_ends_after_errors():
    assert HERE in error_of(fg.debug()(failing))
    assert HERE not in error_of(failing)


def test_debug_outlives_a_recording_inside_it():
    with fg.debug():
        early = made(Value(0.0))
        tape = fg.record(lambda x: x * 2.0, 1.0)
        assert tape(3.0) == 6.0
        assert HERE in error_of(early.backward)
        assert HERE in error_of(failing)


def test_debug_concerns_its_own_thread():
    found = []
    with fg.debug():
        thread = threading.Thread(target=lambda: found.append(error_of(failing)))
        thread.start()
        thread.join()
    assert HERE not in found[0]


def test_leaving_debug_that_was_not_entered_changes_nothing():
    fg.debug().__exit__(None, None, None)
    with fg.debug():
        assert HERE in error_of(failing)
