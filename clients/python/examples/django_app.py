"""Remote content inside a Django project, under /remote. All in one file; take the view.

pip install messo-client django
python django_app.py
python -m messo_client.remote django_app:content letter-1 AAAAAA00A00A000A
"""

import os
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import make_server

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import StreamingHttpResponse
from django.urls import re_path

from messo_client.remote import Asked, Attachment, Detail, RemoteContent

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="unused")
# In earnest this is a model.
TEXT = """The fee for **school meals** in the coming term is due at the end of the month.
The letter tells you how it was worked out."""
ATTACHMENTS = [Attachment("letter", name="school meals.pdf")]
LETTER = Detail("AAAAAA00A00A000A", "School meals: your fee", TEXT, ATTACHMENTS)


def detail(asked: Asked) -> Detail | None:
    """The message, or None if there is none. The library checks that it is theirs who reads."""
    return LETTER if asked.message_id == "letter-1" else None


def attachment(asked: Asked, attachment_id: str) -> Iterator[bytes]:
    """The bytes of an attachment that the message announces; here bit by bit."""
    with Path(__file__).with_name("letter.pdf").open("rb") as file:
        yield from iter(lambda: file.read(4096), b"")


keys = [os.environ.get("REMOTE_CONTENT_KEY", "demonstration-key")]
content = RemoteContent(detail=detail, attachment=attachment, keys=keys, prefix="/remote")


def remote(request: WSGIRequest) -> StreamingHttpResponse:
    """Hands the request on, inside Django: so its database connections are looked after."""
    head: list[tuple[str, list[tuple[str, str]]]] = []
    body = content.wsgi(request.environ, lambda status, headers: head.append((status, headers)))
    status, headers = head[0]
    return StreamingHttpResponse(body, status=int(status[:3]), headers=dict(headers))


urlpatterns = [re_path("^remote/", remote)]

if __name__ == "__main__":
    # Not `runserver`: it drops the fiscal_code header, for its underscore.
    port = int(os.environ.get("PORT", "8001"))
    make_server("127.0.0.1", port, get_wsgi_application()).serve_forever()
