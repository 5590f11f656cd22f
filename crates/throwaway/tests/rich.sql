-- A database with something of everything that pg_dump writes.
CREATE EXTENSION hstore;
CREATE ROLE rich_owner;
CREATE ROLE "Rich Reader";
CREATE SCHEMA app AUTHORIZATION rich_owner;
CREATE SCHEMA "Odd ""Name""";
CREATE TYPE app.mood AS ENUM ('sad', 'it''s ok', 'happy; very');
CREATE TYPE app.pair AS (a int, b text);
CREATE TYPE app.span AS RANGE (subtype = float8);
CREATE DOMAIN app.email AS varchar(200) DEFAULT 'a@b' CHECK (VALUE LIKE '%@%');
CREATE COLLATION app.plain (provider = libc, locale = 'C');
CREATE SEQUENCE app.counter START 10 INCREMENT 5;
SELECT nextval('app.counter');
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  IF NEW.name = 'x;' THEN NEW.name := E'it\'s; $$'; END IF;
  RETURN NEW;
END
$body$;
CREATE FUNCTION app.twice(a int) RETURNS int LANGUAGE sql IMMUTABLE SET search_path = app AS 'SELECT a * 2;';
CREATE FUNCTION app.atomic(a int, OUT b int, OUT c text) LANGUAGE sql
BEGIN ATOMIC
  SELECT 1;
  SELECT CASE WHEN a > 0 THEN CASE a WHEN 1 THEN 2 ELSE 3 END ELSE 4 END AS b, 'x;y'::text AS c;
END;
CREATE PROCEDURE app.nothing(INOUT a int) LANGUAGE plpgsql AS $$ BEGIN a := 1; END $$;
CREATE AGGREGATE app.total(int) (sfunc = int4pl, stype = int, initcond = '0');
CREATE OPERATOR app.=== (leftarg = int, rightarg = int, function = int4eq);
CREATE CAST (app.mood AS text) WITH INOUT AS ASSIGNMENT;
CREATE TABLE app.people (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE app.plain NOT NULL DEFAULT 'no; name',
  mood app.mood DEFAULT 'sad',
  mail app.email,
  tags text[] DEFAULT '{}',
  extra hstore,
  data bytea,
  doc jsonb,
  twice int GENERATED ALWAYS AS (app.twice(length(name))) STORED,
  pair app.pair,
  span app.span,
  CONSTRAINT "People; check" CHECK (name <> '' AND mood <> 'happy; very'),
  EXCLUDE USING gist (span WITH &&)
) WITH (fillfactor = 70);
ALTER TABLE app.people ALTER COLUMN name SET STATISTICS 500, ALTER COLUMN doc SET STORAGE EXTERNAL;
CREATE TABLE app.events (id serial, at date NOT NULL, person bigint REFERENCES app.people ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)
  PARTITION BY RANGE (at);
CREATE TABLE app.events_2024 PARTITION OF app.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE app.events_rest PARTITION OF app.events DEFAULT;
CREATE TABLE app.parent (a int, b text);
CREATE TABLE app.child (c int) INHERITS (app.parent);
CREATE UNLOGGED TABLE "Odd ""Name"""."Table; x" ("Column "" y" int, "select" text);
CREATE INDEX people_lower ON app.people (lower(name) text_pattern_ops DESC NULLS LAST) INCLUDE (id) WHERE mood = 'sad';
CREATE UNIQUE INDEX events_key ON app.events (id, at);
CREATE STATISTICS app.stat (dependencies) ON name, mood FROM app.people;
CREATE VIEW app.names WITH (security_barrier) AS SELECT id, name, CASE mood WHEN 'sad' THEN ':(' ELSE ';' END AS face FROM app.people;
CREATE MATERIALIZED VIEW app.counts AS SELECT mood, count(*) FROM app.people GROUP BY mood;
CREATE UNIQUE INDEX ON app.counts (mood);
CREATE RULE no_delete AS ON DELETE TO app.parent DO INSTEAD (SELECT 1; UPDATE app.parent SET a = 1 WHERE false;);
CREATE TRIGGER touch BEFORE INSERT OR UPDATE OF name ON app.people FOR EACH ROW WHEN (NEW.name <> '') EXECUTE FUNCTION app.touch();
ALTER TABLE app.people ENABLE ALWAYS TRIGGER touch;
ALTER TABLE app.people ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON app.people FOR SELECT TO "Rich Reader" USING (mood = 'sad');
CREATE TEXT SEARCH CONFIGURATION app.words (COPY = pg_catalog.simple);
CREATE PUBLICATION rich FOR TABLE app.people;
ALTER TABLE app.people OWNER TO rich_owner;
GRANT SELECT (name), UPDATE (mood) ON app.people TO "Rich Reader" WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION app.twice(int) TO "Rich Reader";
REVOKE ALL ON FUNCTION app.twice(int) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE rich_owner IN SCHEMA app GRANT SELECT ON TABLES TO "Rich Reader";
COMMENT ON TABLE app.people IS E'People; it''s\n\\. a "comment" $$';
COMMENT ON COLUMN app.people.name IS 'a name';
INSERT INTO app.people (name, mood, mail, tags, extra, data, doc, pair, span) VALUES
  (E'tab\there', 'sad', 'x@y', '{a,"b;c",NULL}', 'k=>"v;"', '\x00ff5c', '{"a": "\\"}', '(1,"x,y")', '[1,2)'),
  (E'back\\slash\nline\n\\.\nend', 'it''s ok', DEFAULT, NULL, NULL, '', 'null', NULL, NULL),
  ('ünïcode ✓ \N', NULL, 'é@ü', '{}', '', NULL, '[]', '(,)', 'empty'),
  ('x;', NULL, 'q@w', DEFAULT, NULL, NULL, NULL, NULL, NULL);
INSERT INTO app.events (at, person) SELECT date '2024-06-01' + n * 100, 1 + n % 4 FROM generate_series(0, 8) n;
INSERT INTO app.parent VALUES (1, 'p'); INSERT INTO app.child VALUES (2, 'c', 3);
INSERT INTO "Odd ""Name"""."Table; x" VALUES (1, ''), (NULL, NULL);
REFRESH MATERIALIZED VIEW app.counts;
SELECT lo_from_bytea(4242, '\x01025c00');
