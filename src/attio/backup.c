#include "attio/backup.h"

#include "base/mem.h"
#include "infra/store.h"

static void on_copied(struct ad_store_backup *copy)
{
    struct ad_backup *b = copy->data;
    b->err = copy->err;
    b->info = copy->info;
    b->bytes = copy->bytes;
    b->impl = NULL;
    ad_free(copy);
    b->cb(b);
}

enum ad_err ad_backup_start(struct ad_store *store, struct ad_backup *b)
{
    struct ad_store_backup *copy = ad_zalloc(sizeof(*copy));
    if (!copy) {
        return ad_fail(&b->info, AD_ERR_NOMEM, "no memory for the backup");
    }
    *copy = (struct ad_store_backup){ .path = b->path, .cb = on_copied, .data = b };
    enum ad_err err = ad_store_backup(store, copy);
    if (err) {
        b->info = copy->info;
        ad_free(copy);
        return err;
    }
    b->impl = copy;
    return AD_OK;
}

void ad_backup_cancel(struct ad_backup *b)
{
    if (b->impl) {
        ad_store_backup_cancel(b->impl);
    }
}

void ad_backup_progress(const struct ad_backup *b, unsigned *done, unsigned *all)
{
    *done = *all = 0;
    if (b->impl) {
        ad_store_backup_progress(b->impl, done, all);
    }
}
