from __future__ import annotations

import errno
import importlib
import pickle
import pkgutil
from typing import Any

import pytest
import ray

import evaluation
import pipeline
import preprocessing
import training
from pipeline.settings.problems import ConfigError
from preprocessing.errors import DataError, Mistakes, PlaceError, ResourceError, UserError, users_mistake
from preprocessing.storage.stored_sample import SampleError

ARGUMENTS: dict[type[UserError], tuple[Any, ...]] = {
    ConfigError: (("epochs: got 0",), "'a.yaml'"),
    SampleError: ("a clip", "is damaged"),
}
"""Of the mistakes that are made of more than their message."""


def every_mistake() -> list[type[UserError]]:
    """All classes of the family, wherever they are defined."""
    for package in (preprocessing, training, evaluation, pipeline):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found, new = [], [UserError]
    while new:
        found += new
        new = [each for parent in new for each in parent.__subclasses__() if each.__module__.split(".")[0] != "ray"]
    return found


def test_all_mistakes_are_told_in_one_round_and_one_of_them_as_it_is() -> None:
    mistakes = Mistakes()
    mistakes.refuse()
    with mistakes.noted():
        raise PlaceError("no folder")
    with pytest.raises(PlaceError, match=r"^no folder$"):
        mistakes.refuse()
    for said in ("no clips", "no folder"):
        with mistakes.noted():
            raise DataError(said)
    with pytest.raises(UserError, match=r"^2 problems:\n  no folder\n  no clips$"):
        mistakes.refuse()
    with pytest.raises(KeyError), mistakes.noted():
        raise KeyError


def test_every_mistake_comes_whole_from_another_process() -> None:
    for kind in every_mistake():
        error = kind(*ARGUMENTS.get(kind, ("what, where",)))
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy)) == (kind, str(error))


def test_a_full_disk_is_a_mistake_and_another_error_of_the_system_is_none() -> None:
    full = users_mistake(OSError(errno.ENOSPC, "No space left on device", "/disk/file"))
    assert isinstance(full, ResourceError)
    assert "no space is left for '/disk/file'" in str(full)
    assert users_mistake(OSError(errno.EBADF, "Bad file descriptor")) is None


def test_a_fault_while_a_mistake_is_handled_is_a_fault() -> None:
    def stumble() -> None:
        try:
            raise DataError("damaged")
        except DataError as error:
            raise RuntimeError("a bug") from error

    with pytest.raises(RuntimeError) as caught:
        stumble()
    assert users_mistake(caught.value) is None


@pytest.mark.parametrize("error", [DataError("damaged"), ConfigError(["epochs: got 0"], "'a.yaml'")])
def test_a_mistake_in_a_task_is_the_same_here(error: UserError, ray_session: None) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(UserError) as caught:
        ray.get(ray.remote(fail).remote())
    mistake = users_mistake(caught.value)
    assert type(mistake) is type(error)
    assert str(mistake) == str(error)


def test_a_fault_in_a_task_keeps_its_traceback(ray_session: None) -> None:
    def multiply_wrong_shapes() -> None:
        raise ValueError("shapes do not fit")

    with pytest.raises(ValueError, match="shapes do not fit") as caught:
        ray.get(ray.remote(multiply_wrong_shapes).remote())
    assert users_mistake(caught.value) is None
    assert "in multiply_wrong_shapes" in str(caught.value)
