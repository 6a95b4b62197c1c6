"""What users import: every name of the contract, and nothing before it is asked for."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

import miliary

#: Functions that the contract names.
FUNCTIONS = (
    "read",
    "analyze",
    "segment",
    "detect",
    "measure",
    "describe_sizes",
    "describe_distribution",
    "describe_points",
    "compare",
    "make_phantom",
    "score",
)
CLASSES = ("Analysis", "Config", "Geometry", "PhantomSpec", "Volume", "Window")

#: Functions that live in a submodule of the same name, which an import would put in their place.
NAMESAKES = ("analyze", "detect", "measure", "score", "compare")


def run(code):
    """Run Python in a process of its own, where nothing of the package is imported yet."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_the_contract_can_be_called(name):
    value = getattr(miliary, name)
    assert callable(value)
    assert not isinstance(value, ModuleType)
    assert value.__name__ == name
    assert value.__doc__


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_classes(name):
    assert isinstance(getattr(miliary, name), type)


def test_all_names_are_there_and_listed():
    assert set(FUNCTIONS) | set(CLASSES) <= set(miliary.__all__)
    assert all(hasattr(miliary, name) for name in miliary.__all__)


@pytest.mark.parametrize("name", NAMESAKES)
def test_a_function_stays_one_after_its_module_was_imported(name):
    module = importlib.import_module(f"miliary.{name}")
    assert isinstance(module, ModuleType)
    assert getattr(miliary, name) is getattr(module, name)


def test_a_function_is_one_in_whatever_order_things_are_imported():
    code = (
        "import miliary.detect, miliary.analyze, miliary.score\n"
        "from miliary import detect\n"
        "import miliary\n"
        "from miliary.measure import measure\n"
        "print(*(type(f).__name__ for f in (detect, miliary.detect, miliary.analyze,"
        " miliary.score, miliary.measure)), miliary.measure is measure)"
    )
    assert run(code) == " ".join(["function"] * 5 + ["True"])


def test_modules_without_a_namesake_stay_modules():
    assert isinstance(importlib.import_module("miliary.pattern"), ModuleType)
    assert isinstance(miliary.pattern, ModuleType)


def test_importing_the_package_imports_no_numerics():
    heavy = {"numpy", "scipy", "skimage", "SimpleITK", "pydicom", "highdicom", "matplotlib"}
    code = f"import sys, miliary; miliary.__version__; print(sorted({heavy} & set(sys.modules)))"
    assert run(code) == "[]"


def test_reading_a_name_imports_only_what_it_needs():
    code = "import sys, miliary; miliary.Geometry; print({'numpy', 'pydicom'} & set(sys.modules))"
    assert run(code) == "{'numpy'}"


def test_an_unknown_name_is_named():
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        miliary.analyse  # noqa: B018


def test_the_package_can_be_star_imported():
    code = "from miliary import *; print(callable(detect), make_phantom.__name__)"
    assert run(code) == "True make_phantom"


def test_a_plain_array_becomes_a_volume():
    hu = np.full((3, 4, 5), -850, np.int16)
    volume = miliary.Volume.from_array(hu, (1.25, 0.7, 0.8), origin_mm=(1.0, 2.0, 3.0))
    assert volume.hu is hu
    assert volume.slice_mm == 1.25
    np.testing.assert_allclose(volume.geometry.to_world([[1, 1, 1]]), [[1.8, 2.7, 4.25]])
    assert miliary.Volume.from_array(hu.astype(float), (1.0, 1.0, 1.0)).hu.dtype == np.float32
