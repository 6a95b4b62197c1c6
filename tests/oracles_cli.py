"""Stand-ins for the command line: small made-up series, and an analysis that takes no time."""

from __future__ import annotations

import importlib.util
import os
import resource
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


def call_here(function, arguments, order, *, tell, wanted):
    """As `call_apart`, in this process: what tests put in place of other things counts there."""
    from miliary.cohort.apart import Answer
    from miliary.cohort.frames import End

    return Answer(function(*arguments, tell), End("", 0, 0.0))


def fake_run_apart(task: Any, place: Any) -> Any:
    """`run_apart` with the fake analysis, in whatever process it runs, and in that process."""
    import miliary.case_folder as case_folder
    from miliary.cohort import attempt, case

    # Workers are processes of their own: what is replaced here ends with them, and in this
    # process the test puts it back.
    case.analyze = fake_analyze
    case_folder.render_report = fake_page
    attempt.call_apart = call_here
    return attempt.run_apart(task, place)


def square_or_die(task: tuple[int, str], place: Any) -> int:
    """A worker that may fail, or take its process with it."""
    number, fate = task
    if fate == "die":
        # Long enough for others to be done by other workers.
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    if fate == "raise":
        raise ValueError(f"no luck with {number}")
    return number**2


def write_half_and(folder: str, fate: str, tell: Any) -> str:
    """A case with half a folder on the disk, and then a bad end, or a good one."""
    half = Path(folder).with_name(f".{Path(folder).name}.new-{os.getpid()}-0123abcd")
    half.mkdir()
    tell(("half", 0.5))
    if fate == "hang":
        time.sleep(600)
    elif fate == "memory":
        hoard = []
        while True:
            hoard.append(np.ones((1000, 1000)))
    elif fate == "too much":
        np.empty(1 << 40, np.uint8)
    elif fate == "exit":
        os._exit(3)
    elif fate != "live":
        os.kill(os.getpid(), getattr(signal, fate))
    half.rmdir()
    return "whole"


def fill_twice(tell: Any) -> int:
    """New pages that a second image of 64 MB takes after a first one was let go."""
    np.ones(1 << 26, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(1 << 26, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def hang_half_written(task: Any, tell: Any) -> Any:
    """A case that never ends."""
    return write_half_and(str(task.folder), "hang", tell)


def run_apart_and_hang(task: Any, place: Any) -> Any:
    """`run_apart` of a case that never ends."""
    from miliary.cohort import attempt

    attempt._do_case = hang_half_written
    return attempt.run_apart(task, place)
