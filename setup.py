"""Compile src/fastgrad/_native; all else about the package is in pyproject.toml.

FASTGRAD_BUILD         release (default), quick, debug, coverage, sanitize, valgrind, annotate
FASTGRAD_ID_BITS       width of a node id, 8, 16 or 32: a narrow one lets tests reach overflow
FASTGRAD_CHUNK_SHIFT   2**n nodes in a chunk: a small n makes tests cross every boundary
"""

import os
import re
import sys
import sysconfig
import tomllib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.modified import newer_group

MODE = os.environ.get("FASTGRAD_BUILD") or "release"
KNOBS = {k: v for k in ("FASTGRAD_ID_BITS", "FASTGRAD_CHUNK_SHIFT") if (v := os.environ.get(k))}
# Timestamps cannot see a changed switch: each set of switches has a build tree of its own.
VARIANT = "-".join([MODE, *(k.split("_")[1].lower() + v for k, v in KNOBS.items())])
SRC, CYTHON_DIR = Path("src", "fastgrad", "_native"), Path("build", f"cython-{VARIANT}")

DIRECTIVES = {
    "auto_pickle": False,  # pickling is written by hand; generated __reduce__ shows in the stubs
    "autotestdict": False,  # doctest finds builtins by itself; __test__ would show in the stubs
    "binding": False,  # builtin functions: cheaper to call than Cython's own function type
    "boundscheck": False,
    "c_api_binop_methods": True,  # one slot function for both operand orders, no dispatch before it
    "cdivision": True,  # kernels test for zero where Python would raise
    "embedsignature": True,
    "embedsignature.format": "clinic",  # inspect.signature() reads it although binding is off
    "initializedcheck": False,
    "language_level": 3,
    "wraparound": False,
}
# No fused multiply-add: every machine gives the same bits. No errno, which nobody reads, and no
# flags of exceptions: with them loops around sqrt or a comparison are not vectorised.
COMMON = """-ffp-contract=off -fno-math-errno -fno-trapping-math
    -fvisibility=hidden -U_FORTIFY_SOURCE -Wall -Wextra -Wno-unused-function -Wno-unused-parameter
    -Wno-missing-field-initializers -Wno-cast-function-type"""
CHECKED = "-g3 -UNDEBUG -DFASTGRAD_DEBUG=1"  # Python's own flags hold -DNDEBUG: no assert()
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
FLAGS = {  # mode: compiler, linker
    "release": ("-O3 -g0 -D_FORTIFY_SOURCE=3 -fstack-protector-strong", "-s -Wl,-z,relro,-z,now"),
    "quick": ("-O1 -g0", ""),  # for tools/faults/plant.py, which compiles again and again
    "annotate": ("-O0", ""),
    "debug": (f"-O0 {CHECKED}", ""),
    "coverage": ("-O0 -g --coverage -fprofile-update=atomic", "--coverage"),
    "valgrind": (f"-O1 -DFASTGRAD_SANITIZE=1 {CHECKED}", ""),
    "sanitize": (f"-O1 -DFASTGRAD_SANITIZE=1 {CHECKED} {SANITIZERS}", SANITIZERS),
}
CFLAGS, LDFLAGS = f"{COMMON} {FLAGS[MODE][0]}".split(), FLAGS[MODE][1].split()
NOTE_INCLUDES = [] if sys.platform == "win32" else ["-MMD"]
if sys.platform != "linux":  # MSVC has its own spelling; the release linker flags are for ELF
    CFLAGS = ["/O2", "/fp:precise"] if sys.platform == "win32" else CFLAGS
    LDFLAGS = [] if MODE == "release" else LDFLAGS
VERSION = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]["version"]
TEXTS = {"VERSION": VERSION, "VARIANT": VARIANT, "BUILD_FLAGS": " ".join(CFLAGS)}
MACROS = [*KNOBS.items(), *((f"FASTGRAD_{name}", f'"{text}"') for name, text in TEXTS.items())]
# Some Pythons link with -Wl,-rpath,<their own lib>: this machine's paths in every wheel.
CONFIG = sysconfig.get_config_vars()
CONFIG["LDSHARED"] = re.sub(r"\s-Wl,-rpath,\S+", "", CONFIG.get("LDSHARED") or "")

