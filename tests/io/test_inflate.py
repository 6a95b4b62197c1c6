"""Deflated content, read while it is inflated."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest

from miliary.io.inflate import Inflated, deflated_from


def deflated(content: bytes, before: bytes = b"head") -> io.BytesIO:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return io.BytesIO(before + packer.compress(content) + packer.flush())


def test_any_place_can_be_read_in_any_order(rng):
    content = rng.bytes(300_000)
    file = io.BufferedReader(Inflated(deflated(content), 4, 1 << 20), 1 << 12)
    for place in rng.integers(0, len(content) - 500, 12):
        file.seek(int(place))
        assert file.read(500) == content[place : place + 500]
    file.seek(0)
    assert file.read() == content
    assert file.read(1) == b""


def test_a_bomb_is_inflated_to_the_cap_only():
    file = Inflated(deflated(bytes(50 << 20)), 4, 1 << 20)
    with pytest.raises(OSError, match="at most 1048576 bytes"):
        file.seek(40 << 20)


def test_a_broken_stream_raises():
    content = deflated(np.arange(99_999).tobytes()).getvalue()
    cut = Inflated(io.BytesIO(content[: len(content) // 2]), 4, 1 << 22)
    with pytest.raises(EOFError, match="break off"):
        cut.readall()
    with pytest.raises(zlib.error):
        Inflated(io.BytesIO(b"head" + b"\xff" * 99), 4, 1 << 20).readall()


def test_only_deflated_files_say_where_they_are_deflated():
    start = bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00\x2a\x00\x00\x00"
    assert deflated_from(start + b"1.2.840.10008.1.2.1\0") == 0
    assert deflated_from(start + b"1.2.840.10008.1.2.1.99") == 144 + 0x2A
    with pytest.raises(ValueError, match="length of its file meta"):
        deflated_from(bytes(128) + b"DICM" + bytes(20) + b"1.2.840.10008.1.2.1.99")
