#include "tls/tls_private.h"

#include "base/mem.h"
#include "infra/crypto.h"

#include <mbedtls/ssl_ticket.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    HANDSHAKE_MS = 7500,
    TICKET_S = 24 * 3600, /* two keys in turn, random and in memory only */
};

struct ad_tls_server {
    struct ad__tls_side side;
    struct ad__tls_conf *conf; /* of new connections */
    mbedtls_ssl_ticket_context tickets;
    unsigned handshake_ms;
    char *cert_file, *key_file;
};

/* --- tickets --- */

/* A ticket that can be read is how a server learns that a session goes on. */
static int on_ticket(void *ctx, mbedtls_ssl_session *session, unsigned char *p, size_t n)
{
    struct ad_tls_server *s = ctx;
    int code = mbedtls_ssl_ticket_parse(&s->tickets, session, p, n);
    s->side.ticket_taken = code == 0;
    return code;
}

static int on_new_ticket(void *ctx, const mbedtls_ssl_session *session, unsigned char *start,
                         const unsigned char *end, size_t *n, uint32_t *lifetime)
{
    struct ad_tls_server *s = ctx;
    return mbedtls_ssl_ticket_write(&s->tickets, session, start, end, n, lifetime);
}

/* --- certificate and key --- */

static enum ad_err load(struct ad_tls_server *s, struct ad__tls_conf **out, struct ad_errinfo *info)
{
    struct ad__tls_conf *conf;
    if (ad__tls_conf_new(MBEDTLS_SSL_IS_SERVER, &conf)) {
        return ad_fail(info, AD_ERR_NOMEM, "TLS: no memory");
    }
    enum ad_err err = ad__tls_read_pair(conf, s->cert_file, s->key_file, info);
    if (err) {
        ad__tls_conf_unref(conf);
        return err;
    }
    mbedtls_ssl_conf_session_tickets_cb(&conf->ssl, on_new_ticket, on_ticket, s);
    *out = conf;
    return AD_OK;
}

enum ad_err ad_tls_server_reload(struct ad_tls_server *s, struct ad_errinfo *info)
{
    struct ad__tls_conf *conf = NULL;
    enum ad_err err = load(s, &conf, info);
    if (err) {
        return err;
    }
    ad__tls_conf_unref(s->conf);
    s->conf = conf;
    return AD_OK;
}

/* --- opening and closing --- */

static char *copy(const char *text)
{
    size_t n = strlen(text) + 1;
    char *p = ad_alloc(n);
    if (p) {
        memcpy(p, text, n);
    }
    return p;
}

static enum ad_err open_parts(struct ad_tls_server *s, const struct ad_tls_server_opts *opts,
                              struct ad_errinfo *info)
{
    s->cert_file = copy(opts->cert_file);
    s->key_file = copy(opts->key_file);
    if (!s->cert_file || !s->key_file ||
        mbedtls_ssl_ticket_setup(&s->tickets, ad__tls_random, NULL, MBEDTLS_CIPHER_AES_256_GCM,
                                 TICKET_S)) {
        return ad_fail(info, AD_ERR_NOMEM, "TLS: no memory");
    }
    return load(s, &s->conf, info);
}

enum ad_err ad_tls_server_open(struct ad_loop *loop, const struct ad_tls_server_opts *opts,
                               struct ad_tls_server **out, struct ad_errinfo *info)
{
    struct ad_tls_server *s = ad_zalloc(sizeof(*s));
    if (!s) {
        return ad_fail(info, AD_ERR_NOMEM, "TLS: no memory");
    }
    ad__tls_side_init(&s->side, loop, "server", opts->metrics);
    mbedtls_ssl_ticket_init(&s->tickets);
    s->handshake_ms = opts->handshake_ms ? opts->handshake_ms : HANDSHAKE_MS;
    enum ad_err err = open_parts(s, opts, info);
    if (err) {
        ad_tls_server_close(s);
        return err;
    }
    *out = s;
    return AD_OK;
}

void ad_tls_server_close(struct ad_tls_server *s)
{
    if (!s) {
        return;
    }
    ad__tls_conf_unref(s->conf);
    mbedtls_ssl_ticket_free(&s->tickets);
    ad_free(s->cert_file);
    ad_free(s->key_file);
    ad_free(s);
}

enum ad_err ad_tls_server_wrap(struct ad_tls_server *s, struct ad_stream *lower,
                               struct ad_stream **out)
{
    struct ad__tls *t;
    enum ad_err err = ad__tls_new(&s->side, s->conf, lower, s->handshake_ms, &t);
    if (err) {
        return err;
    }
    ad__tls_begin(t);
    *out = &t->stream;
    return AD_OK;
}

/* --- looking without serving --- */

static int64_t unix_time(const mbedtls_x509_time *at)
{
    struct tm tm = { .tm_year = at->year - 1900,
                     .tm_mon = at->mon - 1,
                     .tm_mday = at->day,
                     .tm_hour = at->hour,
                     .tm_min = at->min,
                     .tm_sec = at->sec };
    return timegm(&tm);
}

enum ad_err ad_tls_check_files(const char *cert_file, const char *key_file,
                               struct ad_tls_check *out, struct ad_errinfo *info)
{
    struct ad__tls_conf *conf;
    struct stat st;
    if (ad__tls_conf_new(MBEDTLS_SSL_IS_SERVER, &conf)) {
        return ad_fail(info, AD_ERR_NOMEM, "TLS: no memory");
    }
    enum ad_err err = ad__tls_read_pair(conf, cert_file, key_file, info);
    if (!err) {
        out->key_open = stat(key_file, &st) == 0 && (st.st_mode & S_IRWXO);
        out->until_s = unix_time(&conf->certs.valid_to);
        out->expired = mbedtls_x509_time_is_past(&conf->certs.valid_to);
    }
    ad__tls_conf_unref(conf);
    return err;
}
