"""examples/pages: started with its one command, and used as its README says."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.ports import free_port

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the application is, with a server of its own."""
    port, petra = free_port(), free_port()
    data = tmp_path_factory.mktemp("pages") / "data"
    options = ["--port", str(port), "--petra", f"127.0.0.1:{petra}", "--data", str(data)]
    command = [sys.executable, "-m", "examples.pages", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "Look at" in line, process.communicate()[1]
            address = f"http://127.0.0.1:{port}"
            with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
                assert client.get(f"{address}/docs").status_code == 200
            yield address
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors, errors
    with pytest.raises(ConnectionError), socket.create_connection(("127.0.0.1", petra), timeout=20):
        pass


@pytest.fixture
def browser(site: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site, timeout=30) as browser:
        yield browser


class Visitor:
    """Somebody with a key."""

    def __init__(self, browser: httpx.Client, name: str) -> None:
        self._browser = browser
        self.email = f"{name}@example.com"
        made = browser.post("/users", json={"email": self.email, "name": name})
        assert made.status_code == 201, made.text
        self.id = made.json()["id"]
        self._headers = {"Authorization": f"Bearer {made.json()['key']}"}

    def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:  # noqa: ANN401 - JSON
        answer = self._browser.request(method, path, headers=self._headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None


def test_pages_of_a_project_that_two_share(browser: httpx.Client) -> None:
    ann, bob = Visitor(browser, "ann"), Visitor(browser, "bob")
    assert ann.ask("GET", "/me")["email"] == ann.email
    project = ann.ask("POST", "/projects", 201, json={"name": "Tea house"})["id"]
    for number in range(25):
        text = {"title": f"Page {number}", "text": "one two three"}
        ann.ask("POST", f"/projects/{project}/pages", 201, json=text)
    listing = ann.ask("GET", f"/projects/{project}/pages", params={"page": 2})
    assert [page["title"] for page in listing["pages"]] == [f"Page {number}" for number in range(4, -1, -1)]
    assert listing["pagination"]["total"] == 25
    page = listing["pages"][0]["id"]

    # Nobody else sees it until it is shared.
    for method, path in (("GET", f"/pages/{page}"), ("DELETE", f"/pages/{page}")):
        assert bob.ask(method, path, 404)["detail"] == "Not found or no access"
    assert bob.ask("GET", f"/projects/{project}/pages")["pages"] == []
    bob.ask("POST", f"/projects/{project}/pages", 404, json={"title": "Mine"})
    shared = ann.ask("POST", f"/projects/{project}/share", params={"email": bob.email})
    assert shared == {"users": [ann.id, bob.id]}
    assert bob.ask("GET", f"/projects/{project}/pages")["pagination"]["total"] == 25
    made = bob.ask("POST", f"/projects/{project}/pages", 201, json={"title": "Of Bob"})
    assert ann.ask("GET", f"/pages/{made['id']}")["title"] == "Of Bob"

    # Counted words, a refusal, a change and what is kept of it.
    assert ann.ask("GET", f"/pages/{page}")["word_count"] == 3
    refused = ann.ask("PATCH", f"/pages/{made['id']}", 409, json={"status": "completed"})
    assert refused["detail"] == "A page without a text cannot be completed."
    assert bob.ask("PATCH", f"/pages/{page}", json={"status": "completed"})["status"] == "completed"
    (entry,) = bob.ask("GET", f"/pages/{page}/history")
    assert (entry["from"], entry["to"], entry["by"]) == ("pending", "completed", bob.id)

    # Deleted, made anew by another title, restored.
    ann.ask("DELETE", f"/pages/{page}", 204)
    ann.ask("GET", f"/pages/{page}", 404)
    assert ann.ask("POST", f"/pages/{page}/restore")["status"] == "completed"
    clash = ann.ask("POST", f"/projects/{project}/pages", 409, json={"title": "Of Bob"})
    assert "title" in clash["detail"]


def test_what_cannot_be_is_refused(browser: httpx.Client) -> None:
    dora = Visitor(browser, "dora")
    assert "page is a whole number" in dora.ask("GET", "/projects", 422, params={"page": 0})["detail"]
    project = dora.ask("POST", "/projects", 201, json={"name": "Limits"})["id"]
    dora.ask("GET", f"/projects/{project}/pages", 422, params={"page": 2**63})


def test_a_key_is_needed_and_an_address_is_taken_once(browser: httpx.Client) -> None:
    Visitor(browser, "carl")
    assert browser.get("/me").status_code in (401, 403)
    assert browser.get("/me", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert browser.post("/users", json={"email": "carl@example.com", "name": "Carl"}).status_code == 409


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_the_readme(site: str) -> None:
    (script,) = re.findall(r"```bash\n(.*?)```", (ROOT / "examples/pages/README.md").read_text(), re.DOTALL)
    script = script.replace("http://127.0.0.1:8000", site)
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert '"status":"completed"' in done.stdout
    assert '"word_count":5' in done.stdout
    assert '"to":"completed"' in done.stdout
