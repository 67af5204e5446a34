/* process_metrics.c: reads the process's metrics from /proc (proc(5)). */
#include "server/process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/json.h"
#include "base/metrics.h"
#include "base/version.h"
#include "simd/simd.h"

static void print_gauge(struct buffer *out, const char *name, const char *kind, const char *help, double value)
{
    char text[25];
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.*s\n", name, help, name, kind, name,
                  (int)json_format_double(value, text), text);
}

/* Reads the first line that begins with `prefix` ("": the first line). False: the file has no such line. */
static bool read_proc_line(const char *path, const char *prefix, char *line, int size)
{
    FILE *in = fopen(path, "re");
    bool found = false;
    while (in && !found && fgets(line, size, in))
        found = strncmp(line, prefix, strlen(prefix)) == 0;
    if (in)
        fclose(in);
    return found;
}

static bool count_open_files(unsigned *count)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return false;
    *count = 0;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        *count += entry->d_name[0] != '.';
    closedir(dir);
    *count -= *count > 0; /* the folder itself */
    return true;
}

/* Reads the start time of the process, in seconds since 1970: the boot time, and field 22 of /proc/self/stat,
 * which counts clock ticks since boot. */
static bool start_time(double *seconds)
{
    enum { FIELD = 22, AFTER_NAME = 2 };
    char line[1024], boot[64];
    if (!read_proc_line("/proc/self/stat", "", line, sizeof line) ||
        !read_proc_line("/proc/stat", "btime ", boot, sizeof boot))
        return false;
    char *at = strrchr(line, ')'); /* after the program's name, which may hold any byte */
    for (int field = AFTER_NAME; at && field < FIELD; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return false;
    *seconds =
        (double)strtoull(boot + 6, NULL, 10) + (double)strtoull(at, NULL, 10) / (double)sysconf(_SC_CLK_TCK);
    return true;
}

static void print_memory(struct buffer *out)
{
    char line[128], *rest;
    if (!read_proc_line("/proc/self/statm", "", line, sizeof line))
        return;
    double page = (double)sysconf(_SC_PAGESIZE);
    double virtual_bytes = (double)strtoull(line, &rest, 10) * page;
    print_gauge(out, "process_virtual_memory_bytes", "gauge", "Address space of the process.", virtual_bytes);
    print_gauge(out, "process_resident_memory_bytes", "gauge", "Memory of the process in RAM.",
                (double)strtoull(rest, NULL, 10) * page);
}

static void print_files(struct buffer *out)
{
    unsigned open;
    struct rlimit files;
    if (count_open_files(&open))
        print_gauge(out, "process_open_fds", "gauge", "Open file descriptors of the process.", open);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        print_gauge(out, "process_max_fds", "gauge", "File descriptors that the process may have open.",
                    (double)files.rlim_cur);
}

static void print_build(struct buffer *out)
{
    char labels[METRIC_LABELS_MAX] = "";
    metric_add_label(labels, "version", span_str(version_text()));
    metric_add_label(labels, "simd", span_str(simd_ops()->name));
    buffer_printf(out,
                  "# HELP dipper_build_info Dipper's version, and the instruction set that it computes with.\n"
                  "# TYPE dipper_build_info gauge\ndipper_build_info{%s} 1\n",
                  labels);
}

void process_metrics_print(struct buffer *out)
{
    struct rusage usage;
    char line[64];
    double began;
    print_build(out);
    getrusage(RUSAGE_SELF, &usage);
    print_gauge(out, "process_cpu_seconds_total", "counter", "Processor time of the process.",
                (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6);
    print_memory(out);
    print_files(out);
    if (start_time(&began))
        print_gauge(out, "process_start_time_seconds", "gauge",
                    "Start time of the process, in seconds since 1970.", began);
    if (read_proc_line("/proc/self/status", "Threads:", line, sizeof line))
        print_gauge(out, "process_threads", "gauge", "Threads of the process.",
                    (double)strtoull(line + 8, NULL, 10));
}
