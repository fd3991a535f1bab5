"""Saying that a request had been done before, and nothing was changed now."""

from fastapi import Response

REPLAYED = "Idempotent-Replayed"


def mark_replayed(response: Response) -> None:
    """Mark the answer as that of a request which had been done before."""
    response.headers[REPLAYED] = "true"
