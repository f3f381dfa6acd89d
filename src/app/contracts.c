#include "app/contracts.h"

#include <assert.h>
#include <stdio.h>

const char *contract_verdict_name(enum contract_verdict verdict)
{
    static const char *const names[] = {
        [CONTRACT_UNKNOWN] = "unknown",
        [CONTRACT_MET] = "met",
        [CONTRACT_BROKEN] = "broken",
        [CONTRACT_NOT_MEASURED] = "not measured",
    };
    return names[verdict];
}

static struct contract *add(struct contract_list *list, const struct contract *contract)
{
    assert(list->count < CONTRACTS_MAX);
    list->rows[list->count] = *contract;
    return &list->rows[list->count++];
}

void contract_add(struct contract_list *list, const struct contract *contract)
{
    struct contract *row = add(list, contract);
    const bool met = row->at_least ? row->measured >= row->limit : row->measured < row->limit;
    row->verdict = met ? CONTRACT_MET : CONTRACT_BROKEN; /* a NaN breaks it */
}

void contract_add_missing(struct contract_list *list, const struct contract *contract, const char *why)
{
    struct contract *row = add(list, contract);
    row->verdict = CONTRACT_NOT_MEASURED;
    row->measured = 0;
    snprintf(row->note, sizeof row->note, "%s", why);
}

size_t contract_count(const struct contract_list *list, enum contract_verdict verdict)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += list->rows[i].verdict == verdict;
    return count;
}
