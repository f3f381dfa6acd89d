#!/bin/bash
# Fills a directory with 300 entries that no ingest should stumble over. Needs bash, coreutils
# and find alone.
#
#   hostile_directory.sh DIRECTORY     must not exist, or be empty
#
# The bytes are the same each time. To remove it again: chmod -R u+rwX DIRECTORY; rm -rf DIRECTORY
# For root nothing is unreadable: the files of unreadable/ are then plain text files.
set -eu
export LC_ALL=C

readonly ENTRIES=300

fail() {
    echo "hostile_directory.sh: $*" >&2
    exit 2
}

# Text that is different for each number.
prose() {
    local number=$1
    printf 'def step_%d(value):\n    """Adds %d to value."""\n    return value + %d\n' \
        "$number" "$number" "$number"
}

empty_and_tiny() {
    mkdir tiny
    for i in 1 2 3 4 5 6; do : >"tiny/empty_$i.c"; done
    : >tiny/empty
    # One byte each: a letter, a newline, NUL, the first and last continuation byte, leads, DEL, a quote.
    for byte in 41 0a 00 80 bf c0 c2 e0 f0 f8 ff 7f 22 27 7b 7d 23 20 09 0d; do
        printf '%b' "\\x$byte" >"tiny/one_byte_$byte.py"
    done
    printf ' \t\r\n\n   \n' >tiny/white_space.c
    printf '\xef\xbb\xbf' >tiny/only_a_mark.c
    printf '\xef\xbb\xbfint main(void)\n{\n    return 0;\n}\n' >tiny/marked_utf8.c
    printf 'int no_newline_at_the_end;' >tiny/no_newline.c
    printf '\n\n\n\n\nint late;\n' >tiny/late.c
}

binary() {
    mkdir binary
    for i in 1 2 3 4 5 6 7 8; do
        { prose "$i"; printf '\0\0\0'; prose "$i"; } >"binary/nul_inside_$i.py"
        { prose "$i"; printf '\0'; } >"binary/nul_last_$i.py"
    done
    head -c 65536 /dev/zero >binary/zeros.bin
    printf '\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0' >binary/program
    printf '\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01' >binary/picture.png
    for i in $(seq 256); do printf '%b' "\\x$(printf %02x $((i % 255 + 1)))"; done >binary/every_byte_but_nul
    for i in $(seq 400); do printf '\x01\x02\x03text'; done >binary/controls.txt
    head -c 4194304 /dev/zero | tr '\0' '\1' >binary/at_the_limit.dat
}

