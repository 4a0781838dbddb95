"""A channel against a server of grpcio, over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress

import pytest

from petra._transport.channel import Channel
from petra._transport.http2 import GrpcStatus
from petra._transport.responses import OK, UNAVAILABLE
from petra.errors import DeadlineExceeded, InternalError, NotAnInteger, Unavailable, Unimplemented
from tests.support.echo_server import CHAT, FAIL, FAILURE, HANG, MANY, UNARY, EchoServer, echo_server


class Listener:
    """A stream handler that tests can wait on."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.status: asyncio.Future[GrpcStatus] = asyncio.get_running_loop().create_future()
        self.can_write = asyncio.Event()

    def message(self, data: bytes) -> None:
        self.messages.put_nowait(data)

    def closed(self, status: GrpcStatus) -> None:
        # A second call would raise InvalidStateError.
        self.status.set_result(status)

    def writable(self) -> None:
        self.can_write.set()


class Case:
    """A channel to an echo server, and why it was lost."""

    def __init__(self, echo: EchoServer) -> None:
        self.echo = echo
        self.losses: list[Unavailable] = []
        self.lost = asyncio.Event()
        self.channel: Channel

    def on_lost(self, error: Unavailable) -> None:
        self.losses.append(error)
        self.lost.set()


@asynccontextmanager
async def connected() -> AsyncIterator[Case]:
    async with echo_server() as echo:
        case = Case(echo)
        case.channel = await Channel.connect(echo.host, echo.port, on_lost=case.on_lost)
        try:
            yield case
        finally:
            case.channel.close()
            await case.channel.wait_closed()