EDITED = Path("setup.py").stat().st_mtime
COMPANIONS = {"tape/replay.pyx": "tape", "train/optim.pyx": "train"}  # the folder of its .c files
SOURCES = sorted(SRC.rglob("*.pyx"))
WRITTEN = [c for f in SOURCES if (c := CYTHON_DIR / f.with_suffix(".c")).exists()]  # by Cython
modules = cythonize(
    [
        Extension(
            ".".join(["fastgrad", "_native", *source.relative_to(SRC).with_suffix("").parts]),
            [str(source), *map(str, sorted((SRC / folder).rglob("*.c") if folder else ()))],
        )
        for source in SOURCES
        for folder in [COMPANIONS.get(source.relative_to(SRC).as_posix())]
    ],
    include_path=["src"],
    build_dir=str(CYTHON_DIR),
    compiler_directives=DIRECTIVES,
    annotate=MODE == "annotate",
    force=any(c.stat().st_mtime < EDITED for c in WRITTEN),  # directives may have changed
)
SHARE_FUNCTIONS = {"fastgrad._native.tape.replay"}  # tape/functions.c has those of functions/
RARELY_RUN = {  # or made of calls: for size
    *(f"fastgrad._native.graph.{name}" for name in ("check", "shown")),
    *(
        f"fastgrad._native.tape.{name}"
        for name in ("append", "derive", "inspect", "parts", "program", "sparsity", "wrt")
    ),
}
for module in modules:
    module.include_dirs, module.libraries = [str(SRC)], ["m"] if os.name == "posix" else []
    module.define_macros, module.extra_compile_args = MACROS, [*CFLAGS, *NOTE_INCLUDES]
    if module.name in SHARE_FUNCTIONS:
        module.define_macros = [*MACROS, ("FASTGRAD_FUNCTIONS_DECLARED", None)]
    if MODE == "release" and module.name in RARELY_RUN and sys.platform != "win32":
        module.extra_compile_args.append("-Os")  # a tenth of the wheel
    module.extra_link_args = LDFLAGS


def read_by(compilation):
    """Return the files that an object was made from; all headers, if its compiler noted none."""
    always, notes = ["setup.py", "pyproject.toml"], Path(compilation).with_suffix(".d")
    if not notes.exists():
        return [*always, *map(str, SRC.rglob("*.h"))]
    return [*always, *notes.read_text("utf-8").replace("\\\n", " ").split()[1:]]


class build_ext_stale(build_ext):
    """Compile an object only if a file that it was made from has changed."""

    def build_extension(self, ext):
        ext.depends = [f for s in ext.sources for f in read_by(Path(self.build_temp, s))]
        super().build_extension(ext)

    def build_extensions(self):
        compile_object = getattr(self.compiler, "_compile", None)

        def compile_stale(obj, src, *rest):
            if self.force or newer_group([src, *read_by(obj)], obj, missing="newer"):
                compile_object(obj, src, *rest)

        self.compiler._compile = compile_stale  # MSVC has none, and compiles whole modules
        super().build_extensions()


class build_py_headers(build_py):
    """Put the headers beside the modules that a tape written as C needs: see fastgrad/c_source."""

    def run(self):
        super().run()
        for header in [*(SRC / "functions").glob("*.h"), SRC / "ops" / "ops.h"]:
            target = Path(self.build_lib, "fastgrad", "_native", header.relative_to(SRC))
            self.mkpath(str(target.parent))
            self.copy_file(str(header), str(target))


COMMANDS = {"build_ext": build_ext_stale, "build_py": build_py_headers}
options = {"build": {"build_base": f"build/{VARIANT}"}, "build_ext": {"parallel": 2}}
setup(ext_modules=modules, options=options, cmdclass=COMMANDS)
