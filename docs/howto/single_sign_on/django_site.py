"""A Django site that signs citizens on with mozilla-django-oidc; its settings are beside it.

pip install django mozilla-django-oidc
export ISSUER=… CLIENT_ID=… CLIENT_SECRET=… DJANGO_SETTINGS_MODULE=django_settings
python -m django migrate
python -m django runserver 8001
"""

from typing import Any
from urllib.parse import urlencode

import jwt
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.urls import include, path
from django.utils.html import format_html
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView

PAGE = """<!doctype html><title>Site</title><h1>Hello, {}</h1>
<form method="post" action="/oidc/logout/"><input type="hidden" name="csrfmiddlewaretoken"
value="{}"><button>Log out</button></form>"""
EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Callback(OIDCAuthenticationCallbackView):
    def get(self, request: HttpRequest) -> HttpResponse:
        if request.GET.get("iss") != settings.ISSUER:  # the library leaves this to us
            raise SuspiciousOperation("an answer of somebody else")
        return super().get(request)


class Citizens(OIDCAuthenticationBackend):
    """A citizen is a user whose name is the `sub`: an address may change, or be kept back."""

    def verify_token(self, token: str, **kwargs: Any) -> dict[str, Any]:
        claims = super().verify_token(token, **kwargs)
        if claims["iss"] != settings.ISSUER or claims["aud"] != self.OIDC_RP_CLIENT_ID:  # this too
            raise SuspiciousOperation("a token of or for somebody else")
        self.request.session.update({"sub": claims["sub"], "sid": claims["sid"]})
        return claims

    def get_userinfo(self, access_token: str, id_token: str, payload: Any) -> dict[str, Any]:
        who = super().get_userinfo(access_token, id_token, payload)
        if who["sub"] != payload["sub"]:  # and this
            raise SuspiciousOperation("an answer about somebody else")
        return who

    def verify_claims(self, claims: dict[str, Any]) -> bool:
        return True  # else who keeps their e-mail address to themselves would not be let in

    def filter_users_by_claims(self, claims: dict[str, Any]) -> Any:
        return self.UserModel.objects.filter(username=claims["sub"])

    def create_user(self, claims: dict[str, Any]) -> Any:
        user = self.UserModel(username=claims["sub"])
        user.set_unusable_password()
        return self.update_user(user, claims)

    def update_user(self, user: Any, claims: dict[str, Any]) -> Any:
        user.first_name, user.last_name = claims["given_name"], claims["family_name"]
        user.email = claims.get("email", "")
        user.save()
        return user


def logout_url(request: HttpRequest) -> str:
    """Where the browser goes after a logout here: Messo asks whether to log out there, too."""
    query = {
        "client_id": settings.OIDC_RP_CLIENT_ID,
        "post_logout_redirect_uri": request.build_absolute_uri("/"),
    }
    return f"{settings.ISSUER}/sso/end-session?{urlencode(query)}"


def home(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return HttpResponse("<!doctype html><title>Site</title><h1>Nobody is logged in</h1>")
    return HttpResponse(format_html(PAGE, request.user.get_full_name(), get_token(request)))


@csrf_exempt
@require_POST
def backchannel_logout(request: HttpRequest) -> HttpResponse:
    """Messo tells us that a citizen has logged out there."""
    try:
        token = request.POST["logout_token"]
        key = jwt.PyJWKClient(settings.OIDC_OP_JWKS_ENDPOINT).get_signing_key_from_jwt(token)
        ended = jwt.decode(
            token,
            key,
            algorithms=[settings.OIDC_RP_SIGN_ALGO],
            issuer=settings.ISSUER,
            audience=settings.OIDC_RP_CLIENT_ID,
            leeway=60,
            options={"require": ["exp", "iss", "aud"]},
        )
        kind = jwt.get_unverified_header(token)["typ"]
        if kind != "logout+jwt" or EVENT not in ended["events"] or "nonce" in ended:
            raise ValueError("a token of another kind")
    except (jwt.PyJWTError, LookupError, ValueError):
        return HttpResponse(status=400)
    for session in Session.objects.all():  # in earnest a table that finds them by sub and sid
        kept = session.get_decoded()
        if kept.get("sub") == ended["sub"] and ended.get("sid", kept["sid"]) == kept["sid"]:
            session.delete()
    return HttpResponse(headers={"Cache-Control": "no-store"})


urlpatterns = [
    path("", home),
    path("oidc/", include("mozilla_django_oidc.urls")),
    path("backchannel-logout", backchannel_logout),
]
