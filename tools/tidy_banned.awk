# Calls that are not used, with what to use instead. Comments and literals are not looked at.
BEGIN {
    why["strcpy"] = why["strcat"] = why["stpcpy"] = why["strncat"] = why["strncpy"] = \
        "does not know its destination's size as we do: use struct buffer or snprintf"
    why["sprintf"] = why["vsprintf"] = "does not know its destination's size: use snprintf"
    why["gets"] = "cannot be bounded"
    why["strtok"] = why["strtok_r"] = "keeps or writes hidden state: scan with strcspn"
    why["atoi"] = why["atol"] = why["atoll"] = why["atof"] = "cannot report an error: use strtol and check"
    why["rand"] = why["srand"] = why["random"] = why["srandom"] = why["drand48"] = \
        "is global and unseeded: use os/random.h or the record's own seed"
    why["system"] = why["popen"] = why["execlp"] = why["execvp"] = "starts a shell or searches PATH"
    why["tmpnam"] = why["tempnam"] = why["mktemp"] = "races: use mkstemp"
    why["alloca"] = "cannot fail safely: use an arena"
    why["setjmp"] = why["longjmp"] = "skips the one exit"
    why["asctime"] = why["ctime"] = why["gmtime"] = why["localtime"] = "returns shared memory: use clock_format"
    pattern = "(^|[^A-Za-z0-9_])("
    for (name in why)
        pattern = pattern (n++ ? "|" : "") name
    pattern = pattern ")[ \t]*\\("
}

# The line with comments and the insides of literals blanked; in_comment carries over lines.
function code_of(line,    out, i, c, two, quote) {
    out = ""
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        two = substr(line, i, 2)
        if (in_comment) {
            if (two == "*/") {
                in_comment = 0
                i++
            }
        } else if (quote != "") {
            if (c == "\\")
                i++
            else if (c == quote)
                quote = ""
        } else if (two == "/*") {
            in_comment = 1
            i++
        } else if (two == "//") {
            break
        } else if (c == "\"" || c == "'") {
            quote = c
            out = out c
        } else {
            out = out c
        }
    }
    return out
}

FNR == 1 { in_comment = 0 }

# Only lines that can matter are taken apart.
in_comment || /\/\*/ || $0 ~ pattern {
    code = code_of($0)
    while (match(code, pattern)) {
        name = substr(code, RSTART, RLENGTH)
        gsub(/[^A-Za-z0-9_]/, "", name)
        before = substr(code, 1, RSTART)
        code = substr(code, RSTART + RLENGTH)
        if (before ~ /(->|\.)$/)
            continue # a member of that name, not the call
        printf "%s:%d: banned: %s %s\n", FILENAME, FNR, name, why[name]
    }
}
