"""Settings of `doctor`."""

from __future__ import annotations

from preprocessing.settings import Settings
from preprocessing.storage.places import Place


class DoctorConfig(Settings):
    """The places that are looked at beside the machines."""

    data: Place | None = None
    """A data set that is to be read: every node must see the same one, or have the right to it. None: not looked at."""
    output: Place | None = None
    """A folder or URL that is to be written: every node must see the same one, or have the rights. None: not looked
    at."""
