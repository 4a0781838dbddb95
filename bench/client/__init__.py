"""What a Python program gets: Petra's client beside redis-py, each with one client that tasks or threads share."""
