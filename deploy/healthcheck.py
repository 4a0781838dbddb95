"""Asks the server of this container, over gRPC's health protocol, whether it serves. Exit code 0: yes; 1: no.

The address is that of PETRA_LISTEN, by way of loopback. It speaks plain text: an image that serves TLS needs a health
check of its own, with its own certificates.
"""

from __future__ import annotations

import os
import sys

import grpc
from grpc_health.v1 import health_pb2

TIMEOUT_SECONDS = 3


def main() -> int:
    """The exit code; on failure the reason is on standard error."""
    port = os.environ.get("PETRA_LISTEN", "127.0.0.1:7475").rpartition(":")[2]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            sys.stderr.write(f"no answer on port {port}: {error.code().name}\n")
            return 1
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        sys.stderr.write(f"the server on port {port} says {status}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
