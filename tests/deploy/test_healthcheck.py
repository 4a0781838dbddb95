"""The container's health check against a real health service."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

SCRIPT = Path(__file__).parents[2] / "deploy" / "healthcheck.py"


def check(port: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PETRA_LISTEN": f"0.0.0.0:{port}"}
    return subprocess.run([sys.executable, SCRIPT], env=environment, capture_output=True, text=True)


@pytest.fixture
def servicer() -> health.HealthServicer:
    return health.HealthServicer()


@pytest.fixture
def port(servicer: health.HealthServicer) -> Iterator[int]:
    with ThreadPoolExecutor(max_workers=2) as pool:
        server = grpc.server(pool)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield port
        server.stop(grace=None).wait()


def test_healthy_while_serving(port: int) -> None:
    assert check(port).returncode == 0


def test_unhealthy_when_the_server_says_so(servicer: health.HealthServicer, port: int) -> None:
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    result = check(port)
    assert result.returncode == 1
    assert "NOT_SERVING" in result.stderr


def test_unhealthy_when_nobody_answers() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result = check(taken.getsockname()[1])
    assert result.returncode == 1
    assert "no answer" in result.stderr
