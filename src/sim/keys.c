/* Which API keys are right: one at first, several while a test rotates them. */
#include "sim.h"

#include "base/mem.h"

static struct ad_str join(const char *a, const char *b)
{
    struct ad_buf buf;
    ad_buf_init(&buf, 65536);
    ad_buf_put(&buf, ad_str_c(a));
    ad_buf_put(&buf, ad_str_c(b));
    size_t n = ad_buf_len(&buf);
    struct ad_str s = ad_str_n(ad_sim_copy(ad_buf_str(&buf)), n);
    ad_buf_fini(&buf);
    return s;
}

static struct ad_str base64(struct ad_str s)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    char *out = ad_sim_alloc(s.n / 3 * 4 + 5);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++) {
            v = v << 8 | (i + k < s.n ? (uint8_t)s.p[i + k] : 0);
        }
        for (size_t k = 0; k < 4; k++) {
            size_t at = i + k > s.n ? 64 : v >> (18 - 6 * k) & 63;
            out[n++] = digits[at];
        }
    }
    return ad_str_n(out, n);
}

static void free_str(struct ad_str s)
{
    ad_free((void *)(uintptr_t)s.p);
}

static void add(struct ad_sim_keys *k, const char *key)
{
    struct ad_str pair = join(key, ":");
    struct ad_str coded = base64(pair);
    AD_ASSERT(k->n < AD_SIM_KEYS_MAX);
    k->list[k->n++] = (struct ad_sim_api_key){ join("Bearer ", key), join("Basic ", coded.p), 0 };
    free_str(pair);
    free_str(coded);
}

void ad_sim_keys_init(struct ad_sim_keys *k, const char *key)
{
    *k = (struct ad_sim_keys){ .n = 0 };
    add(k, key);
}

void ad_sim_keys_fini(struct ad_sim_keys *k)
{
    while (k->n > 0) {
        k->n--;
        free_str(k->list[k->n].bearer);
        free_str(k->list[k->n].basic);
    }
}

enum ad_sim_auth ad_sim_authenticate(struct ad_sim_keys *k, const struct ad_exchange *x)
{
    struct ad_str given = ad_http_header(x->headers, x->headers_n, "authorization");
    for (size_t i = 0; i < k->n; i++) {
        if (ad_str_eq(given, k->list[i].bearer) || ad_str_eq(given, k->list[i].basic)) {
            k->list[i].used++;
            return AD_SIM_AUTH_OK;
        }
    }
    bool shaped = (ad_str_starts(given, AD_STR("Bearer ")) && given.n > 7) ||
                  (ad_str_starts(given, AD_STR("Basic ")) && given.n > 6);
    k->refused++;
    return shaped ? AD_SIM_AUTH_UNKNOWN : AD_SIM_AUTH_MALFORMED;
}

/* --- Control --- */

/* Never the keys themselves. */
void ad_sim_keys_get(struct ad_sim_call *c)
{
    const struct ad_sim_keys *k = &c->sim->keys;
    struct ad_json_writer w;
    ad_json_write_init(&w, c->out);
    ad_json_obj(&w);
    ad_json_key(&w, "used");
    ad_json_arr(&w);
    for (size_t i = 0; i < k->n; i++) {
        ad_json_w_u64(&w, k->list[i].used);
    }
    ad_json_end(&w);
    ad_json_f_i64(&w, "refused", (int64_t)k->refused);
    ad_json_end(&w);
    AD_ASSERT(ad_json_write_done(&w) == AD_OK);
}

void ad_sim_keys_post(struct ad_sim_call *c)
{
    const struct ad_json *list = ad_json_get(c->body, "keys");
    struct ad_str key;
    if (!ad_json_is(list, AD_JSON_ARRAY) || list->count == 0 || list->count > AD_SIM_KEYS_MAX) {
        ad_sim_issue(c, "array", ad_sim_type_name(list), "keys");
    }
    AD_JSON_FOREACH (v, list) {
        if (!ad_json_ident(v, &key) || key.n == 0) {
            ad_sim_issue(c, "string", ad_sim_type_name(v), "keys");
        }
    }
    if (!ad_sim_body_ok(c)) {
        return;
    }
    ad_sim_keys_fini(&c->sim->keys);
    c->sim->keys.refused = 0;
    AD_JSON_FOREACH (v, list) {
        add(&c->sim->keys, ad_arena_str(c->arena, ad_json_str(v)).p);
    }
    ad_sim_keys_get(c);
}
