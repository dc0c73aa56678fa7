/* The writer's log in few large writes. SQLite writes each page of its write-ahead log by two calls,
 * 24 bytes and the page: measured, 5.4 us of processor time against 2.4 as part of one piece. This
 * VFS gathers what is written in sequence, and hands it to the one below when the log is synced and
 * before anything else is asked of it.
 *
 * Nothing changes for readers or in a power cut: with synchronous=FULL, which the writer has, SQLite
 * syncs the log before it lets anybody see a commit, and a write that fails late fails that sync and
 * so the commit. Only a connection with synchronous=FULL may use it. */
#ifndef AD_STORE_SQLITE_LOG_H
#define AD_STORE_SQLITE_LOG_H

#include "base/attr.h"

#include <stdbool.h>

#define STORE_LOG_VFS "attiod"

/* Puts it over SQLite's default VFS, if it is not there yet. When the default has become another one:
 * not while another thread opens a database. False: no memory. */
AD_MUST_CHECK bool store_log_register(void);

#endif
