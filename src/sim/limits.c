#include "base/mem.h"
#include "sim.h"

void ad_sim_limits_init(struct ad_sim_limits *l, bool on)
{
    *l = (struct ad_sim_limits){ .on = on,
                                 .score_query = AD_SIM_SCORE_QUERY,
                                 .score_window = AD_SIM_SCORE_WINDOW };
    l->lanes[AD_SIM_READ].cap = AD_SIM_READS;
    l->lanes[AD_SIM_WRITE].cap = AD_SIM_WRITES;
    l->merges.cap = AD_SIM_MERGES;
}

void ad_sim_limits_fini(struct ad_sim_limits *l)
{
    ad_free(l->scores);
}

static bool take(struct ad_sim_window *w, uint64_t now_ms)
{
    /* The slot to be overwritten holds the oldest of the last `cap`. */
    if (w->full && w->at_ms[w->next] + 1000 > now_ms) {
        return false;
    }
    w->at_ms[w->next] = now_ms;
    w->next = (w->next + 1) % w->cap;
    w->full = w->full || w->next == 0;
    return true;
}

bool ad_sim_limits_take(struct ad_sim_limits *l, enum ad_sim_lane lane, uint64_t now_ms)
{
    return !l->on || take(&l->lanes[lane], now_ms);
}

bool ad_sim_limits_take_merge(struct ad_sim_limits *l, uint64_t now_ms)
{
    return !l->on || take(&l->merges, now_ms);
}

/* Forgets what is older than the window; the sum of what is not. */
static int64_t recent_score(struct ad_sim_limits *l, uint64_t now_ms)
{
    int64_t sum = 0;
    size_t kept = 0;
    for (size_t i = 0; i < l->scores_n; i++) {
        if (l->scores[i].at_ms + AD_SIM_SCORE_MS > now_ms) {
            sum += l->scores[i].score;
            l->scores[kept++] = l->scores[i];
        }
    }
    l->scores_n = kept;
    return sum;
}

bool ad_sim_limits_take_score(struct ad_sim_limits *l, int64_t score, uint64_t now_ms)
{
    if (!l->on || score == 0) {
        return true;
    }
    if (score > l->score_query || recent_score(l, now_ms) + score > l->score_window) {
        return false;
    }
    if (l->scores_n == l->scores_cap) {
        l->scores_cap = l->scores_cap ? l->scores_cap * 2 : 64;
        l->scores = ad_sim_grow(l->scores, l->scores_cap * sizeof(l->scores[0]));
    }
    l->scores[l->scores_n++] = (struct ad_sim_scored){ now_ms, score };
    return true;
}

/* --- Control --- */

void ad_sim_limits_get(struct ad_sim_call *c)
{
    struct ad_json_writer w;
    struct ad_sim_limits *l = &c->sim->limits;
    ad_json_write_init(&w, c->out);
    ad_json_obj(&w);
    ad_json_f_bool(&w, "on", l->on);
    ad_json_f_i64(&w, "score_query", l->score_query);
    ad_json_f_i64(&w, "score_window", l->score_window);
    ad_json_f_i64(&w, "score_recent", recent_score(l, ad_mono_ms(c->sim->clock)));
    ad_json_end(&w);
    AD_ASSERT(ad_json_write_done(&w) == AD_OK);
}

static void take_score(struct ad_sim_call *c, const char *key, int64_t *to)
{
    const struct ad_json *v = ad_json_get(c->body, key);
    if (v && (!ad_json_i64(v, to) || *to < 0)) {
        ad_sim_issue(c, "number", ad_sim_type_name(v), "%s", key);
    }
}

void ad_sim_limits_post(struct ad_sim_call *c)
{
    struct ad_sim_limits *l = &c->sim->limits;
    const struct ad_json *on = ad_json_get(c->body, "on");
    int64_t query = l->score_query;
    int64_t window = l->score_window;
    take_score(c, "score_query", &query);
    take_score(c, "score_window", &window);
    if (on && on->type != AD_JSON_BOOL) {
        ad_sim_issue(c, "boolean", ad_sim_type_name(on), "on");
    }
    if (!ad_sim_body_ok(c)) {
        return;
    }
    ad_sim_set_flag(&l->on, on);
    l->score_query = query;
    l->score_window = window;
    l->scores_n = 0;
    ad_sim_limits_get(c);
}
