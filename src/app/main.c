#include "app/cli.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    return ad_cli_main(argc, argv, environ);
}
