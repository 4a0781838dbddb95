"""A Flask application whose limits are counted on a Petra server, for all of its processes together.

pip install "petra[limits]" flask-limiter; then PETRA_ADDRESS=localhost:7475 flask --app app run
"""

from __future__ import annotations

import os

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

import petra.integrations.limits  # noqa: F401 - makes petra:// known to limits


def create_app(address: str = "", namespace: str = "limits", *, strategy: str = "moving-window") -> Flask:
    """An application with one route that anybody may call 5 times a minute, and one without limits."""
    app = Flask(__name__)
    address = address or os.environ.get("PETRA_ADDRESS", "localhost:7475")
    limiter = Limiter(
        get_remote_address,
        app=app,
        storage_uri=f"petra://{address}/?namespace={namespace}",
        strategy=strategy,
        headers_enabled=True,
    )

    @app.get("/quote")
    @limiter.limit("5 per minute")
    def quote() -> ResponseReturnValue:
        return jsonify(quote="A rock pile ceases to be a rock pile the moment somebody builds with it.")

    @app.get("/health")
    @limiter.exempt
    def health() -> ResponseReturnValue:
        return jsonify(ok=True)

    return app
