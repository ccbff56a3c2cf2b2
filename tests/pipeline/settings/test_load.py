from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, PositiveInt

from pipeline.settings.load import ConfigError, dump, flatten, load, override
from preprocessing.settings import Settings
from training.config import TrainConfig
from training.models import ModelConfig
from training.threat import ThreatModel


class Plain(Settings):
    name: Literal["plain"] = "plain"
    smoothing: float = 0.0


class Adversarial(Settings):
    name: Literal["adversarial"] = "adversarial"
    steps: PositiveInt = 3
    threat: ThreatModel = ThreatModel(video=8 / 255, audio=8 / 255)


AnyWay = Annotated[Plain | Adversarial, Field(discriminator="name")]


class Check(Settings):
    way: AnyWay = Adversarial(steps=10)
    clips: PositiveInt | None = None


class Job(Settings):
    data: str
    way: AnyWay = Plain()
    ways: tuple[AnyWay, ...] = (Plain(), Adversarial(steps=20))
    check: Check = Check(clips=64)
    learning_rate: float = Field(default=0.1, gt=0)
    space: dict[str, Check] = Field(default_factory=dict)


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text("data: from_yaml\nlearning_rate: 1e-2\nway: {name: adversarial, steps: 7}\ncheck: {clips: 5}\n")
    return path


