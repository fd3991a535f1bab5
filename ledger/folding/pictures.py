"""Pictures, as their events tell them; their contents lie beside and are told by none."""

from __future__ import annotations

from ledger.folding.projections import Projection
from ledger.folding.telling import Fields


def _picture(fields: Fields) -> str:
    told = Fields(fields.careful, "o.payload")
    return f"""
SELECT o.stream AS told_stream, coalesce(e.version, o.version) AS told_version, {told.of("picture", "uuid")} AS picture_id,
       o.payload->>'kind' AS kind, o.payload->>'sha256' AS sha256, o.payload->>'media_type' AS media_type,
       {told.of("size", "integer")} AS size, {told.of("guide", "uuid")} AS guide_id,
       {told.of("business_date", "date")} AS business_date, {told.of("task", "uuid")} AS task_id,
       {told.of("member", "uuid")} AS member_id, o.occurred_at AS kept_at, e.occurred_at AS erased_at
FROM told_other o LEFT JOIN told_other e ON e.stream = o.stream AND e.type = 'picture_erased'
WHERE o.type = 'picture_kept'"""


PICTURE = Projection(
    table="picture",
    label="picture",
    key=("picture_id",),
    columns=(
        "kind", "sha256", "media_type", "size", "guide_id", "business_date", "task_id", "member_id", "kept_at", "erased_at",
    ),
    told=_picture,
    stream="'picture/' || k.picture_id",
)  # fmt: skip
