#include "drivers/sqlite/sqlite_statements.h"

/* States stand as their numbers in enum record_state: 1 pending, 2 leased, 3 completed, 4 degraded,
 * 5 failed, 6 skipped. */

/* The columns of each of these are numbered in sqlite_rows.h. */
#define SUMMARY_COLUMNS                                                                                      \
    "s.id, s.result_key, s.text, s.confidence, p.model, p.model_fingerprint, p.precision, p.sampling,"       \
    " p.template_id, p.engine, s.tokens_in, s.tokens_out, s.inference_ms, s.created_us, s.current,"          \
    " s.reused, s.degraded_reason"
#define ROW_COLUMNS                                                                                          \
    "r.id, source.name, r.path, r.language, r.first_line, r.last_line, r.position, r.state, r.attempt,"      \
    " r.tries, r.error_id, r.reason, r.content_sha256, r.content_length, r.state_us, "                       \
    "r.not_before_us, s.content_sha256 = r.content_sha256, " SUMMARY_COLUMNS
#define VERSION_COLUMNS "r.id, s.content_sha256 = r.content_sha256, " SUMMARY_COLUMNS
#define RUN_COLUMNS                                                                                          \
    "id, owner, state, started_us, heartbeat_us, ended_us, command, command_us, total, completed,"           \
    " degraded, failed, skipped, stale, retried, reused, tokens_in, tokens_out, end_reason, settings,"       \
    " metrics"

#define ROW_JOINS                                                                                            \
    " LEFT JOIN summary s ON s.record_seq = r.seq AND s.current = 1"                                         \
    " LEFT JOIN provenance p ON p.id = s.provenance_id"
/* The nested loops yield the order: sources by name, their records by the index on (source_id, path,
 * position, seq). Nothing is sorted, so the first row comes at once and memory stays flat. */
#define LIST_FROM                                                                                            \
    " iif(?5, (SELECT bytes FROM content WHERE record_seq = r.seq), NULL)"                                   \
    " FROM source CROSS JOIN record r ON r.source_id = source.id"
#define LIST_WHERE                                                                                           \
    " WHERE (?1 = 0 OR r.state = ?1) AND (?2 IS NULL OR r.path GLOB ?2)"                                     \
    " AND (?3 IS NULL OR (r.id >= ?3 AND r.id < ?4))"
/* The wanted provenance is ?1 to ?4 wherever it is asked for. */
#define IS_WANTED(p)                                                                                         \
    "(" p ".model_fingerprint = ?1 AND " p ".precision = ?2 AND " p ".sampling = ?3 AND " p                  \
    ".template_id = ?4)"
/* The engine that made the text: of a result with key ?8 that record ?7 has, else the one given. */
#define TEXTS_ENGINE                                                                                         \
    "coalesce((SELECT p.engine FROM summary s CROSS JOIN provenance p ON p.id = s.provenance_id"             \
    " WHERE s.record_seq = ?7 AND s.result_key = ?8), ?6)"
/* The few provenances first, then of each only the records that it made, from the index. */
#define STALE_FROM                                                                                           \
    " FROM provenance p CROSS JOIN record r ON r.provenance_id = p.id AND r.state IN (3, 4)"                 \
    " WHERE NOT " IS_WANTED("p")
#define REQUEUE_WHERE " AND excluded = 0 AND (?3 IS NULL OR path GLOB ?3)"

