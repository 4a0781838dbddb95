"""gRPC: decode, ask the actors, encode."""
