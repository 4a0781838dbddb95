from __future__ import annotations

from pathlib import Path

import pytest

from bench import h2load
from bench.h2load import Answers, H2Load
from bench.process import BenchError

OUTPUT = """\
finished in 250.00ms, 4000.00 req/s, 1.00MB/s
requests: 1000 total, 1000 started, 1000 done, {succeeded} succeeded, {failed} failed, 0 errored, 0 timeout
status codes: 1000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 100.00KB (102400) total, 3.91KB (4000) headers (space savings 95.00%), 87.89KB ({data}) data
"""


def seconds(succeeded: int, data: int) -> float:
    shape = H2Load("http://127.0.0.1:1/x", clients=4, streams=16, answers=Answers(90, 91))
    output = OUTPUT.format(succeeded=succeeded, failed=1000 - succeeded, data=data)
    return h2load.checked_seconds(shape, 1000, output)


@pytest.mark.parametrize("data", [90_000, 90_500, 91_000])
def test_a_run_whose_answers_are_of_the_right_size_counts(data: int) -> None:
    assert seconds(1000, data) == 0.25


@pytest.mark.parametrize("data", [0, 89_999, 91_001])
def test_a_run_whose_answers_are_of_another_size_fails(data: int) -> None:
    # A gRPC call that fails has HTTP status 200 and no body, so its bytes are all that gives it away.
    with pytest.raises(BenchError, match=f"1000 answers of .* have {data} bytes; good ones have 90 to 91 each"):
        seconds(1000, data)


def test_a_run_with_failed_requests_fails() -> None:
    with pytest.raises(BenchError, match="1 of 1000 requests"):
        seconds(999, 90_000)


def test_the_command_has_the_shape_and_what_is_sent() -> None:
    shape = H2Load("http://127.0.0.1:1/x", 4, 16, Answers(1, 1), body=Path("payload"), headers={"te": "trailers"})
    command = shape.command(64, Path("log"))
    assert " ".join(command) == (
        "h2load -t 1 -n 64 -c 4 -m 16 --log-file log -d payload -H te: trailers http://127.0.0.1:1/x"
    )
