"""The options that commands share: where the server is, what is addressed, how results are printed."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast

import click

from petra.cli.group import CannotRun

if TYPE_CHECKING:
    import ssl

    from petra import AsyncClient, AsyncNamespace, AsyncObject, Client

F = TypeVar("F", bound=Callable[..., object])

Output: TypeAlias = Literal["text", "json"]

ADDRESS_VARIABLE: Final = "PETRA_ADDRESS"
NAMESPACE_VARIABLE: Final = "PETRA_NAMESPACE"

_SECONDS_OF: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(ms|[smhdw]|)")


def duration(value: str | float) -> float:
    """The seconds of a length of time such as 90, 15m or 7d. Raises click.BadParameter."""
    if not isinstance(value, str):
        return float(value)
    match = _DURATION.fullmatch(value.strip().lower())
    seconds = float(match[1]) * _SECONDS_OF[match[2]] if match else 0.0
    if seconds <= 0:
        raise click.BadParameter(f"{value!r} is no length of time: write 90, 90s, 500ms, 15m, 2h, 7d or the like.")
    return seconds


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is, and how it is reached."""

    address: str
    timeout: float
    tls: bool
    tls_ca: str | None
    tls_cert: str | None
    tls_key: str | None

    def client(self, **options: Any) -> AsyncClient:  # noqa: ANN401 - AsyncClient's
        """A client of it. Nothing is connected yet. Raises InvalidArgument, and CannotRun for files of no use."""
        from petra import AsyncClient

        return AsyncClient(self.address, timeout=self.timeout, connect_timeout=self.timeout, tls=self._tls(), **options)

    def blocking_client(self) -> Client:
        """The same for threads."""
        from petra import Client

        return Client(self.address, timeout=self.timeout, connect_timeout=self.timeout, tls=self._tls())

    def _tls(self) -> bool | ssl.SSLContext:
        if self.tls_key and not self.tls_cert:
            raise CannotRun("--tls-key needs --tls-cert.", 2)
        if not (self.tls_ca or self.tls_cert):
            return self.tls
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.tls_ca)
            if self.tls_cert:
                context.load_cert_chain(self.tls_cert, self.tls_key)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(file for file in (self.tls_ca, self.tls_cert, self.tls_key) if file)
            raise CannotRun(f"no certificates can be read from {files}: {error.strerror or error}.", 2) from None
        return context


@dataclass(frozen=True, slots=True)
class Place:
    """Which entries are meant: the flat keys of a namespace, or those of one of its objects."""

    namespace: str
    object: str | None

    def entries(self, client: AsyncClient) -> AsyncNamespace | AsyncObject:
        namespace = client.namespace(self.namespace)
        return namespace if self.object is None else namespace.object(self.object)

    def __str__(self) -> str:
        if self.object is None:
            return f"the flat keys of namespace {self.namespace}"
        return f"object {self.object} of namespace {self.namespace}"


def server_options(timeout: float = 5.0) -> Callable[[F], F]:
    """Gives a command --server, --timeout and the TLS options, as one argument `server`."""

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def with_server(**given: Any) -> object:  # noqa: ANN401 - click's arguments
            names = Server.__slots__
            server = Server(**{name: given.pop(name) for name in names})
            return command(server=server, **given)

        return cast(F, _with_options(with_server, _server_options(timeout)))

    return decorate


def _server_options(timeout: float) -> Iterator[Callable[[F], F]]:
    file = click.Path(exists=True, dir_okay=False)
    yield click.option(
        "-s",
        "--server",
        "address",
        envvar=ADDRESS_VARIABLE,
        default="localhost:7475",
        show_default=True,
        show_envvar=True,
        metavar="HOST:PORT",
        help="The server.",
    )
    yield click.option(
        "--timeout",
        type=duration,
        default=timeout,
        show_default=f"{timeout:g}s",
        metavar="TIME",
        help="How long each call may take, with all its attempts.",
    )
    yield click.option("--tls", is_flag=True, help="Speak TLS, trusting the system's authorities.")
    yield click.option("--tls-ca", type=file, metavar="FILE", help="Speak TLS, trusting these authorities (PEM).")
    yield click.option("--tls-cert", type=file, metavar="FILE", help="Show the server this certificate (PEM).")
    yield click.option("--tls-key", type=file, metavar="FILE", help="The private key of --tls-cert (PEM).")


def place_options(command: F) -> F:
    """Gives a command --namespace and --object, as one argument `place`."""

    @functools.wraps(command)
    def with_place(*, namespace: str, object_name: str | None, **given: Any) -> object:  # noqa: ANN401 - click's
        return command(place=Place(namespace, object_name), **given)

    return cast(
        F,
        _with_options(
            with_place,
            iter(
                [
                    namespace_option,
                    click.option("--object", "object_name", metavar="NAME", help="The object. None: the flat keys."),
                ]
            ),
        ),
    )


def namespace_option(command: F) -> F:
    """Gives a command --namespace."""
    return click.option(
        "-n",
        "--namespace",
        envvar=NAMESPACE_VARIABLE,
        default="default",
        show_default=True,
        show_envvar=True,
        metavar="NAME",
        help="The namespace.",
    )(command)


def output_option(command: F) -> F:
    """Gives a command --output, as the argument `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="For people, or one JSON object a line.",
    )(command)


def durability_option(command: F) -> F:
    """Gives a command --durability, None unless it is given."""
    return click.option(
        "--durability",
        type=click.Choice(["fsync", "buffered"]),
        help="When the write is acknowledged: on disk, or at once. Unless given, as usual for this command.",
    )(command)


def ttl_option(help_text: str) -> Callable[[F], F]:
    """Gives a command --ttl, in seconds."""
    return click.option("--ttl", type=duration, metavar="TIME", help=help_text)


def _with_options(command: Callable[..., object], options: Iterator[Callable[[Any], Any]]) -> Any:  # noqa: ANN401
    for option in reversed(list(options)):
        command = option(command)
    return command
