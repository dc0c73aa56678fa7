#include "api_private.h"

#include "base/log.h"

#include <stdio.h>

/* One line a second says as much about somebody who tries keys as a thousand would. */
#define COMPLAIN_MS 1000

void ad__api_auth_metrics(struct ad_api *a)
{
    static const char name[] = "attiod_auth_failures_total";
    static const char help[] = "Requests refused on the internal listener, by reason.";
    struct ad_metrics *m = a->o.metrics;
    a->refused = (struct ad_api_auth_metrics){
        .no_token = ad_metric_counter(m, name, "reason=\"no_token\"", help),
        .bad_token = ad_metric_counter(m, name, "reason=\"bad_token\"", help),
        .role = ad_metric_counter(m, name, "reason=\"role\"", help),
        .host = ad_metric_counter(m, name, "reason=\"host\"", help),
        .origin = ad_metric_counter(m, name, "reason=\"origin\"", help),
    };
}

void ad__api_note_refusal(struct ad_api *a, struct ad_counter *counter, const char *why,
                          const struct ad_exchange *x)
{
    uint64_t now = a->o.clock ? ad_mono_ms(a->o.clock) : 0;
    counter->v++;
    if (a->o.clock && a->complained_ms && now - a->complained_ms < COMPLAIN_MS) {
        a->unsaid++;
        return;
    }
    ad_log(AD_LOG_WARN, "request_refused", AD_KC("why", why),
           AD_KS("client", a->o.client ? a->o.client(a->o.client_ctx, x) : x->peer),
           AD_KI("more_since_last", a->unsaid));
    a->complained_ms = now;
    a->unsaid = 0;
}

/* The credential behind "Bearer"; absent when there is no header. A header that says something
 * else, or several, is a token that nobody has: the empty one. */
static struct ad_str bearer(const struct ad_exchange *x)
{
    size_t n = ad_http_header_count(x->headers, x->headers_n, "authorization");
    struct ad_str value = ad_http_header(x->headers, x->headers_n, "authorization");
    if (n != 1) {
        return n ? AD_STR("") : AD_STR_NONE;
    }
    struct ad_str scheme = ad_str_cut(&value, ' ');
    if (!ad_str_eq_nocase(scheme, AD_STR("Bearer")) || !value.p) {
        return AD_STR("");
    }
    return ad_str_trim(value);
}

static bool refuse_token(struct ad_api *a, struct ad_exchange *x, bool sent)
{
    static const struct ad_http_header ask = { { "WWW-Authenticate", 16 },
                                               { "Bearer realm=\"attiod\"", 21 } };
    static const struct ad_http_header bad = {
        { "WWW-Authenticate", 16 }, { "Bearer realm=\"attiod\", error=\"invalid_token\"", 44 }
    };
    ad__api_note_refusal(a, sent ? a->refused.bad_token : a->refused.no_token,
                         sent ? "bad_token" : "no_token", x);
    ad__api_problem_with(x, 401, AD_ERR_UNAUTHORIZED,
                         sent ? "the bearer token is not known here"
                              : "a bearer token is required: Authorization: Bearer ...",
                         sent ? &bad : &ask);
    return false;
}

static bool refuse_role(struct ad_api *a, const struct ad_route *route, struct ad_exchange *x)
{
    char detail[96];
    (void)snprintf(detail, sizeof(detail), "this needs a token with the role %s, not %s",
                   ad_role_name(route->role), ad_role_name(x->role));
    ad__api_note_refusal(a, a->refused.role, "role", x);
    ad__api_problem(x, AD_ERR_FORBIDDEN, detail);
    return false;
}

bool ad__api_authorize(struct ad_api *a, const struct ad_route *route, struct ad_exchange *x)
{
    const struct ad_api_admission *by = &a->o.admission;
    struct ad_api_who who;
    struct ad_str token = bearer(x);
    if (!by->identify(by->ctx, token, &who)) {
        if (!token.p && route->role == AD_ROLE_NONE) {
            return true; /* anybody, as nobody in particular */
        }
        return refuse_token(a, x, token.p != NULL);
    }
    x->role = who.role;
    x->actor = ad_arena_str(x->arena, ad_str_c(who.name)); /* the table of tokens may change */
    if (!x->actor.p) {
        ad__api_problem(x, AD_ERR_NOMEM, NULL);
        return false;
    }
    return x->role >= route->role || refuse_role(a, route, x);
}

void ad_api_set_admission(struct ad_api *a, const struct ad_api_admission *admission)
{
    a->o.admission = *admission;
}
