"""Let `import micrograd` find fastgrad, for programs that nobody will edit."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # `typing` itself would cost a millisecond at import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["install_as_micrograd", "restore_micrograd"]

_PACKAGE = "micrograd"
_TARGETS = {"micrograd.engine": "fastgrad.engine", "micrograd.nn": "fastgrad.nn"}


def install_as_micrograd() -> None:
    """Make `import micrograd` give fastgrad, in this process, from now on.

    `micrograd`, `micrograd.engine` and `micrograd.nn` resolve to fastgrad whether or not micrograd
    is installed or has been imported: `micrograd.engine.Value is fastgrad.engine.Value`.  Other
    submodules of an installed micrograd, or of a fork of it on `sys.path`, are still found, and get
    fastgrad's `Value` in their turn.  A second call changes nothing.

    Warns
    -----
    FastgradWarning
        If micrograd has been imported already: names taken from it keep its slow classes until
        they are imported again, and the two kinds of `Value` do not mix.

    See Also
    --------
    restore_micrograd : The way back.

    Notes
    -----
    Nothing on disk changes, and classes keep their own `__module__`: pickles say `fastgrad`.
    Cost: one search of `sys.path` at the first `import micrograd`.  Child processes inherit the
    effect by fork; those that multiprocessing starts by spawn or forkserver call this themselves.

    Examples
    --------
    >>> import fastgrad
    >>> fastgrad.install_as_micrograd()
    >>> from micrograd.engine import Value
    >>> Value is fastgrad.engine.Value
    True
    >>> fastgrad.command.alias.restore_micrograd()
    """
    if _installed() is not None:
        return
    finder = _Finder(_take_modules())
    sys.meta_path.insert(0, finder)
    if finder.displaced:
        import warnings

        from fastgrad.errors import FastgradWarning

        warnings.warn(
            "micrograd was imported before fastgrad.install_as_micrograd(): names that were taken "
            "from it keep micrograd's classes, and must not be mixed with fastgrad's; import them "
            "again, or call install_as_micrograd() first",
            FastgradWarning,
            stacklevel=2,
        )


def restore_micrograd() -> None:
    """Undo `install_as_micrograd`: the next `import micrograd` gives the installed one, if any.

    Modules that `install_as_micrograd` had displaced come back as the same objects.  Names that
    were imported in between keep fastgrad's classes.
    """
    finder = _installed()
    if finder is not None:
        sys.meta_path.remove(finder)
        _take_modules()
        sys.modules.update(finder.displaced)


def _installed() -> _Finder | None:
    return next((finder for finder in sys.meta_path if isinstance(finder, _Finder)), None)


def _take_modules() -> dict[str, ModuleType]:
    """Remove micrograd from `sys.modules`, with all submodules: any may hold its `Value`."""
    names = [name for name in sys.modules if name == _PACKAGE or name.startswith(f"{_PACKAGE}.")]
    return {name: sys.modules.pop(name) for name in names}


class _Finder:
    """Finder and loader in one, first on `sys.meta_path`.

    Entries in `sys.modules` alone would do for a script; a finder also survives the notebook's
    `del sys.modules["micrograd"]`, answers `importlib.util.find_spec`, and imports on demand.
    """

    def __init__(self, displaced: dict[str, ModuleType]) -> None:
        self.displaced = displaced

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _PACKAGE and fullname not in _TARGETS:
            return None
        from importlib.machinery import ModuleSpec

        # Not a subclass of importlib.abc.Loader: importing that module is not cheap.
        spec = ModuleSpec(fullname, self, is_package=fullname == _PACKAGE)  # type: ignore[arg-type]
        if fullname == _PACKAGE:
            spec.submodule_search_locations = self._locations_on_disk(path, target)
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:  # noqa: ARG002
        return None  # the usual empty module

    def exec_module(self, module: ModuleType) -> None:
        from importlib import import_module

        if module.__name__ == _PACKAGE:
            for alias in _TARGETS:  # micrograd leaves this to the program; here it costs nothing
                setattr(module, alias.rpartition(".")[2], import_module(alias))
        else:
            # A module may exchange itself while it is executed.  Handing fastgrad's module to
            # create_module instead would have importlib overwrite that module's __spec__.
            sys.modules[module.__name__] = import_module(_TARGETS[module.__name__])

    def _locations_on_disk(
        self, path: Sequence[str] | None, target: ModuleType | None
    ) -> list[str]:
        """Where a micrograd that is really there keeps its other submodules."""
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(_PACKAGE, path, target)):
                return list(spec.submodule_search_locations or ())
        return []
