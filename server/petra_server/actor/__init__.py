"""Single-threaded actors: operations, turns, mailboxes, the output gate and the router."""
