"""One client for each place in this process, for frameworks that make an adapter for every thread or request.

Any thread may call this. A client that is shared is not closed: it is fork-safe, and ends with the process.
"""

from __future__ import annotations

import threading

from petra import Client
from petra.integrations._location import Location

_lock = threading.Lock()
_clients: dict[Location, Client] = {}


def shared_client(location: Location) -> Client:
    """The client of a place: always the same one. Raises InvalidArgument."""
    with _lock:
        client = _clients.get(location)
        if client is None:
            client = _clients[location] = location.client()
        return client
