"""Handles of the blocking client: the same methods on flat keys, on a namespace's, and on an object's."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from petra._transport import admin
from petra._transport.arguments import checked_name
from petra._transport.blocking import BlockingBinding
from petra._transport.calls import Address
from petra._transport.paging import Pages
from petra._transport.requests import Requests
from petra.contention import Contention
from petra.errors import PetraError, VersionConflict
from petra.recorder import Recorder, settle
from petra.recording import Overtaken
from petra.sql import DatabaseInfo
from petra.sync.database import Sql
from petra.sync.transaction import Transaction
from petra.values import Algorithm, Codec, Durability, Entry, RateLimit, Seconds, Throttled, Value, to_timeout

D = TypeVar("D")
T = TypeVar("T")


class Entries:
    """Entries of one address: the methods that the client, its namespaces and its objects share.

    `timeout`, in seconds or as a timedelta, bounds a call with all its attempts; None means the client's own.
    `ttl`, in seconds or as a timedelta, is how long an entry lives; None means for ever.
    `durability` is "fsync" (acknowledged once on disk) or "buffered" (acknowledged at once); None means the client's.

    Every method raises InvalidArgument for what can never work, ResourceExhausted when the server has too much to do
    or its disk is full, and Unavailable or DeadlineExceeded when it was not reached or did not answer in time.
    """

    def __init__(self, binding: BlockingBinding, address: Address, codec: Codec, durability: Durability | None) -> None:
        """Made by a client."""
        self._binding = binding
        self._address = address
        self._codec = codec
        self._durability = durability
        self._requests = Requests(address, codec, durability)

    def __repr__(self) -> str:
        address = self._address
        where = f", namespace={address.namespace!r}" if address.namespace else ""
        where += f", object={address.object!r}" if address.object else ""
        return f"<{type(self).__name__} {self._binding.target}{where}>"

    def get(self, key: str, default: D | None = None, *, timeout: Seconds | None = None) -> Value | D:
        """The value of a key, or the default when there is none."""
        return self._binding.call(self._requests.get(key, default), to_timeout(timeout))

    def get_entry(self, key: str, *, timeout: Seconds | None = None) -> Entry | None:
        """The entry of a key with its version and expiry, or None."""
        return self._binding.call(self._requests.get_entry(key), to_timeout(timeout))

    def get_many(self, keys: Iterable[str], *, timeout: Seconds | None = None) -> dict[str, Value]:
        """The values of many keys, in their order; absent keys are left out.

        One consistent snapshot within an object, whose reads are bounded by what fits into one answer.
        """
        return self._binding.bulk(self._requests.get_many(keys), to_timeout(timeout))

    def get_entries(self, keys: Iterable[str], *, timeout: Seconds | None = None) -> dict[str, Entry]:
        """As `get_many`, with versions and expiries."""
        return self._binding.bulk(self._requests.get_entries(keys), to_timeout(timeout))

    def set(
        self,
        key: str,
        value: Value,
        *,
        ttl: Seconds | None = None,
        keep_ttl: bool = False,
        if_version: int | None = None,
        if_absent: bool = False,
        durability: Durability | None = None,
        timeout: Seconds | None = None,
    ) -> int:
        """Writes a value and returns its version.

        An earlier expiry is removed, unless `keep_ttl`. Raises VersionConflict when the present version is not
        `if_version`, or when there is an entry and `if_absent`; EncodeError when the codec cannot write the value.
        """
        call = self._requests.set(
            key,
            value,
            ttl=ttl,
            keep_ttl=keep_ttl,
            if_version=if_version,
            if_absent=if_absent,
            durability=durability,
        )
        return self._binding.call(call, to_timeout(timeout))

    def set_many(
        self,
        items: Mapping[str, Value],
        *,
        ttl: Seconds | None = None,
        if_versions: Mapping[str, int] | None = None,
        durability: Durability | None = None,
        timeout: Seconds | None = None,
    ) -> dict[str, int]:
        """Writes many values and returns their versions.

        Atomic within an object, where `if_versions` may name the version that a key must have (0: absent), or
        VersionConflict is raised and nothing written. Flat keys live in many actors: when this fails, some may have
        been written.
        """
        bulk = self._requests.set_many(items, ttl=ttl, if_versions=if_versions, durability=durability)
        return self._binding.bulk(bulk, to_timeout(timeout))

    def delete(
        self,
        key: str,
        *,
        if_version: int | None = None,
        durability: Durability | None = None,
        timeout: Seconds | None = None,
    ) -> bool:
        """Removes an entry, and returns whether there was one. Raises VersionConflict as `set`."""
        call = self._requests.delete(key, if_version=if_version, durability=durability)
        return self._binding.call(call, to_timeout(timeout))

    def delete_many(
        self, keys: Iterable[str], *, durability: Durability | None = None, timeout: Seconds | None = None
    ) -> int:
        """Removes many entries, and returns how many there were. Atomic within an object."""
        return self._binding.bulk(self._requests.delete_many(keys, durability=durability), to_timeout(timeout))

    def list(
        self,
        *,
        prefix: str = "",
        start: str = "",
        start_after: str = "",
        end: str = "",
        reverse: bool = False,
        limit: int | None = None,
        page_size: int | None = None,
        timeout: Seconds | None = None,
    ) -> Iterator[Entry]:
        """Iterates over entries in the order of the UTF-8 bytes of their keys, page by page.

        `start` is inclusive, `start_after` and `end` are exclusive; `reverse` turns the order, not the bounds.
        `limit` bounds the entries in all, `page_size` those of one page (1,000), and `timeout` the time of each page.
        Each page of an object is a consistent snapshot; a key that is there throughout is seen exactly once.
        """
        pages = Pages(
            self._requests,
            prefix=prefix,
            start=start,
            start_after=start_after,
            end=end,
            reverse=reverse,
            limit=limit,
            page_size=page_size,
            keys_only=False,
        )
        while (call := pages.next_call()) is not None:
            yield from pages.take(self._binding.call(call, to_timeout(timeout)))

    def list_keys(
        self,
        *,
        prefix: str = "",
        start: str = "",
        start_after: str = "",
        end: str = "",
        reverse: bool = False,
        limit: int | None = None,
        page_size: int | None = None,
        timeout: Seconds | None = None,
    ) -> Iterator[str]:
        """As `list`, but the keys alone: values do not leave the server."""
        pages = Pages(
            self._requests,
            prefix=prefix,
            start=start,
            start_after=start_after,
            end=end,
            reverse=reverse,
            limit=limit,
            page_size=page_size,
            keys_only=True,
        )
        while (call := pages.next_call()) is not None:
            for entry in pages.take(self._binding.call(call, to_timeout(timeout))):
                yield entry.key

    def increment(
        self,
        key: str,
        delta: int = 1,
        *,
        initial: int = 0,
        ttl: Seconds | None = None,
        durability: Durability | None = None,
        timeout: Seconds | None = None,
    ) -> int:
        """Adds to an integer and returns the sum.

        An absent entry counts from `initial`, and then gets `ttl`; one that exists keeps its expiry. Raises
        NotAnInteger, and IntegerOverflow beyond 64 bits; the entry is then unchanged.
        """
        call = self._requests.increment(key, delta, initial=initial, ttl=ttl, durability=durability)
        return self._binding.call(call, to_timeout(timeout))

    def touch(self, key: str, ttl: Seconds | None, *, timeout: Seconds | None = None) -> bool:
        """Gives an entry a new expiry, or none, and returns whether there is such an entry. Its version stays."""
        return self._binding.call(self._requests.touch(key, ttl), to_timeout(timeout))

    def clear(self, *, prefix: str = "", durability: Durability | None = None, timeout: Seconds | None = None) -> int:
        """Removes everything here, or everything whose key begins with `prefix`; returns how many entries there were.

        Atomic within an object; of a namespace it removes the flat keys and no objects. When the connection is lost
        meanwhile, Unavailable is raised with an unknown outcome: it is not tried again by itself.
        """
        call = self._requests.clear(prefix=prefix, durability=durability)
        return self._binding.call(call, to_timeout(timeout))

    def throttle(
        self,
        key: str,
        limit: int,
        period: Seconds,
        *,
        algorithm: Algorithm = "gcra",
        burst: int | None = None,
        cost: int = 1,
        peek: bool = False,
        once: bool = True,
        durability: Durability | None = None,
        timeout: Seconds | None = None,
    ) -> Throttled:
        """Checks a rate limit of `limit` a `period` and charges `cost`, in one step. A denial charges nothing.

        `burst` is how much GCRA allows at once (None: `limit`). `peek` charges nothing. The state is an ordinary entry,
        written "buffered" unless another durability is given. With `once=False` a check costs the server less, and may
        be charged twice when its answer is lost with the connection. Raises FailedPrecondition when the key holds
        something else.
        """
        call = self._requests.throttle(
            key,
            limit,
            period,
            algorithm=algorithm,
            burst=burst,
            cost=cost,
            peek=peek,
            once=once,
            durability=durability,
        )
        return self._binding.call(call, to_timeout(timeout))

    def throttle_all(
        self,
        key: str,
        limits: Iterable[RateLimit],
        *,
        cost: int = 1,
        peek: bool = False,
        once: bool = True,
        durability: Durability | None = None,
        timeout: Seconds | None = None,
    ) -> Throttled:
        """As `throttle`, of several limits under one key: all of them are charged, or none.

        They are told apart by algorithm and period, so no two may have both alike; 16 at most.
        """
        call = self._requests.throttle_all(key, limits, cost=cost, peek=peek, once=once, durability=durability)
        return self._binding.call(call, to_timeout(timeout))

    def update(
        self,
        key: str,
        function: Callable[[Value], Value],
        *,
        default: Value = None,
        ttl: Seconds | None = None,
        durability: Durability | None = None,
        timeout: Seconds | None = None,
    ) -> Value:
        """Replaces a value by what `function` makes of it, and returns that. No change of others is lost.

        The function gets the present value, or the default, and is called again when somebody was faster. The expiry
        stays unless `ttl` is given. Raises VersionConflict when there was always somebody faster until the time-out,
        and whatever the function raises.
        """
        contention = self._contention(timeout)
        while True:
            entry = self.get_entry(key, timeout=contention.left())
            value = function(default if entry is None else entry.value)
            try:
                self.set(
                    key,
                    value,
                    ttl=ttl,
                    keep_ttl=ttl is None,
                    if_version=0 if entry is None else entry.version,
                    durability=durability,
                    timeout=contention.left(),
                )
            except VersionConflict as error:
                time.sleep(contention.pause(error))
            else:
                return value

    def pipeline(self) -> Pipeline:
        """A group of operations to be recorded, and executed together."""
        return Pipeline(self._binding, self._requests)

    def _contention(self, timeout: Seconds | None) -> Contention:
        return Contention(to_timeout(timeout) or self._binding.timeout)


class Pipeline(Recorder):
    """Operations that are sent together and done in order. It is no transaction: each succeeds or fails by itself."""

    def __init__(self, binding: BlockingBinding, requests: Requests) -> None:
        """Made by `pipeline()`."""
        super().__init__(requests)
        self._binding = binding

    def execute(self, *, timeout: Seconds | None = None) -> builtins.list[Value | PetraError]:
        """Sends what was recorded; returns the results in order, and the error of what failed in its place."""
        steps, calls = self._take()
        self._binding.group(calls, to_timeout(timeout))
        return settle(steps)


class Object(Entries):
    """An object: its entries live in one actor, are read in one snapshot, and change together in `transact`."""

    @property
    def name(self) -> str:
        """The object's name."""
        return self._address.object

    @property
    def sql(self) -> Sql:
        """The object's SQL database."""
        return Sql(self._binding, self._address, self._durability)

    def transact(
        self,
        function: Callable[[Transaction], T],
        *,
        durability: Durability | None = None,
        timeout: Seconds | None = None,
    ) -> T:
        """Runs a function that reads and writes this object, and commits what it wrote in one atomic step.

        The transaction commits only if nothing that it read has changed meanwhile; otherwise the function is called
        again, so it should have no other effects. Returns what the function returns. Raises VersionConflict when there
        was always somebody faster until the time-out, or when a `check` failed; the error of an operation that cannot
        be done; and whatever the function raises. Nothing is changed then.
        """
        contention = self._contention(timeout)
        while True:
            transaction = Transaction(self, self._requests, contention)
            try:
                returned = function(transaction)
                self._commit(transaction, durability, contention)
            except Overtaken as overtaken:
                time.sleep(contention.pause(overtaken.conflict))
            else:
                return returned

    def _commit(self, transaction: Transaction, durability: Durability | None, contention: Contention) -> None:
        call = transaction._end(durability)
        if call is not None:
            transaction._committed(self._binding.call(call, contention.left()))


