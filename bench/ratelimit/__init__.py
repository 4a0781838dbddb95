"""Rate limits: Petra's limiter beside the library `limits` on Redis."""
