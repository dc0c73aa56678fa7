/* What the suites of full sync share: a service, records, and runs. One service a program. */
#ifndef AD_TEST_SYNC_FIXTURE_H
#define AD_TEST_SYNC_FIXTURE_H

#include "fixture.h"

#include "support/torture.h"

#include <limits.h>
#include <stdio.h>

extern struct service_fixture s;

void setup(void);
void teardown(void);
/* Opens the service and waits until it is up; the pages are counted from here. */
void up(void);
/* n records of the first object, one a second. */
void records_add(unsigned n);
/* The records from..to (by number) have the creation time of the first of them. */
void tie(unsigned from, unsigned to);
/* Starts a run; its id. */
int64_t start(void);
/* A column of the newest run. */
int64_t newest(const char *column);
bool is_over(void *ctx);
/* Until the run is done, with n seen. */
void done(unsigned n);
/* Start, done, and n rows are live. */
void sync_all_of(unsigned n);

#endif
