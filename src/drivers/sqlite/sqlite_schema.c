#include "drivers/sqlite/sqlite_schema.h"

#include <assert.h>

/* Of schema 2: counts a row of record into the tally, or out of it. */
#define TALLY_IN                                                                                             \
    "UPDATE tally SET records = records + 1, summaries = summaries + (NEW.provenance_id IS NOT NULL),"       \
    " tokens_in = tokens_in + coalesce(NEW.tokens_in, 0),"                                                   \
    " tokens_out = tokens_out + coalesce(NEW.tokens_out, 0) WHERE state = NEW.state;"
#define TALLY_OUT                                                                                            \
    "UPDATE tally SET records = records - 1, summaries = summaries - (OLD.provenance_id IS NOT NULL),"       \
    " tokens_in = tokens_in - coalesce(OLD.tokens_in, 0),"                                                   \
    " tokens_out = tokens_out - coalesce(OLD.tokens_out, 0) WHERE state = OLD.state;"

/* Version n is migrations[n - 1]. A migration that was released is never edited: write the next one. */
static const char *const migrations[] = {
    /* 1: records, their content, their summaries */
    "CREATE TABLE source("
    " id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL UNIQUE,"
    " created_us INTEGER NOT NULL"
    ") STRICT;"

    "CREATE TABLE record("
    " seq INTEGER PRIMARY KEY," /* the order in which they were put */
    " id TEXT NOT NULL UNIQUE,"
    " source_id INTEGER NOT NULL REFERENCES source(id),"
    " path TEXT NOT NULL,"
    " language TEXT NOT NULL,"
    " first_line INTEGER NOT NULL,"
    " last_line INTEGER NOT NULL,"
    " position INTEGER NOT NULL,"
    " content_sha256 BLOB NOT NULL CHECK(length(content_sha256) = 32),"
    " content_length INTEGER NOT NULL,"
    " state INTEGER NOT NULL CHECK(state BETWEEN 1 AND 6)," /* enum record_state */
    " excluded INTEGER NOT NULL CHECK(excluded IN (0, 1))," /* 1: skipped by the source's reader, not by a run
                                                             */
    " attempt INTEGER NOT NULL DEFAULT 0,"                  /* number of the last lease; only grows */
    " tries INTEGER NOT NULL DEFAULT 0,"                    /* leases that count against the record */
    " owner TEXT,"
    " lease_until_us INTEGER,"
    " error_id TEXT,"
    " reason TEXT,"
    " state_us INTEGER NOT NULL,"
    " CHECK((state = 2) = (owner IS NOT NULL)),"
    " CHECK((state = 2) = (lease_until_us IS NOT NULL))"
    ") STRICT;"
    "CREATE INDEX record_place ON record(source_id, path, position);"
    "CREATE INDEX record_work ON record(state, lease_until_us);"

    /* Apart from record, so that claiming, counting and listing do not read through the content. */
    "CREATE TABLE content("
    " record_seq INTEGER PRIMARY KEY REFERENCES record(seq) ON DELETE CASCADE,"
    " bytes BLOB NOT NULL"
    ") STRICT;"

    /* What made a summary: the same few texts for millions of them. */
    "CREATE TABLE provenance("
    " id INTEGER PRIMARY KEY,"
    " model TEXT NOT NULL,"
    " model_fingerprint TEXT NOT NULL,"
    " precision TEXT NOT NULL,"
    " sampling TEXT NOT NULL,"
    " template_id TEXT NOT NULL,"
    " engine TEXT NOT NULL,"
    " UNIQUE(model, model_fingerprint, precision, sampling, template_id, engine)"
    ") STRICT;"

    "CREATE TABLE summary("
    " seq INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " record_seq INTEGER NOT NULL REFERENCES record(seq) ON DELETE CASCADE,"
    " result_key BLOB NOT NULL CHECK(length(result_key) = 32),"
    " current INTEGER NOT NULL CHECK(current IN (0, 1)),"
    " text TEXT NOT NULL,"
    " confidence REAL NOT NULL CHECK(confidence BETWEEN 0 AND 1),"
    " provenance_id INTEGER NOT NULL REFERENCES provenance(id),"
    " tokens_in INTEGER NOT NULL,"
    " tokens_out INTEGER NOT NULL,"
    " inference_ms INTEGER NOT NULL,"
    " content_sha256 BLOB NOT NULL CHECK(length(content_sha256) = 32)," /* of what it summarises */
    " created_us INTEGER NOT NULL,"
    " UNIQUE(record_seq, result_key)"
    ") STRICT;"
    "CREATE UNIQUE INDEX summary_current ON summary(record_seq) WHERE current = 1;"

    /* For people who open the file with sqlite3. */
    "CREATE VIEW summaries AS SELECT"
    " r.path, r.first_line, r.last_line, r.language, s.text AS summary, round(s.confidence, 3) AS confidence,"
    " p.model, CASE r.state WHEN 1 THEN 'pending' WHEN 2 THEN 'leased' WHEN 3 THEN 'completed'"
    " WHEN 4 THEN 'degraded' WHEN 5 THEN 'failed' WHEN 6 THEN 'skipped' END AS state,"
    " r.reason, datetime(s.created_us / 1000000, 'unixepoch') AS created, r.id AS record_id,"
    " source.name AS source"
    " FROM record r JOIN source ON source.id = r.source_id"
    " LEFT JOIN summary s ON s.record_seq = r.seq AND s.current = 1"
    " LEFT JOIN provenance p ON p.id = s.provenance_id"
    " ORDER BY source.name, r.path, r.position, r.seq;"

    "PRAGMA application_id = 1148150370;"
    "PRAGMA user_version = 1;",

    /* 2: retries that wait, what the current summary is made with, reused results, runs */
    "ALTER TABLE record ADD COLUMN not_before_us INTEGER"
    " CHECK(not_before_us IS NULL OR state = 1);" /* a retry waits until then */
    /* Of the current summary, here again: for the index of what is stale and for the tally. */
    "ALTER TABLE record ADD COLUMN provenance_id INTEGER REFERENCES provenance(id);"
    "ALTER TABLE record ADD COLUMN tokens_in INTEGER;"
    "ALTER TABLE record ADD COLUMN tokens_out INTEGER;"
    "ALTER TABLE summary ADD COLUMN reused INTEGER NOT NULL DEFAULT 0 CHECK(reused IN (0, 1));"
    "ALTER TABLE summary ADD COLUMN degraded_reason TEXT;" /* NULL: it is good */

    "UPDATE summary SET degraded_reason = r.reason FROM record r"
    " WHERE r.seq = record_seq AND r.state = 4 AND current = 1;"
    "UPDATE record SET (provenance_id, tokens_in, tokens_out) ="
    " (SELECT provenance_id, tokens_in, tokens_out FROM summary WHERE record_seq = record.seq"
    " AND current = 1) WHERE seq IN (SELECT record_seq FROM summary WHERE current = 1);"

    "DROP INDEX record_work;"
    "CREATE INDEX record_work ON record(state, lease_until_us, not_before_us);"
    "CREATE INDEX record_result ON record(provenance_id, state) WHERE provenance_id IS NOT NULL;"
    "CREATE INDEX summary_result ON summary(result_key);"

    /* What there is, by state: a million records cannot be counted whenever somebody looks. Triggers keep it,
     * so that no statement can forget to. */
    "CREATE TABLE tally("
    " state INTEGER PRIMARY KEY,"
    " records INTEGER NOT NULL,"
    " summaries INTEGER NOT NULL," /* current ones */
    " tokens_in INTEGER NOT NULL,"
    " tokens_out INTEGER NOT NULL"
    ") STRICT;"
    "INSERT INTO tally SELECT value, (SELECT count(*) FROM record WHERE state = value), 0, 0, 0"
    " FROM (SELECT 1 AS value UNION VALUES(2), (3), (4), (5), (6));"
    "UPDATE tally SET (summaries, tokens_in, tokens_out) = (SELECT count(*), coalesce(sum(tokens_in), 0),"
    " coalesce(sum(tokens_out), 0) FROM record WHERE state = tally.state AND provenance_id IS NOT NULL);"
    "CREATE TRIGGER tally_add AFTER INSERT ON record BEGIN " TALLY_IN " END;"
    "CREATE TRIGGER tally_remove AFTER DELETE ON record BEGIN " TALLY_OUT " END;"
    "CREATE TRIGGER tally_move AFTER UPDATE OF state, provenance_id, tokens_in, tokens_out ON record"
    " BEGIN " TALLY_OUT TALLY_IN " END;"

    /* The long texts last: what is asked for often is found before them. */
    "CREATE TABLE run("
    " seq INTEGER PRIMARY KEY," /* the order in which they began */
    " id TEXT NOT NULL UNIQUE,"
    " owner TEXT NOT NULL,"
    " state INTEGER NOT NULL CHECK(state BETWEEN 1 AND 8),"     /* enum run_state */
    " command INTEGER NOT NULL CHECK(command BETWEEN 1 AND 4)," /* enum run_command */
    " command_us INTEGER,"
    " started_us INTEGER NOT NULL,"
    " heartbeat_us INTEGER NOT NULL,"
    " ended_us INTEGER,"
    " total INTEGER NOT NULL,"
    " completed INTEGER NOT NULL,"
    " degraded INTEGER NOT NULL,"
    " failed INTEGER NOT NULL,"
    " skipped INTEGER NOT NULL,"
    " stale INTEGER NOT NULL,"
    " retried INTEGER NOT NULL,"
    " reused INTEGER NOT NULL,"
    " tokens_in INTEGER NOT NULL,"
    " tokens_out INTEGER NOT NULL,"
    " end_reason TEXT,"
    " settings TEXT NOT NULL,"
    " metrics TEXT NOT NULL,"
    " CHECK((state IN (1, 2)) = (ended_us IS NULL))"
    ") STRICT;"
    "CREATE INDEX run_active ON run(owner) WHERE state IN (1, 2);"

    "CREATE VIEW runs AS SELECT"
    " id, CASE state WHEN 1 THEN 'running' WHEN 2 THEN 'paused' WHEN 3 THEN 'finished' WHEN 4 THEN 'capped'"
    " WHEN 5 THEN 'canceled' WHEN 6 THEN 'interrupted' WHEN 7 THEN 'failed' WHEN 8 THEN 'lost' END AS state,"
    " datetime(started_us / 1000000, 'unixepoch') AS started,"
    " datetime(ended_us / 1000000, 'unixepoch') AS ended,"
    " total, completed, degraded, failed, skipped, stale, retried, reused, tokens_in, tokens_out, end_reason,"
    " settings, metrics FROM run ORDER BY seq DESC;"

    "PRAGMA user_version = 2;",

    /* 3: attempts grow beyond a record's removal, how a record was cut out of its file, and whose turn it is
     * to synchronise a source. The one row of fence holds the largest attempt of all removed records: a new
     * one begins with it, so that no lease of an earlier record under its id can settle it. A trigger keeps
     * it, so that no statement can forget to. */
    "CREATE TABLE fence("
    " id INTEGER PRIMARY KEY CHECK(id = 1),"
    " attempt INTEGER NOT NULL"
    ") STRICT;"
    "INSERT INTO fence VALUES(1, 0);"
    "CREATE TRIGGER fence_raise AFTER DELETE ON record WHEN OLD.attempt > (SELECT attempt FROM fence)"
    " BEGIN UPDATE fence SET attempt = OLD.attempt; END;"

    "CREATE TABLE cut("
    " id INTEGER PRIMARY KEY,"
    " text TEXT NOT NULL UNIQUE" /* the settings; '': not known */
    ") STRICT;"
    "ALTER TABLE record ADD COLUMN cut_id INTEGER REFERENCES cut(id);" /* NULL: it is whole */
    "CREATE INDEX record_cut ON record(cut_id) WHERE cut_id IS NOT NULL;"
    "INSERT INTO cut(text) SELECT '' WHERE EXISTS (SELECT 1 FROM record WHERE excluded = 0);"
    "UPDATE record SET cut_id = (SELECT id FROM cut) WHERE excluded = 0;"

    "ALTER TABLE source ADD COLUMN syncs INTEGER NOT NULL DEFAULT 0;" /* begun; the last one's number */

    "PRAGMA user_version = 3;",
};

