"""How calls reach the server: gRPC over HTTP/2, spoken over asyncio. Private."""
