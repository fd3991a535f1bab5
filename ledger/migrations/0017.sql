-- Calendars: what brand, region, store and guide say of their days and hours, each the latest event of its stream; and
-- messages that reach a member, which are looked at again before they are sent.
SET LOCAL search_path = daogou;
SET ROLE daogou_owner;

CREATE TABLE calendar_layer (
    tenant_id  integer NOT NULL,
    scope      text COLLATE "C" NOT NULL CHECK (scope IN ('brand', 'region', 'store', 'guide')),
    subject    text COLLATE "C" NOT NULL,     -- a region's name, the id of a store or a guide; empty: the brand
    facts      jsonb NOT NULL,                -- domain/calendar_facts.py
    version    integer NOT NULL,              -- of its stream
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, scope, subject)
);

ALTER TABLE outbox ADD COLUMN IF NOT EXISTS member_id uuid; -- whom it reaches; null: a guide or the house

ALTER TABLE calendar_layer ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON calendar_layer USING (tenant_id =
    (SELECT nullif(current_setting('daogou.tenant', true), '')::integer));
-- Brand, region and store bind everybody who is signed on, and opening hours hang on the door; a guide's shifts are seen by
-- whoever looks after her. No look at other tables: theirs would bring all their own rules into the plan of a check-in.
CREATE POLICY asker_sees ON calendar_layer AS RESTRICTIVE FOR SELECT TO daogou_api USING ((SELECT sees_all())
    OR scope <> 'guide' AND (SELECT asker()) IS NOT NULL
    OR scope = 'guide' AND subject = ANY ((SELECT reach('guides'))::text[]));
CREATE POLICY asker_adds ON calendar_layer AS RESTRICTIVE FOR INSERT TO daogou_api WITH CHECK ((SELECT changes_all()));
CREATE POLICY asker_changes ON calendar_layer AS RESTRICTIVE FOR UPDATE TO daogou_api USING ((SELECT changes_all()));
CREATE POLICY asker_deletes ON calendar_layer AS RESTRICTIVE FOR DELETE TO daogou_api USING ((SELECT changes_all()));

GRANT SELECT ON calendar_layer TO daogou_worker, daogou_api, daogou_reader;
GRANT INSERT, UPDATE ON calendar_layer TO daogou_worker, daogou_api;
RESET ROLE;
RESET search_path;
