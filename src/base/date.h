/* The proleptic Gregorian calendar. Pure functions; days are counted from 1970-01-01, months
 * from 1. */
#ifndef BASE_DATE_H
#define BASE_DATE_H

#include <stdbool.h>
#include <stdint.h>

int64_t date_to_days(int64_t year, unsigned month, unsigned day);
void date_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);
unsigned date_month_days(int64_t year, unsigned month);
bool date_is_leap(int64_t year);
/* 0 is Sunday. */
unsigned date_weekday(int64_t days);

/* The quotient rounded down; b > 0. */
static inline int64_t div_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

#endif
