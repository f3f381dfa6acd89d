#include "ingest/language.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum {
    QUOTES = SYNTAX_DOUBLE_QUOTES | SYNTAX_SINGLE_QUOTES,
    CODE = SYNTAX_DEFINITIONS,
    HEADER_LOOK_BYTES = 16384, /* where a C++ header shows itself */
};

static const struct syntax c_syntax = {
    LAYOUT_BRACES, CODE | SYNTAX_DOUBLE_QUOTES | SYNTAX_CHARACTERS | SYNTAX_DIRECTIVES, {"//"}, "/*", "*/"};
static const struct syntax cpp_syntax = {LAYOUT_BRACES,
                                         CODE | SYNTAX_DOUBLE_QUOTES | SYNTAX_CHARACTERS | SYNTAX_DIRECTIVES |
                                             SYNTAX_RAW_STRINGS,
                                         {"//"},
                                         "/*",
                                         "*/"};
static const struct syntax rust_syntax = {LAYOUT_BRACES,
                                          CODE | SYNTAX_DOUBLE_QUOTES | SYNTAX_CHARACTERS |
                                              SYNTAX_STRINGS_SPAN | SYNTAX_RAW_STRINGS,
                                          {"//"},
                                          "/*",
                                          "*/"};
static const struct syntax go_syntax = {
    LAYOUT_BRACES, CODE | SYNTAX_DOUBLE_QUOTES | SYNTAX_CHARACTERS | SYNTAX_BACKTICKS, {"//"}, "/*", "*/"};
static const struct syntax java_syntax = {LAYOUT_BRACES,
                                          CODE | SYNTAX_DOUBLE_QUOTES | SYNTAX_CHARACTERS |
                                              SYNTAX_TRIPLE_QUOTES,
                                          {"//"},
                                          "/*",
                                          "*/"};
static const struct syntax javascript_syntax = {
    LAYOUT_BRACES, CODE | QUOTES | SYNTAX_BACKTICKS | SYNTAX_REGULAR_EXPRS, {"//"}, "/*", "*/"};
static const struct syntax php_syntax = {
    LAYOUT_BRACES, CODE | QUOTES | SYNTAX_STRINGS_SPAN, {"//", "#"}, "/*", "*/"};
static const struct syntax dart_syntax = {
    LAYOUT_BRACES, CODE | QUOTES | SYNTAX_TRIPLE_QUOTES, {"//"}, "/*", "*/"};
static const struct syntax awk_syntax = {LAYOUT_BRACES, CODE | SYNTAX_DOUBLE_QUOTES, {"#"}, NULL, NULL};
static const struct syntax css_syntax = {LAYOUT_BRACES, QUOTES, {"//"}, "/*", "*/"};
static const struct syntax json_syntax = {LAYOUT_BRACES, SYNTAX_DOUBLE_QUOTES, {"//"}, "/*", "*/"};
static const struct syntax hcl_syntax = {LAYOUT_BRACES, CODE | SYNTAX_DOUBLE_QUOTES, {"#", "//"}, "/*", "*/"};
static const struct syntax python_syntax = {
    LAYOUT_INDENT, CODE | QUOTES | SYNTAX_TRIPLE_QUOTES | SYNTAX_BRACKETS_JOIN, {"#"}, NULL, NULL};
/* By indentation alone: strings and brackets of these are not looked at. */
static const struct syntax hash_syntax = {LAYOUT_INDENT, CODE, {"#"}, NULL, NULL};
static const struct syntax dash_syntax = {LAYOUT_INDENT, CODE, {"--"}, NULL, NULL};
static const struct syntax semicolon_syntax = {LAYOUT_INDENT, CODE, {";"}, NULL, NULL};
static const struct syntax percent_syntax = {LAYOUT_INDENT, CODE, {"%"}, NULL, NULL};
static const struct syntax slash_syntax = {LAYOUT_INDENT, CODE, {"//"}, "/*", "*/"};
static const struct syntax vim_syntax = {LAYOUT_INDENT, CODE, {"\""}, NULL, NULL};
static const struct syntax fortran_syntax = {LAYOUT_INDENT, CODE, {"!"}, NULL, NULL};
static const struct syntax ocaml_syntax = {LAYOUT_INDENT, CODE, {NULL}, "(*", "*)"};
static const struct syntax yaml_syntax = {LAYOUT_INDENT, 0, {"#"}, NULL, NULL};
static const struct syntax markup_syntax = {LAYOUT_INDENT, 0, {NULL}, "<!--", "-->"};
static const struct syntax heading_syntax = {LAYOUT_HEADINGS, 0, {NULL}, NULL, NULL};
static const struct syntax paragraph_syntax = {LAYOUT_PARAGRAPHS, 0, {NULL}, NULL, NULL};

