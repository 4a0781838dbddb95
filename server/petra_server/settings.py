"""Everything that can be set about a server: one frozen object, each field with default, unit and trade-off.

`Settings` is the only source. The flags of `petra serve`, the `PETRA_...` variables, the keys of `petra.toml`, the
output of `petra config` and docs/settings.md are all derived from its fields (see `settings_catalogue`). A `Settings`
that exists is valid: making one with a value out of its range raises `InvalidSettings`, which names every such field.

This module imports nothing outside the standard library, so that everything may import it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args

from petra_server.sizes import GIB, KIB, MIB, TIB, format_size

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "human", "json"]
WalRecovery = Literal["tail", "point-in-time"]
CHOICES: Final = {
    "log_level": get_args(LogLevel),
    "log_format": get_args(LogFormat),
    "wal_recovery": get_args(WalRecovery),
}

SLOTS: Final = 16_384
_INT32_MAX: Final = 2**31 - 1  # gRPC keeps its channel arguments in 32 bits
_PORT_MAX: Final = 65_535

_T = TypeVar("_T")


class Group(Enum):
    """The headings under which settings are shown."""

    SERVER = "Server"
    STORAGE = "Storage"
    SQL = "SQL"
    LIMITS = "Limits"
    HTTP = "HTTP"
    CONNECTIONS = "Connections"
    TLS = "TLS"


def _setting(default: _T, group: Group, meaning: str, *, at_least: int | None = None, at_most: int | None = None) -> _T:
    """A field of Settings. `meaning` says what it is and what more or less of it costs; a number has both bounds."""
    facts = {"group": group, "meaning": meaning, "at_least": at_least, "at_most": at_most}
    return field(default=default, metadata=facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one server. Every field has a default; `Settings()` is a working local server.

    Raises InvalidSettings when a value is out of its range or contradicts another one.
    """

    data: Path = _setting(
        Path("petra-data"),
        Group.SERVER,
        "The data directory, made if it is not there. One server at a time can have it.",
    )
    listen: str = _setting(
        "127.0.0.1:7475",
        Group.SERVER,
        "The address to listen on, HOST:PORT. Port 0 picks a free one, [::1]:7475 is IPv6, 0.0.0.0:7475 or [::]:7475 "
        "is every interface: then anyone who reaches the port can read and write, unless the TLS settings ask for a "
        "client certificate.",
    )
    actors: int = _setting(
        0,
        Group.SERVER,
        "How many actors share the 16,384 slots; fixed when the data directory is made. 0: what the directory has, 64 "
        "for a new one. More keep slow requests from holding up others, and each costs a column family: memory and "
        "time to open.",
        at_least=0,
        at_most=SLOTS,
    )
    log_level: LogLevel = _setting(
        "info",
        Group.SERVER,
        "The least important log lines to write. debug is for looking into one server, not for serving.",
    )
    log_format: LogFormat = _setting(
        "auto",
        Group.SERVER,
        "How log lines look on standard error. auto: human on a terminal, one JSON object a line otherwise.",
    )
    reflection: bool = _setting(
        True,
        Group.SERVER,
        "Answer gRPC server reflection, so that tools such as grpcurl need no .proto files. Off hides the list of "
        "methods, which is public anyway.",
    )
    grace_seconds: float = _setting(
        30.0,
        Group.SERVER,
        "How long requests that are under way may go on after SIGTERM before they are cut off. Keep it below the "
        "patience of the supervisor, which kills the process at its own limit.",
        at_least=0,
        at_most=3600,
    )

    cache_bytes: int = _setting(
        128 * MIB,
        Group.STORAGE,
        "The entry cache, shared by all actors. More answers more reads without RocksDB; 0 turns it off.",
        at_least=0,
        at_most=16 * TIB,
    )
    block_cache_bytes: int = _setting(
        128 * MIB,
        Group.STORAGE,
        "RocksDB's cache of blocks read from disk. More helps lists and reads of entries that the entry cache does "
        "not hold.",
        at_least=MIB,
        at_most=16 * TIB,
    )
    write_buffer_bytes: int = _setting(
        128 * MIB,
        Group.STORAGE,
        "All memtables together: recent writes kept in memory before they become files. More means larger and fewer "
        "files under heavy writing, and takes longer to replay after a crash.",
        at_least=MIB,
        at_most=TIB,
    )
    wal_bytes: int = _setting(
        256 * MIB,
        Group.STORAGE,
        "The write-ahead log, in total, before the oldest memtables are flushed to let go of it. More flushes less "
        "often; it also bounds what is replayed, and so the time to serve again after a crash.",
        at_least=MIB,
        at_most=TIB,
    )
    max_open_files: int = _setting(
        1024,
        Group.STORAGE,
        "Table files that RocksDB keeps open. Fewer means files are opened again on reads; more needs file "
        "descriptors (ulimit -n) and memory for their indexes.",
        at_least=32,
        at_most=_INT32_MAX,
    )
    disk_reserve_bytes: int = _setting(
        0,
        Group.STORAGE,
        "Free disk space below which writes are refused with DISK_FULL while reads go on. 0: 5 % of the file system, "
        "at most 1GiB. It is the room that flushes and compactions need, so too little risks a failure in the middle "
        "of one.",
        at_least=0,
        at_most=16 * TIB,
    )
    wal_recovery: WalRecovery = _setting(
        "tail",
        Group.STORAGE,
        "What to do about a damaged write-ahead log. tail: drop a torn end, refuse to open on damage before it. "
        "point-in-time: open with everything before the damage and drop what follows, acknowledged writes included; "
        "for a rescue, not for every day.",
    )
    buffered_flush_ms: int = _setting(
        50,
        Group.STORAGE,
        "The longest time that an acknowledged BUFFERED write waits for the disk. Less loses less in a power cut; "
        "more shares each flush between more writes.",
        at_least=1,
        at_most=60_000,
    )
    sweep_interval_ms: int = _setting(
        1000,
        Group.STORAGE,
        "How often expired entries are looked for, to give their disk space back. Expired entries are invisible at "
        "once either way.",
        at_least=1,
        at_most=3_600_000,
    )
    sweep_batch_items: int = _setting(
        512,
        Group.STORAGE,
        "Expired entries deleted in one turn of an actor. More clears a backlog sooner; fewer keep requests from "
        "waiting behind the sweeper.",
        at_least=1,
        at_most=1_000_000,
    )

    sql_threads: int = _setting(
        8,
        Group.SQL,
        "Threads that run statements, each for one actor at a time. More keep slow statements of some objects from "
        "holding up those of others; they share the machine with everything else.",
        at_least=1,
        at_most=256,
    )
    sql_open_databases: int = _setting(
        1024,
        Group.SQL,
        "Databases kept open; those not used for the longest time are closed. Opening one again takes a fraction of a "
        "millisecond, and reads its pages anew.",
        at_least=1,
        at_most=1_000_000,
    )
    sql_cache_bytes: int = _setting(
        256 * MIB,
        Group.SQL,
        "Pages, schemas and prepared statements of all open databases; beyond it the least recently used ones are "
        "closed. One database may take a quarter for its pages; those that it has not there cost a read "
        "of RocksDB each.",
        at_least=MIB,
        at_most=16 * TIB,
    )
    sql_memory_bytes: int = _setting(
        512 * MIB,
        Group.SQL,
        "All memory that SQLite may allocate, sql_cache_bytes included. A statement that would need more fails with "
        "SQL_TOO_LARGE, so too little fails statements that do no harm.",
        at_least=16 * MIB,
        at_most=16 * TIB,
    )
    max_sql_seconds: float = _setting(
        30.0,
        Group.SQL,
        "How long the statements of one request may run, whatever its deadline. Their actor does nothing else "
        "meanwhile.",
        at_least=0,
        at_most=3600,
    )
    max_sql_bytes: int = _setting(
        256 * KIB,
        Group.SQL,
        "The longest text of a statement. Values belong into parameters, which do not count.",
        at_least=64,
        at_most=GIB,
    )
    max_sql_value_bytes: int = _setting(
        2 * MIB,
        Group.SQL,
        "The largest text, blob or row in a database, and in what statements compute.",
        at_least=KIB,
        at_most=GIB,
    )
    max_sql_rows: int = _setting(
        10_000,
        Group.SQL,
        "Rows in one answer of Execute or Transact. Query streams any number of them.",
        at_least=1,
        at_most=10_000_000,
    )
    max_sql_result_bytes: int = _setting(
        8 * MIB,
        Group.SQL,
        "The size of one answer of Execute, and of the results in one of Transact, at most half of max_message_bytes. "
        "Query streams more.",
        at_least=KIB,
        at_most=GIB,
    )
    max_sql_write_bytes: int = _setting(
        32 * MIB,
        Group.SQL,
        "Pages that the statements of one request may change. They are written in one batch, so more lets one request "
        "take more memory, several times as much, and hold up the log for longer.",
        at_least=64 * KIB,
        at_most=GIB,
    )
    max_sql_scratch_bytes: int = _setting(
        64 * MIB,
        Group.SQL,
        "What the statements of one request may use for sorting and for intermediate results beyond their page cache.",
        at_least=MIB,
        at_most=TIB,
    )
    max_sql_database_bytes: int = _setting(
        10 * GIB,
        Group.SQL,
        "The largest database of an object. Many databases share a server better than one large one does.",
        at_least=64 * KIB,
        at_most=16 * TIB,
    )
    sql_streams: int = _setting(
        16,
        Group.SQL,
        "Queries with large results that are streamed at the same time; beyond them queries get OVERLOADED. Each has "
        "a snapshot and a page cache of its own while it lasts.",
        at_least=1,
        at_most=1024,
    )

    max_namespace_bytes: int = _setting(
        255,
        Group.LIMITS,
        "The longest name of a namespace. It is part of every stored key. At least 7, the length of default.",
        at_least=len("default"),
        at_most=65_535,
    )
    max_object_bytes: int = _setting(
        1024,
        Group.LIMITS,
        "The longest name of an object. It is part of every stored key.",
        at_least=1,
        at_most=65_535,
    )
    max_key_bytes: int = _setting(
        2048,
        Group.LIMITS,
        "The longest key. Long keys take room in every index and cache.",
        at_least=1,
        at_most=65_535,
    )
    max_value_bytes: int = _setting(
        2 * MIB,
        Group.LIMITS,
        "The largest value. A large one is copied whole, in one turn, and holds up the other requests meanwhile.",
        at_least=1,
        at_most=GIB,
    )
    max_batch_items: int = _setting(
        1024,
        Group.LIMITS,
        "Keys, items or operations in one request. More is more work in one turn, which others wait for.",
        at_least=1,
        at_most=1_000_000,
    )
    max_message_bytes: int = _setting(
        16 * MIB,
        Group.LIMITS,
        "The largest message, in either direction. Larger ones are refused by gRPC itself. More lets one client take "
        "more memory at once.",
        at_least=KIB,
        at_most=_INT32_MAX,
    )
    max_page_entries: int = _setting(
        10_000,
        Group.LIMITS,
        "Entries in one page of List, whatever the request asks for. More is fewer round trips and longer turns.",
        at_least=1,
        at_most=1_000_000,
    )
    max_page_bytes: int = _setting(
        4 * MIB,
        Group.LIMITS,
        "Keys and values in one page of List, which ends early when they reach it.",
        at_least=1,
        at_most=GIB,
    )
    max_streams: int = _setting(
        256,
        Group.LIMITS,
        "Concurrent HTTP/2 streams, that is calls, of one connection; further ones wait in the client. A client that "
        "needs more should pack operations into a Pipeline.",
        at_least=1,
        at_most=_INT32_MAX,
    )
    max_connection_bytes: int = _setting(
        64 * MIB,
        Group.LIMITS,
        "Bytes in flight of one connection; beyond them requests get OVERLOADED. Less keeps one client from taking "
        "the share of the others.",
        at_least=KIB,
        at_most=TIB,
    )
    max_server_bytes: int = _setting(
        512 * MIB,
        Group.LIMITS,
        "Bytes in flight of all connections; beyond them requests get OVERLOADED. It is the part of the server's "
        "memory that its clients decide about.",
        at_least=KIB,
        at_most=16 * TIB,
    )
    max_mailbox_items: int = _setting(
        10_000,
        Group.LIMITS,
        "Requests that wait for one actor; beyond them requests get OVERLOADED. More rides out longer bursts, at the "
        "price of older answers.",
        at_least=1,
        at_most=10_000_000,
    )
    max_stream_bytes: int = _setting(
        4 * MIB,
        Group.LIMITS,
        "Unsent answers and unfinished requests of one Pipeline stream before the server stops reading it, until the "
        "client has read some. More lets a fast client keep more under way.",
        at_least=KIB,
        at_most=GIB,
    )

    http: str = _setting(
        "",
        Group.HTTP,
        "The address of the HTTP API and of /metrics, HOST:PORT, such as 127.0.0.1:7476. Unset: there is none. Who "
        "reaches it can read and write, as with listen; the TLS settings are for both.",
    )
    http_timeout_ms: int = _setting(
        5_000,
        Group.HTTP,
        "How long a request may take that does not say so itself in Petra-Timeout-Ms. More keeps requests waiting "
        "whose clients may have given up.",
        at_least=100,
        at_most=3_600_000,
    )
    http_connections: int = _setting(
        1024,
        Group.HTTP,
        "Connections of HTTP at the same time; beyond them requests get 503. Each takes a file descriptor.",
        at_least=1,
        at_most=1_000_000,
    )

    max_metadata_bytes: int = _setting(
        16 * KIB,
        Group.CONNECTIONS,
        "The headers of one call, or the head of an HTTP request. Larger ones are refused unread.",
        at_least=KIB,
        at_most=16 * MIB,
    )
    handshake_timeout_ms: int = _setting(
        10_000,
        Group.CONNECTIONS,
        "How long a new connection may take to say what it is, TLS included, or an HTTP request to send its head, "
        "before it is closed. Less frees sockets sooner from clients that say nothing; too little turns away slow "
        "networks.",
        at_least=1,
        at_most=_INT32_MAX,
    )
    keepalive_time_ms: int = _setting(
        60_000,
        Group.CONNECTIONS,
        "How long a connection may be silent before the server pings it. Less finds dead clients, and keeps firewalls "
        "open, at the price of traffic.",
        at_least=1,
        at_most=_INT32_MAX,
    )
    keepalive_timeout_ms: int = _setting(
        20_000,
        Group.CONNECTIONS,
        "How long the server waits for the answer to its ping before it closes the connection.",
        at_least=1,
        at_most=_INT32_MAX,
    )
    min_ping_interval_ms: int = _setting(
        10_000,
        Group.CONNECTIONS,
        "A client that pings more often than this is disconnected. Keep it below the keep-alive time of every client.",
        at_least=1,
        at_most=_INT32_MAX,
    )

    tls_cert: Path | None = _setting(
        None,
        Group.TLS,
        "The server's certificate chain, a PEM file; with tls_key only. Unset: no encryption.",
    )
    tls_key: Path | None = _setting(
        None,
        Group.TLS,
        "The private key of tls_cert, a PEM file that only the server's user should be able to read.",
    )
    tls_client_ca: Path | None = _setting(
        None,
        Group.TLS,
        "The authorities, a PEM file, one of which must have signed the certificate that every client then has to "
        "show. Unset: any client may connect.",
    )

    def __post_init__(self) -> None:
        problems = (*_range_problems(self), *_contradictions(self))
        if problems:
            raise InvalidSettings(problems)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a value, or some values together, cannot be used. `text` goes on from the name of the first one."""

    names: tuple[str, ...]
    text: str


class InvalidSettings(ValueError):
    """Values out of range or in contradiction; `problems` has all of them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{problem.names[0]} {problem.text}" for problem in problems))
        self.problems = problems


