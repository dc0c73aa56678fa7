#include "base/json.h"

#include <yajl/yajl_version.h>

unsigned ad_json_library_version(void)
{
    return (unsigned)yajl_version();
}
