"""`python -m studies.transfer [key=value ...]`."""

from __future__ import annotations

import sys

from studies.transfer.comparison import main

sys.exit(main(sys.argv[1:]))
