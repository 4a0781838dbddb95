"""A PostgreSQL server of Debian's packages, on an empty directory, which syncs a commit before it acknowledges it."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Sequence
from pathlib import Path

from bench.peers import free_port
from bench.process import ChildProcess, Unavailable, run

_PROGRAMS = Path("/usr/lib/postgresql")
# PostgreSQL refuses to run as root. The first of these that the machine has runs it then.
_USERS = ("postgres", "nobody")


class PostgresServer(ChildProcess):
    """A PostgreSQL server with its default settings, fsync and synchronous_commit on, that listens on 127.0.0.1."""

    durability = "fsync = on, synchronous_commit = on: acknowledged after the write-ahead log is synced"

    def __init__(self, data: Path, *, max_connections: int = 100) -> None:
        self._data = data
        self._programs = _programs()
        self._as_user = _as_user(data)
        self.address = f"127.0.0.1:{free_port()}"
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.address.rpartition(":")[2],
            "unix_socket_directories": "",
            "max_connections": str(max_connections),
            "fsync": "on",
            "synchronous_commit": "on",
        }
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        super().__init__("postgres", [*self._as_user, str(self._programs / "postgres"), "-D", str(data), *flags])

    def start(self) -> None:
        """Makes the directory and waits until it serves. Unavailable when it is not installed."""
        initdb = [str(self._programs / "initdb"), "-D", str(self._data), "-U", "postgres", "--auth=trust"]
        run([*self._as_user, *initdb, "--encoding=UTF8", "--no-locale"], timeout_s=120)
        super().start()
        try:
            self.wait_for(lambda line: "database system is ready to accept connections" in line or None, timeout_s=60)
        except BaseException:
            self.stop()
            raise

    def version(self) -> str:
        """The server's release."""
        return run([str(self._programs / "postgres"), "--version"], timeout_s=10).split()[2]


def _programs() -> Path:
    """Where the newest release is. Raises Unavailable."""
    found = sorted(_PROGRAMS.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if not found:
        raise Unavailable("PostgreSQL is not installed. Debian and Ubuntu: apt-get install postgresql")
    return found[-1].parent


def _as_user(data: Path) -> Sequence[str]:
    """What stands before a command so that it does not run as root; the data directory is that user's then."""
    if os.geteuid() != 0:
        data.mkdir(mode=0o700)
        return []
    if shutil.which("setpriv") is None:
        raise Unavailable("PostgreSQL does not run as root, and setpriv is not there: apt-get install util-linux")
    known = {user.pw_name: user for user in pwd.getpwall()}
    user = next((known[name] for name in _USERS if name in known), None)
    if user is None:
        raise Unavailable(f"PostgreSQL does not run as root, and there is no user {' or '.join(_USERS)}")
    data.mkdir(mode=0o700)
    os.chown(data, user.pw_uid, user.pw_gid)
    # The folders above it may be root's own: others have to get through.
    for folder in data.parents[:1]:
        folder.chmod(folder.stat().st_mode | 0o011)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
