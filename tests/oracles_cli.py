"""Stand-ins for the command line: small made-up series, and an analysis that takes no time."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

SHAPE, SPACING_MM = (24, 40, 56), (6.0, 5.0, 4.5)

#: What must not come out anywhere. The reader hides folder names that hold the name or the id.
PATIENT = {
    "PatientName": "Featherstonehaugh^Zebedee",
    "PatientID": "ZQ7784512",
    "PatientBirthDate": "19571103",
}


@cache
def _made_up() -> Any:
    """The made-up case of the report's tests, whose conftest only they see."""
    path = Path(__file__).parent / "report" / "conftest.py"
    spec = importlib.util.spec_from_file_location("made_up_case", path)
    module = importlib.util.module_from_spec(spec)
    # Where modules run no test (workers), nothing else has imported it.
    sys.modules["made_up_case"] = module
    spec.loader.exec_module(module)
    return module


def write_series(folder: Path, seed: int = 1, **tags: Any) -> Path:
    """Two ellipsoid lungs as a small DICOM series of a patient with a name."""
    from miliary.geometry import Geometry
    from miliary.io import write_dicom
    from miliary.volume import Volume

    hu, _ = _made_up().phantom(SHAPE, np.random.default_rng(seed))
    volume = Volume(
        np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        Geometry.aligned(SHAPE, SPACING_MM, (-130.0, -110.0, -300.0)),
    )
    write_dicom.write_series(folder, volume, seed=seed, tags=PATIENT | tags)
    return folder


def fake_analyze(volume, config=None, *, seed=0, progress=None, n=30):
    """As `miliary.analyze.analyze`, with made-up findings that depend on image and seed only."""
    module = _made_up()
    for share, step in enumerate(("lungs", "detect")):
        if progress is not None:
            progress(step, share / 2)
    _, lungs = module.phantom(volume.hu.shape, np.random.default_rng(0))
    rng = np.random.default_rng([seed, int(volume.hu.sum(dtype=np.int64)) & 0xFFFF])
    made = module.made_up(volume.hu.astype(float), lungs, SPACING_MM, n, rng)
    anatomy = replace(made.anatomy, geometry=volume.geometry)
    return replace(made, volume=volume, anatomy=anatomy, config=config, seed=seed)


def fake_page(analysis: Any, facts: Any) -> str:
    """As `render_report`, which takes a second."""
    return "page"


def fake_run_case(task: Any, progress: Any = None) -> Any:
    """`run_case` with the fake analysis, in whatever process it runs."""
    import miliary.case_folder as case_folder
    from miliary.cli.case import run_case

    __import__("miliary.analyze")
    # Workers are processes of their own: what is replaced here ends with them, and in this
    # process the test puts it back.
    sys.modules["miliary.analyze"].analyze = fake_analyze
    case_folder.render_report = fake_page
    return run_case(task, progress)


def square_or_die(task: tuple[int, str]) -> int:
    """A worker that may fail, or take its process with it."""
    number, fate = task
    if fate == "die":
        # Long enough for others to be done by other workers.
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    if fate == "raise":
        raise ValueError(f"no luck with {number}")
    return number**2


def write_half_and_hang(task: Any, progress: Any = None) -> Any:
    """A case that never ends, with half a folder on the disk."""
    (task.out / f".{task.info.case}.new-half").mkdir()
    time.sleep(600)
