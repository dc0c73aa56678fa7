#include "support/sqlite_heap.h"

#include <check.h>
#include <sqlite3.h>
#include <stdatomic.h>

static sqlite3_mem_methods real;
static atomic_size_t asked; /* since sqlite_heap_fail */
static atomic_size_t fail_from;
static atomic_size_t fail_times;
static atomic_bool failed;

static bool must_fail(void)
{
    size_t n = atomic_fetch_add(&asked, 1);
    size_t from = atomic_load(&fail_from);
    bool yes = n >= from && n - from < atomic_load(&fail_times);
    if (yes) {
        atomic_store(&failed, true);
    }
    return yes;
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
    atomic_store(&failed, false);
    atomic_store(&fail_times, times);
}

bool sqlite_heap_failed(void)
{
    return atomic_load(&failed);
}
