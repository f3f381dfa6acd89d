#include "base/crypto.h"

#include <openssl/evp.h>

dobby_code sha256_init(struct sha256 *sha, struct dobby_error *err)
{
    sha->context = EVP_MD_CTX_new();
    if (sha->context == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a SHA-256 context");
    if (EVP_DigestInit_ex(sha->context, EVP_sha256(), NULL) != 1) {
        sha256_release(sha);
        return DOBBY_FAIL(err, DOBBY_CRYPTO_FAILED, "SHA-256 could not be started");
    }
    return DOBBY_OK;
}

dobby_code sha256_update(struct sha256 *sha, const void *bytes, size_t length, struct dobby_error *err)
{
    if (length > 0 && EVP_DigestUpdate(sha->context, bytes, length) != 1)
        return DOBBY_FAIL(err, DOBBY_CRYPTO_FAILED, "SHA-256 of %zu bytes", length);
    return DOBBY_OK;
}

dobby_code sha256_field(struct sha256 *sha, const void *bytes, size_t length, struct dobby_error *err)
{
    uint8_t frame[8];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)((uint64_t)length >> (8 * i));
    dobby_code code = sha256_update(sha, frame, sizeof frame, err);
    return code != DOBBY_OK ? code : sha256_update(sha, bytes, length, err);
}

dobby_code sha256_final(struct sha256 *sha, uint8_t digest[SHA256_BYTES], struct dobby_error *err)
{
    unsigned length = 0;
    if (EVP_DigestFinal_ex(sha->context, digest, &length) != 1 || length != SHA256_BYTES)
        return DOBBY_FAIL(err, DOBBY_CRYPTO_FAILED, "SHA-256 could not be finished");
    return DOBBY_OK;
}

void sha256_release(struct sha256 *sha)
{
    EVP_MD_CTX_free(sha->context);
    sha->context = NULL;
}

dobby_code sha256_of(const void *bytes, size_t length, uint8_t digest[SHA256_BYTES], struct dobby_error *err)
{
    struct sha256 sha = {0};
    dobby_code code = sha256_init(&sha, err);
    if (code == DOBBY_OK)
        code = sha256_update(&sha, bytes, length, err);
    if (code == DOBBY_OK)
        code = sha256_final(&sha, digest, err);
    sha256_release(&sha);
    return code;
}

void sha256_hex(const uint8_t digest[SHA256_BYTES], char hex[SHA256_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * SHA256_BYTES] = '\0';
}
