/* cpu.c: counts the processors that the system lets this process use.
 *
 * There are two limits: the affinity mask (taskset, cpusets) and the CPU quota of the control groups (a
 * container's "cpus: 2"). A quota limits a group and all groups below it, so the code reads every group from the
 * process's own up to the root. In a container, the path of the process's group often does not exist under the
 * mounted hierarchy. Then only the ancestors that exist count. The root of the mount always exists, and it is the
 * container's group.
 */
#include "os/cpu.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL_FILE = 4096 };

/* Returns the number of processors in the affinity mask; 0 if it is unknown. */
static unsigned affinity_count(void)
{
    enum { MASK_CPUS_FIRST = 1024, MASK_CPUS_MAX = 1 << 16 };
    for (int cpus = MASK_CPUS_FIRST; cpus <= MASK_CPUS_MAX; cpus *= 2) {
        cpu_set_t *mask = CPU_ALLOC((size_t)cpus);
        if (!mask)
            return 0;
        size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        bool got = sched_getaffinity(0, size, mask) == 0; /* EINVAL: the kernel's mask is larger */
        unsigned count = got ? (unsigned)CPU_COUNT_S(size, mask) : 0;
        CPU_FREE(mask);
        if (got)
            return count;
    }
    return 0;
}

/* Reads a small text file. Returns false if it is missing or empty. */
static bool read_small(const char *path, char out[SMALL_FILE])
{
    FILE *in = fopen(path, "re");
    if (!in)
        return false;
    size_t len = fread(out, 1, SMALL_FILE - 1, in);
    fclose(in);
    out[len] = '\0';
    return len > 0;
}

/* Reads a decimal number at *at and moves *at behind it. Returns false if there is none or it is too large. */
static bool take_cgroup_number(const char **at, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(*at, &end, 10);
    bool taken = end != *at && errno == 0;
    *at = end;
    return taken;
}

/* Returns quota / period, rounded up; 0: no limit. */
static unsigned quota_cpus(int64_t quota, int64_t period)
{
    if (quota <= 0 || period <= 0)
        return 0;
    int64_t cpus = (quota - 1) / period + 1;
    return cpus > INT_MAX ? INT_MAX : (unsigned)cpus;
}

/* Returns the quota of one v2 group, in processors; 0: no limit. Its file holds "200000 100000" or "max
 * 100000". */
static unsigned quota_v2(const char *group)
{
    char path[PATH_MAX + 32], text[SMALL_FILE];
    const char *at = text;
    int64_t quota, period;
    snprintf(path, sizeof path, "%s/cpu.max", group);
    if (!read_small(path, text) || !take_cgroup_number(&at, &quota) || !take_cgroup_number(&at, &period))
        return 0;
    return quota_cpus(quota, period);
}

/* Returns the number in a file of a v1 group; -1 (no limit) if there is no such file. */
static int64_t number_v1(const char *group, const char *name)
{
    char path[PATH_MAX + 32], text[SMALL_FILE];
    const char *at = text;
    int64_t number;
    snprintf(path, sizeof path, "%s/%s", group, name);
    return read_small(path, text) && take_cgroup_number(&at, &number) ? number : -1;
}

static unsigned quota_v1(const char *group)
{
    return quota_cpus(number_v1(group, "cpu.cfs_quota_us"), number_v1(group, "cpu.cfs_period_us"));
}

/* Returns the smaller of two limits; 0 means no limit. */
static unsigned tighter_quota(unsigned a, unsigned b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Returns the smallest quota of `mount`/`group` and its ancestors; 0: no limit. Shortens `group` from ancestor to
 * ancestor. */
static unsigned least_quota(const char *mount, char *group, unsigned (*quota)(const char *group))
{
    char path[PATH_MAX];
    unsigned least = 0;
    for (;;) {
        int len = snprintf(path, sizeof path, "%s%s", mount, group);
        if (len > 0 && (size_t)len < sizeof path)
            least = tighter_quota(least, quota(path));
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

/* Returns whether a v1 line's controllers ("cpu,cpuacct") hold "cpu". */
static bool has_cpu(const char *controllers)
{
    for (const char *at = controllers; at; at = strchr(at, ','), at = at ? at + 1 : NULL)
        if (strncmp(at, "cpu", 3) == 0 && (at[3] == ',' || at[3] == '\0'))
            return true;
    return false;
}

unsigned os_cpu_quota(const char *root)
{
    char path[PATH_MAX], line[PATH_MAX], mount[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= (int)sizeof path)
        return 0;
    FILE *in = fopen(path, "re");
    if (!in)
        return 0;
    unsigned least = 0;
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        /* A line is "0::/group" in version 2 and "4:cpu,cpuacct:/group" in version 1. Version 1 is mounted at
         * "cpu". */
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *controllers++ = '\0';
        *group++ = '\0';
        if (controllers[0] == '\0') {
            if (snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root) < (int)sizeof mount)
                least = tighter_quota(least, least_quota(mount, group, quota_v2));
        } else if (has_cpu(controllers)) {
            if (snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpu", root) < (int)sizeof mount)
                least = tighter_quota(least, least_quota(mount, group, quota_v1));
        }
    }
    fclose(in);
    return least;
}

unsigned os_cpu_count(void)
{
    unsigned count = tighter_quota(affinity_count(), os_cpu_quota(""));
    return count ? count : 1;
}
