/* Templates as a list of parts, each literal text or a placeholder. Literal text is unescaped once, into one
 * buffer, so that a marker such as <|im_end|> always lies within one span. */
#include "pipeline/prompt.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "pipeline/prompt_parts.h"

#include <stdlib.h>
#include <string.h>

static const char chatml_before[] = "<|im_start|>user\n";
static const char chatml_after[] = "<|im_end|>\n<|im_start|>assistant\n";

static const struct {
    const char *name;
    enum prompt_part_kind kind;
} placeholders[] = {
    {"path", PROMPT_PART_PATH}, {"language", PROMPT_PART_LANGUAGE}, {"content", PROMPT_PART_CONTENT}};

struct parser {
    const char *name;
    const char *text;
    size_t length;
    struct prompt_template *out;
    size_t literal_start; /* of the literal text that is not yet a part */
    bool has_content;
};

static dobby_code invalid_at(const struct parser *parser, size_t offset, const char *what,
                             struct dobby_error *err)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (parser->text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)parser->text[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    return DOBBY_FAIL(err, DOBBY_PROMPT_INVALID, "%s:%zu:%zu: %s", parser->name, line, column, what);
}

/* What was appended to the literal text since the last part becomes a part. */
static void end_literal(struct parser *parser)
{
    struct prompt_template *out = parser->out;
    size_t length = out->literals.length - parser->literal_start;
    if (length > 0)
        out->parts[out->part_count++] =
            (struct prompt_part){.kind = PROMPT_PART_TEXT, .offset = parser->literal_start, .length = length};
    parser->literal_start = out->literals.length;
}

/* The bytes of the line's end at offset: 1 or 2, or 0 when the line goes on or the text ends. */
static size_t line_end_length(const struct parser *parser, size_t offset)
{
    if (offset < parser->length && parser->text[offset] == '\n')
        return 1;
    if (offset + 1 < parser->length && parser->text[offset] == '\r' && parser->text[offset + 1] == '\n')
        return 2;
    return 0;
}

static bool is_name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_' || byte == '-' || byte == '.';
}

/* offset is at '{'. *used: bytes of the placeholder, with the line's end when it stands alone. */
static dobby_code parse_placeholder(struct parser *parser, size_t offset, size_t *used,
                                    struct dobby_error *err)
{
    const char *name = parser->text + offset + 1;
    size_t room = parser->length - offset - 1, length = 0;
    while (length < room && is_name_byte(name[length]))
        length++;
    if (length == 0 || length == room || name[length] != '}')
        return invalid_at(parser, offset,
                          "a single '{': write {{ for a brace, or one of {path}, {language}, {content}", err);

    enum prompt_part_kind kind = PROMPT_PART_UNKNOWN;
    for (size_t i = 0; i < sizeof(placeholders) / sizeof(placeholders[0]); i++)
        if (strlen(placeholders[i].name) == length && memcmp(placeholders[i].name, name, length) == 0)
            kind = placeholders[i].kind;
    if (kind == PROMPT_PART_UNKNOWN)
        return invalid_at(parser, offset,
                          "no such placeholder: there are {path}, {language} and {content}; write {{ for a "
                          "brace",
                          err);
    struct prompt_template *out = parser->out;
    if (out->placeholder_count == LIMIT_PROMPT_PLACEHOLDERS)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "%s has more than %d placeholders", parser->name,
                          LIMIT_PROMPT_PLACEHOLDERS);
    end_literal(parser);
    struct prompt_part *part = &out->parts[out->part_count++];
    *part = (struct prompt_part){.kind = kind};
    out->placeholder_count++;
    parser->has_content = parser->has_content || kind == PROMPT_PART_CONTENT;
    *used = length + 2;

    bool at_line_start = offset == 0 || parser->text[offset - 1] == '\n';
    size_t line_end = at_line_start ? line_end_length(parser, offset + *used) : 0;
    if (line_end > 0) {
        part->offset = out->literals.length;
        part->length = line_end;
        dobby_code code = buffer_append(&out->literals, parser->text + offset + *used, line_end, err);
        if (code != DOBBY_OK)
            return code;
        parser->literal_start = out->literals.length;
        *used += line_end;
    }
    return DOBBY_OK;
}

static dobby_code parse_text(struct parser *parser, struct dobby_error *err)
{
    size_t offset = 0;
    while (offset < parser->length) {
        const char *at = parser->text + offset;
        size_t left = parser->length - offset, used = 0;
        while (used < left && at[used] != '{' && at[used] != '}')
            used++;
        dobby_code code = DOBBY_OK;
        if (used > 0) {
            code = buffer_append(&parser->out->literals, at, used, err);
        } else if (left > 1 && at[1] == at[0]) {
            code = buffer_append_byte(&parser->out->literals, at[0], err);
            used = 2;
        } else if (at[0] == '}') {
            code = invalid_at(parser, offset, "a single '}': write }} for a brace", err);
        } else {
            code = parse_placeholder(parser, offset, &used, err);
        }
        if (code != DOBBY_OK)
            return code;
        offset += used;
    }
    return DOBBY_OK;
}

