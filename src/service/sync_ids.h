/* A set of record ids, as full sync needs it: what a page showed, what stands at its border. */
#ifndef AD_SERVICE_SYNC_IDS_H
#define AD_SERVICE_SYNC_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ad__sync_id {
    uint8_t bytes[16];
};

/* Zeroed is empty. */
struct ad__sync_ids {
    struct ad__sync_id *slots;
    bool *used;
    size_t n, cap;
};

/* False for a text that is no UUID. */
AD_MUST_CHECK bool ad__sync_id_of(struct ad_str text, struct ad__sync_id *out);

bool ad__sync_ids_has(const struct ad__sync_ids *s, const struct ad__sync_id *id);
/* Adding one twice changes nothing. NOMEM: the set is as it was. */
AD_MUST_CHECK enum ad_err ad__sync_ids_add(struct ad__sync_ids *s, const struct ad__sync_id *id);
void ad__sync_ids_clear(struct ad__sync_ids *s); /* keeps the memory of a usual page only */
void ad__sync_ids_fini(struct ad__sync_ids *s);

#endif
