"""The statements on the tables of the stores, and what their errors mean. Pure; the tables are in `migrations`.

The texts are fixed: whatever comes from outside is a parameter. In an update, NULL leaves a column as it is.
"""

from __future__ import annotations

from typing import Final

from petra.errors import PetraError, SqlConstraint, SqlError
from petra.stores.errors import AlreadyExists, EmailTaken, NotFound, NotInitialized
from petra.stores.history import NOW

_TIMES: Final = "created_at, updated_at"
_TOUCH: Final = f"updated_at = max(updated_at, {NOW})"

_USER: Final = f"number, id, email, name, data, {_TIMES}"
CREATE_USER: Final = f"INSERT INTO users (id, email, name, data) VALUES (:id, :email, :name, :data) RETURNING {_USER}"
GET_USER: Final = f"SELECT {_USER} FROM users WHERE id = :id"
GET_USER_BY_EMAIL: Final = f"SELECT {_USER} FROM users WHERE email = :email"
UPDATE_USER: Final = (
    "UPDATE users SET email = coalesce(:email, email), name = coalesce(:name, name), data = coalesce(:data, data),"
    f" {_TOUCH} WHERE id = :id RETURNING {_USER}"
)
DELETE_USER: Final = "DELETE FROM users WHERE id = :id"
LIST_USERS: Final = f"SELECT {_USER} FROM users WHERE number > :after ORDER BY number LIMIT :limit"

_CLUSTER: Final = f"number, id, name, data, {_TIMES}"
CREATE_CLUSTER: Final = f"INSERT INTO clusters (id, name, data) VALUES (:id, :name, :data) RETURNING {_CLUSTER}"
GET_CLUSTER: Final = f"SELECT {_CLUSTER} FROM clusters WHERE id = :id"
UPDATE_CLUSTER: Final = (
    "UPDATE clusters SET name = coalesce(:name, name), data = coalesce(:data, data),"
    f" {_TOUCH} WHERE id = :id RETURNING {_CLUSTER}"
)
DELETE_CLUSTER: Final = "DELETE FROM clusters WHERE id = :id"
LIST_CLUSTERS: Final = f"SELECT {_CLUSTER} FROM clusters WHERE number > :after ORDER BY number LIMIT :limit"

_MEMBERS: Final = (
    "SELECT m.number, m.cluster_id, c.name AS cluster_name, m.user_id, u.name AS user_name, u.email, m.role,"
    " m.created_at, m.updated_at FROM cluster_members AS m"
    " JOIN clusters AS c ON c.id = m.cluster_id JOIN users AS u ON u.id = m.user_id"
)
ADD_MEMBER: Final = "INSERT INTO cluster_members (cluster_id, user_id, role) VALUES (:cluster, :user, :role)"
SET_ROLE: Final = f"UPDATE cluster_members SET role = :role, {_TOUCH} WHERE cluster_id = :cluster AND user_id = :user"
REMOVE_MEMBER: Final = "DELETE FROM cluster_members WHERE cluster_id = :cluster AND user_id = :user"
GET_MEMBER: Final = f"{_MEMBERS} WHERE m.cluster_id = :cluster AND m.user_id = :user"
LIST_MEMBERS: Final = f"{_MEMBERS} WHERE m.cluster_id = :cluster AND m.number > :after ORDER BY m.number LIMIT :limit"
LIST_CLUSTERS_OF: Final = f"{_MEMBERS} WHERE m.user_id = :user AND m.number > :after ORDER BY m.number LIMIT :limit"

_INSTANCE: Final = f"number, id, cluster_id, name, status, data, {_TIMES}"
CREATE_INSTANCE: Final = (
    "INSERT INTO instances (id, cluster_id, name, status, data) VALUES (:id, :cluster, :name, :status, :data)"
    f" RETURNING {_INSTANCE}"
)
GET_INSTANCE: Final = f"SELECT {_INSTANCE} FROM instances WHERE id = :id"
UPDATE_INSTANCE: Final = (
    "UPDATE instances SET name = coalesce(:name, name), status = coalesce(:status, status),"
    f" data = coalesce(:data, data), {_TOUCH} WHERE id = :id RETURNING {_INSTANCE}"
)
DELETE_INSTANCE: Final = "DELETE FROM instances WHERE id = :id"
LIST_INSTANCES: Final = f"SELECT {_INSTANCE} FROM instances WHERE number > :after ORDER BY number LIMIT :limit"
LIST_INSTANCES_OF: Final = (
    f"SELECT {_INSTANCE} FROM instances WHERE cluster_id = :cluster AND number > :after ORDER BY number LIMIT :limit"
)


def meaning(error: SqlError | SqlConstraint, email: str | None) -> PetraError:
    """What an error of these statements is called here; `email` is the address that was to be written."""
    said = str(error)
    if isinstance(error, SqlError):
        if "no such table: " in said:
            return NotInitialized("The tables of the stores are not there. Call initialize() when your program starts.")
        return error
    if "users.email" in said and email is not None:
        return EmailTaken(f"Another user has the address {email}.", email=email)
    if error.constraint == "FOREIGNKEY":
        return NotFound("There is no such cluster, or no such user.")
    if error.constraint in {"UNIQUE", "PRIMARYKEY"}:
        return AlreadyExists("The user is a member already." if "cluster_members" in said else "The id is taken.")
    return error
