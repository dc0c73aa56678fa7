/* The writer's log in few large writes. SQLite writes each page of its write-ahead log by two calls,
 * 24 bytes and the page: measured, 5.4 us of processor time against 2.4 as part of one piece. This
 * VFS gathers what is written in sequence, and hands it to the one below when the log is synced and
 * before anything else is asked of it.
 *
 * Nothing changes for readers or in a power cut: with synchronous=FULL, which the writer has, SQLite
 * syncs the log before it lets anybody see a commit, and once a piece could not be written every
 * write, read and sync fails until the transaction is taken back. Only a connection with
 * synchronous=FULL may use it, and with store_log_rolled_back as its hook. Where SQLite writes once more
 * after the sync (no SQLITE_IOCAP_POWERSAFE_OVERWRITE, which every Unix build has by default) the log is
 * written as SQLite does. */
#ifndef AD_STORE_SQLITE_LOG_H
#define AD_STORE_SQLITE_LOG_H

#include "base/attr.h"

#include <stdbool.h>

#define STORE_LOG_VFS "attiod"

/* Puts it over SQLite's default VFS, if it is not there yet. When the default has become another one:
 * not while another thread opens a database. False: no memory. */
AD_MUST_CHECK bool store_log_register(void);

/* For sqlite3_rollback_hook, with the connection: what is gathered is forgotten. Written later it
 * could land on what another program has committed in that place. */
void store_log_rolled_back(void *db);

#endif
