/* test_alloc.h: the tests' allocator, linked in place of base/alloc.c.
 *
 * It counts live blocks and can fail the n-th allocation, so that a test can prove that every failed
 * allocation ends in DP_NOMEM with nothing leaked:
 *     for (size_t n = 1; ; n = test_alloc_next(n)) {
 *         test_alloc_fail_at(n);
 *         status = thing_under_test();
 *         bool fired = test_alloc_fired();
 *         test_alloc_fail_at(0);
 *         … free what succeeded; assert_int_equal(test_alloc_live(), before);
 *         if (!fired) { assert_int_equal(status, DP_OK); break; }
 *         assert_int_equal(status, DP_NOMEM);
 *     }
 */
#ifndef TEST_ALLOC_H
#define TEST_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

void test_alloc_fail_at(size_t n); /* the n-th allocation from now returns NULL, once; 0: none */
/* Returns the next n: n + 1. An emulated processor skips an eighth of the way, because the same walk is whole on others. */
size_t test_alloc_next(size_t n);
bool test_alloc_fired(void);   /* whether the armed failure has happened */
size_t test_alloc_live(void);  /* blocks allocated and not freed */
size_t test_alloc_count(void); /* allocations since the program began */
/* Bytes allocated and not freed, as the system's allocator rounds them: now, and the maximum since
 * test_alloc_mark(). */
size_t test_alloc_bytes(void);
size_t test_alloc_peak(void);
void test_alloc_mark(void);

#endif
