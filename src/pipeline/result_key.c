#include "pipeline/result_key.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Changing what goes into the key needs another one here, so that old results do not look current. */
static const char key_version[] = "dobby.result@1";
static const char seed_version[] = "dobby.seed@1";

void sampling_text(const struct sampling *sampling, uint64_t run_seed, uint32_t tokens_max,
                   char text[SAMPLING_TEXT_BYTES])
{
    double penalty = (double)sampling->repetition_penalty;
    if (sampling->temperature > 0)
        snprintf(text, SAMPLING_TEXT_BYTES,
                 "temperature=%.9g top_k=%" PRIu32 " top_p=%.9g repetition_penalty=%.9g tokens_max=%" PRIu32
                 " seed=%" PRIu64,
                 (double)sampling->temperature, sampling->top_k, (double)sampling->top_p, penalty, tokens_max,
                 run_seed);
    else
        snprintf(text, SAMPLING_TEXT_BYTES, "greedy repetition_penalty=%.9g tokens_max=%" PRIu32, penalty,
                 tokens_max);
}

static void put_u64(uint64_t value, uint8_t bytes[8])
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

/* Hashes the prompt as runs of special and of plain bytes: their number, then kind, length and bytes each. */
static dobby_code hash_prompt(struct sha256 *sha, const struct text_span *spans, size_t count,
                              struct dobby_error *err)
{
    uint8_t number[8];
    uint64_t runs = 0;
    for (size_t i = 0; i < count; i++)
        runs += i == 0 || spans[i].special != spans[i - 1].special;
    put_u64(runs, number);
    dobby_code code = sha256_update(sha, number, sizeof(number), err);
    for (size_t i = 0, end; i < count && code == DOBBY_OK; i = end) {
        uint64_t bytes = 0;
        for (end = i; end < count && spans[end].special == spans[i].special; end++)
            bytes += spans[end].length;
        uint8_t special = spans[i].special;
        put_u64(bytes, number);
        code = sha256_update(sha, &special, 1, err);
        if (code == DOBBY_OK)
            code = sha256_update(sha, number, sizeof(number), err);
        for (size_t k = i; k < end && code == DOBBY_OK; k++)
            code = sha256_update(sha, spans[k].bytes, spans[k].length, err);
    }
    return code;
}

dobby_code result_key(const struct text_span *spans, size_t count, const struct engine_info *info,
                      const char *sampling, uint8_t key[SHA256_BYTES], struct dobby_error *err)
{
    struct sha256 sha = {0};
    memset(key, 0, SHA256_BYTES);
    dobby_code code = sha256_init(&sha, err);
    if (code == DOBBY_OK)
        code = sha256_field(&sha, key_version, strlen(key_version), err);
    if (code == DOBBY_OK)
        code = hash_prompt(&sha, spans, count, err);
    if (code == DOBBY_OK)
        code = sha256_field(&sha, info->fingerprint, strlen(info->fingerprint), err);
    if (code == DOBBY_OK)
        code = sha256_field(&sha, info->precision, strlen(info->precision), err);
    if (code == DOBBY_OK)
        code = sha256_field(&sha, sampling, strlen(sampling), err);
    if (code == DOBBY_OK)
        code = sha256_final(&sha, key, err);
    sha256_release(&sha);
    return code;
}

dobby_code result_seed(uint64_t run_seed, const uint8_t key[SHA256_BYTES], uint64_t *seed,
                       struct dobby_error *err)
{
    struct sha256 sha = {0};
    uint8_t number[8], digest[SHA256_BYTES];
    *seed = 0;
    put_u64(run_seed, number);
    dobby_code code = sha256_init(&sha, err);
    if (code == DOBBY_OK)
        code = sha256_field(&sha, seed_version, strlen(seed_version), err);
    if (code == DOBBY_OK)
        code = sha256_field(&sha, number, sizeof(number), err);
    if (code == DOBBY_OK)
        code = sha256_field(&sha, key, SHA256_BYTES, err);
    if (code == DOBBY_OK)
        code = sha256_final(&sha, digest, err);
    for (unsigned i = 0; code == DOBBY_OK && i < 8; i++)
        *seed |= (uint64_t)digest[i] << (8 * i);
    sha256_release(&sha);
    return code;
}
