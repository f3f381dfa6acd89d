#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <toml++/toml.h>

extern "C" {
#include "app/config_toml.h"
#include "base/error.h"
#include "base/limits.h"
}

namespace
{

struct visitor {
    const char *name;
    toml_visit_fn *visit;
    void *context;
    struct dobby_error *err;
};

const char *type_name(toml::node_type type)
{
    switch (type) {
    case toml::node_type::string:
        return "string";
    case toml::node_type::integer:
        return "integer";
    case toml::node_type::floating_point:
        return "number";
    case toml::node_type::boolean:
        return "boolean";
    case toml::node_type::array:
        return "array";
    case toml::node_type::table:
        return "table";
    default:
        return "date or time";
    }
}

dobby_code visit_value(const visitor &v, const std::string &key, const toml::node &node)
{
    struct toml_entry entry = {};
    std::string text;
    entry.key = key.c_str();
    entry.type = TOML_OTHER;
    entry.type_name = type_name(node.type());
    entry.line = node.source().begin.line;
    entry.column = node.source().begin.column;
    if (const auto *string = node.as_string()) {
        text = string->get();
        entry.type = TOML_TEXT;
        entry.text = text.c_str();
        entry.text_length = text.size();
    } else if (const auto *integer = node.as_integer()) {
        entry.type = TOML_INTEGER;
        entry.integer = integer->get();
    } else if (const auto *number = node.as_floating_point()) {
        entry.type = TOML_NUMBER;
        entry.number = number->get();
    } else if (node.is_boolean()) {
        entry.type = TOML_BOOLEAN;
    }
    return v.visit(v.context, &entry, v.err);
}

dobby_code visit_table(const visitor &v, const std::string &prefix, const toml::table &table)
{
    for (const auto &[key, node] : table) {
        std::string name = prefix;
        name.append(prefix.empty() ? "" : ".").append(key.str());
        /* An empty table says nothing, except that its name may be misspelt: it is visited as a value. */
        const auto *inner = node.as_table();
        const dobby_code code =
            inner != nullptr && !inner->empty() ? visit_table(v, name, *inner) : visit_value(v, name, node);
        if (code != DOBBY_OK)
            return code;
    }
    return DOBBY_OK;
}

/* Nesting comes from dots, braces and brackets; the parser and the tree's destructor recurse into it. */
bool nests_too_deep(std::string_view bytes)
{
    size_t openers = 0;
    for (const char c : bytes)
        openers += c == '.' || c == '{' || c == '[';
    return openers > LIMIT_CONFIG_NESTING;
}

} // namespace

extern "C" dobby_code config_toml_parse(const char *name, const char *bytes, size_t length,
                                        toml_visit_fn *visit, void *context, struct dobby_error *err)
{
    try {
        const std::string_view text(bytes == nullptr ? "" : bytes, length);
        if (nests_too_deep(text))
            return DOBBY_FAIL(err, DOBBY_CONFIG_INVALID, "%s: more than %d dots, braces and brackets", name,
                              LIMIT_CONFIG_NESTING);
        const toml::table root = toml::parse(text, std::string_view(name));
        return visit_table({name, visit, context, err}, "", root);
    } catch (const toml::parse_error &error) {
        const auto &begin = error.source().begin;
        return DOBBY_FAIL(err, DOBBY_CONFIG_INVALID, "%s:%u:%u: %s", name, static_cast<unsigned>(begin.line),
                          static_cast<unsigned>(begin.column), std::string(error.description()).c_str());
    } catch (const std::bad_alloc &) {
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "parsing %s", name);
    } catch (const std::exception &error) {
        return DOBBY_FAIL(err, DOBBY_CONFIG_INVALID, "%s: %s", name, error.what());
    }
}
