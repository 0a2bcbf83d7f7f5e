"""What the provider says of itself: only what is on (OpenID Connect Discovery 1.0, section 3)."""

from collections.abc import Sequence
from typing import Any, get_args

from messo.sso import client_authentication
from messo.sso.claims import CLAIMS, SCOPES
from messo.sso.clients import Algorithm, AuthMethod, SubjectType


def issuer(public_url: str) -> str:
    """Our name towards relying parties: the address of the installation, without a slash at its end."""
    return public_url.rstrip("/")


def token_endpoint(public_url: str) -> str:
    """Where codes are exchanged."""
    return f"{issuer(public_url)}/sso/token"


def document(public_url: str, levels: Sequence[str]) -> dict[str, Any]:
    """The metadata. `levels`: the levels of assurance that logins here have."""
    base = issuer(public_url)
    subject_types = ["pairwise" if one == "pairwise" else "public" for one in get_args(SubjectType)]
    return {
        "issuer": base,
        "authorization_endpoint": f"{base}/sso/authorize",
        "token_endpoint": token_endpoint(public_url),
        "userinfo_endpoint": f"{base}/sso/userinfo",
        "jwks_uri": f"{base}/sso/jwks",
        "end_session_endpoint": f"{base}/sso/end-session",
        "service_documentation": f"{base}/docs",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": subject_types,
        "acr_values_supported": list(levels),
        "id_token_signing_alg_values_supported": list(get_args(Algorithm)),
        "token_endpoint_auth_methods_supported": list(get_args(AuthMethod)),
        "token_endpoint_auth_signing_alg_values_supported": client_authentication.ALGORITHMS,
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            *("iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "nonce", "at_hash", "sid"),
            *CLAIMS,
            "email_verified",
        ],
        "ui_locales_supported": ["it", "en"],
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
    }
