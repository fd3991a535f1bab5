-- The rhythms of a cycle's categories, as its start tells them: what its later items are reckoned with.
-- Safe beside the version before: it names the columns it writes, and a cycle without rhythms goes by the rates it has.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

ALTER TABLE plan_cycle ADD COLUMN rhythms jsonb NOT NULL DEFAULT '{}';  -- category id -> domain.rhythm.Rhythm

RESET ROLE;
RESET search_path;
