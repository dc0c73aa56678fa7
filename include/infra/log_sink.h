/* The log's other end: lines to a descriptor, without ever blocking the loop.
 *
 * Lines gather in a ring (1 MiB) and are written at the end of a turn; while the descriptor
 * takes nothing, new lines are dropped and counted, and one `log_dropped {lines}` line says so
 * when it takes again. Store threads may log through it (a mutex guards the ring). */
#ifndef AD_INFRA_LOG_SINK_H
#define AD_INFRA_LOG_SINK_H

#include "base/log.h"

struct ad_loop;
struct ad_log_fd;

/* Installs itself with ad_log_install. */
AD_MUST_CHECK enum ad_err ad_log_fd_open(struct ad_loop *loop, int fd, enum ad_log_format format,
                                         struct ad_log_fd **out);
/* Lines dropped since it was opened. */
uint64_t ad_log_fd_dropped(struct ad_log_fd *l);
/* Writes what is left, for at most 200 ms, and uninstalls itself. */
void ad_log_fd_close(struct ad_log_fd *l);

#endif
