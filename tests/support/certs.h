/* Certificates for TLS tests, made by certs.sh for this process and removed again.
 * Once a process, in main, before libcheck forks. */
#ifndef AD_TEST_CERTS_H
#define AD_TEST_CERTS_H

void certs_make(void);
void certs_remove(void);
/* certs_path("good.pem"): valid until the eighth call from now. */
const char *certs_path(const char *name);

#endif
