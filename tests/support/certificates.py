"""Certificates of a test's own, made by the openssl program."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate for `localhost` and its key, as files."""

    certificate: Path
    key: Path

    def server_context(self, *protocols: str) -> ssl.SSLContext:
        """What a server with it uses, which offers these protocols by ALPN."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def client_context(self) -> ssl.SSLContext:
        """What a client uses that trusts it."""
        return ssl.create_default_context(cafile=str(self.certificate))


def make_certificate(folder: Path) -> Certificate:
    """Skips the test where there is no openssl program."""
    if shutil.which("openssl") is None:
        pytest.skip("TLS is not tested: there is no openssl program here to make a certificate with")
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    extensions = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:TRUE"]
    subprocess.run(
        [*command.split(), *extensions, "-keyout", str(made.key), "-out", str(made.certificate)],
        check=True,
        capture_output=True,
    )
    return made
