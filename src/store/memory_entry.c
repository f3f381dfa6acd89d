#include "store/memory_entry.h"

#include <stdlib.h>
#include <string.h>

bool text_copy(char **copy, const char *text)
{
    *copy = text == NULL ? NULL : strdup(text);
    return text == NULL || *copy != NULL;
}

void summary_free(struct summary *summary)
{
    if (summary == NULL)
        return;
    free((char *)summary->text);
    free((char *)summary->model);
    free((char *)summary->model_fingerprint);
    free((char *)summary->precision);
    free((char *)summary->sampling);
    free((char *)summary->template_id);
    free((char *)summary->engine);
    free((char *)summary->degraded_reason);
    free(summary);
}

struct summary *summary_copy(const struct summary *from)
{
    struct summary *copy = calloc(1, sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *from;
    copy->text = strdup(from->text);
    copy->model = strdup(from->model);
    copy->model_fingerprint = strdup(from->model_fingerprint);
    copy->precision = strdup(from->precision);
    copy->sampling = strdup(from->sampling);
    copy->template_id = strdup(from->template_id);
    copy->engine = strdup(from->engine);
    copy->degraded_reason = NULL; /* follows from the outcome */
    if (copy->text == NULL || copy->model == NULL || copy->model_fingerprint == NULL ||
        copy->precision == NULL || copy->sampling == NULL || copy->template_id == NULL ||
        copy->engine == NULL) {
        summary_free(copy);
        return NULL;
    }
    return copy;
}

void entry_free(struct entry *entry)
{
    if (entry == NULL)
        return;
    free(entry->id);
    free(entry->source);
    free(entry->path);
    free(entry->language);
    free(entry->content);
    free(entry->cut);
    free(entry->owner);
    free(entry->error_id);
    free(entry->reason);
    for (size_t i = 0; i < entry->version_count; i++)
        summary_free(entry->versions[i].summary);
    free(entry->versions);
    free(entry);
}

struct version *entry_current(const struct entry *entry)
{
    return entry->current == entry->version_count ? NULL : &entry->versions[entry->current];
}

bool entry_reserve_version(struct entry *entry)
{
    if (entry->version_count < entry->version_capacity)
        return true;
    size_t capacity = 2 * entry->version_capacity + 1;
    struct version *versions = realloc(entry->versions, capacity * sizeof *versions);
    if (versions == NULL)
        return false;
    entry->versions = versions;
    entry->version_capacity = capacity;
    return true;
}

size_t entry_find_version(const struct entry *entry, const uint8_t result_key[SHA256_BYTES])
{
    size_t i = 0;
    while (i < entry->version_count &&
           memcmp(entry->versions[i].summary->result_key, result_key, SHA256_BYTES) != 0)
        i++;
    return i;
}

void run_row_release(struct run_row *row)
{
    free((char *)row->id);
    free((char *)row->owner);
    free((char *)row->settings);
    free((char *)row->metrics);
    free((char *)row->end_reason);
    *row = (struct run_row){0};
}

bool text_begins_with(const char *text, const char *prefix)
{
    return prefix == NULL || strncmp(text, prefix, strlen(prefix)) == 0;
}

struct entry *entry_new(const struct record_input *input, const char *source, int64_t now_us)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    *entry = (struct entry){
        .content_length = input->content_length,
        .first_line = input->first_line,
        .last_line = input->last_line,
        .position = input->position,
        .state = input->skip_reason == NULL ? RECORD_PENDING : RECORD_SKIPPED,
        .excluded = input->skip_reason != NULL,
        .state_us = now_us,
        .seen = true,
    };
    entry->content = malloc(input->content_length + 1);
    if (!text_copy(&entry->id, input->id) || !text_copy(&entry->source, source) ||
        !text_copy(&entry->path, input->path) || !text_copy(&entry->language, input->language) ||
        !text_copy(&entry->reason, input->skip_reason) || !text_copy(&entry->cut, input->cut) ||
        entry->content == NULL ||
        sha256_of(input->content, input->content_length, entry->content_sha256, NULL) != DOBBY_OK) {
        entry_free(entry);
        return NULL;
    }
    if (input->content_length > 0)
        memcpy(entry->content, input->content, input->content_length);
    entry->content[input->content_length] = '\0';
    return entry;
}

void text_swap(char **a, char **b)
{
    char *kept = *a;
    *a = *b;
    *b = kept;
}

size_t memory_find(const struct memory_store *memory, const char *id)
{
    size_t i = 0;
    while (i < memory->count && strcmp(memory->entries[i]->id, id) != 0)
        i++;
    return i;
}
