/* SQLite's own memory, failing on demand. Once a process, before SQLite is used at all. Thread-safe. */
#ifndef AD_TEST_SQLITE_HEAP_H
#define AD_TEST_SQLITE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

void sqlite_heap_install(void);
/* As heap_fail and heap_failed (support/heap.h). */
void sqlite_heap_fail(size_t n, size_t times);
bool sqlite_heap_failed(void);

#endif
