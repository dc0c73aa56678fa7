/* The libraries that this program runs with, by the layer that wraps them. */
#ifndef AD_INFRA_VERSIONS_H
#define AD_INFRA_VERSIONS_H

#include <stddef.h>

struct ad_library {
    const char *name;
    char version[32]; /* of the library that is loaded, where it can say so */
};

/* Fills at most `max`; returns how many. yajl is base's (base/json.h). */
size_t ad_infra_libraries(struct ad_library *out, size_t max);

#endif
