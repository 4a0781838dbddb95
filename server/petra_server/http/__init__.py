"""The HTTP API: JSON over the same actors, checks, limits and refusals as gRPC, and what Prometheus reads."""
