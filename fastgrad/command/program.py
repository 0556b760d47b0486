"""The sources of a program, before it runs: its own file and the neighbours that it imports.

With --replace-class the trees of all of them are changed before anything is executed, and imports
find the changed ones.  Nothing is imported to find that out: modules are looked up as files.
"""

from __future__ import annotations

import ast
import os
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder, SourceFileLoader
from typing import TYPE_CHECKING, cast

from fastgrad.command.replace_class import (
    class_names,
    engines_in,
    parameters_of,
    parse_replacement,
    rename_arguments,
    replace_classes,
)
from fastgrad.errors import ProgramError, explain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

    from fastgrad.command.replace_class import Replacement

__all__ = ["Source", "own_engines", "parse", "replace_in_program"]


@dataclass
class Source:
    """A file of the program: the module's name, "" for the program itself, its path, its tree."""

    module: str
    path: str
    tree: ast.Module

    @property
    def shown(self) -> str:
        """What messages call it."""
        return os.path.basename(self.path)


def parse(source: bytes | str, filename: str) -> ast.Module:
    """Return the syntax tree; bytes bring their encoding (PEP 263)."""
    flags = ast.PyCF_ONLY_AST  # as ast.parse, without its frame in the traceback
    return cast("ast.Module", compile(source, filename, "exec", flags, dont_inherit=True))


def replace_in_program(main: Sequence[Source], texts: Sequence[str], package: str) -> list[str]:
    """Carry out --replace-class in the program and in what it imports from its own folder.

    Parameters
    ----------
    main : sequence of Source
        The program itself, or the cells of a notebook; the trees are changed in place.
    texts : sequence of str
        `[MODULE:]NAME[=TARGET]` each.
    package : str
        What relative imports of the main file are relative to; "" for a script.

    Returns
    -------
    list of str
        What to tell the user.

    Raises
    ------
    ProgramError
        If a class is found nowhere.
    """
    wanted = [parse_replacement(text) for text in texts]
    neighbours = _neighbours(main, package)
    for one in wanted:
        if one.module and one.module not in neighbours and (found := _locate(one.module)):
            neighbours[one.module] = found
    messages: list[str] = []
    missing = {*wanted}
    own = [one for one in wanted if one.module is None]
    places = [(source, own) for source in main]
    for name, source in neighbours.items():
        places.append((source, [one for one in wanted if one.module in (None, name)]))
    parameters = {
        one: names
        for source, here in places
        for one in here
        if (names := parameters_of(source.tree, one.name))
    }
    changed = {}
    for source, here in places:
        told, found_here = replace_classes(source.tree, here, source.shown)
        messages += told
        missing -= found_here
        if found_here and source.module:
            changed[source.module] = source
    for one in wanted:
        if one in missing:
            raise ProgramError(_no_such_class(one, main, neighbours))
    for source, _ in places:
        for one, names in parameters.items():
            messages += rename_arguments(source.tree, one, names, source.shown)
            if source.module:
                changed[source.module] = source
    if changed:
        sys.meta_path.insert(0, _Finder(changed))
    return messages


def own_engines(main: Sequence[Source], package: str) -> list[str]:
    """Return a note for each class in the program that is an autograd engine of its own."""
    return [
        f"note: {source.shown}:{node.lineno}: class {node.name} is an engine of the program's own; "
        f"--replace-class {source.module and source.module + ':'}{node.name}"
        f"{'' if node.name == 'Value' else '=Value'} runs it on fastgrad's"
        for source in (*main, *_neighbours(main, package).values())
        for node in engines_in(source.tree)
    ]


def _neighbours(main: Sequence[Source], package: str) -> dict[str, Source]:
    """Return the modules that the program imports, by any way, and that lie in its own folder.

    What is installed does not count, wherever: an environment in that folder is not searched.
    """
    if sys.flags.safe_path:  # it is not on sys.path then
        return {}
    folder = [sys.path[0] or os.getcwd()]
    found: dict[str, Source] = {}
    work = [(source, package) for source in main]
    while work:
        source, inside = work.pop()
        for name in _imported(source.tree, inside):
            if name in found:
                continue
            if neighbour := _locate(name, folder):
                found[name] = neighbour
                is_package = os.path.basename(neighbour.path) == "__init__.py"
                work.append((neighbour, name if is_package else name.rpartition(".")[0]))
    return found


def _imported(tree: ast.Module, package: str) -> list[str]:
    """Return the absolute names that the imports of a tree may load, wherever they stand."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            up = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*up, *filter(None, [node.module])])
            names += [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]
    parents = (name.split(".")[: n + 1] for name in names for n in range(name.count(".") + 1))
    return [name for name in dict.fromkeys(map(".".join, parents)) if name]


def _locate(name: str, where: Sequence[str] | None = None) -> Source | None:
    """Find a module's source as `import` would, on sys.path or in folders; import nothing."""
    spec: ModuleSpec | None = None
    parts = name.split(".")
    for n in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: n + 1]), where)
        if spec is None:
            return None
        where = spec.submodule_search_locations
        if where is None and n + 1 < len(parts):
            return None
    if spec is None or not isinstance(spec.loader, SourceFileLoader):
        return None
    path = spec.loader.path
    try:
        return Source(name, path, parse(spec.loader.get_data(path), path))
    except (OSError, SyntaxError, ValueError):  # the program will show it, if it imports it
        return None


def _no_such_class(one: Replacement, main: Sequence[Source], neighbours: dict[str, Source]) -> str:
    sources = (
        [neighbours[one.module]] if one.module in neighbours else [*main, *neighbours.values()]
    )
    if one.module and one.module not in neighbours:
        got = f"no module {one.module!r} with source code"
    else:
        classes = ", ".join(
            dict.fromkeys(n for source in sources for n in class_names(source.tree))
        )
        files = ", ".join(source.shown for source in sources)
        if not classes:
            return explain(
                f"a top-level `class {one.name}`",
                f"no classes in {files}",
                str(one),
                "a program that imports its classes from micrograd runs without --replace-class",
            )
        got = f"the classes {classes} in {files}"
    return explain(
        f"a top-level `class {one.name}`",
        got,
        str(one),
        "name another class as NAME=Value, one of another module as MODULE:NAME",
    )


class _Finder:
    """First on `sys.meta_path`: gives changed modules a loader that has their trees."""

    def __init__(self, changed: dict[str, Source]) -> None:
        self.changed = changed

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        source = self.changed.get(fullname)
        spec = PathFinder.find_spec(fullname, path, target) if source else None
        if source is None or spec is None:
            return None
        if spec.origin != source.path:
            changed = "the program has changed sys.path: run it where it finds the same file"
            raise ImportError(
                explain(
                    f"{fullname} at {source.path}", f"{spec.origin}", "--replace-class", changed
                )
            )
        spec.loader = _Loader(fullname, source.path, source.tree)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, tree: ast.Module) -> None:
        super().__init__(fullname, path)
        self.tree = tree

    def get_code(self, fullname: str) -> CodeType:
        """Compile the changed tree; what lies in __pycache__ is the unchanged one's."""
        return compile(self.tree, self.get_filename(fullname), "exec", dont_inherit=True)
