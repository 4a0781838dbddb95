"""`petra sql`: statements from the command line, from files, and from a shell, and databases as scripts."""
