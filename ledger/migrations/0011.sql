-- A month's partition is made by the owner for whoever appends: nothing of that caller's may stand in for the ledger's own.
-- Until here the caller's temporary tables were found first, and what hangs on them ran as the owner.
-- And the items a guide ever held are found by their index: under row-level security no condition on a payload may use one,
-- for its operators might tell of rows that are not seen.
-- Safe beside the version before: a function is replaced, another one added.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

CREATE OR REPLACE FUNCTION ensure_event_partitions(from_day date, to_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    month date := date_trunc('month', from_day);
    part  text;
    made  integer := 0;
BEGIN
    IF to_day - from_day > 3700 THEN
        RAISE EXCEPTION 'ensure_event_partitions: % to % is longer than ten years', from_day, to_day;
    END IF;
    WHILE month <= to_day LOOP
        part := format('event_%s', to_char(month, 'YYYYMM'));
        IF to_regclass('daogou.' || part) IS NULL THEN
            PERFORM pg_advisory_xact_lock(hashtext('daogou.event_partition'));
            -- A query, because to_regclass still answers from its cache that another session's table is not there.
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = part
                           AND relnamespace = 'daogou'::regnamespace) THEN
                -- Made apart and attached: attaching lets writers of other months go on.
                EXECUTE format('CREATE TABLE daogou.%I (LIKE daogou.event INCLUDING ALL)', part);
                EXECUTE format('ALTER TABLE daogou.event ATTACH PARTITION daogou.%I FOR VALUES FROM (%L) TO (%L)', part,
                    month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
                EXECUTE format('ALTER TABLE daogou.%I ENABLE ROW LEVEL SECURITY', part);
                EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON daogou.%I '
                    'FOR EACH STATEMENT EXECUTE FUNCTION daogou.refuse_change()', part);
                made := made + 1;
            END IF;
        END IF;
        month := month + interval '1 month';
    END LOOP;
    RETURN made;
END $$;

-- Streams of the items a guide ever held, as far as was known by then. Whoever may know her by name may ask; what is in them
-- is held by the rows' own rules.
CREATE FUNCTION items_held(of_guide uuid, until timestamptz) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    IF current_setting('role', true) IS DISTINCT FROM 'daogou_worker' AND NOT coalesce(sees_all(), false)
       AND NOT of_guide = ANY (reach('known')) THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT DISTINCT e.stream::text FROM event e
        WHERE e.tenant_id = tenant AND e.payload->>'guide' = of_guide::text AND e.known_at <= until
          AND e.type IN ('task_created', 'task_reassigned');
END $$;
REVOKE EXECUTE ON FUNCTION items_held FROM PUBLIC;
GRANT EXECUTE ON FUNCTION items_held TO daogou_worker, daogou_api;
RESET ROLE;
RESET search_path;
