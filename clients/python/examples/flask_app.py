"""Remote content inside a Flask application, under /remote.

pip install messo-client flask
python flask_app.py
python -m messo_client.remote flask_app:content letter-1 AAAAAA00A00A000A
"""

import os
from pathlib import Path
from wsgiref.simple_server import make_server

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from messo_client.remote import Asked, Attachment, Detail, Precondition, RemoteContent

LETTER = Path(__file__).with_name("letter.pdf").read_bytes()


def detail(asked: Asked) -> Detail | None:
    """The message, or None if there is none. The library checks that it is theirs who reads."""
    if asked.message_id != "letter-1":
        return None
    return Detail(
        recipient="AAAAAA00A00A000A",
        subject="School meals: your fee",
        markdown="The fee for **school meals** in the coming term is due at the end of the month. "
        "The letter tells you how it was worked out.",
        attachments=[Attachment("letter", name="school meals.pdf", size=len(LETTER))],
        # Only if the reader has to agree to something first.
        precondition=Precondition("A letter from your school", "Opening it counts as delivery."),
    )


def attachment(asked: Asked, attachment_id: str) -> bytes:
    """The bytes of an attachment that the message announces."""
    return LETTER


keys = [os.environ.get("REMOTE_CONTENT_KEY", "demonstration-key")]
content = RemoteContent(detail=detail, attachment=attachment, keys=keys)

app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/remote": content.wsgi})  # type: ignore[method-assign]


@app.get("/")
def home() -> str:
    """Whatever else your application serves."""
    return "The rest of the application\n"


if __name__ == "__main__":
    # Not `flask run`: its server drops the fiscal_code header, for its underscore.
    make_server("127.0.0.1", int(os.environ.get("PORT", "8001")), app).serve_forever()
