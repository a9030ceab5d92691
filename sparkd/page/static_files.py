"""The page's files as responses."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sparkd.errors import MethodNotAllowed, PathNotFound
from sparkd.page.files import INDEX, File, FileStore
from sparkd.page.headers import page_policy

FOREVER: Final = "public, max-age=31536000, immutable"
CHECKED: Final = "no-cache"


async def respond_with_file(request: Request, path: str, store: FileStore) -> Response:
    """The file at `path` below `/ui/`. Raises PathNotFound and MethodNotAllowed."""
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"/ui/{path} does not accept {request.method}.")
    files = await store.read()
    file = files.by_path.get(path or INDEX)
    if file is None:
        raise PathNotFound(f"The page has no file /ui/{path}. Open /ui/.")
    gzipped = file.gzipped if _accepts_gzip(request.headers.get("accept-encoding", "")) else None
    tag = f'"{file.digest}{"-gz" if gzipped else ""}"'
    headers = _file_headers(file, tag)
    if file.media_type.startswith("text/html"):
        headers["content-security-policy"] = page_policy(files.import_map).decode()
    if _names_tag(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if gzipped:
        headers["content-encoding"] = "gzip"
    return Response(gzipped or file.body, headers=headers, media_type=file.media_type)


def redirect_to(location: str) -> Response:
    """A redirect to a relative location, which also works behind a proxy that adds a prefix."""
    return RedirectResponse(location, 307, {"cache-control": CHECKED})


def _file_headers(file: File, tag: str) -> dict[str, str]:
    headers = {"etag": tag, "cache-control": FOREVER if file.is_forever else CHECKED}
    return headers | ({"vary": "Accept-Encoding"} if file.gzipped else {})


def _names_tag(condition: str, tag: str) -> bool:
    """Whether `If-None-Match` names this tag. The comparison is weak (RFC 9110 13.1.2)."""
    return any(each.strip().removeprefix("W/") in (tag, "*") for each in condition.split(","))


def _accepts_gzip(accepted: str) -> bool:
    for each in accepted.split(","):
        coding, _, parameters = each.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            quality = parameters.replace(" ", "").removeprefix("q=")
            return not quality or quality.strip("0.") != ""
    return False
