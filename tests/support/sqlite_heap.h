/* SQLite's own memory, failing on demand. Once a process, before SQLite is used at all. Thread-safe. */
#ifndef AD_TEST_SQLITE_HEAP_H
#define AD_TEST_SQLITE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

void sqlite_heap_install(void);
/* As heap_fail and heap_failed (support/heap.h). */
void sqlite_heap_fail(size_t n, size_t times);
bool sqlite_heap_failed(void);

/* Memory of either kind, for loop tests: 0 ours once, 1 ours from there on, 2 and 3 the same of SQLite's.
 *
 *   for (size_t n = 0; failed; n = memory_next(kind, n)) {
 *       memory_fail(kind, n);
 *       ...
 *       failed = memory_back();
 *   }
 *
 * takes each n of ours as torture_next does. Of SQLite's, which asks thousands of times from the same
 * places, the n-th or the first behind it that comes from a new chain of calls (support/calls.h): full
 * torture takes each chain twice. */
enum { MEMORY_KINDS = 4 };
void memory_fail(int kind, size_t n);
/* There is memory again. Whether any was missing. */
bool memory_back(void);
size_t memory_next(int kind, size_t n);

#endif
