/* Where a library asks thousands of times for memory, in loops, its n-th request is nothing new: what
 * counts is the chain of calls that it comes from. */
#ifndef AD_TEST_CALLS_H
#define AD_TEST_CALLS_H

#include <stdbool.h>

/* Whether the caller was called from where it is for the first or second time in this process: a test that
 * asks for it is one with FORK. Thread-safe. */
bool calls_are_new(void);

#endif
