"""The address and credentials of the tests' own S3 API."""

from __future__ import annotations

SECRET = "a-secret-that-nobody-may-tell"


def credentials(port: int) -> dict[str, str]:
    """The environment of every process that may use the server."""
    return {
        "AWS_ACCESS_KEY_ID": "access-key-of-the-tests",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_MAX_ATTEMPTS": "1",  # so that it is our own retries that are seen
    }
