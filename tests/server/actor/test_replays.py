from __future__ import annotations

import pytest

from petra_server.actor.operations import (
    Algorithm,
    Condition,
    CountReply,
    Delete,
    DeleteMany,
    DeleteReply,
    Get,
    GetReply,
    Increment,
    IncrementReply,
    Operation,
    Reply,
    Set,
    SetMany,
    SetManyReply,
    SetReply,
    Throttle,
    ThrottleReply,
    Touch,
    TouchReply,
    Transact,
    TransactReply,
)
from petra_server.actor.replays import fingerprint, pack_reply, unpack_reply
from petra_server.storage.records import Record

LARGEST = (1 << 64) - 1
RECORD = Record(LARGEST, LARGEST, 2, b"\x00\xff")
STEP_REPLIES = (
    SetReply(LARGEST),
    DeleteReply(True),
    IncrementReply(-(1 << 63), 1),
    TouchReply(False, 0),
    ThrottleReply(True, 1, 2, 3, 4),
    GetReply(RECORD),
    GetReply(None),
)
REPLIES: list[Reply] = [
    *STEP_REPLIES,
    SetManyReply(()),
    SetManyReply((1, LARGEST)),
    CountReply(3),
    TransactReply(True, STEP_REPLIES, ()),
    TransactReply(True, (), ()),
    TransactReply(False, (), ((b"\xffkey", RECORD), (b"gone", None))),
]


@pytest.mark.parametrize("reply", REPLIES, ids=repr)
def test_every_kind_of_reply_is_read_as_it_was_written(reply: Reply) -> None:
    read = unpack_reply(pack_reply(reply))
    assert read == reply
    assert type(read) is type(reply)


def test_the_replies_within_a_transaction_keep_their_kinds() -> None:
    read = unpack_reply(pack_reply(TransactReply(True, STEP_REPLIES, ())))
    assert isinstance(read, TransactReply)
    assert [type(result) for result in read.results] == [type(reply) for reply in STEP_REPLIES]


def test_what_is_on_disk_is_read_by_every_release() -> None:
    assert pack_reply(IncrementReply(5, 7)) == bytes((0x93, 3, 5, 7))
    stored = bytes((0x94, 9, 0xC3, 0x93, 0, 0x92, 1, 5, 0x92, 6, 0xC0, 0x91, 0))
    assert unpack_reply(stored) == TransactReply(True, (SetReply(5), GetReply(None)), ())


def transact(*steps: Set | Delete | Increment | Touch | Throttle | Get, version: int = 1) -> Transact:
    return Transact((Condition(b"k", version),), steps, 1 << 20)


DIFFERENT: list[Operation] = [
    Set(b"k", b"v", 1),
    Set(b"other", b"v", 1),
    Set(b"k", b"w", 1),
    Set(b"k", b"v", 2),
    Set(b"k", b"v", 1, ttl_ms=1),
    Set(b"k", b"v", 1, if_version=0),
    Set(b"k", b"v", 1, if_version=1),
    Set(b"k", b"v", 1, keep_ttl=True),
    Delete(b"k"),
    Delete(b"k", if_version=0),
    Increment(b"k", 1),
    Increment(b"k", -1),
    Increment(b"k", 1, initial=1),
    Increment(b"k", 1, ttl_ms=1),
    Throttle(b"k", Algorithm.GCRA, 1, 1, 1, 1),
    Throttle(b"k", Algorithm.FIXED_WINDOW, 1, 1, 1, 1),
    Throttle(b"k", Algorithm.GCRA, 1, 1, 1, 1, peek=True),
    SetMany(()),
    SetMany((Set(b"k", b"v", 1),)),
    SetMany((Set(b"k", b"v", 1), Set(b"l", b"v", 1))),
    SetMany((Set(b"l", b"v", 1), Set(b"k", b"v", 1))),
    DeleteMany(()),
    DeleteMany((b"k",)),
    transact(),
    transact(version=2),
    transact(Get(b"k")),
    transact(Touch(b"k", 1)),
    # A deletion and a touch have the same fields.
    transact(Delete(b"k", 1)),
    transact(Get(b"k"), Get(b"k")),
]


def test_different_requests_have_different_fingerprints() -> None:
    seen: dict[int, Operation] = {}
    for operation in DIFFERENT:
        assert seen.setdefault(fingerprint(operation, True), operation) is operation


def test_equal_requests_have_equal_fingerprints() -> None:
    for operation in DIFFERENT:
        assert fingerprint(type(operation)(*operation), True) == fingerprint(operation, True)
    assert fingerprint(Transact((), (), 1), True) == fingerprint(Transact((), (), 2), True), (
        "a setting of the server is no part of it"
    )
