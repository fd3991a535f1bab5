"""A PostgreSQL of the benchmark's own: filled without flushing, measured as `daogou up` runs it, restarted cold, removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.embedded_postgres import EmbeddedPostgres
from infra.service_user import locate

FILLING = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "maintenance_work_mem": "1GB",
}
CACHES = Path("/proc/sys/vm/drop_caches")


@dataclass
class Stand:
    """The server, in a home of its own."""

    home: Path
    server: EmbeddedPostgres = field(init=False)
    url: str = field(init=False)
    """Of its superuser; the port stays the same."""
    emptied: bool = True
    """Whether the operating system's page cache could be emptied at every cold restart."""

    def start(self, *, filling: bool = False) -> None:
        """Start it, for filling or as it runs for people."""
        self.server = EmbeddedPostgres(self.home, settings=FILLING if filling else None)
        self.url = self.server.start().url("postgres")

    def restart_cold(self) -> None:
        """Stop it, empty the page cache of the machine where this user may, start it."""
        self.server.stop()
        os.sync()
        try:
            CACHES.write_text("3\n")
        except OSError:
            self.emptied = False
        self.start()

    def disk_bytes(self) -> int:
        """All that the server's data folder takes now, its log too."""
        return sum(
            path.stat().st_blocks * 512
            for path in locate(self.home).data.rglob("*")
            if path.is_file() and not path.is_symlink()
        )


@contextmanager
def standing(home: Path) -> Iterator[Stand]:
    """A stand whose data is gone afterwards, whatever happened."""
    made = Stand(home.resolve())
    made.home.mkdir(parents=True, exist_ok=True)
    made.start(filling=True)
    try:
        yield made
    finally:
        made.server.stop()
        shutil.rmtree(locate(made.home).data, ignore_errors=True)
        shutil.rmtree(made.home, ignore_errors=True)
