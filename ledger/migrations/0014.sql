-- Feeds: what a source sent is compared with what it sent, its terms have a history, nothing is returned that was not bought.
-- Safe beside the version before: it adds a column without rewriting, tables, and narrows one function; a record without
-- `named` and a source without terms are taken as that version left them.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- A number that named the record's member, as HMAC under that member's key: gone with the key when the member is erased.
ALTER TABLE system_record ADD COLUMN named bytea;
RESET ROLE;
RESET search_path;
