"""`petra top`: a live view of a server."""