enum { EXTENSIONS_MAX = 10, FILE_NAMES_MAX = 7, INTERPRETERS_MAX = 5 };

/* One more language is one more row here. Extensions are compared without regard to case; one
 * belongs to the first row that has it. */
static const struct language {
    const char *name;
    const struct syntax *syntax;
    const char *extensions[EXTENSIONS_MAX];
    const char *file_names[FILE_NAMES_MAX];
    const char *interpreters[INTERPRETERS_MAX]; /* of a "#!" line, without a version */
} languages[] = {
    {"c", &c_syntax, {"c", "h"}, {NULL}, {"tcc"}},
    {"cpp", &cpp_syntax, {"cc", "cpp", "cxx", "hh", "hpp", "hxx", "ipp", "tpp", "inl"}, {NULL}, {NULL}},
    {"rust", &rust_syntax, {"rs"}, {NULL}, {"rust-script"}},
    {"go", &go_syntax, {"go"}, {NULL}, {NULL}},
    {"python", &python_syntax, {"py", "pyi", "pyw", "pyx"}, {"SConstruct", "wscript"}, {"python", "pypy"}},
    {"javascript", &javascript_syntax, {"js", "mjs", "cjs", "jsx"}, {NULL}, {"node", "bun"}},
    {"typescript", &javascript_syntax, {"ts", "tsx", "mts", "cts"}, {NULL}, {"deno", "ts-node"}},
    {"java", &java_syntax, {"java"}, {NULL}, {NULL}},
    {"kotlin", &java_syntax, {"kt", "kts"}, {NULL}, {"kotlin"}},
    {"scala", &java_syntax, {"scala", "sc"}, {NULL}, {"scala"}},
    {"groovy", &java_syntax, {"groovy", "gradle"}, {"Jenkinsfile"}, {"groovy"}},
    {"csharp", &java_syntax, {"cs"}, {NULL}, {NULL}},
    {"swift", &java_syntax, {"swift"}, {NULL}, {"swift"}},
    {"dart", &dart_syntax, {"dart"}, {NULL}, {"dart"}},
    {"cuda", &cpp_syntax, {"cu", "cuh"}, {NULL}, {NULL}},
    {"objective-c", &cpp_syntax, {"m", "mm"}, {NULL}, {NULL}},
    {"glsl", &c_syntax, {"glsl", "vert", "frag", "comp", "hlsl", "metal", "wgsl"}, {NULL}, {NULL}},
    {"zig", &c_syntax, {"zig"}, {NULL}, {NULL}},
    {"d", &java_syntax, {"d"}, {NULL}, {"rdmd"}},
    {"solidity", &java_syntax, {"sol"}, {NULL}, {NULL}},
    {"protobuf", &java_syntax, {"proto"}, {NULL}, {NULL}},
    {"verilog", &slash_syntax, {"v", "sv", "svh", "vh"}, {NULL}, {NULL}},
    {"php", &php_syntax, {"php", "phtml"}, {NULL}, {"php"}},
    {"perl", &hash_syntax, {"pl", "pm", "t"}, {NULL}, {"perl"}},
    {"ruby", &hash_syntax, {"rb", "rake", "gemspec"}, {"Rakefile", "Gemfile", "Vagrantfile"}, {"ruby"}},
    {"crystal", &hash_syntax, {"cr"}, {NULL}, {NULL}},
    {"elixir", &hash_syntax, {"ex", "exs"}, {NULL}, {"elixir"}},
    {"julia", &hash_syntax, {"jl"}, {NULL}, {"julia"}},
    {"r", &hash_syntax, {"r"}, {NULL}, {"Rscript"}},
    {"nim", &hash_syntax, {"nim"}, {NULL}, {NULL}},
    {"shell",
     &hash_syntax,
     {"sh", "bash", "zsh", "ksh", "bats", "ebuild"},
     {".bashrc", ".profile", ".zshrc", "PKGBUILD"},
     {"sh", "bash", "dash", "zsh", "ksh"}},
    {"fish", &hash_syntax, {"fish"}, {NULL}, {"fish"}},
    {"powershell", &hash_syntax, {"ps1", "psm1"}, {NULL}, {"pwsh"}},
    {"tcl", &hash_syntax, {"tcl"}, {NULL}, {"tclsh", "wish"}},
    {"awk", &awk_syntax, {"awk"}, {NULL}, {"awk", "gawk", "mawk"}},
    {"make", &hash_syntax, {"mk", "mak"}, {"Makefile", "makefile", "GNUmakefile", "Kbuild"}, {"make"}},
    {"cmake", &hash_syntax, {"cmake"}, {"CMakeLists.txt"}, {NULL}},
    {"meson", &hash_syntax, {NULL}, {"meson.build", "meson_options.txt"}, {NULL}},
    {"starlark", &python_syntax, {"bzl", "star"}, {"BUILD", "BUILD.bazel", "WORKSPACE"}, {NULL}},
    {"dockerfile", &hash_syntax, {"dockerfile"}, {"Dockerfile", "Containerfile"}, {NULL}},
    {"nix", &hash_syntax, {"nix"}, {NULL}, {NULL}},
    {"terraform", &hcl_syntax, {"tf", "tfvars", "hcl"}, {NULL}, {NULL}},
    {"graphql", &awk_syntax, {"graphql", "gql"}, {NULL}, {NULL}},
    {"lua", &dash_syntax, {"lua"}, {NULL}, {"lua", "luajit"}},
    {"haskell", &dash_syntax, {"hs"}, {NULL}, {"runhaskell"}},
    {"sql", &dash_syntax, {"sql"}, {NULL}, {NULL}},
    {"ada", &dash_syntax, {"adb", "ads"}, {NULL}, {NULL}},
    {"vhdl", &dash_syntax, {"vhd", "vhdl"}, {NULL}, {NULL}},
    {"elm", &dash_syntax, {"elm"}, {NULL}, {NULL}},
    {"ocaml", &ocaml_syntax, {"ml", "mli"}, {NULL}, {"ocaml"}},
    {"fsharp", &slash_syntax, {"fs", "fsi", "fsx"}, {NULL}, {NULL}},
    {"lisp", &semicolon_syntax, {"lisp", "lsp", "el", "cl"}, {NULL}, {"sbcl"}},
    {"scheme", &semicolon_syntax, {"scm", "ss", "rkt"}, {NULL}, {"guile", "racket"}},
    {"clojure", &semicolon_syntax, {"clj", "cljs", "cljc", "edn"}, {NULL}, {NULL}},
    {"assembly", &semicolon_syntax, {"s", "asm"}, {NULL}, {NULL}},
    {"erlang", &percent_syntax, {"erl", "hrl"}, {NULL}, {"escript"}},
    {"tex", &percent_syntax, {"tex", "sty", "cls", "bib"}, {NULL}, {NULL}},
    {"fortran", &fortran_syntax, {"f", "f90", "f95", "f03"}, {NULL}, {NULL}},
    {"vim", &vim_syntax, {"vim"}, {".vimrc"}, {NULL}},
    {"css", &css_syntax, {"css", "scss", "less"}, {NULL}, {NULL}},
    {"html", &markup_syntax, {"html", "htm", "xhtml"}, {NULL}, {NULL}},
    {"vue", &markup_syntax, {"vue", "svelte"}, {NULL}, {NULL}},
    {"xml", &markup_syntax, {"xml", "xsd", "xsl", "svg", "plist", "csproj", "ui"}, {NULL}, {NULL}},
    {"json", &json_syntax, {"json", "json5", "jsonc"}, {".babelrc", ".eslintrc"}, {NULL}},
    {"yaml", &yaml_syntax, {"yaml", "yml"}, {".clang-format", ".clang-tidy"}, {NULL}},
    {"toml", &paragraph_syntax, {"toml"}, {"Pipfile"}, {NULL}},
    {"ini", &paragraph_syntax, {"ini", "cfg", "conf", "properties"}, {".editorconfig", ".gitconfig"}, {NULL}},
    {"markdown", &heading_syntax, {"md", "markdown", "mdx"}, {NULL}, {NULL}},
    {"restructuredtext", &paragraph_syntax, {"rst"}, {NULL}, {NULL}},
    {"asciidoc", &paragraph_syntax, {"adoc", "asciidoc"}, {NULL}, {NULL}},
    {"text", &paragraph_syntax, {"txt"}, {"LICENSE", "README"}, {NULL}},
};
enum { LANGUAGES = sizeof(languages) / sizeof(languages[0]) };

