"""Records on disk: formats, the engine, group commit, the cache, and the partition that ties them together."""
