#include "infer/model/key_balance.h"

#include "base/error.h"
#include "infer/cpu/packing.h"

#include <math.h>
#include <stdlib.h>

/* A difference of 2^40 between queries and keys is not one that rounding has to deal with. */
enum { EXPONENT_MAX = 20 };

/* Mean square of an output. row: scratch of a row's columns. */
static double mean_square(const struct tensor *weights, uint32_t output, const float *norm, float bias,
                          float *row)
{
    double sum = (double)bias * (double)bias;
    packing_dequantize_row(weights, output, row);
    for (uint32_t i = 0; i < weights->columns; i++)
        sum += (double)row[i] * (double)norm[i] * (double)row[i] * (double)norm[i];
    return sum;
}

/* Mean squares of a KV head's dimensions, over the rows of `heads` heads from first on. */
static void find_squares(const struct key_balance_source *source, const struct tensor *weights,
                         uint32_t first, uint32_t heads, const float *bias, float *row, double *squares)
{
    const uint32_t dim = source->head_dim;
    for (uint32_t d = 0; d < dim; d++) {
        squares[d] = 0.0;
        for (uint32_t head = first; head < first + heads; head++) {
            const uint32_t output = head * dim + d;
            squares[d] +=
                mean_square(weights, output, source->norm, bias != NULL ? bias[output] : 0.0f, row) /
                (double)heads;
        }
    }
}

/* The power of two that takes a pair's queries and keys halfway to each other. */
static float factor_of(double queries, double keys)
{
    if (!(queries > 0.0 && keys > 0.0 && isfinite(queries) && isfinite(keys)))
        return 1.0f;
    const double exponent = round(log2(keys / queries) / 4.0); /* of squares, and half of it */
    return (float)exp2(fmin(fmax(exponent, -EXPONENT_MAX), EXPONENT_MAX));
}

dobby_code key_balance_make(const struct key_balance_source *source, struct key_balance *out,
                            struct dobby_error *err)
{
    const uint32_t dim = source->head_dim, group = source->heads / source->kv_heads;
    const size_t count = (size_t)source->kv_heads * dim;
    const float *key_bias = source->bias != NULL ? source->bias + (size_t)source->heads * dim : NULL;
    *out =
        (struct key_balance){.queries = calloc(count, sizeof(float)), .keys = calloc(count, sizeof(float))};
    float *row = malloc(source->query.columns * sizeof *row);
    double *squares = malloc(2 * (size_t)dim * sizeof *squares);
    dobby_code code = DOBBY_OK;
    if (out->queries == NULL || out->keys == NULL || row == NULL || squares == NULL) {
        key_balance_release(out);
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the balance of %zu dimensions of keys", count);
        goto done;
    }
    for (uint32_t head = 0; head < source->kv_heads; head++) {
        double *queries = squares, *keys = squares + dim;
        find_squares(source, &source->query, head * group, group, source->bias, row, queries);
        find_squares(source, &source->key, head, 1, key_bias, row, keys);
        for (uint32_t d = 0; d < dim; d++) {
            const uint32_t half = dim / 2, pair = source->rope_interleaved ? d ^ 1
                                                  : d < half               ? d + half
                                                                           : d - half;
            const float factor = factor_of(queries[d] + queries[pair], keys[d] + keys[pair]);
            out->queries[head * dim + d] = factor;
            out->keys[head * dim + d] = 1.0f / factor;
        }
    }
done:
    free(squares);
    free(row);
    return code;
}

void key_balance_release(struct key_balance *balance)
{
    free(balance->queries);
    free(balance->keys);
    *balance = (struct key_balance){0};
}
