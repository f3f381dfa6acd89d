/* Every error Dobby can report: the one place where a message and its remedy are written.
 * docs/errors.md is generated from this table by `dobby-errors` and checked by `make check`.
 *
 * X(name, id, severity, retry, message, remedy)
 *   name      DOBBY_<name> is the code that callers branch on.
 *   id        stable, shown to people, never reused.
 *   severity  WARNING: the run goes on; ERROR: this operation failed; FATAL: the process cannot go on.
 *   retry     RETRY: the same call may succeed later; FINAL: it will not.
 *   message   what happened, without the particulars: those are the error's detail.
 *   remedy    what the user can do about it.
 */
#ifndef DOBBY_ERROR_TABLE_H
#define DOBBY_ERROR_TABLE_H

#define DOBBY_ERRORS(X)                                                                                      \
    /* base */                                                                                               \
    X(OUT_OF_MEMORY, "BASE-0001", ERROR, RETRY, "out of memory",                                             \
      "close other programs, lower --sessions, or choose a smaller model")                                   \
    X(LIMIT_EXCEEDED, "BASE-0002", ERROR, FINAL, "a limit was exceeded",                                     \
      "make the input smaller; the detail names the limit and its value")                                    \
    X(INVALID_ARGUMENT, "BASE-0003", ERROR, FINAL, "an argument is not valid",                               \
      "correct the argument that the detail names")                                                          \
    X(INTERNAL, "BASE-0004", FATAL, FINAL, "an internal check failed",                                       \
      "this is a bug in Dobby: report the id, the detail and the source location")                           \
    X(JSON_INVALID, "BASE-0005", ERROR, FINAL, "text is not valid JSON",                                     \
      "correct the JSON at the line and column that the detail names")                                       \
    X(CANCELED, "BASE-0006", WARNING, RETRY, "the operation was canceled",                                   \
      "run the same command again to do what is missing")                                                    \
    X(CRYPTO_FAILED, "BASE-0007", ERROR, FINAL, "a cryptographic operation failed",                          \
      "check that OpenSSL 3 is installed and its configuration allows SHA-256")                              \
    /* operating system */                                                                                   \
    X(IO_FAILED, "OS-0001", ERROR, RETRY, "reading or writing failed",                                       \
      "check the disk and the file that the detail names")                                                   \
    X(FILE_NOT_FOUND, "OS-0002", ERROR, FINAL, "no such file or directory", "check the path")                \
    X(PERMISSION_DENIED, "OS-0003", ERROR, FINAL, "permission denied",                                       \
      "give this user access to the file, or run as a user who has it")                                      \
    X(DISK_FULL, "OS-0004", ERROR, RETRY, "no space left on the device",                                     \
      "free some space and run the same command again; nothing was lost")                                    \
    X(TOO_MANY_FILES, "OS-0005", ERROR, RETRY, "too many open files",                                        \
      "raise the limit (ulimit -n) or lower the concurrency")                                                \
    X(WRONG_FILE_TYPE, "OS-0006", ERROR, FINAL, "not the kind of file that is needed",                       \
      "name a regular file, or a directory where one is asked for")                                          \
    X(THREAD_FAILED, "OS-0007", ERROR, RETRY, "a thread could not be started",                               \
      "lower --threads, or raise the process limit (ulimit -u)")                                             \
    /* store */                                                                                              \
    X(STORE_URL_INVALID, "STORE-0001", ERROR, FINAL, "the database URL is not understood",                   \
      "use sqlite:PATH")                                                                                     \
    X(STORE_OPEN_FAILED, "STORE-0002", ERROR, FINAL, "the database could not be opened",                     \
      "check that its directory exists and that this user may write there")                                  \
    X(STORE_BUSY, "STORE-0003", WARNING, RETRY, "the database is locked by another process",                 \
      "wait for the other process, or raise store.busy_timeout_ms")                                          \
    X(STORE_SCHEMA_NEWER, "STORE-0004", ERROR, FINAL, "the database was written by a newer Dobby",           \
      "upgrade Dobby, or use another database")                                                              \
    X(STORE_READ_ONLY, "STORE-0005", ERROR, FINAL, "the database is read-only",                              \
      "make the file and its directory writable for this user, or copy it to such a place")                  \
    X(STORE_CORRUPT, "STORE-0006", ERROR, FINAL, "the database is damaged or not Dobby's",                   \
      "restore it from a backup, or name another database")                                                  \
    X(STORE_FULL, "STORE-0007", ERROR, RETRY, "the database's disk is full",                                 \
      "free some space and run the same command again; nothing was lost")                                    \
    X(STORE_FAILED, "STORE-0008", ERROR, RETRY, "the database refused an operation",                         \
      "see the detail; if it repeats, report it as a bug")                                                   \
    X(STORE_NOT_FOUND, "STORE-0009", ERROR, FINAL, "no such record", "list the ids with: dobby list")        \
    X(STORE_AMBIGUOUS_ID, "STORE-0010", ERROR, FINAL, "more than one record has this id prefix",             \
      "give more characters of the id")                                                                      \
    X(STORE_MISSING, "STORE-0011", ERROR, FINAL, "there is no such database yet",                            \
      "run dobby ingest first, or name another database with --db")                                          \
    X(STORE_SCHEMA_OLDER, "STORE-0012", ERROR, FINAL, "the database was written by an older Dobby",          \
      "run dobby ingest or dobby run: they bring it up to date, and keep what is in it")                     \
    X(STORE_MOVED, "STORE-0013", ERROR, FINAL, "the database was removed or replaced while it was in use",   \
      "put the file back, with the -wal file beside it, or ingest anew; then run the same command again")    \
    X(STORE_SYNC_LOST, "STORE-0014", ERROR, FINAL, "another ingest of this source began meanwhile",          \
      "wait for the other one, then run dobby ingest again")                                                 \
    /* model files and tokenizers */                                                                         \
    X(MODEL_NOT_FOUND, "MODEL-0001", ERROR, FINAL, "no such model",                                          \
      "give --model a .gguf file or a Hugging Face directory that exists")                                   \
    X(MODEL_FORMAT_UNKNOWN, "MODEL-0002", ERROR, FINAL, "not a model file",                                  \
      "give --model a .gguf file or a directory with config.json and *.safetensors")                         \
    X(MODEL_CORRUPT, "MODEL-0003", ERROR, FINAL, "the model file is damaged or truncated",                   \
      "download or copy the model again and compare its checksum")                                           \
    X(MODEL_UNSUPPORTED, "MODEL-0004", ERROR, FINAL, "the model uses something unsupported",                 \
      "use a Qwen2 or Llama model in F32, F16, BF16, Q8_0 or Q4_0")                                          \
    X(TOKENIZER_INVALID, "MODEL-0005", ERROR, FINAL, "the tokenizer is damaged",                             \
      "download or copy the model again and compare its checksum")                                           \
    X(TOKENIZER_UNSUPPORTED, "MODEL-0006", ERROR, FINAL, "the tokenizer uses something unsupported",         \
      "use a model with a byte-level BPE tokenizer (Qwen2, GPT-2 or SmolLM2 split)")                         \
    /* inference */                                                                                          \
    X(QUEUE_FULL, "INFER-0001", WARNING, RETRY, "the engine's queue is full",                                \
      "wait for results before submitting more")                                                             \
    X(CONTEXT_EXCEEDED, "INFER-0002", ERROR, FINAL, "the prompt is longer than the context",                 \
      "split the content, or use a model with a longer context")                                             \
    X(KV_EXHAUSTED, "INFER-0003", ERROR, FINAL, "the KV cache limit cannot hold this prompt",                \
      "raise engine.kv_cache_mb")                                                                            \
    X(CPU_UNSUPPORTED, "INFER-0004", ERROR, FINAL, "this processor lacks the forced kernel set",             \
      "unset DOBBY_CPU, or name a kernel set that the detail lists")                                         \
    X(NUMERIC_FAILURE, "INFER-0005", ERROR, FINAL, "the model produced a value that is no number",           \
      "verify the model file; if it is intact, report it as a bug")                                          \
    /* ingest */                                                                                             \
    X(INGEST_NOTHING, "INGEST-0001", ERROR, FINAL, "nothing to ingest was found",                            \
      "name a directory or file that has text in it and is not ignored by git")                              \
    X(GIT_FAILED, "INGEST-0002", ERROR, FINAL, "the git repository could not be read",                       \
      "run `git status` there and follow what it says")                                                      \
    X(INGEST_CHUNKS_TOO_LONG, "INGEST-0003", WARNING, FINAL,                                                 \
      "the longest chunks do not fit the model's context",                                                   \
      "lower ingest.chunk_tokens or run.max_tokens, or raise engine.context_tokens, then: dobby ingest")     \
    X(INGEST_NOT_TEXT, "INGEST-0004", ERROR, FINAL, "this is not text that can be summarised",               \
      "make it UTF-8 first, as with: iconv -f UTF-16 -t UTF-8 FILE | dobby summarize -")                     \
    X(INGEST_EMPTIED, "INGEST-0005", ERROR, FINAL, "a source that was ingested has no file any more",        \
      "mount its disk; or, if it is meant to be empty, remove its records: dobby ingest --emptied PATH")     \
    /* prompts */                                                                                            \
    X(PROMPT_INVALID, "PROMPT-0001", ERROR, FINAL, "the prompt template is not valid",                       \
      "the template must contain {content}, and may contain {path} and {language}")                          \
    /* runs */                                                                                               \
    X(ABANDONED, "RUN-0001", ERROR, FINAL, "the record takes its workers down with it",                      \
      "summarise it alone (dobby show, dobby summarize) to see why, then: dobby retry ID")                   \
    X(RUN_NOT_FOUND, "RUN-0002", ERROR, FINAL, "no such run", "list the runs with: dobby runs")              \
    X(RUN_AMBIGUOUS, "RUN-0003", ERROR, FINAL, "more than one run may be meant",                             \
      "name one of them by its id or the beginning of it")                                                   \
    X(RUN_ENDED, "RUN-0004", ERROR, FINAL, "the run has ended or is about to",                               \
      "start another with dobby run: it goes on where this one stopped")                                     \
    X(SUMMARY_DEGRADED, "RUN-0005", WARNING, FINAL, "the summary did not pass the quality gates",            \
      "read the text before you rely on it; a smaller piece of it, or a larger model, may do better")        \
    /* application */                                                                                        \
    X(USAGE, "APP-0001", ERROR, FINAL, "the command line is not understood",                                 \
      "see: dobby --help, or dobby COMMAND --help")                                                          \
    X(CONFIG_INVALID, "APP-0002", ERROR, FINAL, "the configuration is not valid",                            \
      "correct the key at the place that the detail names; see: dobby config show")                          \
    X(OUTPUT_FAILED, "APP-0003", ERROR, FINAL, "the output could not be written",                            \
      "check the disk and the permissions of the output file")                                               \
    X(OUTPUT_CLOSED, "APP-0004", WARNING, FINAL, "the reader of the output has gone away",                   \
      "nothing to do: the output was cut where its reader stopped")                                          \
    X(VARIABLE_UNKNOWN, "APP-0005", WARNING, FINAL,                                                          \
      "an environment variable that Dobby does not read is set",                                             \
      "unset it, or correct its name; docs/configuration.md lists them")

#endif
