/* SHA-256 through OpenSSL: the only file of base that includes it. */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/error.h"

enum { SHA256_BYTES = 32, SHA256_HEX_BYTES = 65 /* NUL included */ };

struct sha256 {
    void *context; /* EVP_MD_CTX; NULL when zeroed */
};

DOBBY_NODISCARD dobby_code sha256_init(struct sha256 *sha, struct dobby_error *err);
DOBBY_NODISCARD dobby_code sha256_update(struct sha256 *sha, const void *bytes, size_t length,
                                         struct dobby_error *err);
/* Appends the length (8 bytes, little endian) and then the bytes, so that fields cannot run together. */
DOBBY_NODISCARD dobby_code sha256_field(struct sha256 *sha, const void *bytes, size_t length,
                                        struct dobby_error *err);
/* Ends the hash; the context must be released after. */
DOBBY_NODISCARD dobby_code sha256_final(struct sha256 *sha, uint8_t digest[SHA256_BYTES],
                                        struct dobby_error *err);
void sha256_release(struct sha256 *sha);

DOBBY_NODISCARD dobby_code sha256_of(const void *bytes, size_t length, uint8_t digest[SHA256_BYTES],
                                     struct dobby_error *err);
void sha256_hex(const uint8_t digest[SHA256_BYTES], char hex[SHA256_HEX_BYTES]);

#endif
