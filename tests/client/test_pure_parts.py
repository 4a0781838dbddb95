"""The parts of the client that do nothing but reckon: pages, pauses of those who were overtaken, targets."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petra import Entry, JSONCodec
from petra._transport.calls import Address
from petra._transport.paging import Pages
from petra._transport.requests import Requests
from petra._transport.target import DEFAULT_PORT, parse_target
from petra.contention import Contention
from petra.errors import DeadlineExceeded, InvalidArgument, VersionConflict
from petra.v1 import storage_pb2 as pb


def pages(limit: int | None, page_size: int | None) -> Pages:
    return Pages(
        Requests(Address("space", "room"), JSONCodec(), None),
        prefix="p",
        start="",
        start_after="s",
        end="e",
        reverse=True,
        limit=limit,
        page_size=page_size,
        keys_only=True,
    )


class TestPages:
    @given(
        stored=st.integers(0, 40),
        limit=st.none() | st.integers(0, 45),
        page_size=st.none() | st.integers(1, 10),
        data=st.data(),
    )
    def test_they_end_at_the_limit_or_with_the_entries(
        self, stored: int, limit: int | None, page_size: int | None, data: st.DataObject
    ) -> None:
        """Whatever number of entries up to the one asked for the server gives a page, none too."""
        listing = pages(limit, page_size)
        seen: list[int] = []
        while (call := listing.next_call()) is not None:
            request = pb.ListRequest.FromString(call.value)
            assert 1 <= request.limit <= (page_size or 1_000)
            assert limit is None or request.limit <= limit - len(seen)
            fixed = (request.namespace, request.object, request.prefix, request.start_after, request.end)
            assert fixed == ("space", "room", "p", "s", "e")
            assert request.reverse
            assert request.keys_only
            most = min(request.limit, stored - len(seen))
            count = data.draw(st.integers(min(1, most), most))
            entries = [Entry(f"{number}", None, 1, None) for number in range(len(seen), len(seen) + count)]
            token = b"more" if len(seen) + count < stored else b""
            seen += [int(entry.key) for entry in listing.take((entries, token))]
        assert seen == list(range(stored if limit is None else min(stored, limit)))

    def test_each_carries_the_token_of_the_last(self) -> None:
        listing = pages(None, 10)
        tokens = []
        for token in (b"first", b"\0second", b""):
            call = listing.next_call()
            assert call is not None
            tokens.append(pb.ListRequest.FromString(call.value).page_token)
            # A page may be empty and not the last.
            listing.take(([], token))
        assert tokens == [b"", b"first", b"\0second"]
        assert listing.next_call() is None


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class TestContention:
    def test_pauses_grow_to_a_bound_and_end_before_the_time_does(self) -> None:
        clock = Clock()
        contention = Contention(10.0, clock)
        conflict = VersionConflict("Somebody was faster.", version=3, key="key")
        pauses: list[float] = []

        def attempt_in_vain() -> None:
            while True:
                assert contention.left() == pytest.approx(110.0 - clock.now)
                clock.now += 0.5
                pauses.append(contention.pause(conflict))
                clock.now += pauses[-1]

        with pytest.raises(VersionConflict) as caught:
            attempt_in_vain()
        assert caught.value is conflict
        assert all(0 <= pause <= min(0.1, 0.001 * 2**number) for number, pause in enumerate(pauses))
        # Another attempt would have had no time for as long as the last one took, with some to spare.
        assert 108.5 < clock.now < 110.0

    def test_an_attempt_that_would_take_too_long_is_not_begun(self) -> None:
        clock = Clock()
        contention = Contention(10.0, clock)
        clock.now += 6
        with pytest.raises(VersionConflict):
            contention.pause(VersionConflict("Somebody was faster."))

    def test_when_the_time_is_over_the_last_conflict_is_told_or_that_it_is(self) -> None:
        clock = Clock()
        calm, overtaken = Contention(10.0, clock), Contention(10.0, clock)
        overtaken.pause(VersionConflict("Somebody was faster.", key="key"))
        clock.now += 10
        with pytest.raises(DeadlineExceeded) as late:
            calm.left()
        assert not late.value.outcome_unknown
        with pytest.raises(VersionConflict, match="faster"):
            overtaken.left()


class TestTarget:
    @pytest.mark.parametrize(
        ("address", "host", "port", "text"),
        [
            ("localhost", "localhost", DEFAULT_PORT, "localhost:7475"),
            ("localhost:1", "localhost", 1, "localhost:1"),
            ("db.example.org:65535", "db.example.org", 65_535, "db.example.org:65535"),
            ("127.0.0.1:7475", "127.0.0.1", 7_475, "127.0.0.1:7475"),
            ("[::1]:7475", "::1", 7_475, "[::1]:7475"),
            ("[::1]", "::1", DEFAULT_PORT, "[::1]:7475"),
            ("::1", "::1", DEFAULT_PORT, "[::1]:7475"),
            ("[fe80::1%eth0]:80", "fe80::1%eth0", 80, "[fe80::1%eth0]:80"),
            ("bücher.example", "bücher.example", DEFAULT_PORT, "bücher.example:7475"),
        ],
    )
    def test_addresses(self, address: str, host: str, port: int, text: str) -> None:
        target = parse_target(address, False)
        assert (target.host, target.port, str(target)) == (host, port, text)
        assert target.tls is None

    @pytest.mark.parametrize(
        "address",
        [
            "",
            ":7475",
            "localhost:",
            "localhost:http",
            "localhost:0",
            "localhost:65536",
            "localhost:-1",
            "localhost:٣",
            "http://localhost:7475",
            "localhost/7475",
            "local host",
            "[::1",
            "[::1]7475",
            "[::1]:x",
            "[]:7475",
            " localhost",
            "localhost\n",
        ],
    )
    def test_what_is_none_is_refused_in_a_sentence(self, address: str) -> None:
        with pytest.raises(InvalidArgument, match="host:port") as caught:
            parse_target(address, False)
        assert caught.value.field == "address"
        assert repr(address) in str(caught.value)

    def test_tls_with_the_systems_certificates_or_ones_own(self) -> None:
        context = parse_target("localhost", True).tls
        assert context is not None
        assert context.verify_mode is ssl.CERT_REQUIRED
        own = ssl.create_default_context()
        assert parse_target("localhost", own).tls is own
