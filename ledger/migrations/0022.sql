-- The evening: how days are scored and from when a store's day may be closed; word to the store that its day is closed.
-- Safe beside the version before: it knows neither the table nor the function, and closes as ever.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- What holds from a day on (domain/evening.py); of each part, the latest day that has begun, and of one day the latest version.
CREATE TABLE evening_rule (
    tenant_id  integer NOT NULL,
    subject    text COLLATE "C" NOT NULL,     -- the id of a store; empty: the brand
    version    integer NOT NULL,              -- in the stream of its subject
    from_on    date NOT NULL,
    close_from time,                          -- null: this one says nothing of it
    score      jsonb,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, subject, version)
);

ALTER TABLE evening_rule ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON evening_rule USING (tenant_id =
    (SELECT nullif(current_setting('daogou.tenant', true), '')::integer));
-- As what is asked of a day, and a store's hours: they bind everybody.
CREATE POLICY asker_sees ON evening_rule AS RESTRICTIVE FOR SELECT TO daogou_api
    USING ((SELECT sees_all()) OR (SELECT asker()) IS NOT NULL);
CREATE POLICY asker_adds ON evening_rule AS RESTRICTIVE FOR INSERT TO daogou_api WITH CHECK ((SELECT changes_all()));
CREATE POLICY asker_changes ON evening_rule AS RESTRICTIVE FOR UPDATE TO daogou_api USING ((SELECT changes_all()));
CREATE POLICY asker_deletes ON evening_rule AS RESTRICTIVE FOR DELETE TO daogou_api USING ((SELECT changes_all()));
GRANT SELECT, INSERT ON evening_rule TO daogou_worker, daogou_api;
GRANT SELECT ON evening_rule TO daogou_reader;

-- Puts one message an endpoint of the store into the outbox when no list of its day is open any more; called by whoever has
-- just closed one, last in the transaction. The day's version is the sum of its lists' figures' versions: another list
-- that closes, a late fact, a correction each make a new one. A function, for it has to look again once it has its turn: of
-- two guides who close at the same moment the second sees the first.
CREATE FUNCTION tell_store_day(of_guide uuid, on_day date, at timestamptz, until timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    of_store record;
    told record;
BEGIN
    SELECT s.store_id, s.code, s.time_zone INTO of_store
    FROM guide g JOIN store s ON s.tenant_id = tenant AND s.store_id = g.store_id
    WHERE g.tenant_id = tenant AND g.guide_id = of_guide
      AND EXISTS (SELECT FROM endpoint e WHERE e.tenant_id = tenant AND e.scope = 'store' AND e.code = s.code AND e.active);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(format('store-day/%s/%s/%s', tenant, of_store.store_id, on_day), 0));
    SELECT count(*) AS guides, sum(d.figures_version) AS version, sum(d.listed) AS listed, sum(d.done) AS done,
           sum(d.reached) AS reached, sum(d.carried) AS carried, sum(d.late) AS late,
           bool_and(d.state = 'closed') AS closed INTO told
    FROM guide g JOIN guide_day d ON d.tenant_id = tenant AND d.guide_id = g.guide_id AND d.business_date = on_day
    WHERE g.tenant_id = tenant AND g.store_id = of_store.store_id;
    IF told.closed IS NOT TRUE THEN
        RETURN;
    END IF;
    INSERT INTO outbox (tenant_id, purpose, kind, content, created_at, expires_at, endpoint_id)
    SELECT tenant, format('day_summary/%s/%s/%s', of_store.code, on_day, told.version), 'day_summary',
           jsonb_build_object('date', on_day, 'slot', to_char(at AT TIME ZONE of_store.time_zone, 'HH24:MI'),
                              'place', of_store.code, 'version', told.version, 'guides', told.guides, 'listed', told.listed,
                              'done', told.done, 'reached', told.reached, 'carried', told.carried, 'late', told.late),
           at, until, e.endpoint_id
    FROM endpoint e WHERE e.tenant_id = tenant AND e.scope = 'store' AND e.code = of_store.code AND e.active
    ON CONFLICT DO NOTHING;
END $$;
REVOKE EXECUTE ON FUNCTION tell_store_day FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tell_store_day TO daogou_worker, daogou_api;
RESET ROLE;
RESET search_path;
