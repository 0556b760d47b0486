"""Write what follows from the tables: `python tools/ops/generate.py [--check] [--root DIR]`.

The tables are fastgrad/ops.py, of operations, and fastgrad/rules.py, of optimizers.
"""

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
import print_rules
import print_slopes

ROOT = Path(__file__).resolve().parents[2]


def load_table(root: Path = ROOT, table: str = "ops") -> ModuleType:
    """Import fastgrad/ops.py or another table alone, without the package around it."""
    path = root / "fastgrad" / f"{table}.py"
    spec = importlib.util.spec_from_file_location(f"fastgrad_{table}", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"no table at {root}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses looks its module up there
    spec.loader.exec_module(module)
    return module


def check_row(row, twice: bool = True) -> None:
    """Raise ExpressionError, naming the row, where one of its texts is wrong.

    `twice`: it must have second derivatives, as those of the table.
    """
    inputs = row.arity + (row.parameter is not None)
    operands = "ab"[:inputs]
    texts = [(row.forward, operands), (row.formula, operands), (row.singular or "0", "aby")]
    texts += [(text, operands + "y") for text in row.partials]
    texts += [(condition, operands + "y") for condition, _, _ in row.raises]
    try:
        for text, names in texts:
            expression.parse(text, names)
        if twice:
            print_c.second_partials(row)
        for _, kind, _ in row.raises:
            if kind not in print_c.ERRORS:
                raise expression.ExpressionError(f"{kind!r} is no kind of error")
        if len(row.domain) != inputs:
            raise expression.ExpressionError(f"expected {inputs} interval(s), got {row.domain}")
    except expression.ExpressionError as error:
        raise expression.ExpressionError(f"operation {row.name!r}: {error}") from None


def outputs_of_operations(root: Path = ROOT) -> dict[str, str]:
    """Return what follows from the table of operations, by path relative to the root."""
    table = load_table(root)
    rows, native, structural = table.rows(), table.native(), tuple(table.STRUCTURAL.values())
    for row in rows:
        check_row(row)
    for row in table.slopes():
        check_row(row, twice=False)
    coded = (*native, *table.slopes())
    return {
        "src/fastgrad/_native/ops/ops.h": print_c.header(structural, native, table.slopes()),
        "src/fastgrad/_native/ops/slopes.h": print_slopes.slopes(coded),
        "src/fastgrad/_native/ops/codes.pxd": print_c.declarations(structural, coded),
        "src/fastgrad/_native/ops/methods.pxi": print_python.methods(native),
        "src/fastgrad/_native/ops/functional.pxi": print_python.functions(rows),
        **filled(root, "fastgrad/functional.pyi", print_python.stubs(rows)),
        **filled(root, "fastgrad/functional.py", print_python.exports(rows)),
        **filled(root, "fastgrad/engine.pyi", print_python.method_stubs(rows)),
        **filled(root, "docs/operations.md", print_python.table(rows)),
    }


def outputs_of_optimizers(root: Path = ROOT) -> dict[str, str]:
    """Return what follows from the table of optimizers, by path relative to the root."""
    table = load_table(root, "rules")
    rows = table.rows()
    for row in rows:
        print_rules.check_row(row, table.TABLE)
    return {
        "src/fastgrad/_native/train/loops.h": print_rules.loops(rows),
        **filled(root, "fastgrad/optim.py", print_rules.classes(rows)),
        **filled(root, "docs/optimizers.md", print_rules.page(rows)),
    }


def outputs(root: Path = ROOT) -> dict[str, str]:
    """Return what each generated file should contain, by path relative to the root."""
    return outputs_of_operations(root) | outputs_of_optimizers(root)


def filled(root: Path, path: str, text: str) -> dict[str, str]:
    """Return a file with a text between its markers."""
    return {path: print_python.fill((root / path).read_text(encoding="utf-8"), text, path)}


def main(arguments: list[str] | None = None) -> int:
    """Write the generated files, or with --check name those that are stale."""
    parser = argparse.ArgumentParser(
        description="Generate what follows from the tables of operations and optimizers."
    )
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
