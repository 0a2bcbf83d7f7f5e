"""Refusals in the words of OAuth 2.0: to a site by redirect, or as JSON (RFC 6749, section 5.2)."""

from http import HTTPStatus
from typing import Literal

import msgspec

from messo.base.http import JSON, Answer, Headers, Problem

# RFC 6749, sections 4.1.2.1 and 5.2; RFC 6750, section 3.1; OpenID Connect Core 1.0, section
# 3.1.2.6; OpenID Connect Core Unmet Authentication Requirements 1.0.
Error = Literal[
    "access_denied",
    "consent_required",
    "invalid_client",
    "invalid_grant",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_scope",
    "invalid_token",
    "login_required",
    "registration_not_supported",
    "request_not_supported",
    "request_uri_not_supported",
    "unmet_authentication_requirements",
    "unsupported_grant_type",
    "unsupported_response_type",
]
NO_STORE: Headers = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))


class OAuthProblem(Problem):
    """A refusal as relying parties' libraries read it. `scheme`: how to authenticate, for 401."""

    def __init__(self, error: Error, description: str, scheme: str | None = None) -> None:
        status = HTTPStatus.UNAUTHORIZED if scheme else HTTPStatus.BAD_REQUEST
        super().__init__(status, error, description)
        self.error = error
        self.scheme = scheme

    def answer(self) -> Answer:
        headers = [JSON, *NO_STORE, *self.headers]
        if self.scheme:
            challenge = f'{self.scheme} realm="messo"'
            if self.scheme == "Bearer":
                challenge += f', error="{self.error}"'
            headers.append((b"www-authenticate", challenge.encode()))
        body = {"error": self.error, "error_description": self.detail}
        return Answer(self.status, msgspec.json.encode(body), headers)
