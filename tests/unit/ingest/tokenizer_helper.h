#ifndef TESTS_UNIT_INGEST_TOKENIZER_HELPER_H
#define TESTS_UNIT_INGEST_TOKENIZER_HELPER_H

#include "infer/tokenizer/tokenizer.h"

/* The embedded model's tokenizer, opened once for the program; fails the test when it cannot be. */
const struct tokenizer *embedded_tokenizer(void);
void embedded_tokenizer_close(void);
size_t token_count(const char *bytes, size_t length);

#endif
