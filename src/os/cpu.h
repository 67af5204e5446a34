/* os/cpu.h: how many processors this process may use. */
#ifndef OS_CPU_H
#define OS_CPU_H

/* The smaller of the affinity mask and the CPU quota of the cgroup (v1 or v2), rounded up; at least 1. */
unsigned os_cpu_count(void);

/* The smallest CPU quota of the process's control groups, rounded up; 0: no quota. Reads <root>/proc and
 * <root>/sys; root "" is the system, tests have their own. */
unsigned os_cpu_quota(const char *root);

#endif
