-- Rights of the member: personal texts under a key of the member's own, consents, erasure.
-- Safe beside the version before: columns and tables are added. What that version writes stays plain until this one
-- seals it (ledger/people.py: seal_plain), and what is sealed that version shows as if it were not there: a rolling
-- update shows lists without names for a while, and refuses purchases of members it does not find.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- AES-256-GCM under the member's key, which is not in this database. The plain columns empty themselves.
ALTER TABLE member_person ALTER COLUMN code DROP NOT NULL;
ALTER TABLE member_person DROP CONSTRAINT member_person_tenant_id_code_key; -- the id is the code's digest
ALTER TABLE member_person ADD COLUMN code_sealed bytea, ADD COLUMN name_sealed bytea, ADD COLUMN phone_sealed bytea;
CREATE INDEX member_person_plain ON member_person (tenant_id, member_id)
    WHERE code IS NOT NULL OR name IS NOT NULL OR phone IS NOT NULL;
ALTER TABLE member_note ALTER COLUMN note DROP NOT NULL;
ALTER TABLE member_note ALTER COLUMN salt DROP NOT NULL;
ALTER TABLE member_note ADD COLUMN note_sealed bytea, ADD COLUMN salt_sealed bytea;
CREATE INDEX member_note_plain ON member_note (tenant_id, note_id) WHERE note IS NOT NULL;
CREATE INDEX member_note_of_member ON member_note (tenant_id, member_id);

ALTER TABLE member ADD COLUMN erased_at timestamptz;

-- What a member agreed to or took back, when, and how it was heard; the latest of a purpose holds.
CREATE TABLE consent (
    tenant_id   integer NOT NULL,
    member_id   uuid NOT NULL,
    purpose     text NOT NULL CHECK (purpose IN ('contact', 'phone', 'wecom', 'profile')),
    given       boolean NOT NULL,
    source      text COLLATE "C" NOT NULL,
    reason_sealed bytea,                      -- free text, so not in the event and under the member's key
    occurred_at timestamptz NOT NULL,
    known_at    timestamptz NOT NULL,
    version     integer NOT NULL DEFAULT 0,   -- of the member's stream; 0: of a file, whose event is the import's
    PRIMARY KEY (tenant_id, member_id, purpose, occurred_at, known_at, version)
);
-- Opt-outs that were imported before.
INSERT INTO consent (tenant_id, member_id, purpose, given, source, occurred_at, known_at)
SELECT tenant_id, member_id, 'contact', false, 'import', opted_out_at, greatest(opted_out_at, now())
FROM member WHERE opted_out_at IS NOT NULL;

-- Who was erased, when and why; the event holds the id only.
CREATE TABLE erasure (
    tenant_id integer NOT NULL,
    member_id uuid NOT NULL,
    erased_at timestamptz NOT NULL,
    actor     text NOT NULL,
    reason    text NOT NULL,
    PRIMARY KEY (tenant_id, member_id)
);

-- The id of the member with this code: HMAC-SHA-256 under the brand's secret, as domain/identifiers.py has it. The API
-- asks here, so that it finds members by their code without ever reading the secret.
CREATE FUNCTION member_id_of(code text) RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    key    bytea;
    inside bytea := decode(repeat('36', 64), 'hex');
    around bytea := decode(repeat('5c', 64), 'hex');
    digest bytea;
