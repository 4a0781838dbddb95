"""A shop in one file of Django: the cart is in the session, and the page of an article is cached. Both are in Petra.

pip install "petra[django]"; then PETRA_ADDRESS=localhost:7475 python shop.py runserver
"""

from __future__ import annotations

import os
import sys

from django.conf import settings
from django.core.cache import cache
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET

ADDRESS = os.environ.get("PETRA_ADDRESS", "localhost:7475")
PRICES = {"quartz": 12, "opal": 90}

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["localhost", "127.0.0.1", "testserver"],
        CACHES={"default": {"BACKEND": "petra.integrations.django.cache.PetraCache", "LOCATION": ADDRESS}},
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY=os.environ.get("SECRET_KEY", "only for this example"),
        SESSION_ENGINE="petra.integrations.django.sessions",
        SESSION_PETRA_LOCATION=ADDRESS,
        USE_TZ=True,
    )


@require_GET
def article(request: HttpRequest, name: str) -> JsonResponse:
    """The price of an article, and how often it was looked up."""
    views = cache.get_or_set(f"views:{name}", 0, timeout=None) is not None and cache.incr(f"views:{name}")
    price = cache.get_or_set(f"price:{name}", lambda: PRICES.get(name), timeout=60)
    return JsonResponse({"name": name, "price": price, "views": views}, status=200 if price else 404)


def cart(request: HttpRequest) -> JsonResponse:
    """The visitor's cart; a POST puts an article into it."""
    articles: list[str] = request.session.get("cart", [])
    if request.method == "POST":
        articles = [*articles, request.POST["name"]]
        request.session["cart"] = articles
    return JsonResponse({"cart": articles, "total": sum(PRICES[name] for name in articles)})


urlpatterns = [path("articles/<str:name>", article), path("cart", cart)]

application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
