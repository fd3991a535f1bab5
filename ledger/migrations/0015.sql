-- Years behind cost nothing: of all the cycles in which a member ever was, whoever serves them now is found without reading
-- a row of those that are settled.
-- Safe beside the version before: indexes are added, while others write (0015's Python), one takes the place of another that
-- was its beginning, and a function keeps its name and its answer.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

DROP INDEX plan_member_of_member; -- `plan_member_served` begins with it

-- As in 0007. The cycles that are not settled come first: they are few, whatever lies behind, and the member is looked for in
-- each of them on the same page or two of the index.
CREATE OR REPLACE FUNCTION served_by(wanted uuid, setting text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    at timestamptz := asked_at();
    guides uuid[] := reach(setting);
BEGIN
    RETURN EXISTS (
        SELECT FROM plan_member p
        JOIN plan_cycle c ON c.tenant_id = tenant AND c.plan_id = p.plan_id AND c.cycle = p.cycle
        JOIN plan l ON l.tenant_id = tenant AND l.plan_id = p.plan_id
        WHERE p.tenant_id = tenant AND p.member_id = wanted AND p.guide_id = ANY (guides)
          AND c.state <> 'settled' AND (l.ended_at IS NULL OR l.ended_at > at - interval '2 days')
          AND NOT EXISTS (
              SELECT FROM guide_posting g
              WHERE g.tenant_id = tenant AND g.guide_id = p.guide_id AND g.superseded_at IS NULL
                AND g.before_store_id IS NOT NULL AND g.from_at <= at
                AND (g.from_on > c.ends_on OR greatest(g.from_at, g.decided_at) >= l.ended_at
                     OR g.settled_at IS NULL AND g.before_store_id = (
                         SELECT m.home_store_id FROM member m WHERE m.tenant_id = tenant AND m.member_id = wanted))));
END $$;
RESET ROLE;
RESET search_path;
