"""What was asked of detection, sizes, calibration, serial scans and speed, beside what was found.

Other benchmarks say it themselves, in tables whose rows begin with what and how much was asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Row = dict[str, str]
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
LEFT, PHANTOMS = "lidc-0314, left lung (never trained on)", "phantoms, 1 l each"


@dataclass(frozen=True)
class Asked:
    """One figure that was asked for.

    Parameters
    ----------
    result, title : str
        Name of the kept result, and how the title of its table begins.
    what, limit : str
        What was asked, and how much.
    where : function
        Whether a row of the table counts.
    number : function
        The number of a row that must not leave the range.
    low, high : float
        The range.
    form : str
        How the numbers are written.
    """

    result: str
    title: str
    what: str
    limit: str
    where: Callable[[Row], bool]
    number: Callable[[Row], float]
    low: float = float("-inf")
    high: float = float("inf")
    form: str = "{:.2f}"

    def judge(self, kept: dict[str, dict[str, Any]]) -> list[str]:
        """Give the cells what, asked, measured, met; a dash where there is no such row."""
        numbers = [self.number(row) for row in _rows(kept, self) if self.where(row)]
        if not numbers:
            return [self.what, self.limit, "-", ""]
        ends = list(dict.fromkeys(self.form.format(end) for end in (min(numbers), max(numbers))))
        met = self.low <= min(numbers) and max(numbers) <= self.high
        return [self.what, self.limit, " to ".join(ends), "yes" if met else "**no**"]


def first(column: str) -> Callable[[Row], float]:
    """Take the first number of a cell."""
    return lambda row: float(_NUMBER.findall(row[column])[0])


def _rows(kept: dict[str, dict[str, Any]], asked: Asked) -> Iterator[Row]:
    for one in kept.get(asked.result, {}).get("tables", []):
        if one["title"].startswith(asked.title):
            yield from (dict(zip(one["heads"], row, strict=True)) for row in one["rows"])


def _sensitivity() -> Iterator[Asked]:
    for scan, name in ((LEFT, "a real scan never trained on"), (PHANTOMS, "phantoms")):
        for mm, false, least in (("1.2-1.6", 10, 0.60), ("1.6-2.2", 10, 0.90),
                                 ("1.6-2.2", 3, 0.80), ("2.2-3.0", 10, 0.97)):  # fmt: skip
            yield Asked(
                "detection-sensitivity", "Sensitivity",
                f"found of {mm} mm at {false} false a litre, {name}", f"at least {least:.2f}",
                lambda row, scan=scan, mm=mm: (row["scan"], row["mm"]) == (scan, mm),
                first(f"at {false} a litre"), low=least, form="{:.3f}",
            )  # fmt: skip
    for scan in ("lidc-0314", "nlst-low-dose", "rider-0117-lower"):
        own = ", which has many small ones of its own" if scan.startswith("rider") else ""
        yield Asked(
            "detection-sensitivity", "Accepted", f"false a litre without any put in, {scan}{own}",
            "at most 10",
            lambda row, scan=scan: (row["scan"], row["lung"]) == (scan, "both"),
            first("a litre"), high=10, form="{:.1f}",
        )  # fmt: skip


def _places() -> Iterator[Asked]:
    def behind(column: str) -> Callable[[Row], float]:
        return lambda row: 100 * (first("interior")(row) - first(column)(row))

    for scan, name in ((LEFT, "a real scan never trained on"), (PHANTOMS, "phantoms")):
        for column in ("outer 3 mm", "fissure (2 mm)", "vessel (2 mm)"):
            yield Asked(
                "detection-regions", "Sensitivity",
                f"points behind the interior, {column}, 1.6 to 3 mm, {name}", "at most 10",
                lambda row, scan=scan: row["scan"] == scan, behind(column),
                high=10, form="{:.0f}",
            )  # fmt: skip


def _sizes() -> Iterator[Asked]:
    def small(tissue: str) -> Callable[[Row], bool]:
        return lambda row: 1.5 <= float(row["mm"]) <= 3.0 and row["tissue"] == tissue

    name, title = "detection-sizes", "Errors of diameter"
    size = "of diameters of 1.5 to 3 mm at 30 HU of noise"
    # Of two columns of one name, as fitted and as reported, the later one stands in the row.
    bias, spread, inside = (first(head) for head in ("reported: mean", "SD", "inside 1 SE"))
    yield Asked(name, title, f"bias {size}, mm", "at most 0.10", small("30 HU"), bias, -0.1, 0.1)
    yield Asked(name, title, f"SD {size}, mm", "at most 0.15", small("30 HU"), spread, high=0.15)
    for tissue, words in (
        ("30 +- 60 HU", "tissue as varied as standard errors allow for"),
        ("30 HU", "all of exactly 30 HU"),
    ):
        yield Asked(
            name, title, f"share of errors inside one standard error, {size}, {words}",
            "0.68, 5 points either way",
            small(tissue), inside, 0.63, 0.73,
        )  # fmt: skip


def _calibration() -> Iterator[Asked]:
    for begins, name in (("lidc-0314, its own", "lidc-0314"), ("phantoms", "phantoms")):
        for factor in ("1.00", "0.85", "1.15"):
            yield Asked(
                "detection-calibration", "Said less true",
                f"points said above true sensitivity, {name}, point spread x {factor}",
                "5 either way",
                lambda row, begins=begins, factor=factor: row["scan"].startswith(begins)
                and row["point spread x"] == factor,
                lambda row: 100 * first("all")(row), -5, 5, "{:+.1f}",
            )  # fmt: skip


def _dense() -> Iterator[Asked]:
    for scan, name in ((LEFT, "a real scan never trained on"), (PHANTOMS, "phantoms")):
        for column in ("merged", "doubled"):
            yield Asked(
                "detection-dense", "Nodules", f"{column} at 1 per ml, {name}", "at most 0.03",
                lambda row, scan=scan: (row["scan"], row["per ml"]) == (scan, "1.0"),
                first(column), high=0.03, form="{:.3f}",
            )  # fmt: skip


def _serial() -> Iterator[Asked]:
    name = "serial-phantoms"

    def both(pair: str = "") -> Callable[[Row], bool]:
        return lambda row: row["place"] == "both" and pair in ("", row["pair"])

    yield Asked(name, "Ratios", "bias of the ratio of both lungs, %, each kind of pair",
                "5 either way", both(), first("bias"), -5, 5, "{:+.1f}")  # fmt: skip
    yield Asked(name, "Ratios", "intervals that hold the truth, %, all pairs", "93 to 97",
                both("all"), first("covered"), 93, 97, "{:.1f}")  # fmt: skip
    yield Asked(name, "Ratios", "x 1.5 found, %", "at least 80", both("x 1.5"),
                first("said more"), 80, form="{:.1f}")  # fmt: skip
    yield Asked(name, "Progression", "progression told where the protocol alone changed, %",
                "at most 5", lambda row: row["pair"].startswith("no change"),
                first("more said of a lung or both"), high=5, form="{:.1f}")  # fmt: skip

    def off(column: str) -> Callable[[Row], float]:
        return lambda row: float(_NUMBER.findall(row[column])[-1])

    case, title = "serial-case", "The case"
    yield Asked(case, title, "volume of the rind off by, %", "10 either way", lambda _: True,
                off("rind, ml"), -10, 10, "{:+.1f}")  # fmt: skip
    yield Asked(case, title, "its mean thickness off by, mm", "1 either way", lambda _: True,
                off("mean, mm"), -1, 1, "{:+.1f}")  # fmt: skip


def _speed() -> Iterator[Asked]:
    whole, title = "speed-whole", "`miliary run`"
    for row, most, words in (("as it is", 8, ""), ("no calibration", 6, ", without calibration")):
        yield Asked(whole, title, f"CPU time of 400 slices, in Gaussian filters of them{words}",
                    f"at most {most}", lambda cells, row=row: cells[""] == row,
                    first("Gaussians"), high=most)  # fmt: skip
    yield Asked(whole, title, "wall time of 400 slices on 2 cores, s", "at most 20", lambda _: True,
                first("wall s"), high=20, form="{:.1f}")  # fmt: skip
    yield Asked(whole, title, "memory for 400 slices, MB", "at most 2,500", lambda _: True,
                first("peak MB"), high=2500, form="{:.0f}")  # fmt: skip
    yield Asked("speed-slices", "Growth", "memory for 1,200 slices, MB", "at most 6,000",
                lambda row: row["slices"] == "1200", first("peak MB"), high=6000,
                form="{:.0f}")  # fmt: skip
    yield Asked("speed-start", "Start", "seconds until the help, or the package, is there",
                "at most 0.3", lambda _: True, first("wall s, best of 5"), high=0.3)  # fmt: skip


#: By the name of the result that holds them.
ALL = (
    *(*_sensitivity(), *_places(), *_sizes(), *_calibration(), *_dense(), *_serial()),
    *_speed(),
)


def met(limit: str, measured: str) -> str:
    """Tell whether a measured share or number keeps to a limit in words; empty where unclear."""
    bound = re.fullmatch(rf"at (least|most) ({_NUMBER.pattern}) ?%?", limit)
    numbers = _NUMBER.findall(measured.rpartition("=")[2])
    if not bound or not numbers:
        return ""
    least, value, wanted = bound[1] == "least", float(numbers[0]), float(bound[2])
    return "yes" if (value >= wanted if least else value <= wanted) else "**no**"
