/* The templates that come with Dobby. A change to one's text is a new version in its id. */
#include "base/limits.h"
#include "pipeline/prompt.h"
#include "pipeline/prompt_parts.h"

#include <stdio.h>
#include <string.h>

struct builtin {
    const char *id;
    const char *text;
};

/* Exactly what the embedded model was trained on: see models/dobby-nano/README.md. */
static const struct builtin nano = {
    .id = "nano@1",
    .text = "<|im_start|>user\n{path}\n{content}<|im_end|>\n<|im_start|>assistant\n",
};

/* The fixed part comes first, so that an engine can prefill it once for all records. */
static const struct builtin instruct = {
    .id = "instruct@1",
    .text = "<|im_start|>system\n"
            "You document source code. You answer with one plain sentence and nothing else.<|im_end|>\n"
            "<|im_start|>user\n"
            "Say in one precise sentence what the following code does: what it acts on, and what it "
            "returns or changes. Do not repeat the code, and do not begin with \"This code\".\n"
            "\n"
            "{path}\n"
            "```{language}\n"
            "{content}\n"
            "```<|im_end|>\n"
            "<|im_start|>assistant\n",
};

/* For models that only continue text. */
static const struct builtin plain = {
    .id = "plain@1",
    .text = "A piece of source code, and one precise sentence about what it does.\n"
            "\n"
            "{path}\n"
            "{content}\n"
            "\n"
            "Summary:",
};

dobby_code prompt_template_builtin(const struct engine_info *info, struct prompt_template **out,
                                   struct dobby_error *err)
{
    const struct builtin *chosen = &plain;
    if (strcmp(info->model, "dobby-nano") == 0)
        chosen = &nano;
    else if (info->chatml)
        chosen = &instruct;
    dobby_code code =
        prompt_template_parse(chosen->id, chosen->text, strlen(chosen->text), info->chatml, out, err);
    if (code == DOBBY_OK)
        snprintf((*out)->id, sizeof((*out)->id), "%s", chosen->id);
    return code;
}
