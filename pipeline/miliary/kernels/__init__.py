"""Vectorised numerics on plain arrays: no volumes, paths, logs or configuration here."""
