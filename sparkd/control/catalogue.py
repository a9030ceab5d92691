"""The endpoints of the catalogue's files.

    GET    /catalogue                       the files, the last edits, and the problems of what is on disk
    GET    /catalogue/starts                texts to start a drop-in from; ?override=MODEL: one with its current values
    GET    /catalogue/schema                the JSON Schema of these files
    GET    /catalogue/edits/{number}        what an edit has changed
    GET    /catalogue/{file}                the text of a file and its digest
    POST   /catalogue/check                 {file, text}: problems, and what a reload would do; text null: a deletion
    PUT    /catalogue/{file}                {text, digest}: writes a drop-in and reloads
    DELETE /catalogue/{file}?digest=        deletes a drop-in and reloads
    POST   /catalogue/undo                  {edit}: undoes an edit, or makes it again; by default undoes the newest one

`{file}` is as in `models.d/own.toml`. A client that may not control sparkd gets texts without their secrets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.catalog.reading.documents import DROP_IN_FOLDER
from sparkd.control.catalogue_editor import CatalogueEditor, InvalidEdit
from sparkd.control.catalogue_types import (
    CatalogueOverview,
    CheckRequest,
    CheckResult,
    EditDetails,
    FileText,
    UndoRequest,
    WriteRequest,
    Written,
)
from sparkd.control.convertors import register_convertors
from sparkd.control.encoded import EncodedBody, encode_body
from sparkd.control.errors import render_error
from sparkd.control.interfaces import Reloader, SupervisorInterface
from sparkd.control.viewer import viewer_of
from sparkd.editing.diffs import make_diff
from sparkd.editing.edits import Journal, summarize
from sparkd.editing.files import (
    MAX_TEXT,
    Summary,
    digest_of,
    find_file,
    find_obstacle,
    list_files,
    read_bytes,
    summarize_file,
)
from sparkd.editing.known import Known
from sparkd.editing.masking import mask_text
from sparkd.editing.starts import list_starts, start_override
from sparkd.editing.store import Store
from sparkd.errors import AccessDenied, BodyTooLarge, EditFailed, EditNotFound, InvalidRequest
from sparkd.gateway.connections.disconnect import run_while_connected

T = TypeVar("T")


def catalogue_routes(
    supervisor: SupervisorInterface, reloader: Reloader, store: Callable[[Path], Store] | None = None
) -> list[BaseRoute]:
    """The routes of the catalogue's files. `store` finds what writes them."""
    editor = CatalogueEditor(supervisor, reloader, store)
    register_convertors()
    readers, writers = _Readers(supervisor), _Writers(editor)
    return [
        Route("/catalogue", readers.overview, methods=["GET"]),
        Route("/catalogue/starts", readers.starts, methods=["GET"]),
        Route("/catalogue/schema", readers.schema, methods=["GET"]),
        Route("/catalogue/edits/{number:number}", readers.edit, methods=["GET"]),
        Route("/catalogue/check", writers.check, methods=["POST"]),
        Route("/catalogue/undo", writers.undo, methods=["POST"]),
        Route("/catalogue/{file:path}", readers.text, methods=["GET"]),
        Route("/catalogue/{file:path}", writers.write, methods=["PUT"]),
        Route("/catalogue/{file:path}", writers.delete, methods=["DELETE"]),
    ]