static bool contains(const char *text, size_t length, const char *what)
{
    size_t what_length = strlen(what);
    for (size_t i = 0; i + what_length <= length; i++)
        if (memcmp(text + i, what, what_length) == 0)
            return true;
    return false;
}

static dobby_code parse_whole(struct parser *parser, bool wrap, struct dobby_error *err)
{
    struct buffer *literals = &parser->out->literals;
    dobby_code code = wrap ? buffer_append_string(literals, chatml_before, err) : DOBBY_OK;
    /* Editors end files with a newline; the end of the user's turn does not want it. */
    if (wrap && parser->length > 0 && parser->text[parser->length - 1] == '\n')
        parser->length -= parser->length > 1 && parser->text[parser->length - 2] == '\r' ? 2 : 1;
    if (code == DOBBY_OK)
        code = parse_text(parser, err);
    if (code == DOBBY_OK && wrap)
        code = buffer_append_string(literals, chatml_after, err);
    if (code == DOBBY_OK && !parser->has_content)
        code = DOBBY_FAIL(err, DOBBY_PROMPT_INVALID, "%s: {content} is missing", parser->name);
    if (code == DOBBY_OK)
        end_literal(parser);
    return code;
}

static dobby_code name_by_hash(struct prompt_template *prompt, const char *text, size_t length,
                               struct dobby_error *err)
{
    uint8_t digest[SHA256_BYTES];
    dobby_code code = sha256_of(text, length, digest, err);
    if (code == DOBBY_OK) {
        static const char prefix[] = "sha256:";
        memcpy(prompt->id, prefix, sizeof(prefix) - 1);
        sha256_hex(digest, prompt->id + sizeof(prefix) - 1);
    }
    return code;
}

dobby_code prompt_template_parse(const char *name, const char *text, size_t length, bool chatml,
                                 struct prompt_template **out, struct dobby_error *err)
{
    *out = NULL;
    if (length > LIMIT_PROMPT_TEMPLATE_BYTES)
        return DOBBY_FAIL(err, DOBBY_LIMIT_EXCEEDED, "%s has %zu bytes, a template at most %zu", name, length,
                          LIMIT_PROMPT_TEMPLATE_BYTES);
    struct prompt_template *prompt = calloc(1, sizeof(*prompt));
    if (prompt == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a prompt template");

    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    size_t skip = length >= 3 && memcmp(text, byte_order_mark, 3) == 0 ? 3 : 0;
    struct parser parser = {.name = name, .text = text + skip, .length = length - skip, .out = prompt};
    size_t valid = utf8_valid_prefix(parser.text, parser.length);
    const char *zero = parser.length > 0 ? memchr(parser.text, 0, parser.length) : NULL;
    dobby_code code = name_by_hash(prompt, text, length, err);
    if (code != DOBBY_OK)
        goto done;
    if (valid < parser.length)
        code = invalid_at(&parser, valid, "not valid UTF-8", err);
    else if (zero != NULL)
        code = invalid_at(&parser, (size_t)(zero - parser.text), "a NUL byte", err);
    else
        code = parse_whole(&parser, chatml && !contains(parser.text, parser.length, "<|im_start|>"), err);
done:
    if (code != DOBBY_OK)
        prompt_template_free(prompt);
    else
        *out = prompt;
    return code;
}

void prompt_template_free(struct prompt_template *prompt)
{
    if (prompt != NULL)
        buffer_release(&prompt->literals);
    free(prompt);
}

const char *prompt_template_id(const struct prompt_template *prompt)
{
    return prompt->id;
}

const char *prompt_template_text(const struct prompt_template *prompt, size_t *length)
{
    *length = prompt->literals.length;
    return prompt->literals.bytes;
}

size_t prompt_template_span_count(const struct prompt_template *prompt)
{
    return prompt->part_count + prompt->placeholder_count; /* a placeholder may bring its line's end */
}

size_t prompt_render(const struct prompt_template *prompt, const struct prompt_values *values,
                     struct text_span *spans)
{
    size_t count = 0;
    for (size_t i = 0; i < prompt->part_count; i++) {
        const struct prompt_part *part = &prompt->parts[i];
        struct text_span value = {0};
        if (part->kind == PROMPT_PART_PATH)
            value.bytes = values->path;
        else if (part->kind == PROMPT_PART_LANGUAGE)
            value.bytes = values->language;
        else if (part->kind == PROMPT_PART_CONTENT)
            value = (struct text_span){.bytes = values->content, .length = values->content_length};
        if (part->kind != PROMPT_PART_CONTENT && value.bytes != NULL)
            value.length = strlen(value.bytes);
        if (value.length > 0)
            spans[count++] = value;
        if (part->length > 0 && (part->kind == PROMPT_PART_TEXT || value.length > 0))
            spans[count++] = (struct text_span){
                .bytes = prompt->literals.bytes + part->offset, .length = part->length, .special = true};
    }
    return count;
}
