"""Which versions are recorded, and how a difference is worded."""

from __future__ import annotations

import numpy as np

from preprocessing.storage.libraries import (
    describe_difference,
    installed_versions,
    result_libraries,
    shard_libraries,
)


def test_everything_that_encodes_or_decodes_is_named() -> None:
    versions = shard_libraries()
    assert versions["numpy"] == np.__version__
    assert {"av", "libavcodec", "libswscale", "libswresample", "simplejpeg", "torch"} <= set(versions)


def test_libraries_that_are_not_installed_are_left_out() -> None:
    assert set(installed_versions(("torch", "no-such-package"))) == {"torch"}


def test_a_result_names_python_and_all_that_it_may_depend_on() -> None:
    wanted = {"python", "torch", "torchvision", "torchaudio", "ray", "numpy", "webdataset", "av"}
    assert wanted <= set(result_libraries())


def test_a_difference_names_both_versions() -> None:
    assert describe_difference({"av": "1", "numpy": "2"}, {"av": "1", "numpy": "2"}) == ""
    assert describe_difference({"av": "1"}, {"av": "2", "new": "3"}) == "av 1 and 2, new absent and 3"
