/* JSON compared by value: blanks, the order of keys and the spelling of numbers do not matter.
 *
 *   json_assert(ad_buf_str(&reply), "{'data': [1, 2], 'next': null}");
 *
 * In the expected text ' stands for ", so that it can be read. A difference fails the test and
 * names the path where it is. */
#ifndef AD_TEST_JSON_ASSERT_H
#define AD_TEST_JSON_ASSERT_H

#include "base/json.h"
#include "base/str.h"

void json_assert(struct ad_str actual, const char *expected);
/* The value at `path` (as ad_json_path) of `actual` alone. */
void json_assert_at(struct ad_str actual, const char *path, const char *expected);

#endif
