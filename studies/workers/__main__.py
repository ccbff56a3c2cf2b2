"""The command `python -m studies.workers [2 3 4 8 16]`."""

from __future__ import annotations

import sys

from studies.workers.gradients import print_table

if __name__ == "__main__":
    print_table([int(each) for each in sys.argv[1:]] or [2, 3, 4, 8, 16])
