"""The mistakes that a user can mend, by type: their message is all that is shown, and the exit status is 2.

Whatever else is raised is a fault of this project and ends with its whole traceback and status 1.
"""

from __future__ import annotations


class UserError(ValueError):
    """A user's mistake: the message says what was given, what is allowed and where, so that no traceback is needed."""


class SettingsError(UserError):
    """Settings that are unknown, out of range, or do not go together."""


class PlaceError(UserError):
    """A file, folder or URL that is missing, of the wrong kind, or cannot be read or written."""


class DataError(UserError):
    """Videos, data sets, checkpoints or reports that are damaged, empty, or do not suit what is asked of them."""


class ResourceError(UserError):
    """Processors, GPUs, memory, disk, or a service that is not there in the amount that is asked for."""
