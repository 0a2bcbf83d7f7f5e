"""How our cookies are written. Over https their names have a prefix that only we can set them with."""


def is_secure(public_url: str) -> bool:
    """Whether this installation is reached over https: then so are its cookies."""
    return public_url.startswith("https://")


def written(
    name: str, value: str, *, secure: bool, seconds: int | None = None, path: str = "/"
) -> str:
    """The value of Set-Cookie. `seconds`: it lives so long; None: it ends with the browser."""
    # Lax: the way back from the provider must carry it.
    parts = [f"{name}={value}", f"Path={path}", "HttpOnly", "SameSite=Lax"]
    if secure:
        parts.append("Secure")
    if seconds is not None:
        parts.append(f"Max-Age={seconds}")
    return "; ".join(parts)
