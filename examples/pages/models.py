"""What the application stores: users, their projects, and the pages of these."""

from __future__ import annotations

from typing import Literal

from petra.datamodel import Event, Model

Status = Literal["pending", "processing", "completed"]


class User(Model, table="users", unique=("email",)):
    email: str
    name: str


class Project(Model, table="projects", indexes=("-created_at",)):
    name: str


class Page(
    Model,
    table="pages",
    key="page:{project_id}:{id}",
    sync=("project_id", "title", "status", "word_count"),
    indexes=(("project_id", "status", "-created_at"),),
    unique=(("project_id", "title"),),
):
    """The text is in the full object alone: queries see the other fields."""

    project_id: str
    title: str
    status: Status = "pending"
    word_count: int = 0
    text: str = ""

    def before_create(self, event: Event) -> None:
        """Counts the words."""
        self.word_count = len(self.text.split())

    def before_update(self, event: Event) -> None:
        """Counts them anew, and refuses to complete what has none."""
        self.word_count = len(self.text.split())
        if self.status == "completed" and not self.word_count:
            event.refuse("A page without a text cannot be completed.")

    async def after_update(self, event: Event) -> None:
        """Keeps what happened to the page, for those who see it now."""
        status = event.changes.get("status")
        if status is not None:
            key = f"{self.id}.{self.updated_at}"
            entry = {"page_id": self.id, "by": event.user_id, "from": status.before, "to": status.after}
            await event.store.put("AUDIT", key, entry)


MODELS = [User, Project, Page]
