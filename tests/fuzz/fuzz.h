/* What the fuzz targets share.
 *
 * A target is one function over one input. The fuzz preset links it with libFuzzer; every other
 * build links it with replay.c, which runs the seeds in corpus/<name>/ as an ordinary test. So an
 * input that once broke something becomes a test by being put there.
 *
 * Targets hold what they call to more than not crashing: FUZZ_CHECK says what must be true of any
 * input. */
#ifndef AD_TEST_FUZZ_H
#define AD_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(cond)                                                             \
    do {                                                                             \
        if (!(cond)) {                                                               \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                                 \
        }                                                                            \
    } while (0)

#endif
