"""The columns of pipeline messages, written without a server."""

from __future__ import annotations

import pytest

from petra.v1 import storage_pb2 as pb
from petra_server.actor.operations import (
    DeleteReply,
    GetReply,
    IncrementReply,
    Reply,
    SetReply,
    TouchReply,
)
from petra_server.errors import Reason, Refusal
from petra_server.rpc.answers import ABSENT, Answers
from petra_server.storage.records import Record


def written(*outcomes: Reply | Refusal | bytes) -> pb.PipelineResponse:
    answers = Answers()
    for op_id, outcome in enumerate(outcomes, start=1):
        answers.add(op_id, outcome, 100)
    assert answers.size_bytes == 100 * len(outcomes)
    return pb.PipelineResponse.FromString(answers.write())


class TestWrite:
    def test_every_kind_of_reply_has_its_columns(self) -> None:
        response = written(
            GetReply(Record(5, 99, 2, b"{}")),
            GetReply(None),
            SetReply(6),
            DeleteReply(True),
            IncrementReply(-4, 7),
            TouchReply(True, 88),
            b"serialized",
        )
        assert response == pb.PipelineResponse(
            ids=[1, 2, 3, 4, 5, 6, 7],
            versions=[5, 0, 6, 0, 7, 0, 0],
            values=[b"{}", b"", b"", b"", b"", b"", b"serialized"],
            encodings=[pb.ENCODING_JSON, *[pb.ENCODING_UNSPECIFIED] * 6],
            expires_at_ms=[99, 0, 0, 0, 0, 88, 0],
            numbers=[0, 0, 0, 1, -4, 1, 0],
        )

    @pytest.mark.parametrize(
        ("replies", "columns"),
        [
            ([SetReply(1), SetReply(2)], {"ids", "versions"}),
            ([DeleteReply(False)], {"ids"}),
            ([GetReply(None)], {"ids"}),
            ([GetReply(Record(1, 0, 1, b""))], {"ids", "versions", "encodings"}),
            ([], set()),
        ],
    )
    def test_columns_of_nothing_but_defaults_are_left_out(self, replies: list[Reply], columns: set[str]) -> None:
        assert {field.name for field, _ in written(*replies).ListFields()} == columns

    def test_what_many_gets_found_stands_among_the_other_answers(self) -> None:
        answers = Answers()
        answers.add(1, SetReply(6), 10)
        answers.add_records([2, 3], [Record(5, 99, 2, b"{}"), ABSENT], 20)
        answers.add(4, DeleteReply(True), 10)
        assert answers.size_bytes == 40
        assert pb.PipelineResponse.FromString(answers.write()) == pb.PipelineResponse(
            ids=[1, 2, 3, 4],
            versions=[6, 5, 0, 0],
            values=[b"", b"{}", b"", b""],
            encodings=[0, pb.ENCODING_JSON, 0, 0],  # type: ignore[list-item]
            expires_at_ms=[0, 99, 0, 0],
            numbers=[0, 0, 0, 1],
        )

    def test_refusals_stand_apart_with_all_that_a_unary_call_would_say(self) -> None:
        refused = Refusal(
            Reason.VERSION_CONFLICT, "It has changed.", field="if_version", metadata={"version": "3"}, retry_after_ms=4
        )
        assert written(SetReply(9), refused) == pb.PipelineResponse(
            ids=[1],
            versions=[9],
            errors=[
                pb.OperationError(
                    id=2,
                    code=10,
                    reason="VERSION_CONFLICT",
                    message="It has changed.",
                    metadata={"version": "3"},
                    retry_after_ms=4,
                    field="if_version",
                )
            ],
        )
