"""What an answer tells browsers that is made before Django, or in its place; Django's middleware tells the same."""

from django.conf import settings

# Of what is no page: a browser that is led to it runs, loads, frames and sends nothing
POLICY = "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def guarded() -> list[tuple[bytes, bytes]]:
    """The headers."""
    headers = {
        "cache-control": "no-store",
        "content-security-policy": POLICY,
        "referrer-policy": settings.SECURE_REFERRER_POLICY,
        "x-content-type-options": "nosniff",
    }
    if (
        settings.SECURE_HSTS_SECONDS
    ):  # Django says it in answers by HTTPS alone; what a proxy passes on came by that
        parts = [f"max-age={settings.SECURE_HSTS_SECONDS}"]
        parts += ["includeSubDomains"] * settings.SECURE_HSTS_INCLUDE_SUBDOMAINS
        parts += ["preload"] * settings.SECURE_HSTS_PRELOAD
        headers["strict-transport-security"] = "; ".join(parts)
    return [(name.encode(), value.encode()) for name, value in headers.items()]
