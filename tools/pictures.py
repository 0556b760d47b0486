"""Make the pictures of docs/pictures.md, by running its programs where the pictures are.

Usage: python tools/pictures.py
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "pictures.md"
FOLDER = ROOT / "docs" / "pictures"


def main() -> None:
    """Replace all pictures; fail if the document shows others than its programs make."""
    text = DOCUMENT.read_text("utf-8")
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    program = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    subprocess.run([sys.executable, "-c", program], check=True, cwd=FOLDER)
    shown = set(re.findall(r"\]\(pictures/([\w.]+)\)", text))
    made = {path.name for path in FOLDER.iterdir()}
    if shown != made:
        sys.exit(f"shown and not made: {shown - made}; made and not shown: {made - shown}")
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.stat().st_size / 1024:8.0f} KiB  {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