static_assert(sizeof migrations / sizeof migrations[0] == SQLITE_SCHEMA_VERSION, "one migration a version");
static_assert(SQLITE_SCHEMA_APPLICATION_ID == 1148150370, "the id that the first migration writes");

struct identity {
    int64_t application_id, objects, version;
};

/* All three in one transaction: another process may be making the same database now. */
static dobby_code read_identity(struct sqlite_handle *handle, struct identity *out, struct dobby_error *err)
{
    const bool outermost = sqlite3_get_autocommit(handle->db) != 0;
    dobby_code code = outermost ? sqlite_execute(handle, "BEGIN", err) : DOBBY_OK;
    if (code == DOBBY_OK)
        code = sqlite_query_integer(handle, "SELECT count(*) FROM sqlite_schema", &out->objects, err);
    if (code == DOBBY_OK)
        code = sqlite_query_integer(handle, "PRAGMA application_id", &out->application_id, err);
    if (code == DOBBY_OK)
        code = sqlite_query_integer(handle, "PRAGMA user_version", &out->version, err);
    /* A failure may have ended the transaction already. */
    if (outermost && sqlite3_get_autocommit(handle->db) == 0 &&
        sqlite3_exec(handle->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK && code == DOBBY_OK)
        code = FAIL_RESULT(handle, sqlite3_extended_errcode(handle->db), err);
    return code;
}

dobby_code sqlite_schema_recognise(struct sqlite_handle *handle, int64_t *version, struct dobby_error *err)
{
    struct identity identity = {0};
    *version = 0;
    dobby_code code = read_identity(handle, &identity, err);
    const int64_t application_id = identity.application_id;
    const int64_t objects = identity.objects;
    *version = identity.version;
    if (code == DOBBY_OK && application_id == 0 && objects == 0 && *version == 0)
        return DOBBY_OK;
    if (code == DOBBY_OK && application_id != SQLITE_SCHEMA_APPLICATION_ID)
        code = DOBBY_FAIL(err, DOBBY_STORE_CORRUPT, "%s is a database, but not Dobby's", handle->path);
    if (code == DOBBY_OK && *version > SQLITE_SCHEMA_VERSION) {
        code = DOBBY_FAIL(err, DOBBY_STORE_SCHEMA_NEWER, "%s has schema %lld; this Dobby knows up to %d",
                          handle->path, (long long)*version, SQLITE_SCHEMA_VERSION);
        error_attribute(err, "schema", "%lld", (long long)*version);
        error_attribute(err, "schema_known", "%d", SQLITE_SCHEMA_VERSION);
    }
    if (code == DOBBY_OK && *version < 1)
        code = DOBBY_FAIL(err, DOBBY_STORE_CORRUPT, "%s has schema %lld, which there never was", handle->path,
                          (long long)*version);
    if (code != DOBBY_OK)
        *version = 0;
    return code;
}

dobby_code sqlite_schema_migrate(struct sqlite_handle *handle, struct dobby_error *err)
{
    int64_t version = 0;
    dobby_code code = sqlite_schema_recognise(handle, &version, err);
    if (code != DOBBY_OK || version == SQLITE_SCHEMA_VERSION)
        return code;

    code = sqlite_write_begin(handle, err);
    if (code != DOBBY_OK)
        return code;
    /* Another process may have migrated while this one waited for the lock. */
    code = sqlite_schema_recognise(handle, &version, err);
    for (; version < SQLITE_SCHEMA_VERSION && code == DOBBY_OK; version++)
        code = sqlite_execute(handle, migrations[version], err);
    return sqlite_write_end(handle, code, err);
}
