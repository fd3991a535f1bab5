"""A playbook as a request's body: JSON or YAML, read the same way as from a file."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Depends, Request

from api.problems import Declined
from domain.errors import Problem
from domain.plan import Plan
from playbooks.reading import plan_of, read_yaml

YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
JSON = "application/json"
_SCHEMA = {"schema": {"$ref": "#/components/schemas/Plan"}}
DESCRIBED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The playbook; `playbooks/replenishment.yaml` is one.",
        "content": {JSON: _SCHEMA, YAML[0]: _SCHEMA},
    }
}
"""What OpenAPI is told of it: FastAPI cannot know, for the body is read by hand."""


async def read_body(request: Request) -> Plan:
    """The plan in the body.

    Raises:
        Refused: it is not a plan: one problem for everything wrong.
        Declined: it is neither JSON nor YAML.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind in YAML:
        return plan_of(read_yaml(body, field="body"))
    if kind != JSON:
        raise Declined(415, Problem("Content-Type", kind[:200], "media_type"))
    try:
        return plan_of(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise Declined(400, Problem("body", "", "broken_json")) from error


PlaybookBody = Annotated[Plan, Depends(read_body)]


def plan_schemas() -> dict[str, Any]:
    """The components that `DESCRIBED` refers to."""
    schema = Plan.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), "Plan": schema}
