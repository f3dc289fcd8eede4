"""``python -m tinyfactory``: the command line."""

import sys

from tinyfactory.cli import main

if __name__ == "__main__":
    sys.exit(main())
