"""Which versions are recorded, and how a difference is worded."""

from __future__ import annotations

import numpy as np

from preprocessing.storage.libraries import describe_difference, library_versions


def test_everything_that_encodes_or_decodes_is_named() -> None:
    versions = library_versions()
    assert versions["numpy"] == np.__version__
    assert {"av", "libavcodec", "libswscale", "libswresample", "simplejpeg", "torch"} <= set(versions)


def test_a_difference_names_both_versions() -> None:
    assert describe_difference({"av": "1", "numpy": "2"}, {"av": "1", "numpy": "2"}) == ""
    assert describe_difference({"av": "1"}, {"av": "2", "new": "3"}) == "av 1 and 2, new absent and 3"
