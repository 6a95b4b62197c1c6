"""Whether the micronodules of a chest CT form a miliary pattern."""

__version__ = "0.1.0"
