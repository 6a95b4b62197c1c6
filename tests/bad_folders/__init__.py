"""Folders of every bad kind, each with the verdict that a loader owes to it: `ROWS`."""

from __future__ import annotations

from importlib import import_module

from bad_folders.making import ROWS, BadFolder

# Each module puts its rows into the table.
for _name in ("dress", "company", "geometry", "values", "frames"):
    import_module(f"bad_folders.{_name}")

__all__ = ["ROWS", "BadFolder"]
