/* A heap that counts and fails on demand. Thread-safe. */
#ifndef AD_TEST_HEAP_H
#define AD_TEST_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/* Replaces the process's heap; balanced by heap_uninstall, which gives the pieces still held. */
void heap_install(void);
size_t heap_uninstall(void);

size_t heap_held(void); /* pieces held now */
size_t heap_held_bytes(void);
size_t heap_requests(void); /* allocations asked for since heap_install */
/* The n-th request from now (0: the next) fails, and `times` in a row; times 0 lifts it. */
void heap_fail(size_t n, size_t times);
/* Whether a request has failed since heap_fail. */
bool heap_failed(void);

#endif
