/* Merging one piece: always the pair of lowest rank, the leftmost among equals, until none is left. */
#include "infer/tokenizer/bpe.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* Up to here, scanning all pairs for each merge is faster than keeping a heap. */
    SHORT_PIECE_BYTES = 48,
    NO_SYMBOL = -1
};

/* A node of the list of a long piece's symbols. */
struct bpe_symbol {
    int32_t id;              /* NO_SYMBOL: merged into its left neighbour */
    uint32_t previous, next; /* UINT32_MAX: none */
};

dobby_code token_list_append(struct token_list *list, int32_t id, struct dobby_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity < 64 ? 64 : list->capacity * 2;
        if (capacity > LIMIT_BUFFER_BYTES)
            return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "%zu tokens exceed the limit of %zu", capacity,
                              LIMIT_BUFFER_BYTES);
        int32_t *ids = realloc(list->ids, capacity * sizeof(ids[0]));
        if (ids == NULL)
            return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a list of %zu tokens", capacity);
        list->ids = ids;
        list->capacity = capacity;
    }
    list->ids[list->count++] = id;
    return DOBBY_OK;
}

void token_list_release(struct token_list *list)
{
    free(list->ids);
    *list = (struct token_list){0};
}

void bpe_scratch_release(struct bpe_scratch *scratch)
{
    free(scratch->symbols);
    free(scratch->heap);
    *scratch = (struct bpe_scratch){0};
}

/* ---- short pieces ------------------------------------------------------------------------------------- */

static uint32_t rank_of(const struct bpe *bpe, int32_t left, int32_t right)
{
    const struct bpe_merge *merge = bpe_find_merge(bpe, left, right);
    return merge != NULL ? merge->rank : UINT32_MAX;
}

static dobby_code encode_short(const struct bpe *bpe, const char *piece, size_t length,
                               struct token_list *out, struct dobby_error *err)
{
    int32_t ids[SHORT_PIECE_BYTES];
    uint32_t ranks[SHORT_PIECE_BYTES]; /* of the pair that begins here */
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        int32_t id = bpe->byte_ids[(uint8_t)piece[i]];
        if (id >= 0)
            ids[count++] = id;
    }
    for (size_t i = 0; i + 1 < count; i++)
        ranks[i] = rank_of(bpe, ids[i], ids[i + 1]);
    while (count > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++) {
            if (ranks[i] < ranks[best])
                best = i;
        }
        if (ranks[best] == UINT32_MAX)
            break;
        ids[best] = bpe_find_merge(bpe, ids[best], ids[best + 1])->id;
        count--;
        memmove(ids + best + 1, ids + best + 2, (count - best - 1) * sizeof(ids[0]));
        memmove(ranks + best + 1, ranks + best + 2, (count - best - 1) * sizeof(ranks[0]));
        if (best > 0)
            ranks[best - 1] = rank_of(bpe, ids[best - 1], ids[best]);
        if (best + 1 < count)
            ranks[best] = rank_of(bpe, ids[best], ids[best + 1]);
    }
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; i < count && code == DOBBY_OK; i++)
        code = token_list_append(out, ids[i], err);
    return code;
}

/* ---- long pieces: a list of symbols and a heap of (rank, position) ------------------------------------- */

static void sift_down(uint64_t *heap, size_t count, size_t at)
{
    uint64_t moved = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= moved)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void heap_push(uint64_t *heap, size_t *count, uint64_t entry)
{
    size_t at = (*count)++;
    while (at > 0 && heap[(at - 1) / 2] > entry) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = entry;
}

static uint64_t heap_pop(uint64_t *heap, size_t *count)
{
    uint64_t least = heap[0];
    heap[0] = heap[--*count];
    if (*count > 0)
        sift_down(heap, *count, 0);
    return least;
}

static dobby_code grow_scratch(struct bpe_scratch *scratch, size_t count, struct dobby_error *err)
{
    if (count <= scratch->capacity)
        return DOBBY_OK;
    bpe_scratch_release(scratch);
    scratch->symbols = calloc(count, sizeof(scratch->symbols[0]));
    scratch->heap = calloc(count, 2 * sizeof(scratch->heap[0]));
    if (scratch->symbols == NULL || scratch->heap == NULL) {
        bpe_scratch_release(scratch);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "merging a piece of %zu bytes", count);
    }
    scratch->capacity = count;
    return DOBBY_OK;
}

