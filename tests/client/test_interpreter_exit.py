"""Programs that end with clients open, in calls, or interrupted: in order, at once, and without a word."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from petra.testing import TestServer

# Each ends by itself, and prints what a test looks for.
BEGIN = """
import asyncio, atexit, os, signal, sys, threading
from petra import AsyncClient, Client
from petra.errors import ClientClosed, PetraError
address = sys.argv[1]
"""


def run(tmp_path: Path, program: str, address: str) -> str:
    """What the program prints. Fails when it complains, about a warning too, or does not end."""
    path = tmp_path / "program.py"
    path.write_text(BEGIN + program)
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", str(path), address],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # On a busy machine asyncio remarks in its debug mode that a step took long.
    complaints = [
        line for line in ended.stderr.splitlines() if not re.fullmatch("Executing <.*> took .* seconds", line)
    ]
    assert (ended.returncode, complaints) == (0, [])
    return ended.stdout


PROGRAMS = {
    "a client that was never used": "client = Client(address)",
    "one that is open": "client = Client(address)\nprint(client.set('key', 1) > 0)",
    "several": "clients = [Client(address) for _ in range(3)]\nprint(all(c.set('key', 1) > 0 for c in clients))",
    "an asynchronous one": """
client = AsyncClient(address)
async def main():
    print(await client.set('key', 1) > 0)
asyncio.run(main())
""",
    "both": """
other = Client(address)
async def main():
    client = AsyncClient(address)
    await client.set('key', 1)
    print(other.get('key') == 1)
asyncio.run(main())
""",
    "in a reference cycle": """
class Holder: pass
holder = Holder()
holder.self, holder.client = holder, Client(address)
print(holder.client.set('key', 1) > 0)
del holder
""",
    "with rows that are half read": """
client = Client(address)
text = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x, zeroblob(1000) FROM n"
rows = client.object('room').sql.query(text)
other = AsyncClient(address)
async def main():
    global others
    others = other.object('room').sql.query(text)
    print((await anext(others))[0] + next(rows)[0] == 2)
asyncio.run(main())
""",
    "used when the interpreter ends": """
client = Client(address)
def last():
    client.set('last', 1)
    print(client.get('last') == 1)
client.set('key', 1)
atexit.register(last)
""",
    "used first when the interpreter ends": """
client = Client(address)
def last():
    try:
        print(client.set('last', 1) > 0)
    except ClientClosed:
        print(True)
atexit.register(last)
""",
    "closed when the interpreter ends": """
client = Client(address)
atexit.register(client.close)
print(client.set('key', 1) > 0)
""",
    "with threads that are not waited for": """
client = Client(address)
started = threading.Barrier(9)
def work(number):
    client.increment('count')
    started.wait()
    while True:
        try:
            client.increment('count')
        except ClientClosed:
            # As careless as can be: it tries again.
            pass
for number in range(8):
    threading.Thread(target=work, args=(number,), daemon=True).start()
started.wait()
print(True)
""",
    "with a thread that is": """
client = Client(address)
def work():
    for _ in range(300):
        client.increment('waited for')
    print(client.get('waited for') >= 300)
threading.Thread(target=work).start()
""",
    "by SystemExit": """
client = Client(address)
client.set('key', 1)
print(True)
sys.exit(0)
""",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_program_ends_in_order(tmp_path: Path, server: TestServer, program: str) -> None:
    assert run(tmp_path, program, server.address) in ("", "True\n")


class TestInterrupted:
    """A server takes the connection and then says nothing, so the call is under way when Ctrl-C comes."""

    def test_a_blocking_call(self, tmp_path: Path, server: TestServer) -> None:
        program = """
import socket
silent = socket.create_server(('127.0.0.1', 0))
client = Client('127.0.0.1:%d' % silent.getsockname()[1], timeout=60)
def interrupt():
    with silent, silent.accept()[0] as accepted:
        os.kill(os.getpid(), signal.SIGINT)
        # Until the client goes.
        while accepted.recv(1000):
            pass
thread = threading.Thread(target=interrupt)
thread.start()
try:
    client.set('key', 1)
except KeyboardInterrupt:
    print('interrupted')
client.close()
thread.join()
other = Client(address)
print(other.set('key', 1) > 0)
"""
        assert run(tmp_path, program, server.address) == "interrupted\nTrue\n"

    def test_in_the_middle_of_calls(self, tmp_path: Path, server: TestServer) -> None:
        """The client goes on to work afterwards, with answers that are those to its questions."""
        program = """
client = Client(address)
client.set('interrupted', 0)
calls = interrupts = 0
pause = threading.Event()
def interrupt():
    for _ in range(20):
        seen = calls
        while calls < seen + 5:
            pause.wait(0.001)
        os.kill(os.getpid(), signal.SIGINT)
thread = threading.Thread(target=interrupt)
thread.start()
while thread.is_alive():
    try:
        client.increment('interrupted')
        calls += 1
        client.set('text', 'text %d' % calls)
        assert client.get('text') == 'text %d' % calls
    except KeyboardInterrupt:
        interrupts += 1
try:
    thread.join()
except KeyboardInterrupt:
    interrupts += 1
assert 0 < interrupts <= 20, interrupts
assert calls <= client.get('interrupted') <= calls + interrupts, (calls, interrupts, client.get('interrupted'))
print(True)
"""
        assert run(tmp_path, program, server.address) == "True\n"

    def test_an_asynchronous_program(self, tmp_path: Path, server: TestServer) -> None:
        program = """
import socket
silent = socket.create_server(('127.0.0.1', 0))
def interrupt():
    with silent, silent.accept()[0] as accepted:
        os.kill(os.getpid(), signal.SIGINT)
        # Until the client goes.
        while accepted.recv(1000):
            pass
async def main():
    client = AsyncClient('127.0.0.1:%d' % silent.getsockname()[1], timeout=60)
    await client.set('key', 1)
threading.Thread(target=interrupt).start()
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print('interrupted')
"""
        assert run(tmp_path, program, server.address) == "interrupted\n"


def test_a_program_that_never_reached_its_server_ends_too(tmp_path: Path) -> None:
    program = """
import socket
with socket.create_server(('127.0.0.1', 0)) as listener:
    port = listener.getsockname()[1]
client = Client('127.0.0.1:%d' % port, timeout=0.1)
try:
    client.get('key')
except PetraError as error:
    print('refused' in str(error))
def work():
    try:
        client.get('key', timeout=60)
    except ClientClosed:
        pass
threading.Thread(target=work, daemon=True).start()
"""
    assert run(tmp_path, program, "") == "True\n"


def test_grpc_is_not_needed_and_not_imported(tmp_path: Path, server: TestServer) -> None:
    program = """
client = Client(address)
client.set('key', 1)
client.info()
async def main():
    async with AsyncClient(address) as other:
        assert await other.get('key') == 1
        assert [entry.key async for entry in other.list(prefix='key')] == ['key']
asyncio.run(main())
loaded = {name.partition('.')[0] for name in sys.modules}
print(sorted(loaded & {'grpc', 'grpc_status', 'petra_server', 'rocksdict'}))
"""
    assert run(tmp_path, program, server.address) == "[]\n"
