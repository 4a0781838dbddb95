"""Who is counted together by where requests come from. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Network, ip_address

# Whoever has an IPv6 address has 2**64 of them (RFC 6177), and could use another one for each request.
_CUSTOMER_BITS = 64


def network_of(address: str) -> str:
    """What to count requests of a network address under.

    That is the address itself for IPv4, also where it is written as IPv6, and the network of 64 bits for IPv6. What is
    no address is left as it is.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), _CUSTOMER_BITS), strict=False))
