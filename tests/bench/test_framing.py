from __future__ import annotations

from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value
from hypothesis import given
from hypothesis import strategies as st

from bench.framing import bytes_field, frame, varint


@given(st.integers(min_value=1, max_value=2**64 - 1))
def test_a_varint_is_protobufs(number: int) -> None:
    assert b"\x08" + varint(number) == UInt64Value(value=number).SerializeToString()


@given(st.binary(min_size=1, max_size=1000))
def test_a_field_of_bytes_is_protobufs(content: bytes) -> None:
    assert bytes_field(1, content) == BytesValue(value=content).SerializeToString()


def test_a_frame_says_that_it_is_not_compressed_and_how_long_it_is() -> None:
    assert frame(b"abc") == b"\0\0\0\0\3abc"
