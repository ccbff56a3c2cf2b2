"""`python -m pipeline COMMAND [FILE] [key=value ...]`: runs a command and turns its end into an exit status."""

from __future__ import annotations

import sys

from pipeline.commands import main

if __name__ == "__main__":
    sys.exit(main())