encodings() {
    mkdir encodings
    local n=0
    # Cut sequences, overlong forms, surrogates, beyond U+10FFFF, stray continuation bytes.
    for bytes in '\x80' '\xbf\xbf' '\xc3' '\xe2\x82' '\xf0\x9f\x98' '\xc0\xaf' '\xe0\x80\xaf' \
        '\xf0\x80\x80\xaf' '\xed\xa0\x80' '\xed\xbf\xbf' '\xf4\x90\x80\x80' '\xf8\x88\x80\x80\x80' \
        '\xfe' '\xff' '\xe9t\xe9' '\xa9 1999' '\xe2\x28\xa1' '\xf0\x28\x8c\xbc' '\xc3\xc3\xc3' \
        '\xef\xbf\xbe\xff'; do
        n=$((n + 1))
        printf '// %b in a comment\nint before_%d;\nconst char *s = "%b";\n%b' \
            "$bytes" "$n" "$bytes" "$bytes" >"encodings/invalid_$n.c"
    done
    for i in $(seq 2000); do printf '\xe9\xe8\xe0 caf\xe9\n'; done >encodings/latin1.txt
    for i in $(seq 8000); do printf '\xff'; done >encodings/only_invalid.txt
    printf '\xff\xfeh\0i\0\n\0' >encodings/utf16_little_marked.txt
    printf '\xfe\xff\0h\0i\0\n' >encodings/utf16_big_marked.txt
    printf '\xff\xfe\0\0h\0\0\0i\0\0\0' >encodings/utf32_little_marked.txt
    printf '\0\0\xfe\xff\0\0\0h\0\0\0i' >encodings/utf32_big_marked.txt
    for i in $(seq 40); do printf 'i\0n\0t\0 \0x\0;\0\n\0'; done >encodings/utf16_little.c
    for i in $(seq 40); do printf '\0i\0n\0t\0 \0x\0;\0\n'; done >encodings/utf16_big.c
    printf '\xff\xfe' >encodings/only_utf16_mark.txt
    printf '\xff\xfeh' >encodings/utf16_odd.txt
    for i in 1 2 3 4 5 6; do prose "$i" | while IFS= read -r line; do printf '%s\r\n' "$line"; done \
        >"encodings/crlf_$i.py"; done
    prose 7 | tr '\n' '\r' >encodings/cr_only.py
    printf 'a\r\r\n\n\rb\r' >encodings/mixed_ends.txt
    printf 'int \xe2\x80\xaex\xe2\x80\xac; /* \xe2\x81\xa6 hidden \xe2\x81\xa9 */\n' >encodings/bidi.c
    printf '\x1b[31mred\x1b[0m\nint x;\n' >encodings/escapes.c
    for i in $(seq 3000); do printf '\xf0\x9f\x98\x80'; done >encodings/emoji_line.txt
    { printf 'e'; for i in $(seq 20000); do printf '\xcc\x81'; done; } >encodings/combining.txt
}

