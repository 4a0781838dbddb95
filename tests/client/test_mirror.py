"""The two class trees are mirrors: what asyncio's clients can do, those for threads can, with the same arguments."""

from __future__ import annotations

import ast
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from types import FunctionType

import pytest

import petra
from petra.objects import AsyncEntries
from petra.sync import Client, Entries, Namespace, Object, Pipeline, Rows, Sql, Transaction

PAIRS: list[tuple[type, type]] = [
    (petra.AsyncClient, Client),
    (AsyncEntries, Entries),
    (petra.AsyncNamespace, Namespace),
    (petra.AsyncObject, Object),
    (petra.AsyncPipeline, Pipeline),
    (petra.AsyncRows, Rows),
    (petra.AsyncSql, Sql),
    (petra.AsyncTransaction, Transaction),
]
# They differ in what they are for.
NOT_ALIKE = {(petra.AsyncClient, "__doc__")}

MIRRORED_NAMES = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "aclose": "close",
    "AsyncIterator": "Iterator",
    "BlockingBinding": "Binding",
    **{first.__name__: second.__name__ for first, second in PAIRS},
}


class Mirrored(ast.NodeTransformer):
    """An annotation as the other tree has it: nothing is awaited there."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(MIRRORED_NAMES.get(node.id, node.id))

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "Awaitable":
            awaited: ast.AST = self.visit(node.slice)
            return awaited
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        left, right = self.visit(node.left), self.visit(node.right)
        return left if ast.unparse(left) == ast.unparse(right) else ast.BinOp(left, node.op, right)


def mirrored(annotation: object) -> str:
    """Both trees postpone their annotations, so each is a string."""
    if annotation is inspect.Signature.empty:
        return "nothing"
    assert isinstance(annotation, str)
    return ast.unparse(Mirrored().visit(ast.parse(annotation, mode="eval")))


def members(cls: type) -> dict[str, object]:
    """What users see of a class, under the names of the tree for threads."""
    special = {"__init__", "__len__", *MIRRORED_NAMES, *MIRRORED_NAMES.values()}
    names = [name for name in dir(cls) if name in special or not name.startswith("_")]
    return {MIRRORED_NAMES.get(name, name): inspect.getattr_static(cls, name) for name in names}


def kind(member: object) -> str:
    """What a member is, where nothing is awaited."""
    if isinstance(member, property):
        return "property"
    assert inspect.isfunction(member)
    if inspect.isgeneratorfunction(member) or inspect.isasyncgenfunction(member):
        return "iterator"
    return "method"


def awaits(member: object) -> bool:
    return inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)


def described(member: object) -> dict[str, object]:
    """All that has to be alike, by what it is."""
    function = member.fget if isinstance(member, property) else member
    assert inspect.isfunction(function)
    signature = inspect.signature(function)
    facts: dict[str, object] = {"kind": kind(member), "docstring": function.__doc__}
    facts["returns"] = mirrored(signature.return_annotation)
    facts["parameters"] = [
        (parameter.name, parameter.kind.description, parameter.default, mirrored(parameter.annotation))
        for parameter in signature.parameters.values()
    ]
    return facts


def differences(asynchronous: type, blocking: type) -> Iterator[str]:
    """What is not alike, each as a sentence."""
    ours, theirs = members(asynchronous), members(blocking)
    for name in sorted(ours.keys() ^ theirs.keys()):
        yield f"{name} is in one only"
    for name in sorted(ours.keys() & theirs.keys()):
        if awaits(theirs[name]):
            yield f"{name} awaits in {blocking.__name__}"
        here, there = described(ours[name]), described(theirs[name])
        for what, fact in here.items():
            if fact != there[what]:
                yield f"{name}: {what}: {fact} and {there[what]}"
    if inspect.getdoc(asynchronous) != inspect.getdoc(blocking) and (asynchronous, "__doc__") not in NOT_ALIKE:
        yield "the docstrings of the classes differ"


@pytest.mark.parametrize(("asynchronous", "blocking"), PAIRS, ids=lambda cls: cls.__name__)
def test_the_trees_are_alike(asynchronous: type, blocking: type) -> None:
    assert list(differences(asynchronous, blocking)) == []


def test_every_public_class_of_one_tree_has_its_mirror() -> None:
    public = {getattr(petra, name) for name in petra.__all__}
    assert {first for first, _ in PAIRS} >= {cls for cls in public if cls.__name__.startswith("Async")}
    assert {second for _, second in PAIRS} == {getattr(petra.sync, name) for name in petra.sync.__all__}


def test_what_talks_to_the_server_awaits() -> None:
    plain = {"__init__", "name", "namespace", "object", "pipeline", "sql", "query"}
    for cls in (petra.AsyncClient, petra.AsyncObject, petra.AsyncSql):
        assert {name for name, member in members(cls).items() if not awaits(member)} <= plain


# That the comparison sees what changes: copies of the tree for threads with one change each.


def copied(cls: type, changes: dict[str, object]) -> type:
    """The same class on its own, with other members; None leaves one out."""
    inherited = {name: inspect.getattr_static(cls, name) for name in dir(cls) if name not in dir(object)}
    everything = {**inherited, "__init__": cls.__init__, "__doc__": cls.__doc__, **changes}  # type: ignore[misc]
    return type(cls.__name__, (), {name: member for name, member in everything.items() if member is not None})


def get_without_default(self: Entries, key: str, *, timeout: petra.values.Seconds | None = None) -> petra.values.Value:
    """The value of a key, or the default when there is none."""


def changed(function: Callable[..., object], **changes: object) -> object:
    """A copy of a method with other annotations, defaults, or docstring."""
    assert isinstance(function, FunctionType)
    twin = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    for name in ("__doc__", "__annotations__", "__kwdefaults__"):
        setattr(twin, name, changes.get(name, getattr(function, name)))
    return twin


def other_annotation(function: Callable[..., object], name: str, annotation: str) -> object:
    assert name in function.__annotations__
    return changed(function, __annotations__={**function.__annotations__, name: annotation})


async def close(self: Client) -> None:
    """Ends the connection. Whoever waits gets ClientClosed, and so do later calls. It may be called again."""


DEFAULTS = Client.increment.__kwdefaults__ or {}
CHANGES: list[tuple[str, dict[str, object], str]] = [
    ("a method is gone", {"touch": None}, "touch is in one only"),
    ("a method is new", {"expire": Client.touch}, "expire is in one only"),
    ("a parameter is gone", {"get": get_without_default}, "get: parameters"),
    (
        "a default is another",
        {"increment": changed(Client.increment, __kwdefaults__={**DEFAULTS, "ttl": 1})},
        "increment: parameters",
    ),
    ("a parameter has another type", {"get": other_annotation(Client.get, "key", "bytes")}, "get: parameters"),
    ("a result has another type", {"set": other_annotation(Client.set, "return", "bool")}, "set: returns"),
    ("a docstring is another", {"clear": changed(Client.clear, __doc__="Clears.")}, "clear: docstring"),
    ("a method awaits", {"close": close}, "close awaits"),
    ("a property is a method", {"name": Client.namespace}, "name: kind"),
    ("an iterator is a list", {"namespaces": Client.actors}, "namespaces: kind"),
]


def test_a_copy_without_a_change_is_alike() -> None:
    assert list(differences(petra.AsyncClient, copied(Client, {}))) == []


@pytest.mark.parametrize(("changes", "sentence"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_a_change_in_one_tree_is_seen(changes: dict[str, object], sentence: str) -> None:
    found = list(differences(petra.AsyncClient, copied(Client, changes)))
    assert any(each.startswith(sentence) for each in found), found


def test_annotations_are_mirrored() -> None:
    assert mirrored("Callable[[AsyncTransaction], Awaitable[T]]") == "Callable[[Transaction], T]"
    assert mirrored("Callable[[Value], Value | Awaitable[Value]]") == "Callable[[Value], Value]"
    assert mirrored(f"{AsyncIterator.__name__}[str]") == f"{Iterator.__name__}[str]"
    assert mirrored("Value | D") == "Value | D"
