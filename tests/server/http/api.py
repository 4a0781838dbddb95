"""What tests say to the HTTP API, and what they expect of its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from petra import Client

# Answers of one server; anything that takes longer does not come.
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Api:
    """A namespace over HTTP, and over gRPC beside it."""

    http: httpx.Client
    grpc_address: str
    namespace: str

    def ask(self, verb: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - those of httpx
        """The answer to a request in this namespace."""
        parameters = {"namespace": self.namespace, **options.pop("params", {})}
        return self.http.request(verb, path, params=parameters, timeout=PATIENCE_S, **options)

    def done(self, verb: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - any JSON
        """The answer to a request that is done."""
        answer = self.ask(verb, path, **options)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert body["success"] is True
        return body

    def refused(self, verb: str, path: str, **options: Any) -> tuple[int, str, str]:  # noqa: ANN401 - those of httpx
        """Status, code and field of a refusal."""
        answer = self.ask(verb, path, **options)
        return refusal_of(answer)

    def set(self, key: str, value: object, **members: object) -> int:
        """Sets a key, and returns its version."""
        version: int = self.done("POST", path_of(key), json={"value": value, **members})["data"]["version"]
        return version

    def get(self, key: str) -> Any:  # noqa: ANN401 - any JSON
        return self.done("GET", path_of(key))["data"]

    def client(self) -> Client:
        """The Python client in the same namespace."""
        return Client(self.grpc_address, namespace=self.namespace)


def path_of(key: str) -> str:
    return "/storage/" + quote(key, safe="")


def refusal_of(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    assert body["success"] is False, answer.text
    error = body["error"]
    assert error["message"].endswith("."), error
    return answer.status_code, error["code"], error.get("field", "")
