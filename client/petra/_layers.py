"""How a data layer takes the client that it is given: of the right tree, and with a codec that it can count on.

Pure; both trees use it.
"""

from __future__ import annotations

from typing import TypeVar

from petra.objects import AsyncNamespace, AsyncObject
from petra.sync.objects import Namespace, Object
from petra.values import JSONCodec

N = TypeVar("N", AsyncNamespace, Namespace)
H = TypeVar("H", AsyncObject, Object)


def own_handle(client: N, tree: type[N], package: str) -> N:
    """The same namespace as `client`, with values in JSON whatever the client's own codec is.

    `package` is the layer's, such as "ratelimit". Raises TypeError that names the right module when the client is of
    the other tree, or no client at all.
    """
    if isinstance(client, tree):
        return tree(client._binding, client._address, JSONCodec(), client._durability)
    given = type(client).__name__
    if tree is AsyncNamespace:
        sentence = f"petra.{package} takes an AsyncClient or a namespace of one, not a {given}."
        advice = f" For a blocking Client use petra.sync.{package}."
    else:
        sentence = f"petra.sync.{package} takes a Client or a namespace of one, not a {given}."
        advice = f" For an AsyncClient use petra.{package}."
    raise TypeError(sentence + advice)


def own_object(given: H, tree: type[H], package: str) -> H:
    """The same handle of an object. Raises TypeError that names the right module when it is of the other tree, or none.

    `package` is the layer's, such as "stores".
    """
    if isinstance(given, tree):
        return given
    kind = type(given).__name__
    own, wanted, other = package, "an AsyncClient", "an object of a blocking Client use petra.sync"
    if tree is not AsyncObject:
        own, wanted, other = f"sync.{package}", "a Client", "an object of an AsyncClient use petra"
    advice = f"give client.object(name). For {other}.{package}"
    raise TypeError(f"petra.{own} takes the handle of an object of {wanted}, not {kind}: {advice}.")
