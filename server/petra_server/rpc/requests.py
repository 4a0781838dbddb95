"""The unary requests of StorageService: from a message to a plan of operations, and from the reply to a message.

Also what a pipeline's embedded requests go through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from petra.v1 import sql_pb2
from petra.v1 import storage_pb2 as pb
from petra_server.actor import plans
from petra_server.actor.addresses import Address, Addresses
from petra_server.actor.operations import (
    AnswerBudget,
    Condition,
    CountReply,
    DeleteReply,
    GetManyReply,
    GetReply,
    IncrementReply,
    Operation,
    Set,
    SetManyReply,
    SetReply,
    Step,
    StepReply,
    Throttle,
    ThrottleAll,
    ThrottleAllReply,
    ThrottleReply,
    TouchReply,
    Transact,
    TransactReply,
)
from petra_server.actor.plans import Plan
from petra_server.errors import Reason, Refusal
from petra_server.intake.checks import Checks
from petra_server.rpc.statements import execute_plan, execute_response, statement, statement_result
from petra_server.sql.statements import Statement, StatementResult
from petra_server.storage.keys import page_prefix
from petra_server.storage.records import Record


@dataclass(slots=True)
class Prepared:
    """A request that was found good: what to ask, and how to say the reply."""

    plan: Plan
    encode: Callable[[Any], Message]
    sync: bool = True
    scope: bytes = b""
    request_id: bytes = b""


# How many are kept, and how long they may be: with all that belongs to them some 5 MB in all.
_KNOWN_CHECKS, _KNOWN_CHECK_BYTES = 4_096, 256


class Requests:
    """Prepares requests. Every method raises Refusal."""

    def __init__(self, addresses: Addresses, checks: Checks) -> None:
        self.addresses = addresses
        self.checks = checks
        self._known_checks: dict[bytes, Prepared] = {}

    def known_check(self, data: bytes) -> Prepared | None:
        """A Throttle without a request id that came before, byte by byte: programs make the same ones all the time."""
        return self._known_checks.get(data)

    def remember_check(self, data: bytes, prepared: Prepared) -> None:
        if not prepared.request_id and len(data) <= _KNOWN_CHECK_BYTES:
            if len(self._known_checks) >= _KNOWN_CHECKS:
                self._known_checks.clear()
            self._known_checks[data] = prepared

    def _one(self, address: Address, key: bytes, operation: Operation, encode: Callable[[Any], Message]) -> Prepared:
        return Prepared(Plan([(address.actor_of(key), operation)]), encode)

    def _mutation(
        self,
        request: pb.SetRequest | pb.DeleteRequest | pb.IncrementRequest,
        address: Address,
        key: bytes,
        operation: Operation,
        encode: Callable[[Any], Message],
    ) -> Prepared:
        checks = self.checks
        return Prepared(
            Plan([(address.actor_of(key), operation)]),
            encode,
            checks.sync(request.durability),
            address.prefix,
            checks.request_id(request.request_id),
        )

    def get(self, request: pb.GetRequest) -> Prepared:
        address = self.addresses.find(request.namespace, request.object)
        name = request.key
        key = self.checks.key(name)
        return self._one(address, key, self.checks.get(address, key), lambda reply: get_response(name, reply))

    def set(self, request: pb.SetRequest) -> Prepared:
        address = self.addresses.find(request.namespace, request.object)
        key = self.checks.key(request.key)
        return self._mutation(request, address, key, self._set_item(address, key, request), set_response)

    def delete(self, request: pb.DeleteRequest) -> Prepared:
        address = self.addresses.find(request.namespace, request.object)
        key = self.checks.key(request.key)
        if_version = request.if_version if request.HasField("if_version") else None
        return self._mutation(request, address, key, self.checks.delete(address, key, if_version), delete_response)

    def increment(self, request: pb.IncrementRequest) -> Prepared:
        address = self.addresses.find(request.namespace, request.object)
        key = self.checks.key(request.key)
        operation = self.checks.increment(address, key, request.delta, request.initial, request.ttl_ms)
        return self._mutation(request, address, key, operation, increment_response)

    def touch(self, request: pb.TouchRequest) -> Prepared:
        address = self.addresses.find(request.namespace, request.object)
        key = self.checks.key(request.key)
        return self._one(address, key, self.checks.touch(address, key, request.ttl_ms), touch_response)

    def throttle(self, request: pb.ThrottleRequest) -> Prepared:
        address = self.addresses.find(request.namespace, request.object)
        key = self.checks.key(request.key)
        several = bool(request.limits)
        operation = (self._throttle_all if several else self._throttle_operation)(address, key, request)
        return Prepared(
            Plan([(address.actor_of(key), operation)]),
            throttle_all_response if several else throttle_response,
            self.checks.sync_of_throttle(request.durability),
            address.prefix,
            self.checks.request_id(request.request_id),
        )

    def get_many(self, request: pb.GetManyRequest) -> Prepared:
        address = self.addresses.find(request.namespace, request.object)
        names = list(request.keys)
        self.checks.batch(len(names), "keys")
        keys = self.checks.keys(names)
        return Prepared(
            plans.get_many(address, keys, self.checks.answer_bytes), lambda reply: _get_many_response(names, reply)
        )

    def set_many(self, request: pb.SetManyRequest) -> Prepared:
        address = self.addresses.find(request.namespace, request.object)
        checks = self.checks
        checks.batch(len(request.items), "items")
        keys, items = [], []
        for index, item in enumerate(request.items):
            try:
                key = checks.key(item.key)
                if address.owner is None and item.HasField("if_version"):
                    checks.condition_of_many(address)
                items.append(self._set_item(address, key, item))
            except Refusal as refusal:
                raise refusal.within(f"items[{index}]") from None
            keys.append(key)
        checks.distinct(keys, "items")
        return self._many(request, address, plans.set_many(address, keys, items), set_many_response)

    def delete_many(self, request: pb.DeleteManyRequest) -> Prepared:
        address = self.addresses.find(request.namespace, request.object)
        self.checks.batch(len(request.keys), "keys")
        keys = self.checks.keys(request.keys)
        return self._many(request, address, plans.delete_many(address, keys), delete_many_response)

    def _many(
        self,
        request: pb.SetManyRequest | pb.DeleteManyRequest,
        address: Address,
        plan: Plan,
        encode: Callable[[Any], Message],
    ) -> Prepared:
        return Prepared(
            plan,
            encode,
            self.checks.sync(request.durability),
            address.prefix,
            self.checks.request_id(request.request_id),
        )

    def clear(self, request: pb.ClearRequest) -> Prepared:
        address = self.addresses.find(request.namespace, request.object)
        prefix = self.checks.bound(request.prefix, "prefix")
        return Prepared(plans.clear(address, prefix), clear_response, self.checks.sync(request.durability))

    def execute(self, request: sql_pb2.ExecuteRequest) -> Prepared:
        address, plan = execute_plan(self.addresses, self.checks, request)
        return Prepared(
            plan,
            execute_response,
            self.checks.sync(request.durability),
            address.prefix,
            self.checks.request_id(request.request_id),
        )

    def transact(self, request: pb.TransactRequest) -> Prepared:
        address = self.addresses.find(request.namespace, request.object)
        if address.owner is None:
            raise Refusal(
                Reason.INVALID_OBJECT,
                "A transaction needs an object: only the entries of one object change together. Name one.",
                field="object",
            )
        checks = self.checks
        checks.batch(len(request.conditions) + len(request.operations), "operations")
        cut = len(address.prefix)
        conditions = tuple(
            Condition(address.prefix + checks.key(condition.key, f"conditions[{index}].key"), condition.version)
            for index, condition in enumerate(request.conditions)
        )
        steps = tuple(self._step(address, index, operation) for index, operation in enumerate(request.operations))
        return Prepared(
            Plan([(address.owner, Transact(conditions, steps, checks.answer_bytes, page_prefix(address.prefix)))]),
            lambda reply: self._transact_response(cut, steps, reply),
            checks.sync(request.durability),
            address.prefix,
            checks.request_id(request.request_id),
        )

    def _step(self, address: Address, index: int, operation: pb.Operation) -> Step:
        kind = operation.WhichOneof("kind")
        if kind is None:
            raise Refusal(
                Reason.INVALID_OPERATION,
                f"Operation {index} has no kind, or one that this server does not know. Set exactly one.",
                field=f"operations[{index}]",
            )
        try:
            return self._step_of_kind(address, kind, operation)
        except Refusal as refusal:
            message = f"Operation {index} of the transaction: {refusal.message}"
            raise refusal.within(f"operations[{index}].{kind}", message) from None

    def _step_of_kind(self, address: Address, kind: str, operation: pb.Operation) -> Step:
        checks = self.checks
        match kind:
            case "get":
                return checks.get(address, checks.key(operation.get.key))
            case "set":
                return self._set_item(address, checks.key(operation.set.key), operation.set)
            case "delete":
                item = operation.delete
                if_version = item.if_version if item.HasField("if_version") else None
                return checks.delete(address, checks.key(item.key), if_version)
            case "increment":
                added = operation.increment
                return checks.increment(address, checks.key(added.key), added.delta, added.initial, added.ttl_ms)
            case "sql":
                return statement(operation.sql, checks)
            case "touch":
                return checks.touch(address, checks.key(operation.touch.key), operation.touch.ttl_ms)
            case _:
                return self._throttle_operation(address, checks.key(operation.throttle.key), operation.throttle)

    def _set_item(self, address: Address, key: bytes, item: pb.SetItem | pb.SetRequest) -> Set:
        if_version = item.if_version if item.HasField("if_version") else None
        return self.checks.set(address, key, item.value, item.encoding, item.ttl_ms, if_version, item.keep_ttl)

    def _throttle_operation(self, address: Address, key: bytes, item: pb.ThrottleRequest | pb.ThrottleItem) -> Throttle:
        return self.checks.throttle(
            address, key, item.algorithm, item.limit, item.period_ms, item.burst, item.cost, item.peek
        )

    def _throttle_all(self, address: Address, key: bytes, request: pb.ThrottleRequest) -> ThrottleAll:
        if request.algorithm or request.limit or request.period_ms or request.burst:
            raise Refusal(Reason.INVALID_THROTTLE, "Give one limit, or several in limits, not both.", field="limits")
        limits = [(each.algorithm, each.limit, each.period_ms, each.burst) for each in request.limits]
        return self.checks.throttle_all(address, key, limits, request.cost, request.peek)

    def _transact_response(self, cut: int, steps: tuple[Step, ...], reply: TransactReply) -> pb.TransactResponse:
        budget = AnswerBudget(self.checks.answer_bytes)
        for key, record in reply.conflicts:
            budget.take(key, record)
        return pb.TransactResponse(
            committed=reply.committed,
            results=[
                operation_result("" if isinstance(step, Statement) else step.key[cut:].decode(), result)
                for step, result in zip(steps, reply.results, strict=False)
            ],
            conflicts=[entry(key[cut:].decode(), record) for key, record in reply.conflicts],
        )


def entry(name: str, record: Record | None) -> pb.Entry:
    if record is None:
        return pb.Entry(key=name)
    version, expires_at_ms, encoding, value = record
    return pb.Entry(key=name, value=value, encoding=encoding, version=version, expires_at_ms=expires_at_ms)  # type: ignore[arg-type]


def _get_many_response(names: list[str], reply: GetManyReply) -> pb.GetManyResponse:
    found = [(name, record) for name, record in zip(names, reply.records, strict=True) if record is not None]
    response = pb.GetManyResponse()
    add = response.entries.add
    for name, (version, expires_at_ms, encoding, value) in found:
        add(key=name, value=value, encoding=encoding, version=version, expires_at_ms=expires_at_ms)
    return response


def get_response(name: str, reply: GetReply) -> pb.GetResponse:
    return pb.GetResponse() if reply.record is None else pb.GetResponse(entry=entry(name, reply.record))


def set_response(reply: SetReply) -> pb.SetResponse:
    return pb.SetResponse(version=reply.version)


def delete_response(reply: DeleteReply) -> pb.DeleteResponse:
    return pb.DeleteResponse(deleted=reply.deleted)


def set_many_response(reply: SetManyReply) -> pb.SetManyResponse:
    return pb.SetManyResponse(versions=reply.versions)


def delete_many_response(reply: CountReply) -> pb.DeleteManyResponse:
    return pb.DeleteManyResponse(deleted=reply.total)


def clear_response(reply: CountReply) -> pb.ClearResponse:
    return pb.ClearResponse(deleted=reply.total)


def increment_response(reply: IncrementReply) -> pb.IncrementResponse:
    return pb.IncrementResponse(value=reply.value, version=reply.version)


def touch_response(reply: TouchReply) -> pb.TouchResponse:
    return pb.TouchResponse(found=reply.found, expires_at_ms=reply.expires_at_ms)


def throttle_response(reply: ThrottleReply) -> pb.ThrottleResponse:
    return pb.ThrottleResponse(
        allowed=reply.allowed,
        limit=reply.limit,
        remaining=reply.remaining,
        retry_after_ms=reply.retry_after_ms,
        reset_after_ms=reply.reset_after_ms,
    )


def throttle_all_response(reply: ThrottleAllReply) -> pb.ThrottleResponse:
    tightest = min(reply.each, key=lambda each: (each.remaining, -each.reset_after_ms))
    return pb.ThrottleResponse(
        allowed=all(each.allowed for each in reply.each),
        limit=tightest.limit,
        remaining=tightest.remaining,
        retry_after_ms=max(each.retry_after_ms for each in reply.each),
        reset_after_ms=tightest.reset_after_ms,
        each=map(throttle_response, reply.each),
    )


def operation_result(name: str, reply: StepReply) -> pb.OperationResult:
    match reply:
        case GetReply():
            return pb.OperationResult(get=get_response(name, reply))
        case SetReply():
            return pb.OperationResult(set=set_response(reply))
        case DeleteReply():
            return pb.OperationResult(delete=delete_response(reply))
        case IncrementReply():
            return pb.OperationResult(increment=increment_response(reply))
        case TouchReply():
            return pb.OperationResult(touch=touch_response(reply))
        case ThrottleReply():
            return pb.OperationResult(throttle=throttle_response(reply))
        case StatementResult():
            return pb.OperationResult(sql=statement_result(reply))
