from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from petra_server.storage.keys import (
    REQUEST_TTL_MS,
    SLOTS,
    actor_of_slot,
    entry_prefix,
    expiry_bounds,
    expiry_key,
    namespace_prefix,
    part,
    prefix_end,
    read_part,
    request_bounds,
    request_bucket,
    request_key,
    slot_of,
    slots_of_actor,
    split_entry,
    split_expiry,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# Bytes around those that the format gives a meaning to, so that names often share a beginning.
_TELLING = st.lists(st.sampled_from([0x00, 0x01, 0x02, 0x61, 0xFE, 0xFF]), max_size=5).map(bytes)
NAMES = _TELLING | st.binary(max_size=12)
OBJECTS: SearchStrategy[tuple[bytes, bytes]] = st.tuples(NAMES, NAMES)
ENTRIES: SearchStrategy[tuple[bytes, bytes, bytes]] = st.tuples(NAMES, NAMES, NAMES)
TIMES_MS = st.integers(0, 1 << 50)
SOME_COUNTS = [1, 2, 3, 5, 64, 100, 1_000, 16_383, 16_384]


def entry_key(entry: tuple[bytes, bytes, bytes]) -> bytes:
    namespace, object_name, key = entry
    return entry_prefix(namespace, object_name) + key


class TestEntries:
    @given(ENTRIES, ENTRIES)
    @example((b"a", b"", b""), (b"a\x00", b"", b""))
    @example((b"a", b"\xff", b""), (b"a\x00", b"", b""))
    def test_compare_as_namespace_object_and_key_do(
        self, one: tuple[bytes, bytes, bytes], other: tuple[bytes, bytes, bytes]
    ) -> None:
        assert (entry_key(one) < entry_key(other)) == (one < other)
        assert (entry_key(one) == entry_key(other)) == (one == other)

    @given(ENTRIES)
    def test_can_be_split_again(self, entry: tuple[bytes, bytes, bytes]) -> None:
        assert split_entry(entry_key(entry)) == entry

    @given(OBJECTS, NAMES, NAMES)
    def test_a_prefix_of_a_key_is_a_prefix_on_disk(self, place: tuple[bytes, bytes], key: bytes, prefix: bytes) -> None:
        on_disk = entry_key((*place, key))
        assert on_disk.startswith(entry_prefix(*place) + prefix) == key.startswith(prefix)

    @given(ENTRIES, OBJECTS, NAMES)
    def test_the_range_of_a_prefix_holds_its_keys_and_nothing_of_another_object(
        self, entry: tuple[bytes, bytes, bytes], place: tuple[bytes, bytes], prefix: bytes
    ) -> None:
        lower = entry_prefix(*place) + prefix
        within = lower <= entry_key(entry) < prefix_end(lower)
        assert within == (entry[:2] == place and entry[2].startswith(prefix))

    @given(ENTRIES, NAMES)
    def test_the_range_of_a_namespace_holds_its_entries_and_no_others(
        self, entry: tuple[bytes, bytes, bytes], namespace: bytes
    ) -> None:
        lower = namespace_prefix(namespace)
        assert (lower <= entry_key(entry) < prefix_end(lower)) == (entry[0] == namespace)

    def test_what_is_no_entry_key_cannot_be_split(self) -> None:
        with pytest.raises(ValueError, match="not found"):
            split_entry(b"\x01no end")


class TestParts:
    @given(st.lists(NAMES, max_size=4))
    def test_are_read_one_after_the_other(self, names: list[bytes]) -> None:
        joined = b"".join(map(part, names))
        at, read = 0, []
        while at < len(joined):
            name, at = read_part(joined, at)
            read.append(name)
        assert read == names

    @given(NAMES, NAMES)
    def test_none_continues_another(self, one: bytes, other: bytes) -> None:
        assert part(one).startswith(part(other)) == (one == other)


@given(st.binary(max_size=6).map(lambda start: b"\x01" + start), NAMES, NAMES)
@example(b"\x01\xff\xff", b"", b"\xff")
def test_prefix_end_is_the_end_of_exactly_what_begins_with_the_prefix(prefix: bytes, rest: bytes, other: bytes) -> None:
    end = prefix_end(prefix)
    assert prefix <= prefix + rest < end
    assert (prefix <= other < end) == other.startswith(prefix)


class TestExpiryIndex:
    @given(TIMES_MS, ENTRIES, TIMES_MS, ENTRIES)
    def test_is_ordered_by_time_and_then_by_entry(
        self, time: int, one: tuple[bytes, bytes, bytes], other_time: int, other: tuple[bytes, bytes, bytes]
    ) -> None:
        on_disk = expiry_key(time, entry_key(one)) < expiry_key(other_time, entry_key(other))
        assert on_disk == ((time, one) < (other_time, other))

    @given(TIMES_MS, ENTRIES)
    def test_says_time_and_entry_again(self, time: int, entry: tuple[bytes, bytes, bytes]) -> None:
        assert split_expiry(expiry_key(time, entry_key(entry))) == (time, entry_key(entry))

    @given(TIMES_MS, ENTRIES, TIMES_MS, TIMES_MS)
    @example(5, (b"", b"", b"\xff"), 5, 5)
    def test_bounds_include_both_times(
        self, time: int, entry: tuple[bytes, bytes, bytes], first: int, last: int
    ) -> None:
        lower, upper = expiry_bounds(first, last)
        assert (lower <= expiry_key(time, entry_key(entry)) < upper) == (first <= time <= last)


class TestRequests:
    @given(OBJECTS, NAMES, OBJECTS, NAMES, st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1))
    def test_no_two_share_a_key(
        self, place: tuple[bytes, bytes], id_: bytes, other_place: tuple[bytes, bytes], other_id: bytes, a: int, b: int
    ) -> None:
        key, other = request_key(a, entry_prefix(*place), id_), request_key(b, entry_prefix(*other_place), other_id)
        assert (key == other) == ((a, place, id_) == (b, other_place, other_id))

    @given(OBJECTS, NAMES, st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1))
    def test_whole_buckets_lie_in_one_range(
        self, place: tuple[bytes, bytes], id_: bytes, bucket: int, end: int
    ) -> None:
        lower, upper = request_bounds(end)
        assert (lower <= request_key(bucket, entry_prefix(*place), id_) < upper) == (bucket < end)

    @given(TIMES_MS, st.integers(0, REQUEST_TTL_MS - 1))
    def test_what_can_be_replayed_is_in_this_bucket_or_the_one_before(self, first_ms: int, later_ms: int) -> None:
        assert request_bucket(first_ms + later_ms) - request_bucket(first_ms) in (0, 1)

    @given(ENTRIES, TIMES_MS)
    def test_kinds_of_keys_never_mix(self, entry: tuple[bytes, bytes, bytes], time: int) -> None:
        key = entry_key(entry)
        request = request_key(request_bucket(time), entry_prefix(*entry[:2]), entry[2])
        assert key < expiry_key(time, key) < request


