"""Records of a model: Petra's data models beside SQLModel on SQLAlchemy's asyncio and PostgreSQL, doing the same."""
