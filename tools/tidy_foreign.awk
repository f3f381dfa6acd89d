# Every <header> is one of: standard C, POSIX (src/os only, with the few exceptions below), a processor's
# intrinsics, or a foreign library with one home. Anything else is unknown and refused, so that a new
# library is a decision made here.
BEGIN {
    count = split("assert ctype errno fenv float inttypes limits locale math setjmp signal stdalign stdarg " \
                  "stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string time wchar", names, " ")
    for (i = 1; i <= count; i++)
        standard[names[i] ".h"] = 1
    delete standard["setjmp.h"] # a jump over a frame skips its one exit

    # Foreign library -> where its headers may be included.
    home["^jansson\\.h$"] = "^src/base/json\\.c$"
    home["^openssl/"] = "^src/base/crypto\\.c$"
    home["^pcre2\\.h$"] = "^src/infer/tokenizer/"
    home["^utf8proc\\.h$"] = "^src/infer/tokenizer/"
    home["^git2(/|\\.h$)"] = "^src/ingest/"
    home["^sqlite3\\.h$"] = "^(src|tests/unit)/drivers/sqlite/"
    home["^toml\\+\\+/|^toml\\.hpp$"] = "^src/app/"
    home["^cmocka\\.h$"] = "^tests/"

    # Intrinsics: kernels, and the file that asks the processor what it has.
    home["^(immintrin|x86intrin|arm_neon)\\.h$"] = "^(src/infer/cpu|tests|bench)/"
    home["^cpuid\\.h$"] = "^src/os/"

    # POSIX outside src/os, each for a reason.
    posix["strings.h"] = "^src/"    # strcasecmp: no state, no system
    posix_os = "^src/os/"
    posix_tests = "^(tests|fuzz|bench)/"  # tests make files, processes and threads of their own
    posix_names = "^(aio|arpa/.*|cpio|dirent|dlfcn|fcntl|fnmatch|ftw|getopt|glob|grp|iconv|langinfo|libgen|linux/.*|" \
                  "net/.*|netdb|netinet/.*|poll|pthread|pwd|regex|sched|semaphore|spawn|strings|sys/.*|syslog|" \
                  "termios|unistd|utime|wordexp|asm/.*)\\.h$"
}

function say(message) {
    printf "%s:%d: foreign: %s\n", FILENAME, FNR, message
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    header = $0
    sub(/^[^<]*</, "", header)
    sub(/>.*$/, "", header)
    if (header == "signal.h" && FILENAME ~ /^src\// && FILENAME !~ posix_os) {
        say("<signal.h> belongs to src/os: the rest asks os/interrupt.h")
        next
    }
    if (header in standard)
        next
    if (header == "setjmp.h") {
        if (FILENAME !~ /^tests\//) # cmocka.h needs it before itself
            say("<setjmp.h> is not used: a jump skips the one exit")
        next
    }
    if (FILENAME ~ /\.(cpp|hpp)$/ && header !~ /[.\/]/)
        next # the C++ standard library, in a shim
    for (pattern in home)
        if (header ~ pattern) {
            place = home[pattern]
            if (FILENAME !~ place) {
                gsub(/[\\^$]/, "", place)
                say("<" header "> is included in one place only: " place)
            }
            next
        }
    if (header ~ posix_names) {
        if (FILENAME ~ posix_os || FILENAME ~ posix_tests)
            next
        if (header in posix && FILENAME ~ posix[header])
            next
        say("<" header "> is POSIX: it belongs to src/os")
        next
    }
    say("<" header "> is unknown: say where it belongs in tools/tidy_foreign.awk")
}
