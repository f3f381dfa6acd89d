/* Every bound in Dobby, with its reason. What exceeds one gets an error that names it. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <assert.h>
#include <stddef.h>

/* ---- base ---- */
/* One buffer never needs more than the largest content plus its JSON escapes; beyond that a length is a bug
 * or an attack. */
#define LIMIT_BUFFER_BYTES ((size_t)1 << 30)
/* An arena lives for one job; a job that needs more than this is mis-sized. */
#define LIMIT_ARENA_BYTES ((size_t)1 << 30)
/* tokenizer.json of a 150k-token vocabulary is 7 MB; the largest known are under 40 MB. */
#define LIMIT_JSON_BYTES ((size_t)64 << 20)

/* ---- ingest ---- */
/* A larger source file is generated or data: it is skipped and counted, not read. */
#define LIMIT_FILE_BYTES ((size_t)4 << 20)
/* Bytes of a path below its source's root; Linux' PATH_MAX. */
#define LIMIT_PATH_BYTES 4096
/* Directories nested deeper than this are link loops or attacks. */
#define LIMIT_DIRECTORY_DEPTH 128
/* A chunk holds at least this many tokens: one character can be a dozen (an invalid byte becomes three). */
#define LIMIT_CHUNK_TOKENS_MIN 16u

/* ---- store ---- */
/* A record's id: a SHA-256 in hex, or a table's key as text. */
#define LIMIT_RECORD_ID_BYTES 256
/* Records claimed or settled in one transaction: bounds memory, and how long others wait for the write lock.
 */
#define LIMIT_BATCH_RECORDS 1024
/* A record's content; equals the file limit since a chunk is never larger than its file. */
#define LIMIT_CONTENT_BYTES LIMIT_FILE_BYTES
/* Content in one claimed batch; one that would exceed it is cut short, so that a batch of the largest
 * records cannot take gigabytes. */
#define LIMIT_BATCH_CONTENT_BYTES ((size_t)64 << 20)
/* A stored path: a name that is not UTF-8 is shown with four characters a byte. */
#define LIMIT_RECORD_PATH_BYTES ((size_t)4 * LIMIT_PATH_BYTES)
/* Names of languages, models, precisions, templates, engines, error ids; sampling settings in text. */
#define LIMIT_LABEL_BYTES 1024
/* An owner of leases: PROCESS_IDENTITY_TEXT_BYTES and a suffix fit. */
#define LIMIT_OWNER_BYTES 1024
/* Why a record failed or was skipped: an error's detail with its causes fits. */
#define LIMIT_REASON_BYTES 4096
/* The longest that a record waits to be tried again. A retry that lies further ahead was set by a clock that
 * has been put back since, and is due. */
#define LIMIT_RETRY_WAIT_MS (60 * 1000)
/* A run's settings or its snapshot of metrics as JSON: some hundred numbers and samples of errors fit. */
#define LIMIT_RUN_JSON_BYTES ((size_t)256 << 10)
/* A summary's text: LIMIT_GENERATED_TOKENS of the longest usual tokens. */
#define LIMIT_SUMMARY_BYTES ((size_t)1 << 20)
/* Kinds of reasons reported at once; where a source's reader gives them they could be as many as the records.
 */
#define LIMIT_REASON_ROWS 1024
/* Ids seen in one synchronisation, about 10 bytes each, are kept in memory: 25 million records. */
#define LIMIT_STORE_SEEN_BYTES ((size_t)256 << 20)

/* ---- model files ---- */
/* Metadata keys and tensors in a model file: ten times what 100-layer models have. */
#define LIMIT_MODEL_TENSORS 16384
#define LIMIT_MODEL_METADATA 4096
/* Vocabulary entries: the largest known have 262,144. */
#define LIMIT_VOCABULARY_TOKENS (1u << 20)
/* One token's bytes. */
#define LIMIT_TOKEN_BYTES 1024
/* Shards of a Hugging Face directory. */
#define LIMIT_MODEL_SHARDS 256
/* Sizes in a model's configuration; beyond them a product could overflow or a file is hostile. */
#define LIMIT_MODEL_LAYERS 512
#define LIMIT_MODEL_HEADS 512
#define LIMIT_MODEL_WIDTH (1u << 18)
#define LIMIT_CONTEXT_TOKENS (1u << 20)

/* ---- inference ---- */
/* Sequences in one engine; their bookkeeping is small, their KV is accounted apart. */
#define LIMIT_SESSIONS 4096
#define LIMIT_THREADS 256
/* Tokens generated for one record. */
#define LIMIT_GENERATED_TOKENS 4096

/* ---- prompts ---- */
#define LIMIT_PROMPT_TEMPLATE_BYTES ((size_t)64 << 10)
/* Each repeats a value that may be as large as a content; nobody needs more than a few. */
#define LIMIT_PROMPT_PLACEHOLDERS 32

/* Different prompts that a plan tells apart, 16 bytes each: more than any code base has, in 64 to 128 MiB. */
#define LIMIT_PLAN_KEYS ((size_t)4 << 20)

/* ---- application ---- */
/* Rows in a saved report of measurements: a hundred times what all kernel sets have together. */
#define LIMIT_REPORT_ROWS 20000
/* A configuration file has some twenty keys. */
#define LIMIT_CONFIG_BYTES ((size_t)64 << 10)
/* Dots, braces and brackets in one: they bound how deep its tables nest, and so the parser's stack. */
#define LIMIT_CONFIG_NESTING 1024

static_assert(LIMIT_CONTENT_BYTES <= LIMIT_FILE_BYTES, "a chunk is never larger than its file");
static_assert(LIMIT_BATCH_CONTENT_BYTES >= LIMIT_CONTENT_BYTES, "any one record can be claimed");
static_assert(LIMIT_FILE_BYTES * 8 < LIMIT_BUFFER_BYTES, "a content's JSON escape fits a buffer");

#endif
