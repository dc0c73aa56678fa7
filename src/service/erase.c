#include "service/erase.h"

#include "attio/erase.h"
#include "base/json_write.h"
#include "service_private.h"

struct work {
    struct ad_records_op get;
    struct ad_erase erase;
    struct ad_service *s;
    struct ad_erase_query *e;
    const struct ad_object *object;
    char record_id[37];
};

static void end(struct work *k, enum ad_err err, const struct ad_errinfo *info)
{
    struct ad_service *s = k->s;
    struct ad_erase_query *e = k->e;
    e->q.err = err;
    if (info) {
        e->q.info = *info;
    }
    ad_free(k);
    e->q.cb(&e->q);
    ad__question_end(s);
}

static enum ad_err write_erased(struct work *k)
{
    struct ad_json_writer w;
    ad_json_write_init(&w, k->e->q.out);
    ad_json_obj(&w);
    ad_json_f_str(&w, "object", k->object->slug);
    ad_json_f_cstr(&w, "record_id", k->record_id);
    ad_json_end(&w);
    return ad_json_write_done(&w);
}

static void on_erased(struct ad_erase *erase)
{
    struct work *k = erase->data;
    if (!erase->err) {
        ad_log(AD_LOG_WARN, "erased", AD_KS("object", k->object->slug),
               AD_KC("record_id", k->record_id));
    }
    end(k, erase->err ? erase->err : write_erased(k), &erase->info);
}

static enum ad_err begin(struct work *k)
{
    k->erase = (struct ad_erase){
        .object_id = k->object->id,
        .record_id = ad_str_c(k->record_id),
        .now_ns = ad_wall_ns(k->s->o.clock),
        .cb = on_erased,
        .data = k,
    };
    return ad_erase_start(k->s->o.store, &k->erase);
}

static void on_got(struct ad_records_op *op)
{
    struct work *k = op->data;
    struct ad_errinfo info = op->info;
    enum ad_err err = op->err;
    if (!err) {
        err = ad_fail(&info, AD_ERR_CONFLICT,
                      "the record is still in Attio, from where it would come again: delete it "
                      "there first (--force erases it here all the same)");
    } else if (err == AD_ERR_NOTFOUND) {
        err = begin(k);
        if (err) {
            info = k->erase.info;
        }
    } else {
        ad_errinfo_prefix(&info, "whether Attio still has the record cannot be told (--force)");
    }
    if (err) {
        end(k, err, &info);
    }
}

static enum ad_err start(struct work *k)
{
    if (k->e->force) {
        return begin(k);
    }
    k->get = (struct ad_records_op){
        .object = k->object, .priority = AD_PRIO_INTERACTIVE, .cb = on_got, .data = k
    };
    return ad_records_get(k->s->o.records, &k->get, ad_str_c(k->record_id));
}

enum ad_err ad_service_erase(struct ad_service *s, struct ad_erase_query *e)
{
    const struct ad_object *o = ad_schema_object(s->o.schema, e->object);
    if (s->closing) {
        return ad_fail(&e->q.info, AD_ERR_CLOSED, "closing");
    }
    if (!o) {
        return ad_fail(&e->q.info, AD_ERR_NOTFOUND, "there is no such object");
    }
    if (!ad_str_is_uuid(e->record_id)) {
        return ad_fail(&e->q.info, AD_ERR_INVALID, "a record's id is a UUID");
    }
    struct work *k = ad_zalloc(sizeof(*k));
    if (!k) {
        return ad_fail(&e->q.info, AD_ERR_NOMEM, "no memory");
    }
    k->s = s;
    k->e = e;
    k->object = o;
    for (size_t i = 0; i < e->record_id.n; i++) { /* as Attio writes them */
        char c = e->record_id.p[i];
        k->record_id[i] = c;
        if (c >= 'A' && c <= 'F') {
            k->record_id[i] = "abcdef"[c - 'A'];
        }
    }
    enum ad_err err = start(k);
    if (err) {
        ad_fail(&e->q.info, err, "%s", k->erase.info.msg[0] ? k->erase.info.msg : ad_err_text(err));
        ad_free(k);
        return err;
    }
    ad__question_begin(s);
    return AD_OK;
}
