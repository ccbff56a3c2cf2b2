"""The mistakes that a user can mend, by type: their message is all that is shown, and the exit status is 2.

Whatever else is raised is a fault of this project and ends with its whole traceback and status 1.

Functions that programs call with tensors (`training/attacks/api.py`, `training/models/adapters.py`) raise a plain
`ValueError` where an argument is wrong: in a program that is a fault, and its traceback says where.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

FULL = (errno.ENOSPC, errno.EDQUOT)


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


class Mistakes:
    """Collects a user's mistakes, so that all are told in one round.

    mistakes = Mistakes()
    with mistakes.noted():
        require_writable(output)
    mistakes.refuse()
    """

    def __init__(self) -> None:
        self._found: list[UserError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """A mistake that ends the block is noted, and what follows the block goes on."""
        try:
            yield
        except UserError as error:
            if str(error) not in map(str, self._found):
                self._found.append(error)

    def refuse(self) -> None:
        """Stop if there were any.

        Raises:
            UserError: the only one as it is, or one that tells all.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise UserError("\n  ".join([f"{len(self._found)} problems:", *map(str, self._found)]))


def users_mistake(error: BaseException | None) -> UserError | None:
    """The user's mistake that `error` is, also one that Ray brings from another process; None if it is none.

    A full disk is one wherever it is met. What merely led to another error is none: a fault while a mistake is handled
    is a fault.
    """
    while isinstance(cause := getattr(error, "cause", None), BaseException):  # Ray's wrapper, which looks like both
        error = cause
    if isinstance(error, OSError) and error.errno in FULL:
        place = f" for '{error.filename}'" if error.filename else ""
        return ResourceError(f"no space is left{place}; free some, then run the same command again")
    return error if isinstance(error, UserError) else None
