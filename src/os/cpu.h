/* os/cpu.h: how many processors this process may use. */
#ifndef OS_CPU_H
#define OS_CPU_H

/* Returns the smaller of the processors in the affinity mask and the CPU quota of the control groups (v1 or v2),
 * rounded up; at least 1. */
unsigned os_cpu_count(void);

/* Returns the smallest CPU quota of the process's control groups, in processors, rounded up; 0: no quota. Reads
 * <root>/proc and <root>/sys; "" is the system's root, and tests make their own. */
unsigned os_cpu_quota(const char *root);

#endif
