"""`petra export` and `petra import`: what a server holds as JSON lines, and back."""
