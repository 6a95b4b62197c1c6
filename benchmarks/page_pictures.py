#!/usr/bin/env python3
"""The pictures of the pages in README, made from `sample_data` by a headless Chromium.

    scripts/bench page_pictures [--out benchmarks/pictures]

Writes `report.png` (the first screens of the page of a case) and `viewer.png` (the three planes at
a nodule).
"""

from __future__ import annotations

import argparse
import base64
import io
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from PIL import Image

import miliary
from miliary.analysis import Analysis
from miliary.config import Config

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import browser  # noqa: E402 - a helper of the tests, which are no package

REPORT_PX, VIEWER_PX = (1100, 1480), (1400, 900)


def main(out: Path) -> None:
    """Analyse the sample, with the viewer asked for."""
    config = Config()
    config = replace(config, report=replace(config.report, viewer=True))
    show(miliary.analyze(miliary.read(ROOT / "sample_data" / "dicom"), config), out)


def show(result: Analysis, out: Path) -> None:
    """Write the pages of a case and take their pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = result.save(Path(scratch) / "case")
        window = browser.Browser(Path(scratch) / "profile")
        try:
            window.resize(*REPORT_PX)
            window.open(folder / "report.html")
            take(window, out / "report.png")
            window.resize(*VIEWER_PX)
            window.open(folder / "viewer.html")
            window.wait("document.body.dataset.ready === 'yes'")
            for key in ("n", "+", "+"):
                window.press(key)
            choose(window, "slab", "5")
            choose(window, "masks", "lobes")
            window.wait("/nodule 1:/.test(document.getElementById('place').textContent)")
            take(window, out / "viewer.png")
        finally:
            window.close()


def choose(window: browser.Browser, name: str, value: str) -> None:
    """Choose an entry of a list."""
    window.run(
        f"(() => {{ const list = document.getElementById('{name}'); list.value = '{value}'; "
        "list.dispatchEvent(new Event('change')) })()"
    )


def take(window: browser.Browser, path: Path) -> None:
    """Save what the window shows, in all its colours: few would blotch the tints."""
    window.run(
        "window.drawn = 0; requestAnimationFrame(() => requestAnimationFrame(() => drawn = 1))"
    )
    window.wait("window.drawn === 1")
    shot = base64.b64decode(window.call("Page.captureScreenshot")["data"])
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "pictures")
    main(parser.parse_args().out)
