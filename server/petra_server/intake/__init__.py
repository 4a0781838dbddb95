"""What every way into the server shares, gRPC and HTTP: who may come in, what is checked, and pages of listings."""
