/* Compiler attributes and the few macros everybody uses. */
#ifndef AD_BASE_ATTR_H
#define AD_BASE_ATTR_H

#include <stddef.h>

#define AD_MUST_CHECK __attribute__((warn_unused_result))
#define AD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define AD_NORETURN __attribute__((noreturn))

#define AD_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* The struct of `type` whose `member` is at `ptr`. */
#define ad_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Drops a must-check result on purpose; `why` is for the reader. */
#define AD_IGNORE(expr, why) \
    do {                     \
        if (expr) {          \
        }                    \
    } while (0)

/* Our own bug: reports file, line and expression, and aborts, in every build. Never for anything
 * the outside world can cause. */
#define AD_ASSERT(expr) ((expr) ? (void)0 : ad_assert_failed(#expr, __FILE__, __LINE__))
AD_NORETURN void ad_assert_failed(const char *expr, const char *file, int line);

#endif
