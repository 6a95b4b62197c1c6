"""Many cases: each in a process of its own, side by side by Dask, in tables that lose nothing."""
