#!/usr/bin/env bash
# What is inferred when: a repository cold, warm, with one function edited, with another prompt, and back. Work is
# what should be there minus what is, so each step's inferences are known beforehand.
source "$(dirname "$0")/expect.bash" "$1" jq sqlite3 git

export DOBBY_DB=sqlite:test.db DOBBY_INGEST_CHUNK_TOKENS=64
mkdir repository
cd repository || exit 1
git init -q .
verbs=(add scale clamp count find copy)
for ((file = 0; file < 3; file++)); do
    for ((i = 0; i < 4; i++)); do
        printf 'int %s_%d(const int *items, int count)\n{\n    int total = %d;\n    for (int i = 0; i < count; i++)\n        total += items[i] * %d;\n    return total;\n}\n\n' \
            "${verbs[(file + i) % 6]}" $((file * 4 + i)) $((file + 3)) $((i + 2))
    done >"part_$file.c"
done
cd ..
# step NAME INFERRED REUSED ARGUMENT...: a run that infers and reuses exactly so many; its totals are in run.json.
step() {
    local name=$1 inferred=$2 reused=$3
    shift 3
    "$program" run --json "$@" >run.json 2>run.err || { fail "$name" "$(cat run.err)"; return; }
    same "$name" "$(jq -c '[.inferred, .reused, .failed, .pending]' run.json)" "[$inferred,$reused,0,0]"
}
# planned NAME STALE TO_DO ARGUMENT...: what dobby plan says of the same, without a timed sample
planned() {
    local name=$1 stale=$2 to_do=$3
    shift 3
    same "$name: plan says so" "$("$program" plan --sample-seconds 0 --json "$@" | jq -c '[.stale, .to_do, .to_infer]')" \
        "[$stale,$to_do,$to_do]"
}
ingest() { "$program" ingest repository --json >ingest.json 2>ingest.err || fail "ingest" "$(cat ingest.err)"; }
current() { sqlite3 -readonly test.db 'SELECT r.id, s.text, s.id FROM record r JOIN summary s ON s.record_seq = r.seq AND s.current ORDER BY r.id'; }

ingest
chunks=$(jq '.[0].added' ingest.json)
[ "$chunks" -ge 10 ] && pass "cold: $chunks chunks" || fail "cold: chunks" "$(cat ingest.json)"
planned "cold" 0 "$chunks"
step "cold: each chunk once" "$chunks" 0
current >cold

ingest
same "warm: nothing changes" "$(jq -c '.[0] | [.added, .updated, .unchanged, .removed]' ingest.json)" "[0,0,$chunks,0]"
planned "warm" 0 0
step "warm: nothing" 0 0
cmp -s cold <(current) && pass "warm: the same results" || fail "warm: the same results"

sed -i 's/total = 4;/total = 44;/; 8,$s/total = 44;/total = 4;/' repository/part_1.c
ingest
same "edited: exactly its chunk" "$(jq -c '.[0] | [.added, .updated, .unchanged, .removed]' ingest.json)" "[1,0,$((chunks - 1)),1]"
planned "edited" 0 1
step "edited: exactly its chunk" 1 0
current >edited
same "edited: the others keep theirs" "$(comm -12 cold edited | wc -l)" $((chunks - 1))

printf 'Say in one sentence what this does:\n{content}\n' >prompt.txt
planned "another prompt, kept" "$chunks" 0 --prompt prompt.txt
step "another prompt, kept: nothing" 0 0 --prompt prompt.txt
same "another prompt, kept: says how many are stale" "$(jq .stale_kept run.json)" "$chunks"
check "another prompt, kept: for people" "$program" run --prompt prompt.txt --stale keep
grep -qE "\b$chunks\b.*--stale redo" out err && pass "another prompt, kept: says what to do" ||
    fail "another prompt, kept: says what to do" "$(cat out err)"
cmp -s edited <(current) && pass "another prompt, kept: the same results" || fail "another prompt, kept: the same results"

planned "another prompt, redone" "$chunks" "$chunks" --prompt prompt.txt --stale redo
step "another prompt, redone: all" "$chunks" 0 --prompt prompt.txt --stale redo
same "another prompt, redone: counted" "$(jq -c '[.stale_redone, .stale_restored]' run.json)" "[$chunks,0]"
same "another prompt, redone: both versions are there" "$("$program" list --versions --json | jq -c '[length, (map(select(.current)) | length)]')" \
    "[$((2 * chunks)),$chunks]"
step "another prompt, again: nothing" 0 0 --prompt prompt.txt --stale redo
current >other

same "the first prompt, redone: plan says so" "$("$program" plan --sample-seconds 0 --json --stale redo | jq -c '[.stale, .stored, .to_infer]')" \
    "[$chunks,$chunks,0]"
step "the first prompt, redone: nothing, since its versions are there" 0 0 --stale redo
same "the first prompt, redone: counted" "$(jq -c '[.stale_redone, .stale_restored]' run.json)" "[0,$chunks]"
cmp -s edited <(current) && pass "the first prompt, redone: the results of then" || fail "the first prompt, redone: the results of then"

step "other sampling, kept: nothing" 0 0 --max-tokens-out 40
same "other sampling, kept: says how many are stale" "$(jq .stale_kept run.json)" "$chunks"

# Under the other prompt only the chunk that is edited now is new; the rest has a version.
sed -i '0,/total = 3;/s//total = 33;/' repository/part_0.c
ingest
step "edited, and the other prompt: exactly its chunk" 1 0 --prompt prompt.txt --stale redo
same "edited, and the other prompt: the rest is restored" "$(jq -c '[.stale_redone, .stale_restored]' run.json)" "[0,$((chunks - 1))]"
same "edited, and the other prompt: the results of then" "$(comm -12 other <(current) | wc -l)" $((chunks - 1))

# Another chunker makes other chunks: what is new is inferred, and only that.
export DOBBY_INGEST_CHUNK_TOKENS=128
ingest
step "another chunker: what is new" "$(jq '.[0].added' ingest.json)" 0 --prompt prompt.txt
same "a current result for each record" "$(sqlite3 -readonly test.db 'SELECT count(*) = (SELECT count(*) FROM summary WHERE current) FROM record')" 1
finish