BEGIN
    SELECT CASE WHEN length(s.id_secret) > 64 THEN sha256(s.id_secret) ELSE s.id_secret END INTO key
    FROM tenant_secret s WHERE s.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer;
    IF key IS NULL OR code IS NULL THEN
        RETURN NULL;
    END IF;
    FOR at IN 0 .. length(key) - 1 LOOP
        inside := set_byte(inside, at, get_byte(inside, at) # get_byte(key, at));
        around := set_byte(around, at, get_byte(around, at) # get_byte(key, at));
    END LOOP;
    digest := sha256(inside || convert_to('member', 'UTF8') || '\x1f'::bytea || convert_to(code, 'UTF8'));
    digest := substr(sha256(around || digest), 1, 16);
    digest := set_byte(digest, 6, get_byte(digest, 6) & 15 | 128);
    digest := set_byte(digest, 8, get_byte(digest, 8) & 63 | 128);
    RETURN encode(digest, 'hex')::uuid;
END $$;

-- Notes are never changed, but for this: what a version before this one wrote plain is sealed.
CREATE FUNCTION seal_notes(ids uuid[], notes bytea[], salts bytea[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
    UPDATE member_note n SET note_sealed = s.note, salt_sealed = s.salt, note = NULL, salt = NULL
    FROM unnest(ids, notes, salts) AS s(id, note, salt)
    WHERE n.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer
      AND n.note_id = s.id AND n.note IS NOT NULL;
$$;

-- The worker, or an account that changes everything: HQ, or upkeep after the asker's reach was looked at.
CREATE FUNCTION check_may_change_members() RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF current_setting('role', true) IS DISTINCT FROM 'daogou_worker' AND NOT coalesce(changes_all(), false) THEN
        RAISE EXCEPTION 'members are not this asker''s to change' USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;

-- From when on nobody contacts the member; null: they may be.
CREATE FUNCTION set_opt_out(member uuid, since timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
BEGIN
    PERFORM check_may_change_members();
    UPDATE member m SET opted_out_at = since
    WHERE m.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer AND m.member_id = set_opt_out.member
      AND m.erased_at IS NULL;
END $$;

-- Everything personal of a member in this database, gone; what figures rest on stays, under the id.
CREATE FUNCTION erase_member(member uuid, at timestamptz, by text, why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    PERFORM check_may_change_members();
    DELETE FROM member_person p WHERE p.tenant_id = tenant AND p.member_id = erase_member.member;
    DELETE FROM member_note n WHERE n.tenant_id = tenant AND n.member_id = erase_member.member;
    UPDATE consent c SET reason_sealed = NULL
    WHERE c.tenant_id = tenant AND c.member_id = erase_member.member AND c.reason_sealed IS NOT NULL;
    UPDATE member m SET tags = '{}', latitude = NULL, longitude = NULL,
           opted_out_at = least(m.opted_out_at, at), erased_at = coalesce(m.erased_at, at)
    WHERE m.tenant_id = tenant AND m.member_id = erase_member.member;
    INSERT INTO erasure (tenant_id, member_id, erased_at, actor, reason)
    VALUES (tenant, erase_member.member, at, by, why) ON CONFLICT DO NOTHING;
END $$;

DO $$
DECLARE
    rules CONSTANT text[][] := ARRAY[
        ['consent', 'EXISTS (SELECT FROM member m WHERE m.tenant_id = consent.tenant_id
            AND m.member_id = consent.member_id)', 'false'],
        ['erasure', 'false', 'false']
    ];
    rule text[];
BEGIN
    FOREACH rule SLICE 1 IN ARRAY rules LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', rule[1]);
        EXECUTE format('CREATE POLICY one_tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''daogou.tenant'', true), '''')::integer))', rule[1]);
        EXECUTE format('CREATE POLICY asker_sees ON %I AS RESTRICTIVE FOR SELECT TO daogou_api '
            'USING ((SELECT sees_all()) OR ' || rule[2] || ')', rule[1]);
        EXECUTE format('CREATE POLICY asker_adds ON %I AS RESTRICTIVE FOR INSERT TO daogou_api '
            'WITH CHECK ((SELECT changes_all()) OR ' || rule[3] || ')', rule[1]);
        EXECUTE format('CREATE POLICY asker_changes ON %I AS RESTRICTIVE FOR UPDATE TO daogou_api '
            'USING ((SELECT changes_all()) OR ' || rule[3] || ')', rule[1]);
        EXECUTE format('CREATE POLICY asker_deletes ON %I AS RESTRICTIVE FOR DELETE TO daogou_api '
            'USING ((SELECT changes_all()))', rule[1]);
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION member_id_of, seal_notes, check_may_change_members, set_opt_out, erase_member FROM PUBLIC;
GRANT EXECUTE ON FUNCTION member_id_of, set_opt_out, erase_member TO daogou_api, daogou_worker;
GRANT EXECUTE ON FUNCTION seal_notes TO daogou_worker;
GRANT SELECT, INSERT ON consent TO daogou_worker, daogou_api;
GRANT SELECT ON consent TO daogou_reader;
GRANT SELECT ON erasure TO daogou_worker, daogou_api;
RESET ROLE;
RESET search_path;
