#include "app/cli.h"

#include "base/mem.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    ad_heap_tune();
    return ad_cli_main(argc, argv, environ);
}
