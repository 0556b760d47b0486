"""Check the wheel in dist/: its contents, its binaries, its bytes, and that it imports anywhere.

Usage: wheel.py DIST, where `python -m build` has left one wheel and one sdist.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 2_050_000  # bytes; benchmarks/README.md says what is promised
SUFFIXES = {
    ".py",
    ".pyi",
    ".so",
    ".txt",
    ".typed",
    ".css",
    ".html",
    ".js",
    ".wasm",
    ".h",  # what a tape written as C needs
}  # in particular no .c, .pyx, .pxd


def run(*command, **options):
    done = subprocess.run(command, text=True, capture_output=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def expect(condition, message):
    if not condition:
        sys.exit(f"wheel: {message}")


def check_contents(wheel):
    size = wheel.stat().st_size
    expect(size <= LIMIT, f"expected at most {LIMIT} bytes, got {size}")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        info = next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(f"{info}/METADATA"))
    for name in names:
        if not name.startswith(f"{info}/"):
            expect(name.startswith("fastgrad/"), f"{name} is outside the package")
            expect(Path(name).suffix in SUFFIXES, f"{name} does not belong in a wheel")
    licenses = [f"{info}/licenses/{name}" for name in ("LICENSE", "licenses/THIRD_PARTY.txt")]
    for name in ("fastgrad/__init__.py", "fastgrad/py.typed", *licenses):
        expect(name in names, f"{name} is missing")
    expect(metadata["License-Expression"] == "MIT", "expected License-Expression: MIT")
    needs = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    expect(not needs, f"expected no dependencies, got {needs}")


def check_binaries(folder):
    modules = sorted((folder / "fastgrad").rglob("*.so"))
    expect(modules, "no extension module")
    for module in modules:
        name = module.name.split(".")[0]
        listing = run("nm", "-D", "--defined-only", module)
        symbols = [line.split()[-1] for line in listing.splitlines()]
        expect(symbols == [f"PyInit_{name}"], f"{name} exports {symbols}")
        dynamic = run("readelf", "-d", module)
        expect(not re.search(r"\((RUNPATH|RPATH)\)", dynamic), f"{name} has a search path built in")
        expect("BIND_NOW" in dynamic, f"{name} is not linked with -z now")
        expect(str(ROOT).encode() not in module.read_bytes(), f"{name} holds the path {ROOT}")


def check_import(wheel, scratch):
    """Import from a read-only environment that holds nothing else, with an empty PATH."""
    home = scratch / "env"
    venv.create(home, symlinks=True, with_pip=False)
    site = next(home.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    check_binaries(site)
    for path in [*site.rglob("*"), site]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    script = (
        "import sys; from fastgrad.engine import Value; import fastgrad, fastgrad.nn\n"
        "x = Value(3.0); (x * x).backward(); assert x.grad == 6.0\n"
        "heavy = {'numpy', 'matplotlib', 'scipy', 'importlib.metadata'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    for code in ("import fastgrad", script):
        run(home / "bin" / "python", "-I", "-W", "error", "-c", code, env={"PATH": ""}, cwd=scratch)
    for path in [site, *site.rglob("*")]:
        path.chmod(0o755)  # or the scratch folder could not be removed


def check_reproducible(wheel, sdist, scratch):
    """Build again, from the sdist and in another folder: the same bytes must come out."""
    shutil.unpack_archive(sdist, scratch)
    source = scratch / sdist.name.removesuffix(".tar.gz")
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", scratch, source)
    again = scratch / wheel.name
    expect(again.read_bytes() == wheel.read_bytes(), "a second build gave other bytes")


def main(dist):
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    bin_dir = Path(sys.executable).parent
    check_contents(wheel)
    run(bin_dir / "twine", "check", "--strict", wheel, sdist)
    # W002: the licenses of the pages' engine lie beside it, too, for they are shown in each page.
    run(bin_dir / "check-wheel-contents", "--config", os.devnull, "--ignore", "W002", wheel)
    with tempfile.TemporaryDirectory() as scratch:
        check_import(wheel, Path(scratch))
    with tempfile.TemporaryDirectory() as scratch:
        check_reproducible(wheel, sdist, Path(scratch))
    print(f"{wheel.name}: {wheel.stat().st_size:,} bytes, reproducible, imports anywhere")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
