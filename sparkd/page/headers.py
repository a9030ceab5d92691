"""Headers with which a browser limits what the page, and other pages, can do."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparkd.upstream.headers import Headers

_UNUSED: Final = b", ".join(
    b"%s=()" % name
    for name in (
        *(b"accelerometer", b"autoplay", b"camera", b"display-capture", b"geolocation", b"gyroscope", b"hid"),
        *(b"microphone", b"midi", b"payment", b"publickey-credentials-get", b"serial", b"usb"),
        b"xr-spatial-tracking",
    )
)
"""What a browser could let the page use, and the page never does."""

COMMON: Final[Headers] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", _UNUSED),
]
"""Headers of every response. `x-frame-options` is for browsers that do not know `frame-ancestors`."""

API_POLICY: Final = b"default-src 'none'; frame-ancestors 'none'"
"""The Content-Security-Policy of data: if a browser is made to show it as a page, it can do nothing."""


def page_policy(import_map: str) -> bytes:
    """The Content-Security-Policy of the page. `import_map` is the digest of its one inline script, "" without one.

    Styles are files or set by scripts, one property at a time, which needs no permission. Images may be what the user
    has pasted into a chat. HTML is made only by the two named policies: of the page, and of the library that cleans it.
    """
    scripts = f"'self' '{import_map}'" if import_map else "'self'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types sparkd dompurify"
    ).encode()


def add_headers(app: ASGIApp, headers: Headers) -> ASGIApp:
    """An application whose responses have these headers, too, unless they set them themselves."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                names = {name for name, _ in own}
                message = {**message, "headers": own + [each for each in headers if each[0] not in names]}
            await send(message)

        await app(scope, receive, send_with_headers)

    return run
