"""`python -m fastgrad`."""

import sys

from fastgrad.command.cli import main

if __name__ == "__main__":
    sys.exit(main())
