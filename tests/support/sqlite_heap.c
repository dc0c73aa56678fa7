#include "support/sqlite_heap.h"

#include <check.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdint.h>

#include "support/calls.h"
#include "support/heap.h"
#include "support/torture.h"

static sqlite3_mem_methods real;
static atomic_size_t asked; /* since sqlite_heap_fail */
static atomic_size_t fail_from;
static atomic_size_t fail_times;
static atomic_bool only_new; /* fail_from is not before a new chain of calls */
static atomic_bool failed;
static atomic_size_t failed_at;

static bool must_fail(void)
{
    size_t n = atomic_fetch_add(&asked, 1);
    size_t times = atomic_load(&fail_times);
    if (times == 0 || n < atomic_load(&fail_from)) {
        return false;
    }
    if (!atomic_load(&failed) && atomic_load(&only_new) && !calls_are_new()) {
        return false;
    }
    if (!atomic_exchange(&failed, true)) {
        atomic_store(&failed_at, n);
    }
    return n - atomic_load(&failed_at) < times;
}

static void *failing_malloc(int n)
{
    return must_fail() ? NULL : real.xMalloc(n);
}

static void *failing_realloc(void *p, int n)
{
    return must_fail() ? NULL : real.xRealloc(p, n);
}

void sqlite_heap_install(void)
{
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real), SQLITE_OK);
    sqlite3_mem_methods methods = real;
    methods.xMalloc = failing_malloc;
    methods.xRealloc = failing_realloc;
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
    sqlite_heap_fail(0, 0);
}

void sqlite_heap_fail(size_t n, size_t times)
{
    atomic_store(&fail_times, 0); /* no other thread may meet half of the plan */
    atomic_store(&asked, 0);
    atomic_store(&fail_from, n);
    atomic_store(&only_new, false);
    atomic_store(&failed, false);
    atomic_store(&fail_times, times);
}

bool sqlite_heap_failed(void)
{
    return atomic_load(&failed);
}

void memory_fail(int kind, size_t n)
{
    size_t times = kind % 2 ? SIZE_MAX : 1;
    heap_fail(n, kind < 2 ? times : 0);
    sqlite_heap_fail(n, 0);
    atomic_store(&only_new, true);
    atomic_store(&fail_times, kind < 2 ? 0 : times);
}

bool memory_back(void)
{
    bool missing = heap_failed() || sqlite_heap_failed();
    heap_fail(0, 0);
    atomic_store(&fail_times, 0);
    return missing;
}

size_t memory_next(int kind, size_t n)
{
    return torture_next(kind < 2 ? n : atomic_load(&failed_at));
}
