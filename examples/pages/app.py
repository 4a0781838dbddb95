"""Users, projects and pages over HTTP: a FastAPI application whose data is in a Petra server.

Every request is done for its user: what others have not shared is not there. Nothing in here compares user ids.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from examples.pages.models import MODELS, Page, Project, Status, User
from petra import AsyncClient, VersionConflict
from petra.datamodel import Duplicate, HookRefused, ValidationError, initialize
from petra.datastore import Datastore, NotFoundOrNoAccess, Store
from petra.errors import InvalidArgument

T = TypeVar("T")

# What a status of HTTP says of the data layer's errors.
STATUS_OF: dict[type[Exception], int] = {
    NotFoundOrNoAccess: 404,
    VersionConflict: 409,
    Duplicate: 409,
    HookRefused: 409,
    ValidationError: 422,
    InvalidArgument: 422,
}


class NewUser(BaseModel):
    email: str
    name: str


class NewProject(BaseModel):
    name: str


class NewPage(BaseModel):
    title: str
    text: str = ""


class PageChanges(BaseModel):
    title: str | None = None
    text: str | None = None
    status: Status | None = None


async def user_of(request: Request, sent: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> Store:
    """The store of the user whose key the request has."""
    datastore: Datastore = request.app.state.datastore
    key = await datastore.system().get("APIKEY", _digest(sent.credentials))
    if key is None:
        raise HTTPException(401, "Unknown key")
    return datastore.auth(key["user_id"])


Auth = Annotated[Store, Depends(user_of)]


def create_app(address: str = "localhost:7475", namespace: str = "pages") -> FastAPI:
    """The application, with its data in a namespace of the server at `address`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncClient(address, namespace=namespace) as client:
            app.state.datastore = Datastore(client)
            await initialize(app.state.datastore, MODELS)
            yield

    app = FastAPI(title="Pages", lifespan=lifespan)
    for kind in STATUS_OF:
        app.add_exception_handler(kind, _answer)
    _add_users(app)
    _add_projects(app)
    _add_pages(app)
    _add_deletions(app)
    _add_history(app)
    return app


def _add_users(app: FastAPI) -> None:
    @app.post("/users", status_code=201)
    async def sign_up(new: NewUser) -> dict[str, str]:
        """Makes a user and a key, which is shown this once. Mails should be confirmed; see petra.auth for sign-ins."""
        datastore: Datastore = app.state.datastore
        user = User(email=new.email, name=new.name)
        # The record names the user whom it describes.
        await User.using(datastore.auth(user.id)).save(user)
        key = secrets.token_urlsafe(32)
        await datastore.system().put("APIKEY", _digest(key), {"user_id": user.id})
        return {"id": user.id, "key": key}

    @app.get("/me")
    async def me(store: Auth) -> User:
        return _there(await User.using(store).get(str(store.user_id)))


def _add_projects(app: FastAPI) -> None:
    @app.post("/projects", status_code=201)
    async def add_project(new: NewProject, store: Auth) -> Project:
        return await Project.using(store).create(name=new.name)

    @app.get("/projects")
    async def projects(store: Auth, page: int = 1) -> dict[str, Any]:
        listing = await Project.using(store).query().order_by("-created_at").page(page).list()
        return {"projects": listing.data, "pagination": listing.pagination.as_dict()}

    @app.post("/projects/{project_id}/share")
    async def share(project_id: str, email: str, store: Auth) -> dict[str, list[str]]:
        """Lets another user see and change a project and its pages."""
        datastore: Datastore = app.state.datastore
        project = _there(await Project.using(store).get(project_id))
        other = _there(await User.where(User.email == email).with_data().using(datastore.system()).first())
        pages = Page.using(store).where(Page.project_id == project_id).order_by("id").limit(100).with_data()
        cursor = None
        while True:
            found = await pages.page_after(cursor)
            for page in found:
                await page.share(other.id)
            cursor = found.next_cursor
            if cursor is None:
                break
        # Last: who sees the project sees all that was in it.
        await project.share(other.id)
        return {"users": project.get("_auth")}


def _add_pages(app: FastAPI) -> None:
    @app.post("/projects/{project_id}/pages", status_code=201)
    async def add_page(project_id: str, new: NewPage, store: Auth) -> Page:
        project = _there(await Project.using(store).get(project_id))
        page = await Page.using(store).create(project_id=project_id, **new.model_dump())
        for user_id in project.get("_auth"):
            if user_id != store.user_id:
                await page.share(user_id)
        return page

    @app.get("/projects/{project_id}/pages")
    async def pages(project_id: str, store: Auth, status: Status | None = None, page: int = 1) -> dict[str, Any]:
        query = Page.using(store).where(Page.project_id == project_id)
        if status is not None:
            query = query.where(Page.status == status)
        listing = await query.order_by("-created_at").page(page).list()
        return {"pages": listing.data, "pagination": listing.pagination.as_dict()}

    @app.get("/pages/{page_id}")
    async def page(page_id: str, store: Auth) -> Page:
        return _there(await Page.using(store).get(page_id))

    @app.patch("/pages/{page_id}")
    async def change(page_id: str, changes: PageChanges, store: Auth) -> Page:
        """Answers 409 when somebody else has changed the page meanwhile: read it again."""
        page = _there(await Page.using(store).get(page_id))
        return await page.set(changes.model_dump(exclude_unset=True)).save()


def _add_deletions(app: FastAPI) -> None:
    @app.delete("/pages/{page_id}", status_code=204)
    async def delete(page_id: str, store: Auth) -> None:
        await Page.using(store).delete(page_id)

    @app.post("/pages/{page_id}/restore")
    async def restore(page_id: str, store: Auth) -> Page:
        page = _there(await Page.using(store).get(page_id, include_deleted=True))
        await page.restore()
        return page


def _add_history(app: FastAPI) -> None:
    @app.get("/pages/{page_id}/history")
    async def history(page_id: str, store: Auth) -> list[dict[str, Any]]:
        """The changes of its status that this user made, the newest first."""
        return await store.D1.query("AUDIT", {"page_id": page_id}, order_by="created_at DESC", limit=20)


def _there(found: T | None) -> T:
    if found is None:
        raise HTTPException(404, "Not found or no access")
    return found


def _digest(key: str) -> str:
    """A key is random, so that a plain hash keeps it secret; it is the hash that is stored."""
    return hashlib.sha256(key.encode()).hexdigest()


async def _answer(request: Request, error: Exception) -> JSONResponse:
    status = next(status for kind, status in STATUS_OF.items() if isinstance(error, kind))
    return JSONResponse({"detail": getattr(error, "errors", None) or str(error)}, status)