class _Readers:
    def __init__(self, supervisor: SupervisorInterface) -> None:
        self._supervisor = supervisor
        self._schema: EncodedBody | None = None
        self._contents = Known(summarize_file)

    @property
    def _path(self) -> Path:
        return self._supervisor.catalogue.path

    async def overview(self, request: Request) -> Response:
        may_edit = viewer_of(request.scope).rights.control
        return _respond(await asyncio.to_thread(_inspect, self._path, self._contents, may_edit=may_edit))

    async def text(self, request: Request) -> Response:
        name, is_owner = request.path_params["file"], viewer_of(request.scope).rights.control
        return _respond(await asyncio.to_thread(_read_text, self._path, name, masked=not is_owner))

    async def starts(self, request: Request) -> Response:
        catalogue = self._supervisor.catalogue
        if (name := request.query_params.get("override")) is not None:
            if not viewer_of(request.scope).rights.control:
                raise AccessDenied(
                    "Only the owner of sparkd may change a model, and see the text to start from."
                )
            return _respond(start_override(catalogue, catalogue.find_including_disabled(name)))
        return _respond(await asyncio.to_thread(list_starts, catalogue))

    async def schema(self, request: Request) -> Response:
        if self._schema is None:
            from sparkd.catalog.reference.schema import catalogue_schema  # noqa: PLC0415 - only the page needs it

            self._schema = await asyncio.to_thread(lambda: encode_body(catalogue_schema()))
        return self._schema.respond(request)

    async def edit(self, request: Request) -> Response:
        if not viewer_of(request.scope).rights.control:
            raise AccessDenied("Only the owner of sparkd may see what an edit has changed.")
        journal, number = Journal(self._path.parent / DROP_IN_FOLDER), request.path_params["number"]
        for edit in await asyncio.to_thread(journal.all):
            if edit.id == number:
                diff = await asyncio.to_thread(make_diff, edit.file, edit.before, edit.after)
                return _respond(EditDetails(id=edit.id, file=edit.file, at=edit.at, diff=diff))
        raise EditNotFound(f"There is no edit {number} any more.", param="edit")


class _Writers:
    def __init__(self, editor: CatalogueEditor) -> None:
        self._editor = editor
        self._checking = asyncio.Lock()

    async def check(self, request: Request) -> Response:
        asked = await _read_body(request, CheckRequest)
        # A page that has a newer text drops the request, which ends the process that reads.
        return _respond(await run_while_connected(request.receive, self._check(asked)))

    async def _check(self, asked: CheckRequest) -> CheckResult:
        async with self._checking:  # each takes a process and a second with thousands of models
            return await self._editor.check(asked.file, _encode(asked.text))

    async def write(self, request: Request) -> Response:
        asked = await _read_body(request, WriteRequest)
        data = _encode(asked.text)
        return await _attempt(self._editor.write(request.path_params["file"], data, asked.digest))

    async def delete(self, request: Request) -> Response:
        digest = request.query_params.get("digest")
        if digest is None:
            raise InvalidRequest("Name the digest of the text to delete: `?digest=…`.", param="digest")
        return await _attempt(self._editor.write(request.path_params["file"], None, digest))

    async def undo(self, request: Request) -> Response:
        asked = await _read_body(request, UndoRequest)
        return await _attempt(self._editor.undo(asked.edit))


async def _attempt(work: Coroutine[None, None, Written]) -> Response:
    """The response to an edit: what it did, or the problems that it would make."""
    try:
        return _respond(await work)
    except InvalidEdit as invalid:
        response = render_error(invalid.error)
        body = msgspec.json.decode(response.body)
        body["problems"] = invalid.problems
        return Response(msgspec.json.encode(body), 422, media_type="application/json")


async def _read_body(request: Request, type_: type[T]) -> T:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > 2 * MAX_TEXT:
            raise BodyTooLarge(f"The body is larger than {2 * MAX_TEXT} bytes.")
        parts.append(part)
    try:
        return msgspec.json.decode(b"".join(parts) or b"{}", type=type_)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The body is not what this path expects: {error}.") from None


def _encode(text: str | None) -> bytes | None:
    try:
        return None if text is None else text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest("The text has half of a surrogate pair, which UTF-8 cannot express.") from error


def _inspect(path: Path, contents: Known[Summary], *, may_edit: bool) -> CatalogueOverview:
    folder = path.parent / DROP_IN_FOLDER
    files = list_files(path, contents)
    digests = {file.name: file.digest for file in files}
    return CatalogueOverview(
        path=str(path),
        folder=str(folder),
        may_edit=may_edit,
        files=files,
        edits=[summarize(edit, digests.get(edit.file)) for edit in Journal(folder).all()],
    )


def _read_text(path: Path, name: str, *, masked: bool) -> FileText:
    file = find_file(path, name)
    try:
        data = read_bytes(file)
    except OSError as error:
        raise EditFailed(f"{file} cannot be read: {error.strerror}.") from error
    text = data.decode("utf-8", errors="replace")
    obstacle = find_obstacle(file, path)
    if not obstacle and text.encode() != data:
        obstacle = "It is not UTF-8. Repair it with an editor."
    return FileText(
        name=name,
        text=mask_text(text) if masked else text,
        digest=digest_of(data),
        editable=not obstacle and not masked,
        reason=obstacle,
        masked=masked,
    )


def _respond(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