class Namespace(Entries):
    """A namespace: the methods on it are those of its flat keys."""

    @property
    def name(self) -> str:
        """The namespace's name."""
        return self._address.namespace or "default"

    def object(self, name: str) -> Object:
        """A handle of an object. Nothing is made or asked: an object is there when it holds something."""
        address = Address(self._address.namespace, checked_name(name, "object"))
        return Object(self._binding, address, self._codec, self._durability)

    def objects(self, *, prefix: str = "", timeout: Seconds | None = None) -> Iterator[str]:
        """Iterates over the names of the objects that hold at least one entry, in the order of their bytes."""
        after, more = "", True
        while more:
            request = admin.objects_request(self._address.namespace, prefix, after)
            answer = self._binding.unary(admin.LIST_OBJECTS, request, to_timeout(timeout))
            names, more = admin.read_objects(answer)
            for name in names:
                yield name
                after = name

    def databases(
        self, *, prefix: str = "", start_after: str = "", limit: int | None = None, timeout: Seconds | None = None
    ) -> Iterator[DatabaseInfo]:
        """Iterates over the SQL databases of the namespace with their sizes and tables, in the order of their objects.

        `prefix` and `start_after` are about the names of the objects. `limit` bounds them in all.
        """
        pages = admin.DatabasePages(self._address.namespace, prefix=prefix, start_after=start_after, limit=limit)
        while (request := pages.next_request()) is not None:
            answer = self._binding.unary(admin.LIST_DATABASES, request, to_timeout(timeout))
            yield from pages.take(answer)
