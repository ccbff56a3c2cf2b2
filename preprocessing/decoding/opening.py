"""Opening a video that a stranger may have named: a regular file inside its root, whatever links say."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from io import FileIO
from pathlib import Path

from preprocessing.decoding.acceptance import DecodeError


def open_video(path: Path, *, root: Path) -> FileIO:
    """Open a video, which must be a regular file that lies inside `root` also once its links are followed.

    What is opened is what was checked, even if somebody puts a link or a pipe in its place meanwhile.

    Raises:
        DecodeError: `missing_file`, `outside_root`, `not_regular` or `unreadable`.
    """
    try:
        inside, real_root = path.resolve(strict=True), root.resolve()
        if not inside.is_relative_to(real_root):
            raise DecodeError("outside_root", f"'{path}' links to '{inside}', outside '{root}'")
        descriptor = open_without_links(real_root, inside.relative_to(real_root))
    except FileNotFoundError as error:
        raise DecodeError("missing_file", f"'{path}' does not exist") from error
    except (OSError, RuntimeError) as error:  # a link to itself, a name too long, no permission
        raise DecodeError("unreadable", str(error)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DecodeError("not_regular", f"'{path}' is not a regular file")
    return os.fdopen(descriptor, "rb", buffering=0)


def open_without_links(root: Path, relative: Path) -> int:
    """A descriptor of what lies at `relative` below `root`; OSError if any part of `relative` is a link."""
    with ExitStack() as folders:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        folders.callback(os.close, folder)
        for name in relative.parts[:-1]:
            folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            folders.callback(os.close, folder)
        # O_NONBLOCK: opening a pipe would wait for its writer.
        return os.open(relative.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
