#!/usr/bin/env bash
# `make install` puts the program where it finds its model, from any directory.
set -euo pipefail
build_dir=$(cd "$(dirname "$1")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

DESTDIR=$root cmake --install "$build_dir" --prefix /usr/local >"$root/log" || { cat "$root/log"; exit 1; }
program=$root/usr/local/bin/dobby
model=$root/usr/local/share/dobby/models/dobby-nano/dobby-nano-q8_0.gguf
[ -x "$program" ] || { echo "FAILED: $program is not there"; exit 1; }
cmp -s "$model" "$(dirname "$0")/../../models/dobby-nano/dobby-nano-q8_0.gguf" ||
    { echo "FAILED: the model is not at $model"; exit 1; }

# No configuration of this user, no source tree near.
cd "$root"
summary=$(printf 'int add(int a, int b)\n{\n    return a + b;\n}\n' |
    env -u DOBBY_MODEL -u MODEL_PATH HOME="$root" XDG_CONFIG_HOME="$root" "$program" summarize --path add.c -)
[ -n "$summary" ] || { echo "FAILED: no summary"; exit 1; }
echo "installed, it says of an addition: $summary"

# Without its model it says so, and does not find one elsewhere.
rm "$model"
if env -u DOBBY_MODEL -u MODEL_PATH HOME="$root" "$program" summarize "$root/log" >"$root/out" 2>&1; then
    echo "FAILED: it found a model outside its installation"
    exit 1
fi
grep -q MODEL-0001 "$root/out" || { echo "FAILED: a missing model reads:"; cat "$root/out"; exit 1; }
