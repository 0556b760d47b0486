"""Write what follows from the table: `python tools/ops/generate.py [--check] [--root DIR]`."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parent))

import expression
import print_c
import print_python

ROOT = Path(__file__).resolve().parents[2]


def load_table(root: Path = ROOT) -> ModuleType:
    """Import fastgrad/ops.py alone, without the package around it."""
    spec = importlib.util.spec_from_file_location("fastgrad_ops", root / "fastgrad" / "ops.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"no table at {root}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses looks its module up there
    spec.loader.exec_module(module)
    return module


def check_row(row) -> None:
    """Raise ExpressionError, naming the row, where one of its texts is wrong."""
    inputs = row.arity + (row.parameter is not None)
    operands = "ab"[:inputs]
    texts = [(row.forward, operands), (row.formula, operands), (row.singular or "0", "aby")]
    texts += [(text, operands + "y") for text in row.partials]
    texts += [(condition, operands + "y") for condition, _, _ in row.raises]
    try:
        for text, names in texts:
            expression.parse(text, names)
        print_c.second_partials(row)
        for _, kind, _ in row.raises:
            if kind not in print_c.ERRORS:
                raise expression.ExpressionError(f"{kind!r} is no kind of error")
        if len(row.domain) != inputs:
            raise expression.ExpressionError(f"expected {inputs} interval(s), got {row.domain}")
    except expression.ExpressionError as error:
        raise expression.ExpressionError(f"operation {row.name!r}: {error}") from None


def outputs(root: Path = ROOT) -> dict[str, str]:
    """Return what each generated file should contain, by path relative to the root."""
    table = load_table(root)
    rows, native, structural = table.rows(), table.native(), tuple(table.STRUCTURAL.values())
    for row in rows:
        check_row(row)

    def filled(path: str, text: str) -> str:
        return print_python.fill((root / path).read_text(encoding="utf-8"), text, path)

    return {
        "src/fastgrad/_native/ops/ops.h": print_c.header(structural, native),
        "src/fastgrad/_native/ops/codes.pxd": print_c.declarations(structural, native),
        "src/fastgrad/_native/ops/methods.pxi": print_python.methods(native),
        "src/fastgrad/_native/ops/functional.pxi": print_python.functions(rows),
        "fastgrad/functional.pyi": filled("fastgrad/functional.pyi", print_python.stubs(rows)),
        "fastgrad/functional.py": filled("fastgrad/functional.py", print_python.exports(rows)),
        "fastgrad/engine.pyi": filled("fastgrad/engine.pyi", print_python.method_stubs(rows)),
        "docs/operations.md": filled("docs/operations.md", print_python.table(rows)),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the generated files, or with --check name those that are stale."""
    parser = argparse.ArgumentParser(description="Generate what follows from fastgrad/ops.py.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    parser.add_argument("--root", type=Path, default=ROOT, help="repository to work on")
    options = parser.parse_args(arguments)
    stale = 0
    for name, text in outputs(options.root).items():
        path = options.root / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue  # an untouched timestamp saves a rebuild
        stale += 1
        if options.check:
            print(f"{name} is stale: run `make ops`", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {name}")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