static bool is_listed(const char *const *list, size_t list_max, const char *name,
                      int (*compare)(const char *, const char *))
{
    for (size_t i = 0; i < list_max && list[i] != NULL; i++)
        if (compare(list[i], name) == 0)
            return true;
    return false;
}

/* "#!/usr/bin/env -S python3.11 -u" -> "python". Returns false when the text has no such line. */
static bool interpreter_of(const char *text, size_t length, char *out, size_t out_bytes)
{
    if (length < 3 || text[0] != '#' || text[1] != '!')
        return false;
    const char *end = memchr(text, '\n', length < 256 ? length : 256);
    if (end == NULL)
        end = text + (length < 256 ? length : 256);
    const char *at = text + 2;
    out[0] = '\0';
    while (at < end) {
        while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
            at++;
        const char *word = at;
        while (at < end && *at != ' ' && *at != '\t' && *at != '\r') {
            if (*at == '/')
                word = at + 1;
            at++;
        }
        size_t count = 0;
        while (count < (size_t)(at - word) && count + 1 < out_bytes &&
               strchr("0123456789.", word[count]) == NULL)
            count++;
        memcpy(out, word, count);
        out[count] = '\0';
        /* env passes on: what it starts is the word after it and its options. */
        if (count > 0 && out[0] != '-' && strcmp(out, "env") != 0)
            return true;
    }
    return false;
}

