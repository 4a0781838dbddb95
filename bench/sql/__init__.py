"""`bench sql`: SQL inside objects, beside a plain SQLite file and beside a Durable Object of workerd."""
