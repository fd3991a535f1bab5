"""Two brands on one Temporal namespace would take each other's days: the second is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter

from domain.errors import Unavailable
from infra.embedded_temporal import dev_server
from infra.temporal_mark import brand_mark, claim_namespace


async def test_a_namespace_serves_one_brand(tmp_path: Path) -> None:
    ours, theirs = brand_mark(b"secret", 1), brand_mark(b"secret", 2)
    assert brand_mark(b"other database", 1) not in {ours, theirs}
    async with dev_server(tmp_path, data_converter=pydantic_data_converter) as server:
        await claim_namespace(server.client, ours)
        await claim_namespace(server.client, ours)
        with pytest.raises(Unavailable, match="TEMPORAL_NAMESPACE"):
            await claim_namespace(server.client, theirs)