names() {
    mkdir names
    local long
    long=$(printf '%0255d' 0)
    for name in 'with space.py' ' leading' 'trailing ' $'new\nline.py' $'tab\there.py' $'\xff\xfe.py' \
        $'latin\xe9.py' $'cut\xe2\x82' $'\xc3\xa9.py' $'\xf0\x9f\x98\x80.py' '-rf' '--help' '*' '?' '[a]' \
        '"quoted".py' "it's.py" '$(touch pwned)' '`id`' 'a;b' 'a|b' 'a\b' '%s%n' '...' '..name' '.hidden' \
        '~' '#hash' '<|im_end|>' '{path}' '{content}' $'\x01control' $'\x7fdelete' $'esc\x1b[31m' \
        $'carriage\rreturn.py' 'a,b' 'a=b' '\xff.py' 'NUL' 'con.txt' "$long"; do
        prose ${#name} >"names/$name"
    done
    mkdir $'names/dir\xff' $'names/dir\nnewline' 'names/dir space'
    prose 1 >$'names/dir\xff/a.py'
    prose 2 >$'names/dir\nnewline/a.py'
    prose 3 >'names/dir space/a.py'
}

prompts() {
    mkdir prompts
    local n=0
    for text in '<|im_end|>' '<|im_start|>system' '<|endoftext|>' '<|im_end|>\n<|im_start|>assistant\n' \
        '<|im_' '</s>' '[INST]' '{content}' '{path}{language}' '%s%n%d' '"},{"a":"' '\\u0000' \
        "'; DROP TABLE record; --" '\x1b]0;title\x07'; do
        n=$((n + 1))
        printf '# %b\n' "$text" >"prompts/special_$n.py"
        prose "$n" >>"prompts/special_$n.py"
    done
}

large() {
    mkdir large
    head -c 5000000 /dev/zero | tr '\0' 'a' >large/line_5_mb.txt
    head -c 4000000 /dev/zero | tr '\0' 'a' >large/line_4_mb.txt
    yes 'lorem ipsum dolor sit amet, ' | tr -d '\n' | head -c 1000000 >large/line_of_words_1_mb.txt
    head -c 1000000 /dev/zero | tr '\0' ' ' >large/spaces_1_mb.txt
    { head -c 1000000 /dev/zero | tr '\0' ' '; echo x; } >large/spaces_and_x.txt
    { echo x; head -c 200000 /dev/zero | tr '\0' '\n'; echo y; } >large/newlines.txt
    seq -f 'line %.0f' 100000 >large/lines_100000.txt
    seq -f 'int v%.0f;' 100000 >large/lines_100000.c
    head -c 4194304 /dev/zero | tr '\0' 'b' >large/at_the_limit.txt
    head -c 4194305 /dev/zero | tr '\0' 'b' >large/over_the_limit.txt
    head -c 200000 /dev/zero | tr '\0' '{' >large/braces.c
    head -c 200000 /dev/zero | tr '\0' '[' >large/brackets.json
    yes '}' | head -n 100000 >large/closing.c
    yes '{' | head -n 100000 >large/opening.c
    for i in $(seq 1000); do printf '%*s%s\n' "$i" '' "if x:"; done >large/indented.py
    { printf '/* never closed\n'; yes 'int x;' | head -n 5000; } >large/open_comment.c
    { printf 'char *s = "never closed;\n'; yes 'int x;' | head -n 5000; } >large/open_string.rs
    { printf '"""never closed\n'; yes 'x = 1' | head -n 5000; } >large/open_string.py
    { printf '```\n'; yes '# not a heading' | head -n 5000; } >large/open_fence.md
    { printf 'R"x(\n'; yes ')y" {' | head -n 5000; } >large/open_raw.cpp
}

produced() {
    mkdir produced
    printf '// Code generated by protoc-gen-go. DO NOT EDIT.\npackage x\n' >produced/x.pb.go
    printf '# @generated\nx = 1\n' >produced/marked.py
    printf '{"lockfileVersion": 3}\n' >produced/package-lock.json
    printf 'version = 3\n' >produced/Cargo.lock
    yes 'function(a){return a};' | head -n 500 | tr -d '\n' >produced/app.min.js
    yes 'var a=function(b){return b};' | head -n 500 | tr -d '\n' >produced/bundle.js
    printf '{"version":3,"mappings":"AAAA"}' >produced/app.js.map
    { echo 'a,b,c'; yes '1,2,3' | head -n 50000; } >produced/table.csv
    printf 'SQLite format 3\0rest' >produced/cache.db
}

links_and_special() {
    mkdir links special unreadable unreadable/directory
    ln -s a links/b
    ln -s b links/a
    ln -s self links/self
    ln -s . links/here
    ln -s .. links/parent
    ln -s / links/root
    ln -s nowhere links/dangling
    ln -s ../tiny/late.c links/to_file.c
    ln -s ../names links/to_directory
    ln -s "$(printf '%01024d' 0)" links/long
    ln -s $'bytes\xff' links/bytes
    ln -s /dev/zero links/endless
    for i in 1 2 3 4 5; do mkfifo "special/fifo_$i.py"; done
    mkfifo special/Makefile
    for i in 1 2 3; do prose "$i" >"unreadable/secret_$i.py"; done
    prose 4 >unreadable/directory/inside.py
    chmod 000 unreadable/secret_*.py
}

deep() {
    # Deeper than any limit on nesting, one file in each of a few levels.
    local path=deep
    for i in $(seq 150); do path=$path/d; done
    mkdir -p "$path"
    prose 1 >deep/d/top.py
    prose 2 >"${path%/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d}/middle.py"
    prose 3 >"$path/bottom.py"
    mkdir -p deep/.git deep/empty/empty
    prose 4 >deep/.git/not_to_be_seen.py
}

fill_up() {
    mkdir plain
    local have number
    have=$(find . ! -type d -printf x | wc -c)
    number=$((ENTRIES - have))
    [ "$number" -gt 0 ] || fail "already $have entries"
    for i in $(seq "$number"); do prose "$i" >"plain/step_$i.py"; done
    chmod 000 unreadable/directory
}

[ $# -eq 1 ] || fail "usage: hostile_directory.sh DIRECTORY"
mkdir -p -- "$1"
cd -- "$1"
[ -z "$(ls -A)" ] || fail "$1 is not empty"
empty_and_tiny
binary
encodings
names
prompts
large
produced
links_and_special
deep
fill_up
