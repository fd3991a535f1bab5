"""What may be kept as a picture: by its first bytes and its size."""

from __future__ import annotations

import pytest

from domain.pictures import MOST_PICTURE_BYTES, media_type, picture_problem

PNG = b"\x89PNG\r\n\x1a\n"
PICTURES = {
    "image/png": PNG + b"x",
    "image/jpeg": b"\xff\xd8\xff\xe0x",
    "image/webp": b"RIFF\x10\x00\x00\x00WEBPVP8 ",
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_is_known_by_its_first_bytes(kind: str) -> None:
    assert media_type(PICTURES[kind]) == kind
    assert picture_problem(PICTURES[kind]) is None
    filled = PICTURES[kind].ljust(MOST_PICTURE_BYTES, b"x")
    assert picture_problem(filled) is None
    problem = picture_problem(filled + b"x")
    assert problem is not None
    assert problem.code == "picture_too_large"


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a", b"<svg>", b"%PDF-1.7", b"RIFF\x10\x00\x00\x00WAVE", b"\xff\xd8", b"x" + PNG],
)
def test_anything_else_is_none(content: bytes) -> None:
    problem = picture_problem(content)
    assert problem is not None
    assert problem.code == "not_a_picture"
