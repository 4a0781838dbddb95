"""The server as a process: signals, kills, TLS, and addresses that cannot be used."""

from __future__ import annotations

import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.server.http.api import PATIENCE_S, refusal_of
from tests.support.certificates import make_certificate
from tests.support.server import ServerProcess

HTTP = ("--http", "127.0.0.1:0", "--actors", "8", "--http-timeout-ms", "60000")


def client_of(server: ServerProcess) -> httpx.Client:
    return httpx.Client(base_url=f"http://{server.start_line['http']}", trust_env=False, timeout=PATIENCE_S)


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", *HTTP) as server:
        with client_of(server) as http:
            assert http.post("/storage/k", json={"value": {"kept": True}}).status_code == 200
            assert http.post("/sql/o", json={"sql": "CREATE TABLE t AS SELECT 7 AS n"}).status_code == 200
        server.kill()
        with client_of(server.start()) as http:
            assert http.get("/storage/k").json()["data"] == {"kept": True}
            [result] = http.post("/sql/o", json={"sql": "SELECT n FROM t"}).json()["data"]["results"]
            assert result["rows"] == [[7]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_with_0_whoever_is_connected(tmp_path: Path, number: signal.Signals) -> None:
    with ServerProcess(tmp_path / "data", *HTTP) as server, client_of(server) as http:
        assert http.get("/healthz").status_code == 200
        server.send_signal(number)
        assert server.wait() == 0
        # uvicorn has nothing to say of its own.
        assert "uvicorn" not in server.stderr_text()


def test_requests_in_flight_at_the_signal_are_answered_and_kept(tmp_path: Path) -> None:
    """Every request is answered: done, and then it is there after the restart; or refused, or not taken at all."""
    with ServerProcess(tmp_path / "data", *HTTP) as server:
        started = threading.Barrier(9)

        def write(writer: int) -> tuple[list[str], str]:
            done: list[str] = []
            with client_of(server) as http:
                while True:
                    key = f"{writer}-{len(done)}"
                    try:
                        answer = http.post(f"/storage/{key}", json={"value": key})
                    except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError) as error:
                        return done, type(error).__name__
                    if answer.status_code != 200:
                        return done, refusal_of(answer)[1]
                    done.append(key)
                    if len(done) == 20:
                        started.wait(PATIENCE_S)

        with ThreadPoolExecutor(8) as pool:
            writers = [pool.submit(write, writer) for writer in range(8)]
            started.wait(PATIENCE_S)
            assert server.terminate() == 0
            outcomes = [writer.result(PATIENCE_S) for writer in writers]
        # Who is connected is told, and loses no answer.
        assert {reason for _, reason in outcomes} == {"DRAINING"}
        with client_of(server.start()) as http:
            for done, _ in outcomes:
                for at in range(0, len(done), 1000):
                    part = done[at : at + 1000]
                    entries = http.post("/storage/batch/get", json={"keys": part}).json()["data"]["entries"]
                    assert [entry["value"] for entry in entries] == part


def test_a_request_that_takes_longer_than_the_grace_is_answered_as_well(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with (
        ServerProcess(tmp_path / "data", *HTTP, "--grace-seconds", "0") as server,
        client_of(server) as http,
        client_of(server) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(http.post, "/sql/o", json={"sql": endless})
        give_up = time.monotonic() + PATIENCE_S
        while "\npetra_sql_statements_total 1.0" not in other.get("/metrics").text:
            assert time.monotonic() < give_up
        assert server.terminate() == 0
        assert refusal_of(asked.result(PATIENCE_S))[:2] == (504, "TIMED_OUT")


def test_tls_is_that_of_grpc(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    tls = ("--tls-cert", str(made.certificate), "--tls-key", str(made.key))
    with ServerProcess(tmp_path / "data", *HTTP, *tls) as server:
        port = server.start_line["http"].rpartition(":")[2]
        context = made.client_context()
        with httpx.Client(verify=context, trust_env=False) as http:
            assert http.get(f"https://localhost:{port}/healthz").status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                http.get(f"http://127.0.0.1:{port}/healthz")


def test_an_address_in_use_is_said_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = ServerProcess(tmp_path / "data", "--http", address)
        with pytest.raises(RuntimeError, match=f"{address} cannot be listened on: .* with --http"):
            server.start()
    # Nothing of the failed start is left behind.
    with ServerProcess(tmp_path / "data", "--http", address) as server:
        assert server.start_line["http"] == address


def test_there_is_no_http_unless_it_is_asked_for(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        assert "http" not in server.start_line


def test_more_connections_than_allowed_get_503(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", *HTTP, "--http-connections", "3") as server:
        clients = [client_of(server) for _ in range(5)]
        statuses = [client.get("/healthz").status_code for client in clients]
        for client in clients:
            client.close()
        assert statuses[0] == 200
        assert statuses[-1] == 503


def test_connections_that_say_nothing_are_closed(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", *HTTP, "--handshake-timeout-ms", "100") as server:
        host, _, port = server.start_line["http"].rpartition(":")
        whole = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        for before, beginning in ((b"", b""), (b"", whole[:-2]), (whole, whole[:5])):
            with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as silent:
                silent.sendall(before)
                if before:
                    assert silent.recv(4096).startswith(b"HTTP/1.1 200 OK")
                silent.sendall(beginning)
                # Until the server closes it.
                while silent.recv(4096):
                    pass
        with client_of(server) as http:
            assert http.get("/healthz").status_code == 200


def test_a_head_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", *HTTP, "--max-metadata-bytes", "4KiB") as server, client_of(server) as http:
        assert http.get("/healthz", headers={"x": "y" * 1000}).status_code == 200
        assert http.get("/healthz", headers={"x": "y" * 100_000}).status_code == 400
