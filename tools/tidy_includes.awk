# Includes point downward. A folder may include itself, lower layers, and the public headers; folders of
# one layer do not include each other. Drivers are folders of their own: one never sees another.
BEGIN {
    split("base:0 os:1 observe:2 store:3 infer:3 ingest:4 pipeline:4 search:4 serve:5 app:6", rows, " ")
    for (r in rows) {
        split(rows[r], pair, ":")
        level[pair[1]] = pair[2]
    }
    level_drivers = 5
}

# The module a path belongs to: src/infer/cpu/kernels.h -> infer; src/drivers/sqlite/x.h -> drivers/sqlite.
function module_of(path,    part) {
    split(path, part, "/")
    if (part[1] == "drivers")
        return part[1] "/" part[2]
    return part[1]
}

function level_of(module) {
    if (module ~ /^drivers\//)
        return level_drivers
    return module in level ? level[module] : -1
}

function say(message) {
    printf "%s:%d: includes: %s\n", FILENAME, FNR, message
}

FNR == 1 {
    public = FILENAME ~ /^include\//
    module = public ? "dobby" : module_of(substr(FILENAME, 5))
    if (!public && level_of(module) < 0)
        say("folder " module " is in no layer: add it to the table in tools/tidy_includes.awk")
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    target = $0
    sub(/^[^"]*"/, "", target)
    sub(/".*$/, "", target)
    wanted = module_of(target)
    if (wanted == "dobby")
        next
    if (public)
        say("a public header includes " target ", which users do not have")
    else if (target !~ /\// || target ~ /(^|\/)\.\.?\//)
        say("\"" target "\" is not written from src/ (\"" module "/...\")")
    else if (level_of(wanted) < 0)
        say(target " is in no layer")
    else if (wanted != module && level_of(wanted) >= level_of(module))
        say(module " (layer " level_of(module) ") includes " target " (layer " level_of(wanted) \
            "): includes point downward")
}
