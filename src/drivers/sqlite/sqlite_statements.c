#include "drivers/sqlite/sqlite_statements.h"

/* States stand as their numbers in enum record_state: 1 pending, 2 leased, 3 completed, 4 degraded,
 * 5 failed, 6 skipped. */

/* What a listing reads of a record; the columns are numbered in sqlite_read.c. */
#define ROW_COLUMNS                                                                                          \
    "r.id, source.name, r.path, r.language, r.first_line, r.last_line, r.position, r.state, r.attempt,"      \
    " r.tries, r.error_id, r.reason, r.content_sha256, r.content_length, r.state_us, s.id, s.result_key,"    \
    " s.text, s.confidence, p.model, p.model_fingerprint, p.precision, p.sampling, p.template_id,"           \
    " p.engine, s.tokens_in, s.tokens_out, s.inference_ms, s.created_us"
#define ROW_JOINS                                                                                            \
    " LEFT JOIN summary s ON s.record_seq = r.seq AND s.current = 1"                                         \
    " LEFT JOIN provenance p ON p.id = s.provenance_id"

const char *const sqlite_statement_text[STATEMENT_COUNT] = {

    /* ---- ingest ---- */
    [STATEMENT_SOURCE_FIND] = "SELECT id FROM source WHERE name = ?1",
    [STATEMENT_SOURCE_ADD] = "INSERT INTO source(name, created_us) VALUES(?1, ?2)",
    [STATEMENT_SEEN_CLEAR] = "DELETE FROM temp.seen",
    [STATEMENT_SEEN_ADD] = "INSERT OR IGNORE INTO temp.seen(seq) VALUES(?1)",
    [STATEMENT_RECORD_FIND] =
        "SELECT seq, source_id, path, language, first_line, last_line, position, content_sha256,"
        " excluded, reason FROM record WHERE id = ?1",
    [STATEMENT_RECORD_ADD] =
        "INSERT INTO record(id, source_id, path, language, first_line, last_line, position,"
        " content_sha256, content_length, state, excluded, reason, state_us)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, iif(?10 IS NULL, 1, 6), ?10 IS NOT NULL, ?10, ?11)",
    [STATEMENT_RECORD_PLACE] = "UPDATE record SET path = ?2, language = ?3, first_line = ?4, last_line = ?5,"
                               " position = ?6 WHERE seq = ?1",
    /* attempt stays: a lease that was out must not be able to settle the new content. */
    [STATEMENT_RECORD_RESET] =
        "UPDATE record SET content_sha256 = ?2, content_length = ?3, state = iif(?4 IS NULL, 1, 6),"
        " excluded = ?4 IS NOT NULL, reason = ?4, state_us = ?5, tries = 0, error_id = NULL, owner = NULL,"
        " lease_until_us = NULL WHERE seq = ?1",
    [STATEMENT_CONTENT_PUT] = "INSERT INTO content(record_seq, bytes) VALUES(?1, ?2)"
                              " ON CONFLICT(record_seq) DO UPDATE SET bytes = excluded.bytes",
    [STATEMENT_SUMMARY_DROP] = "DELETE FROM summary WHERE record_seq = ?1",
    /* '0' follows '/': the range is what begins with the scope and a slash. */
    [STATEMENT_UNSEEN_REMOVE] = "DELETE FROM record WHERE source_id = ?1"
                                " AND (?2 = '' OR path = ?2 OR (path > ?2 || '/' AND path < ?2 || '0'))"
                                " AND NOT EXISTS (SELECT 1 FROM temp.seen WHERE seen.seq = record.seq)",

    /* ---- work ---- */
    /* Both halves read only the rows that they yield, from the index on (state, lease_until_us, seq). */
    [STATEMENT_CLAIM_FIND] =
        "SELECT r.seq, r.content_length"
        " FROM (SELECT seq FROM (SELECT seq FROM record WHERE state = 1 AND lease_until_us IS NULL"
        " ORDER BY seq LIMIT ?2)"
        " UNION ALL SELECT seq FROM (SELECT seq FROM record WHERE state = 2 AND lease_until_us <= ?1"
        " ORDER BY seq LIMIT ?2)) AS next"
        " CROSS JOIN record r ON r.seq = next.seq ORDER BY r.seq LIMIT ?2",
    [STATEMENT_CLAIM] =
        "UPDATE record SET state = 2, attempt = attempt + 1, tries = tries + 1, owner = ?2,"
        " lease_until_us = ?3, state_us = ?4 WHERE seq = ?1"
        " RETURNING id, (SELECT name FROM source WHERE source.id = source_id), path, language, first_line,"
        " last_line, position, attempt, (SELECT bytes FROM content WHERE record_seq = seq)",
    [STATEMENT_RENEW] = "UPDATE record SET lease_until_us = ?2 WHERE state = 2 AND owner = ?1",
    /* The guard of exactly once: only the lease of this very attempt can settle. */
    [STATEMENT_SETTLE] = "UPDATE record SET state = ?3, error_id = ?4, reason = ?5, state_us = ?6,"
                         " tries = tries - ?7, owner = NULL, lease_until_us = NULL"
                         " WHERE id = ?1 AND attempt = ?2 AND state = 2 RETURNING seq",
    [STATEMENT_PROVENANCE_FIND] =
        "SELECT id FROM provenance WHERE model = ?1 AND model_fingerprint = ?2 AND precision = ?3"
        " AND sampling = ?4 AND template_id = ?5 AND engine = ?6",
    [STATEMENT_PROVENANCE_ADD] =
        "INSERT INTO provenance(model, model_fingerprint, precision, sampling, template_id, engine)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [STATEMENT_SUMMARY_DEMOTE] = "UPDATE summary SET current = 0 WHERE record_seq = ?1 AND current = 1",
    /* An equal key is an equal result: the one that is there becomes the current one again. */
    [STATEMENT_SUMMARY_ADD] =
        "INSERT INTO summary(id, record_seq, result_key, current, text, confidence, provenance_id,"
        " tokens_in, tokens_out, inference_ms, content_sha256, created_us)"
        " SELECT ?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, content_sha256, ?10 FROM record WHERE seq = ?2"
        " ON CONFLICT(record_seq, result_key) DO UPDATE SET current = 1",
    [STATEMENT_OWNERS] = "SELECT DISTINCT owner FROM record WHERE state = 2 ORDER BY owner",
    [STATEMENT_RELEASE_OWNER] = "UPDATE record SET state = 1, owner = NULL, lease_until_us = NULL,"
                                " state_us = ?2 WHERE state = 2 AND owner = ?1",

    /* ---- reading ---- */
    [STATEMENT_COUNTS] =
        "SELECT state, count(*), 0, 0 FROM record GROUP BY state UNION ALL"
        " SELECT 0, count(*), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0) FROM summary"
        " WHERE current = 1",
    [STATEMENT_REASONS] =
        "SELECT reason, state, count(*) AS n FROM record WHERE state IN (4, 5, 6) AND reason IS NOT NULL"
        " GROUP BY reason, state ORDER BY n DESC, reason, state LIMIT ?1",
    /* The nested loops yield the order: sources by name, their records by the index on (source_id, path,
     * position, seq). Nothing is sorted, so the first row comes at once and memory stays flat. */
    [STATEMENT_LIST] = "SELECT " ROW_COLUMNS ","
                       " iif(?5, (SELECT bytes FROM content WHERE record_seq = r.seq), NULL)"
                       " FROM source CROSS JOIN record r ON r.source_id = source.id" ROW_JOINS
                       " WHERE (?1 = 0 OR r.state = ?1) AND (?2 IS NULL OR r.path GLOB ?2)"
                       " AND (?3 IS NULL OR (r.id >= ?3 AND r.id < ?4))"
                       " ORDER BY source.name, r.path, r.position, r.seq LIMIT ?6",
    [STATEMENT_GET] = "SELECT " ROW_COLUMNS ","
                      " (SELECT bytes FROM content WHERE record_seq = r.seq),"
                      " (SELECT count(*) FROM (SELECT 1 FROM record WHERE id >= ?1 AND id < ?2 LIMIT 2))"
                      " FROM record r CROSS JOIN source ON source.id = r.source_id" ROW_JOINS
                      " WHERE r.id >= ?1 AND r.id < ?2 ORDER BY r.id LIMIT 1",
};
