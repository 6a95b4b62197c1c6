"""Templates are compiled once, and kept where Python keeps compiled modules."""

from __future__ import annotations

import jinja2
import pytest

from miliary.report import templating
from miliary.report.templating import environment

NAME = "style.css"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder of its own for what is compiled; the environment is made anew."""
    monkeypatch.setattr("sys.pycache_prefix", str(tmp_path))
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    environment.cache_clear()
    yield tmp_path
    environment.cache_clear()


def render():
    environment.cache_clear()
    return environment().get_template(NAME).render()


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_template_is_compiled_once(kept, monkeypatch):
    first = render()
    (code,) = files(kept)
    assert code.name.startswith("template-")

    def refuse(*_, **__):
        raise AssertionError("it was compiled already")

    with monkeypatch.context() as patch:
        patch.setattr(jinja2.Environment, "_generate", refuse)
        assert render() == first
        # What its code depends on counts as much as its text.
        patch.setattr(templating, "_TRIMMED", False)
        with pytest.raises(AssertionError, match="compiled already"):
            render()


def test_where_nothing_can_be_kept_it_is_compiled_every_time(kept, monkeypatch):
    monkeypatch.setattr("sys.pycache_prefix", str(kept / "file"))
    (kept / "file").write_text("in the way of a folder")
    assert render() == render()
    assert files(kept) == [kept / "file"]
    monkeypatch.setattr("sys.pycache_prefix", str(kept))
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    render()
    assert files(kept) == [kept / "file"]
