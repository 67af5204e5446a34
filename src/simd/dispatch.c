/* dispatch.c: chooses the instruction set once, at the first call.
 *
 * The choice is global state, which the house allows for this table. It never changes after the first call, and
 * threads that choose at the same time make the same choice.
 */
#include "simd/simd.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "simd/distance.h"
#include "simd/encoder.h"
#include "simd/nearest.h"
#include "simd/peak.h"
#include "simd/scan.h"

#if defined(__x86_64__)
#define HAVE_X86 1
#define HAVE_ARM 0
#include <cpuid.h>
#elif defined(__aarch64__)
#define HAVE_X86 0
#define HAVE_ARM 1
#include <sys/auxv.h>
#else
#define HAVE_X86 0
#define HAVE_ARM 0
#endif

/* The kernels of this architecture's instruction sets. Headers such as simd/encoder.h declare the scalar
 * kernels. */
#if HAVE_X86
extern const struct encoder_kernels encoder_kernels_avx2, encoder_kernels_avxvnni, encoder_kernels_avx512vnni;
extern const struct distance_kernels distance_kernels_avx2, distance_kernels_avx512;
extern const struct peak_kernels peak_kernels_avx2, peak_kernels_avxvnni, peak_kernels_avx512vnni;
extern const struct scan_kernels scan_kernels_avx2, scan_kernels_avx512;
extern const struct nearest_kernels nearest_kernels_avx2, nearest_kernels_avx512;
#elif HAVE_ARM
extern const struct encoder_kernels encoder_kernels_neon, encoder_kernels_dotprod, encoder_kernels_i8mm;
extern const struct distance_kernels distance_kernels_neon;
extern const struct peak_kernels peak_kernels_neon, peak_kernels_dotprod, peak_kernels_i8mm;
extern const struct scan_kernels scan_kernels_neon;
extern const struct nearest_kernels nearest_kernels_neon;
#endif

static const struct simd_ops tables[SIMD_ISA_COUNT] = {
    [SIMD_SCALAR] = {SIMD_SCALAR, "scalar", &encoder_kernels_scalar, &distance_kernels_scalar,
                     &peak_kernels_scalar, &scan_kernels_scalar, &nearest_kernels_scalar},
#if HAVE_X86
    [SIMD_AVX2] = {SIMD_AVX2, "avx2", &encoder_kernels_avx2, &distance_kernels_avx2, &peak_kernels_avx2,
                   &scan_kernels_avx2, &nearest_kernels_avx2},
    [SIMD_AVXVNNI] = {SIMD_AVXVNNI, "avxvnni", &encoder_kernels_avxvnni, &distance_kernels_avx2,
                      &peak_kernels_avxvnni, &scan_kernels_avx2, &nearest_kernels_avx2},
    [SIMD_AVX512VNNI] = {SIMD_AVX512VNNI, "avx512vnni", &encoder_kernels_avx512vnni, &distance_kernels_avx512,
                         &peak_kernels_avx512vnni, &scan_kernels_avx512, &nearest_kernels_avx512},
#elif HAVE_ARM
    [SIMD_NEON] = {SIMD_NEON, "neon", &encoder_kernels_neon, &distance_kernels_neon, &peak_kernels_neon,
                   &scan_kernels_neon, &nearest_kernels_neon},
    [SIMD_DOTPROD] = {SIMD_DOTPROD, "dotprod", &encoder_kernels_dotprod, &distance_kernels_neon,
                      &peak_kernels_dotprod, &scan_kernels_neon, &nearest_kernels_neon},
    [SIMD_I8MM] = {SIMD_I8MM, "i8mm", &encoder_kernels_i8mm, &distance_kernels_neon, &peak_kernels_i8mm,
                   &scan_kernels_neon, &nearest_kernels_neon},
#endif
};

static const char *const names[SIMD_ISA_COUNT] = {[SIMD_SCALAR] = "scalar",   [SIMD_AVX2] = "avx2",
                                                  [SIMD_AVXVNNI] = "avxvnni", [SIMD_AVX512VNNI] = "avx512vnni",
                                                  [SIMD_NEON] = "neon",       [SIMD_DOTPROD] = "dotprod",
                                                  [SIMD_I8MM] = "i8mm"};

#if HAVE_X86
/* clang 14's __builtin_cpu_supports does not know AVX-VNNI, so this function reads leaf 7, subleaf 1, EAX bit
 * 4. AVX-VNNI uses AVX2's registers, so AVX2's check that the system saves them suffices. */
static bool has_avxvnni(void)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 4 & 1) != 0;
}
#endif

static bool machine_has(enum simd_isa isa)
{
    if (isa == SIMD_SCALAR)
        return true;
    if (!tables[isa].name) /* a set of another architecture */
        return false;
#if HAVE_X86
    /* __builtin_cpu_supports also asks XGETBV whether the system saves the registers. */
    __builtin_cpu_init();
    /* Every processor with AVX2 has F16C, which clang 14 cannot ask for. */
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa == SIMD_AVX2)
        return avx2;
    if (isa == SIMD_AVXVNNI)
        return avx2 && has_avxvnni();
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
#elif HAVE_ARM
    /* Linux reports only features that programs may use. */
    if (isa == SIMD_DOTPROD)
        return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
    if (isa == SIMD_I8MM)
        return (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
    return true;
#else
    return false;
#endif
}

const struct simd_ops *simd_ops_for(enum simd_isa isa)
{
    return machine_has(isa) ? &tables[isa] : NULL;
}

/* Returns the set that `wanted`, the value of DIPPER_SIMD, names. Returns SIMD_ISA_COUNT if `wanted` is NULL or
 * names no set. */
static enum simd_isa wanted_isa(const char *wanted)
{
    int isa = 0;
    while (isa < SIMD_ISA_COUNT && (!wanted || strcmp(wanted, names[isa]) != 0))
        isa++;
    return (enum simd_isa)isa;
}

const struct simd_ops *simd_ops(void)
{
    static _Atomic(const struct simd_ops *) chosen;
    const struct simd_ops *ops = atomic_load_explicit(&chosen, memory_order_acquire);
    if (ops)
        return ops;
    enum simd_isa isa = wanted_isa(getenv("DIPPER_SIMD"));
    if (isa == SIMD_ISA_COUNT || !machine_has(isa)) {
        isa = SIMD_ISA_COUNT - 1;
        while (!machine_has(isa))
            isa--;
    }
    ops = &tables[isa];
    atomic_store_explicit(&chosen, ops, memory_order_release);
    return ops;
}

enum dp_status simd_check(struct dp_error *error)
{
    const char *wanted = getenv("DIPPER_SIMD");
    if (!wanted || *wanted == '\0')
        return DP_OK;
    enum simd_isa isa = wanted_isa(wanted);
    if (isa == SIMD_ISA_COUNT)
        return dp_fail(error, DP_INVALID,
                       "DIPPER_SIMD=%s: expected scalar, avx2, avxvnni, avx512vnni, neon, dotprod or i8mm",
                       wanted);
    if (!machine_has(isa))
        return dp_fail(error, DP_UNSUPPORTED, "DIPPER_SIMD=%s: this machine does not have that instruction set",
                       wanted);
    return DP_OK;
}