def run(test: Callable[[Case], Coroutine[None, None, None]]) -> None:
    async def whole() -> None:
        async with connected() as case:
            await test(case)

    asyncio.run(whole())


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 5 << 20])
def test_a_call_is_answered(size: int) -> None:
    async def test(case: Case) -> None:
        request = bytes(range(256)) * (size // 256) + bytes(size % 256)
        assert await case.channel.unary(UNARY, request, timeout=60) == request

    run(test)


def test_what_a_call_says_about_itself() -> None:
    async def test(case: Case) -> None:
        await case.channel.unary(UNARY, b"", timeout=60, metadata=[("x-trace", "abc")])
        assert case.echo.metadata["x-trace"] == "abc"
        assert str(case.echo.metadata["user-agent"]).startswith("petra-python")

    run(test)


def test_many_calls_at_a_time() -> None:
    async def test(case: Case) -> None:
        requests = [str(number).encode() * number for number in range(300)]
        answers = await asyncio.gather(*(case.channel.unary(UNARY, r, timeout=60) for r in requests))
        assert answers == requests

    run(test)


def test_a_stream_keeps_its_order_in_both_directions() -> None:
    async def test(case: Case) -> None:
        listener = Listener()
        stream = case.channel.open(CHAT, listener)
        messages = [number.to_bytes(4, "big") * (number % 7) ** 5 for number in range(400)]

        async def send() -> None:
            for index, message in enumerate(messages):
                listener.can_write.clear()
                stream.send(message, last=index == len(messages) - 1)
                if stream.backlog_bytes:
                    await listener.can_write.wait()

        sending = asyncio.create_task(send())
        assert [await listener.messages.get() for _ in messages] == messages
        await sending
        assert await listener.status == GrpcStatus(OK)

    run(test)


def test_a_server_that_does_not_read_fills_the_backlog() -> None:
    async def test(case: Case) -> None:
        case.echo.reading.clear()
        listener = Listener()
        stream = case.channel.open(CHAT, listener)
        message = bytes(1 << 20)
        count = 0
        # Each turn of the loop lets the server take what it will.
        while stream.backlog_bytes < 4 << 20:
            stream.send(message)
            count += 1
            assert count < 1_000
            await asyncio.sleep(0)
        listener.can_write.clear()
        case.echo.reading.set()
        await listener.can_write.wait()
        assert stream.backlog_bytes == 0
        assert [len(await listener.messages.get()) for _ in range(count)] == [len(message)] * count
        stream.cancel()

    run(test)


def test_the_details_of_an_error_arrive() -> None:
    async def test(case: Case) -> None:
        listener = Listener()
        case.channel.open(FAIL, listener).send(b"", last=True)
        assert await listener.status == GrpcStatus(9, FAILURE.message, FAILURE.SerializeToString())
        with pytest.raises(NotAnInteger) as raised:
            await case.channel.unary(FAIL, b"", timeout=60)
        assert FAILURE.message in str(raised.value)

    run(test)


def test_an_unknown_method_is_unimplemented() -> None:
    async def test(case: Case) -> None:
        with pytest.raises(Unimplemented):
            await case.channel.unary("/test.Echo/Nothing", b"", timeout=60)

    run(test)


@pytest.mark.parametrize("count", [0, 2])
def test_a_single_call_has_one_answer(count: int) -> None:
    async def test(case: Case) -> None:
        with pytest.raises(InternalError, match=f"answered with {count} messages instead of one"):
            await case.channel.unary(MANY, str(count).encode(), timeout=60)

    run(test)


def test_a_deadline_ends_the_call_on_both_sides() -> None:
    async def test(case: Case) -> None:
        with pytest.raises(DeadlineExceeded, match=rf"No answer from {case.echo.address} within 0\.5 s"):
            await case.channel.unary(HANG, b"", timeout=0.5)
        await case.echo.cancelled.wait()
        assert case.echo.seconds_left is not None
        assert 0 < case.echo.seconds_left <= 0.5
        with pytest.raises(DeadlineExceeded, match="no time left"):
            await case.channel.unary(UNARY, b"", timeout=0)
        assert await case.channel.unary(UNARY, b"x", timeout=60) == b"x"

    run(test)


def test_cancelling_a_call_cancels_it_on_the_server() -> None:
    async def test(case: Case) -> None:
        call = asyncio.create_task(case.channel.unary(HANG, b"", timeout=3_600_000_000))
        await case.echo.hanging.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await case.echo.cancelled.wait()
        assert await case.channel.unary(UNARY, b"x", timeout=60) == b"x"

    run(test)


def test_a_server_that_stops_in_order_lets_calls_end() -> None:
    async def test(case: Case) -> None:
        listener = Listener()
        stream = case.channel.open(CHAT, listener)
        stream.send(b"before")
        assert await listener.messages.get() == b"before"
        stopping = asyncio.create_task(case.echo.stop(grace=60))
        while not case.channel.draining:
            # Until the GOAWAY is here. A call that meets it on its way may be answered or not.
            with suppress(Unavailable):
                await case.channel.unary(UNARY, b"", timeout=60)
        with pytest.raises(Unavailable, match="takes no more calls"):
            case.channel.open(CHAT, Listener())
        assert case.channel.is_open
        stream.send(b"after", last=True)
        assert await listener.messages.get() == b"after"
        assert await listener.status == GrpcStatus(OK)
        await case.lost.wait()
        await stopping
        assert [type(loss) for loss in case.losses] == [Unavailable]

    run(test)


def test_a_server_that_stops_at_once_ends_every_call() -> None:
    async def test(case: Case) -> None:
        listeners = [Listener() for _ in range(10)]
        for listener in listeners:
            case.channel.open(CHAT, listener).send(b"x")
        for listener in listeners:
            await listener.messages.get()
        await case.echo.stop(grace=None)
        for listener in listeners:
            assert (await listener.status).code != OK
        await case.lost.wait()
        assert not case.channel.is_open
        assert len(case.losses) == 1
        assert case.echo.address in str(case.losses[0])
        with pytest.raises(Unavailable, match=case.echo.address):
            case.channel.open(CHAT, Listener())

    run(test)


@pytest.mark.parametrize(("end", "word"), [(Channel.close, "closed"), (Channel.abort, "given up")])
def test_a_channel_that_is_ended_here_answers_its_calls(end: Callable[[Channel], None], word: str) -> None:
    async def test(case: Case) -> None:
        listener = Listener()
        stream = case.channel.open(CHAT, listener)
        stream.send(b"x")
        await listener.messages.get()
        call = asyncio.create_task(case.channel.unary(HANG, b"", timeout=60))
        await case.echo.hanging.wait()
        end(case.channel)
        end(case.channel)
        message = f"The connection to {case.echo.address} was {word} by this side."
        assert listener.status.result() == GrpcStatus(UNAVAILABLE, message)
        with pytest.raises(Unavailable, match=word):
            await call
        assert not case.channel.is_open
        stream.send(b"ignored")
        stream.cancel()
        await case.channel.wait_closed()
        await case.echo.cancelled.wait()
        assert not case.losses

    run(test)