def problems_of(*changes: str, file: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(Job, file, changes)
    return str(caught.value)


def test_later_sources_win_over_earlier_ones(yaml_file: Path) -> None:
    job = load(Job, yaml_file, ["learning_rate=2e-3"])
    assert (job.data, job.learning_rate, job.way) == ("from_yaml", 2e-3, Adversarial(steps=7))


def test_part_of_a_group_keeps_the_rest_of_its_default(yaml_file: Path) -> None:
    """The default of `check.way` has 10 steps, the class `Adversarial` itself 3: the field's default counts."""
    job = load(Job, yaml_file, ["check.way.threat.video=0.5"])
    threat = ThreatModel(video=0.5, audio=8 / 255)
    assert job.check == Check(clips=5, way=Adversarial(steps=10, threat=threat))


@pytest.mark.parametrize("changes", [["way.name=plain", "way.smoothing=0.1"], ["way.smoothing=0.1", "way.name=plain"]])
def test_another_name_starts_from_its_own_defaults_in_any_order_of_words(yaml_file: Path, changes: list[str]) -> None:
    assert load(Job, yaml_file, changes).way == Plain(smoothing=0.1)


def test_the_settings_that_another_name_drops_are_told(yaml_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        load(Job, yaml_file, ["way.name=plain"])
    assert caplog.messages == ["way.name=plain: left out what the YAML says for 'adversarial': way.steps"]


def test_values_are_written_as_people_write_them() -> None:
    words = ["data=a=b", "learning_rate=1e-3", "check.clips=null", "check.way.threat=linf(video=4/255, audio=0)"]
    job = load(Job, None, [*words, "way.name=adversarial", "way.threat.video=16/255", "ways=[{name: plain}]"])
    assert (job.data, job.learning_rate, job.check.clips, job.ways) == ("a=b", 1e-3, None, (Plain(),))
    assert str(job.check.way.model_dump()["threat"]["video"]) == str(4 / 255)
    assert job.way == Adversarial(threat=ThreatModel(video=16 / 255, audio=8 / 255))


def test_part_of_a_value_written_as_text_can_be_changed() -> None:
    job = load(Job, None, ["data=x", "way.name=adversarial", "way.threat=l2(video=1)", "way.threat.audio=2"])
    assert job.way == Adversarial(threat=ThreatModel(norm="l2", video=1, audio=2))


def test_a_model_may_be_given_by_the_papers_name_anywhere(tmp_path: Path) -> None:
    file = tmp_path / "train.yaml"
    file.write_text("data: d\noutput: o\nmodel: AcR\n")
    mixed = ModelConfig(video_encoder="alexnet", fusion="concat", audio_encoder="resnet18")
    assert load(TrainConfig, file).model == mixed
    assert load(TrainConfig, None, ["data=d", "output=o", "model=AcR"]).model == mixed
    changed = load(TrainConfig, file, ["model.feature_size=64", "model=RsR"]).model
    assert changed == ModelConfig(video_encoder="resnet18", fusion="sum", audio_encoder="resnet18", feature_size=64)
    assert override(load(TrainConfig, file), {"model": "RsR"}).model == ModelConfig()


def test_text_that_means_nothing_is_refused_also_when_a_part_of_it_is_changed() -> None:
    with pytest.raises(ConfigError) as caught:
        load(TrainConfig, None, ["data=d", "output=o", "model=XcA", "model.feature_size=64"])
    assert caught.value.problems == (
        "model: 'XcA' is not one of the paper's models; allowed: AcA, AcR, AsA, AsR, RcA, RcR, RsA, RsR, "
        "or single settings",
    )
    text = problems_of("data=x", "way.name=adversarial", "way.threat=l3(video=1)", "way.threat.audio=2")
    assert "way.threat: 'l3(video=1)' is not a threat model" in text


def test_an_entry_of_a_list_is_reached_by_its_number() -> None:
    job = load(Job, None, ["data=x", "ways.1.steps=4", "ways.2.name=plain"])
    assert job.ways == (Plain(), Adversarial(steps=4), Plain())


def test_a_key_with_dots_inside_a_group_is_reached(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("data: x\nspace: {'a.b': {clips: 1}}\n")
    assert load(Job, file, ["space.a.b.clips=2"]).space == {"a.b": Check(clips=2)}
    assert load(Job, file, ["space.c.d={clips: 2}"]).space == {"a.b": Check(clips=1), "c.d": Check(clips=2)}
    assert load(Job, file, ["space.c.d.clips=2"]).space == {"a.b": Check(clips=1), "c.d": Check(clips=2)}


def test_all_problems_are_reported_at_once_with_key_got_and_allowed() -> None:
    text = problems_of("learning_rat=1", "learning_rate=-1", "way.name=advesarial", "check.clips=many", "oops")
    assert text.splitlines() == [
        "6 problems in the command line:",
        "  oops: not of the form key=value, such as optimizer.learning_rate=1e-3",
        "  data: missing; it has no default, so give it in the YAML or as data=...",
        "  way.name: got 'advesarial'; allowed: plain, adversarial",
        "  check.clips: got 'many'; allowed: a valid integer, unable to parse string as an integer",
        "  learning_rate: got -1; allowed: greater than 0",
        "  learning_rat: unknown setting; the nearest is 'learning_rate'",
    ]


def test_an_unknown_key_names_the_nearest_key_anywhere() -> None:
    assert "clips: unknown setting; the nearest is 'check.clips'" in problems_of("data=x", "clips=3")
    text = problems_of("data=x", "check.way.stpes=3")
    assert "check.way.stpes: unknown setting; the nearest is 'check.way.steps'" in text


def test_a_setting_of_another_union_member_is_named_as_such() -> None:
    assert "way.steps: 'plain' has no such setting; it belongs to adversarial" in problems_of("data=x", "way.steps=3")


def test_the_source_of_a_problem_is_named(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    assert "does not exist" in problems_of(file=file)
    file.write_text("data: [")
    assert "cannot be read as YAML" in problems_of(file=file)
    file.write_text("data: x\ndata: y\n")
    assert "the key 'data' is given twice" in problems_of(file=file)
    file.write_text("- data\n")
    assert "holds a list; allowed: `key: value` lines" in problems_of(file=file)
    assert "data: given twice on the command line" in problems_of("data=x", "data=y")
    assert "ways.7.steps: '7' is no entry; the list has 2" in problems_of("data=x", "ways.7.steps=1")


def test_values_may_be_given_as_they_are_instead_of_typed(yaml_file: Path) -> None:
    job = load(Job, yaml_file, {"check.clips": 3, "way": Adversarial(steps=2)})
    assert (job.check.clips, job.way) == (3, Adversarial(steps=2))


def test_override_checks_again_and_leaves_the_original_alone() -> None:
    job = Job(data="x")
    assert override(job, {"way.name": "adversarial", "way.steps": 2}).way == Adversarial(steps=2)
    assert override(job, {"check": Check()}).check == Check()
    assert job == Job(data="x")
    with pytest.raises(ConfigError, match="learning_rate: got 0; allowed: greater than 0"):
        override(job, {"learning_rate": 0})


def test_flat_settings_read_back_as_the_same_config() -> None:
    job = Job(data="x", way=Adversarial(threat=ThreatModel(norm="l2", video=0.25)), check=Check())
    flat = flatten(job)
    assert flat["way.threat.video"] == 0.25
    assert flat["check.clips"] == "null"
    assert load(Job, None, [f"{key}={value}" for key, value in flat.items()]) == job


def test_the_written_yaml_reads_back_without_the_excluded_keys(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(dump(Job(data="x", learning_rate=1e-5), exclude={"data"}, comment="python -m pipeline ..."))
    assert load(Job, file, ["data=y"]) == Job(data="y", learning_rate=1e-5)
    assert file.read_text().startswith("# python -m pipeline ...\n")


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=4))
def test_no_words_break_the_parser(words: list[tuple[str, str]]) -> None:
    with suppress(ConfigError):
        load(Job, None, [f"{key}={value}" for key, value in words])
