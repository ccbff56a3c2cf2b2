"""`python -m studies.training [key=value ...]`."""

from __future__ import annotations

import sys

from studies.training.comparison import main

sys.exit(main(sys.argv[1:]))
