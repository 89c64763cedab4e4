/* orrery-sat: the satellite. Everything is in app.c, so that tests can be a satellite, too. */
#include "sat/sat.h"

int main(int argc, char **argv)
{
    return sat_main(argc, argv);
}
