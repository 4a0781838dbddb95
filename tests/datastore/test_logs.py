"""What is logged of each operation, through a standard logger and through structlog."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import structlog

from petra.datastore import Datastore, LastOwner, NotFoundOrNoAccess
from petra.errors import SqlError

FIELDS = ("operation", "storage_class", "key", "outcome")


async def work(datastore: Datastore) -> None:
    """Something of everything, with values that no log may show."""
    ann, bob = datastore.auth("ann"), datastore.auth("bob")
    await ann.put("PAGE", "p1", {"text": "SECRET"})
    await ann.get("PAGE", "p1")
    await ann.get("PAGE", "nothing")
    await bob.get("PAGE", "p1")
    with pytest.raises(NotFoundOrNoAccess):
        await bob.delete("PAGE", "p1")
    with pytest.raises(LastOwner):
        await ann.unshare("PAGE", "p1", "ann")
    await ann.get_many("PAGE", ["p1", "p2"])
    await ann.query_list_add_item("pages:ann", "p1")
    await ann.put("LOG", "l1", {"text": "SECRET"})
    await ann.D1.query("LOG", {"text": "SECRET"})
    await ann.D1.execute("SELECT ?", ["SECRET"])
    with pytest.raises(SqlError):
        await ann.D1.execute("SELEC 'SECRET'")


LINES = [
    ("put", "PAGE", "p1", "ok"),
    ("get", "PAGE", "p1", "ok"),
    ("get", "PAGE", "nothing", "absent"),
    ("get", "PAGE", "p1", "no_access"),
    ("delete", "PAGE", "p1", "no_access"),
    ("unshare", "PAGE", "p1", "LastOwner"),
    ("get_many", "PAGE", "2 keys", "ok"),
    ("query_list_add_item", "LIST", "pages:ann", "ok"),
    ("put", "LOG", "l1", "ok"),
    ("query", "LOG", "", "ok"),
    ("execute", "", "SELECT", "ok"),
    ("execute", "", "SELEC", "SqlError"),
]


@pytest.mark.parametrize("name", ["petra.datastore", "my.own"])
async def test_a_standard_logger(
    open_datastore: Callable[..., Datastore], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with caplog.at_level(logging.INFO, logger=name):
        await work(open_datastore(logger=None if name == "petra.datastore" else logging.getLogger(name)))
    records = [record for record in caplog.records if record.name == name]
    assert [tuple(vars(record)[field] for field in FIELDS) for record in records] == LINES
    assert [record.levelno for record in records] == [logging.INFO] * (len(LINES) - 1) + [logging.WARNING]
    assert all(vars(record)["duration_ms"] > 0 and vars(record)["database"] == "main" for record in records)
    assert records[0].getMessage().startswith("datastore.put class=PAGE key='p1' outcome=ok duration_ms=")
    assert "SECRET" not in caplog.text
    assert not any("SECRET" in str(vars(record)) for record in records)


async def test_a_logger_adapter(open_datastore: Callable[..., Datastore], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="my.own"):
        await work(open_datastore(logger=logging.LoggerAdapter(logging.getLogger("my.own"), {"service": "shop"})))
    records = [record for record in caplog.records if record.name == "my.own"]
    assert len(records) == len(LINES)
    assert {vars(record)["service"] for record in records} == {"shop"}
    assert "datastore.get class=PAGE key='nothing' outcome=absent" in records[2].getMessage()


async def test_a_standard_logger_that_wants_no_such_lines(
    open_datastore: Callable[..., Datastore], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="petra.datastore"):
        await work(open_datastore())
    records = [record for record in caplog.records if record.name == "petra.datastore"]
    assert [vars(record)["outcome"] for record in records] == ["SqlError"]


async def test_structlog(open_datastore: Callable[..., Datastore]) -> None:
    seen = structlog.testing.LogCapture()
    logger = structlog.wrap_logger(None, processors=[seen]).bind(service="shop")
    await work(open_datastore(logger=logger))
    assert [tuple(entry[field] for field in FIELDS) for entry in seen.entries] == LINES
    assert [entry["log_level"] for entry in seen.entries] == ["info"] * (len(LINES) - 1) + ["warning"]
    assert seen.entries[0]["event"] == "datastore.put"
    assert all(entry["service"] == "shop" and entry["database"] == "main" for entry in seen.entries)
    assert all(entry["duration_ms"] > 0 for entry in seen.entries)
    assert "SECRET" not in str(seen.entries)


async def test_a_long_key_is_cut(open_datastore: Callable[..., Datastore]) -> None:
    seen = structlog.testing.LogCapture()
    ann = open_datastore(logger=structlog.wrap_logger(None, processors=[seen])).auth("ann")
    await ann.get("PAGE", "k" * 2_000)
    assert seen.entries[0]["key"] == "k" * 200 + "..."
