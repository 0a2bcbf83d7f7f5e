"""Settings of a Django site that signs citizens on with mozilla-django-oidc; see django_site.py."""

import os
import secrets

ISSUER = os.environ["ISSUER"]

ROOT_URLCONF = "django_site"
ALLOWED_HOSTS = ["127.0.0.1"]
SECRET_KEY = secrets.token_hex()  # in earnest one that outlives the process
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", "site.sqlite3"),
    }
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "mozilla_django_oidc",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
# In earnest also SESSION_COOKIE_SECURE = True.
AUTHENTICATION_BACKENDS = ["django_site.Citizens"]
LOGIN_REDIRECT_URL = "/"
LOGIN_REDIRECT_URL_FAILURE = "/?failed"
LOGOUT_REDIRECT_URL = "/"

OIDC_OP_AUTHORIZATION_ENDPOINT = f"{ISSUER}/sso/authorize"
OIDC_OP_TOKEN_ENDPOINT = f"{ISSUER}/sso/token"
OIDC_OP_USER_ENDPOINT = f"{ISSUER}/sso/userinfo"
OIDC_OP_JWKS_ENDPOINT = f"{ISSUER}/sso/jwks"
OIDC_OP_LOGOUT_URL_METHOD = "django_site.logout_url"
OIDC_CALLBACK_CLASS = "django_site.Callback"
OIDC_RP_CLIENT_ID = os.environ["CLIENT_ID"]
OIDC_RP_CLIENT_SECRET = os.environ["CLIENT_SECRET"]
OIDC_RP_SCOPES = "openid profile email"
OIDC_RP_SIGN_ALGO = "RS256"
OIDC_TOKEN_USE_BASIC_AUTH = True
OIDC_USE_PKCE = True
OIDC_TIMEOUT = 10
