from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra_server.errors import Reason, StorageCorrupt
from petra_server.storage.records import Record, pack_record, pack_request, unpack_record, unpack_request

UINT64 = st.integers(0, (1 << 64) - 1)
RECORDS = st.builds(Record, UINT64, UINT64, st.sampled_from([1, 2]), st.binary(max_size=64))


@given(RECORDS)
def test_an_entry_is_read_as_it_was_written(record: Record) -> None:
    assert unpack_record(pack_record(record)) == record


def test_an_entry_is_laid_out_as_documented() -> None:
    record = Record(version=0x0102, expires_at_ms=0x0304, encoding=2, value=b"{}")
    assert pack_record(record) == b"\x02" + b"\0\0\0\0\0\0\x01\x02" + b"\0\0\0\0\0\0\x03\x04" + b"{}"


@given(RECORDS, st.integers(0, 16))
def test_an_entry_cut_short_is_damaged(record: Record, length: int) -> None:
    with pytest.raises(StorageCorrupt) as caught:
        unpack_record(pack_record(record)[:length])
    assert caught.value.reason is Reason.STORAGE_CORRUPT


@given(RECORDS, st.integers(0, 255).filter(lambda byte: byte not in (1, 2)))
def test_an_entry_of_an_unknown_encoding_is_damaged(record: Record, encoding: int) -> None:
    with pytest.raises(StorageCorrupt):
        unpack_record(bytes((encoding,)) + pack_record(record)[1:])


@given(UINT64, st.integers(0, (1 << 32) - 1), st.binary(max_size=64))
def test_a_request_is_read_as_it_was_written(expires_at_ms: int, fingerprint: int, reply: bytes) -> None:
    assert unpack_request(pack_request(expires_at_ms, fingerprint, reply)) == (expires_at_ms, fingerprint, reply)


@given(st.binary(max_size=11))
def test_a_request_cut_short_is_damaged(data: bytes) -> None:
    with pytest.raises(StorageCorrupt):
        unpack_request(data)
