/* The only names the simulator ever makes up. tests/lint/sim_names.txt holds the same words, so
 * that a scan of all logs can look for them: they are unlike any name or word, to make a hit mean a
 * leak. */
#ifndef AD_SIM_NAMES_H
#define AD_SIM_NAMES_H

#include <stddef.h>

extern const char *const ad_sim_first_names[];
extern const size_t ad_sim_first_names_n;
extern const char *const ad_sim_last_names[];
extern const size_t ad_sim_last_names_n;

#endif
