/* Configuration files: any bytes give a configuration or an error, and every value is within its range. */
#include "app/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct config config;
    struct dobby_error err;
    if (config_init(&config, &err) != DOBBY_OK)
        return 0;
    const dobby_code code = config_parse(&config, "fuzz.toml", (const char *)bytes, length, &err);
    if (code != DOBBY_OK && code != DOBBY_CONFIG_INVALID && code != DOBBY_OUT_OF_MEMORY)
        abort();
    for (int key = CONFIG_UNKNOWN + 1; key < CONFIG_KEY_COUNT; key++) {
        const struct config_key_spec *spec = &config_keys[key];
        const struct config_value *value = &config.values[key];
        if (value->text == NULL || value->source.name == NULL)
            abort();
        const bool numeric = spec->type == CONFIG_INTEGER || spec->type == CONFIG_NUMBER;
        if (numeric && !(value->number >= spec->minimum && value->number <= spec->maximum))
            abort();
    }
    config_release(&config);
    return 0;
}