const char *const sqlite_statement_text[STATEMENT_COUNT] = {

    /* ---- ingest ---- */
    [STATEMENT_SOURCE_FIND] = "SELECT id FROM source WHERE name = ?1",
    [STATEMENT_SOURCE_ADD] = "INSERT INTO source(name, created_us) VALUES(?1, ?2)",
    [STATEMENT_SOURCE_SYNC] = "UPDATE source SET syncs = syncs + 1 WHERE id = ?1",
    [STATEMENT_SOURCE_SYNCS] = "SELECT syncs FROM source WHERE id = ?1",
    [STATEMENT_SOURCES] =
        "SELECT name, EXISTS (SELECT 1 FROM record WHERE source_id = source.id) FROM source ORDER BY name",
    [STATEMENT_CUT_FIND] = "SELECT id FROM cut WHERE text = ?1",
    [STATEMENT_CUT_ADD] = "INSERT INTO cut(text) VALUES(?1)",
    [STATEMENT_SEEN_CLEAR] = "DELETE FROM temp.seen",
    [STATEMENT_SEEN_ADD] = "INSERT OR IGNORE INTO temp.seen(seq) VALUES(?1)",
    [STATEMENT_RECORD_FIND] =
        "SELECT seq, source_id, path, language, first_line, last_line, position, content_sha256,"
        " excluded, reason, cut_id FROM record WHERE id = ?1",
    [STATEMENT_RECORD_ADD] =
        "INSERT INTO record(id, source_id, path, language, first_line, last_line, position,"
        " content_sha256, content_length, state, excluded, reason, state_us, cut_id, attempt)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, iif(?10 IS NULL, 1, 6), ?10 IS NOT NULL, ?10, ?11, ?12,"
        " (SELECT attempt FROM fence))",
    [STATEMENT_RECORD_PLACE] = "UPDATE record SET path = ?2, language = ?3, first_line = ?4, last_line = ?5,"
                               " position = ?6 WHERE seq = ?1",
    [STATEMENT_RECORD_CUT] = "UPDATE record SET cut_id = ?2 WHERE seq = ?1",
    /* attempt stays: a lease that was out must not be able to settle the new content. */
    [STATEMENT_RECORD_RESET] =
        "UPDATE record SET content_sha256 = ?2, content_length = ?3, state = iif(?4 IS NULL, 1, 6),"
        " excluded = ?4 IS NOT NULL, reason = ?4, state_us = ?5, tries = 0, error_id = NULL, owner = NULL,"
        " lease_until_us = NULL, not_before_us = NULL, provenance_id = NULL, tokens_in = NULL,"
        " tokens_out = NULL WHERE seq = ?1",
    [STATEMENT_CONTENT_PUT] = "INSERT INTO content(record_seq, bytes) VALUES(?1, ?2)"
                              " ON CONFLICT(record_seq) DO UPDATE SET bytes = excluded.bytes",
    /* '0' follows '/': the range is what begins with the scope and a slash. */
    [STATEMENT_UNSEEN_REMOVE] = "DELETE FROM record WHERE source_id = ?1"
                                " AND (?2 = '' OR path = ?2 OR (path > ?2 || '/' AND path < ?2 || '0'))"
                                " AND NOT EXISTS (SELECT 1 FROM temp.seen WHERE seen.seq = record.seq)",

    /* ---- work ---- */
    /* Each part reads only the rows that it yields, from the index on (state, lease_until_us, not_before_us,
     * seq): of the columns between, all but the one sought are NULL. */
    [STATEMENT_CLAIM_FIND] =
        "SELECT r.seq, r.content_length FROM ("
        "SELECT seq FROM (SELECT seq FROM record WHERE state = 1 AND lease_until_us IS NULL"
        " AND not_before_us IS NULL ORDER BY seq LIMIT ?2)"
        " UNION ALL SELECT seq FROM (SELECT seq FROM record WHERE state = 1 AND lease_until_us IS NULL"
        " AND not_before_us <= ?1 ORDER BY not_before_us, seq LIMIT ?2)"
        " UNION ALL SELECT seq FROM (SELECT seq FROM record WHERE state = 1 AND lease_until_us IS NULL"
        " AND not_before_us > ?3 ORDER BY not_before_us, seq LIMIT ?2)"
        " UNION ALL SELECT seq FROM (SELECT seq FROM record WHERE state = 2 AND lease_until_us <= ?1"
        " ORDER BY lease_until_us, not_before_us, seq LIMIT ?2)) AS next"
        " CROSS JOIN record r ON r.seq = next.seq ORDER BY r.seq LIMIT ?2",
    [STATEMENT_CLAIM] =
        "UPDATE record SET state = 2, attempt = attempt + 1, tries = tries + 1, owner = ?2,"
        " lease_until_us = ?3, not_before_us = NULL, state_us = ?4 WHERE seq = ?1"
        " RETURNING id, (SELECT name FROM source WHERE source.id = source_id), path, language, first_line,"
        " last_line, position, attempt, tries, (SELECT bytes FROM content WHERE record_seq = seq),"
        " content_length",
    [STATEMENT_CLAIM_NEXT_TIME] =
        "SELECT (SELECT not_before_us FROM record WHERE state = 1 AND lease_until_us IS NULL"
        " AND not_before_us > ?1 ORDER BY not_before_us LIMIT 1),"
        " (SELECT lease_until_us FROM record WHERE state = 2 AND lease_until_us > ?1 AND owner <> ?2"
        " ORDER BY lease_until_us LIMIT 1)",
    [STATEMENT_RENEW] = "UPDATE record SET lease_until_us = ?2 WHERE state = 2 AND owner = ?1",
    /* The guard of exactly once: only the lease of this very attempt can settle. ?7: released, as if it had
     * not been claimed. */
    [STATEMENT_SETTLE] =
        "UPDATE record SET state = ?3, error_id = iif(?7, error_id, ?4), reason = iif(?7, reason, ?5),"
        " state_us = ?6, tries = tries - ?7, not_before_us = ?8, owner = NULL, lease_until_us = NULL"
        " WHERE id = ?1 AND attempt = ?2 AND state = 2 RETURNING seq",
    [STATEMENT_PROVENANCE_FIND] =
        "SELECT id FROM provenance WHERE model = ?1 AND model_fingerprint = ?2 AND precision = ?3"
        " AND sampling = ?4 AND template_id = ?5 AND engine = " TEXTS_ENGINE,
    [STATEMENT_PROVENANCE_ADD] =
        "INSERT INTO provenance(model, model_fingerprint, precision, sampling, template_id, engine)"
        " VALUES(?1, ?2, ?3, ?4, ?5, " TEXTS_ENGINE ")",
    [STATEMENT_SUMMARY_DEMOTE] = "UPDATE summary SET current = 0 WHERE record_seq = ?1 AND current = 1",
    /* An equal key is an equal result: the one that is there becomes the current one again, as made by the
     * present settings, which may name another prompt template of the same text. Else it would stay stale. */
    [STATEMENT_SUMMARY_ADD] =
        "INSERT INTO summary(id, record_seq, result_key, current, text, confidence, provenance_id,"
        " tokens_in, tokens_out, inference_ms, content_sha256, created_us, reused, degraded_reason)"
        " SELECT ?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, content_sha256, ?10, ?11, ?12"
        " FROM record WHERE seq = ?2"
        " ON CONFLICT(record_seq, result_key) DO UPDATE SET current = 1,"
        " provenance_id = excluded.provenance_id, content_sha256 = excluded.content_sha256,"
        " degraded_reason = excluded.degraded_reason",
    [STATEMENT_RECORD_RESULT] =
        "UPDATE record SET (provenance_id, tokens_in, tokens_out) ="
        " (SELECT provenance_id, tokens_in, tokens_out FROM summary WHERE record_seq = ?1 AND current = 1)"
        " WHERE seq = ?1",
    [STATEMENT_OWNERS] = "SELECT DISTINCT owner FROM record WHERE state = 2 ORDER BY owner",
    [STATEMENT_RELEASE_OWNER] = "UPDATE record SET state = 1, owner = NULL, lease_until_us = NULL,"
                                " state_us = ?2 WHERE state = 2 AND owner = ?1",

    /* ---- reading ---- */
    [STATEMENT_COUNTS] = "SELECT state, records, summaries, tokens_in, tokens_out FROM tally",
    [STATEMENT_REASONS] =
        "SELECT min(reason), state, count(*) AS n, substr(reason, 1, instr(reason || ':', ':') - 1) AS kind"
        " FROM record WHERE state IN (4, 5, 6) AND reason IS NOT NULL"
        " GROUP BY kind, state ORDER BY n DESC, kind, state LIMIT ?1",
    [STATEMENT_LIST] = "SELECT " ROW_COLUMNS "," LIST_FROM ROW_JOINS LIST_WHERE
                       " ORDER BY source.name, r.path, r.position, r.seq LIMIT ?6",
    /* Sorts the summaries of one record at a time. */
    [STATEMENT_LIST_VERSIONS] =
        "SELECT " ROW_COLUMNS "," LIST_FROM " LEFT JOIN summary s ON s.record_seq = r.seq"
        " LEFT JOIN provenance p ON p.id = s.provenance_id" LIST_WHERE
        " ORDER BY source.name, r.path, r.position, r.seq, s.seq DESC LIMIT ?6",
    [STATEMENT_GET] = "SELECT " ROW_COLUMNS ","
                      " (SELECT bytes FROM content WHERE record_seq = r.seq),"
                      " (SELECT count(*) FROM (SELECT 1 FROM record WHERE id >= ?1 AND id < ?2 LIMIT 2))"
                      " FROM record r CROSS JOIN source ON source.id = r.source_id" ROW_JOINS
                      " WHERE r.id >= ?1 AND r.id < ?2 ORDER BY r.id LIMIT 1",

    /* ---- versions ---- */
    [STATEMENT_FIND_RESULT] =
        "SELECT " VERSION_COLUMNS " FROM summary s CROSS JOIN record r ON r.seq = s.record_seq"
        " CROSS JOIN provenance p ON p.id = s.provenance_id"
        " WHERE s.seq = (SELECT seq FROM summary WHERE result_key = ?1 ORDER BY seq LIMIT 1)",
    [STATEMENT_STALE_COUNT] = "SELECT count(*)" STALE_FROM,
    /* With the newest version of the present content that is as wanted. */
    [STATEMENT_STALE_FIND] =
        "SELECT r.seq, (SELECT s.seq FROM summary s CROSS JOIN provenance q ON q.id = s.provenance_id"
        " WHERE s.record_seq = r.seq AND s.content_sha256 = r.content_sha256 AND " IS_WANTED(
            "q") " ORDER BY s.seq DESC LIMIT 1)" STALE_FROM " LIMIT ?5",
    /* The few cuts first, then of each only the records that it made, from the index. */
    [STATEMENT_CUTS] =
        "SELECT source.name, c.text, count(*), coalesce(sum(r.state IN (3, 4)), 0)"
        " FROM cut c CROSS JOIN record r ON r.cut_id = c.id CROSS JOIN source ON source.id = r.source_id"
        " WHERE ?1 IS NULL OR c.text <> ?1 GROUP BY source.name, c.text ORDER BY source.name, c.text",
    [STATEMENT_SUMMARY_PROMOTE] = "UPDATE summary SET current = 1 WHERE seq = ?1",
    [STATEMENT_RECORD_RESTORE] =
        "UPDATE record SET (provenance_id, tokens_in, tokens_out, reason, state) = (SELECT provenance_id,"
        " tokens_in, tokens_out, degraded_reason, iif(degraded_reason IS NULL, 3, 4) FROM summary"
        " WHERE record_seq = ?1 AND current = 1), state_us = ?2 WHERE seq = ?1",
    [STATEMENT_REQUEUE] = "UPDATE record SET state = 1, state_us = ?2, tries = 0, error_id = NULL,"
                          " reason = NULL WHERE seq = ?1",
    [STATEMENT_REQUEUE_FIND] = "SELECT seq FROM record WHERE state = ?1 AND lease_until_us IS NULL AND "
                               "not_before_us IS NULL AND seq > ?2" REQUEUE_WHERE " ORDER BY seq LIMIT ?4",
    /* By the ids' index: a prefix chooses few. */
    [STATEMENT_REQUEUE_FIND_ID] =
        "SELECT seq FROM record WHERE id >= ?5 AND id < ?6 AND +state = ?1 AND +seq > ?2" REQUEUE_WHERE
        " ORDER BY +seq LIMIT ?4",

    /* ---- runs ---- */
    [STATEMENT_RUN_ADD] =
        "INSERT INTO run(id, owner, state, started_us, heartbeat_us, settings, metrics, end_reason, total,"
        " completed, degraded, failed, skipped, stale, retried, reused, tokens_in, tokens_out, command)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, 1)"
        " ON CONFLICT(id) DO NOTHING",
    [STATEMENT_RUN_UPDATE] =
        "UPDATE run SET state = ?2, heartbeat_us = ?3, ended_us = ?4, metrics = ?5, end_reason = ?6,"
        " total = ?7, completed = ?8, degraded = ?9, failed = ?10, skipped = ?11, stale = ?12,"
        " retried = ?13, reused = ?14, tokens_in = ?15, tokens_out = ?16 WHERE id = ?1 RETURNING command",
    [STATEMENT_RUN_COMMAND_GET] = "SELECT command FROM run WHERE id = ?1",
    [STATEMENT_RUN_FIND_ACTIVE] = "SELECT id, state, command FROM run WHERE state IN (1, 2)"
                                  " AND substr(id, 1, length(?1)) = ?1 LIMIT 2",
    [STATEMENT_RUN_FIND_ENDED] = "SELECT id, state, command FROM run WHERE id >= ?1 AND id < ?2"
                                 " ORDER BY id DESC LIMIT 1",
    [STATEMENT_RUN_COMMAND_SET] = "UPDATE run SET command = ?2, command_us = ?3 WHERE id = ?1",
    [STATEMENT_RUN_LOST] = "UPDATE run SET state = 8, ended_us = ?2 WHERE state IN (1, 2) AND owner = ?1",
    [STATEMENT_RUN_COUNT] =
        "UPDATE run SET completed = completed + ?2, degraded = degraded + ?3, failed = failed + ?4,"
        " skipped = skipped + ?5, stale = stale + ?6, retried = retried + ?7, reused = reused + ?8,"
        " tokens_in = tokens_in + ?9, tokens_out = tokens_out + ?10 WHERE id = ?1",
    [STATEMENT_RUN_LIST] = "SELECT " RUN_COLUMNS " FROM run WHERE (?1 IS NULL OR (id >= ?1 AND id < ?2))"
                           " ORDER BY seq DESC LIMIT ?3",
    /* By the index of the active ones: they are few, and the history may be long. */
    [STATEMENT_RUN_LIST_ACTIVE] = "SELECT " RUN_COLUMNS " FROM run WHERE state IN (1, 2)"
                                  " AND (?1 IS NULL OR (+id >= ?1 AND +id < ?2)) ORDER BY +seq DESC LIMIT ?3",
};
