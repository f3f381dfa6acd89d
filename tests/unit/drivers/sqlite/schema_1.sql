-- A database of schema 1 with a record in every state, as Dobby 0.1.0 made them: what migrations begin with.
-- Never edited: files like this one exist.
CREATE TABLE source(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_us INTEGER NOT NULL) STRICT;
CREATE TABLE record(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, source_id INTEGER NOT NULL REFERENCES source(id), path TEXT NOT NULL, language TEXT NOT NULL, first_line INTEGER NOT NULL, last_line INTEGER NOT NULL, position INTEGER NOT NULL, content_sha256 BLOB NOT NULL CHECK(length(content_sha256) = 32), content_length INTEGER NOT NULL, state INTEGER NOT NULL CHECK(state BETWEEN 1 AND 6), excluded INTEGER NOT NULL CHECK(excluded IN (0, 1)), attempt INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0, owner TEXT, lease_until_us INTEGER, error_id TEXT, reason TEXT, state_us INTEGER NOT NULL, CHECK((state = 2) = (owner IS NOT NULL)), CHECK((state = 2) = (lease_until_us IS NOT NULL))) STRICT;
CREATE INDEX record_place ON record(source_id, path, position);
CREATE INDEX record_work ON record(state, lease_until_us);
CREATE TABLE content(record_seq INTEGER PRIMARY KEY REFERENCES record(seq) ON DELETE CASCADE, bytes BLOB NOT NULL) STRICT;
CREATE TABLE provenance(id INTEGER PRIMARY KEY, model TEXT NOT NULL, model_fingerprint TEXT NOT NULL, precision TEXT NOT NULL, sampling TEXT NOT NULL, template_id TEXT NOT NULL, engine TEXT NOT NULL, UNIQUE(model, model_fingerprint, precision, sampling, template_id, engine)) STRICT;
CREATE TABLE summary(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, record_seq INTEGER NOT NULL REFERENCES record(seq) ON DELETE CASCADE, result_key BLOB NOT NULL CHECK(length(result_key) = 32), current INTEGER NOT NULL CHECK(current IN (0, 1)), text TEXT NOT NULL, confidence REAL NOT NULL CHECK(confidence BETWEEN 0 AND 1), provenance_id INTEGER NOT NULL REFERENCES provenance(id), tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, inference_ms INTEGER NOT NULL, content_sha256 BLOB NOT NULL CHECK(length(content_sha256) = 32), created_us INTEGER NOT NULL, UNIQUE(record_seq, result_key)) STRICT;
CREATE UNIQUE INDEX summary_current ON summary(record_seq) WHERE current = 1;
CREATE VIEW summaries AS SELECT r.path, r.first_line, r.last_line, r.language, s.text AS summary, round(s.confidence, 3) AS confidence, p.model, CASE r.state WHEN 1 THEN 'pending' WHEN 2 THEN 'leased' WHEN 3 THEN 'completed' WHEN 4 THEN 'degraded' WHEN 5 THEN 'failed' WHEN 6 THEN 'skipped' END AS state, r.reason, datetime(s.created_us / 1000000, 'unixepoch') AS created, r.id AS record_id, source.name AS source FROM record r JOIN source ON source.id = r.source_id LEFT JOIN summary s ON s.record_seq = r.seq AND s.current = 1 LEFT JOIN provenance p ON p.id = s.provenance_id ORDER BY source.name, r.path, r.position, r.seq;
INSERT INTO source VALUES(1, '/src', 1);
INSERT INTO provenance VALUES(1, 'nano', 'f00d', 'q8_0', 'greedy', 'nano@1', '0.1.0 avx2');
INSERT INTO provenance VALUES(2, 'nano', 'f00d', 'q8_0', 'greedy', 'nano@2', '0.1.0 avx2');
-- seq, id, source, path, language, lines, position, hash, length, state, excluded, attempt, tries, owner, lease
INSERT INTO record VALUES(1, 'pending', 1, 'a.c', 'c', 1, 9, 0, zeroblob(32), 3, 1, 0, 2, 1, NULL, NULL, NULL, NULL, 11);
INSERT INTO record VALUES(2, 'leased', 1, 'b.c', 'c', 1, 9, 0, zeroblob(32), 3, 2, 0, 1, 1, 'w', 60000000, NULL, NULL, 12);
INSERT INTO record VALUES(3, 'completed', 1, 'c.c', 'c', 1, 9, 0, zeroblob(32), 3, 3, 0, 1, 1, NULL, NULL, NULL, NULL, 13);
INSERT INTO record VALUES(4, 'degraded', 1, 'd.c', 'c', 1, 9, 0, zeroblob(32), 3, 4, 0, 1, 1, NULL, NULL, NULL, 'cut off', 14);
INSERT INTO record VALUES(5, 'failed', 1, 'e.c', 'c', 1, 9, 0, zeroblob(32), 3, 5, 0, 3, 3, NULL, NULL, 'INFER-0005', 'why', 15);
INSERT INTO record VALUES(6, 'skipped', 1, 'f.c', 'c', 1, 9, 0, zeroblob(32), 3, 6, 0, 1, 1, NULL, NULL, NULL, 'empty', 16);
INSERT INTO record VALUES(7, 'excluded', 1, 'g.c', 'c', 1, 9, 0, zeroblob(32), 3, 6, 1, 0, 0, NULL, NULL, NULL, 'binary', 17);
INSERT INTO content SELECT seq, x'6f6e65' FROM record;
INSERT INTO summary VALUES(1, 's1', 3, x'0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c', 1, 'It completes.', 0.5, 1, 103, 13, 7, zeroblob(32), 23);
INSERT INTO summary VALUES(2, 's2', 4, x'0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d', 1, 'It is', 0.25, 2, 104, 14, 7, zeroblob(32), 24);
PRAGMA application_id = 1148150370;
PRAGMA user_version = 1;
