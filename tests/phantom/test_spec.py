"""Wishes: declared like settings, changed by name, written and read as TOML."""

from __future__ import annotations

from dataclasses import fields

import pytest

from miliary.config.load import load_settings, settings_toml
from miliary.errors import ConfigError
from miliary.phantom import ChestSpec, DiseaseSpec, NoduleSpec, PhantomSpec, ScannerSpec

SECTIONS = (ScannerSpec, ChestSpec, DiseaseSpec, NoduleSpec)


def test_names_are_unique_over_all_sections():
    names = [item.name for section in SECTIONS for item in fields(section)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_wish_says_what_it_means_and_where_its_default_comes_from(section):
    for item in fields(section):
        assert item.metadata["doc"], item.name
        assert item.metadata["source"], item.name
        if item.name.endswith(("_mm", "_hu", "_deg", "_per_mm")):
            assert item.metadata["unit"], item.name


def test_but_changes_the_section_that_has_the_name():
    spec = PhantomSpec.of(noise_hu=7.0, breath=0.9, rind_mm=8.0, n_nodules=3, seed=4)
    assert (spec.scanner.noise_hu, spec.chest.breath, spec.disease.rind_mm) == (7.0, 0.9, 8.0)
    assert (spec.nodules[0].n_nodules, spec.seed) == (3, 4)
    assert spec.but() == spec
    with pytest.raises(ValueError, match=r"known names, got \['noise'\]"):
        spec.but(noise=3.0)


def test_toml_is_read_back_unchanged(tmp_path):
    mixture = (
        NoduleSpec(n_nodules=5),
        NoduleSpec(pattern="centrilobular", diameters_mm=(1.0, 2.5)),
    )
    spec = PhantomSpec(seed=9, scanner=ScannerSpec(shape=(30, 40, 50)), nodules=mixture)
    file = tmp_path / "phantom.toml"
    file.write_text(settings_toml(spec, "a phantom"))
    assert load_settings(PhantomSpec(), file) == spec


def test_a_file_that_names_one_population_gets_the_defaults_for_the_rest(tmp_path):
    file = tmp_path / "phantom.toml"
    file.write_text('[[nodules]]\npattern = "metastases"\n')
    assert load_settings(PhantomSpec(), file).nodules == (NoduleSpec(pattern="metastases"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[scanner]\nnoise = 3.0\n", "scanner.noise must be a known setting.*'noise_hu'"),
        ('[[nodules]]\npattern = "zebra"\n', r"nodules\[\]: pattern must be one of.*'zebra'"),
        ("[chest]\nbreath = 3.0\n", "chest: breath must be from 0.6 to 1.1, got 3.0"),
        ("nodules = 3\n", "nodules must be a list, got 3"),
    ],
)
def test_what_a_file_gets_wrong_is_named(tmp_path, text, message):
    file = tmp_path / "phantom.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_settings(PhantomSpec(), file)


def test_size_follows_from_the_field_of_view_unless_asked_for():
    assert PhantomSpec.of(shape=(300, 400, 500), spacing_mm=(1.0, 1.0, 1.0)).chest_scale == 1.0
    assert PhantomSpec.of(shape=(150, 400, 500), spacing_mm=(1.0, 1.0, 1.0)).chest_scale == 0.5
    assert PhantomSpec.of(scale=0.7).chest_scale == 0.7


def test_noise_falls_with_the_root_of_the_dose():
    assert PhantomSpec.of(noise_hu=30.0, dose=4.0).scanner.noise_sd_hu == 15.0
