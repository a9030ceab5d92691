"""Invalid images: broken base64, empty, or the bytes of something else. Only their beginning is read."""

from __future__ import annotations

import binascii
import re

from sparkd.rewriting.payloads import PREFIX_SIZE

_data_url = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)

_MAGIC = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM"),
    *(b"II*\x00", b"MM\x00*", b"\x00\x00\x01\x00", b"\x00\x00\x00\x0cjP", b"\xff\x4f\xff\x51"),
)
"""First bytes of PNG, JPEG, GIF, BMP, TIFF (two orders of bytes), ICO and JPEG 2000 (file and stream)."""

_HEAD = 64
"""Characters of a large image's base64 that are decoded."""

_OTHER_FORMATS = {
    b"%PDF": "a PDF document",
    b"<svg": "an SVG drawing",
    b"<?xm": "an XML document",
    b"<!DO": "a web page",
    b"<htm": "a web page",
    b"PK\x03\x04": "a ZIP archive",
}


def find_image_problem(address: str) -> str | None:
    """What is wrong with a data URL, for a sentence; None if it may be an image."""
    found = _data_url.match(address[:256])
    if found is None:
        return "its data URL does not contain `;base64,`"
    encoded = address[found.end() :]
    if not encoded:
        return "it is empty"
    is_whole = len(encoded) <= PREFIX_SIZE  # a longer one may end with the mark of a payload that was cut out
    try:
        data = binascii.a2b_base64(
            (encoded if is_whole else encoded[:_HEAD]).encode("ascii"), strict_mode=is_whole
        )
    except (binascii.Error, UnicodeEncodeError):
        return "its base64 is invalid"
    return _find_format_problem(data)


def _find_format_problem(data: bytes) -> str | None:
    is_image = (
        data.startswith(_MAGIC)
        or (data.startswith(b"RIFF") and data[8:12] == b"WEBP")
        or data[4:8] == b"ftyp"  # AVIF, HEIC
    )
    return None if is_image else f"its bytes are {_OTHER_FORMATS.get(data[:4], 'of no known image format')}"
