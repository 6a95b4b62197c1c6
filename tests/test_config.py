"""Reading, checking, changing and printing the configuration."""

from __future__ import annotations

import tomllib
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest

from miliary.config import Config, config_dict, config_hash, config_toml, load_config, update_config
from miliary.errors import ConfigError

SETTINGS = [
    (section.name, item)
    for section in fields(Config)
    for item in fields(getattr(Config(), section.name))
]


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(("section", "item"), SETTINGS, ids=lambda v: getattr(v, "name", v))
def test_every_setting_says_what_it_means_in_one_line(section, item):
    assert item.metadata["doc"]
    assert "\n" not in item.metadata["doc"] + item.metadata["source"] + item.metadata["unit"]


@pytest.mark.parametrize("section", [section.name for section in fields(Config)])
def test_every_default_is_of_the_type_that_a_user_must_give(section):
    values = config_dict(Config())[section]
    changed = update_config(Config(), {section: values})
    assert config_dict(changed)[section] == values
    kinds = {name: type(value) for name, value in values.items()}
    assert {name: type(v) for name, v in config_dict(changed)[section].items()} == kinds


def test_sections_are_frozen():
    for section in fields(Config):
        values = getattr(Config(), section.name)
        assert is_dataclass(values)
        assert type(values).__dataclass_params__.frozen
        assert get_type_hints(type(values)).keys() == {item.name for item in fields(values)}


def test_what_is_printed_reads_back_unchanged(tmp_path):
    config = load_config(
        overrides=[
            "detect.threshold=0.25",
            "detect.keep_all=true",
            "read.air_hu=[-1200, -1e-3]",
            r'read.sharp_kernels=["B\\d", "a\"b", "\ttab", "é", "\u0001\u007f"]',
        ]
    )
    again = load_config(written(tmp_path, config_toml(config)))
    assert again == config
    assert again.read.sharp_kernels == ("B\\d", 'a"b', "\ttab", "é", "\x01\x7f")
    assert again.read.air_hu == (-1200.0, -0.001)
    assert tomllib.loads(config_toml(Config())).keys() == {s.name for s in fields(Config)}


def test_a_file_names_only_what_differs_and_set_has_the_last_word(tmp_path):
    path = written(tmp_path, "[detect]\nthreshold = 0.3\nmin_separation_mm = 2\n")
    config = load_config(path, ["detect.threshold=0.4", "detect.threshold=0.6"])
    assert config.detect.threshold == 0.6
    assert config.detect.min_separation_mm == 2.0
    assert isinstance(config.detect.min_separation_mm, float)
    assert config.measure == Config().measure
    assert load_config(path, base=config).detect.threshold == 0.3


def test_equal_configurations_have_one_hash_and_different_ones_have_two():
    assert config_hash(load_config(overrides=["detect.keep_all=false"])) == config_hash(Config())
    assert config_hash(load_config(overrides=["detect.keep_all=true"])) != config_hash(Config())
    assert len(config_hash(Config())) == 16


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("detect.treshold=1", "detect.treshold must be a known setting.*meant 'threshold'"),
        ("detct.threshold=1", "detct must be a known setting.*meant 'detect'"),
        ("detect.qqqq=1", "known are .*keep_all"),
        ("detect.keep_all=1", "detect.keep_all must be bool, got 1"),
        ("detect.threshold=true", "detect.threshold must be float, got True"),
        ("detect.threshold=high", "detect.threshold must be float, got 'high'"),
        ("detect.threshold=nan", "detect.threshold must be a finite number, got nan"),
        ("detect.threshold=inf", "detect.threshold must be a finite number, got inf"),
        ("measure.n_steps=true", "measure.n_steps must be int, got True"),
        ("measure.n_steps=2.5", "measure.n_steps must be int, got 2.5"),
        ("read.air_hu=1.2", "must be a list, got 1.2"),
        ("read.air_hu=[1, 2, 3]", r"must hold 2 values, got \[1, 2, 3\]"),
        ("read.air_hu=[1, true]", r"\[\] must be float, got True"),
        ("read.min_slices=1", "read: min_slices must be at least 2, got 1"),
        ("detect=1", "--set must be table.key=value, got 'detect=1'"),
        ("detect.threshold", "--set must be table.key=value"),
        ("=1", "--set must be table.key=value"),
    ],
)
def test_what_cannot_be_is_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_config(overrides=[override])


def test_a_file_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"must be readable, got .*none\.toml: No such file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"must be TOML, got .*mine\.toml"):
        load_config(written(tmp_path, "threshold: 0.5"))
    with pytest.raises(ConfigError, match="detect must be a table of settings, got 3"):
        load_config(written(tmp_path, "detect = 3"))
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="must be TOML"):
        load_config(tmp_path / "mine.toml")


def test_a_bare_word_is_a_string_and_a_changed_configuration_leaves_the_first_as_it_was():
    first = Config()
    second = update_config(first, {"detect": {"threshold": 0.1}})
    assert (first.detect.threshold, second.detect.threshold) == (Config().detect.threshold, 0.1)
    with pytest.raises(ConfigError, match="must be a list, got 'LUNG'"):
        load_config(overrides=["read.sharp_kernels=LUNG"])


def test_settings_that_are_only_right_together_are_taken_together():
    overrides = ["spatial.simulations=99", "spatial.empty_space_simulations=99"]
    assert load_config(None, overrides).spatial.simulations == 99
    with pytest.raises(ConfigError):
        load_config(None, overrides[:1])


@pytest.mark.parametrize("name", ["shell_mm", "contact_mm"])
def test_what_the_pattern_is_judged_by_must_be_computed(name):
    with pytest.raises(
        ConfigError, match=f"pattern.{name} must be one of spatial.shells_mm, got 4"
    ):
        load_config(overrides=[f"pattern.{name}=4"])
    both = [f"pattern.{name}=4", "spatial.shells_mm=[2.5, 4, 5, 10]"]
    assert getattr(load_config(overrides=both).pattern, name) == 4.0
