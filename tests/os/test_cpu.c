/* test_cpu.c: CPU quotas of control groups, read from folders laid out like the kernel's. */
#include "test_support.h"

#include <sched.h>
#include <stdio.h>

#include "os/cpu.h"
#include "os/file.h"

/* Writes <root>/<path>, making its folders. */
static void put(const char *root, const char *path, const char *text)
{
    char full[4096], folder[4096];
    snprintf(full, sizeof full, "%s/%s", root, path);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(full, '/') - full), full);
    assert_int_equal(os_make_dirs(folder, NULL), DP_OK);
    assert_int_equal(os_write_file(full, span_str(text), NULL), DP_OK);
}

static void test_os_cpu_count_is_bounded_by_the_affinity_mask(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_in_range(os_cpu_count(), 1, CPU_COUNT(&all));
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
        break;
    }
    assert_int_equal(os_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

static void test_os_cpu_quota_without_control_groups_is_zero(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    assert_int_equal(os_cpu_quota(root), 0);
    put(root, "proc/self/cgroup", "");
    assert_int_equal(os_cpu_quota(root), 0);
    put(root, "proc/self/cgroup", "garbage\n0:\n::\n");
    assert_int_equal(os_cpu_quota(root), 0);
}

static void test_os_cpu_quota_of_version_2(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned cpus;
    } cases[] = {
        {"max 100000\n", 0},
        {"200000 100000\n", 2},
        {"150000 100000\n", 2},
        {"1000 100000\n", 1},
        {"100001 100000\n", 2},
        {"0 100000\n", 0},
        {"5 0\n", 0},
        {"-1 100000\n", 0},
        {"x", 0},
        {"", 0},
        {"200000", 0},
        {"9223372036854775807 1\n", 0x7fffffff},
    };
    const char *root = test_tmpdir();
    put(root, "proc/self/cgroup", "0::/a/b\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(root, "sys/fs/cgroup/a/b/cpu.max", cases[i].text);
        assert_int_equal(os_cpu_quota(root), cases[i].cpus);
    }
}

static void test_os_cpu_quota_is_the_least_of_all_ancestors(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    put(root, "proc/self/cgroup", "0::/a/b\n");
    put(root, "sys/fs/cgroup/a/b/cpu.max", "800000 100000\n");
    assert_int_equal(os_cpu_quota(root), 8);
    put(root, "sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    assert_int_equal(os_cpu_quota(root), 3);
    put(root, "sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    assert_int_equal(os_cpu_quota(root), 3);
}

/* In a container, the root of the mount is the group of the container, although the process's path may be longer. */
static void test_os_cpu_quota_inside_a_container(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    put(root, "sys/fs/cgroup/cpu.max", "400000 100000\n");
    put(root, "proc/self/cgroup", "0::/\n");
    assert_int_equal(os_cpu_quota(root), 4);
    put(root, "proc/self/cgroup", "0::/docker/0123456789abcdef\n");
    assert_int_equal(os_cpu_quota(root), 4);
}

static void test_os_cpu_quota_of_version_1(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    put(root, "proc/self/cgroup", "12:cpuset:/x\n11:memory:/a\n4:cpu,cpuacct:/a\n1:name=systemd:/a\n0::/a\n");
    put(root, "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
    put(root, "sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    put(root, "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "100000\n"); /* the group of the cpuset does not count */
    put(root, "sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
    assert_int_equal(os_cpu_quota(root), 0);
    put(root, "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "250000\n");
    assert_int_equal(os_cpu_quota(root), 3);
    put(root, "proc/self/cgroup", "4:cpuacct,cpu:/a\n");
    assert_int_equal(os_cpu_quota(root), 3);
    put(root, "proc/self/cgroup", "4:cpuacct,cpuset:/a\n");
    assert_int_equal(os_cpu_quota(root), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_cpu_count_is_bounded_by_the_affinity_mask),
        cmocka_unit_test(test_os_cpu_quota_without_control_groups_is_zero),
        cmocka_unit_test(test_os_cpu_quota_of_version_2),
        cmocka_unit_test(test_os_cpu_quota_is_the_least_of_all_ancestors),
        cmocka_unit_test(test_os_cpu_quota_inside_a_container),
        cmocka_unit_test(test_os_cpu_quota_of_version_1),
    };
    return test_run(tests);
}
