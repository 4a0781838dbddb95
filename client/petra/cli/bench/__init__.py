"""`petra bench`: a quick load against a running server."""
