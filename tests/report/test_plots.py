"""`result.plot` gives each figure as one that stands alone."""

from __future__ import annotations

import subprocess
import sys

import pytest
from matplotlib.figure import Figure

from miliary.report.plots import Plots

NAMES = [name for name in vars(Plots) if not name.startswith("_") and callable(vars(Plots)[name])]


@pytest.mark.parametrize("n", [0, 40])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "curve"])
def test_every_plot_is_a_figure_whatever_was_found(make_analysis, tmp_path, name, n):
    figure = getattr(make_analysis(n).plot, name)()
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "figure.png", dpi=40)


def test_a_curve_has_a_panel_a_lung(make_analysis):
    plot = make_analysis().plot
    assert [axes.get_title(loc="left") for axes in plot.curve("L").axes] == [
        "both lungs",
        "right lung",
        "left lung",
    ]
    assert len(plot.curve("L", "left").axes) == 1
    assert plot.curve("pleura", "both").axes[0].get_xlabel() == "distance to the pleura (mm)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("H",), "function must be one of .*, got 'H'"), (("L", "top"), "lung must be .*, got 'top'")],
)
def test_what_there_is_not_is_refused(make_analysis, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_analysis(5).plot.curve(*arguments)


def test_matplotlib_is_imported_when_a_plot_is_asked_for():
    code = "import sys, miliary.analysis; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