def split_address(listen: str) -> tuple[str, int]:
    """Host (without brackets) and port of HOST:PORT or [IPV6]:PORT. Raises ValueError, saying what to write."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%a-z]+\]|[^\s:\[\]/]+):([0-9]{1,5})", listen)
    if match is None or int(match[2]) > _PORT_MAX:
        raise ValueError(f"must be HOST:PORT, such as 127.0.0.1:7475 or [::1]:7475, and is {listen!r}")
    return match[1].strip("[]"), int(match[2])


def _range_problems(settings: Settings) -> Iterator[Problem]:
    for name, choices in CHOICES.items():
        if getattr(settings, name) not in choices:
            yield Problem((name,), f"must be one of {', '.join(choices)}, and is {getattr(settings, name)!r}")
    for each in dataclasses.fields(settings):
        least, most, value = each.metadata["at_least"], each.metadata["at_most"], getattr(settings, each.name)
        if least is not None and not least <= value <= most:
            show = format_size if each.name.endswith("_bytes") else str
            yield Problem((each.name,), f"must be from {show(least)} to {show(most)}, and is {show(value)}")
    for name in ("listen", *(("http",) if settings.http else ())):
        try:
            split_address(getattr(settings, name))
        except ValueError as error:
            yield Problem((name,), str(error))


def _contradictions(settings: Settings) -> Iterator[Problem]:
    if settings.max_value_bytes >= settings.max_message_bytes:
        yield Problem(
            ("max_value_bytes", "max_message_bytes"),
            "must be less than max_message_bytes, or the largest value fits in no message",
        )
    if settings.sql_cache_bytes >= settings.sql_memory_bytes:
        yield Problem(
            ("sql_memory_bytes", "sql_cache_bytes"),
            "must be more than sql_cache_bytes, or full caches leave nothing for statements",
        )
    if settings.max_page_bytes > settings.max_message_bytes:
        yield Problem(
            ("max_page_bytes", "max_message_bytes"),
            "must not be more than max_message_bytes, or a full page fits in no message",
        )
    if settings.max_message_bytes > settings.max_connection_bytes:
        yield Problem(
            ("max_connection_bytes", "max_message_bytes"),
            "must not be less than max_message_bytes, or the largest message is always refused",
        )
    if settings.max_connection_bytes > settings.max_server_bytes:
        yield Problem(
            ("max_server_bytes", "max_connection_bytes"),
            "must not be less than max_connection_bytes, or one connection can use up the whole server",
        )
    if settings.tls_cert is not None and settings.tls_key is None:
        yield Problem(("tls_cert", "tls_key"), "needs tls_key: give both or neither")
    if settings.tls_key is not None and settings.tls_cert is None:
        yield Problem(("tls_key", "tls_cert"), "needs tls_cert: give both or neither")
    if settings.tls_client_ca is not None and settings.tls_cert is None:
        yield Problem(
            ("tls_client_ca", "tls_cert"), "needs tls_cert and tls_key: only a TLS server can ask for certificates"
        )