def reference_crc32(data: bytes) -> int:
    """CRC-32 of ISO 3309, bit by bit, as a client in any language may write it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class TestSlots:
    def test_the_reference_is_the_published_crc32(self) -> None:
        assert reference_crc32(b"123456789") == 0xCBF43926

    @given(NAMES, NAMES)
    def test_are_the_crc32_of_namespace_and_name_modulo_their_number(self, namespace: bytes, name: bytes) -> None:
        assert slot_of(namespace, name) == reference_crc32(namespace + b"\x00" + name) % 16_384

    @pytest.mark.parametrize(
        ("namespace", "name", "slot"),
        [("default", "room-42", 11_098), ("default", "greeting", 6_722), ("sessions", "größe", 14_401)],
    )
    def test_are_fixed_for_ever(self, namespace: str, name: str, slot: int) -> None:
        assert slot_of(namespace.encode(), name.encode()) == slot

    @pytest.mark.parametrize("actors", SOME_COUNTS)
    def test_belong_to_one_actor_each_in_contiguous_ranges(self, actors: int) -> None:
        ranges = [slots_of_actor(index, actors) for index in range(actors)]
        assert [slot for first, last in ranges for slot in range(first, last + 1)] == list(range(SLOTS))
        owners = [actor_of_slot(slot, actors) for slot in range(SLOTS)]
        assert owners == [index for index, (first, last) in enumerate(ranges) for _ in range(first, last + 1)]

    @given(st.integers(1, SLOTS))
    def test_are_shared_out_evenly(self, actors: int) -> None:
        sizes = {
            last - first + 1
            for first, last in (slots_of_actor(index, actors) for index in (0, actors // 2, actors - 1))
        }
        assert max(sizes) - min(sizes) <= 1
        assume(actors > 1)
        assert slots_of_actor(1, actors)[0] == slots_of_actor(0, actors)[1] + 1
