"""The page of a cohort: failures first, links that stay inside, every cell escaped."""

from __future__ import annotations

from urllib.parse import unquote

from miliary.report.cohort import render_index

EVIL = "<script>alert(1)</script>"
COLUMNS = (
    "case", "source", "status", "code", "message", "miliary", "pattern", "nodules",
    "density_per_l", "diameter_median_mm", "diameter_cv", "seconds",
)  # fmt: skip


def row(case: str, status: str = "ok", **cells: str) -> dict[str, str]:
    return dict.fromkeys(COLUMNS, "") | {"case": case, "status": status} | cells


def test_failures_come_first_with_code_and_sentence(read_page):
    rows = [
        row("a", miliary="absent", nodules="12"),
        row("b", "degraded", code="W_NO_FISSURES"),
        row("z", "failed", code="E_MISSING_SLICES", message="slices must be evenly spaced"),
    ]
    visible = read_page(render_index(rows, title="Study")).visible
    assert visible.index("E_MISSING_SLICES") < visible.index("W_NO_FISSURES")
    rows_at = visible.index("Cases")
    assert visible.index("slices must be evenly spaced") < visible.index("absent", rows_at)


def test_done_cases_link_to_their_report_and_failed_ones_to_none(read_page):
    read = read_page(render_index([row("a 1"), row("bad", "failed")], title="Study"))
    assert [link["href"] for link in read.all("a")] == ["./a%201/report.html"]


def test_a_case_name_cannot_lead_out_of_the_folder(read_page):
    for case in ("javascript:alert(1)", "../../etc", "//example.org"):
        (link,) = read_page(render_index([row(case)], title="t")).all("a")
        assert link["href"].startswith("./")
        assert link["href"].count("/") == 2
        assert unquote(link["href"]) == f"./{case}/report.html"


def test_every_cell_and_the_title_are_escaped(read_page):
    rows = [
        dict.fromkeys(COLUMNS, EVIL),
        dict.fromkeys(COLUMNS, EVIL) | {"status": "failed"},
    ]
    read = read_page(render_index(rows, title=EVIL))
    clean = read_page(render_index([], title="t"))
    assert read.scripts == clean.scripts
    assert EVIL in read.visible


def test_paths_of_the_input_are_left_out():
    assert "SMITH" not in render_index([row("a", source="SMITH_JOHN/1")], title="t")


def test_cells_sort_by_their_number_and_unknown_ones_are_dashes(read_page):
    rows = [row("a", nodules="12", density_per_l="nan", diameter_cv="0.1234")]
    read = read_page(render_index(rows, title="t"))
    cells = [cell.get("data-sort") for cell in read.all("td") if "data-sort" in cell]
    assert cells == ["12.0", "", "", "0.1234", ""]
    assert "nan" not in read.visible.split()
    assert "–" in read.visible


def test_a_cohort_of_none_has_a_page(read_page):
    assert "No case was analysed." in read_page(render_index([], title="t")).visible
