"""Remote content on its own, under an ASGI server.

pip install messo-client uvicorn
python asgi_app.py            # or: uvicorn asgi_app:app
python -m messo_client.remote asgi_app:content letter-1 AAAAAA00A00A000A
"""

import os
from pathlib import Path

import uvicorn

from messo_client.remote import Asked, Attachment, Detail, RemoteContent

# In earnest this is your database.
LETTER = Path(__file__).with_name("letter.pdf")
MESSAGES = {
    # The key is the id that you sent with the message, in third_party_data.id.
    "letter-1": Detail(
        recipient="AAAAAA00A00A000A",
        subject="School meals: your fee",
        markdown="The fee for **school meals** in the coming term is due at the end of the month. "
        "The letter tells you how it was worked out.",
        attachments=[Attachment("letter", name="school meals.pdf", size=LETTER.stat().st_size)],
    ),
}


async def detail(asked: Asked) -> Detail | None:
    """The message, or None if there is none. The library checks that it is theirs who reads."""
    return MESSAGES.get(asked.message_id)


async def attachment(asked: Asked, attachment_id: str) -> Path | None:
    """The bytes of an attachment that the message announces; here from a file."""
    return LETTER


# The key is what you gave the platform for this endpoint, with the name of the header.
content = RemoteContent(
    detail=detail,
    attachment=attachment,
    keys=[os.environ.get("REMOTE_CONTENT_KEY", "demonstration-key")],
    header="X-API-Key",
)
app = content.asgi

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8001")))
