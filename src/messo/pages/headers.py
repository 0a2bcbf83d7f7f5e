"""The headers that every page carries."""

from urllib.parse import urlsplit


def headers(issuer: str, caching: str, referrer: str) -> dict[str, str]:
    """What browsers may do with a page. `issuer`: where logging out may lead, after our own form.

    `caching` and `referrer` are the values of Cache-Control and Referrer-Policy.
    """
    there = "://".join(urlsplit(issuer)[:2]) if issuer else ""
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "font-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {there}; report-uri /csp-report"
        ),
        "Cache-Control": caching,
        "Vary": "Cookie, Accept-Language, HX-Request",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": referrer,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "Strict-Transport-Security": "max-age=15552000; includeSubDomains",
    }
