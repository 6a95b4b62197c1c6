"""The command line: `miliary`, or `python -m miliary`."""

import sys

from miliary.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