/* Queues the merge of the symbol at `left` with its right neighbour, if there is one. A queued merge goes
 * stale when either symbol changes: then the pair's rank is another, as no two pairs share a rank. */
static void queue_merge(const struct bpe *bpe, const struct bpe_symbol *symbols, uint32_t left,
                        uint64_t *heap, size_t *heap_count)
{
    uint32_t right = symbols[left].next;
    if (right == UINT32_MAX)
        return;
    uint32_t rank = rank_of(bpe, symbols[left].id, symbols[right].id);
    if (rank != UINT32_MAX)
        heap_push(heap, heap_count, (uint64_t)rank << 32 | left);
}

/* Each merge takes one symbol away and one entry from the heap, and queues at most two: the heap never holds
 * more than twice the symbols. */
static void merge_long(const struct bpe *bpe, struct bpe_symbol *symbols, uint64_t *heap, size_t heap_count)
{
    while (heap_count > 0) {
        uint64_t entry = heap_pop(heap, &heap_count);
        uint32_t left = (uint32_t)entry;
        uint32_t right = symbols[left].next;
        if (symbols[left].id == NO_SYMBOL || right == UINT32_MAX)
            continue;
        const struct bpe_merge *merge = bpe_find_merge(bpe, symbols[left].id, symbols[right].id);
        if (merge == NULL || merge->rank != entry >> 32)
            continue;
        symbols[left].id = merge->id;
        symbols[left].next = symbols[right].next;
        symbols[right].id = NO_SYMBOL;
        if (symbols[left].next != UINT32_MAX)
            symbols[symbols[left].next].previous = left;
        if (symbols[left].previous != UINT32_MAX)
            queue_merge(bpe, symbols, symbols[left].previous, heap, &heap_count);
        queue_merge(bpe, symbols, left, heap, &heap_count);
    }
}

static dobby_code encode_long(const struct bpe *bpe, const char *piece, size_t length,
                              struct bpe_scratch *scratch, struct token_list *out, struct dobby_error *err)
{
    if (length >= UINT32_MAX)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "a piece of %zu bytes exceeds the limit of %u", length,
                          UINT32_MAX - 1);
    dobby_code code = grow_scratch(scratch, length, err);
    if (code != DOBBY_OK)
        return code;
    struct bpe_symbol *symbols = scratch->symbols;
    uint32_t count = 0;
    for (size_t i = 0; i < length; i++) {
        int32_t id = bpe->byte_ids[(uint8_t)piece[i]];
        if (id < 0)
            continue;
        symbols[count] = (struct bpe_symbol){.id = id, .previous = count - 1, .next = count + 1};
        count++;
    }
    if (count == 0)
        return DOBBY_OK;
    symbols[count - 1].next = UINT32_MAX; /* the first one's previous is UINT32_MAX already: 0 - 1 */
    size_t heap_count = 0;
    for (uint32_t i = 0; i + 1 < count; i++)
        queue_merge(bpe, symbols, i, scratch->heap, &heap_count);
    merge_long(bpe, symbols, scratch->heap, heap_count);
    for (uint32_t i = 0; i != UINT32_MAX && code == DOBBY_OK; i = symbols[i].next)
        code = token_list_append(out, symbols[i].id, err);
    return code;
}

dobby_code bpe_encode(const struct bpe *bpe, const char *piece, size_t length, struct bpe_scratch *scratch,
                      struct token_list *out, struct dobby_error *err)
{
    if (bpe->whole_piece_first) {
        int32_t id = bpe_find(bpe, piece, length);
        if (id >= 0 && !bpe->tokens[id].special)
            return token_list_append(out, id, err);
    }
    if (length <= SHORT_PIECE_BYTES)
        return encode_short(bpe, piece, length, out, err);
    return encode_long(bpe, piece, length, scratch, out, err);
}
