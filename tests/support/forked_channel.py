"""A program that forks with an open channel: the child lets go of it, and the parent's goes on undisturbed."""

from __future__ import annotations

import asyncio
import gc
import os
import traceback
from collections.abc import Callable
from pathlib import Path

from petra._transport.channel import Channel
from tests.support.http2_peers import PATH, Recorder
from tests.support.tcp_peers import greeting_server


async def main() -> None:
    pings: asyncio.Queue[bytes] = asyncio.Queue()
    async with greeting_server(pings, answers=True) as port:
        channel = await Channel.connect("127.0.0.1", port, keepalive_seconds=0.05)
        recorder = Recorder()
        channel.open(PATH, recorder)
        _in_child(lambda: _abandon(channel, recorder))
        # The parent's socket is open, and its loop still listens to it: a ping goes out, and the next one goes out
        # only when it was answered.
        for _ in range(3):
            await pings.get()
        assert channel.is_open
        channel.close()
        await channel.wait_closed()


def _in_child(work: Callable[[], None]) -> None:
    pid = os.fork()
    if not pid:
        try:
            work()
        except BaseException:  # noqa: BLE001 - the parent is told by the exit code
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _abandon(channel: Channel, recorder: Recorder) -> None:
    transport = channel._wire._transport
    assert transport is not None
    fileno = transport.get_extra_info("socket").fileno()
    channel.abandon()
    assert os.fstat(fileno).st_rdev == Path(os.devnull).stat().st_rdev
    channel.close()
    channel.abort()
    assert recorder.status is None
    assert not transport.is_closing()
    gc.collect()


if __name__ == "__main__":
    asyncio.run(main())
