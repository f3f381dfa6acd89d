#!/usr/bin/env bash
# Plants one violation of each rule of tools/tidy in a copy of the tree and sees it caught, where it is.
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
command -v clang-format >/dev/null || { echo "skipped: clang-format is not installed"; exit 77; }

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cp -R "$source_dir"/{src,include,tools,.clang-format} "$tree"
mkdir -p "$tree/tests" "$tree/models"
failures=0

# tidy RULE: the rule's findings in the copy.
tidy() { TIDY_ROOT=$tree "$tree/tools/tidy" "$1" 2>&1 || true; }

# catches RULE FILE:LINE CONTENT...: appends the content to FILE (made when missing; an empty CONTENT
# leaves it as it is), and wants a finding that starts so.
catches() {
    local rule=$1 place=$2 file=${2%%:*} saved=$tree/saved
    shift 2
    rm -f "$saved"
    mkdir -p "$(dirname "$tree/$file")"
    if [ -e "$tree/$file" ]; then cp -p "$tree/$file" "$saved"; fi
    printf '%s\n' "$@" >>"$tree/$file"
    local found
    found=$(tidy "$rule")
    if ! grep -qF "$place: $rule: " <<<"$found"; then
        printf 'FAILED: %s did not find %s; it said:\n%s\n' "$rule" "$place" "$found"
        failures=$((failures + 1))
    fi
    rm -f "$tree/$file"
    if [ -e "$saved" ]; then mv "$saved" "$tree/$file"; fi
}

# passes RULE FILE CONTENT...: the content is none of the rule's business.
passes() {
    local rule=$1 file=$2
    shift 2
    mkdir -p "$(dirname "$tree/$file")"
    printf '%s\n' "$@" >"$tree/$file"
    local found
    found=$(tidy "$rule")
    if grep -qF "$file:" <<<"$found"; then
        printf 'FAILED: %s complains about %s:\n%s\n' "$rule" "$file" "$found"
        failures=$((failures + 1))
    fi
    rm -f "$tree/$file"
}

catches includes src/base/planted.c:1 '#include "os/clock.h"'
catches includes src/store/planted.c:1 '#include "infer/engine.h"'
catches includes src/infer/cpu/planted.c:1 '#include "pipeline/run.h"'
catches includes src/drivers/sqlite/planted.c:1 '#include "drivers/other/other.h"'
catches includes src/os/planted.c:1 '#include "thread.h"'
catches includes src/os/planted.c:1 '#include "../base/error.h"'
catches includes src/unheard/planted.c:1 ''
catches includes include/dobby/planted.h:1 '#include "base/error.h"'
passes includes src/infer/cpu/planted.c '#include "infer/engine.h"' '#include "base/error.h"' '#include "dobby/error.h"'

catches foreign src/store/planted.c:1 '#include <sqlite3.h>'
catches foreign src/base/planted.c:1 '#include <jansson.h>'
catches foreign src/infer/planted.c:1 '#include <pthread.h>'
catches foreign src/pipeline/planted.c:2 '#include <stdio.h>' '#include <unistd.h>'
catches foreign src/app/planted.c:1 '#include <curl/curl.h>'
catches foreign src/ingest/planted.c:1 '#include <signal.h>'
passes foreign src/os/planted.c '#include <unistd.h>' '#include <sys/mman.h>' '#include <stdio.h>'

catches banned src/base/planted.c:2 'void f(char *a, const char *b);' 'void f(char *a, const char *b) { strcpy(a, b); }'
for call in strcat sprintf vsprintf gets strtok atoi atol rand srand system popen tmpnam mktemp alloca setjmp; do
    catches banned src/base/planted.c:1 "int x = $call (y);"
done
passes banned src/base/planted.c '/* strcpy(a, b) is not used,' '   nor is atoi(x) */' \
    'int my_rand(void); // not rand()' 'const char *s = "system(1)";' 'int y = table->system(3);'

catches headers src/base/planted.h:1 'size_t planted(void);'
catches format src/base/planted.c:1 'int   planted( int x )  ;'
mkdir "$tree/src/planted" && echo 'int planted;' >"$tree/src/planted/planted.c"
grep -qF 'src/planted/README.md:1: readme: ' <<<"$(tidy readme)" || {
    echo 'FAILED: readme did not miss src/planted/README.md'
    failures=$((failures + 1))
}
rm -r "$tree/src/planted"
catches length src/base/planted.c:601 "$(yes '/* one line */' | head -n 601)"
note=TO; note+=DO
catches leftovers src/base/planted.c:2 '/* fine */' "/* $note: later */"
catches leftovers src/base/planted.c:1 'int x; '
home=/ho; home+=me/someone
catches leftovers src/base/planted.c:1 "const char *p = \"$home\";"
catches size docs/planted.bin:1 "$(head -c 1000001 /dev/zero | tr '\0' x)"
catches scripts tools/planted:1 '#!/usr/bin/env bash' 'if true; then'

[ "$failures" -eq 0 ] && echo "every planted violation was caught"
