/* os/cpu.h: how many processors this process may use. */
#ifndef OS_CPU_H
#define OS_CPU_H

/* The least of the affinity mask and the cgroup's (v1 or v2) CPU quota rounded up; at least 1. */
unsigned os_cpu_count(void);

/* The least CPU quota of the process's control groups, rounded up; 0 when there is none. Reads <root>/proc and
 * <root>/sys: tests lay out their own; "" is the system. */
unsigned os_cpu_quota(const char *root);

#endif
