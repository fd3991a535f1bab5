"""Small files that are there whole or not at all, also after a power cut."""

import os
import secrets
from pathlib import Path


def write_durably(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replaces `path` by `text` (UTF-8) in one step; `mode` is its permission before the umask."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    part.touch(mode=mode)
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames and new names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
