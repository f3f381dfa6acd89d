# What the whole-program tests share: a fresh working directory, and checks that print PASS or FAIL.
#
#   source expect.bash PROGRAM TOOL...    skips the test (77) where a tool is missing
#
# Afterwards: $program and $scripts are absolute, the working directory is empty and will be removed, and
# nothing of this user's configuration is seen. End with: finish
set -u
export LC_ALL=C.UTF-8
program=$(realpath "$1")
scripts=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
shift
for tool in "$@"; do
    command -v "$tool" >/dev/null || { echo "skipped: there is no $tool"; exit 77; }
done
unset DOBBY_DB DATABASE_URL DOBBY_MODEL MODEL_PATH DOBBY_CONFIG
work=$(mktemp -d)
export HOME=$work XDG_CONFIG_HOME=$work
cd "$work" || exit 1
trap 'chmod -R u+rwX "$work" 2>/dev/null; rm -rf "$work"' EXIT

passed=0
failed=0
pass() { passed=$((passed + 1)); echo "PASS $1"; }
fail() { failed=$((failed + 1)); echo "FAIL $1"; shift; printf '     %s\n' "$@"; }

# check NAME COMMAND...: the command succeeds. Its output is in $work/out and $work/err.
check() {
    local name=$1 status=0
    shift
    "$@" >"$work/out" 2>"$work/err" || status=$?
    if [ $status = 0 ]; then pass "$name"; else fail "$name" "status $status of: $*" "$(head -c 600 "$work/err")"; fi
}

# refuse NAME STATUS ID TEXT COMMAND...: the command ends with the status, and its standard error has the error's
# id, the text, and a remedy.
refuse() {
    local name=$1 want=$2 id=$3 text=$4 status=0
    shift 4
    "$@" >"$work/out" 2>"$work/err" || status=$?
    if [ $status != "$want" ]; then
        fail "$name" "status $status, not $want, of: $*" "$(head -c 600 "$work/err")"
    elif ! grep -qE "^dobby: (error|warning) $id: " "$work/err" || ! grep -qF -- "$text" "$work/err"; then
        fail "$name" "no '$id' or no '$text' in:" "$(head -c 600 "$work/err")"
    elif ! grep -q '^  try: ' "$work/err"; then
        fail "$name" "no remedy in:" "$(head -c 600 "$work/err")"
    else
        pass "$name"
    fi
}

# same NAME GOT WANT
same() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got:  $2" "want: $3"; fi; }

finish() {
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
    exit
}
