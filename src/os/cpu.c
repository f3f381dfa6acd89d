#include "os/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bits of CPUID, XCR0 and arch_prctl: Intel SDM volumes 1 and 2, AMD APM volume 3, Linux' x86 ABI. */
enum {
    LEAF1_ECX_FMA = 1u << 12,
    LEAF1_ECX_OSXSAVE = 1u << 27,
    LEAF1_ECX_AVX = 1u << 28,
    LEAF1_ECX_F16C = 1u << 29,
    LEAF7_EBX_AVX2 = 1u << 5,
    LEAF7_EBX_BMI2 = 1u << 8,
    LEAF7_EBX_AVX512F = 1u << 16,
    LEAF7_EBX_AVX512DQ = 1u << 17,
    LEAF7_EBX_AVX512BW = 1u << 30,
    LEAF7_ECX_AVX512_VNNI = 1u << 11,
    LEAF7_EDX_AMX_BF16 = 1u << 22,
    LEAF7_EDX_AMX_TILE = 1u << 24,
    LEAF7_EDX_AMX_INT8 = 1u << 25,
    LEAF7_1_EAX_AVX512_BF16 = 1u << 5,
    XCR0_YMM = 0x6,      /* xmm and upper halves of ymm */
    XCR0_ZMM = 0xe6,     /* these, the mask registers, and both parts of zmm */
    XCR0_TILE = 0x60000, /* tile configuration and tile data */
    XFEATURE_TILE_DATA = 18,
    ARCH_PERMISSION_REQUEST = 0x1023 /* ARCH_REQ_XCOMP_PERM */
};
static const uint32_t LEAF7_EBX_AVX512VL = 1u << 31;

static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Leaf 4 on Intel, 0x8000001d on AMD: the same form. */
static void read_caches(struct cpu_features *features)
{
    uint32_t leaf = strcmp(features->vendor, "AuthenticAMD") == 0 ? 0x8000001d : 4;
    for (uint32_t index = 0; index < 8; index++) {
        uint32_t a, b, c, d;
        if (!__get_cpuid_count(leaf, index, &a, &b, &c, &d) || (a & 0x1f) == 0)
            break;
        uint32_t type = a & 0x1f, level = a >> 5 & 7;
        uint32_t bytes = ((b >> 22) + 1) * ((b >> 12 & 0x3ff) + 1) * ((b & 0xfff) + 1) * (c + 1);
        if (level == 1 && type == 1)
            features->l1d_bytes = bytes;
        else if (level == 2)
            features->l2_bytes = bytes;
    }
}

static void read_names(struct cpu_features *features)
{
    uint32_t a, b, c, d;
    if (__get_cpuid(0, &a, &b, &c, &d)) {
        memcpy(features->vendor, &b, 4);
        memcpy(features->vendor + 4, &d, 4);
        memcpy(features->vendor + 8, &c, 4);
    }
    for (uint32_t part = 0; part < 3; part++) {
        uint32_t words[4];
        if (!__get_cpuid(0x80000002 + part, &words[0], &words[1], &words[2], &words[3]))
            return;
        memcpy(features->model + part * sizeof words, words, sizeof words);
    }
}

static void read_features(struct cpu_features *features)
{
    uint32_t a, b, c, d;
    read_names(features);
    read_caches(features);
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & LEAF1_ECX_OSXSAVE) || !(c & LEAF1_ECX_AVX))
        return;
    uint64_t xcr0 = read_xcr0();
    bool fma = (c & LEAF1_ECX_FMA) && (c & LEAF1_ECX_F16C) && (xcr0 & XCR0_YMM) == XCR0_YMM;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return;
    uint32_t subleaves = a;
    const uint32_t avx2 = LEAF7_EBX_AVX2 | LEAF7_EBX_BMI2;
    const uint32_t avx512 = LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512BW | LEAF7_EBX_AVX512DQ | LEAF7_EBX_AVX512VL;
    features->avx2 = fma && (b & avx2) == avx2;
    features->avx512 = features->avx2 && (b & avx512) == avx512 && (xcr0 & XCR0_ZMM) == XCR0_ZMM;
    features->avx512_vnni = features->avx512 && (c & LEAF7_ECX_AVX512_VNNI);
    features->amx_tile = (d & LEAF7_EDX_AMX_TILE) && (xcr0 & XCR0_TILE) == XCR0_TILE;
    features->amx_int8 = features->amx_tile && (d & LEAF7_EDX_AMX_INT8);
    features->amx_bf16 = features->amx_tile && (d & LEAF7_EDX_AMX_BF16);
    if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
        features->avx512_bf16 = features->avx512 && (a & LEAF7_1_EAX_AVX512_BF16);
}

bool cpu_request_amx(void)
{
    return cpu_features()->amx_tile &&
           syscall(SYS_arch_prctl, ARCH_PERMISSION_REQUEST, XFEATURE_TILE_DATA) == 0;
}

#else

static void read_features(struct cpu_features *features)
{
    (void)features;
}

bool cpu_request_amx(void)
{
    return false;
}

#endif

static struct cpu_features cached; /* written once, under cached_once */
static pthread_once_t cached_once = PTHREAD_ONCE_INIT;

static void fill_cache(void)
{
    read_features(&cached);
}

const struct cpu_features *cpu_features(void)
{
    pthread_once(&cached_once, fill_cache);
    return &cached;
}

double cpu_load(void)
{
    double load;
    return getloadavg(&load, 1) == 1 ? load : -1;
}
