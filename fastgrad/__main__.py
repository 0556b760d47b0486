"""`python -m fastgrad`.

Layer: command line, the outermost.  May import: cli.
"""

import sys

from fastgrad.cli import main

if __name__ == "__main__":
    sys.exit(main())
