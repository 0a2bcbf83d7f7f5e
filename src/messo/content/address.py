"""Addresses at an institution's server: made of what it gave, and never leading elsewhere."""

import re
from urllib.parse import quote, unquote

from messo.base.addresses import parse
from messo.base.outbound import ForbiddenAddressError

_DOTS = {".", ".."}
_SAFE_PATH = "/-._~!$&'()*+,;=:@"  # RFC 3986, section 3.3
_BAD = re.compile(r"[\x00-\x1f\x7f\\]")
_QUERY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*\Z")


def tail_of(url: str) -> str | None:
    """An attachment's address in one form, whoever wrote it; None if it leads out of its message.

    A path relative to the message, maybe with a query; percent-encoded or not, slashes in front or
    not. The answer is percent-encoded, without a slash in front.
    """
    path, mark, query = url.partition("?")
    return tail(unquote(path), query if mark else "") if "#" not in url else None


def tail(path: str, query: str) -> str | None:
    """As `tail_of`, of a path that is decoded already."""
    path = path.lstrip("/")
    is_within = path and not _DOTS & set(path.split("/")) and not _BAD.search(path)
    if not is_within or not _QUERY.match(query):
        return None
    try:
        return quote(path, safe=_SAFE_PATH) + (f"?{query}" if query else "")
    except UnicodeEncodeError:  # half of a surrogate pair
        return None


def message_url(base_url: str, remote_id: str, *more: str) -> str:
    """`{base_url}/messages/{id}` and what follows it; `more` is encoded already.

    Raises `ForbiddenAddressError` for what makes no such address.
    """
    if remote_id in _DOTS or "?" in base_url or "#" in base_url:
        raise ForbiddenAddressError("url")
    try:
        encoded = quote(remote_id, safe="")
    except UnicodeEncodeError:
        raise ForbiddenAddressError("url") from None
    url = "/".join([base_url.rstrip("/"), "messages", encoded, *more])
    parse(url)
    return url
