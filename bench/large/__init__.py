"""A store of 10 million keys: how long it takes to open, what memory it needs, how fast it reads, and after a crash."""