/* Whether a .h file is C++: a line begins with a word that C does not have. */
static bool is_cpp_header(const char *text, size_t length)
{
    static const char *const words[] = {"class ",  "namespace ", "template <", "template<", "using ",
                                        "public:", "private:",   "protected:", "constexpr "};
    if (length > HEADER_LOOK_BYTES)
        length = HEADER_LOOK_BYTES;
    const char *end = text + length;
    for (const char *line = text; line != NULL && line < end;) {
        while (line < end && (*line == ' ' || *line == '\t'))
            line++;
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            size_t count = strlen(words[i]);
            if ((size_t)(end - line) >= count && memcmp(line, words[i], count) == 0)
                return true;
        }
        line = memchr(line, '\n', (size_t)(end - line));
        if (line != NULL)
            line++;
    }
    return false;
}

const char *language_of(const char *path, const char *text, size_t length)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    for (size_t i = 0; i < LANGUAGES; i++)
        if (is_listed(languages[i].file_names, FILE_NAMES_MAX, name, strcmp))
            return languages[i].name;
    const char *dot = strrchr(name, '.');
    if (dot != NULL && dot[1] != '\0')
        for (size_t i = 0; i < LANGUAGES; i++)
            if (is_listed(languages[i].extensions, EXTENSIONS_MAX, dot + 1, strcasecmp))
                return strcmp(dot, ".h") == 0 && is_cpp_header(text, length) ? "cpp" : languages[i].name;
    /* Makefile.am, Dockerfile.test: the name before the dot. */
    char stem[32];
    size_t stem_length = strcspn(name, ".");
    if (stem_length > 0 && stem_length < sizeof(stem) && name[stem_length] == '.') {
        memcpy(stem, name, stem_length);
        stem[stem_length] = '\0';
        for (size_t i = 0; i < LANGUAGES; i++)
            if (is_listed(languages[i].file_names, FILE_NAMES_MAX, stem, strcmp))
                return languages[i].name;
    }
    char interpreter[32];
    if (interpreter_of(text, length, interpreter, sizeof(interpreter)))
        for (size_t i = 0; i < LANGUAGES; i++)
            if (is_listed(languages[i].interpreters, INTERPRETERS_MAX, interpreter, strcmp))
                return languages[i].name;
    return "text";
}

const struct syntax *language_syntax(const char *language)
{
    for (size_t i = 0; i < LANGUAGES; i++)
        if (strcmp(languages[i].name, language) == 0)
            return languages[i].syntax;
    return &paragraph_syntax;
}
