"""`python -m examples.pages`: the application on http://127.0.0.1:8000, with a Petra server of its own beside it."""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import uvicorn

from examples.pages.app import create_app
from petra import Client
from petra.errors import Unavailable

_PATIENCE_S = 60.0


@contextlib.contextmanager
def petra_server(address: str, data: str) -> Iterator[None]:
    """A Petra server at `address`, unless there is one already; its data stays in the folder `data`."""
    with Client(address) as client:
        try:
            client.connect(timeout=1)
        except Unavailable:
            command = [sys.executable, "-m", "petra_server", "serve", "--data", data, "--listen", address]
            with subprocess.Popen(command) as server:  # noqa: S603 - of this installation
                try:
                    _wait(client, server)
                    yield
                finally:
                    server.terminate()
        else:
            yield


def _wait(client: Client, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return client.connect(timeout=1)
        except Unavailable:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> None:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="of the application (default: 8000)")
    parser.add_argument("--petra", default="127.0.0.1:7475", help="where the server is, or is to be started")
    parser.add_argument("--data", default="pages-data", help="folder of a server that is started (default: pages-data)")
    arguments = parser.parse_args()
    # uvicorn ends in order and then passes the signal on: the server beside it is to be ended as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with contextlib.suppress(KeyboardInterrupt), petra_server(arguments.petra, arguments.data):
        print(f"Look at http://127.0.0.1:{arguments.port}/docs", flush=True)
        uvicorn.run(create_app(arguments.petra), host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
