"""Run an unedited micrograd program with fastgrad in micrograd's place.

The program becomes this process's `__main__`, as `python script.py` would have it, and nothing is
put back afterwards: its threads and exit handlers outlive these functions.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from fastgrad.command.alias import install_as_micrograd
from fastgrad.command.program import Source, own_engines, parse, replace_in_program
from fastgrad.errors import ProgramError, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType

__all__ = ["run_module", "run_script"]

_OWN = {f"fastgrad.command.{name}" for name in ("runner", "program", "notebook")}


def run_script(path: str, arguments: Sequence[str], replace: Sequence[str] = ()) -> int:
    """Run the file `path` as `python path arguments...` would.

    Parameters
    ----------
    path : str
        A Python source file in any encoding that it declares, a notebook (.ipynb), or "-" for
        standard input.
    arguments : sequence of str
        The program's `sys.argv[1:]`.
    replace : sequence of str, optional
        Classes of the program that give way to fastgrad's: `[MODULE:]NAME[=TARGET]`.

    Returns
    -------
    int
        Exit status: 0, or 1 after an uncaught exception, which has been reported by then.

    Raises
    ------
    ProgramError
        If the program cannot be started.
    SystemExit, KeyboardInterrupt
        The program's own.
    """
    if path == "-":
        _prepare(["-", *arguments], "")
        data = sys.stdin.buffer.read()
        return _execute(lambda: _compile(data, "<stdin>", replace), _new_main())
    data = _read(path)
    filename = os.path.abspath(path)
    _prepare([path, *arguments], os.path.dirname(os.path.realpath(path)))
    main = _new_main(__file__=filename, __loader__=SourceFileLoader("__main__", filename))
    load = _compile_notebook if path.endswith(".ipynb") else _compile
    return _execute(lambda: load(data, filename, replace), main)


def run_module(name: str, arguments: Sequence[str], replace: Sequence[str] = ()) -> int:
    """Run a module or package as `python -m name arguments...` would.

    Parameters, result and errors are those of `run_script`.
    """
    _prepare(["-m", *arguments], os.getcwd())  # what sys.argv[0] is while the module is being found
    main = _new_main()

    def load() -> list[CodeType]:
        spec = _find_module(name)
        # The loader can be any; a source loader is the case that typeshed knows these methods of.
        loader: SourceFileLoader = spec.loader  # type: ignore[assignment]
        sys.argv[0] = main.__file__ = spec.origin or name
        main.__loader__, main.__package__, main.__spec__ = loader, spec.parent, spec
        source = loader.get_source(spec.name)
        if source is not None:
            return _compile(source, main.__file__, replace, spec.parent or "")
        if replace:
            raise ProgramError(
                explain("a module with source code", f"{name!r}, which has none", "--replace-class")
            )
        code = loader.get_code(spec.name)
        if code is None:
            raise ProgramError(explain("a module with code", f"{name!r}, which has none", "-m"))
        return [code]

    return _execute(load, main)


def _prepare(argv: list[str], first_path: str) -> None:
    sys.argv[:] = argv
    if not sys.flags.safe_path:  # under -P and -I there is no entry to exchange
        sys.path[0] = first_path
    install_as_micrograd()


def _new_main(**attributes: object) -> ModuleType:
    """Create the namespace that `python script.py` starts with."""
    main = ModuleType("__main__")
    vars(main).update({"__builtins__": builtins, **attributes})
    return main


def _execute(load: Callable[[], list[CodeType]], main: ModuleType) -> int:
    sys.modules["__main__"] = main
    try:
        codes = load()
    except ProgramError:
        raise
    except Exception as error:  # a syntax error; or what the module's package raises when imported
        return _report(error)
    try:
        for code in codes:
            exec(code, vars(main))  # noqa: S102
    except SystemExit:
        raise
    except BaseException as error:
        return _report(error)
    return 0


def _report(error: BaseException) -> int:
    """Show an uncaught exception as the interpreter would, from the program's own frames on."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__") in _OWN:
        frames = frames.tb_next
    error = error.with_traceback(frames)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, frames  # for pdb.pm()
    sys.last_exc = error  # type: ignore[attr-defined,unused-ignore]  # from 3.12
    sys.excepthook(type(error), error, frames)
    if isinstance(error, KeyboardInterrupt):
        # The interpreter, too, must see it: its exit status tells the shell to stop.  Shown it is.
        sys.excepthook = lambda *_: None
        raise error
    return 1


def _read(path: str) -> bytes:
    if os.path.isdir(path):
        raise ProgramError(
            explain(
                "a Python script",
                f"the directory {path!r}",
                remedy="name the script in it, or a package with -m",
            )
        )
    try:
        with io.open_code(os.path.abspath(path)) as file:
            return file.read()
    except FileNotFoundError:
        raise ProgramError(
            explain(
                "a Python script",
                f"{path!r}, which does not exist in {os.getcwd()}",
                remedy="check the path, or name a module with -m",
            )
        ) from None
    except OSError as error:
        raise ProgramError(explain("a Python script", f"{path!r}: {error.strerror}")) from None


def _compile(
    source: bytes | str, filename: str, replace: Sequence[str], package: str = ""
) -> list[CodeType]:
    """Compile, without this file's own `from __future__`; bytes bring their encoding (PEP 263)."""
    main = Source("", filename, parse(source, filename))
    _change([main], replace, package)
    return [compile(main.tree if replace else source, filename, "exec", dont_inherit=True)]


def _compile_notebook(data: bytes, filename: str, replace: Sequence[str]) -> list[CodeType]:
    from fastgrad.command.notebook import compile_cell, read_notebook, show_cells_in_tracebacks

    show_cells_in_tracebacks()
    cells = read_notebook(data, filename)
    _change(cells, replace, "")
    return [code for cell in cells for code in compile_cell(cell)]


def _change(main: list[Source], replace: Sequence[str], package: str) -> None:
    """Replace classes in the program; where nobody asked for it, say which could be."""
    told = replace_in_program(main, replace, package) if replace else own_engines(main, package)
    for message in told:
        print(f"fastgrad: {message}", file=sys.stderr)


def _find_module(name: str) -> ModuleSpec:
    """Find what `python -m name` executes: the module, or the package's `__main__`."""
    spec = _find_spec(name)
    is_package = spec is not None and spec.submodule_search_locations is not None
    if is_package and not name.endswith(".__main__"):
        return _find_module(f"{name}.__main__")
    if spec is None or spec.loader is None:
        raise ProgramError(
            explain(
                "a module or a package with a `__main__`",
                f"{name!r}, which cannot be found",
                "-m",
                "name it as in `import`, without `.py`, from the folder that `import` searches",
            )
        )
    return spec


def _find_spec(name: str) -> ModuleSpec | None:
    parent = name.rpartition(".")[0]
    try:
        if parent:
            __import__(parent)  # not inside find_spec: its traceback would begin in importlib
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise  # the package is there, and misses something that it imports
        return None
    try:
        return find_spec(name)
    except (ImportError, ValueError):  # a relative or empty name, or a parent that is no package
        return None
