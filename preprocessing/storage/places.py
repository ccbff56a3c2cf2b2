"""Names of places: a folder, or any fsspec URL; they are printed and stored, so they carry no credentials."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import fsspec
from pydantic import AfterValidator, Field

from preprocessing.errors import PlaceError

SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL|SAS", re.IGNORECASE)
SHORTEST_SECRET = 6


def join(root: str, name: str) -> str:
    """`root/name` for a local path or any fsspec URL."""
    return f"{root.rstrip('/')}/{name}"


def refuse_credentials(place: str) -> str:
    """The same place, if it may be printed and stored.

    Raises:
        ValueError: if it is a URL with a password, a user name for HTTP, or a query (which may be a signature).
    """
    for part in place.split("::"):
        if "://" not in part:
            continue
        url = urlsplit(part)
        user, has_user, _ = url.netloc.rpartition("@")
        if url.query or ":" in user or (has_user and url.scheme in ("http", "https")):
            raise PlaceError(
                f"a {url.scheme}:// URL carries a user, a password or a query: places are printed and recorded, so "
                "credentials must come from the environment (AWS_ACCESS_KEY_ID, FSSPEC_FTP_PASSWORD, ...) and the URL "
                "must do without"
            )
    return place


def require_writable(folder: str | Path, *, setting: str = "output") -> None:
    """Refuse a folder of this machine that cannot be made or written into; nothing is left of trying. URLs pass.

    Tried, not asked: permissions say nothing to an administrator, and of a read-only disk.

    Raises:
        PlaceError: naming `setting` and what is in the way.
    """
    if "://" in str(folder):
        return
    path = Path(folder).absolute()
    there = next(each for each in (path, *path.parents) if os.path.lexists(each))
    if not there.is_dir():
        raise PlaceError(f"{setting}='{folder}' cannot be used as a folder: '{there}' is none; choose another place")
    try:
        with suppress(FileNotFoundError):
            path.stat()  # a name that is too long, a link to itself
        with tempfile.TemporaryDirectory(prefix=".write-check-", dir=there):
            pass
    except OSError as error:
        raise PlaceError(
            f"{setting}='{folder}' cannot be written: '{there}': {error.strerror}; choose another place"
        ) from error


def redacted(text: str) -> str:
    """The text without credentials: those of the environment, of fsspec's settings, and any inside a URL."""
    settings: dict[str, Any] = fsspec.config.conf
    known = {
        name: value for options in settings.values() if isinstance(options, dict) for name, value in options.items()
    }
    for name, value in (known | os.environ).items():
        if SECRET_NAME.search(name) and isinstance(value, str) and len(value) >= SHORTEST_SECRET:
            text = text.replace(value, "***")
    text = re.sub(r"(://[^\s?'\"]*\?)[^\s'\"]+", r"\1***", text)
    return re.sub(r"://[^/@\s]*:[^/@\s]*@", "://***@", text)


Place = Annotated[str, Field(min_length=1), AfterValidator(refuse_credentials)]
"""A folder that all nodes see, or any fsspec URL without credentials in it."""
