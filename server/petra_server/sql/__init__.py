"""SQLite inside the actor: databases whose pages are records of the actor's column family.

`statements` says what can be asked and answered. `database` runs a list of statements on one connection, as one
transaction, and hands over the pages that it changed; `databases` keeps the connections, bounded in number and memory.
Below them are `pages` and `vfs`, the files that SQLite reads and writes; `guards`, what users may not do; and `cells`,
values in columns. Nothing in here knows asyncio, gRPC, turns or the log: whoever runs a list stores its pages, and
then says so.

Only this package imports apsw; its exceptions stop here.
"""
