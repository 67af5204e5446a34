/* test_support.h: cmocka, the allocator's controls and paths. Every test file includes it. */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "test_alloc.h"

/* Runs a group of cmocka tests, and fails if blocks are still live at the end: the last line of main. */
#define test_run(tests) test_finish(cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL))
int test_finish(int failed);

/* A fresh empty folder; it is removed with its content when the program ends. */
const char *test_tmpdir(void);
/* Reads tests/data/<name> whole, into memory that the end of the program frees. A missing file fails the test. */
struct span test_data(const char *name);
const char *test_data_path(const char *name); /* static buffer */

/* Whether QEMU emulates the processor. */
bool test_emulated(void);

#endif
