/* Prompt templates: plain text with {path}, {language} and {content}, and {{ and }} for braces. */
#ifndef PIPELINE_PROMPT_H
#define PIPELINE_PROMPT_H

#include "infer/engine.h"
#include "store/store.h"

struct prompt_template;

/* A built-in one for the engine's model: dobby-nano's own, or one that asks an instruction model for one
 * precise sentence (in ChatML when the model's chat template is). */
DOBBY_NODISCARD dobby_code prompt_template_builtin(const struct engine_info *info,
                                                   struct prompt_template **out, struct dobby_error *err);
/* From a user's text; name is for errors. When the model wants ChatML and the text has no <|im_start|>, it
 * is wrapped as the user's message. Fails: PROMPT_INVALID (line and column), LIMIT_EXCEEDED. */
DOBBY_NODISCARD dobby_code prompt_template_parse(const char *name, const char *text, size_t length,
                                                 bool chatml, struct prompt_template **out,
                                                 struct dobby_error *err);
void prompt_template_free(struct prompt_template *prompt);
const char *prompt_template_id(const struct prompt_template *prompt); /* "nano@1", or "sha256:..." */

/* The template's own text: what every rendered prompt holds beside the values. Borrowed; any order of parts.
 */
const char *prompt_template_text(const struct prompt_template *prompt, size_t *length);

struct prompt_values {
    const char *path, *language;
    const char *content;
    size_t content_length;
};
/* Renders into spans of template text (special) and values (not special). spans must have room for
 * prompt_template_span_count() entries; they borrow from the template and the values. A line that holds
 * nothing but a placeholder whose value is empty is left out. Returns the spans used. */
size_t prompt_template_span_count(const struct prompt_template *prompt);
size_t prompt_render(const struct prompt_template *prompt, const struct prompt_values *values,
                     struct text_span *spans);

#endif
