"""How a data layer takes the client that it is given: of the right tree, and with a codec that it can count on.

Pure; both trees use it.
"""

from __future__ import annotations

from typing import TypeVar

from petra.objects import AsyncNamespace
from petra.sync.objects import Namespace
from petra.values import JSONCodec

N = TypeVar("N", AsyncNamespace, Namespace)


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
